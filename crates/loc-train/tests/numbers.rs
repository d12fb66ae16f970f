//! Training with losses that are not finite, and on very small data sets.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::path::Path;

use common::{Fixture, full_message, last, resume_run};
use fs_err as fs;
use loc_train::{Run, Status, TrainError};

/// Asserts that no number in a run's files is NaN or infinite. CSV writes such a number as a word, JSON as null.
fn assert_all_finite(run: &Run) {
    for row in run.rows().unwrap() {
        let text = format!("{row:?}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
    let model = loc_model::weights::load(&run.last()).unwrap();
    assert!(model.weights.0.values().all(|w| w.data.iter().all(|v| v.is_finite())));
    let json: serde_json::Value = serde_json::from_str(&model.metadata.unwrap()).unwrap();
    for key in ["accuracy", "mean_iou", "localization_accuracy"] {
        assert!(json["metrics"][key].is_f64(), "{json}");
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_before_the_step_and_keeps_the_last_checkpoint() {
    let fixture = Fixture::new();
    let sgd = |name: &str, lr: &str| {
        let unstable = [
            ("optimizer", "sgd"),
            ("momentum", "0.9"),
            ("clip_grad_norm", "0.0"),
            ("warmup", "0.0"),
            ("lr", lr),
        ];
        fixture.train(name, &[&unstable[..], &[("epochs", "40"), ("ema_decay", "0.0")]].concat())
    };
    // The loss is not finite from the second step on.
    let error = sgd("unstable", "1e18").unwrap_err();
    let message = full_message(&error);
    assert!(
        message.contains("shape-0") && message.contains("LowerLearningRate") && message.contains("step 2"),
        "{message}"
    );
    assert_eq!(Run::open(fixture.path("runs/unstable")).unwrap().status().unwrap(), Status::Failed);

    // The loss is not finite after an epoch or more: several rates are tried until one does this.
    let found = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0].into_iter().find_map(|lr| {
        let name = format!("lr-{lr}");
        match sgd(&name, &lr.to_string()) {
            Err(TrainError::NotFinite { epoch, .. }) if epoch > 1 => {
                Some((Run::open(fixture.path("runs").join(name)).unwrap(), epoch))
            }
            _ => None,
        }
    });
    let (run, epoch) = found.expect("some rate diverges after the first epoch");
    assert_eq!(run.rows().unwrap().len(), epoch - 1);
    assert!(last(&run) == fs::read(run.epoch(epoch - 1)).unwrap(), "the last good checkpoint is kept");
    assert_all_finite(&run);
    // Resuming from that checkpoint fails at the same epoch.
    let again = resume_run(&run, &[]).unwrap_err();
    assert!(matches!(again, TrainError::NotFinite { epoch: e, .. } if e == epoch), "{again}");
}

/// Writes a split file: the photos of the classes for which `val` is true are validation photos.
fn split_by(fixture: &Fixture, val: impl Fn(&str) -> bool) -> String {
    let mut text = String::from("filename,split\n");
    let mut photos: Vec<_> =
        fs::read_dir(fixture.path("shapes/annotations")).unwrap().map(|e| e.unwrap().path()).collect();
    photos.sort();
    for path in photos {
        let xml = fs::read_to_string(&path).unwrap();
        let class = xml.split("<name>").nth(1).unwrap().split('<').next().unwrap();
        let part = if val(class) { "val" } else { "train" };
        text += &format!("{}.jpg,{part}\n", path.file_stem().unwrap().to_str().unwrap());
    }
    let path = fixture.path("s.csv");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_class_without_validation_photos_has_null_metrics_and_no_nan() {
    let fixture = Fixture::new();
    let split = split_by(&fixture, |class| class == "star");
    let outcome = fixture.train("exp", &[("split_file", &split)]).unwrap();
    let evaluation = outcome.evaluation.unwrap();
    let json = serde_json::to_value(&evaluation).unwrap();
    assert!(
        json["per_class"]["box"]["accuracy"].is_null() && json["per_class"]["box"]["samples"] == 0,
        "{json}"
    );
    assert!(json["per_class"]["star"]["accuracy"].is_f64() && json["loss"]["total"].is_f64(), "{json}");
    assert_all_finite(&outcome.run);
}

#[test]
fn an_empty_validation_set_is_an_error_before_any_folder_is_created() {
    let fixture = Fixture::new();
    let split = split_by(&fixture, |_| false);
    let message = full_message(&fixture.train("exp", &[("split_file", &split)]).unwrap_err());
    assert!(message.contains("val"), "{message}");
    assert!(!fixture.path("runs").exists());
}

#[test]
fn with_one_class_only_the_box_is_trained() {
    let fixture = Fixture::new();
    for entry in fs::read_dir(fixture.path("shapes/annotations")).unwrap() {
        let path = entry.unwrap().path();
        let mut xml = fs::read_to_string(&path).unwrap();
        for class in ["box", "disc", "star"] {
            xml = xml.replace(&format!("<name>{class}</name>"), "<name>thing</name>");
        }
        fs::write(&path, xml).unwrap();
    }
    let run = fixture.train("exp", &[]).unwrap().run;
    for row in run.rows().unwrap() {
        assert_eq!((row.train_cls_loss, row.val_cls_loss, row.val_acc), (0.0, 0.0, 1.0));
        assert!(row.train_box_loss > 0.0);
    }
    assert_all_finite(&run);
}

#[test]
fn a_last_batch_of_one_and_a_batch_larger_than_the_data_set_train() {
    let fixture = Fixture::new();
    // There are twelve training photos. The batches have eleven and one photo, all twelve, or one each.
    let split = {
        let mut count = 0;
        let counter = std::cell::RefCell::new(&mut count);
        split_by(&fixture, |_| {
            **counter.borrow_mut() += 1;
            **counter.borrow() > 12
        })
    };
    for (batch, steps) in [("11", 4), ("1000", 2), ("1", 24)] {
        let mut seen = 0;
        let outcome =
            fixture.train_until("exp", &[("split_file", &split), ("batch", batch)], &mut |event, _| {
                seen += usize::from(matches!(event, loc_train::Event::Step { .. }));
            });
        let run = outcome.unwrap().run;
        assert_eq!(seen, steps, "batch {batch}");
        assert_all_finite(&run);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_removed_during_training_is_named() {
    let fixture = Fixture::new();
    let weights = fixture.path("runs/exp/weights");
    let removed: &Path = &weights;
    let error = fixture.train_until("exp", &[], &mut |event, _| {
        if let loc_train::Event::Step { epoch: 2, step: 1, .. } = event {
            fs::remove_dir_all(removed).unwrap();
        }
    });
    let message = full_message(&error.unwrap_err());
    assert!(message.contains(&format!("FindFolder({removed:?})")), "{message}");
}
