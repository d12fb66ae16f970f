//! The section of a run: its tables, plots and photos in the order of the page.

use anyhow::Result;
use loc_data::histograms::CELLS;
use loc_train::{DataSummary, Judged, Row, calibration, iou_histogram, success_curve, worst_first};

use super::gather::Gathered;
use super::page::{Fact, Picture, Plot, RunSection};
use super::photos::{self, Small};
use super::presence;
use super::tables;
use super::words::{counted, duration, figure, shown, shown_lines};
use crate::output::quoted;
use crate::plots::{self, Axes, Series};

/// The photos of a run that are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) worst: usize,
    pub(super) best: usize,
    pub(super) small: Small,
}

pub(super) fn of(run: &Gathered, anchor: &str, photos: Option<Shown>) -> Result<RunSection> {
    let evaluation = run.evaluation();
    let mut notes: Vec<String> = run.notes.iter().map(|note| shown_lines(note)).collect();
    notes.extend(stale(run));
    let (worst, best) = pictures(run, photos, &mut notes);
    let (classes, more_classes) = tables::classes(run, evaluation.as_ref());
    let (confusion, mistakes) = tables::confusion(run);
    let e = evaluation.as_ref();
    let config = shown_lines(&run.config_text);
    Ok(RunSection {
        anchor: anchor.to_owned(),
        name: shown(&run.name),
        summary: summary(run),
        notes,
        photos: e.filter(|e| e.samples > 0).map_or_else(|| "n/a".into(), |e| e.samples.to_string()),
        metrics: tables::metrics(e),
        has_constant: e.is_some_and(|e| e.baseline.is_some()),
        worst,
        best,
        classes,
        more_classes,
        confusion,
        mistakes,
        plots: answer_plots(run)?,
        presence: presence::facts(run),
        presence_plots: presence::plots(run)?,
        curves: curves(&run.rows)?,
        epochs: tables::epochs(run),
        data: data_facts(run),
        data_plots: run.data.as_ref().map_or_else(|| Ok(Vec::new()), data_plots)?,
        audit: run.audit.as_ref().map(|photos| tables::audit(photos)),
        command: format!("loc train --config {}", shown(&quoted(&run.run.config().to_string_lossy()))),
        typed: typed(run),
        config,
        environment: environment(run),
    })
}

/// One sentence about the run.
fn summary(run: &Gathered) -> String {
    let status = match run.recorded(&["status"]).as_deref() {
        Some("finished") => "finished",
        Some("early-stopped") => "stopped early, since it no longer improved",
        Some("interrupted") => "interrupted; it can be resumed",
        Some("failed") => "failed; what was saved before is kept",
        Some("running") => "in training, or killed during it",
        _ => "of unknown status",
    };
    let recipe =
        run.configured("recipe").map_or_else(String::new, |recipe| format!("Recipe {}, ", shown(&recipe)));
    let best = run.best_row().map_or_else(String::new, |row| format!(", the best was epoch {}", row.epoch));
    let time = run.rows.last().map_or_else(String::new, |row| format!(" in {}", duration(row.time)));
    let epochs = counted(run.rows.len(), "epoch", "epochs");
    format!("{recipe}{epochs}{time}{best}. The run is {status}.")
}

/// A note if the answers are not those of the best epoch in `results.csv`.
fn stale(run: &Gathered) -> Option<String> {
    let (answers, best) = (run.answers.first()?.epoch, run.best_row()?.epoch);
    (answers != best).then(|| {
        format!("The photos and tables are those of epoch {answers}, while the best epoch in results.csv is {best}.")
    })
}

/// The photos with the worst and with the best answers.
fn pictures(run: &Gathered, photos: Option<Shown>, notes: &mut Vec<String>) -> (Vec<Picture>, Vec<Picture>) {
    if run.judged.is_empty() {
        let why = "This run has no predictions.jsonl, which training writes at each new best epoch";
        notes.push(format!("{why}: there are no photos and tables of answers."));
        return (Vec::new(), Vec::new());
    }
    let Some(Shown { worst, best, small }) = photos else {
        notes.push("The photos are left out: with them the page would be too large.".into());
        return (Vec::new(), Vec::new());
    };
    let order = worst_first(&run.judged);
    let worst = &order[..worst.min(order.len())];
    // A photo is not both among the worst and among the best.
    let best: Vec<usize> = order[worst.len()..].iter().rev().take(best).copied().collect();
    let (worst, lost) = photos::pictures(run, worst, small);
    let (best, also_lost) = photos::pictures(run, &best, small);
    if lost + also_lost > 0 {
        let n = counted(lost + also_lost, "photo is", "photos are");
        notes.push(format!("{n} no longer where the training read them, or changed since, and not shown."));
    }
    (worst, best)
}

