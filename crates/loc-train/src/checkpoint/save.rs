//! Saving a run so that it can be killed at any time.
//!
//! The state is written first; its rename completes the save. The state before it is kept as `previous`, in case the
//! newer one gets damaged. The other files (`results.csv`, `last`, the epoch's file, `best`) are derived from the
//! state: resume writes them again, wherever the save was interrupted.

use std::path::Path;

use loc_net::Weights;

use crate::checkpoint::model_file::ModelFile;
use crate::checkpoint::state::{self, Saved};
use crate::config::CheckpointRetention;
use crate::error::TrainError;
use crate::run::atomic_file::{replace, replace_keeping};
use crate::run::{self, Run};

/// Returns the bytes of a model file.
pub(crate) fn model_bytes(weights: &Weights, file: &ModelFile) -> Result<Vec<u8>, TrainError> {
    Ok(loc_model::weights::to_bytes(weights, Some(&file.to_json()?))?)
}

/// Saves a state, then the files derived from it.
pub(crate) fn save(
    run: &Run,
    saved: &Saved,
    tensors: &Weights,
    model: &[u8],
    keep: CheckpointRetention,
) -> Result<(), TrainError> {
    replace_keeping(&run.state(), &state::to_bytes(saved, tensors)?, &run.previous_state())?;
    follow(run, saved, model, keep, &|_, _| true)
}

/// Writes the files derived from a state, each if `needed`.
pub(super) fn follow(
    run: &Run,
    saved: &Saved,
    model: &[u8],
    keep: CheckpointRetention,
    needed: &dyn Fn(&Path, &[u8]) -> bool,
) -> Result<(), TrainError> {
    let write = |path: &Path, bytes: &[u8]| if needed(path, bytes) { replace(path, bytes) } else { Ok(()) };
    let state = &saved.state;
    if !state.rows.is_empty() {
        write(&run.results(), &run::to_csv(&run.results(), &state.rows)?)?;
    }
    write(&run.last(), model)?;
    let epoch = state.epoch - 1;
    if state.step > 0 || epoch == 0 {
        return Ok(());
    }
    if keep != CheckpointRetention::Best {
        write(&run.epoch(epoch), model)?;
    }
    if state.best.as_ref().is_some_and(|best| best.epoch == epoch) {
        write(&run.best(), model)?;
    }
    if let CheckpointRetention::Last(n) = keep {
        for (number, path) in run.epochs()? {
            if number + n <= epoch {
                fs_err::remove_file(path)?;
            }
        }
    }
    Ok(())
}
