//! A few drawn photos, and short trainings on them.

#![allow(dead_code, reason = "each test file uses only some of it")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

pub(crate) mod lite0;
pub(crate) mod threads;

use std::path::PathBuf;

use loc_model::init::{self, Scheme};
use loc_net::{Backbone, Head, InputShape, NetworkConfig, Normalization, Weight, Weights};
use loc_train::{
    Config, ConfigSource, Event, Outcome, Processes, Provenance, ResumeOptions, Run, RunLocation, Stop,
    TrainError, TrainOptions, resume, train, train_with,
};

/// The number of photos in the data set: few, so that an epoch is short.
pub(crate) const PHOTOS: usize = 15;

pub(crate) struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        loc_data::shapes::generate(&folder.path().join("shapes"), PHOTOS, 1).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a configuration with two epochs of three steps, and an optimizer with a state.
    pub(crate) fn config(&self, overrides: &[(&str, &str)]) -> Config {
        let data = self.path("shapes").display().to_string();
        let base = [("data", data.as_str()), ("imgsz", "188"), ("epochs", "2"), ("batch", "4")];
        let layers: Vec<ConfigSource> = base
            .iter()
            .chain(overrides)
            .map(|(key, value)| ConfigSource::value(format!("--{key}"), key, value))
            .collect();
        Config::resolve(Some("scratch"), &layers).unwrap().config
    }

    pub(crate) fn train(&self, name: &str, overrides: &[(&str, &str)]) -> Result<Outcome, TrainError> {
        self.train_until(name, overrides, &mut |_, _| {})
    }

    /// Trains, and calls `on` with each event and the stop flag.
    pub(crate) fn train_until(
        &self,
        name: &str,
        overrides: &[(&str, &str)],
        on: &mut dyn FnMut(&Event, &Stop),
    ) -> Result<Outcome, TrainError> {
        let provenance = Provenance {
            version: "0".into(),
            arguments: vec!["train".into()],
            threads: 2,
            ..Default::default()
        };
        let (stop, project) = (Stop::default(), self.path("runs"));
        let location = RunLocation { project: &project, name, exist_ok: false };
        train(&self.config(overrides), location, &provenance, &stop, &mut |e| on(&e, &stop))
    }

    /// Trains on each of some processes.
    pub(crate) fn train_on(
        &self,
        processes: Processes,
        name: &str,
        overrides: &[(&str, &str)],
        on: &mut dyn FnMut(&Event, &Stop),
    ) -> Result<Outcome, TrainError> {
        let provenance =
            Provenance { version: "0".into(), arguments: Vec::new(), threads: 2, ..Default::default() };
        let (stop, project) = (Stop::default(), self.path("runs"));
        let options = TrainOptions { processes, ..TrainOptions::default() };
        let location = RunLocation { project: &project, name, exist_ok: false };
        let config = self.config(overrides);
        train_with(&config, &options, location, &provenance, &stop, &mut |e| on(&e, &stop))
    }
}

/// Returns random weights under EfficientNet-Lite0's names; the batch normalisation is the identity.
pub(crate) fn state_dict() -> Weights {
    let config = NetworkConfig::new(InputShape { height: 64, width: 64 }, 2, Backbone::Lite0, Head::Edges);
    let network = config.build(&Normalization::IDENTITY).unwrap();
    let mut state = Weights::default();
    for (name, weight) in init::weights(&network, Scheme::He, 5).0 {
        let Some(name) = name.strip_suffix(".weight").filter(|_| weight.shape.len() == 4) else { continue };
        let (conv, norm) = match name.split_once('.') {
            None if name == "stem" => ("_conv_stem".to_owned(), "_bn0".to_owned()),
            None if name == "top" => ("_conv_head".to_owned(), "_bn1".to_owned()),
            None => continue,
            Some((block, part)) => {
                let block = format!("_blocks.{}", block.strip_prefix("block").unwrap());
                let n = ["expand", "depthwise", "project"].iter().position(|p| *p == part).unwrap();
                (format!("{block}._{part}_conv"), format!("{block}._bn{n}"))
            }
        };
        let channels = weight.shape[0];
        for (what, value) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 0.999)] {
            let data = vec![value; channels];
            state.0.insert(format!("{norm}.{what}"), Weight { shape: vec![channels], data });
        }
        state.0.insert(format!("{conv}.weight"), weight);
    }
    state
}

/// Returns an error's message with its sources and its remedy.
pub(crate) fn full_message(error: &TrainError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    format!("{text} {:?}", error.remedy())
}

pub(crate) fn last(run: &Run) -> Vec<u8> {
    fs_err::read(run.last()).unwrap()
}

pub(crate) fn resume_run(run: &Run, overrides: &[(&str, &str)]) -> Result<Outcome, TrainError> {
    let layers: Vec<ConfigSource> =
        overrides.iter().map(|(key, value)| ConfigSource::value(format!("--{key}"), key, value)).collect();
    resume(run.clone(), &layers, ResumeOptions::default(), &Stop::default(), &mut |_| {})
}

/// Trains, and stops after `stop_at` steps.
pub(crate) fn stop_after(fixture: &Fixture, name: &str, overrides: &[(&str, &str)], stop_at: usize) -> Run {
    let mut steps = 0;
    let stopped = fixture.train_until(name, overrides, &mut |event, stop| {
        if matches!(event, Event::Step { .. }) {
            steps += 1;
            if steps == stop_at {
                stop.request();
            }
        }
    });
    let stopped = stopped.unwrap();
    assert_eq!(stopped.status, loc_train::Status::Interrupted, "stopped at step {stop_at}");
    stopped.run
}

/// Resumes a run and returns the warnings, too.
pub(crate) fn resume_with_warnings(run: &Run) -> Result<(Outcome, Vec<String>), TrainError> {
    let mut warnings = Vec::new();
    let outcome = resume(run.clone(), &[], ResumeOptions::default(), &Stop::default(), &mut |event| {
        if let Event::Warning(text) = event {
            warnings.push(text);
        }
    })?;
    Ok((outcome, warnings))
}
