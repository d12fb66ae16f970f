//! Training heads on a frozen backbone, and a backbone end to end, on a few drawn photos and random weights.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::state_dict;
use loc_train::{
    Clock, Config, ConfigSource, Event, Outcome, Provenance, RunLocation, Status, Stop, TrainError,
    TrainOptions, resume, train_with,
};

struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        loc_data::shapes::generate(&folder.path().join("shapes"), 15, 1).unwrap();
        let bytes = loc_model::weights::to_bytes(&state_dict(), None).unwrap();
        fs_err::write(folder.path().join("efficientnet-lite0.safetensors"), bytes).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn train(
        &self,
        name: &str,
        recipe: &str,
        weights: &str,
        on: &mut dyn FnMut(&Event, &Stop),
    ) -> Result<Outcome, TrainError> {
        self.train_with(name, recipe, weights, &[("epochs", "2"), ("batch", "4"), ("copies", "2")], on)
    }

    fn train_with(
        &self,
        name: &str,
        recipe: &str,
        weights: &str,
        more: &[(&str, &str)],
        on: &mut dyn FnMut(&Event, &Stop),
    ) -> Result<Outcome, TrainError> {
        self.train_as(name, &self.config(recipe, weights, more)?, &TrainOptions::default(), on)
    }

    fn config(&self, recipe: &str, weights: &str, more: &[(&str, &str)]) -> Result<Config, TrainError> {
        let (data, weights) =
            (self.path("shapes").display().to_string(), self.path(weights).display().to_string());
        let values = [("data", data.as_str()), ("backbone_weights", &weights), ("imgsz", "64")];
        let layers: Vec<ConfigSource> = values
            .iter()
            .chain(more)
            .map(|(key, value)| ConfigSource::value(format!("--{key}"), key, value))
            .collect();
        Ok(Config::resolve(Some(recipe), &layers)?.config)
    }

    fn train_as(
        &self,
        name: &str,
        config: &Config,
        options: &TrainOptions,
        on: &mut dyn FnMut(&Event, &Stop),
    ) -> Result<Outcome, TrainError> {
        let provenance =
            Provenance { version: "0".into(), arguments: Vec::new(), threads: 2, ..Default::default() };
        let (stop, project) = (Stop::default(), self.path("runs"));
        let location = RunLocation { project: &project, name, exist_ok: false };
        train_with(config, options, location, &provenance, &stop, &mut |e| on(&e, &stop))
    }
}

#[test]
fn a_frozen_backbone_stays_and_its_run_resumes_to_the_bit() {
    let fixture = Fixture::new();
    let whole = fixture.train("whole", "transfer", "", &mut |_, _| {}).unwrap();
    let weights = loc_model::weights::load(&whole.run.last()).unwrap().weights;
    let conv = &state_dict().0["_blocks.3._depthwise_conv.weight"].data;
    let kept = weights.values("block3.depthwise.weight");
    assert!(
        kept.iter().zip(conv).all(|(a, b)| (a - b).abs() < 1e-6),
        "the backbone's weights are the file's"
    );
    let scales = weights.values("whole_standard.weight");
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
        let resumed = resume(stopped.run, &[], false, &Stop::default(), &mut |_| {}).unwrap();
        let bytes = |outcome: &Outcome| fs_err::read(outcome.run.last()).unwrap();
        assert!(bytes(&resumed) == bytes(&whole), "stopped at step {stop_at}, the model has other bytes");
    }
}

#[test]
fn end_to_end_the_backbone_moves_too() {
    let fixture = Fixture::new();
    let run = fixture.train("tuned", "finetune", "", &mut |_, _| {}).unwrap().run;
    let weights = loc_model::weights::load(&run.last()).unwrap().weights;
    let before = &state_dict().0["_blocks.3._depthwise_conv.weight"].data;
    assert!(weights.values("block3.depthwise.weight").iter().zip(before).any(|(a, b)| (a - b).abs() > 1e-6));
}

/// Heads first, then everything, is the same as two runs, the second begun with the first one's weights; and it goes on
/// after a stop as any run.
#[test]
fn a_run_that_begins_with_the_heads_is_two_runs_in_one() {
    let fixture = Fixture::new();
    let weights = |outcome: &Outcome| loc_model::weights::load(&outcome.run.last()).unwrap().weights;
    let first = fixture.train_with("first", "transfer", "", &[("head", "edges4")], &mut |_, _| {}).unwrap();
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
    assert_eq!(heads, 60, "every epoch of `transfer` is told");
    assert!(weights(&both) == weights(&second));
    let mut asked = false;
    let stopped = fixture
        .train_with("stopped", "finetune", "", &short, &mut |event, stop| {
            if matches!(event, Event::Step { .. }) && !std::mem::replace(&mut asked, true) {
                stop.request();
            }
        })
        .unwrap();
    assert_eq!(stopped.status, Status::Interrupted);
    let resumed = resume(stopped.run, &[], false, &Stop::default(), &mut |event| {
        assert!(!matches!(event, Event::Heads { .. }), "the heads have learned already");
    })
    .unwrap();
    assert!(weights(&resumed) == weights(&both));
}

