//! `run.json`: origin and status of a run; and the order in which runs were started.

use std::path::{Path, PathBuf};

use loc_data::SkippedPhotos;
use loc_data::split::SplitSource;
use loc_net::Level;
use serde::{Deserialize, Serialize};

use crate::config::{Config, ConfigSource};
use crate::error::{RunError, TrainError};
use crate::run::atomic_file;
use crate::run::dir::Run;

/// Schema of `run.json`.
pub(crate) const SCHEMA: &str = "loc.run/1";

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// In training, or killed during it.
    Running,
    /// All epochs are done.
    Finished,
    /// No better epoch within `patience`.
    EarlyStopped,
    /// Stopped on request; it can be resumed.
    Interrupted,
    /// It ended with an error.
    Failed,
}

/// The origin of a run, as the program that starts it knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Threads that compute.
    pub threads: usize,
    /// Which recipe `auto` took and why, if it was to choose one.
    pub recipe_choice: Option<String>,
}

/// `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunJson {
    pub(crate) schema: String,
    pub(crate) status: Status,
    pub(crate) versions: Versions,
    pub(crate) machine: Machine,
    pub(crate) threads: usize,
    /// The processes that train together, or did so last; none for a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) processes: Option<usize>,
    pub(crate) arguments: Vec<String>,
    /// Which recipe `auto` took and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recipe_choice: Option<String>,
    pub(crate) seed: u64,
    pub(crate) dataset: DatasetJson,
    pub(crate) classes: Vec<String>,
    /// Seconds since 1970.
    pub(crate) started: u64,
    /// 1 more than that of any other run in the project when it started: unlike the time, it never goes back.
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
    /// The instruction set of the kernels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) isa: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DatasetJson {
    pub(crate) path: PathBuf,
    pub(crate) digest: String,
    /// The annotations' format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<String>,
    pub(crate) train: usize,
    pub(crate) val: usize,
    /// Where the split comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) split: Option<SplitSource>,
    /// Invalid photos that were skipped.
    #[serde(default)]
    pub(crate) left_out: LeftOutJson,
}

/// Photos that were skipped, and why.
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
            isa: Some(Level::current().name().into()),
        }
    }
}

impl Run {
    /// Returns the run under `project` that was started last, by the runs' numbers.
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

    /// Returns the runs under `project` in the order in which they were started.
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

    /// Returns the number of the next run under `project`.
    pub(crate) fn next_number(project: &Path) -> Result<u64, TrainError> {
        Ok(Self::all(project)?.last().map_or(0, |(json, _)| json.number) + 1)
    }

    /// Returns the run's status, from `run.json`.
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

    pub(crate) fn write_config(&self, config: &Config, choice: Option<&str>) -> Result<(), TrainError> {
        let text = toml::to_string(config).map_err(|e| TrainError::run(self.config(), RunError::Toml(e)))?;
        let mut head =
            "# Every value of this run. Given as the configuration, this file repeats the run.\n".to_owned();
        for line in choice.into_iter().flat_map(str::lines) {
            head += &format!("# {line}\n");
        }
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
