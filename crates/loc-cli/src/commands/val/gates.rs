//! The minimum metrics of `--fail-under`.

use anyhow::{Result, bail};
use loc_train::Evaluation;

use crate::output::Usage;

/// A metric and its minimum.
pub(super) struct Gate {
    name: String,
    least: f64,
    metric: fn(&Evaluation) -> Option<f64>,
}

impl Gate {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let fail = |why: &str| Usage(format!("--fail-under {text:?}: {why} (hint: iou=0.7,acc=0.9)"));
        let (name, value) = text.split_once('=').ok_or_else(|| fail("METRIC=X is needed"))?;
        let metric: fn(&Evaluation) -> Option<f64> = match name {
            "acc" => |e| e.accuracy,
            "iou" => |e| e.mean_iou,
            "iou50" => |e| e.iou50,
            "iou75" => |e| e.iou75,
            "loc_acc" => |e| e.localization_accuracy,
            "auroc" => |e| e.presence.as_ref()?.auroc,
            _ => bail!(fail("the metrics are acc, iou, iou50, iou75, loc_acc and auroc")),
        };
        match value.parse::<f64>() {
            Ok(least) if (0.0..=1.0).contains(&least) => Ok(Self { name: name.to_owned(), least, metric }),
            _ => bail!(fail("the value must be within 0 and 1")),
        }
    }

    /// The message if the gate is not met; a metric without samples does not meet it.
    pub(super) fn failure(&self, e: &Evaluation) -> Option<String> {
        let found = (self.metric)(e);
        let shown = found.map_or("n/a".into(), |v| format!("{v:.4}"));
        let met = found.is_some_and(|v| v >= self.least);
        (!met).then(|| format!("{} is {shown}, under {}", self.name, self.least))
    }
}
