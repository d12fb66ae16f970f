//! Tests training with photos without an object: the logit of presence, its threshold, its figures, and what stays as it is.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Fixture, last, resume_run, state_dict, stop_after};
use loc_train::{
    Evaluation, Event, ModelFile, NegativePrediction, Outcome, Prediction, Run, equal_error_threshold,
};

/// Photos without an object beside those of the fixture: grey ones, each another.
const NEGATIVES: usize = 10;

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    for i in 0..NEGATIVES {
        let grey = u8::try_from(20 * i).unwrap();
        let name = format!("empty-{i}");
        let photo = bitmap([255 - grey, grey, grey]);
        fs_err::write(fixture.path("shapes/images").join(format!("{name}.bmp")), photo).unwrap();
        let xml = format!("<annotation><filename>{name}.bmp</filename></annotation>");
        fs_err::write(fixture.path("shapes/annotations").join(format!("{name}.xml")), xml).unwrap();
    }
    let bytes = loc_model::weights::to_bytes(&state_dict(), None).unwrap();
    fs_err::write(fixture.path("efficientnet-lite0.safetensors"), bytes).unwrap();
    fixture
}

/// A bitmap of 80×60 pixels of one colour: blue, green, red.
fn bitmap(colour: [u8; 3]) -> Vec<u8> {
    let (width, height) = (80_u32, 60_u32);
    let pixels = colour.repeat((width * height) as usize);
    let size = 54 + u32::try_from(pixels.len()).unwrap();
    // The file's header; then that of the picture: 1 plane, 24 bits, not compressed.
    let header: [&[u8]; 7] = [
        b"BM",
        &size.to_le_bytes(),
        &[0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0],
        &width.to_le_bytes(),
        &height.to_le_bytes(),
        &[1, 0, 24, 0, 0, 0, 0, 0],
        &[0; 20],
    ];
    [header.concat(), pixels].concat()
}

