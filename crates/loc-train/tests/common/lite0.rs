//! Drawn photos with random weights of EfficientNet-Lite0, and short trainings on them.

#![allow(dead_code, reason = "each test file uses only some of it")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::PathBuf;

use loc_train::{
    Config, ConfigSource, Event, Outcome, Provenance, RunLocation, Stop, TrainError, TrainOptions, train_with,
};

use super::state_dict;

/// Drawn photos, and random weights of EfficientNet-Lite0.
pub(crate) struct Lite0Fixture {
    folder: tempfile::TempDir,
}

impl Lite0Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        loc_data::shapes::generate(&folder.path().join("shapes"), 15, 1).unwrap();
        let bytes = loc_model::weights::to_bytes(&state_dict(), None).unwrap();
        fs_err::write(folder.path().join("efficientnet-lite0.safetensors"), bytes).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn train(
        &self,
        name: &str,
        recipe: &str,
        weights: &str,
        on: &mut dyn FnMut(&Event, &Stop),
    ) -> Result<Outcome, TrainError> {
        self.train_with(name, recipe, weights, &[("epochs", "2"), ("batch", "4"), ("copies", "2")], on)
    }

    pub(crate) fn train_with(
        &self,
        name: &str,
        recipe: &str,
        weights: &str,
        more: &[(&str, &str)],
        on: &mut dyn FnMut(&Event, &Stop),
    ) -> Result<Outcome, TrainError> {
        self.train_as(name, &self.config(recipe, weights, more)?, &TrainOptions::default(), on)
    }

    pub(crate) fn config(
        &self,
        recipe: &str,
        weights: &str,
        more: &[(&str, &str)],
    ) -> Result<Config, TrainError> {
        let (data, weights) =
            (self.path("shapes").display().to_string(), self.path(weights).display().to_string());
        let values =
            [("data", data.as_str()), ("backbone_weights", &weights), ("imgsz", "64"), ("looks", "1")];
        let layers: Vec<ConfigSource> = values
            .iter()
            .chain(more)
            .map(|(key, value)| ConfigSource::value(format!("--{key}"), key, value))
            .collect();
        Ok(Config::resolve(Some(recipe), &layers)?.config)
    }

    pub(crate) fn train_as(
        &self,
        name: &str,
        config: &Config,
        options: &TrainOptions,
        on: &mut dyn FnMut(&Event, &Stop),
    ) -> Result<Outcome, TrainError> {
        let provenance =
            Provenance { version: "0".into(), arguments: Vec::new(), threads: 2, ..Default::default() };
        let (stop, project) = (Stop::default(), self.path("runs"));
        let location = RunLocation { project: &project, name, exist_ok: false };
        train_with(config, options, location, &provenance, &stop, &mut |e| on(&e, &stop))
    }
}
