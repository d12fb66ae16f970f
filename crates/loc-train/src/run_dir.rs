//! The run folder: what lies in it and where. A run folder alone is enough to repeat or to report a run.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use loc_data::SkippedPhotos;
use loc_data::split::SplitSource;
use serde::{Deserialize, Serialize};

use crate::lock::Lock;
use crate::{Config, TrainError, disk, record, reuse};

/// A run folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    path: PathBuf,
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It trains, or was killed while it did.
    Running,
    /// All epochs are done.
    Finished,
    /// No better epoch came for as long as it was to wait.
    EarlyStopped,
    /// A stop was asked for; it can be resumed.
    Interrupted,
    /// It ended with an error.
    Failed,
}

/// Where a run comes from: what only the program that starts it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Threads that compute.
    pub threads: usize,
}

/// `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunJson {
    pub(crate) schema: String,
    pub(crate) status: Status,
    pub(crate) versions: Versions,
    pub(crate) machine: Machine,
    pub(crate) threads: usize,
    pub(crate) arguments: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) dataset: DatasetJson,
    pub(crate) classes: Vec<String>,
    /// Seconds since 1970.
    pub(crate) started: u64,
    /// 1 more than any other run beside it had when it began: clocks can jump back.
    #[serde(default)]
    pub(crate) number: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) loc: String,
    pub(crate) model_format: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) os: String,
    pub(crate) arch: String,
    pub(crate) cores: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DatasetJson {
    pub(crate) path: PathBuf,
    pub(crate) digest: String,
    pub(crate) train: usize,
    pub(crate) val: usize,
    /// Where the split comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) split: Option<SplitSource>,
    /// Photos that could not be used.
    #[serde(default)]
    pub(crate) left_out: LeftOutJson,
}

/// What was left out of the data set, and why.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct LeftOutJson {
    /// How many photos.
    pub(crate) photos: usize,
    /// The errors, at most a thousand: `file:line: what`.
    pub(crate) errors: Vec<String>,
}

impl LeftOutJson {
    pub(crate) fn of(left_out: &SkippedPhotos) -> Self {
        const MOST: usize = 1000;
        let errors = left_out.diagnostics.iter().take(MOST).map(ToString::to_string).collect();
        Self { photos: left_out.photos, errors }
    }
}

impl Machine {
    pub(crate) fn this() -> Self {
        Self {
            os: std::env::consts::OS.into(),
            arch: std::env::consts::ARCH.into(),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
        }
    }
}

/// Schema of `run.json`.
pub(crate) const SCHEMA: &str = "loc.run/1";

const CONFIG: &str = "config.toml";
const JSON: &str = "run.json";
const SPLIT: &str = "split.csv";
const RESULTS: &str = "results.csv";
const BEST: &str = "best.safetensors";
const LAST: &str = "last.safetensors";
const STATE: &str = "last.state.safetensors";
const PREVIOUS: &str = "previous.state.safetensors";

/// The files of a run, in its folder: all that is ever written there, and removed from there, beside the lock.
pub(crate) const FILES: &[&str] = &[CONFIG, JSON, SPLIT, RESULTS];
/// Likewise in `weights`, beside the epochs' model files.
pub(crate) const WEIGHTS: &[&str] = &[BEST, LAST, STATE, PREVIOUS];

fn name_of(epoch: usize) -> String {
    format!("epoch-{epoch:03}.safetensors")
}

/// The epoch of a model file's name.
fn epoch_of(name: &str) -> Option<usize> {
    let epoch = name.strip_prefix("epoch-")?.strip_suffix(".safetensors")?.parse().ok()?;
    (name_of(epoch) == name).then_some(epoch)
}

/// Whether a file is called like an epoch's model.
pub(crate) fn is_epoch(name: &str) -> bool {
    epoch_of(name).is_some()
}

