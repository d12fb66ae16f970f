//! A run that is stopped, resumed and extended: to the bit, or refused with what differs.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Fixture, PHOTOS, go_on, last, said, stop_after};
use fs_err as fs;
use loc_train::{ConfigSource, Outcome, Run, Status, Stop, TrainError, resume};

#[test]
fn a_run_stopped_at_any_step_and_resumed_has_the_same_bytes() {
    let fixture = Fixture::new();
    let whole = fixture.train("whole", &[]).unwrap();
    for stop_at in 1..=5 {
        let stopped = stop_after(&fixture, "stopped", &[], stop_at);
        let resumed = go_on(&stopped, &[]).unwrap();
        assert_eq!(resumed.status, Status::Finished);
        assert!(
            last(&resumed.run) == last(&whole.run),
            "stopped at step {stop_at}, the model has other bytes"
        );
        let losses =
            |run: &Run| run.rows().unwrap().iter().map(|r| (r.train_loss, r.val_loss)).collect::<Vec<_>>();
        assert_eq!(losses(&resumed.run), losses(&whole.run), "stopped at step {stop_at}");
        let answers = |run: &Run| fs::read_to_string(run.predictions()).unwrap();
        assert_eq!(answers(&resumed.run), answers(&whole.run), "stopped at step {stop_at}");
        let data = |run: &Run| fs::read_to_string(run.data()).unwrap();
        assert_eq!(data(&resumed.run), data(&whole.run));
    }
}

/// Every rule that moves weights, every schedule, and all else that has a state: stopped in the middle of an epoch and
/// at its end.
#[test]
fn whatever_the_configuration_a_stopped_run_ends_in_the_same_bytes() {
    let fixture = Fixture::new();
    let cases: [(&str, &[(&str, &str)]); 15] = [
        ("sgd", &[("optimizer", "sgd")]),
        ("momentum", &[("optimizer", "sgd"), ("momentum", "0.9"), ("weight_decay", "0.01")]),
        ("nesterov", &[("optimizer", "sgd"), ("momentum", "0.9"), ("nesterov", "true")]),
        ("adamw", &[("optimizer", "adamw"), ("weight_decay", "0.05")]),
        ("constant", &[("schedule", "constant"), ("warmup", "0.0")]),
        ("step", &[("schedule", "step"), ("step_every", "1"), ("warmup", "0.5")]),
        ("cosine", &[("schedule", "cosine"), ("warmup", "1.5")]),
        ("ema_decay", &[("ema_decay", "0.9"), ("dropout", "0.0")]),
        ("a share of the beginning", &[("weight_interpolation", "0.3"), ("ema_decay", "0.9")]),
        (
            "features held where they were",
            &[("feature_distill_weight", "0.5"), ("ema_decay", "0.9"), ("dropout", "0.2")],
        ),
        (
            "a share of the beginning without average",
            &[("weight_interpolation", "0.3"), ("ema_decay", "0.0")],
        ),
        ("several passes an epoch", &[("min_steps", "5"), ("ema_decay", "0.9")]),
        ("no average", &[("ema_decay", "0.0"), ("dropout", "0.5")]),
        (
            "augment",
            &[("augment", "{ flip = 0.5, window = [0.5, 1.2], cutout = 0.5, mix = 0.5, brightness = 0.3 }")],
        ),
        (
            "still at the end",
            &[("augment", "{ flip = 0.5, window = [0.5, 1.2] }"), ("no_augment_epochs", "1")],
        ),
    ];
    for (name, overrides) in cases {
        let whole = fixture.train("whole", overrides).unwrap().run;
        for stop_at in [2, 3, 4] {
            let run = stop_after(&fixture, "stopped", overrides, stop_at);
            let resumed = go_on(&run, &[]).unwrap();
            assert!(
                last(&resumed.run) == last(&whole),
                "{name}: stopped at step {stop_at}, the model has other bytes"
            );
            assert!(
                fs::read(run.best()).unwrap() == fs::read(whole.best()).unwrap(),
                "{name}: stopped at step {stop_at}, the best model has other bytes"
            );
        }
    }
}

