//! Heads that judge photos they have not seen: the audit, the verdict on features, and the learning curve. On a few drawn
//! photos and random weights of the backbone.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::collections::BTreeSet;

use common::{Fixture, full_message, state_dict};
use loc_train::{
    AuditOptions, Choices, Config, ConfigSource, Event, Outcome, Provenance, RunLocation, Stop, TrainError,
    TrainOptions, audit, audit_settings, train_with,
};

/// A folder with photos and weights, and short trainings of heads on them.
struct Heads(Fixture);

impl Heads {
    fn new() -> Self {
        let fixture = Fixture::new();
        let bytes = loc_model::weights::to_bytes(&state_dict(), None).unwrap();
        fs_err::write(fixture.path("efficientnet-lite0.safetensors"), bytes).unwrap();
        Self(fixture)
    }

    fn config(&self, recipe: &str, more: &[(&str, &str)]) -> Config {
        let path = |name: &str| self.0.path(name).display().to_string();
        let (data, weights) = (path("shapes"), path(""));
        let small = [("imgsz", "64"), ("copies", "2"), ("views", "0"), ("epochs", "4"), ("min_steps", "2")];
        let given = [("data", data.as_str()), ("backbone_weights", &weights)];
        let values = given.iter().chain(&small).chain(more);
        let values = values.map(|(key, value)| ConfigSource::value(format!("--{key}"), key, value));
        let sources: Vec<ConfigSource> = std::iter::once(audit_settings()).chain(values).collect();
        Config::resolve(Some(recipe), &sources).unwrap().config
    }

    fn train(&self, name: &str, config: &Config, options: &TrainOptions) -> Result<Outcome, TrainError> {
        self.train_noting(name, config, options).map(|(outcome, _)| outcome)
    }

    /// Also returns the notes.
    fn train_noting(
        &self,
        name: &str,
        config: &Config,
        options: &TrainOptions,
    ) -> Result<(Outcome, Vec<String>), TrainError> {
        let project = self.0.path("runs");
        let location = RunLocation { project: &project, name, exist_ok: false };
        let mut notes = Vec::new();
        let on = &mut |event| {
            if let Event::Note(note) = event {
                notes.push(note);
            }
        };
        let outcome = train_with(config, options, location, &Provenance::default(), &Stop::default(), on)?;
        Ok((outcome, notes))
    }
}

