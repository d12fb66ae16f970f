//! `loc data`: look at a data set, or draw one.

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use loc_data::{
    Dataset, check as checking, mosaic, shapes, split as splitting, stats as statistics, summary,
};
use serde::Serialize;

use super::shared::{self, read_options};
use crate::args::{
    CheckArgs, DataArgs, OpenArgs, SampleArgs, ShowArgs, SplitArgs, StatsArgs, TextFormat, ToleranceArgs,
};
use crate::output::{Exit, Output, Usage, escape};
use crate::outputs::{Inputs, Kind, Target};
use crate::remedy::with_flags;

/// Tiles in a row of the picture, and the side of a tile in pixels.
const COLUMNS: u32 = 5;
const TILE: u32 = 256;

/// A record with the schema it follows.
#[derive(Serialize)]
struct Record<T> {
    schema: &'static str,
    #[serde(flatten)]
    value: T,
}

pub(crate) fn check(args: &CheckArgs, output: &Output) -> Result<Exit> {
    let options = read_options(&args.data.reading, ToleranceArgs { skip_bad: false, strict: false })?;
    let mut report = checking::check(&args.data.data, &options, args.split_file.as_deref())?;
    report.diagnostics = with_flags(report.diagnostics);
    let (errors, warnings) = (report.errors(), report.warnings());
    match args.format {
        TextFormat::Json => output.json(&Record { schema: "loc.check/1", value: &report })?,
        TextFormat::Text => {
            for diagnostic in &report.diagnostics {
                output.data(&escape(&diagnostic.to_string()))?;
            }
            let (samples, photos) = (report.samples, report.photos);
            output.note(&format!(
                "{samples} usable photos of {photos} decoded; {errors} errors, {warnings} warnings"
            ));
            for (kind, count) in report.kinds() {
                output.note(&format!("  {}", kind.counted(count)));
            }
        }
    }
    Ok(if errors > 0 { Exit::Gate } else { Exit::Ok })
}

pub(crate) fn stats(args: &StatsArgs, output: &Output) -> Result<Exit> {
    let (dataset, exit) = open(&args.data, output)?;
    let stats = statistics::Stats::of(&dataset);
    match args.format {
        TextFormat::Json => output.json(&Record { schema: "loc.stats/1", value: &stats })?,
        TextFormat::Text => output.data(describe(&stats).trim_end())?,
    }
    Ok(exit)
}

fn describe(stats: &statistics::Stats) -> String {
    let mut text = format!("samples   {}\n", stats.samples);
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<9} {value}");
    };
    for class in &stats.classes {
        let share = 100.0 * class.samples as f64 / stats.samples.max(1) as f64;
        line("class", format!("{} {} ({share:.0} %)", escape(&class.name), class.samples));
    }
    for (name, s) in [("width", stats.width), ("height", stats.height)] {
        line(name, format!("{} to {}, median {}", s.min, s.max, s.median));
    }
    let boxes = [
        ("box side", stats.boxes.side),
        ("centre x", stats.boxes.centre_x),
        ("centre y", stats.boxes.centre_y),
        ("aspect", stats.boxes.aspect),
    ];
    for (name, s) in boxes {
        line(
            name,
            format!(
                "{:.2} to {:.2}, median {:.2}, middle half {:.2} to {:.2}",
                s.min, s.max, s.median, s.q1, s.q3
            ),
        );
    }
    if let Some(b) = &stats.baseline {
        let (class, m) = (&stats.classes[b.majority_class].name, &b.median_box);
        line(
            "constant",
            format!(
                "always `{}`: accuracy {:.3}; always the median box: mean IoU {:.3}, {:.3} at 0.5, {:.3} at 0.75",
                escape(class),
                b.majority_accuracy,
                m.mean_iou,
                m.iou50,
                m.iou75
            ),
        );
    }
    text
}

pub(crate) fn show(args: &ShowArgs, output: &Output) -> Result<Exit> {
    let Some(format) = image::ImageFormat::from_path(&args.output).ok().filter(|f| f.can_write()) else {
        bail!(Usage(format!("-o {}: the ending must be .png or .jpg", args.output.display())));
    };
    let inputs = inputs(&args.data)?;
    let target = Target::file(&args.output, Kind::Mosaic, &inputs, args.overwrite.force)?;
    let (dataset, exit) = open(&args.data, output)?;
    let picture =
        mosaic::mosaic(&dataset, &mosaic::random_samples(&dataset, args.n, args.seed), COLUMNS, TILE)?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).context("encoding the picture")?;
    target.write(bytes.into_inner())?;
    output.note(&format!("{} samples drawn", args.n.min(dataset.samples.len())));
    output.made(&target)?;
    Ok(exit)
}

pub(crate) fn split(args: &SplitArgs, output: &Output) -> Result<Exit> {
    let inputs = inputs(&args.data)?;
    let target = Target::file(&args.output, Kind::Split, &inputs, args.overwrite.force)?;
    let (dataset, exit) = open(&args.data, output)?;
    let choice = splitting::SplitOptions { file: None, folders: !args.draw, val: args.val, seed: args.seed };
    let (split, origin) = splitting::choose(&dataset, &choice)?;
    for line in splitting::describe(&dataset, &split, origin) {
        output.note(&line);
    }
    for line in summary(&splitting::leaks(&dataset, &split)) {
        output.warn(&line);
    }
    target.write(splitting::to_csv(&dataset, &split)?)?;
    output.note(&format!("{} train, {} val", split.train.len(), split.val.len()));
    output.made(&target)?;
    Ok(exit)
}

pub(crate) fn sample(args: &SampleArgs, output: &Output) -> Result<Exit> {
    shapes::generate(&args.out, args.n, args.seed)?;
    output.note(&format!("{} photos with their annotations", args.n));
    output.data(&args.out.display().to_string())?;
    Ok(Exit::Ok)
}

/// What must not be overwritten.
fn inputs(args: &OpenArgs) -> Result<Inputs> {
    Ok(Inputs::default().data(&args.data.data, read_options(&args.data.reading, args.tolerance)?))
}

/// The data set, and the exit code where the rest goes well.
fn open(args: &OpenArgs, output: &Output) -> Result<(Dataset, Exit)> {
    let OpenArgs { data: DataArgs { data, reading }, tolerance } = args;
    shared::open(data, &read_options(reading, *tolerance)?, output)
}
