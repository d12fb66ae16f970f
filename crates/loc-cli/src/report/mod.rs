//! `loc report`: one page about one run or several. Reads run folders, writes HTML; nothing is trained or evaluated here.

mod gather;
mod page;
mod photos;
mod plots;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use askama::Template;
use loc_infer::{BBox, ImageSize};
use loc_train::judged::{self, Judged};

use self::gather::{Answer, Gathered};
use self::page::{
    Cell, ClassRow, ConfusionRow, DifferenceRow, Metric, Page, Plot, RunSection, SettingRow,
};
use self::plots::{Axes, Medium, Series};

/// Photos that are shown: the worst answers and the best.
const WORST: usize = 24;
const BEST: usize = 6;
/// Most classes of a confusion matrix.
const CONFUSED: usize = 20;
/// Most runs on one page: with more the photos would make it larger than a mail may be.
const MOST_RUNS: usize = 8;

/// The page about these run folders.
///
/// # Errors
///
/// A folder that is no run's, or one of its files that cannot be read.
pub(crate) fn html(folders: &[PathBuf]) -> Result<String> {
    ensure!(folders.len() <= MOST_RUNS, "at most {MOST_RUNS} runs fit on a page");
    let runs: Vec<Gathered> = folders.iter().map(|folder| gather::run(folder)).collect::<Result<_>>()?;
    let shown = (WORST / runs.len().max(1), BEST / runs.len().max(1));
    let mut sections = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        sections.push(section(run, &format!("run-{}", i + 1), shown)?);
    }
    let title = match &runs[..] {
        [one] => format!("Report of {}", one.name),
        _ => format!("Report of {} runs", runs.len()),
    };
    let page = Page {
        title,
        verdict: verdict(&runs),
        version: env!("CARGO_PKG_VERSION"),
        metric_names: METRICS.to_vec(),
        differences: differences(&runs),
        settings: settings(&runs),
        runs: sections,
    };
    Ok(page.render()?)
}

const METRICS: [&str; 5] = ["accuracy", "mean IoU", "IoU ≥ 0.5", "IoU ≥ 0.75", "localization accuracy"];

/// A figure as the page shows it: three digits.
fn show(value: Option<f64>) -> String {
    value.map_or_else(|| "n/a".to_owned(), |v| format!("{v:.3}"))
}

/// The first sentence: whether the model is better than an answer that never looks at the photo.
fn verdict(runs: &[Gathered]) -> String {
    match runs {
        [one] => match &one.evaluation {
            Some(evaluation) => evaluation.verdict.clone(),
            None => "No epoch of this run has been evaluated yet.".to_owned(),
        },
        _ => "Runs side by side: results, differences with their uncertainty, then each run.".to_owned(),
    }
}

fn metrics(run: &Gathered) -> Vec<Metric> {
    let Some(e) = &run.evaluation else {
        let none = || Metric { value: "n/a".into(), interval: String::new(), constant: String::new() };
        return METRICS.iter().map(|_| none()).collect();
    };
    let (b, i) = (e.baseline.as_ref(), e.intervals.as_ref());
    let rows = [
        (e.accuracy, b.map(|b| b.majority_accuracy), i.map(|i| i.accuracy)),
        (e.mean_iou, b.map(|b| b.median_box.mean_iou), i.map(|i| i.mean_iou)),
        (e.iou50, b.map(|b| b.median_box.iou50), i.map(|i| i.iou50)),
        (e.iou75, b.map(|b| b.median_box.iou75), i.map(|i| i.iou75)),
        (e.localization_accuracy, None, i.map(|i| i.localization_accuracy)),
    ];
    rows.into_iter()
        .map(|(value, constant, interval)| Metric {
            value: show(value),
            interval: interval.map_or_else(String::new, |[low, high]| format!("{low:.3} to {high:.3}")),
            constant: constant.map_or_else(String::new, |v| show(Some(v))),
        })
        .collect()
}