/// Seconds since 1970; 0 where the clock stands before.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl Run {
    /// The run that lies, or is to lie, in a folder.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder `project/name`.
    fn named(project: &Path, name: &str) -> Result<PathBuf, TrainError> {
        if Path::new(name).components().count() != 1 || name.starts_with('.') {
            return Err(TrainError::Config {
                origin: format!("--name {name}"),
                reason: "the name of a run is one folder's name (hint: `--project` takes the folders above)"
                    .into(),
            });
        }
        Ok(project.join(name))
    }

    /// The files that a new run would remove from the folder `project/name` to use it again; none where it is empty or not
    /// there. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] if anything but one run of ours lies there.
    pub fn removable(project: &Path, name: &str) -> Result<Vec<PathBuf>, TrainError> {
        reuse::removable(&Self::named(project, name)?)
    }

    /// Makes the folder `project/name`, or `name2`, `name3`, … where that is taken. With `exist_ok` the folder is used
    /// again, and the run in it is removed.
    pub(crate) fn create(project: &Path, name: &str, exist_ok: bool) -> Result<(Self, Lock), TrainError> {
        let first = Self::named(project, name)?;
        fs_err::create_dir_all(project)?;
        for number in 1.. {
            let path = if number == 1 { first.clone() } else { project.join(format!("{name}{number}")) };
            match fs_err::create_dir(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && !exist_ok => {}
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e.into()),
                _ => {
                    let run = Self { path };
                    let lock = reuse::take(&run)?;
                    fs_err::create_dir_all(run.weights())?;
                    return Ok((run, lock));
                }
            }
        }
        unreachable!("there are more numbers than folders")
    }

    /// Removes the temporaries that a killed process left.
    pub(crate) fn sweep(&self) -> Result<(), TrainError> {
        disk::sweep(&self.path, |name| FILES.contains(&name))?;
        disk::sweep(&self.weights(), |name| WEIGHTS.contains(&name) || is_epoch(name))
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
        let reason =
            "is not a run folder: it has no config.toml (hint: run folders are in runs/train)".into();
        Err(TrainError::Run { path: run.path, reason })
    }

    /// The run that a path means: its folder, or anything in it or in its `weights`.
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

    /// The run under `project` that began last, by the numbers that runs get.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] if there is none.
    pub fn latest(project: &Path) -> Result<Self, TrainError> {
        match Self::all(project)?.pop() {
            Some((_, run)) => Ok(run),
            None => {
                Err(TrainError::Run { path: project.to_owned(), reason: "holds no run to resume".into() })
            }
        }
    }

    /// The runs under `project`, the one that began last at the end.
    fn all(project: &Path) -> Result<Vec<(RunJson, Self)>, TrainError> {
        let mut all = Vec::new();
        if project.is_dir() {
            for entry in fs_err::read_dir(project)? {
                if let Ok(run) = Self::open(entry?.path())
                    && let Ok(json) = run.read_json()
                {
                    all.push((json, run));
                }
            }
        }
        all.sort_by(|(a, run_a), (b, run_b)| {
            (a.number, a.started, &run_a.path).cmp(&(b.number, b.started, &run_b.path))
        });
        Ok(all)
    }

    /// The number of a run that begins under `project` now.
    pub(crate) fn next_number(project: &Path) -> Result<u64, TrainError> {
        Ok(Self::all(project)?.last().map_or(0, |(json, _)| json.number) + 1)
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

    /// The files of the run that are there.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let own = FILES.iter().map(|name| self.path.join(name));
        let weights = WEIGHTS.iter().map(|name| self.weights().join(name));
        let epochs = self.epochs().unwrap_or_default().into_iter().map(|(_, path)| path);
        own.chain(weights).filter(|path| path.is_file()).chain(epochs).collect()
    }

    /// The epochs' model files that are there, the newest at the end.
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

    /// The rows of `results.csv`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] if the file is there and cannot be read.
    pub fn rows(&self) -> Result<Vec<record::Row>, TrainError> {
        record::read(&self.results())
    }

    /// How far the run came, as `run.json` says.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if the file cannot be read.
    pub fn status(&self) -> Result<Status, TrainError> {
        Ok(self.read_json()?.status)
    }

    pub(crate) fn read_json(&self) -> Result<RunJson, TrainError> {
        let text = fs_err::read_to_string(self.json())?;
        let fail = |reason: String| TrainError::Run { path: self.json(), reason };
        let json: RunJson = serde_json::from_str(&text).map_err(|e| fail(e.to_string()))?;
        match json.schema == SCHEMA {
            true => Ok(json),
            false => Err(fail(format!(
                "is of the schema {:?}, not {SCHEMA} (hint: which program wrote it?)",
                json.schema
            ))),
        }
    }

    pub(crate) fn write_json(&self, json: &RunJson) -> Result<(), TrainError> {
        let text = serde_json::to_string_pretty(json)
            .map_err(|e| TrainError::Run { path: self.json(), reason: e.to_string() })?;
        disk::replace(&self.json(), format!("{text}\n").as_bytes())
    }

    pub(crate) fn write_config(&self, config: &Config) -> Result<(), TrainError> {
        let text = toml::to_string(config)
            .map_err(|e| TrainError::Run { path: self.config(), reason: e.to_string() })?;
        let head = "# Every value of this run. `loc train --config` on this file repeats it.\n";
        disk::replace(&self.config(), format!("{head}{text}").as_bytes())
    }
}
