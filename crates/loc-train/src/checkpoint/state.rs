//! The state of a run: everything that exact resume needs, in one file with a checksum.
//!
//! The weights are in it as well as in the model file beside it. So one rename completes a save, and every other file
//! of a run can be written again from the state.

use std::collections::BTreeMap;

use loc_infer::Decode;
use loc_net::{Weight, WeightFile, Weights};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::checkpoint::model_file::Metrics;
use crate::digest::sha256;
use crate::error::{MetadataError, RunError, TrainError};
use crate::event::Row;

/// Format of the state file.
const FORMAT: u32 = 2;

/// The progress of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The present or next epoch, from 1.
    pub(crate) epoch: usize,
    /// Steps of it that are done.
    pub(crate) step: usize,
    /// Steps of all epochs.
    pub(crate) steps: usize,
    /// Photos in those steps.
    pub(crate) seen: usize,
    /// Sums of their losses: total, class, box.
    pub(crate) sums: [f64; 3],
    /// The photos without an object among them, and the sum of the losses of presence; none without that loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) presence: Option<PresenceSums>,
    /// The threshold of presence, from the last evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) presence_threshold: Option<f32>,
    /// Seconds trained so far.
    pub(crate) time: f64,
    /// The best epoch so far.
    pub(crate) best: Option<Best>,
    /// The metrics in the model file; none within an epoch.
    pub(crate) metrics: Option<Metrics>,
    /// The rows of `results.csv`.
    pub(crate) rows: Vec<Row>,
}

/// Numbers of presence in the steps of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct PresenceSums {
    /// Photos without an object.
    pub(crate) negatives: usize,
    /// The sum of the losses.
    pub(crate) loss: f64,
}

/// The best epoch and the metrics that rank it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub(crate) epoch: usize,
    pub(crate) localization_accuracy: f64,
    pub(crate) mean_iou: f64,
    /// SHA-256 of its model file.
    pub(crate) model: String,
}

impl Best {
    /// Returns whether this epoch is better than the best so far: by localization accuracy, then by mean IoU; on a tie
    /// the earlier stays.
    pub(crate) fn beats(&self, other: Option<&Self>) -> bool {
        let key = |b: &Self| (b.localization_accuracy, b.mean_iou);
        other.is_none_or(|other| key(self) > key(other))
    }
}

impl State {
    pub(crate) fn begin() -> Self {
        Self {
            epoch: 1,
            step: 0,
            steps: 0,
            seen: 0,
            sums: [0.0; 3],
            presence: None,
            presence_threshold: None,
            time: 0.0,
            best: None,
            metrics: None,
            rows: Vec::new(),
        }
    }
}

/// What a state belongs to; a resume compares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunFingerprint {
    /// The configuration's values that affect the result, as TOML.
    pub(crate) config: String,
    /// Digest of the data set.
    pub(crate) dataset: String,
    /// SHA-256 of `split.csv`.
    pub(crate) split: String,
    /// The instruction set of the kernels, which decides the order of sums; none on a GPU, and in older states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) isa: Option<String>,
    /// How much of a photo is decoded. States from before [`Decode::Reduced`] lack it: their runs decode in full to their end.
    #[serde(default)]
    pub(crate) decode: Decode,
}

/// A state with its fingerprint and the digest of its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    #[serde(rename = "origin")]
    pub(crate) fingerprint: RunFingerprint,
    /// SHA-256 of the `last.safetensors` that was written after it.
    pub(crate) model: String,
    pub(crate) state: State,
}

/// The metadata of a state file.
#[derive(Serialize, Deserialize)]
struct Envelope {
    format: u32,
    /// Version of the loc that wrote it.
    loc: String,
    /// SHA-256 over `saved` and all tensors.
    sha256: String,
    /// JSON of [`Saved`] as text: the digest is of these bytes.
    saved: String,
}

/// The fields that every format has.
#[derive(Deserialize)]
struct Format {
    format: u32,
    #[serde(default)]
    loc: String,
}

/// Prefixes of the names of tensors in a state.
const PARAMETER: &str = "parameter.";
const AVERAGE: &str = "average.";
const BEGINNING: &str = "beginning.";

/// A state whose checksum was verified.
#[derive(Debug)]
pub(crate) struct VerifiedState {
    pub(crate) saved: Saved,
    /// All its tensors, the optimizer's included.
    pub(crate) tensors: Weights,
}

impl VerifiedState {
    /// Returns the trained parameters.
    pub(crate) fn parameters(&self) -> Weights {
        strip(&self.tensors, PARAMETER)
    }

    /// Returns their moving average, if there is one.
    pub(crate) fn average(&self) -> Option<Weights> {
        Some(strip(&self.tensors, AVERAGE)).filter(|average| !average.0.is_empty())
    }

    /// Returns the initial weights, if the configuration keeps them.
    pub(crate) fn beginning(&self) -> Option<Weights> {
        Some(strip(&self.tensors, BEGINNING)).filter(|beginning| !beginning.0.is_empty())
    }
}

/// Returns all tensors of a state under distinct names: the parameters, their average and initial weights if any, and
/// the optimizer's.
pub(crate) fn tensors(
    parameters: Weights,
    [average, beginning]: [Option<Weights>; 2],
    optimizer: Weights,
) -> Weights {
    let mut all = optimizer;
    for (prefix, weights) in [(PARAMETER, Some(parameters)), (AVERAGE, average), (BEGINNING, beginning)] {
        let own = weights.into_iter().flat_map(|weights| weights.0);
        all.0.extend(own.map(|(name, w)| (format!("{prefix}{name}"), w)));
    }
    all
}

