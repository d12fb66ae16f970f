//! The run folder and the paths of its files. A run folder alone is enough to repeat or to report a run.

use std::path::{Path, PathBuf};

use crate::error::{RunError, TrainError};
use crate::run::atomic_file;

/// A run folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    path: PathBuf,
}

const CONFIG: &str = "config.toml";
const JSON: &str = "run.json";
const SPLIT: &str = "split.csv";
const RESULTS: &str = "results.csv";
const DATA: &str = "data.json";
const PREDICTIONS: &str = "predictions.jsonl";
const AUDIT: &str = "audit.json";
const REPORT: &str = "report.html";
const BEST: &str = "best.safetensors";
const LAST: &str = "last.safetensors";
const STATE: &str = "last.state.safetensors";
const PREVIOUS: &str = "previous.state.safetensors";

/// The files of a run in its folder. No other is written or removed there, except the lock.
pub(crate) const FILES: &[&str] = &[CONFIG, JSON, SPLIT, RESULTS, DATA, PREDICTIONS, AUDIT, REPORT];
/// The files in `weights`, besides the epochs' model files.
pub(crate) const WEIGHTS: &[&str] = &[BEST, LAST, STATE, PREVIOUS];

fn name_of(epoch: usize) -> String {
    format!("epoch-{epoch:03}.safetensors")
}

/// Returns the epoch of a model file's name.
fn epoch_of(name: &str) -> Option<usize> {
    let epoch = name.strip_prefix("epoch-")?.strip_suffix(".safetensors")?.parse().ok()?;
    (name_of(epoch) == name).then_some(epoch)
}

/// Returns whether a name is that of an epoch's model file.
pub(crate) fn is_epoch(name: &str) -> bool {
    epoch_of(name).is_some()
}

impl Run {
    /// The run in a folder, which may not exist yet.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Removes the temporary files that a killed process left.
    pub(crate) fn sweep(&self) -> Result<(), TrainError> {
        atomic_file::sweep(&self.path, |name| FILES.contains(&name))?;
        atomic_file::sweep(&self.weights(), |name| WEIGHTS.contains(&name) || is_epoch(name))
    }

    /// An existing run folder.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] if there is no `config.toml` in it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TrainError> {
        let run = Self { path: path.into() };
        if run.config().is_file() {
            return Ok(run);
        }
        Err(TrainError::run(run.path, RunError::NotARun))
    }

    /// A folder with the record of a run, which may have failed before it could be resumed.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] if there is neither `run.json` nor `config.toml` in it.
    pub fn recorded(path: impl Into<PathBuf>) -> Result<Self, TrainError> {
        let run = Self { path: path.into() };
        if run.json().is_file() { Ok(run) } else { Self::open(run.path) }
    }

    /// Returns the run of a path: its folder, or a file in it or in its `weights`.
    ///
    /// # Errors
    ///
    /// As [`Run::open`].
    pub fn containing(path: &Path) -> Result<Self, TrainError> {
        let absolute = std::path::absolute(path).unwrap_or_default();
        let above = |path: &Path| {
            let folders = path.ancestors().take(3).filter(|folder| !folder.as_os_str().is_empty());
            folders.map(Self::at).find(|run| run.config().is_file() && run.json().is_file())
        };
        match above(path).or_else(|| above(&absolute)) {
            Some(run) => Ok(run),
            None => Self::open(path),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.toml`
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// `run.json`
    #[must_use]
    pub fn json(&self) -> PathBuf {
        self.path.join(JSON)
    }

    /// `split.csv`
    #[must_use]
    pub fn split(&self) -> PathBuf {
        self.path.join(SPLIT)
    }

    /// `results.csv`
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.path.join(RESULTS)
    }

    /// `data.json`
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path.join(DATA)
    }

    /// `predictions.jsonl`
    #[must_use]
    pub fn predictions(&self) -> PathBuf {
        self.path.join(PREDICTIONS)
    }

    /// `audit.json`, an audit of the data set that the report shows
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.path.join(AUDIT)
    }

    /// `report.html`
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// `weights`
    #[must_use]
    pub fn weights(&self) -> PathBuf {
        self.path.join("weights")
    }

    /// `weights/best.safetensors`
    #[must_use]
    pub fn best(&self) -> PathBuf {
        self.weights().join(BEST)
    }

    /// `weights/last.safetensors`
    #[must_use]
    pub fn last(&self) -> PathBuf {
        self.weights().join(LAST)
    }

    /// `weights/epoch-NNN.safetensors`
    #[must_use]
    pub fn epoch(&self, epoch: usize) -> PathBuf {
        self.weights().join(name_of(epoch))
    }

    /// Returns the existing files of the run, without the report, which is made from the others.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let own = FILES.iter().filter(|name| **name != REPORT).map(|name| self.path.join(name));
        let weights = WEIGHTS.iter().map(|name| self.weights().join(name));
        let epochs = self.epochs().unwrap_or_default().into_iter().map(|(_, path)| path);
        own.chain(weights).filter(|path| path.is_file()).chain(epochs).collect()
    }

    /// Returns the existing model files of epochs, the newest last.
    pub(crate) fn epochs(&self) -> Result<Vec<(usize, PathBuf)>, TrainError> {
        let mut epochs = Vec::new();
        for entry in fs_err::read_dir(self.weights())? {
            let entry = entry?;
            if let Some(number) = entry.file_name().to_str().and_then(epoch_of) {
                epochs.push((number, entry.path()));
            }
        }
        epochs.sort_unstable();
        Ok(epochs)
    }

    /// `weights/last.state.safetensors`: all that exact resume needs.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.weights().join(STATE)
    }

    /// `weights/previous.state.safetensors`: the state of the save before.
    #[must_use]
    pub fn previous_state(&self) -> PathBuf {
        self.weights().join(PREVIOUS)
    }
}