/// A run's answers as the evaluation's functions take them.
fn judged_of(run: &Gathered) -> Vec<Judged> {
    run.answers
        .iter()
        .enumerate()
        .map(|(sample, answer)| {
            let size = ImageSize { width: answer.width, height: answer.height };
            let of = |b: BBox| b.to_norm(size);
            // The logits are known but for a constant, which the softmax does not see.
            let logits = run.record.classes.iter().map(|class| {
                let p = answer.probs.get(class).and_then(serde_json::Value::as_f64).unwrap_or_default();
                p.max(1e-30).ln() as f32
            });
            Judged {
                sample,
                label: answer.truth.class,
                logits: logits.collect(),
                truth: of(answer.truth.bbox),
                bbox: of(answer.bbox),
                iou: answer.iou,
            }
        })
        .collect()
}

fn section(run: &Gathered, anchor: &str, (worst, best): (usize, usize)) -> Result<RunSection> {
    let judged = judged_of(run);
    let (classes, confusion) = class_tables(run, &judged);
    let (worst, best, missing) = pictures(run, &judged, (worst, best));
    let r = &run.record;
    let command = format!("loc {}", r.arguments.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(" "));
    Ok(RunSection {
        anchor: anchor.to_owned(),
        name: run.name.clone(),
        photos: run.evaluation.as_ref().map_or(0, |e| e.samples),
        metrics: metrics(run),
        summary: format!(
            "{} training and {} validation photos, {} {}, {} epochs, status {}.",
            r.dataset.train,
            r.dataset.val,
            r.classes.len(),
            if r.classes.len() == 1 { "class" } else { "classes" },
            run.rows.len(),
            r.status
        ),
        curves: curves(run)?,
        classes,
        confusion,
        plots: answer_plots(&judged)?,
        worst,
        best,
        missing,
        data_plots: data_plots(run)?,
        command,
        config: run.config_text.clone(),
        environment: format!(
            "loc {}\n{} {}, {} cores, {} threads\nseed {}\ndata set {}\ndigest {}\n",
            r.versions.loc,
            r.machine.os,
            r.machine.arch,
            r.machine.cores,
            r.threads,
            r.seed,
            r.dataset.path.display(),
            r.dataset.digest
        ),
    })
}

/// A word of a command line, in quotes where a shell needs them.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Loss and metrics by epoch.
fn curves(run: &Gathered) -> Result<Vec<Plot>> {
    let series = |name, of: fn(&loc_train::Row) -> Option<f64>| Series {
        name,
        points: run.rows.iter().map(|row| (row.epoch as f64, of(row).unwrap_or(f64::NAN))).collect(),
    };
    let last = |of: fn(&loc_train::Row) -> Option<f64>| show(run.rows.last().and_then(of));
    let axes = |y, y_range| Axes { x: "epoch", y, x_range: None, y_range };
    let loss = [series("training", |r| Some(r.train_loss)), series("validation", |r| r.val_loss)];
    let metrics = [
        series("accuracy", |r| r.val_acc),
        series("mean IoU", |r| r.val_iou),
        series("localization accuracy", |r| r.val_acc_iou50),
    ];
    let rate = [series("learning rate", |r| Some(r.lr))];
    Ok(vec![
        plot(
            plots::lines(&axes("loss", None), &loss)?,
            "Loss by epoch",
            format!("Loss; at the end {} in training, {} on the validation photos.", last(|r| Some(r.train_loss)), last(|r| r.val_loss)),
        ),
        plot(
            plots::lines(&axes("", Some(0.0..1.0)), &metrics)?,
            "Metrics by epoch",
            format!(
                "On the validation photos; at the end accuracy {}, mean IoU {}, localization accuracy {}.",
                last(|r| r.val_acc),
                last(|r| r.val_iou),
                last(|r| r.val_acc_iou50)
            ),
        ),
        plot(plots::lines(&axes("learning rate", None), &rate)?, "Learning rate by epoch", "Learning rate.".into()),
    ])
}

fn plot(svg: String, title: &str, caption: String) -> Plot {
    Plot { svg: plots::finish(&svg, Medium::Page, title, &caption), caption }
}