/// Loss, metrics and learning rate by epoch.
fn curves(rows: &[Row]) -> Result<Vec<Plot>> {
    let Some(last) = rows.last() else { return Ok(Vec::new()) };
    let series = |name: &str, of: fn(&Row) -> f64| Series {
        name: name.into(),
        points: rows.iter().map(|row| (row.epoch as f64, of(row))).collect(),
    };
    let end = |of: fn(&Row) -> f64| figure(Some(of(last)));
    let loss = [series("training", |r| r.train_loss), series("validation", |r| r.val_loss)];
    let metrics = [
        series("accuracy", |r| r.val_acc),
        series("mean IoU", |r| r.val_iou),
        series("localization accuracy", |r| r.val_acc_iou50),
    ];
    let axes = |y: &'static str| Axes { x: "epoch", y, ..Axes::default() };
    let unit = Axes { y_range: Some(0.0..1.0), ..axes("validation photos") };
    let losses = format!(
        "Loss; at the end {} in training and {} on the validation photos.",
        end(|r| r.train_loss),
        end(|r| r.val_loss)
    );
    let reached = format!(
        "Metrics on the validation photos; at the end accuracy {}, mean IoU {}, localization accuracy {}.",
        end(|r| r.val_acc),
        end(|r| r.val_iou),
        end(|r| r.val_acc_iou50)
    );
    Ok(vec![
        plot(plots::lines(&axes("loss"), &loss)?, "Loss by epoch", losses),
        plot(plots::lines(&unit, &metrics)?, "Metrics by epoch", reached),
        plot(
            plots::lines(&axes("learning rate"), &[series("learning rate", |r| r.lr)])?,
            "Learning rate by epoch",
            "Learning rate.".into(),
        ),
    ])
}

pub(super) fn plot(svg: String, title: &str, caption: String) -> Plot {
    Plot { svg: plots::for_page(&svg, title, &caption), caption }
}

/// Overlap and confidence.
fn answer_plots(run: &Gathered) -> Result<Vec<Plot>> {
    const BINS: usize = 20;
    const STEPS: usize = 100;
    let judged: &[Judged] = &run.judged;
    if judged.is_empty() {
        return Ok(Vec::new());
    }
    let unit = |x, y| Axes { x, y, x_range: Some(0.0..1.0), y_range: Some(0.0..1.0) };
    let counts: Vec<f64> = iou_histogram(judged, BINS).into_iter().map(|n| n as f64).collect();
    let curve = success_curve(judged, STEPS);
    let at = |percent: usize| figure(curve.get(percent).copied());
    let overlaps =
        format!("Photos with at least this IoU: {} of them 0.5, {} 0.75, {} 0.9.", at(50), at(75), at(90));
    let points = curve.iter().enumerate().map(|(i, y)| (i as f64 / STEPS as f64, *y)).collect();
    let photos = Axes { x: "IoU", y: "photos", x_range: Some(0.0..1.0), y_range: None };
    let mut all = vec![
        plot(
            plots::bars(&photos, &counts)?,
            "Photos by IoU",
            "Photos by the IoU of predicted and annotated box.".into(),
        ),
        plot(
            plots::lines(
                &unit("IoU", "photos with at least it"),
                &[Series { name: "photos".into(), points }],
            )?,
            "Success curve",
            overlaps,
        ),
    ];
    // With one class the confidence is always 1.
    if let Some(c) = calibration(judged).filter(|_| run.classes.len() > 1) {
        let points = c.bins.iter().filter_map(|bin| Some((bin.confidence?, bin.accuracy?))).collect();
        let series = [
            Series { name: "model".into(), points },
            Series { name: "confidence = accuracy".into(), points: vec![(0.0, 0.0), (1.0, 1.0)] },
        ];
        let caption = format!(
            "Fraction of right classes by confidence; parts of the scale with few photos are uncertain. Mean confidence {:.3}; \
             expected calibration error {:.3} ({:.3} by chance).{}",
            c.confidence,
            c.ece,
            c.ece_by_chance,
            run.calibrated
                .as_ref()
                .map_or_else(String::new, |record| format!(" Since then the model was {record}."))
        );
        all.push(plot(
            plots::lines(&unit("confidence", "accuracy"), &series)?,
            "Reliability diagram",
            caption,
        ));
    }
    Ok(all)
}