#[test]
fn still_epochs_see_of_a_frozen_backbones_copies_those_as_they_are() {
    let fixture = Fixture::new();
    let weights = |name: &str, more: &[(&str, &str)]| {
        let all = [&[("epochs", "2"), ("batch", "4"), ("views", "0")], more].concat();
        let run = fixture.train_with(name, "transfer", "", &all, &mut |_, _| {}).unwrap().run;
        loc_model::weights::load(&run.last()).unwrap().weights
    };
    let still = weights("still", &[("copies", "3"), ("no_augment_epochs", "2")]);
    assert!(still == weights("alone", &[("copies", "1")]));
    assert!(still != weights("moved", &[("copies", "3")]));
}

#[test]
fn a_stop_before_the_first_step_ends_at_once_and_leaves_nothing() {
    let fixture = Fixture::new();
    let mut seen = Vec::new();
    let error = fixture.train("early", "transfer", "", &mut |event, stop| {
        if let Event::Features { done, of } = event {
            seen.push((*done, *of));
            stop.request();
        }
    });
    assert!(matches!(error, Err(TrainError::Stopped)), "{error:?}");
    assert_eq!(seen.len(), 1, "not one batch more: {seen:?}");
    assert!(!fixture.path("runs/early").exists());
}

#[test]
fn a_beginning_that_does_not_fit_is_refused() {
    for (recipe, begin, word) in [
        ("finetune", "scratch", "freeze"),
        ("compact", "transfer", "another backbone"),
        ("finetune", "no", "no recipe"),
    ] {
        let message =
            Config::resolve(Some(recipe), &[ConfigSource::value("--set head_warmup", "head_warmup", begin)])
                .unwrap_err();
        assert!(message.to_string().contains(word), "{recipe} beginning with {begin}: {message}");
    }
}

/// What would read one another for ever, by whatever way.
#[test]
fn recipes_that_begin_with_each_other_are_an_error_that_names_them() {
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
    // A built-in recipe that is given itself, and one that is given another with a beginning.
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

/// The values of a beginning that is a file go into the run: it can be repeated, and begun anew, without the file.
#[test]
fn a_beginning_from_a_file_stays_with_the_run() {
    let fixture = Fixture::new();
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
    assert_eq!(heads, 2, "every epoch of the file's training is told");
    fs_err::remove_file(&file).unwrap();
    let bytes = |run: &loc_train::Run| fs_err::read(run.last()).unwrap();
    let whole = bytes(&run);
    fs_err::remove_dir_all(run.weights()).unwrap();
    fs_err::create_dir(run.weights()).unwrap();
    fs_err::remove_file(run.results()).unwrap();
    let again = resume(run, &[], false, &Stop::default(), &mut |_| {}).unwrap();
    assert!(bytes(&again.run) == whole, "begun anew it ends in other bytes");
}

#[test]
fn weights_to_begin_with_may_be_of_any_float_type() {
    let fixture = Fixture::new();
    // In f64, which holds every f32, and under the names of the file in f32.
    let whole = fs_err::read(fixture.path("efficientnet-lite0.safetensors")).unwrap();
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let text = std::str::from_utf8(&whole[8..8 + header]).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
    for (_, tensor) in json.as_object_mut().unwrap() {
        tensor["dtype"] = "F64".into();
        for end in tensor["data_offsets"].as_array_mut().unwrap() {
            *end = (2 * end.as_u64().unwrap()).into();
        }
    }
    let json = json.to_string();
    let values = whole[8 + header..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    let mut wide = (json.len() as u64).to_le_bytes().to_vec();
    wide.extend(json.bytes());
    wide.extend(values.flat_map(|v| f64::from(v).to_le_bytes()));
    fs_err::write(fixture.path("wide.safetensors"), wide).unwrap();
    let [narrow, wide] = ["efficientnet-lite0.safetensors", "wide.safetensors"].map(|file| {
        let run = fixture.train(file, "transfer", file, &mut |_, _| {}).unwrap().run;
        loc_model::weights::load(&run.last()).unwrap().weights
    });
    assert!(narrow == wide, "the same numbers are another model");
}

#[test]
fn without_weights_the_error_says_how_to_get_them() {
    let fixture = Fixture::new();
    let error = fixture.train("none", "transfer", "nowhere", &mut |_, _| {}).unwrap_err();
    let message = format!("{error} {:?}", error.remedy());
    assert!(message.contains("nowhere") && message.contains("GiveWeights"), "{message}");
    assert!(!fixture.path("runs/none").exists(), "a refused run leaves no folder");
}

/// Within a given time fewer copies of photos have features, in the head warm-up too; the run repeats without the limit.
#[test]
fn a_bounded_run_on_a_frozen_backbone_repeats_with_the_copies_that_fitted() {
    let fixture = Fixture::new();
    for (recipe, millis) in [("transfer", 700), ("finetune", 1500)] {
        // It advances by 20 ms whenever it is looked at, and by 40 ms with each batch of photos.
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
