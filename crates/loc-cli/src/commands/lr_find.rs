//! `loc lr-find`: the learning-rate range test, as CSV and as a plot.

use std::fmt::Write;

use anyhow::Result;
use loc_train::{LrFind, LrRange, Stop, Tried};

use super::configuration::{Settings, configuration};
use super::progress::Progress;
use super::shared::{or_stopped, use_threads};
use crate::args::LrFindArgs;
use crate::output::{Exit, Output};
use crate::outputs::{Inputs, Kind, Target};
use crate::signals::{self, Signals};

pub(crate) fn run(args: &LrFindArgs, output: &Output) -> Result<Exit> {
    let stop = Stop::default();
    let signals = signals::listen(&stop)?;
    or_stopped(find(args, (&stop, &signals), output), &signals, output)
}

fn find(args: &LrFindArgs, (stop, signals): (&Stop, &Signals), output: &Output) -> Result<Exit> {
    let Settings { config, file, .. } = configuration(&args.config, output)?;
    use_threads(config.threads)?;
    let inputs = Inputs::of(&config, file.as_deref())?;
    let force = args.overwrite.force;
    let target =
        args.output.as_ref().map(|path| Target::file(path, Kind::Plot, &inputs, force)).transpose()?;
    let mut progress = Progress::new(output);
    let found = loc_train::lr_find(
        &config,
        LrRange { low: args.low, high: args.high, steps: args.steps },
        stop,
        &mut |e| progress.show(e),
    )?;
    progress.end();
    let mut csv = String::from("lr,loss,smoothed\n");
    for Tried { lr, loss, smoothed } in &found.steps {
        writeln!(csv, "{lr:e},{loss},{smoothed}")?;
    }
    output.data(csv.trim_end())?;
    if let Some(target) = &target {
        target.write(plot(&found).into_bytes())?;
        if let Some(path) = target.made() {
            output.note(&format!("plot: {path}"));
        }
    }
    match found.suggestion {
        Some(lr) => {
            output.note(&format!("the loss falls fastest at {lr:.2e}: `--lr {lr:.2e}` is a good start"))
        }
        None => output.note("the loss never falls (hint: more --steps, or another --low)"),
    }
    Ok(signals.came().map_or(Exit::Ok, Exit::Signal))
}

/// The losses over the logarithm of the rate, as SVG.
fn plot(found: &LrFind) -> String {
    const SIZE: (f64, f64) = (640.0, 360.0);
    const MARGIN: (f64, f64) = (60.0, 40.0);
    let steps = &found.steps;
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return String::new() };
    let (low, high) = (first.lr.log10(), last.lr.log10().max(first.lr.log10() + 1e-9));
    let losses = || steps.iter().map(|t| t.smoothed);
    let (least, most) = (losses().fold(f64::INFINITY, f64::min), losses().fold(f64::NEG_INFINITY, f64::max));
    let most = most.max(least + 1e-9);
    let x = |lr: f64| MARGIN.0 + (lr.log10() - low) / (high - low) * (SIZE.0 - 1.5 * MARGIN.0);
    let y = |loss: f64| SIZE.1 - MARGIN.1 - (loss - least) / (most - least) * (SIZE.1 - 2.0 * MARGIN.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        SIZE.0, SIZE.1
    );
    let mut text = |x: f64, y: f64, anchor: &str, text: &str| {
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
    };
    let base = SIZE.1 - MARGIN.1;
    let mut decades = Vec::new();
    let mut decade = low.ceil();
    while decade <= high {
        let lr = 10f64.powf(decade);
        text(x(lr), base + 18.0, "middle", &format!("{lr:.0e}"));
        decades.push(x(lr));
        decade += 1.0;
    }
    for loss in [least, f64::midpoint(least, most), most] {
        text(MARGIN.0 - 8.0, y(loss) + 4.0, "end", &format!("{loss:.3}"));
    }
    text(SIZE.0 / 2.0, SIZE.1 - 6.0, "middle", "learning rate");
    text(MARGIN.0, 20.0, "start", "smoothed training loss");
    for x in decades {
        let _ = writeln!(svg, "<path d=\"M{x:.1} {:.1}V{base:.1}\" stroke=\"#ddd\"/>", MARGIN.1);
    }
    let points: Vec<String> = steps.iter().map(|t| format!("{:.1},{:.1}", x(t.lr), y(t.smoothed))).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f6fd0\" stroke-width=\"2\"/>",
        points.join(" ")
    );
    if let Some(lr) = found.suggestion {
        let x = x(lr);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {:.1}V{base:.1}\" stroke=\"#d03030\" stroke-dasharray=\"4 3\"/>",
            MARGIN.1
        );
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#d03030\">{lr:.1e}</text>",
            x + 5.0,
            MARGIN.1 + 12.0
        );
    }
    svg + "</svg>\n"
}
