//! Tests training of heads on a frozen backbone, and of a complete network, on a few drawn photos with random weights.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::lite0::Lite0Fixture;
use common::state_dict;
use loc_train::{
    Clock, Config, ConfigSource, Event, Outcome, ResumeOptions, Status, Stop, TrainError, TrainOptions,
    resume,
};

#[test]
fn a_frozen_backbone_is_unchanged_and_its_run_is_resumed_to_the_same_bytes() {
    let fixture = Lite0Fixture::new();
    let uninterrupted = fixture.train("uninterrupted", "transfer", "", &mut |_, _| {}).unwrap();
    let weights = loc_model::weights::load(&uninterrupted.run.last()).unwrap().weights;
    let conv = &state_dict().0["_blocks.3._depthwise_conv.weight"].data;
    let kept = weights.values("block3.depthwise.weight");
    assert!(
        kept.iter().zip(conv).all(|(a, b)| (a - b).abs() < 1e-6),
        "the backbone's weights are the file's"
    );
    let scales = weights.values("top_standard.weight");
    assert!(scales.iter().any(|s| (s - 1.0).abs() > 0.1), "features are standardised");
    for stop_at in 1..=5 {
        let mut steps = 0;
        let stopped = fixture
            .train(&format!("stop-{stop_at}"), "transfer", "", &mut |event, stop| {
                if matches!(event, Event::Step { .. }) {
                    steps += 1;
                    if steps == stop_at {
                        stop.request();
                    }
                }
            })
            .unwrap();
        assert_eq!(stopped.status, Status::Interrupted, "stopped at step {stop_at}");
        let resumed =
            resume(stopped.run, &[], ResumeOptions::default(), &Stop::default(), &mut |_| {}).unwrap();
        let bytes = |outcome: &Outcome| fs_err::read(outcome.run.last()).unwrap();
        assert!(
            bytes(&resumed) == bytes(&uninterrupted),
            "stopped at step {stop_at}, the model has other bytes"
        );
    }
}

#[test]
fn finetune_trains_the_backbone_too() {
    let fixture = Lite0Fixture::new();
    let run = fixture.train("tuned", "finetune", "", &mut |_, _| {}).unwrap().run;
    let weights = loc_model::weights::load(&run.last()).unwrap().weights;
    let before = &state_dict().0["_blocks.3._depthwise_conv.weight"].data;
    assert!(weights.values("block3.depthwise.weight").iter().zip(before).any(|(a, b)| (a - b).abs() > 1e-6));
}

/// Training the heads first, then the complete network, equals two runs, the second with the weights of the first. Such
/// a run can be resumed like any other.
#[test]
fn a_head_warmup_and_its_run_equal_two_runs() {
    let fixture = Lite0Fixture::new();
    let weights = |outcome: &Outcome| loc_model::weights::load(&outcome.run.last()).unwrap().weights;
    let of_finetune = [("head", "edges4"), ("looks", "1"), ("class_features", "whole")];
    let first = fixture.train_with("first", "transfer", "", &of_finetune, &mut |_, _| {}).unwrap();
    let init = first.run.last().display().to_string();
    let short = [("epochs", "1"), ("batch", "4")];
    let from_first = [&short[..], &[("init", &*init)]].concat();
    let second = fixture.train_with("second", "finetune", "", &from_first, &mut |_, _| {}).unwrap();
    let mut heads = 0;
    let both = fixture
        .train_with("both", "finetune", "", &short, &mut |event, _| {
            heads += usize::from(matches!(event, Event::Heads { .. }));
        })
        .unwrap();
    assert_eq!(heads, 60, "there is an event for every epoch of `transfer`");
    assert!(weights(&both) == weights(&second));
    let mut is_stopped = false;
    let stopped = fixture
        .train_with("stopped", "finetune", "", &short, &mut |event, stop| {
            if matches!(event, Event::Step { .. }) && !std::mem::replace(&mut is_stopped, true) {
                stop.request();
            }
        })
        .unwrap();
    assert_eq!(stopped.status, Status::Interrupted);
    let resumed = resume(stopped.run, &[], ResumeOptions::default(), &Stop::default(), &mut |event| {
        assert!(!matches!(event, Event::Heads { .. }), "the heads are trained already");
    })
    .unwrap();
    assert!(weights(&resumed) == weights(&both));
}

