//! Finding the newest intact state of a run, and repairing files after an interrupted save or damage.

use std::path::Path;

use crate::checkpoint::save::follow;
use crate::checkpoint::state::{self, Saved, StateError, VerifiedState};
use crate::config::CheckpointRetention;
use crate::digest::sha256;
use crate::error::{RunError, TrainError};
use crate::run::Run;
use crate::run::atomic_file::{self, replace};

/// Completes an interrupted save and repairs damaged files. Returns a warning for each damaged file; a file that was
/// not yet written gets none.
pub(crate) fn repair(
    run: &Run,
    found: &Found,
    model: &[u8],
    keep: CheckpointRetention,
) -> Result<Vec<String>, TrainError> {
    let Found { whole: VerifiedState { saved, .. }, before, .. } = found;
    let mut warnings = Vec::new();
    // After a fallback the other files belong to a later state, and are correct for that.
    if !found.fell_back() {
        if let Some(digest) = digest_of(&run.last())?.filter(|d| *d != saved.model)
            && before.as_ref().is_some_and(|before| before.model != digest)
        {
            warnings.push(differs(&run.last(), &digest, &saved.model, "it is written anew from the state"));
        }
        warnings.extend(repair_best(run, saved, before.as_ref())?);
    }
    if sha256(model) != saved.model {
        // Another version of loc writes other bytes: existing files stay.
        return Ok(warnings);
    }
    follow(run, saved, model, keep, &|path, bytes| fs_err::read(path).ok().as_deref() != Some(bytes))?;
    Ok(warnings)
}

/// Repairs the best model from the state or from its epoch's file.
fn repair_best(run: &Run, saved: &Saved, before: Option<&Saved>) -> Result<Option<String>, TrainError> {
    let Some(best) = &saved.state.best else { return Ok(None) };
    let digest = digest_of(&run.best())?;
    if digest.as_ref() == Some(&best.model) {
        return Ok(None);
    }
    let last = saved.state.step == 0 && best.epoch + 1 == saved.state.epoch;
    let broken_off = before.is_some_and(|b| b.state.best.as_ref().map(|best| &best.model) == digest.as_ref());
    if last && (broken_off || digest.is_none()) {
        return Ok(None);
    }
    let found = digest.unwrap_or_else(|| "none: it is gone".into());
    let remedy = if last {
        "it is written anew from the state".into()
    } else if digest_of(&run.epoch(best.epoch))?.as_ref() == Some(&best.model) {
        replace(&run.best(), &fs_err::read(run.epoch(best.epoch))?)?;
        format!("it is written anew from epoch {}", best.epoch)
    } else {
        format!("epoch {} is lost, until a better one comes", best.epoch)
    };
    Ok(Some(differs(&run.best(), &found, &best.model, &remedy)))
}

fn differs(path: &Path, found: &str, right: &str, remedy: &str) -> String {
    format!("{}: its SHA-256 is {found}, {right} was written; {remedy}", path.display())
}

/// Returns the SHA-256 of a file, if it exists.
fn digest_of(path: &Path) -> Result<Option<String>, TrainError> {
    Ok(if path.is_file() { Some(sha256(&fs_err::read(path)?)) } else { None })
}

/// The state to resume from.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) whole: VerifiedState,
    /// The state before it, if both are intact.
    before: Option<Saved>,
    /// Why it is not the newest, if that one is damaged.
    pub(crate) warning: Option<String>,
}

impl Found {
    fn fell_back(&self) -> bool {
        self.warning.is_some()
    }
}

/// Returns the newest intact state of a run under its own name; none if no state was ever saved.
pub(crate) fn find(run: &Run) -> Result<Option<Found>, TrainError> {
    let read = |path: &Path| match fs_err::read(path) {
        Ok(bytes) => state::parse(&bytes).map(Some),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StateError::Unread(e)),
    };
    let (newest, previous) = (run.state(), run.previous_state());
    let bad = |path: &Path, reason: &str| format!("{}: {reason}", path.display());
    let warning = match read(&newest) {
        Ok(Some(whole)) => {
            let before = read(&previous).ok().flatten().map(|whole| whole.saved);
            return Ok(Some(Found { whole, before, warning: None }));
        }
        Err(StateError::Format(kind)) => return Err(TrainError::run(newest, kind)),
        Err(StateError::Unread(e)) => return Err(TrainError::run(newest, RunError::UnreadState(e))),
        Err(StateError::Damaged(reason)) => Some(bad(&newest, &reason)),
        Ok(None) => None,
    };
    match (read(&previous), warning) {
        (Ok(Some(whole)), warning) => {
            // It replaces the damaged state: the next save must not keep that one as the previous.
            atomic_file::rename(&previous, &newest)?;
            let at = &whole.saved.state;
            let warning = warning.map(|w| {
                format!(
                    "{w}; it goes on from the save before, after epoch {}, step {}",
                    at.epoch - 1,
                    at.step
                )
            });
            Ok(Some(Found { whole, before: None, warning }))
        }
        (Ok(None), None) if run.rows().is_ok_and(|rows| rows.is_empty()) => Ok(None),
        (Err(StateError::Format(kind)), None) => Err(TrainError::run(previous, kind)),
        (Err(StateError::Unread(e)), None) => Err(TrainError::run(previous, RunError::UnreadState(e))),
        (other, warning) => {
            let previous = match other {
                Err(StateError::Damaged(reason)) => bad(&previous, &reason),
                Err(StateError::Format(kind)) => bad(&previous, &kind.to_string()),
                Err(StateError::Unread(e)) => bad(&previous, &e.to_string()),
                _ => bad(&previous, "is not there"),
            };
            let newest = warning.unwrap_or_else(|| bad(&newest, "is not there"));
            let model = run.epochs()?.pop().map_or_else(|| run.last(), |(_, path)| path);
            Err(TrainError::run(run.path(), RunError::NoState { newest, previous, model }))
        }
    }
}
