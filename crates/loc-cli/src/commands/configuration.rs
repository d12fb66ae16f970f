//! The configuration of a training from the command line, the environment and files.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};
use loc_train::{AutoChoice, AutoReason, Config, ConfigSource};

use super::{model, weights};
use crate::args::ConfigArgs;
use crate::output::Output;

/// The file in the current folder that is read without being given.
const LOCAL_CONFIG: &str = "loc.toml";

/// A configuration, and the file that was read for it.
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) file: Option<PathBuf>,
    /// The recipe that `auto` took.
    pub(super) auto: Option<AutoChoice>,
    /// The file, the environment and the flags, the later over the earlier.
    pub(super) sources: Vec<ConfigSource>,
}

/// Resolves the configuration of the recipe, the file, the environment and the flags, the later over the earlier.
pub(super) fn configuration(args: &ConfigArgs, output: &Output) -> Result<Settings> {
    let mut sources = Vec::new();
    let local = Some(PathBuf::from(LOCAL_CONFIG)).filter(|path| args.config.is_none() && path.is_file());
    if local.is_some() {
        output.note(&format!("settings are read from {LOCAL_CONFIG} in the current folder"));
    }
    let file = args.config.clone().or(local);
    if let Some(path) = &file {
        sources.push(ConfigSource::file(path)?);
    }
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    sources.extend(ConfigSource::environment(std::env::vars_os().filter_map(text))?);
    sources.extend(args.keys.sources()?);
    let mut resolved = Config::resolve(args.recipe.as_deref(), &sources)?;
    for renamed in &resolved.renamed {
        output.warn(&renamed.to_string());
    }
    if let Some(AutoChoice { reason: AutoReason::WeightsMissing, .. }) = resolved.auto
        && weights::offer(output)
    {
        resolved = Config::resolve(args.recipe.as_deref(), &sources)?;
    }
    if let Some(choice) = &resolved.auto {
        output.note(&choice.to_string());
    }
    let mut config = resolved.config;
    if let Some(init) = config.init.take() {
        config.init = Some(model::locate_weights(&init).context("--init")?);
    }
    if let Some(weights) = &config.backbone_weights {
        model::check_backbone(weights).context("--backbone-weights")?;
    }
    Ok(Settings { config, file, auto: resolved.auto, sources })
}
