//! `loc data`: look at a data set, or draw one.

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use image::RgbImage;
use loc_data::convert::{self, LabelledSet, PhotoFiles, WriteOptions, Written};
use loc_data::{
    Dataset, check as checking, mosaic, shapes, split as splitting, stats as statistics, summary,
};
use loc_train::{Config, Resolved};
use serde::Serialize;

use super::shared::{self, read_options};
use super::stats_plots;
use crate::args::{
    CheckArgs, ConvertArgs, DataArgs, OpenArgs, PhotoChoice, SampleArgs, ShowArgs, SplitArgs, StatsArgs,
    TargetFormat, TextFormat, ToleranceArgs,
};
use crate::output::{Exit, Output, Usage, escape};
use crate::outputs::{Inputs, Kind, Target};
use crate::remedy::with_flags;

/// The grid of `loc data show`.
const GRID: mosaic::Grid = mosaic::Grid { columns: 5, tile: 256 };

/// A record with the schema it follows.
#[derive(Serialize)]
struct Record<T> {
    schema: &'static str,
    #[serde(flatten)]
    value: T,
}

/// What `loc data check` reports as JSON.
#[derive(Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    report: &'a checking::Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    fixed: Option<&'a checking::Fixed>,
}

pub(crate) fn check(args: &CheckArgs, output: &Output) -> Result<Exit> {
    let options = read_options(&args.data.reading, ToleranceArgs { skip_bad: false, strict: false })?;
    let (data, split_file) = (&args.data.data, args.split_file.as_deref());
    let (mut report, fixed) = match &args.fix {
        Some(out) => {
            let (report, fixed) = checking::fix(data, &options, split_file, out)?;
            (report, Some(fixed))
        }
        None => (checking::check(data, &options, split_file)?, None),
    };
    report.diagnostics = with_flags(report.diagnostics);
    for diagnostic in &mut report.diagnostics {
        diagnostic.hint.get_or_insert_with(|| diagnostic.kind.advice().into());
    }
    let (errors, warnings) = (report.errors(), report.warnings());
    match args.format {
        TextFormat::Json => {
            let value = Checked { report: &report, fixed: fixed.as_ref() };
            output.json(&Record { schema: "loc.check/1", value })?;
        }
        TextFormat::Text => {
            for diagnostic in &report.diagnostics {
                output.data(&escape(&diagnostic.to_string()))?;
            }
            let (samples, photos) = (report.samples, report.photos);
            let negatives = match report.negatives {
                0 => String::new(),
                n => format!(", {n} of them negatives (without an object)"),
            };
            output.note(&format!(
                "read as {}: {samples} usable photos of {photos} decoded{negatives}; {errors} errors, {warnings} warnings",
                report.format
            ));
            for (kind, count) in report.kinds() {
                output.note(&format!("  {}", kind.counted(count)));
            }
            if let Some(fixed) = &fixed {
                for line in renamed(&fixed.written) {
                    output.note(&line);
                }
                output.note(&format!(
                    "{}: a repaired copy of {} photos with {} objects, in the format {}; {} photos are left out",
                    fixed.path,
                    fixed.written.photos,
                    fixed.written.objects,
                    fixed.format.name(),
                    fixed.left_out
                ));
            } else if errors > 0 {
                output.note("`--fix OUT` writes a copy in which what can be repaired is repaired");
            }
        }
    }
    Ok(if errors > 0 || report.samples == report.negatives { Exit::Gate } else { Exit::Ok })
}

pub(crate) fn stats(args: &StatsArgs, output: &Output) -> Result<Exit> {
    let targets = match &args.save {
        Some(folder) => stats_plots::targets(folder, &inputs(&args.data)?, args.overwrite.force)?,
        None => Vec::new(),
    };
    let (dataset, exit) = open(&args.data, output)?;
    let stats = statistics::Stats::of(&dataset);
    match args.format {
        TextFormat::Json => output.json(&Record { schema: "loc.stats/1", value: &stats })?,
        TextFormat::Text => output.data(describe(&stats).trim_end())?,
    }
    if !targets.is_empty() {
        stats_plots::write(&dataset, &stats, &targets, output)?;
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
    if stats.negatives > 0 {
        let share = 100.0 * stats.negatives as f64 / stats.samples as f64;
        line("negative", format!("{} without an object ({share:.0} %)", stats.negatives));
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
    let (picture, exit) = match args.findings {
        true => show_findings(args, output)?,
        false => show_samples(args, output)?,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).context("encoding the picture")?;
    target.write(bytes.into_inner())?;
    output.made(&target)?;
    Ok(exit)
}

/// Draws random samples, as they are or augmented.
fn show_samples(args: &ShowArgs, output: &Output) -> Result<(RgbImage, Exit)> {
    let (dataset, exit) = open(&args.data, output)?;
    let samples = mosaic::random_samples(&dataset, args.n, args.seed);
    let picture = match &args.augmented {
        Some(recipe) => {
            let Resolved { config, .. } = Config::resolve(Some(recipe), &[])?;
            mosaic::augmented(&dataset, &samples, config.input(), &config.augment, args.seed, GRID)?
        }
        None => mosaic::mosaic(&dataset, &samples, GRID)?,
    };
    output.note(&format!("{} samples drawn", samples.len()));
    Ok((picture, exit))
}

/// Draws the first photos with findings.
fn show_findings(args: &ShowArgs, output: &Output) -> Result<(RgbImage, Exit)> {
    let OpenArgs { data: DataArgs { data, reading }, tolerance } = &args.data;
    let found = loc_data::findings(data, &read_options(reading, *tolerance)?)?;
    if found.is_empty() {
        bail!(
            "{}: no photo with findings (hint: `loc data check` lists findings about files)",
            data.display()
        );
    }
    let shown = &found[..args.n.min(found.len())];
    output.note(&format!("{} of {} photos with findings drawn", shown.len(), found.len()));
    Ok((mosaic::findings(shown, GRID)?, Exit::Ok))
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

pub(crate) fn convert(args: &ConvertArgs, output: &Output) -> Result<Exit> {
    let OpenArgs { data: DataArgs { data, reading }, tolerance } = &args.data;
    let (set, skipped) = LabelledSet::open(data, &read_options(reading, *tolerance)?)?;
    for line in summary(&with_flags(set.diagnostics.clone())) {
        output.warn(&line);
    }
    let by_skip_any = skipped.by_skip_any();
    shared::warn_skipped(skipped, output);
    let target = match args.to {
        TargetFormat::Voc => convert::Target::Voc,
        TargetFormat::Coco => convert::Target::Coco,
        TargetFormat::Yolo => convert::Target::Yolo,
        TargetFormat::Csv => convert::Target::Csv,
        TargetFormat::CreateMl => convert::Target::CreateMl,
    };
    let photos = match args.photos {
        PhotoChoice::Link => PhotoFiles::Link,
        PhotoChoice::Copy => PhotoFiles::Copy,
        PhotoChoice::None => PhotoFiles::None,
    };
    let written = set.write(&args.output, WriteOptions { target, photos, mend_endings: false })?;
    for line in renamed(&written) {
        output.note(&line);
    }
    output.note(&format!(
        "{} photos with {} objects, {}",
        written.photos,
        written.objects,
        set.classes.join(", ")
    ));
    output.data(&args.output.display().to_string())?;
    Ok(if by_skip_any { Exit::Partly } else { Exit::Ok })
}

/// Photos that got another name, a line each.
fn renamed(written: &Written) -> Vec<String> {
    let line = |(old, new): &(String, String)| format!("{old} is {new}: another name was needed");
    written.renamed.iter().map(line).collect()
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
