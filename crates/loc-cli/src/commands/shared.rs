//! Shared by several commands: the thread pool, reading a data set, stopped trainings.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use loc_data::{Dataset, OpenedDataset, ReadOptions, ReadProgress, SkippedPhotos, summary};
use loc_train::Config;

use crate::args::{ReadingArgs, ToleranceArgs};
use crate::output::{Exit, Output, Usage};
use crate::remedy::with_flags;
use crate::signals::Signals;

/// Sets the number of computing threads, including this one; 0 for `RAYON_NUM_THREADS`, or else one per core.
pub(super) fn use_threads(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .use_current_thread()
        .build_global()
        .map_err(|e| Usage(format!("--threads {threads}: {e}")).into())
}

/// The options for reading a data set from the flags.
pub(super) fn read_options(args: &ReadingArgs, tolerance: ToleranceArgs) -> Result<ReadOptions> {
    Ok(loc_train::read_options(&reading(Config::default(), args, tolerance))?)
}

/// A configuration that reads a data set as the flags say.
pub(super) fn reading(mut config: Config, args: &ReadingArgs, tolerance: ToleranceArgs) -> Config {
    config.classes.clone_from(&args.classes);
    config.data_format.clone_from(&args.data_format);
    if let Some(objects) = &args.objects {
        config.objects.clone_from(objects);
    }
    config.unlabelled.clone_from(&args.unlabelled);
    config.group_by.clone_from(&args.group_by);
    config.encoding.clone_from(&args.encoding);
    config.exif.clone_from(&args.exif);
    config.columns.clone_from(&args.columns);
    config.class.clone_from(&args.class);
    (config.skip_bad, config.strict) = (tolerance.skip_bad, tolerance.strict);
    config
}

/// Shows a bar while a large data set is read, if bars can be shown.
pub(super) fn reading_bar(output: &Output) -> ReadProgress {
    const MANY: usize = 1000;
    if !output.bars {
        return ReadProgress::default();
    }
    let bar = OnceLock::new();
    ReadProgress::new(move |done, of| {
        if of < MANY {
            return;
        }
        let bar = bar.get_or_init(|| {
            let bar = ProgressBar::with_draw_target(Some(of as u64), ProgressDrawTarget::stderr());
            match ProgressStyle::with_template("reading photos {wide_bar} {pos}/{len} {eta}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        bar.set_position(bar.position().max(done as u64));
        if done == of {
            bar.finish_and_clear();
        }
    })
}

/// Opens a data set with the options of the flags, and prints warnings. Also returns the exit code for success.
pub(super) fn open(data: &Path, options: &ReadOptions, output: &Output) -> Result<(Dataset, Exit)> {
    let options = &ReadOptions { progress: reading_bar(output), ..options.clone() };
    let OpenedDataset { dataset, warnings, skipped, .. } = Dataset::open_with_report(data, options)?;
    for line in summary(&with_flags(warnings)) {
        output.warn(&line);
    }
    let by_skip_any = skipped.by_skip_any();
    warn_skipped(skipped, output);
    Ok((dataset, if by_skip_any { Exit::Partly } else { Exit::Ok }))
}

/// Warns of skipped photos.
pub(super) fn warn_skipped(mut skipped: SkippedPhotos, output: &Output) {
    skipped.diagnostics = with_flags(skipped.diagnostics);
    let lines = skipped.summary();
    if !lines.is_empty() {
        output.warn(&lines.join("\n  "));
    }
}

/// Turns the error of a training that was stopped before its first step into the exit code of the signal.
pub(super) fn or_stopped(result: Result<Exit>, signals: &Signals, output: &Output) -> Result<Exit> {
    match result {
        Err(error) if matches!(error.downcast_ref(), Some(loc_train::TrainError::Stopped)) => {
            output.note(&crate::remedy::explain(&error));
            Ok(signals.came().map_or(Exit::Failed, Exit::Signal))
        }
        result => result,
    }
}
