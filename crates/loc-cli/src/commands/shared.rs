//! What several verbs do alike: the thread pool, reading a model, writing a file.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use loc_data::{Dataset, LeftOut, Opened, ReadOptions, summary};
use loc_net::{Network, Weights};
use loc_train::{Config, ModelFile};

use crate::args::{ReadingArgs, ToleranceArgs};
use crate::output::{Exit, Output, Usage};
use crate::signals::Signals;

/// Sets the number of threads that compute, this one among them; 0 leaves it to `RAYON_NUM_THREADS`, else one a core.
pub(super) fn use_threads(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .use_current_thread()
        .build_global()
        .map_err(|e| Usage(format!("--threads {threads}: {e}")).into())
}

/// How the flags read a data set.
pub(super) fn read_options(args: &ReadingArgs, tolerance: ToleranceArgs) -> Result<ReadOptions> {
    let mut config =
        Config { classes: args.classes.clone(), data_format: args.data_format.clone(), ..Config::default() };
    if let Some(objects) = &args.objects {
        config.objects.clone_from(objects);
    }
    config.group_by.clone_from(&args.group_by);
    config.encoding.clone_from(&args.encoding);
    config.exif.clone_from(&args.exif);
    (config.skip_bad, config.strict) = (tolerance.skip_bad, tolerance.strict);
    Ok(loc_train::read_options(&config)?)
}

/// Opens a data set as the flags say. What was found goes to stderr; with it the exit code of a command that succeeds.
pub(super) fn open(data: &Path, options: &ReadOptions, output: &Output) -> Result<(Dataset, Exit)> {
    let Opened { dataset, warnings, left_out } = Dataset::open_with_findings(data, options)?;
    for line in summary(&warnings) {
        output.warn(&line);
    }
    warn_left_out(&left_out, output);
    Ok((dataset, if left_out.on_request() { Exit::Partly } else { Exit::Ok }))
}

/// Says what was left out, and why.
pub(super) fn warn_left_out(left_out: &LeftOut, output: &Output) {
    let lines = left_out.summary();
    if !lines.is_empty() {
        output.warn(&lines.join("\n  "));
    }
}

/// A model file, taken apart and checked.
pub(super) struct Model {
    pub(super) file: ModelFile,
    pub(super) network: Network,
    pub(super) weights: Weights,
    /// The metadata as it stands in the file.
    pub(super) json: String,
}

impl Model {
    pub(super) fn load(path: &Path) -> Result<Self> {
        let found = loc_model::weights::load(path)?;
        let json = found.metadata.ok_or_else(|| {
            anyhow!(
                "{}: says nothing of its classes and input (hint: `loc import` makes a model of it)",
                path.display()
            )
        })?;
        let at = || path.display().to_string();
        let file = ModelFile::from_json(&json).with_context(at)?;
        let network = file.build().with_context(at)?;
        found.weights.check(&network).with_context(at)?;
        Ok(Self { file, network, weights: found.weights, json })
    }
}

/// Writes a file whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = atomic_write_file::AtomicWriteFile::open(path)?;
        file.write_all(bytes)?;
        file.commit()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// A training that was stopped before its first step ended as it was told to.
pub(super) fn or_stopped(result: Result<Exit>, signals: &Signals, output: &Output) -> Result<Exit> {
    match result {
        Err(error) if matches!(error.downcast_ref(), Some(loc_train::TrainError::Stopped)) => {
            output.note(&error.to_string());
            Ok(signals.came().map_or(Exit::Failed, Exit::Signal))
        }
        result => result,
    }
}