#[test]
fn a_fold_is_resumed_to_the_same_bytes() {
    let fixture = Fixture::new();
    let whole = fixture.train("whole", &[("fold", "1/3")]).unwrap().run;
    let run = stop_after(&fixture, "stopped", &[("fold", "1/3")], 1);
    assert!(last(&go_on(&run, &[]).unwrap().run) == last(&whole));
}

#[test]
fn a_finished_run_is_extended_as_if_more_epochs_had_been_asked_for() {
    let fixture = Fixture::new();
    let long = fixture.train("long", &[("epochs", "3")]).unwrap();
    let short = fixture.train("short", &[("epochs", "1"), ("keep", "best")]).unwrap();
    assert!(!short.run.epoch(1).exists(), "--keep best keeps no epoch");
    let message = said(&go_on(&short.run, &[]).unwrap_err());
    assert!(message.contains("ExtendTo("), "{message}");
    let extended = go_on(&short.run, &[("epochs", "3")]).unwrap();
    let weights = |run: &Run| loc_model::weights::load(&run.last()).unwrap().weights;
    assert!(weights(&extended.run) == weights(&long.run), "the extended run has other weights");
}

fn extend(run: &Run, epochs: &str) -> Result<Outcome, TrainError> {
    resume(
        run.clone(),
        &[ConfigSource::value("--epochs", "epochs", epochs)],
        true,
        &Stop::default(),
        &mut |_| {},
    )
}

#[test]
fn a_finished_cosine_is_extended_from_where_it_ended_if_that_is_asked_for() {
    let fixture = Fixture::new();
    let cosine = [("schedule", "cosine"), ("epochs", "1"), ("warmup", "0.0")];
    let run = fixture.train("exp", &cosine).unwrap().run;
    let refused = go_on(&run, &[("epochs", "3")]).unwrap_err();
    let message = said(&refused);
    assert!(
        refused.is_usage() && message.contains("NewSchedule") && message.contains("epoch 1"),
        "{message}"
    );
    let message = said(&extend(&run, "1").unwrap_err());
    assert!(message.contains("1 of 1 epochs are done"), "{message}");

    let whole = extend(&run, "3").unwrap();
    let rates: Vec<f64> = whole.run.rows().unwrap().iter().map(|row| row.lr).collect();
    assert!(rates[1] > rates[0] && rates[2] < rates[1], "the cosine did not begin anew: {rates:?}");
    // The same run from its configuration, and the same extension stopped, resumed, and with its state damaged.
    let config = fs::read_to_string(run.config()).unwrap();
    assert!(config.contains("restarts = [1]"), "{config}");
    let at_once = [("schedule", "cosine"), ("epochs", "3"), ("warmup", "0.0"), ("restarts", "[1]")];
    let again = fixture.train("again", &at_once).unwrap().run;
    assert!(last(&again) == last(&run), "the configuration does not repeat the extended run");
    let stopped = stop_after(&fixture, "stopped", &at_once, 5);
    assert!(last(&go_on(&stopped, &[]).unwrap().run) == last(&run), "stopped after the restart");
    let message = said(&extend(&stopped, "3").unwrap_err());
    assert!(message.contains("3 of 3 epochs are done"), "{message}");
    extend(&stopped, "4").unwrap();
    assert!(fs::read_to_string(stopped.config()).unwrap().contains("restarts = [1, 3]"));
}

#[test]
fn still_epochs_bind_a_run_to_its_end_as_a_cosine_does() {
    let fixture = Fixture::new();
    let still = [("schedule", "constant"), ("warmup", "0.0"), ("epochs", "1"), ("no_augment_epochs", "1")];
    let run = fixture.train("exp", &still).unwrap().run;
    let message = said(&go_on(&run, &[("epochs", "3")]).unwrap_err());
    assert!(message.contains("ends with epoch 1") && message.contains("NewSchedule"), "{message}");
    extend(&run, "3").unwrap();
}