/// What a training on a frozen backbone of random weights needs, besides the fixture's configuration.
fn frozen(fixture: &Fixture) -> Vec<(&'static str, String)> {
    let weights = fixture.path("efficientnet-lite0.safetensors").display().to_string();
    [
        ("backbone", "lite0"),
        ("head", "edges"),
        ("backbone_lr", "0"),
        ("imgsz", "64"),
        ("copies", "2"),
        ("epochs", "15"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .into_iter()
    .chain([("backbone_weights", weights)])
    .collect()
}

fn metadata(run: &Run) -> ModelFile {
    let found = loc_model::weights::load(&run.last()).unwrap();
    ModelFile::from_json(&found.metadata.unwrap()).unwrap()
}

fn evaluation(outcome: &Outcome) -> &Evaluation {
    outcome.evaluation.as_ref().unwrap()
}

#[test]
fn negatives_teach_a_frozen_network_what_is_not_there() {
    let fixture = fixture();
    let settings = frozen(&fixture);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut notes = Vec::new();
    let outcome = fixture
        .train_until("frozen", &settings, &mut |event, _| {
            if let Event::Note(note) = event {
                notes.push(note.clone());
            }
        })
        .unwrap();
    assert!(
        notes.iter().any(|note| note.contains("8 training and 2 validation photos have no object")),
        "{notes:?}"
    );
    let found = evaluation(&outcome);
    let presence = found.presence.as_ref().unwrap();
    assert_eq!((found.samples, presence.samples, presence.negatives), (3, 5, 2));
    assert_eq!(presence.auroc, Some(1.0), "{presence:?}");
    assert_eq!(
        (presence.precision, presence.recall, presence.majority_accuracy),
        (Some(1.0), Some(1.0), Some(0.6))
    );

    // Everything that is written says the same.
    let file = metadata(&outcome.run);
    assert!(file.network.presence);
    assert_eq!(file.meta.presence_threshold, Some(presence.threshold));
    assert_eq!(equal_error_threshold(&presence.seen), presence.threshold);
    let text = fs_err::read_to_string(outcome.run.results()).unwrap();
    assert!(
        text.lines()
            .next()
            .unwrap()
            .ends_with(",val/acc_iou75,train/presence_loss,val/presence_loss,val/auroc")
    );
    let rows = outcome.run.rows().unwrap();
    let row = rows.last().unwrap();
    assert_eq!(row.val_auroc, Some(1.0));
    assert!(row.train_presence_loss.unwrap() < rows[0].train_presence_loss.unwrap());
    let weighted =
        row.val_cls_loss.is_finite() && row.val_box_loss.is_finite() && row.val_presence_loss.unwrap() > 0.0;
    assert!(weighted, "{row:?}");
    let (positives, negatives) =
        (Prediction::read(&outcome.run).unwrap(), NegativePrediction::read(&outcome.run).unwrap());
    assert_eq!((positives.len(), negatives.len()), (3, 2));
    assert!(positives.iter().all(|one| one.presence.unwrap() >= 0.0));
    assert!(negatives.iter().all(|one| one.file.starts_with("empty-")));
}

#[test]
fn a_run_with_presence_is_resumed_to_the_same_bytes() {
    let fixture = fixture();
    // Eight of twenty training photos are negatives: with two a batch some batches show no object at all.
    let settings = [("batch", "2")];
    let whole = fixture.train("whole", &settings).unwrap();
    assert!(evaluation(&whole).presence.is_some());
    for stop_at in [3, 10, 13] {
        let run = stop_after(&fixture, &format!("stop-{stop_at}"), &settings, stop_at);
        resume_run(&run, &[]).unwrap();
        assert_eq!(last(&run), last(&whole.run), "stopped at step {stop_at}");
        assert_eq!(
            fs_err::read(run.predictions()).unwrap().len(),
            fs_err::read(whole.run.predictions()).unwrap().len()
        );
    }
}

#[test]
fn a_set_without_negatives_makes_a_model_that_always_answers() {
    let fixture = Fixture::new();
    let outcome = fixture.train("plain", &[("epochs", "1")]).unwrap();
    assert!(evaluation(&outcome).presence.is_none() && evaluation(&outcome).loss.unwrap().presence.is_none());
    let (file, json) = (metadata(&outcome.run), metadata(&outcome.run).to_json().unwrap());
    assert!(!file.network.presence && !json.contains("presence"), "{json}");
    for written in [outcome.run.results(), outcome.run.predictions(), outcome.run.data()] {
        let text = fs_err::read_to_string(&written).unwrap();
        assert!(!text.contains("presence") && !text.contains("negatives"), "{}: {text}", written.display());
    }
}

#[test]
fn an_initial_model_gets_or_loses_the_logit() {
    let (with, without) = (fixture(), Fixture::new());
    let plain = without.train("plain", &[("epochs", "1")]).unwrap();
    let path = plain.run.last().display().to_string();
    let started = with.train("started", &[("epochs", "1"), ("init", &path)]).unwrap();
    assert!(metadata(&started.run).network.presence);

    let path = started.run.last().display().to_string();
    let mut warnings = Vec::new();
    let back = without
        .train_until("back", &[("epochs", "1"), ("init", &path)], &mut |event, _| {
            if let Event::Warning(text) = event {
                warnings.push(text.clone());
            }
        })
        .unwrap();
    assert!(!metadata(&back.run).network.presence);
    assert!(warnings.iter().any(|text| text.contains("the new model always answers")), "{warnings:?}");
}

#[test]
fn a_part_without_an_object_is_refused() {
    let fixture = fixture();
    let mut rows = String::from("filename,split\n");
    (0..common::PHOTOS).for_each(|i| rows += &format!("shape-{i:05}.jpg,train\n"));
    (0..NEGATIVES).for_each(|i| rows += &format!("empty-{i}.bmp,val\n"));
    let path = fixture.path("split.csv");
    fs_err::write(&path, rows).unwrap();
    let error =
        fixture.train("refused", &[("split_file", &path.display().to_string())]).unwrap_err().to_string();
    assert!(error.contains("15 photos with an object train and 0 validate"), "{error}");
}
