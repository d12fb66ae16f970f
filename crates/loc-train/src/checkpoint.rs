//! What a run leaves on disk to predict with and to go on from.

use std::path::Path;

use loc_net::{WeightFile, Weights};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::metrics::Loss;
use crate::record::{hex, replace};
use crate::{Keep, ModelFile, Run, TrainError};

/// Where a run stands, beside its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The epoch in progress or to begin, from 1.
    pub(crate) epoch: usize,
    /// Steps of it already done.
    pub(crate) step: usize,
    /// Steps of all epochs.
    pub(crate) steps: usize,
    /// Photos those steps saw, of the epoch in progress.
    pub(crate) seen: usize,
    /// Sums of their losses: total, class, box.
    pub(crate) sums: [f64; 3],
    /// Seconds trained so far.
    pub(crate) time: f64,
    /// The best epoch so far.
    pub(crate) best: Option<Best>,
    /// SHA-256 of the `last.safetensors` this belongs to.
    pub(crate) weights: String,
}

/// The best epoch and what it is ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub(crate) epoch: usize,
    pub(crate) localization_accuracy: f64,
    pub(crate) mean_iou: f64,
}

impl Best {
    /// Whether this epoch takes the place of the best so far: localization accuracy first, mean IoU on a tie, and on
    /// a second tie the earlier stays.
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
            time: 0.0,
            best: None,
            weights: String::new(),
        }
    }

    pub(crate) fn losses(&self) -> Loss {
        let [total, class, bbox] = self.sums;
        Loss { total, class, bbox }
    }
}

/// The bytes of a model file.
pub(crate) fn model_bytes(weights: &Weights, file: &ModelFile) -> Result<Vec<u8>, TrainError> {
    Ok(loc_model::weights::to_bytes(weights, Some(&file.to_json()?))?)
}

/// Writes `last.safetensors` and then the state that belongs to it.
pub(crate) fn save_last(
    run: &Run,
    model: &[u8],
    optimizer: &Weights,
    mut state: State,
) -> Result<(), TrainError> {
    state.weights = hex(&Sha256::digest(model));
    replace(&run.last(), model)?;
    let json = serde_json::to_string(&state)
        .map_err(|e| TrainError::Run { path: run.state(), reason: e.to_string() })?;
    replace(&run.state(), &loc_model::weights::to_bytes(optimizer, Some(&json))?)
}

/// Writes an epoch's checkpoint, and `best` if it is; removes those that are not to be kept.
pub(crate) fn save_epoch(
    run: &Run,
    model: &[u8],
    epoch: usize,
    best: bool,
    keep: Keep,
) -> Result<(), TrainError> {
    if keep != Keep::Best {
        replace(&run.epoch(epoch), model)?;
    }
    if best {
        replace(&run.best(), model)?;
    }
    if let Keep::Last(n) = keep
        && let Some(old) = epoch.checked_sub(n).filter(|old| *old > 0)
        && run.epoch(old).is_file()
    {
        fs_err::remove_file(run.epoch(old))?;
    }
    Ok(())
}

/// Weights, optimizer state and place of an interrupted or finished run.
pub(crate) fn load(run: &Run) -> Result<(Weights, Weights, State), TrainError> {
    let fail = |path: &Path, reason: String| TrainError::Run { path: path.to_owned(), reason };
    let bytes = fs_err::read(run.last())?;
    let state_bytes = fs_err::read(run.state())?;
    let parse = |path: &Path, bytes: &[u8]| WeightFile::parse(bytes).map_err(|e| fail(path, e.to_string()));
    let saved = parse(&run.state(), &state_bytes)?;
    let json = saved.metadata.ok_or_else(|| fail(&run.state(), "holds no training state".into()))?;
    let state: State = serde_json::from_str(&json).map_err(|e| fail(&run.state(), e.to_string()))?;
    let found = hex(&Sha256::digest(&bytes));
    if found != state.weights {
        return Err(fail(
            &run.last(),
            format!(
                "has the SHA-256 {found}, the state beside it belongs to {} (hint: `--init` starts a new run from the newest whole epoch)",
                state.weights
            ),
        ));
    }
    Ok((parse(&run.last(), &bytes)?.weights, saved.weights, state))
}
