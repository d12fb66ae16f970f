//! What `loc val` prints for a person: short tables.

use loc_train::{Difference, Differences, calibration, iou_histogram, success_curve};

use super::record::{CURVE, Found};
use crate::commands::conclusion::verdict;
use crate::output::escape_name;

/// With more classes the most frequent mistakes are listed instead of the whole matrix.
const MATRIX: usize = 12;
/// Mistakes in that list.
const MISTAKES: usize = 10;
/// Length of the longest bar of a histogram.
const BAR: usize = 30;

/// Everything about one model.
pub(super) fn describe(found: &Found, split: &str) -> String {
    let sections = [
        metrics(found, split),
        classes(found),
        confusion(found),
        overlap(found),
        confidence(found),
        boxes(found),
        presence(found),
        speed(found),
        verdict(&found.evaluation),
    ];
    let sections: Vec<String> = sections.into_iter().filter(|section| !section.is_empty()).collect();
    sections.join("\n\n")
}

/// Rows as aligned columns, the first to the left, the others to the right.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let length = |text: &String| text.chars().count();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(length).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("  {cell:>width$}"),
        });
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn texts<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn show(value: Option<f64>) -> String {
    value.map_or_else(|| "n/a".to_owned(), |v| format!("{v:.3}"))
}

fn metrics(found: &Found, split: &str) -> String {
    let e = &found.evaluation;
    let (b, i) = (e.baseline, e.intervals);
    let figures = [
        ("accuracy", e.accuracy, b.map(|b| b.majority_accuracy), i.map(|i| i.accuracy)),
        ("mean IoU", e.mean_iou, b.map(|b| b.median_box.mean_iou), i.map(|i| i.mean_iou)),
        ("IoU ≥ 0.5", e.iou50, b.map(|b| b.median_box.iou50), i.map(|i| i.iou50)),
        ("IoU ≥ 0.75", e.iou75, b.map(|b| b.median_box.iou75), i.map(|i| i.iou75)),
    ];
    let range = |interval: Option<[f64; 2]>| {
        interval.map_or_else(String::new, |[low, high]| format!("{low:.3} to {high:.3}"))
    };
    let photos = format!("{split}, {} photos", e.samples);
    let mut rows = vec![texts([&photos, "model", "constant answer", "95 % of the model"])];
    for (name, model, constant, interval) in figures {
        rows.push(vec![name.into(), show(model), show(constant), range(interval)]);
    }
    let localized = range(i.map(|i| i.localization_accuracy));
    rows.push(vec!["localization accuracy".into(), show(e.localization_accuracy), String::new(), localized]);
    rows.push(vec!["loss".into(), show(e.loss.map(|l| l.total))]);
    table(&rows)
}

fn classes(found: &Found) -> String {
    let mut rows = vec![texts(["class", "photos", "accuracy", "mean IoU"])];
    for name in &found.meta.classes {
        if let Some(class) = found.evaluation.per_class.get(name) {
            let photos = class.samples.to_string();
            rows.push(vec![escape_name(name), photos, show(class.accuracy), show(class.mean_iou)]);
        }
    }
    table(&rows)
}

fn confusion(found: &Found) -> String {
    let (counts, n) = (found.confusion(), found.meta.classes.len());
    if n < 2 || found.judged.is_empty() {
        return String::new();
    }
    let name =
        |class: usize| found.meta.classes.get(class).map_or_else(|| "?".into(), |name| escape_name(name));
    if n > MATRIX {
        let mistakes = counts.mistakes();
        let lines = mistakes.iter().take(MISTAKES).map(|(label, class, count)| {
            format!("{} taken for {}: {count} photos", name(*label), name(*class))
        });
        let head = format!("the most frequent of {} kinds of mistakes", mistakes.len());
        return std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n");
    }
    let mut rows = vec![vec!["annotated, predicted as".to_owned()]];
    rows[0].extend((0..n).map(name));
    for label in 0..n {
        let cells = (0..n).map(|class| counts.count(label, class).to_string());
        rows.push(std::iter::once(name(label)).chain(cells).collect());
    }
    table(&rows)
}

