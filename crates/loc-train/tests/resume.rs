//! Tests runs that are stopped, resumed and extended: the result has the same bytes, or the error names the
//! differences.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Fixture, PHOTOS, full_message, last, resume_run, stop_after};
use fs_err as fs;
use loc_train::{ConfigSource, Outcome, ResumeOptions, Run, Status, Stop, TrainError, resume};

#[test]
fn a_run_stopped_at_any_step_and_resumed_has_the_same_bytes() {
    let fixture = Fixture::new();
    let uninterrupted = fixture.train("uninterrupted", &[]).unwrap();
    for stop_at in 1..=5 {
        let stopped = stop_after(&fixture, "stopped", &[], stop_at);
        let resumed = resume_run(&stopped, &[]).unwrap();
        assert_eq!(resumed.status, Status::Finished);
        assert!(
            last(&resumed.run) == last(&uninterrupted.run),
            "stopped at step {stop_at}, the model has other bytes"
        );
        let losses =
            |run: &Run| run.rows().unwrap().iter().map(|r| (r.train_loss, r.val_loss)).collect::<Vec<_>>();
        assert_eq!(losses(&resumed.run), losses(&uninterrupted.run), "stopped at step {stop_at}");
        let predictions = |run: &Run| fs::read_to_string(run.predictions()).unwrap();
        assert_eq!(predictions(&resumed.run), predictions(&uninterrupted.run), "stopped at step {stop_at}");
        let data = |run: &Run| fs::read_to_string(run.data()).unwrap();
        assert_eq!(data(&resumed.run), data(&uninterrupted.run));
    }
}

/// Every optimizer, every schedule, and everything else with a state, stopped in the middle of an epoch and at its end.
#[test]
fn in_every_configuration_a_resumed_run_has_the_same_bytes() {
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
        ("weight interpolation", &[("weight_interpolation", "0.3"), ("ema_decay", "0.9")]),
        (
            "feature distillation",
            &[("feature_distill_weight", "0.5"), ("ema_decay", "0.9"), ("dropout", "0.2")],
        ),
        (
            "weight interpolation without moving average",
            &[("weight_interpolation", "0.3"), ("ema_decay", "0.0")],
        ),
        ("several passes an epoch", &[("min_steps", "5"), ("ema_decay", "0.9")]),
        ("no moving average", &[("ema_decay", "0.0"), ("dropout", "0.5")]),
        (
            "augment",
            &[("augment", "{ flip = 0.5, window = [0.5, 1.2], cutout = 0.5, mix = 0.5, brightness = 0.3 }")],
        ),
        (
            "no augmentation at the end",
            &[("augment", "{ flip = 0.5, window = [0.5, 1.2] }"), ("no_augment_epochs", "1")],
        ),
    ];
    for (name, overrides) in cases {
        let uninterrupted = fixture.train("uninterrupted", overrides).unwrap().run;
        for stop_at in [2, 3, 4] {
            let run = stop_after(&fixture, "stopped", overrides, stop_at);
            let resumed = resume_run(&run, &[]).unwrap();
            assert!(
                last(&resumed.run) == last(&uninterrupted),
                "{name}: stopped at step {stop_at}, the model has other bytes"
            );
            assert!(
                fs::read(run.best()).unwrap() == fs::read(uninterrupted.best()).unwrap(),
                "{name}: stopped at step {stop_at}, the best model has other bytes"
            );
        }
    }
}

#[test]
fn a_fold_is_resumed_to_the_same_bytes() {
    let fixture = Fixture::new();
    let uninterrupted = fixture.train("uninterrupted", &[("fold", "1/3")]).unwrap().run;
    let run = stop_after(&fixture, "stopped", &[("fold", "1/3")], 1);
    assert!(last(&resume_run(&run, &[]).unwrap().run) == last(&uninterrupted));
}

#[test]
fn an_extended_run_equals_a_run_with_more_epochs() {
    let fixture = Fixture::new();
    let long = fixture.train("long", &[("epochs", "3")]).unwrap();
    let short = fixture.train("short", &[("epochs", "1"), ("keep", "best")]).unwrap();
    assert!(!short.run.epoch(1).exists(), "--keep best keeps no epoch");
    let message = full_message(&resume_run(&short.run, &[]).unwrap_err());
    assert!(message.contains("ExtendTo("), "{message}");
    let extended = resume_run(&short.run, &[("epochs", "3")]).unwrap();
    let weights = |run: &Run| loc_model::weights::load(&run.last()).unwrap().weights;
    assert!(weights(&extended.run) == weights(&long.run), "the extended run has other weights");
}

fn extend(run: &Run, epochs: &str) -> Result<Outcome, TrainError> {
    resume(
        run.clone(),
        &[ConfigSource::value("--epochs", "epochs", epochs)],
        ResumeOptions { schedule_from_here: true, ..ResumeOptions::default() },
        &Stop::default(),
        &mut |_| {},
    )
}

