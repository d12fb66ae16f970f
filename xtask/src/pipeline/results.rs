//! Parses the output of `loc val --format json`, and prints a table that compares it with the constant answer.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// A record of schema `loc.val/1`. A metric without samples is `null`.
#[derive(Debug, Deserialize)]
pub(super) struct Validation {
    schema: String,
    /// Photos in the split.
    pub(super) samples: usize,
    pub(super) accuracy: Option<f64>,
    pub(super) mean_iou: Option<f64>,
    pub(super) iou50: Option<f64>,
    pub(super) iou75: Option<f64>,
    pub(super) localization_accuracy: Option<f64>,
    baseline: Baseline,
}

/// The metrics of the constant answer: always the training set's majority class and median box.
#[derive(Debug, Deserialize)]
struct Baseline {
    majority_accuracy: Option<f64>,
    median_box: MedianBox,
}

#[derive(Debug, Deserialize)]
struct MedianBox {
    mean_iou: Option<f64>,
    iou50: Option<f64>,
    iou75: Option<f64>,
}

impl Validation {
    /// Reads the record.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let parsed: Self =
            serde_json::from_str(text).context("reading the output of `loc val --format json`")?;
        ensure!(
            parsed.schema == "loc.val/1",
            "`loc val` printed schema `{}`, not `loc.val/1`",
            parsed.schema
        );
        Ok(parsed)
    }

    /// Accuracy minus that of the majority class.
    pub(super) fn accuracy_gain(&self) -> Option<f64> {
        gain(self.accuracy, self.baseline.majority_accuracy)
    }

    /// Mean IoU minus that of the median box.
    pub(super) fn iou_gain(&self) -> Option<f64> {
        gain(self.mean_iou, self.baseline.median_box.mean_iou)
    }

    /// The table of metrics, one per line.
    pub(super) fn table(&self) -> String {
        let median = &self.baseline.median_box;
        let rows = [
            ("accuracy", self.accuracy, self.baseline.majority_accuracy),
            ("mean IoU", self.mean_iou, median.mean_iou),
            ("IoU ≥ 0.5", self.iou50, median.iou50),
            ("IoU ≥ 0.75", self.iou75, median.iou75),
            ("localization accuracy", self.localization_accuracy, None),
        ];
        let mut table =
            format!("{:21}  {:>10}  {:>15}  {:>6}\n", "", "this model", "constant answer", "gain");
        for (name, ours, constant) in rows {
            let gain = gain(ours, constant).map_or_else(String::new, |gain| format!("{gain:+.3}"));
            // The record has no localization accuracy of the constant answer.
            let constant = if name.starts_with("loc") { String::new() } else { shown(constant) };
            table += format!("{name:21}  {:>10}  {constant:>15}  {gain:>6}", shown(ours)).trim_end();
            table += "\n";
        }
        table
    }
}

fn gain(ours: Option<f64>, constant: Option<f64>) -> Option<f64> {
    Some(ours? - constant?)
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "n/a".to_owned(), |value| format!("{value:.3}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A record as `loc val` prints it.
    pub(in crate::pipeline) const RECORD: &str = r#"{"schema":"loc.val/1","model":"m","split":"val","samples":2,
        "accuracy":0.95,"mean_iou":0.8,"iou50":1.0,"iou75":null,"localization_accuracy":0.9,
        "loss":{"total":0.1,"class":0.05,"box":0.05},"baseline":{"majority_accuracy":0.45,
        "median_box":{"mean_iou":0.4,"iou50":0.3,"iou75":null}},"per_class":{}}"#;

    #[test]
    fn the_table_compares_the_model_with_the_constant_answer() {
        let expected = "                       this model  constant answer    gain
accuracy                    0.950            0.450  +0.500
mean IoU                    0.800            0.400  +0.400
IoU ≥ 0.5                   1.000            0.300  +0.700
IoU ≥ 0.75                    n/a              n/a
localization accuracy       0.900
";
        assert_eq!(Validation::parse(RECORD).unwrap().table(), expected);
    }

    #[test]
    fn another_schema_is_refused() {
        let error = Validation::parse(&RECORD.replace("val/1", "val/2")).unwrap_err().to_string();
        assert_eq!(error, "`loc val` printed schema `loc.val/2`, not `loc.val/1`");
    }
}