fn overlap(found: &Found) -> String {
    let counts = iou_histogram(&found.judged, 10);
    let curve = success_curve(&found.judged, CURVE);
    let largest = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut rows = vec![texts(["IoU", "photos", "at least"])];
    for (i, count) in counts.iter().enumerate() {
        let bounds = format!("{:.1} to {:.1}", i as f64 / 10.0, (i + 1) as f64 / 10.0);
        let at_least = curve.get(i * CURVE / 10).copied();
        rows.push(vec![bounds, count.to_string(), show(at_least)]);
    }
    let lines = table(&rows);
    let bars = std::iter::once(0).chain(counts.iter().map(|count| (count * BAR).div_ceil(largest)));
    let barred = lines.lines().zip(bars).map(|(line, bar)| format!("{line}  {}", "#".repeat(bar)));
    barred.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn confidence(found: &Found) -> String {
    let Some(c) = calibration(&found.judged) else { return String::new() };
    if found.meta.classes.len() < 2 {
        return String::new();
    }
    let mut rows = vec![texts(["confidence", "photos", "mean", "accuracy"])];
    for (i, bin) in c.bins.iter().enumerate().filter(|(_, bin)| bin.samples > 0) {
        let bounds = format!("{:.1} to {:.1}", i as f64 / 10.0, (i + 1) as f64 / 10.0);
        rows.push(vec![bounds, bin.samples.to_string(), show(bin.confidence), show(bin.accuracy)]);
    }
    let before =
        found.ece_uncalibrated().map_or_else(String::new, |ece| format!("{ece:.3} at temperature 1, "));
    format!(
        "{}\nmean confidence {:.3}, accuracy {}; expected calibration error {:.3} ({before}{:.3} by chance); temperature {}",
        table(&rows),
        c.confidence,
        show(found.evaluation.accuracy),
        c.ece,
        c.ece_by_chance,
        found.meta.temperature
    )
}

/// How far the answers can be trusted, of a calibrated model.
fn boxes(found: &Found) -> String {
    let expected = found.expected_iou().map(|f| {
        format!(
            "expected IoU {:.3} on average; expected calibration error {:.3} ({:.3} of the confidence, taken for it); off by \
             {:.3} a photo, the mean IoU by {:.3}",
            f.mean, f.ece, f.ece_of_confidence, f.error, f.error_of_constant
        )
    });
    let margins = found.margins().map(|f| {
        format!(
            "margins for a coverage of {}: {:.3} of the boxes lie between them; outer and inner edge are {:.3} of the box's \
             side apart; {:.3} have no inner box",
            f.coverage, f.covered, f.width, f.without_inner
        )
    });
    let novelty = found.novelty.map(|f| {
        let others = f.negatives_rejected.map_or_else(String::new, |rejected| {
            format!(", and rejects {rejected:.3} of those without; AUROC {}", show(f.auroc))
        });
        format!(
            "--reject accepts {:.3} of the photos with an object (asked: {}){others}",
            f.accepted, f.asked
        )
    });
    expected.into_iter().chain(margins).chain(novelty).collect::<Vec<_>>().join("\n")
}

/// Whether the model tells photos with an object from photos without.
fn presence(found: &Found) -> String {
    let Some(p) = &found.evaluation.presence else { return String::new() };
    let photos = format!("presence, {} photos, {} without an object", p.samples, p.negatives);
    let threshold = format!("from probability {:.3} on", p.threshold);
    let half = p.auroc.map(|_| 0.5);
    table(&[
        texts([&photos, "model", "constant answer"]),
        vec!["AUROC".into(), show(p.auroc), show(half)],
        vec![format!("right, {threshold}"), show(p.accuracy), show(p.majority_accuracy)],
        vec!["precision".into(), show(p.precision)],
        vec!["recall".into(), show(p.recall)],
    ])
}

fn speed(found: &Found) -> String {
    let s = found.speed;
    let threads = if s.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", s.threads) };
    format!(
        "a photo takes {:.1} ms to read and resize and {:.1} ms in the network (batches of {}, {threads})",
        s.prepare_ms, s.predict_ms, s.batch
    )
}

/// The differences of a model from the first.
pub(super) fn compare(first: &Found, other: &Found, d: &Differences) -> String {
    let row = |name: &str, d: Difference| {
        let [low, high] = d.interval;
        let word = match (d.is_beyond_chance(), d.mean > 0.0) {
            (false, _) => "may be chance",
            (true, true) => "better",
            (true, false) => "worse",
        };
        vec![name.into(), format!("{:+.3}", d.mean), format!("{low:+.3} to {high:+.3}"), word.into()]
    };
    let rows = [
        texts(["difference", "mean", "95 % interval", ""]),
        row("accuracy", d.accuracy),
        row("mean IoU", d.mean_iou),
        row("IoU ≥ 0.5", d.iou50),
        row("IoU ≥ 0.75", d.iou75),
        row("localization accuracy", d.localization_accuracy),
    ];
    let (other, first) = (escape_name(&other.model), escape_name(&first.model));
    format!("{other} minus {first}, on the same {} photos\n{}", d.samples, table(&rows))
}