#[test]
fn epochs_without_augmentation_use_the_unchanged_copies_of_a_frozen_backbone() {
    let fixture = Lite0Fixture::new();
    let weights = |name: &str, more: &[(&str, &str)]| {
        let all = [&[("epochs", "2"), ("batch", "4"), ("views", "0")], more].concat();
        let run = fixture.train_with(name, "transfer", "", &all, &mut |_, _| {}).unwrap().run;
        loc_model::weights::load(&run.last()).unwrap().weights
    };
    let no_augment = weights("still", &[("copies", "3"), ("no_augment_epochs", "2")]);
    assert!(no_augment == weights("alone", &[("copies", "1")]));
    assert!(no_augment != weights("moved", &[("copies", "3")]));
}

#[test]
fn a_stop_before_the_first_step_ends_at_once_and_leaves_no_files() {
    let fixture = Lite0Fixture::new();
    let mut seen = Vec::new();
    let error = fixture.train("early", "transfer", "", &mut |event, stop| {
        if let Event::Features { done, of } = event {
            seen.push((*done, *of));
            stop.request();
        }
    });
    assert!(matches!(error, Err(TrainError::Stopped)), "{error:?}");
    assert_eq!(seen.len(), 1, "more batches were computed: {seen:?}");
    assert!(!fixture.path("runs/early").exists());
}

#[test]
fn an_unsuitable_head_warmup_is_an_error() {
    for (recipe, begin, word) in [
        ("finetune", "scratch", "freeze"),
        ("compact", "transfer", "another backbone"),
        ("finetune", "no", "no recipe"),
    ] {
        let message =
            Config::resolve(Some(recipe), &[ConfigSource::value("--set head_warmup", "head_warmup", begin)])
                .unwrap_err();
        assert!(message.to_string().contains(word), "{recipe} with the head warm-up {begin}: {message}");
    }
}

/// Recipes that would read each other in an endless loop, directly or through other files.
#[test]
fn the_error_for_a_cycle_of_head_warmups_names_the_recipes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, begin: &str| {
        let text = format!("backbone = \"lite0\"\nbackbone_lr = 0.0\nhead_warmup = '{begin}'\n");
        fs_err::write(folder.path().join(name), text).unwrap();
    };
    write("self.toml", &path("self.toml"));
    write("spelt.toml", &path("./spelt.toml"));
    write("a.toml", &path("b.toml"));
    write("b.toml", &path("a.toml"));
    write("long.toml", &path("a.toml"));
    let chain = |names: &[&str]| names.iter().map(|name| path(name)).collect::<Vec<_>>().join(" → ");
    for (recipe, names) in [
        ("self.toml", vec!["self.toml", "self.toml", "self.toml"]),
        ("spelt.toml", vec!["spelt.toml", "./spelt.toml", "./spelt.toml"]),
        ("a.toml", vec!["a.toml", "b.toml", "a.toml"]),
        ("long.toml", vec!["long.toml", "a.toml", "b.toml"]),
    ] {
        let error = Config::resolve(Some(&path(recipe)), &[]).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(&chain(&names)), "{recipe}: {error}");
    }
    // A built-in recipe with itself as head warm-up, and one with a recipe that has a head warm-up.
    for (recipe, begin, chain) in [
        ("finetune", "finetune", "finetune → finetune → transfer"),
        ("transfer", "finetune", "transfer → finetune → transfer"),
    ] {
        let error =
            Config::resolve(Some(recipe), &[ConfigSource::value("LOC_HEAD_WARMUP", "head_warmup", begin)])
                .unwrap_err();
        assert!(error.to_string().contains(chain), "{error}");
    }
}

/// The values of a head warm-up from a file are stored in the run: it can be repeated and restarted without the file.
#[test]
fn a_head_warmup_from_a_file_is_stored_in_the_run() {
    let fixture = Lite0Fixture::new();
    let file = fixture.path("first.toml");
    fs_err::write(&file, "backbone = \"lite0\"\nbackbone_lr = 0.0\nepochs = 2\ncopies = 1\nbatch = 4\n")
        .unwrap();
    let begin = file.display().to_string();
    let more = [("head_warmup", &*begin), ("epochs", "1"), ("batch", "4")];
    let mut heads = 0;
    let run = fixture
        .train_with("begun", "finetune", "", &more, &mut |event, _| {
            heads += usize::from(matches!(event, Event::Heads { epochs: 2, .. }));
        })
        .unwrap()
        .run;
    assert_eq!(heads, 2, "there is an event for every epoch of the file's training");
    fs_err::remove_file(&file).unwrap();
    let bytes = |run: &loc_train::Run| fs_err::read(run.last()).unwrap();
    let uninterrupted = bytes(&run);
    fs_err::remove_dir_all(run.weights()).unwrap();
    fs_err::create_dir(run.weights()).unwrap();
    fs_err::remove_file(run.results()).unwrap();
    let again = resume(run, &[], ResumeOptions::default(), &Stop::default(), &mut |_| {}).unwrap();
    assert!(bytes(&again.run) == uninterrupted, "restarted, the model has other bytes");
}