/// Accuracy and IoU of each class, and the confusion of the most frequent.
fn class_tables(run: &Gathered, judged: &[Judged]) -> (Vec<ClassRow>, Vec<ConfusionRow>) {
    let names = &run.record.classes;
    let row = |(class, name): (usize, &String)| {
        let own: Vec<&Judged> = judged.iter().filter(|one| one.label == class).collect();
        let mean = |sum: f64| (!own.is_empty()).then(|| sum / own.len() as f64);
        ClassRow {
            name: name.clone(),
            photos: own.len(),
            accuracy: show(mean(own.iter().filter(|one| one.is_right()).count() as f64)),
            iou: show(mean(own.iter().map(|one| one.iou).sum())),
        }
    };
    let classes: Vec<ClassRow> = names.iter().enumerate().map(row).collect();
    let mut frequent: Vec<usize> = (0..names.len()).collect();
    frequent.sort_by_key(|class| std::cmp::Reverse(classes[*class].photos));
    frequent.truncate(CONFUSED);
    frequent.sort_unstable();
    let counts = judged::confusion(judged, names.len());
    let confusion = frequent
        .iter()
        .map(|row| {
            let total = counts[*row].iter().sum::<usize>().max(1);
            let cells = frequent.iter().map(|column| {
                let count = counts[*row][*column];
                let heat = if count == 0 { 0 } else { 1 + 3 * (count - 1).min(total - 1) / total };
                Cell { count, heat }
            });
            ConfusionRow { name: names[*row].clone(), cells: cells.collect() }
        })
        .collect();
    (classes, confusion)
}

/// IoU and confidence.
fn answer_plots(judged: &[Judged]) -> Result<Vec<Plot>> {
    const BINS: usize = 20;
    if judged.is_empty() {
        return Ok(Vec::new());
    }
    let unit = |x, y| Axes { x, y, x_range: Some(0.0..1.0), y_range: Some(0.0..1.0) };
    let histogram: Vec<f64> = judged::iou_histogram(judged, BINS).into_iter().map(|n| n as f64).collect();
    let success = judged::success_curve(judged, 100);
    let success: Vec<(f64, f64)> = success.iter().enumerate().map(|(i, y)| (i as f64 / 100.0, *y)).collect();
    let half = success[50].1;
    let mut all = vec![
        plot(
            plots::bars(&Axes { x: "IoU", y: "photos", x_range: Some(0.0..1.0), y_range: None }, &histogram)?,
            "Photos by IoU",
            "How many photos have which IoU of predicted and annotated box.".into(),
        ),
        plot(
            plots::lines(&unit("IoU", "photos with at least it"), &[Series { name: "photos", points: success }])?,
            "Success curve",
            format!("Share of photos with at least this IoU: {half:.3} of them have 0.5 or more."),
        ),
    ];
    if let Some(c) = judged::calibration(judged, 1.0) {
        let points = c.bins.iter().filter(|b| b.samples > 0).map(|b| (b.confidence, b.accuracy)).collect();
        let ideal = vec![(0.0, 0.0), (1.0, 1.0)];
        let series = [Series { name: "model", points }, Series { name: "ideal", points: ideal }];
        all.push(plot(
            plots::lines(&unit("confidence", "accuracy"), &series)?,
            "Reliability diagram",
            format!("Accuracy by confidence; expected calibration error {:.3}.", c.ece),
        ));
    }
    Ok(all)
}

/// The photos with the worst and with the best answers: first those with a wrong class, then by IoU.
fn pictures(run: &Gathered, judged: &[Judged], (worst, best): (usize, usize)) -> (Vec<Plot>, Vec<Plot>, String) {
    let mut order: Vec<usize> = (0..judged.len()).collect();
    let key = |i: usize| (judged[i].is_right(), judged[i].iou);
    order.sort_by(|a, b| {
        let ((a_right, a_iou), (b_right, b_iou)) = (key(*a), key(*b));
        a_right.cmp(&b_right).then(a_iou.total_cmp(&b_iou)).then(a.cmp(b))
    });
    let mut lost = 0;
    let mut draw = |chosen: &mut dyn Iterator<Item = &usize>| -> Vec<Plot> {
        let mut plots = Vec::new();
        for i in chosen {
            let answer = &run.answers[*i];
            let caption = caption(run, answer);
            match photos::figure(&answer.path, answer.truth.bbox, answer.bbox, &caption) {
                Ok(svg) => plots.push(Plot { svg, caption }),
                Err(_) => lost += 1,
            }
        }
        plots
    };
    let first = draw(&mut order.iter().take(worst));
    let last = draw(&mut order.iter().rev().take(best));
    let missing = match (judged.is_empty(), lost) {
        (true, _) => "The run has no predictions.jsonl: no photos are shown.".to_owned(),
        (false, 0) => String::new(),
        (false, n) => format!("{n} photos could not be read any more and are not shown."),
    };
    (first, last, missing)
}