#[test]
fn an_audit_judges_each_photo_once_by_its_own_fold_and_ranks_them() {
    let heads = Heads::new();
    let config = heads.config("transfer", &[]);
    let run = |folds: usize, model| {
        let options = AuditOptions { folds, model };
        audit(&config, &options, &Stop::default(), &mut |_| {})
    };
    let found = run(3, None).unwrap();
    let samples: BTreeSet<usize> = found.photos.iter().map(|photo| photo.sample).collect();
    assert_eq!((found.photos.len(), samples.len()), (common::PHOTOS, common::PHOTOS));
    assert!(found.photos.is_sorted_by(|a, b| a.score >= b.score), "the most doubtful first");
    for photo in &found.photos {
        let size = found.dataset.samples[photo.sample].size;
        assert!((0.0..=1.0).contains(&photo.score) && (0.0..=1.0).contains(&photo.iou), "{photo:?}");
        assert!(photo.bbox.x2 <= size.width as f32 && photo.deviation.unwrap() > 0.0, "{photo:?}");
        assert!((photo.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{photo:?}");
    }
    assert_eq!(run(3, None).unwrap().photos, found.photos, "the same audit twice");
    assert!(run(9 * common::PHOTOS, None).unwrap_err().to_string().contains("fold"));

    // On the features of a model, also of another network.
    let outcome = heads.train(
        "model",
        &heads.config("scratch", &[("imgsz", "188"), ("epochs", "1")]),
        &TrainOptions::default(),
    );
    let by_model = run(2, Some(outcome.unwrap().run.last())).unwrap();
    assert_eq!(by_model.photos.len(), common::PHOTOS);
    assert!(by_model.photos.iter().all(|photo| photo.iou.is_finite()), "{:?}", by_model.photos[0]);
}

#[test]
fn copies_of_a_photo_are_judged_by_heads_that_have_seen_none_of_them() {
    let heads = Heads::new();
    let photos = heads.0.path("shapes/images");
    let file = |i: usize| photos.join(format!("shape-{i:05}.jpg"));
    let note = |i: usize| heads.0.path("shapes/annotations").join(format!("shape-{i:05}.xml"));
    for copy in [90, 91] {
        fs_err::copy(file(0), file(copy)).unwrap();
        let text =
            fs_err::read_to_string(note(0)).unwrap().replace("shape-00000", &format!("shape-{copy:05}"));
        fs_err::write(note(copy), text).unwrap();
    }
    let options = AuditOptions { folds: 3, model: None };
    let found = audit(&heads.config("transfer", &[]), &options, &Stop::default(), &mut |_| {}).unwrap();
    let answers: Vec<&Vec<f32>> = found
        .photos
        .iter()
        .filter(|photo| {
            ["00000", "00090", "00091"]
                .iter()
                .any(|name| found.dataset.samples[photo.sample].file.contains(name))
        })
        .map(|photo| &photo.probabilities)
        .collect();
    // The same heads give the same answer to the unchanged photo; augmented copies differ a little.
    assert_eq!(answers.len(), 3);
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.2);
    assert!(answers.iter().all(|answer| near(answer, answers[0])), "{answers:?}");
}

#[test]
fn features_are_judged_by_training_photos_and_a_curve_has_three_points() {
    let heads = Heads::new();
    let options = TrainOptions {
        choices: Choices { features: true, ..Choices::default() },
        curve: true,
        ..TrainOptions::default()
    };
    let one_look = [("looks", "1"), ("class_features", "whole")];
    let config = heads.config("transfer", &one_look);
    let plain = heads.train("plain", &config, &TrainOptions::default()).unwrap();
    assert!(plain.features.is_none() && plain.curve.is_none());
    let judged = heads.train("judged", &config, &options).unwrap();
    let model = |outcome: &Outcome| fs_err::read(outcome.run.last()).unwrap();
    assert!(model(&plain) == model(&judged), "judging changes nothing in the run");
    let features = judged.features.unwrap();
    assert_eq!(features.photos, 12, "all training photos, by all folds, as they are few");
    let curve = judged.curve.unwrap();
    assert_eq!(curve.points.iter().map(|point| point.photos).collect::<Vec<_>>(), [3, 6, 12]);
    let evaluation = judged.evaluation.unwrap();
    let last = curve.points[2];
    assert!((last.accuracy - evaluation.accuracy.unwrap()).abs() < 1e-9, "{last:?}");
    assert!((last.mean_iou - evaluation.mean_iou.unwrap()).abs() < 1e-6, "{last:?}");

    // Of two looks, the second: its class is the answer's.
    let judged = heads.train("two", &heads.config("transfer", &[]), &options).unwrap();
    let (evaluation, curve) = (judged.evaluation.unwrap(), judged.curve.unwrap());
    assert!((curve.points[2].accuracy - evaluation.accuracy.unwrap()).abs() < 1e-9, "{curve:?}");

    let mut seen = Vec::new();
    let config = heads.config("scratch", &[("imgsz", "188")]);
    let project = heads.0.path("runs");
    let location = RunLocation { project: &project, name: "none", exist_ok: false };
    let on: &mut dyn FnMut(Event) = &mut |event| seen.push(event);
    let error =
        train_with(&config, &options, location, &Provenance::default(), &Stop::default(), on).unwrap_err();
    assert!(error.is_usage() && full_message(&error).contains("FreezeBackbone"), "{}", full_message(&error));
    assert!(seen.is_empty() && !project.join("none").exists(), "said before any work");
}

#[test]
fn folds_choose_the_first_look_and_the_run_repeats_with_what_they_chose() {
    let heads = Heads::new();
    let config = heads.config("transfer", &[("views", "90"), ("crop_imgsz", "64")]);
    let choices = Choices { features: true, imgsz: true, looks: true };
    let options = TrainOptions { choices, ..TrainOptions::default() };
    let (chosen, notes) = heads.train_noting("chosen", &config, &options).unwrap();
    let said = |what: &str| notes.iter().filter(|note| note.contains(what)).count();
    assert_eq!((said("an input of 320 instead of 64"), said("a second look")), (1, 1), "{notes:?}");
    assert_eq!(said("training photos that the heads had not seen"), 3, "{notes:?}");
    let taken = chosen.run.read_config(&[]).unwrap();
    let larger = said("is better for the first look") == 1;
    assert_eq!(taken.imgsz, if larger { 320 } else { 64 }, "{notes:?}");
    assert_eq!(taken.looks, if said("hardly anything") == 1 { 1 } else { 2 }, "{notes:?}");
    let again = heads.train("again", &taken, &TrainOptions::default()).unwrap();
    let model = |outcome: &Outcome| fs_err::read(outcome.run.last()).unwrap();
    assert!(model(&chosen) == model(&again), "the trials change nothing in the run");

    // What is set is not chosen.
    let options =
        TrainOptions { choices: Choices { features: true, ..Choices::default() }, ..TrainOptions::default() };
    let (given, notes) = heads.train_noting("given", &config, &options).unwrap();
    let taken = given.run.read_config(&[]).unwrap();
    assert_eq!((taken.imgsz, taken.looks), (64, 2), "{notes:?}");
}