fn strip(tensors: &Weights, prefix: &str) -> Weights {
    let own =
        |(name, weight): (&String, &Weight)| Some((name.strip_prefix(prefix)?.to_owned(), weight.clone()));
    Weights(tensors.0.iter().filter_map(own).collect::<BTreeMap<_, _>>())
}

/// Returns the bytes of a state file.
pub(crate) fn to_bytes(saved: &Saved, tensors: &Weights) -> Result<Vec<u8>, TrainError> {
    let json = |e: serde_json::Error| MetadataError::from(e);
    let saved = serde_json::to_string(saved).map_err(json)?;
    let envelope = Envelope {
        format: FORMAT,
        loc: env!("CARGO_PKG_VERSION").into(),
        sha256: digest(&saved, tensors),
        saved,
    };
    let metadata = serde_json::to_string(&envelope).map_err(json)?;
    Ok(loc_model::weights::to_bytes(tensors, Some(&metadata))?)
}

/// Why a state cannot be resumed from.
pub(crate) enum StateError {
    /// Its bytes have changed since it was written.
    Damaged(String),
    /// It cannot be read.
    Unread(std::io::Error),
    /// It is of a newer format.
    Format(RunError),
}

/// Reads a state file and verifies its checksum.
pub(crate) fn parse(bytes: &[u8]) -> Result<VerifiedState, StateError> {
    let damaged = |reason: String| StateError::Damaged(format!("{reason}; its SHA-256 is {}", sha256(bytes)));
    let WeightFile { weights, metadata } = WeightFile::parse(bytes).map_err(|e| damaged(e.to_string()))?;
    let metadata = metadata.ok_or_else(|| damaged("holds no training state".into()))?;
    let Format { format, loc } = serde_json::from_str(&metadata).map_err(|e| damaged(e.to_string()))?;
    if format > FORMAT {
        let this = env!("CARGO_PKG_VERSION");
        return Err(StateError::Format(RunError::NewerState { format, needs: loc, this, reads: FORMAT }));
    }
    let envelope: Envelope = serde_json::from_str(&metadata).map_err(|e| damaged(e.to_string()))?;
    let found = digest(&envelope.saved, &weights);
    if found != envelope.sha256 {
        return Err(StateError::Damaged(format!(
            "is damaged: the SHA-256 of what it holds is {found}, {} was written",
            envelope.sha256
        )));
    }
    let saved: Saved = serde_json::from_str(&envelope.saved).map_err(|e| damaged(e.to_string()))?;
    saved
        .fingerprint
        .config
        .parse::<toml::Table>()
        .map_err(|e| damaged(format!("its configuration: {e}")))?;
    Ok(VerifiedState { saved, tensors: weights })
}

fn digest(saved: &str, tensors: &Weights) -> String {
    let mut all = Sha256::new();
    // The length before each part distinguishes ("ab", "c") from ("a", "bc").
    let part = |bytes: &[u8], all: &mut Sha256| {
        all.update((bytes.len() as u64).to_le_bytes());
        all.update(bytes);
    };
    part(saved.as_bytes(), &mut all);
    for (name, weight) in &tensors.0 {
        part(name.as_bytes(), &mut all);
        part(format!("{:?}", weight.shape).as_bytes(), &mut all);
        let mut bytes = Vec::with_capacity(4 * 4096);
        for values in weight.data.chunks(4096) {
            bytes.clear();
            bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            all.update(&bytes);
        }
    }
    hex::encode(all.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Saved {
        let fingerprint = RunFingerprint {
            config: "lr = 0.1\n".into(),
            dataset: "d".into(),
            split: "s".into(),
            isa: Some("avx2".into()),
            decode: Decode::Reduced,
        };
        let state = State { time: 0.1 + 0.2, sums: [1.0 / 3.0, 2.0, 3.0], ..State::begin() };
        Saved { fingerprint, model: "m".into(), state }
    }

    fn some_tensors() -> Weights {
        let weight = |v: f32| Weight { shape: vec![2, 1], data: vec![v, -v] };
        let one = |name: &str, v| Weights([(name.to_owned(), weight(v))].into());
        tensors(one("w", 1.5), [Some(one("w", 2.5)), Some(one("w", 4.5))], one("first.w", 3.5))
    }

    #[test]
    fn a_state_reads_back_to_the_bit() {
        let bytes = to_bytes(&saved(), &some_tensors()).unwrap();
        let Ok(whole) = parse(&bytes) else { panic!("a whole state is refused") };
        assert_eq!((&whole.saved, &whole.tensors), (&saved(), &some_tensors()));
        assert_eq!(whole.parameters().values("w"), [1.5, -1.5]);
        assert_eq!(whole.average().unwrap().values("w"), [2.5, -2.5]);
    }

    #[test]
    fn every_changed_bit_is_found_out() {
        let bytes = to_bytes(&saved(), &some_tensors()).unwrap();
        for bit in 0..8 * bytes.len() {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            if let Ok(whole) = parse(&other) {
                // Only where the bit says nothing: the version that wrote it.
                assert_eq!((&whole.saved, &whole.tensors), (&saved(), &some_tensors()), "bit {bit}");
            }
        }
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_err(), "cut to {len} bytes");
        }
    }

    #[test]
    fn a_newer_format_says_which_version_it_needs() {
        let metadata = r#"{"format":3,"loc":"9.1.0","else":0}"#;
        let bytes = loc_model::weights::to_bytes(&Weights::default(), Some(metadata)).unwrap();
        let Err(StateError::Format(kind)) = parse(&bytes) else { panic!("a newer state is read") };
        let message = kind.to_string();
        assert!(message.contains("needs loc >= 9.1.0") && message.contains("format 3"), "{message}");
    }
}
