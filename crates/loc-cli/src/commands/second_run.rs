//! The second run of the recipe `auto`: where frozen features do not tell the classes apart, backbone and head are trained
//! together, from the head of the first run.

use std::time::Duration;

use anyhow::Result;
use loc_train::{Config, ConfigSource, Outcome, Status};

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
    let head = toml::Value::try_from(first.head)?.as_str().unwrap_or_default().to_owned();
    let imgsz = first.imgsz.to_string();
    let left = time.map(|time| time.saturating_sub(took));
    // An epoch end to end takes as long as the features of about three copies.
    if left.is_some_and(|left| left < took) {
        let data = first.data.as_ref().map_or_else(|| "DATA".into(), |data| data.display().to_string());
        return Ok(SecondRun::Advice(format!(
            "loc train --data {data} --recipe finetune --init {} --imgsz {imgsz} --set head={head}",
            outcome.run.path().display()
        )));
    }
    let last = outcome.run.last().display().to_string();
    let of_first = [("init", last.as_str()), ("imgsz", &imgsz), ("head", &head)];
    let of_first = of_first.map(|(key, value)| ConfigSource::value("auto", key, value));
    let resolved = Config::resolve(Some("finetune"), &[sources, &of_first].concat())?;
    Ok(SecondRun::Train(Box::new(resolved.config), left))
}
