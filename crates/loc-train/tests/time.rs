//! Tests training within a time limit: fewer epochs with their own schedule, in an ordinary run. The tests have their
//! own clock.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Fixture, last, resume_run};
use loc_train::{
    Clock, Config, ConfigSource, Event, Outcome, Provenance, RunLocation, Status, Stop, TrainOptions,
    train_with,
};

/// Returns a clock that advances by 20 ms each time it is read.
fn clock() -> Clock {
    let reads = AtomicU64::new(0);
    Clock::of(move || Duration::from_millis(20 * reads.fetch_add(1, Ordering::SeqCst)))
}

fn train(
    fixture: &Fixture,
    name: &str,
    config: &Config,
    time: Option<u64>,
    on: &mut dyn FnMut(&Event, &Stop),
) -> Outcome {
    let options =
        TrainOptions { time: time.map(Duration::from_millis), clock: clock(), ..Default::default() };
    let provenance = Provenance { version: "0".into(), threads: 2, ..Provenance::default() };
    let (stop, project) = (Stop::default(), fixture.path("runs"));
    let location = RunLocation { project: &project, name, exist_ok: false };
    train_with(config, &options, location, &provenance, &stop, &mut |e| on(&e, &stop)).unwrap()
}

#[test]
fn a_run_with_a_time_limit_is_an_ordinary_run_of_fewer_epochs() {
    let fixture = Fixture::new();
    let keys = [("epochs", "60"), ("schedule", "cosine"), ("warmup", "3"), ("ema_decay", "0.9")];
    let config = fixture.config(&keys);
    let mut notes = Vec::new();
    let bounded = train(&fixture, "bounded", &config, Some(1500), &mut |event, _| {
        if let Event::Note(text) = event {
            notes.push(text.clone());
        }
    });
    let source = ConfigSource::file(&bounded.run.config()).unwrap();
    let written = Config::resolve(None, &[source]).unwrap().config;
    assert!((2..20).contains(&written.epochs), "{} epochs", written.epochs);
    assert!(written.warmup <= written.epochs as f64 / 4.0, "{written:?}");
    assert_eq!(bounded.run.rows().unwrap().len(), written.epochs);
    assert!(bounded.run.rows().unwrap().last().unwrap().lr < 0.2 * config.lr, "the schedule has ended");
    assert!(notes.iter().any(|note| note.contains(&format!("{} of 60 epochs", written.epochs))), "{notes:?}");

    let again = train(&fixture, "again", &written, None, &mut |_, _| {});
    assert!(last(&again.run) == last(&bounded.run), "a run repeated from its config.toml has other bytes");

    let stopped = train(&fixture, "stopped", &config, Some(1500), &mut |event, stop| {
        if matches!(event, Event::Step { epoch: 2, step: 2, .. }) {
            stop.request();
        }
    });
    assert_eq!(stopped.status, Status::Interrupted);
    resume_run(&stopped.run, &[]).unwrap();
    assert!(last(&stopped.run) == last(&bounded.run), "the resumed run has other bytes");

    let enough = train(&fixture, "enough", &fixture.config(&[]), Some(3_600_000), &mut |_, _| {});
    assert_eq!(enough.run.rows().unwrap().len(), 2, "no more epochs than the recipe's");
}

#[test]
fn the_remaining_time_is_reported_once() {
    let fixture = Fixture::new();
    let mut events = 0;
    train(&fixture, "events", &fixture.config(&[("epochs", "4")]), None, &mut |event, _| {
        events += usize::from(matches!(event, Event::TimeLeft(_)));
    });
    assert_eq!(events, 1);
}
