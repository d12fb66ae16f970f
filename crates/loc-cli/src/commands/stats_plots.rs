//! The plots of `loc data stats --save`.

use std::path::Path;

use anyhow::Result;
use loc_data::histograms::{CELLS, Histograms};
use loc_data::stats::Stats;
use loc_data::{Dataset, Sample};

use crate::output::Output;
use crate::outputs::{Inputs, Kind, Target};
use crate::plots::{self, Axes, Series};

/// The files, in the order of [`write()`].
const NAMES: [&str; 5] =
    ["classes.svg", "photo-sizes.svg", "box-sizes.svg", "box-shapes.svg", "box-positions.svg"];
/// Parts of the range of photo sizes.
const SIZES: usize = 20;

/// Where the plots go; nothing is written yet.
pub(super) fn targets(folder: &Path, inputs: &Inputs, force: bool) -> Result<Vec<Target>> {
    Target::folder(folder, NAMES.map(|name| (name.into(), Kind::StatsPlot)).into(), inputs, force)
}

/// Writes the plots.
pub(super) fn write(dataset: &Dataset, stats: &Stats, targets: &[Target], output: &Output) -> Result<()> {
    let histograms = Histograms::of(&dataset.samples);
    let counts = |counts: &[usize]| counts.iter().map(|n| *n as f64).collect::<Vec<_>>();
    let axes = |x, x_range| Axes { x, y: "photos", x_range, y_range: None };
    let classes: Vec<usize> = stats.classes.iter().map(|class| class.samples).collect();
    let drawn = [
        (
            "Photos of each class",
            plots::bars(&axes("class, in the order of the list", None), &counts(&classes))?,
        ),
        ("Sizes of the photos", plots::lines(&axes("pixels", None), &photo_sizes(dataset))?),
        (
            "Sizes of the boxes",
            plots::bars(
                &axes("side of the box / side of the photo", Some(0.0..1.0)),
                &counts(&histograms.side),
            )?,
        ),
        (
            "Shapes of the boxes",
            plots::bars(
                &axes("width / height, as a power of two", Some(-2.0..2.0)),
                &counts(&histograms.aspect),
            )?,
        ),
        ("How many boxes cover each place", plots::map(&counts(&histograms.position), CELLS)?),
    ];
    for ((title, svg), target) in drawn.into_iter().zip(targets) {
        target.write(plots::for_file(&svg, title).into_bytes())?;
        if let Some(path) = target.made() {
            output.note(&format!("plot: {path}"));
        }
    }
    Ok(())
}

/// Numbers of photos by width and by height, in equal parts of their common range.
fn photo_sizes(dataset: &Dataset) -> Vec<Series> {
    let sides = |of: fn(&Sample) -> u32| dataset.samples.iter().map(of).map(f64::from);
    let width = |sample: &Sample| sample.size.width;
    let height = |sample: &Sample| sample.size.height;
    let all = || sides(width).chain(sides(height));
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let part = ((high - low) / SIZES as f64).max(1.0);
    let series = |name: &str, of: fn(&Sample) -> u32| {
        let mut counts = [0.0; SIZES];
        for side in sides(of) {
            counts[(((side - low) / part) as usize).min(SIZES - 1)] += 1.0;
        }
        let points = counts.iter().enumerate().map(|(i, n)| (low + part * (i as f64 + 0.5), *n));
        Series { name: name.into(), points: points.collect() }
    };
    vec![series("width", width), series("height", height)]
}