#[test]
fn a_run_in_its_midst_has_no_schedule_from_here() {
    let fixture = Fixture::new();
    let run = stop_after(&fixture, "exp", &[("schedule", "cosine")], 2);
    let message = said(&extend(&run, "5").unwrap_err());
    assert!(message.contains("0 of 2 epochs are done"), "{message}");
    let message = said(&go_on(&run, &[("epochs", "5")]).unwrap_err());
    assert!(message.contains("epochs: 2 → 5"), "{message}");
    assert_eq!(go_on(&run, &[]).unwrap().status, Status::Finished, "the refusals changed nothing");
}

#[test]
fn what_would_change_the_mathematics_is_refused_on_resume() {
    let fixture = Fixture::new();
    let run = fixture.train("exp", &[("epochs", "1")]).unwrap().run;
    let message = said(&go_on(&run, &[("epochs", "2"), ("lr", "0.5"), ("seed", "7")]).unwrap_err());
    assert!(message.contains("lr: 0.001 → 0.5") && message.contains("seed: 0 → 7"), "{message}");
    // Another photo in the place of one of them.
    let photo = fixture.path("shapes/images/shape-00003.jpg");
    fs_err::copy(fixture.path("shapes/images/shape-00004.jpg"), photo).unwrap();
    let message = said(&go_on(&run, &[("epochs", "2")]).unwrap_err());
    assert!(message.contains("data set has changed"), "{message}");
}

#[test]
fn what_was_changed_in_the_run_folder_is_refused_on_resume() {
    let fixture = Fixture::new();
    let run = stop_after(&fixture, "exp", &[], 2);
    let config = fs::read_to_string(run.config()).unwrap();
    fs::write(run.config(), config.replace("batch = 4", "batch = 5").replace("seed = 0", "seed = 3"))
        .unwrap();
    let message = said(&go_on(&run, &[]).unwrap_err());
    assert!(message.contains("batch: 4 → 5, seed: 0 → 3"), "{message}");
    fs::write(run.config(), &config[..config.len() / 2]).unwrap();
    let message = said(&go_on(&run, &[]).unwrap_err());
    assert!(message.contains("config.toml") || message.contains("→"), "{message}");
    fs::write(run.config(), config).unwrap();
    let split = fs::read_to_string(run.split()).unwrap();
    fs::write(run.split(), split.replacen(",val", ",train", 1)).unwrap();
    let message = said(&go_on(&run, &[]).unwrap_err());
    assert!(message.contains("split.csv: has the SHA-256"), "{message}");
    fs::write(run.split(), split).unwrap();
    go_on(&run, &[]).unwrap();
}

#[test]
fn photos_added_and_removed_are_counted_when_a_resume_is_refused() {
    let fixture = Fixture::new();
    let run = stop_after(&fixture, "exp", &[], 2);
    for (folder, ending) in [("images", "jpg"), ("annotations", "xml")] {
        let file = |n: usize| fixture.path(&format!("shapes/{folder}/shape-{n:05}.{ending}"));
        for new in [90, 91] {
            let (old, new) = (file(3), file(new));
            if ending == "xml" {
                let text = fs::read_to_string(&old).unwrap();
                let name = new.with_extension("jpg").file_name().unwrap().to_str().unwrap().to_owned();
                fs::write(new, text.replace("shape-00003.jpg", &name)).unwrap();
            } else {
                fs::copy(old, new).unwrap();
            }
        }
        fs::remove_file(file(PHOTOS - 1)).unwrap();
    }
    let message = said(&go_on(&run, &[]).unwrap_err());
    assert!(message.contains("2 photos were added, 1 removed"), "{message}");
}
