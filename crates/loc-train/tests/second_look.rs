//! Tests training of a second look, on a frozen backbone and end to end, on a few drawn photos with random weights.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::lite0::Lite0Fixture;
use loc_infer::{ImageSize, Localizer};
use loc_train::{Event, Outcome, ResumeOptions, Status, Stop, resume};

const SHORT: [(&str, &str); 8] = [
    ("epochs", "2"),
    ("batch", "4"),
    ("copies", "2"),
    ("views", "0"),
    ("min_steps", "1"),
    ("looks", "2"),
    ("class_features", "region"),
    ("crop_imgsz", "96"),
];

fn bytes(outcome: &Outcome) -> Vec<u8> {
    fs_err::read(outcome.run.last()).unwrap()
}

/// A file with both looks, whose prediction is the one that training evaluates; resumed, it ends in the same bytes.
#[test]
fn a_second_look_is_trained_evaluated_as_predicted_and_resumed_to_the_same_bytes() {
    let fixture = Lite0Fixture::new();
    let (mut evaluated, mut notes, mut work) = (Vec::new(), Vec::new(), Vec::new());
    let whole = fixture
        .train_with("whole", "transfer", "", &SHORT, &mut |event, _| match event {
            Event::Epoch { row, .. } => evaluated.push((row.val_acc, row.val_iou)),
            Event::Note(note) => notes.push(note.clone()),
            Event::Workload { features, head_steps, end_to_end, .. } => {
                work.push((*features, *head_steps, *end_to_end));
            }
            _ => {}
        })
        .unwrap();
    // 12 photos for standardising and two copies of each, for both looks, and three validation photos; two epochs of three
    // steps, for both looks.
    assert_eq!(work, [(2 * (12 + 24) + 3, 2 * 6, 0)]);
    assert!(notes.iter().any(|note| note.contains("the first look")), "{notes:?}");
    let weights = loc_model::weights::load(&whole.run.last()).unwrap().weights;
    assert!(weights.0.contains_key("look2.class_out.bias") && weights.0.contains_key("class_out.bias"));
    assert!(!weights.0.contains_key("look2.block3.depthwise.weight"), "a frozen backbone is stored once");

    let localizer = Localizer::load(whole.run.last()).unwrap();
    let look = localizer.meta().second_look.unwrap();
    assert_eq!((look.width, look.height, look.margin), (96, 96, 1.2));
    let config = whole.run.read_config(&[]).unwrap();
    let dataset =
        loc_data::Dataset::open(config.data.as_ref().unwrap(), &loc_train::read_options(&config).unwrap())
            .unwrap();
    let split = loc_data::split::read_csv(&whole.run.split(), &dataset).unwrap();
    let (mut right, mut iou) = (0, 0.0);
    for sample in split.val.iter().map(|i| &dataset.samples[*i]) {
        let found = localizer.predict_path(&sample.image).unwrap().found().unwrap();
        let object = sample.object.unwrap();
        right += usize::from(found.class == object.class);
        iou += f64::from(found.bbox.iou(&object.bbox));
        assert!(ImageSize { width: found.width, height: found.height } == sample.size);
    }
    let (accuracy, mean_iou) = evaluated[1];
    assert!((right as f64 / split.val.len() as f64 - accuracy).abs() < 1e-9, "{right} of {accuracy}");
    assert!((iou / split.val.len() as f64 - mean_iou).abs() < 1e-5, "{iou} of {mean_iou}");

    for stop_at in [1, 4] {
        let mut steps = 0;
        let stopped = fixture
            .train_with(&format!("stop-{stop_at}"), "transfer", "", &SHORT, &mut |event, stop| {
                if matches!(event, Event::Step { .. }) {
                    steps += 1;
                    if steps == stop_at {
                        stop.request();
                    }
                }
            })
            .unwrap();
        assert_eq!(stopped.status, Status::Interrupted);
        let resumed =
            resume(stopped.run, &[], ResumeOptions::default(), &Stop::default(), &mut |_| {}).unwrap();
        assert!(bytes(&resumed) == bytes(&whole), "stopped at step {stop_at}, the model has other bytes");
    }
}

#[test]
fn a_second_look_can_be_added_to_a_model_and_trained_end_to_end() {
    let fixture = Lite0Fixture::new();
    let one = &SHORT[..5];
    let alone = [one, &[("looks", "1")]].concat();
    let first = fixture.train_with("first", "transfer", "", &alone, &mut |_, _| {}).unwrap();
    let path = first.run.last().display().to_string();
    let added = [one, &[("looks", "2"), ("crop_imgsz", "96"), ("init", &path)]].concat();
    let both = fixture.train_with("both", "transfer", "", &added, &mut |_, _| {}).unwrap();
    let before = loc_model::weights::load(&first.run.last()).unwrap().weights;
    let after = loc_model::weights::load(&both.run.last()).unwrap().weights;
    for (name, weight) in &before.0 {
        assert_eq!(after.0[name], *weight, "the first look's {name} stays as it is");
    }

    let heads =
        "{ backbone = 'lite0', backbone_lr = 0.0, epochs = 2, copies = 2, optimizer = 'adamw', lr = 0.002 }";
    let tuned = [&SHORT[..], &[("head_warmup", heads)]].concat();
    let mut heads = 0;
    let whole = fixture
        .train_with("tuned", "finetune", "", &tuned, &mut |event, _| {
            heads += usize::from(matches!(event, Event::Heads { .. }));
        })
        .unwrap();
    let weights = loc_model::weights::load(&whole.run.last()).unwrap().weights;
    assert!(
        weights.0.contains_key("look2.block3.depthwise.weight"),
        "the second look has a backbone of its own"
    );
    assert!(heads >= 2, "heads of both looks are warmed up");
    Localizer::load(whole.run.last()).unwrap();
    let stopped = fixture
        .train_with("stopped", "finetune", "", &tuned, &mut |event, stop| {
            if matches!(event, Event::Step { .. }) {
                stop.request();
            }
        })
        .unwrap();
    let resumed = resume(stopped.run, &[], ResumeOptions::default(), &Stop::default(), &mut |_| {}).unwrap();
    assert!(bytes(&resumed) == bytes(&whole), "the resumed model has other bytes");

    let refused = fixture.config("compact", "", &[("looks", "2"), ("imgsz", "188")]);
    assert!(refused.unwrap_err().to_string().contains("a second look needs a first"));

    // A part too small for the backbone is refused before any work.
    let mut events = 0;
    let small = [("looks", "2"), ("crop_imgsz", "32")];
    let refused = fixture.train_with("small", "transfer", "", &small, &mut |event, _| {
        events += usize::from(matches!(event, Event::Workload { .. } | Event::Features { .. }));
    });
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("crop_imgsz") && message.contains("64 to 2048") && events == 0, "{message}");
}
