//! What `loc val` finds out about a model, and its JSON.

use std::collections::BTreeMap;

use loc_train::{
    Calibration, Confusion, Evaluation, Judged, calibration, confusion, iou_histogram, success_curve,
};
use serde::Serialize;

/// Parts of the IoU histogram.
pub(super) const HISTOGRAM: usize = 20;
/// Steps of the success curve.
pub(super) const CURVE: usize = 20;

/// A model on some photos.
pub(super) struct Found {
    /// The model as it was named.
    pub(super) model: String,
    pub(super) classes: Vec<String>,
    /// The temperature in its file.
    pub(super) temperature: f32,
    pub(super) evaluation: Evaluation,
    pub(super) judged: Vec<Judged>,
    pub(super) speed: Speed,
}

/// Mean times of a photo.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Speed {
    /// Milliseconds to read, decode and resize it, on all threads together.
    pub(super) prepare_ms: f64,
    /// Milliseconds in the network.
    pub(super) predict_ms: f64,
    /// Photos in a batch.
    pub(super) batch: usize,
    /// Threads that compute.
    pub(super) threads: usize,
}

/// `loc.val/1`.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    schema: &'static str,
    model: &'a str,
    split: &'static str,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    confusion: BTreeMap<&'a str, BTreeMap<&'a str, usize>>,
    iou_histogram: Vec<usize>,
    success_curve: Vec<f64>,
    calibration: Option<WithTemperature>,
    speed: Speed,
}

#[derive(Serialize)]
struct WithTemperature {
    temperature: f32,
    #[serde(flatten)]
    calibration: Calibration,
}

impl Found {
    pub(super) fn confusion(&self) -> Confusion {
        confusion(&self.judged, self.classes.len())
    }

    pub(super) fn record(&self, split: &'static str) -> Record<'_> {
        let (counts, names) = (self.confusion(), &self.classes);
        let row = |label: usize| -> BTreeMap<&str, usize> {
            counts.row(label).filter_map(|(class, n)| Some((names.get(class)?.as_str(), n))).collect()
        };
        Record {
            schema: "loc.val/1",
            model: &self.model,
            split,
            evaluation: &self.evaluation,
            confusion: names.iter().enumerate().map(|(label, name)| (name.as_str(), row(label))).collect(),
            iou_histogram: iou_histogram(&self.judged, HISTOGRAM),
            success_curve: success_curve(&self.judged, CURVE),
            calibration: calibration(&self.judged)
                .map(|calibration| WithTemperature { temperature: self.temperature, calibration }),
            speed: self.speed,
        }
    }
}
