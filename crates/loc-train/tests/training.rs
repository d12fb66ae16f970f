//! Tests training on a few drawn photos: the files of a run, equal bytes in a second run, and errors.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::path::Path;

use common::{Fixture, last};
use loc_net::Forward;
use loc_net::ImageBatch;
use loc_train::{Config, ConfigSource, Event, ModelFile, Provenance, RunLocation, Status, Stop, train};

/// Runs `f` on a separate thread pool.
fn with_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

#[test]
fn a_run_writes_the_documented_files() {
    let fixture = Fixture::new();
    let (mut steps, mut epochs) = (0, 0);
    let outcome = fixture
        .train_until("exp", &[], &mut |event, _| match event {
            Event::Step { .. } => steps += 1,
            Event::Epoch { .. } => epochs += 1,
            _ => {}
        })
        .unwrap();
    assert_eq!(outcome.status, Status::Finished);
    assert_eq!((steps, epochs), (6, 2));
    let run = outcome.run;
    assert_eq!(run.status().unwrap(), Status::Finished);
    for file in [
        run.config(),
        run.json(),
        run.split(),
        run.results(),
        run.data(),
        run.predictions(),
        run.best(),
        run.last(),
        run.epoch(1),
        run.epoch(2),
    ] {
        assert!(file.is_file(), "{}", file.display());
    }
    assert_eq!(last(&run), fs_err::read(run.epoch(2)).unwrap());
    let header = fs_err::read_to_string(run.results()).unwrap().lines().next().unwrap().to_owned();
    assert_eq!(
        header,
        "epoch,time,lr,train/loss,train/cls_loss,train/box_loss,val/loss,val/cls_loss,val/box_loss,val/acc,val/iou,\
         val/acc_iou50,val/acc_iou75"
    );
    let rows = run.rows().unwrap();
    assert_eq!(rows.len(), 2);
    // The recorded predictions are those of an epoch, with the metrics of its row.
    let predictions = loc_train::Prediction::read(&run).unwrap();
    let judged: Vec<_> = predictions.iter().enumerate().map(|(i, record)| record.judged(i)).collect();
    let found = loc_train::Evaluation::of(&judged, &["box".into(), "disc".into(), "star".into()], None);
    let row = rows.iter().find(|row| row.epoch == predictions[0].epoch).unwrap();
    assert_eq!((found.accuracy, found.mean_iou), (Some(row.val_acc), Some(row.val_iou)));
    let data = loc_train::DataSummary::read(&run).unwrap().unwrap();
    assert_eq!((data.photos, data.classes.iter().map(|c| c.val).sum::<usize>()), (15, predictions.len()));
    // The model file alone is enough for prediction.
    let localizer = loc_infer::Localizer::load(run.last()).unwrap();
    assert_eq!(localizer.meta().classes, ["box", "disc", "star"]);
    // A second run of the same name gets its own folder. Its configuration is that of the first run.
    let layer = ConfigSource::toml("config.toml", fs_err::read_to_string(run.config()).unwrap());
    let config = Config::resolve(None, &[layer]).unwrap().config;
    let provenance = Provenance { version: "0".into(), arguments: vec![], threads: 2, ..Default::default() };
    let again = train(
        &config,
        RunLocation { project: &fixture.path("runs"), name: "exp", exist_ok: false },
        &provenance,
        &Stop::default(),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(again.run.path(), fixture.path("runs").join("exp2"));
    assert!(last(&again.run) == last(&run), "a run repeated from its config.toml has other bytes");
}

#[test]
fn a_small_data_set_is_repeated_until_an_epoch_has_min_steps() {
    let fixture = Fixture::new();
    let mut seen = Vec::new();
    let mut run = |name: &str, overrides: &[(&str, &str)]| {
        seen.clear();
        let on = &mut |event: &Event, _: &Stop| {
            if let Event::Step { epoch, step, steps, .. } = event {
                seen.push((*epoch, *step, *steps));
            }
        };
        let outcome = fixture.train_until(name, overrides, on).unwrap();
        (seen.clone(), outcome.run)
    };
    let (steps, twice) = run("twice", &[("min_steps", "4"), ("epochs", "1")]);
    assert_eq!(steps, (1..=6).map(|step| (1, step, 6)).collect::<Vec<_>>(), "three steps a pass, two passes");
    // If nothing else depends on the number of epochs, two passes equal two epochs.
    let plain = [("schedule", "constant"), ("warmup", "0.0"), ("dropout", "0.0")];
    let (_, as_epochs) = run("epochs", &[&plain[..], &[("epochs", "2")]].concat());
    let (_, as_passes) = run("passes", &[&plain[..], &[("epochs", "1"), ("min_steps", "6")]].concat());
    let weights = |run: &loc_train::Run| loc_model::weights::load(&run.last()).unwrap().weights;
    assert!(weights(&as_epochs) == weights(&as_passes), "two passes differ from two epochs");
    assert_eq!(twice.rows().unwrap().len(), 1);
}

#[test]
fn epochs_without_augmentation_keep_photos_in_place() {
    let fixture = Fixture::new();
    let moved = "{ flip = 0.5, window = [0.5, 1.2], aspect = 0.2, cutout = 0.9, mix = 0.9, tint = 0.2 }";
    let weights = |name: &str, augment: &str, no_augment_epochs: &str| {
        let run = fixture
            .train(name, &[("augment", augment), ("no_augment_epochs", no_augment_epochs)])
            .unwrap()
            .run;
        loc_model::weights::load(&run.last()).unwrap().weights
    };
    let all = weights("all", moved, "2");
    let never = "{ flip = 0.5, window = [1.0, 1.0], aspect = 0.0, cutout = 0.0, mix = 0.0, tint = 0.2 }";
    assert!(
        all == weights("never", never, "0"),
        "without augmentation photos are still mirrored and coloured"
    );
    let end = weights("end", moved, "1");
    assert!(end != all && end != weights("moved", moved, "0"));
}

#[test]
fn feature_distillation_keeps_features_close_to_the_initial_ones() {
    let fixture = Fixture::new();
    let initial = fixture.train("initial", &[("epochs", "1")]).unwrap().run.last();
    // The features of a photo that the heads read.
    let features = |model: &Path| {
        let found = loc_model::weights::load(model).unwrap();
        let network = ModelFile::from_json(&found.metadata.unwrap()).unwrap().build().unwrap();
        let photo: Vec<u8> = (0..network.input().len()).map(|i| (i * 7 % 251) as u8).collect();
        let taps = network.taps();
        let forward = Forward::new(network, found.weights).unwrap();
        forward.features(ImageBatch::Bytes(&photo), 1, &taps).unwrap().concat()
    };
    let before = features(&initial);
    let init = initial.display().to_string();
    let squared_change = |name: &str, weight: &str| -> f32 {
        let overrides = [("init", &*init), ("feature_distill_weight", weight), ("ema_decay", "0.0")];
        let after = features(&fixture.train(name, &overrides).unwrap().run.last());
        before.iter().zip(after).map(|(before, after)| (before - after).powi(2)).sum()
    };
    let (free, distilled) = (squared_change("free", "0"), squared_change("distilled", "100"));
    assert!(distilled < 0.5 * free, "{distilled} instead of {free}");
}

#[test]
fn bytes_do_not_depend_on_workers_and_threads() {
    let fixture = Fixture::new();
    let one = with_threads(1, || fixture.train("one", &[("workers", "1")])).unwrap();
    let four = with_threads(4, || fixture.train("four", &[("workers", "3"), ("threads", "4")])).unwrap();
    assert!(last(&one.run) == last(&four.run), "the model depends on the number of threads");
    let other = fixture.train("other", &[("seed", "1")]).unwrap();
    assert!(last(&one.run) != last(&other.run), "the seed has no effect");
}

#[test]
fn initial_weights_must_be_for_the_same_classes_and_network() {
    let fixture = Fixture::new();
    let model = fixture.train("exp", &[("epochs", "1")]).unwrap().run.last();
    let init = model.display().to_string();
    fixture.train("again", &[("init", &init), ("epochs", "1")]).unwrap();
    let error_with = |name: &str, file: &Path| {
        fixture.train(name, &[("init", &file.display().to_string())]).unwrap_err().to_string()
    };
    let found = loc_model::weights::load(&model).unwrap();
    let other = fixture.path("other.safetensors");
    let metadata = found.metadata.unwrap().replace("\"star\"", "\"moon\"");
    fs_err::write(&other, loc_model::weights::to_bytes(&found.weights, Some(&metadata)).unwrap()).unwrap();
    let message = error_with("classes", &other);
    assert!(message.contains("moon") && message.contains("star"), "{message}");
    let mut weights = found.weights;
    weights.0.remove("conv1.bias");
    fs_err::write(&other, loc_model::weights::to_bytes(&weights, None).unwrap()).unwrap();
    let message = error_with("tensors", &other);
    assert!(message.contains("other.safetensors") && message.contains("missing `conv1.bias`"), "{message}");
    assert!(!fixture.path("runs/classes").exists(), "a run with an error leaves no folder");
}