#[test]
fn initial_weights_can_have_any_float_type() {
    let fixture = Lite0Fixture::new();
    // The same file in f64, which represents every f32 exactly.
    let uninterrupted = fs_err::read(fixture.path("efficientnet-lite0.safetensors")).unwrap();
    let header = u64::from_le_bytes(uninterrupted[..8].try_into().unwrap()) as usize;
    let text = std::str::from_utf8(&uninterrupted[8..8 + header]).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
    for (_, tensor) in json.as_object_mut().unwrap() {
        tensor["dtype"] = "F64".into();
        for end in tensor["data_offsets"].as_array_mut().unwrap() {
            *end = (2 * end.as_u64().unwrap()).into();
        }
    }
    let json = json.to_string();
    let values =
        uninterrupted[8 + header..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    let mut wide = (json.len() as u64).to_le_bytes().to_vec();
    wide.extend(json.bytes());
    wide.extend(values.flat_map(|v| f64::from(v).to_le_bytes()));
    fs_err::write(fixture.path("wide.safetensors"), wide).unwrap();
    let [narrow, wide] = ["efficientnet-lite0.safetensors", "wide.safetensors"].map(|file| {
        let run = fixture.train(file, "transfer", file, &mut |_, _| {}).unwrap().run;
        loc_model::weights::load(&run.last()).unwrap().weights
    });
    assert!(narrow == wide, "the same values in f64 give another model");
}

#[test]
fn without_weights_the_error_has_a_remedy() {
    let fixture = Lite0Fixture::new();
    let error = fixture.train("none", "transfer", "nowhere", &mut |_, _| {}).unwrap_err();
    let message = format!("{error} {:?}", error.remedy());
    assert!(message.contains("nowhere") && message.contains("GiveWeights"), "{message}");
    assert!(!fixture.path("runs/none").exists(), "a run with an error leaves no folder");
}

/// With a time limit fewer copies of photos have features, also in the head warm-up. The run can be repeated without
/// the limit.
#[test]
fn a_run_with_a_time_limit_on_a_frozen_backbone_is_reproducible() {
    let fixture = Lite0Fixture::new();
    for (recipe, millis) in [("transfer", 700), ("finetune", 1500)] {
        // The clock advances by 20 ms each time it is read, and by 40 ms with each batch of photos.
        let time = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&time);
        let clock = Clock::of(move || Duration::from_millis(shown.fetch_add(20, Ordering::SeqCst)));
        let options = TrainOptions { time: Some(Duration::from_millis(millis)), clock, ..Default::default() };
        let config = fixture.config(recipe, "", &[("batch", "4"), ("min_steps", "1")]).unwrap();
        let name = format!("{recipe}-bounded");
        let bounded = fixture.train_as(&name, &config, &options, &mut |event, _| {
            if matches!(event, Event::Features { .. }) {
                time.fetch_add(40, Ordering::SeqCst);
            }
        });
        let bounded = bounded.unwrap();
        let written = ConfigSource::file(&bounded.run.config()).unwrap();
        let written = Config::resolve(None, &[written]).unwrap().config;
        assert!(written.epochs < config.epochs, "{recipe}: {} epochs", written.epochs);
        let text = fs_err::read_to_string(bounded.run.config()).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let heads = table.get("head_warmup").and_then(toml::Value::as_table).unwrap_or(&table);
        let number = |key: &str| heads[key].as_integer().unwrap();
        assert!((1..40).contains(&number("copies")) && number("views") == 0, "{recipe}: {text}");
        assert!((1..60).contains(&number("epochs")), "{recipe}: {text}");
        let name = format!("{recipe}-again");
        let again = fixture.train_as(&name, &written, &TrainOptions::default(), &mut |_, _| {}).unwrap();
        let model = |outcome: &Outcome| fs_err::read(outcome.run.last()).unwrap();
        assert!(
            model(&again) == model(&bounded),
            "{recipe}: repeated from its config.toml it has other bytes"
        );
    }
}
