//! Whether a run's model tells photos with an object from photos without: figures and the ROC curve.

use anyhow::Result;
use loc_train::{Presence, roc};

use super::gather::Gathered;
use super::page::{Fact, Plot};
use super::section::plot;
use super::words::{counted, figure};
use crate::plots::{self, Axes, Series};

/// The figures; none for a model that always answers.
pub(super) fn facts(run: &Gathered) -> Vec<Fact> {
    let Some(p) = &run.presence else { return Vec::new() };
    let photos = counted(p.samples, "photo", "photos");
    let constant = |value: Option<f64>| format!("constant answer {}", figure(value));
    let training = run.data.as_ref().and_then(|data| data.negatives).map(|n| n.train.to_string());
    let facts = [
        ("validation photos", Some(format!("{photos}, {} without an object", p.negatives))),
        ("training photos without an object", training),
        ("AUROC", Some(format!("{} ({})", figure(p.auroc), constant(p.auroc.map(|_| 0.5))))),
        ("threshold of the probability", Some(format!("{:.3}", p.threshold))),
        ("right answers", Some(format!("{} ({})", figure(p.accuracy), constant(p.majority_accuracy)))),
        ("precision", Some(figure(p.precision))),
        ("recall", Some(figure(p.recall))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some(Fact { name, value: value? })).collect()
}

/// The ROC curve; none without photos of both kinds.
pub(super) fn plots(run: &Gathered) -> Result<Vec<Plot>> {
    let Some(Presence { seen, auroc: Some(auroc), .. }) = &run.presence else { return Ok(Vec::new()) };
    let axes = Axes {
        x: "photos without an object taken to have one",
        y: "photos with an object found",
        x_range: Some(0.0..1.0),
        y_range: Some(0.0..1.0),
    };
    let points = roc(seen).into_iter().map(|[x, y]| (x, y)).collect();
    let series = [
        Series { name: "model".into(), points },
        Series { name: "constant answer".into(), points: vec![(0.0, 0.0), (1.0, 1.0)] },
    ];
    let caption = format!(
        "ROC curve: each point is a threshold. The area under it, {auroc:.3}, is how often a photo with an object gets the \
         higher probability of two."
    );
    Ok(vec![plot(plots::lines(&axes, &series)?, "ROC curve of presence", caption)])
}
