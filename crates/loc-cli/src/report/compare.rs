//! Several runs side by side: curves, paired differences, settings that differ.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use loc_train::{Difference, Judged, differences};

use super::gather::{Gathered, finite};
use super::page::{Comparison, DifferenceCell, DifferenceRow, Plot, SettingRow};
use super::words::shown;
use crate::plots::{self, Axes, Series};

pub(super) fn of(runs: &[Gathered]) -> Result<Comparison> {
    let (rows, notes) = all_differences(runs);
    Ok(Comparison {
        curves: curves(runs)?,
        first: runs.first().map_or_else(String::new, |run| shown(&run.name)),
        differences: rows,
        notes,
        settings: settings(runs),
    })
}

/// Each run's metrics by epoch.
fn curves(runs: &[Gathered]) -> Result<Vec<Plot>> {
    let plot = |y: &'static str, value: fn(&loc_train::Row) -> f64| -> Result<Plot> {
        let series: Vec<Series> = runs
            .iter()
            .take(plots::MOST_SERIES)
            .map(|run| Series {
                name: shown(&run.name),
                points: run.rows.iter().map(|row| (row.epoch as f64, value(row))).collect(),
            })
            .collect();
        let last = runs.iter().map(|run| {
            let end = run.rows.last().and_then(|row| finite(value(row)));
            format!("{} {}", shown(&run.name), super::words::figure(end))
        });
        let caption = format!("After the last epoch: {}.", last.collect::<Vec<_>>().join(", "));
        let axes = Axes { x: "epoch", y, y_range: Some(0.0..1.0), ..Axes::default() };
        let title = format!("{y} by epoch, of each run");
        Ok(Plot { svg: plots::for_page(&plots::lines(&axes, &series)?, &title, &caption), caption })
    };
    Ok(vec![plot("localization accuracy", |row| row.val_acc_iou50)?, plot("mean IoU", |row| row.val_iou)?])
}

/// Each run minus the first, on the photos that both validate on; and why a run is not compared.
fn all_differences(runs: &[Gathered]) -> (Vec<DifferenceRow>, Vec<String>) {
    let Some((first, others)) = runs.split_first() else { return Default::default() };
    let at: HashMap<&str, &Judged> =
        first.answers.iter().map(|answer| answer.file.as_str()).zip(&first.judged).collect();
    let digest = |run: &Gathered| run.recorded(&["dataset", "digest"]);
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for run in others {
        let name = shown(&run.name);
        if digest(run) != digest(first) {
            notes.push(format!("{name} was trained on other data: it is not compared photo by photo."));
            continue;
        }
        let pairs = run.answers.iter().zip(&run.judged);
        let pairs =
            pairs.filter_map(|(answer, own)| Some(((*at.get(answer.file.as_str())?).clone(), own.clone())));
        let (a, b): (Vec<Judged>, Vec<Judged>) = pairs.unzip();
        let Some(d) = differences(&a, &b) else {
            notes.push(format!("{name} has no validation photo in common with the first run."));
            continue;
        };
        let cell = |d: Difference| DifferenceCell {
            mean: format!("{:+.3}", d.mean),
            interval: format!("{:+.3} to {:+.3}", d.interval[0], d.interval[1]),
            is_beyond_chance: d.is_beyond_chance(),
        };
        let cells = [d.accuracy, d.mean_iou, d.iou50, d.iou75, d.localization_accuracy].map(cell);
        rows.push(DifferenceRow { name, photos: d.samples, cells: cells.into() });
    }
    (rows, notes)
}

/// The settings in which the runs differ.
fn settings(runs: &[Gathered]) -> Vec<SettingRow> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|run| run.config.keys()).collect();
    let value = |run: &Gathered, key: &str| run.configured(key).map_or_else(|| "–".into(), |v| shown(&v));
    keys.into_iter()
        .map(|key| SettingRow { key: shown(key), values: runs.iter().map(|run| value(run, key)).collect() })
        .filter(|row| row.values.iter().any(|value| *value != row.values[0]))
        .collect()
}