#[test]
fn a_finished_cosine_run_is_extended_with_a_new_schedule_on_request() {
    let fixture = Fixture::new();
    let cosine = [("schedule", "cosine"), ("epochs", "1"), ("warmup", "0.0")];
    let run = fixture.train("exp", &cosine).unwrap().run;
    let error = resume_run(&run, &[("epochs", "3")]).unwrap_err();
    let message = full_message(&error);
    assert!(error.is_usage() && message.contains("NewSchedule") && message.contains("epoch 1"), "{message}");
    let message = full_message(&extend(&run, "1").unwrap_err());
    assert!(message.contains("1 of 1 epochs are done"), "{message}");

    let uninterrupted = extend(&run, "3").unwrap();
    let rates: Vec<f64> = uninterrupted.run.rows().unwrap().iter().map(|row| row.lr).collect();
    assert!(rates[1] > rates[0] && rates[2] < rates[1], "the cosine schedule was not restarted: {rates:?}");
    // The same run is trained from its configuration, and stopped and resumed after the restart.
    let config = fs::read_to_string(run.config()).unwrap();
    assert!(config.contains("restarts = [1]"), "{config}");
    let at_once = [("schedule", "cosine"), ("epochs", "3"), ("warmup", "0.0"), ("restarts", "[1]")];
    let again = fixture.train("again", &at_once).unwrap().run;
    assert!(last(&again) == last(&run), "the configuration does not repeat the extended run");
    let stopped = stop_after(&fixture, "stopped", &at_once, 5);
    assert!(last(&resume_run(&stopped, &[]).unwrap().run) == last(&run), "stopped after the restart");
    let message = full_message(&extend(&stopped, "3").unwrap_err());
    assert!(message.contains("3 of 3 epochs are done"), "{message}");
    extend(&stopped, "4").unwrap();
    assert!(fs::read_to_string(stopped.config()).unwrap().contains("restarts = [1, 3]"));
}

#[test]
fn epochs_without_augmentation_fix_the_end_of_a_run_as_a_cosine_does() {
    let fixture = Fixture::new();
    let no_augment =
        [("schedule", "constant"), ("warmup", "0.0"), ("epochs", "1"), ("no_augment_epochs", "1")];
    let run = fixture.train("exp", &no_augment).unwrap().run;
    let message = full_message(&resume_run(&run, &[("epochs", "3")]).unwrap_err());
    assert!(message.contains("ends with epoch 1") && message.contains("NewSchedule"), "{message}");
    extend(&run, "3").unwrap();
}

#[test]
fn an_unfinished_run_cannot_get_a_new_schedule() {
    let fixture = Fixture::new();
    let run = stop_after(&fixture, "exp", &[("schedule", "cosine")], 2);
    let message = full_message(&extend(&run, "5").unwrap_err());
    assert!(message.contains("0 of 2 epochs are done"), "{message}");
    let message = full_message(&resume_run(&run, &[("epochs", "5")]).unwrap_err());
    assert!(message.contains("epochs: 2 → 5"), "{message}");
    assert_eq!(resume_run(&run, &[]).unwrap().status, Status::Finished, "the errors changed nothing");
}

#[test]
fn changes_that_affect_the_result_are_errors_on_resume() {
    let fixture = Fixture::new();
    let run = fixture.train("exp", &[("epochs", "1")]).unwrap().run;
    let message =
        full_message(&resume_run(&run, &[("epochs", "2"), ("lr", "0.5"), ("seed", "7")]).unwrap_err());
    assert!(message.contains("lr: 0.001 → 0.5") && message.contains("seed: 0 → 7"), "{message}");
    // One photo is replaced by another.
    let photo = fixture.path("shapes/images/shape-00003.jpg");
    fs_err::copy(fixture.path("shapes/images/shape-00004.jpg"), photo).unwrap();
    let message = full_message(&resume_run(&run, &[("epochs", "2")]).unwrap_err());
    assert!(message.contains("data set has changed"), "{message}");
}

#[test]
fn changed_files_in_the_run_folder_are_errors_on_resume() {
    let fixture = Fixture::new();
    let run = stop_after(&fixture, "exp", &[], 2);
    let config = fs::read_to_string(run.config()).unwrap();
    fs::write(run.config(), config.replace("batch = 4", "batch = 5").replace("seed = 0", "seed = 3"))
        .unwrap();
    let message = full_message(&resume_run(&run, &[]).unwrap_err());
    assert!(message.contains("batch: 4 → 5, seed: 0 → 3"), "{message}");
    fs::write(run.config(), &config[..config.len() / 2]).unwrap();
    let message = full_message(&resume_run(&run, &[]).unwrap_err());
    assert!(message.contains("config.toml") || message.contains("→"), "{message}");
    fs::write(run.config(), config).unwrap();
    let split = fs::read_to_string(run.split()).unwrap();
    fs::write(run.split(), split.replacen(",val", ",train", 1)).unwrap();
    let message = full_message(&resume_run(&run, &[]).unwrap_err());
    assert!(message.contains("split.csv: has the SHA-256"), "{message}");
    fs::write(run.split(), split).unwrap();
    resume_run(&run, &[]).unwrap();
}

#[test]
fn the_error_on_resume_counts_added_and_removed_photos() {
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
    let message = full_message(&resume_run(&run, &[]).unwrap_err());
    assert!(message.contains("2 photos were added, 1 removed"), "{message}");
}
