//! What `loc val` finds out about a model, and its JSON.

use std::collections::BTreeMap;

use loc_infer::ModelMeta;
use loc_train::{
    Calibration, Confusion, Evaluation, ExpectedIouFigures, Judged, MarginFigures, NoveltyFigures,
    at_temperature, calibration, confusion, expected_iou_figures, iou_histogram, margin_figures,
    success_curve,
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
    pub(super) meta: ModelMeta,
    pub(super) evaluation: Evaluation,
    pub(super) judged: Vec<Judged>,
    /// How the novelty does, if the model has one.
    pub(super) novelty: Option<NoveltyFigures>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_iou: Option<ExpectedIouFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    margins: Option<MarginFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    novelty: Option<NoveltyFigures>,
    speed: Speed,
}

#[derive(Serialize)]
struct WithTemperature {
    temperature: f32,
    /// The error at temperature 1, if the model has another.
    #[serde(skip_serializing_if = "Option::is_none")]
    ece_uncalibrated: Option<f64>,
    #[serde(flatten)]
    calibration: Calibration,
}

impl Found {
    pub(super) fn confusion(&self) -> Confusion {
        confusion(&self.judged, self.meta.classes.len())
    }

    /// The calibration error at temperature 1, if the model has another.
    pub(super) fn ece_uncalibrated(&self) -> Option<f64> {
        let is_calibrated = self.meta.temperature != 1.0;
        is_calibrated.then(|| calibration(&at_temperature(&self.judged, 1.0)).map(|c| c.ece)).flatten()
    }

    pub(super) fn expected_iou(&self) -> Option<ExpectedIouFigures> {
        expected_iou_figures(self.meta.expected_iou.as_ref()?, &self.judged)
    }

    pub(super) fn margins(&self) -> Option<MarginFigures> {
        margin_figures(self.meta.margins.as_ref()?, &self.judged)
    }

    pub(super) fn record(&self, split: &'static str) -> Record<'_> {
        let (counts, names) = (self.confusion(), &self.meta.classes);
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
            calibration: calibration(&self.judged).map(|calibration| WithTemperature {
                temperature: self.meta.temperature,
                ece_uncalibrated: self.ece_uncalibrated(),
                calibration,
            }),
            expected_iou: self.expected_iou(),
            margins: self.margins(),
            novelty: self.novelty,
            speed: self.speed,
        }
    }
}
