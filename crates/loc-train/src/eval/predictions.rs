//! `predictions.jsonl`: the answers of a run's best epoch to its validation photos, a record each.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::PathBuf;

use loc_data::Dataset;
use loc_infer::postprocess::probabilities;
use loc_infer::{BBox, ImageSize, ModelMeta};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use crate::error::{RunError, TrainError};
use crate::eval::judged::Judged;
use crate::eval::presence::Seen;
use crate::run::{Run, atomic_file};

/// With more classes a record has no `probs`: a thousand numbers a photo would take longer to write than the epoch to train.
pub(crate) const KEPT_CLASSES: usize = 20;

/// The record of a photo. Boxes are in pixels of the upright photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The epoch whose weights predicted.
    pub epoch: usize,
    /// Path of the photo, as the training read it.
    pub path: PathBuf,
    /// The photo's unique name in the data set.
    pub file: String,
    /// Width of the photo.
    pub width: u32,
    /// Height of the photo.
    pub height: u32,
    /// Name of the predicted class.
    pub name: String,
    /// Its index.
    pub class: usize,
    /// Its probability.
    pub confidence: f64,
    /// The predicted box.
    #[serde(rename = "box")]
    pub bbox: BBox,
    /// The probability of each class; only written, and only with up to 20 classes.
    #[serde(serialize_with = "as_map", skip_serializing_if = "Vec::is_empty", skip_deserializing, default)]
    pub probs: Vec<(String, f32)>,
    /// The probability that there is an object; only of models that give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence: Option<f32>,
    /// The annotation.
    pub truth: Truth,
    /// IoU of predicted and annotated box.
    pub iou: f64,
}

/// The record of a photo without an object: the model's presence, and no truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NegativePrediction {
    /// The epoch whose weights predicted.
    pub epoch: usize,
    /// Path of the photo, as the training read it.
    pub path: PathBuf,
    /// The photo's unique name in the data set.
    pub file: String,
    /// Width of the photo.
    pub width: u32,
    /// Height of the photo.
    pub height: u32,
    /// The probability that there is an object.
    pub presence: f32,
    /// There is none.
    truth: Option<()>,
}

/// What tells the two kinds of records apart.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    truth: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    presence: Option<serde::de::IgnoredAny>,
}

impl Kind {
    fn is_negative(&self) -> bool {
        self.truth.is_none() && self.presence.is_some()
    }
}

/// The annotation of a photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Name of the class.
    pub name: String,
    /// Its index.
    pub class: usize,
    /// The box.
    #[serde(rename = "box")]
    pub bbox: BBox,
}

impl Prediction {
    fn of(one: &Judged, presence: Option<f32>, dataset: &Dataset, meta: &ModelMeta, epoch: usize) -> Self {
        let sample = &dataset.samples[one.sample];
        let name = |class: usize| meta.classes.get(class).cloned().unwrap_or_default();
        let probs = probabilities(&one.logits, meta.temperature);
        Self {
            epoch,
            path: sample.image.clone(),
            file: sample.file.clone(),
            width: one.size.width,
            height: one.size.height,
            name: name(one.class),
            class: one.class,
            confidence: one.confidence,
            bbox: one.bbox,
            probs: meta.classes.iter().cloned().zip(probs).collect(),
            presence,
            truth: Truth { name: name(one.label), class: one.label, bbox: one.truth },
            iou: one.iou,
        }
    }

    /// The answer as the statistics take it, without logits; `sample` is its place in the file.
    #[must_use]
    pub fn judged(&self, sample: usize) -> Judged {
        Judged {
            sample,
            label: self.truth.class,
            class: self.class,
            confidence: self.confidence,
            truth: self.truth.bbox,
            bbox: self.bbox,
            size: ImageSize { width: self.width, height: self.height },
            iou: self.iou,
            logits: Vec::new(),
            spread: None,
        }
    }

    /// Reads the records of a run's photos with an object; none if it has no such file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] with the first line that is no such record, [`TrainError::Io`] if the file cannot be read.
    pub fn read(run: &Run) -> Result<Vec<Self>, TrainError> {
        read(run, false)
    }
}

impl NegativePrediction {
    /// Reads the records of a run's photos without an object.
    ///
    /// # Errors
    ///
    /// As [`Prediction::read`].
    pub fn read(run: &Run) -> Result<Vec<Self>, TrainError> {
        read(run, true)
    }
}

/// Reads the records of one kind.
fn read<T: DeserializeOwned>(run: &Run, negatives: bool) -> Result<Vec<T>, TrainError> {
    let path = run.predictions();
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let lines = std::io::BufReader::new(fs_err::File::open(&path)?).lines();
    let parse = |(i, line): (usize, std::io::Result<String>)| {
        let wrong = |error| TrainError::run(&path, RunError::Line { line: i + 1, error });
        let line = line?;
        let kind: Kind = serde_json::from_str(&line).map_err(wrong)?;
        match kind.is_negative() == negatives {
            true => serde_json::from_str(&line).map(Some).map_err(wrong),
            false => Ok(None),
        }
    };
    lines.enumerate().filter_map(|line| parse(line).transpose()).collect()
}

/// Writes the answers of an epoch to the validation photos: those with an object, and, of a model with a logit of presence, its
/// probabilities of all.
pub(crate) fn write_predictions(
    run: &Run,
    (judged, seen): (&[Judged], &[Seen]),
    dataset: &Dataset,
    meta: &ModelMeta,
    epoch: usize,
) -> Result<(), TrainError> {
    let path = run.predictions();
    let presence: HashMap<usize, f32> = seen.iter().map(|one| (one.sample, one.probability)).collect();
    let mut bytes = Vec::new();
    let mut write = |record: &dyn Fn(&mut Vec<u8>) -> serde_json::Result<()>| {
        record(&mut bytes).map_err(|e| TrainError::run(&path, RunError::Json(e)))?;
        bytes.push(b'\n');
        Ok::<_, TrainError>(())
    };
    for one in judged {
        let presence = presence.get(&one.sample).copied();
        write(&|out| serde_json::to_writer(out, &Prediction::of(one, presence, dataset, meta, epoch)))?;
    }
    for one in seen.iter().filter(|one| !one.present) {
        let sample = &dataset.samples[one.sample];
        let record = NegativePrediction {
            epoch,
            path: sample.image.clone(),
            file: sample.file.clone(),
            width: sample.size.width,
            height: sample.size.height,
            presence: one.probability,
            truth: None,
        };
        write(&|out| serde_json::to_writer(out, &record))?;
    }
    atomic_file::replace(&path, &bytes)
}

/// Serialises pairs as a JSON object, in order.
fn as_map<S: Serializer>(pairs: &[(String, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}
