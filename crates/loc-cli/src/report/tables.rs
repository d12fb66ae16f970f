//! The tables of a run: metrics, classes, confusion, epochs, audit.

use loc_train::{Evaluation, confusion as count_confusion};
use serde_json::Value;

use super::gather::Gathered;
use super::page::{AuditRow, AuditTable, Cell, ClassRow, ConfusionRow, EpochRow, Metric};
use super::words::{counted, figure, shown};

/// Names of the metrics, in the order of [`metrics`].
pub(super) const METRICS: [&str; 5] =
    ["accuracy", "mean IoU", "IoU ≥ 0.5", "IoU ≥ 0.75", "localization accuracy"];
/// Most classes in the table; of more the most frequent are shown.
const CLASSES: usize = 100;
/// Most classes in the matrix; of more the most frequent mistakes are listed.
const MATRIX: usize = 16;
const MISTAKES: usize = 12;
/// Most epochs in the table.
const EPOCHS: usize = 100;
/// Most photos of an audit.
const AUDITED: usize = 30;

/// The metrics with their intervals and those of the constant answer.
pub(super) fn metrics(e: Option<&Evaluation>) -> Vec<Metric> {
    let (b, i) = (e.and_then(|e| e.baseline), e.and_then(|e| e.intervals));
    let figures = [
        (e.and_then(|e| e.accuracy), b.map(|b| b.majority_accuracy), i.map(|i| i.accuracy)),
        (e.and_then(|e| e.mean_iou), b.map(|b| b.median_box.mean_iou), i.map(|i| i.mean_iou)),
        (e.and_then(|e| e.iou50), b.map(|b| b.median_box.iou50), i.map(|i| i.iou50)),
        (e.and_then(|e| e.iou75), b.map(|b| b.median_box.iou75), i.map(|i| i.iou75)),
        (e.and_then(|e| e.localization_accuracy), None, i.map(|i| i.localization_accuracy)),
    ];
    let metric = |(value, constant, interval): (_, Option<f64>, Option<[f64; 2]>)| Metric {
        value: figure(value),
        interval: interval.map_or_else(String::new, |[low, high]| format!("{low:.3} to {high:.3}")),
        constant: constant.map_or_else(|| "–".into(), |value| figure(Some(value))),
    };
    figures.into_iter().map(metric).collect()
}

/// The classes with their photos and metrics; and how many are not in the table.
pub(super) fn classes(run: &Gathered, e: Option<&Evaluation>) -> (Vec<ClassRow>, String) {
    let photos = |class: usize| run.data.as_ref().and_then(|data| data.classes.get(class));
    let mut chosen: Vec<usize> = (0..run.classes.len()).collect();
    if chosen.len() > CLASSES {
        chosen.sort_by_key(|class| std::cmp::Reverse(photos(*class).map_or(0, |c| c.train + c.val)));
        chosen.truncate(CLASSES);
        chosen.sort_unstable();
    }
    let row = |class: &usize| {
        let name = &run.classes[*class];
        let own = e.and_then(|e| e.per_class.get(name));
        let train = photos(*class).map_or_else(|| "n/a".into(), |c| c.train.to_string());
        let val = match (own.filter(|_| !run.judged.is_empty()), photos(*class)) {
            (Some(own), _) => own.samples.to_string(),
            (None, Some(c)) => c.val.to_string(),
            _ => "n/a".into(),
        };
        let (accuracy, iou) = (own.and_then(|c| c.accuracy), own.and_then(|c| c.mean_iou));
        ClassRow { name: shown(name), cells: [train, val, figure(accuracy), figure(iou)] }
    };
    let more = match run.classes.len().saturating_sub(CLASSES) {
        0 => String::new(),
        more => format!("{} with fewer photos are not in the table.", counted(more, "class", "classes")),
    };
    (chosen.iter().map(row).collect(), more)
}

/// The matrix of few classes, or the most frequent mistakes of many.
pub(super) fn confusion(run: &Gathered) -> (Vec<ConfusionRow>, Vec<String>) {
    let n = run.classes.len();
    if n < 2 || run.judged.is_empty() {
        return Default::default();
    }
    let counts = count_confusion(&run.judged, n);
    let name = |class: usize| run.classes.get(class).map_or_else(|| "?".into(), |name| shown(name));
    if n > MATRIX {
        let mistake = |(label, class, count): &(usize, usize, usize)| {
            format!("{} taken for {}: {}", name(*label), name(*class), counted(*count, "photo", "photos"))
        };
        return (Vec::new(), counts.mistakes().iter().take(MISTAKES).map(mistake).collect());
    }
    let row = |label: usize| {
        let all: usize = counts.row(label).map(|(_, count)| count).sum();
        let cell = |class: usize| {
            let count = counts.count(label, class);
            // Any photo at all is visible.
            Cell { count, shade: (4 * count).div_ceil(all.max(1)) }
        };
        ConfusionRow { name: name(label), cells: (0..n).map(cell).collect() }
    };
    ((0..n).map(row).collect(), Vec::new())
}

/// The epochs; of many, evenly chosen ones with the first, the best and the last.
pub(super) fn epochs(run: &Gathered) -> Vec<EpochRow> {
    let rows = &run.rows;
    let best = run.best_row().map(|row| row.epoch);
    let step = rows.len().div_ceil(EPOCHS).max(1);
    let last = rows.len().saturating_sub(1);
    let chosen = rows.iter().enumerate();
    chosen
        .filter(|(i, row)| i % step == 0 || *i == last || Some(row.epoch) == best)
        .map(|(_, row)| EpochRow {
            epoch: row.epoch,
            cells: [
                format!("{:.1}", row.time),
                figure(Some(row.train_loss)),
                figure(Some(row.val_loss)),
                figure(Some(row.val_acc)),
                figure(Some(row.val_iou)),
                figure(Some(row.val_acc_iou50)),
            ],
            is_best: Some(row.epoch) == best,
        })
        .collect()
}

/// The first photos of an audit.
pub(super) fn audit(photos: &[Value]) -> AuditTable {
    let row = |(i, photo): (usize, &Value)| AuditRow {
        rank: photo["rank"].as_u64().and_then(|rank| usize::try_from(rank).ok()).unwrap_or(i + 1),
        path: shown(photo["path"].as_str().unwrap_or("?")),
        texts: [
            shown(photo["reason"].as_str().unwrap_or("?")),
            annotation(&photo["given"]),
            annotation(&photo["predicted"]),
        ],
        score: figure(photo["score"].as_f64()),
    };
    let rows: Vec<AuditRow> = photos.iter().enumerate().take(AUDITED).map(row).collect();
    let all = counted(photos.len(), "photo is", "photos are");
    let summary = match photos.len() {
        n if n > rows.len() => format!("{all} doubtful; the first {} are listed.", rows.len()),
        _ => format!("{all} doubtful."),
    };
    AuditTable { summary, rows }
}

/// A class and a box, as far as they are given.
fn annotation(value: &Value) -> String {
    let class = ["name", "class"].iter().find_map(|key| match &value[*key] {
        Value::String(name) => Some(shown(name)),
        Value::Number(index) => Some(index.to_string()),
        _ => None,
    });
    let edge = |key: &str| value["box"][key].as_f64().map(|edge| format!("{edge:.0}"));
    let corners = (|| Some(format!("{},{} to {},{}", edge("x1")?, edge("y1")?, edge("x2")?, edge("y2")?)))();
    let parts: Vec<String> = class.into_iter().chain(corners).collect();
    if parts.is_empty() { "n/a".into() } else { parts.join(", ") }
}
