//! The second run of the recipe `auto`: where frozen features do not tell the classes apart, backbone and head are trained
//! together, from the head of the first run.

use std::time::Duration;

use anyhow::Result;
use loc_train::{Config, ConfigSource, Evaluation, Outcome, Status};

/// What follows the first run.
pub(super) enum SecondRun {
    /// Nothing: the features are good enough, or it was stopped.
    None,
    /// Too little time is left: the command that would train it.
    Advice(String),
    /// This training, in so much time, if there is a limit.
    Train(Box<Config>, Option<Duration>),
}

/// Decides what follows a run with this configuration, which took so much of the time that all may take. `sources` are
/// what the first one was configured with.
///
/// # Errors
///
/// Those of a configuration.
pub(super) fn after(
    outcome: &Outcome,
    first: &Config,
    sources: &[ConfigSource],
    (took, time): (Duration, Option<Duration>),
) -> Result<SecondRun> {
    let falls_short = outcome.features.is_some_and(|features| features.falls_short);
    if !falls_short || outcome.status == Status::Interrupted {
        return Ok(SecondRun::None);
    }
    let network = of_network(first)?;
    let left = time.map(|time| time.saturating_sub(took));
    // An epoch end to end takes as long as the features of about three copies.
    if left.is_some_and(|left| left < took) {
        let data = first.data.as_ref().map_or_else(|| "DATA".into(), |data| data.display().to_string());
        return Ok(SecondRun::Advice(format!(
            "loc train --data {data} --recipe finetune --init {}{}",
            outcome.run.path().display(),
            network.iter().map(|(key, value)| format!(" --set {key}={value}")).collect::<String>()
        )));
    }
    let last = outcome.run.last().display().to_string();
    let init = [("init", last)].into_iter().chain(network);
    let of_first: Vec<ConfigSource> =
        init.map(|(key, value)| ConfigSource::value("auto", key, &value)).collect();
    let resolved = Config::resolve(Some("finetune"), &[sources, &of_first].concat())?;
    Ok(SecondRun::Train(Box::new(resolved.config), left))
}

/// One line: what the second run gained on the same validation photos.
pub(super) fn gain(before: &Evaluation, after: &Evaluation) -> String {
    let of = |name: &str, [before, after]: [Option<f64>; 2]| match before.zip(after) {
        Some((before, after)) => format!("{name} {before:.3} → {after:.3} ({:+.3})", after - before),
        None => format!("{name} n/a"),
    };
    format!(
        "what the second run gained over the first: {}, {}, {}",
        of("accuracy", [before.accuracy, after.accuracy]),
        of("mean IoU", [before.mean_iou, after.mean_iou]),
        of("IoU ≥ 0.75", [before.iou75, after.iou75])
    )
}

/// The keys that the second run's network has from the first, and their values.
fn of_network(first: &Config) -> Result<Vec<(&'static str, String)>> {
    let values = toml::Table::try_from(first)?;
    let keys = ["imgsz", "head", "class_features", "looks", "crop_imgsz", "crop_margin"];
    let value = |key: &'static str| {
        let value = values.get(key)?;
        Some((key, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    };
    Ok(keys.into_iter().filter_map(value).collect())
}
