//! `run.json`: where a run comes from and how far it came; and the order in which runs began.

use std::path::{Path, PathBuf};

use loc_data::SkippedPhotos;
use loc_data::split::SplitSource;
use serde::{Deserialize, Serialize};

use crate::config::{Config, ConfigSource};
use crate::error::{RunError, TrainError};
use crate::run::atomic_file;
use crate::run::dir::Run;

/// Schema of `run.json`.
pub(crate) const SCHEMA: &str = "loc.run/1";

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

impl Run {
    /// The run under `project` that began last, by the numbers that runs get.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] if there is none.
    pub fn latest(project: &Path) -> Result<Self, TrainError> {
        match Self::all(project)?.pop() {
            Some((_, run)) => Ok(run),
            None => Err(TrainError::run(project, RunError::NoRun)),
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
            (a.number, a.started, run_a.path()).cmp(&(b.number, b.started, run_b.path()))
        });
        Ok(all)
    }

    /// The number of a run that begins under `project` now.
    pub(crate) fn next_number(project: &Path) -> Result<u64, TrainError> {
        Ok(Self::all(project)?.last().map_or(0, |(json, _)| json.number) + 1)
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
        let fail = |kind| TrainError::run(self.json(), kind);
        let json: RunJson = serde_json::from_str(&text).map_err(|e| fail(RunError::Json(e)))?;
        match json.schema == SCHEMA {
            true => Ok(json),
            false => Err(fail(RunError::Schema { found: json.schema, expected: SCHEMA })),
        }
    }

    pub(crate) fn write_json(&self, json: &RunJson) -> Result<(), TrainError> {
        let text = serde_json::to_string_pretty(json)
            .map_err(|e| TrainError::run(self.json(), RunError::Json(e)))?;
        atomic_file::replace(&self.json(), format!("{text}\n").as_bytes())
    }

    pub(crate) fn write_config(&self, config: &Config) -> Result<(), TrainError> {
        let text = toml::to_string(config).map_err(|e| TrainError::run(self.config(), RunError::Toml(e)))?;
        let head = "# Every value of this run. Given as the configuration, this file repeats the run.\n";
        atomic_file::replace(&self.config(), format!("{head}{text}").as_bytes())
    }

    /// The configuration of the run, with the values of other sources over it.
    ///
    /// # Errors
    ///
    /// As [`Config::resolve`]; [`TrainError::Io`] if the run's `config.toml` cannot be read.
    pub fn read_config(&self, overrides: &[ConfigSource]) -> Result<Config, TrainError> {
        let mut sources = vec![ConfigSource::file(&self.config())?];
        sources.extend_from_slice(overrides);
        Ok(Config::resolve(None, &sources)?.config)
    }
}
