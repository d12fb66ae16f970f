//! `data.json`: the data set of a run in a few numbers, so that a report needs the run folder alone.

use loc_data::histograms::Histograms;
use loc_data::stats::{SizeCount, Stats};
use loc_data::{Dataset, Split};
use loc_infer::NormBox;
use serde::{Deserialize, Serialize};

use crate::error::{RunError, TrainError};
use crate::eval::metrics::Baseline;
use crate::run::{Run, atomic_file};

const SCHEMA: &str = "loc.run-data/1";

/// The data set of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSummary {
    schema: String,
    /// Number of usable photos.
    pub photos: usize,
    /// The classes, in their order.
    pub classes: Vec<ClassPhotos>,
    /// The photos without an object; none if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negatives: Option<NegativePhotos>,
    /// The most frequent photo sizes (at most ten), the most frequent first.
    pub sizes: Vec<SizeCount>,
    /// Sizes, shapes and positions of all boxes.
    pub histograms: Histograms,
    /// The constant answer of the training photos; none without photos.
    pub constant: Option<Constant>,
}

/// A class and its photos.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassPhotos {
    /// Name of the class.
    pub name: String,
    /// Number of training photos.
    pub train: usize,
    /// Number of validation photos.
    pub val: usize,
}

/// Photos without an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NegativePhotos {
    /// Number of training photos.
    pub train: usize,
    /// Number of validation photos.
    pub val: usize,
}

/// The constant answer: a class and a box.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Constant {
    /// Index of the majority class.
    pub class: usize,
    /// The median box, in fractions of the photo.
    #[serde(rename = "box")]
    pub bbox: NormBox,
    /// Whether most of the training photos show an object.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub present: bool,
}

fn yes() -> bool {
    true
}

impl DataSummary {
    /// The summary of a data set and its split.
    pub(crate) fn of(dataset: &Dataset, split: &Split, baseline: Option<&Baseline>) -> Self {
        let count = |part: &[usize]| {
            let mut counts = vec![0; dataset.classes.len()];
            for class in part.iter().filter_map(|sample| dataset.samples[*sample].class()) {
                if let Some(count) = counts.get_mut(class) {
                    *count += 1;
                }
            }
            counts
        };
        let counts = count(&split.train).into_iter().zip(count(&split.val));
        let classes = dataset.classes.iter().cloned().zip(counts);
        let [train, val] = [&split.train, &split.val].map(|part| part.len() - dataset.positives(part).len());
        let constant =
            |b: &Baseline| Constant { class: b.majority_class, bbox: b.median_box.bbox, present: b.present };
        Self {
            schema: SCHEMA.into(),
            photos: dataset.samples.len(),
            classes: classes.map(|(name, (train, val))| ClassPhotos { name, train, val }).collect(),
            negatives: (train + val > 0).then_some(NegativePhotos { train, val }),
            sizes: Stats::of(dataset).sizes,
            histograms: Histograms::of(&dataset.samples),
            constant: baseline.map(constant),
        }
    }

    /// Writes the file of a run.
    pub(crate) fn write(&self, run: &Run) -> Result<(), TrainError> {
        let path = run.data();
        let text = serde_json::to_string(self).map_err(|e| TrainError::run(&path, RunError::Json(e)))?;
        atomic_file::replace(&path, format!("{text}\n").as_bytes())
    }

    /// Reads the file of a run; none if the run has none, as those of earlier versions.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] if it is not such a file, [`TrainError::Io`] if it cannot be read.
    pub fn read(run: &Run) -> Result<Option<Self>, TrainError> {
        let path = run.data();
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs_err::read_to_string(&path)?;
        let found: Self =
            serde_json::from_str(&text).map_err(|e| TrainError::run(&path, RunError::Json(e)))?;
        match found.schema == SCHEMA {
            true => Ok(Some(found)),
            false => Err(TrainError::run(path, RunError::Schema { found: found.schema, expected: SCHEMA })),
        }
    }
}
