//! What several verbs do alike: the thread pool, how a data set is read, a training that is stopped.

use anyhow::Result;
use loc_data::ReadOptions;
use loc_train::Config;

use crate::args::ReadingArgs;
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
pub(super) fn read_options(args: &ReadingArgs) -> Result<ReadOptions> {
    let mut config =
        Config { classes: args.classes.clone(), data_format: args.data_format.clone(), ..Config::default() };
    if let Some(objects) = &args.objects {
        config.objects.clone_from(objects);
    }
    Ok(loc_train::read_options(&config)?)
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