/// The data set in words.
fn data_facts(run: &Gathered) -> Vec<Fact> {
    let recorded = |keys: &[&str]| run.recorded(keys).map(|text| shown(&text));
    let mut facts = vec![
        ("data set", recorded(&["dataset", "path"])),
        ("training photos", recorded(&["dataset", "train"])),
        ("validation photos", recorded(&["dataset", "val"])),
        ("split", recorded(&["dataset", "split"])),
        ("photos left out", recorded(&["dataset", "left_out", "photos"]).filter(|n| n != "0")),
    ];
    if let Some(data) = &run.data {
        let size = |s: &loc_data::stats::SizeCount| format!("{} ({})", s.size, s.photos);
        let sizes: Vec<String> = data.sizes.iter().take(4).map(size).collect();
        let more = if data.sizes.len() > 4 { ", …" } else { "" };
        facts.push(("photo sizes", (!sizes.is_empty()).then(|| sizes.join(", ") + more)));
    }
    facts.into_iter().filter_map(|(name, value)| Some(Fact { name, value: value? })).collect()
}

/// Where annotated objects are, how large and of which shape.
fn data_plots(data: &DataSummary) -> Result<Vec<Plot>> {
    let counts = |of: &[usize]| of.iter().map(|n| *n as f64).collect::<Vec<_>>();
    let h = &data.histograms;
    let side = Axes {
        x: "side of the box / side of the photo",
        y: "photos",
        x_range: Some(0.0..1.0),
        y_range: None,
    };
    let aspect =
        Axes { x: "width / height, as a power of two", y: "photos", x_range: Some(-2.0..2.0), y_range: None };
    let photos = counted(data.photos, "photo", "photos");
    Ok(vec![
        plot(
            plots::map(&counts(&h.position), CELLS)?,
            "Positions of the boxes",
            format!("How many boxes cover each place of the photo, of {photos}: the darker, the more."),
        ),
        plot(
            plots::bars(&side, &counts(&h.side))?,
            "Sizes of the boxes",
            "Sizes of the boxes: the square root of their share of the photo’s area.".into(),
        ),
        plot(
            plots::bars(&aspect, &counts(&h.aspect))?,
            "Shapes of the boxes",
            "Shapes of the boxes: 0 is square, 1 twice as wide as high, −1 twice as high as wide.".into(),
        ),
    ])
}

/// The command line that started the run.
fn typed(run: &Gathered) -> String {
    let words = run.record["arguments"].as_array().map_or(&[][..], Vec::as_slice);
    let words = words.iter().filter_map(serde_json::Value::as_str).map(quoted);
    let line: Vec<String> = std::iter::once("loc".to_owned()).chain(words).collect();
    if line.len() > 1 { shown_lines(&line.join(" ")) } else { String::new() }
}

/// Versions, machine, seeds.
fn environment(run: &Gathered) -> Vec<Fact> {
    let recorded = |keys: &[&str]| run.recorded(keys).map(|text| shown(&text));
    let machine = match (recorded(&["machine", "os"]), recorded(&["machine", "arch"])) {
        (Some(os), Some(arch)) => Some(format!("{os}, {arch}")),
        _ => None,
    };
    let facts = [
        ("recipe", recorded(&["recipe_choice"])),
        ("loc", recorded(&["versions", "loc"])),
        ("machine", machine),
        ("cores", recorded(&["machine", "cores"])),
        ("threads", recorded(&["threads"])),
        ("seed", recorded(&["seed"])),
        ("digest of the data", recorded(&["dataset", "digest"])),
    ];
    facts.into_iter().filter_map(|(name, value)| Some(Fact { name, value: value? })).collect()
}