fn caption(run: &Gathered, answer: &Answer) -> String {
    let name = |class: usize| run.record.classes.get(class).map_or("?", String::as_str);
    let class = if answer.class == answer.truth.class {
        format!("{} {:.2}", name(answer.class), answer.confidence)
    } else {
        format!("{} {:.2}, annotated {}", name(answer.class), answer.confidence, name(answer.truth.class))
    };
    format!("{}: {class}, IoU {:.2}", answer.file, answer.iou)
}

/// Where the annotated objects are, and how large.
fn data_plots(run: &Gathered) -> Result<Vec<Plot>> {
    const CELLS: usize = 16;
    const BINS: usize = 20;
    if run.answers.is_empty() {
        return Ok(Vec::new());
    }
    let (mut map, mut sizes) = (vec![0.0; CELLS * CELLS], vec![0.0; BINS]);
    for answer in &run.answers {
        let size = ImageSize { width: answer.width, height: answer.height };
        let b = answer.truth.bbox.to_norm(size);
        let side = f64::from(b.area()).sqrt();
        sizes[((side * BINS as f64) as usize).min(BINS - 1)] += 1.0;
        for (i, cell) in map.iter_mut().enumerate() {
            let (x, y) = ((i % CELLS) as f32 + 0.5, (i / CELLS) as f32 + 0.5);
            let (x, y) = (x / CELLS as f32, y / CELLS as f32);
            *cell += f64::from(u8::from(b.x1 <= x && x < b.x2 && b.y1 <= y && y < b.y2));
        }
    }
    let axes = Axes { x: "side of the box, relative to the photo", y: "photos", x_range: Some(0.0..1.0), y_range: None };
    Ok(vec![
        plot(plots::heat(&map, CELLS)?, "Where objects are", "How often annotated boxes cover each place of a validation photo.".into()),
        plot(plots::bars(&axes, &sizes)?, "Sizes of boxes", "Square root of the box’s share of the photo’s area.".into()),
    ])
}

/// Each run minus the first, on the photos that both validate on.
fn differences(runs: &[Gathered]) -> Vec<DifferenceRow> {
    let Some((first, rest)) = runs.split_first() else { return Vec::new() };
    let base = judged_of(first);
    let at: std::collections::HashMap<&str, usize> =
        first.answers.iter().enumerate().map(|(i, answer)| (answer.file.as_str(), i)).collect();
    rest.iter()
        .filter_map(|run| {
            let own = judged_of(run);
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for (answer, mut one) in run.answers.iter().zip(own) {
                if let Some(i) = at.get(answer.file.as_str()) {
                    one.sample = *i;
                    a.push(base[*i].clone());
                    b.push(one);
                }
            }
            let cells = judged::differences(&a, &b)?.map(|d| {
                format!("{:+.3} ({:+.3} to {:+.3})", d.mean, d.interval[0], d.interval[1])
            });
            Some(DifferenceRow { name: run.name.clone(), photos: a.len(), cells: cells.to_vec() })
        })
        .collect()
}

/// The settings in which the runs differ.
fn settings(runs: &[Gathered]) -> Vec<SettingRow> {
    let mut keys: Vec<&String> = runs.iter().flat_map(|run| run.config.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let value = |run: &Gathered, key: &str| run.config.get(key).map_or_else(|| "—".to_owned(), ToString::to_string);
    keys.into_iter()
        .map(|key| SettingRow { key: key.clone(), values: runs.iter().map(|run| value(run, key)).collect() })
        .filter(|row| row.values.iter().any(|v| *v != row.values[0]))
        .collect()
}

/// The default place of a page: in the run's folder, or beside the caller for several runs.
pub(crate) fn default_path(folders: &[PathBuf]) -> PathBuf {
    match folders {
        [one] => one.join("report.html"),
        _ => Path::new("report.html").to_owned(),
    }
}
