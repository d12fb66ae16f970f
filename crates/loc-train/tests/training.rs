//! Training on a few drawn photos: what a run leaves behind, that it repeats, resumes and extends to the bit, and what
//! it refuses.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::{Path, PathBuf};

use loc_train::{Config, Event, Layer, Outcome, Provenance, Run, Status, Stop, TrainError, resume, train};

/// Photos in the set: few, so that an epoch takes a moment.
const PHOTOS: usize = 15;

struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        loc_data::shapes::generate(&folder.path().join("shapes"), PHOTOS, 1).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Two epochs of three steps, with momentum so that the optimizer has a state.
    fn config(&self, overrides: &[(&str, &str)]) -> Config {
        let data = self.path("shapes").display().to_string();
        let base = [("data", data.as_str()), ("imgsz", "188"), ("epochs", "2"), ("batch", "4")];
        let layers: Vec<Layer> = base
            .iter()
            .chain(overrides)
            .map(|(key, value)| Layer::value(format!("--{key}"), key, value))
            .collect();
        Config::resolve(None, &layers).unwrap()
    }

    fn train(&self, name: &str, overrides: &[(&str, &str)]) -> Result<Outcome, TrainError> {
        self.train_until(name, overrides, &mut |_, _| {})
    }

    /// Trains, showing each event and the stop flag to `on`.
    fn train_until(
        &self,
        name: &str,
        overrides: &[(&str, &str)],
        on: &mut dyn FnMut(&Event, &Stop),
    ) -> Result<Outcome, TrainError> {
        let provenance = Provenance { version: "0".into(), arguments: vec!["train".into()], threads: 2 };
        let (stop, project) = (Stop::default(), self.path("runs"));
        train(&self.config(overrides), (&project, name, false), &provenance, &stop, &mut |e| on(&e, &stop))
    }
}

fn last(run: &Run) -> Vec<u8> {
    fs_err::read(run.last()).unwrap()
}

fn go_on(run: &Run, overrides: &[(&str, &str)]) -> Result<Outcome, TrainError> {
    let layers: Vec<Layer> =
        overrides.iter().map(|(key, value)| Layer::value(format!("--{key}"), key, value)).collect();
    resume(run.clone(), &layers, &Stop::default(), &mut |_| {})
}

/// Runs `f` on a pool of its own.
fn with_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

#[test]
fn a_run_leaves_what_the_documentation_says() {
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
    assert_eq!(run.rows().unwrap().len(), 2);
    // The model predicts by itself.
    let localizer = loc_infer::Localizer::load(run.last()).unwrap();
    assert_eq!(localizer.meta().classes, ["box", "disc", "star"]);
    // A second run of the same name gets a folder of its own; its config repeats the first.
    let layer = Layer { origin: "config.toml".into(), text: fs_err::read_to_string(run.config()).unwrap() };
    let config = Config::resolve(None, &[layer]).unwrap();
    let provenance = Provenance { version: "0".into(), arguments: vec![], threads: 2 };
    let again =
        train(&config, (&fixture.path("runs"), "exp", false), &provenance, &Stop::default(), &mut |_| {})
            .unwrap();
    assert_eq!(again.run.path(), fixture.path("runs").join("exp2"));
    assert!(last(&again.run) == last(&run), "a run repeated from its config.toml has other bytes");
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
fn a_run_stopped_at_any_step_and_resumed_has_the_same_bytes() {
    let fixture = Fixture::new();
    let whole = fixture.train("whole", &[]).unwrap();
    for stop_at in 1..=5 {
        let mut steps = 0;
        let stopped = fixture
            .train_until("stopped", &[], &mut |event, stop| {
                if matches!(event, Event::Step { .. }) {
                    steps += 1;
                    if steps == stop_at {
                        stop.ask();
                    }
                }
            })
            .unwrap();
        assert_eq!(stopped.status, Status::Interrupted, "stopped at step {stop_at}");
        let resumed = go_on(&stopped.run, &[]).unwrap();
        assert_eq!(resumed.status, Status::Finished);
        assert!(
            last(&resumed.run) == last(&whole.run),
            "stopped at step {stop_at}, the model has other bytes"
        );
        let losses =
            |run: &Run| run.rows().unwrap().iter().map(|r| (r.train_loss, r.val_loss)).collect::<Vec<_>>();
        assert_eq!(losses(&resumed.run), losses(&whole.run), "stopped at step {stop_at}");
    }
}

#[test]
fn a_finished_run_is_extended_as_if_more_epochs_had_been_asked_for() {
    let fixture = Fixture::new();
    let long = fixture.train("long", &[("epochs", "3")]).unwrap();
    let short = fixture.train("short", &[("epochs", "1"), ("keep", "best")]).unwrap();
    assert!(!short.run.epoch(1).exists(), "--keep best keeps no epoch");
    let message = go_on(&short.run, &[]).unwrap_err().to_string();
    assert!(message.contains("--epochs"), "{message}");
    let extended = go_on(&short.run, &[("epochs", "3")]).unwrap();
    let weights = |run: &Run| loc_model::weights::load(&run.last()).unwrap().weights;
    assert!(weights(&extended.run) == weights(&long.run), "the extended run has other weights");
}

#[test]
fn what_would_change_the_mathematics_is_refused_on_resume() {
    let fixture = Fixture::new();
    let run = fixture.train("exp", &[("epochs", "1")]).unwrap().run;
    let message = go_on(&run, &[("epochs", "2"), ("lr", "0.5"), ("seed", "7")]).unwrap_err().to_string();
    assert!(message.contains("lr: 0.001 → 0.5") && message.contains("seed: 0 → 7"), "{message}");
    // Another photo in the place of one of them.
    let photo = fixture.path("shapes/images/shape-00003.jpg");
    fs_err::copy(fixture.path("shapes/images/shape-00004.jpg"), photo).unwrap();
    let message = go_on(&run, &[("epochs", "2")]).unwrap_err().to_string();
    assert!(message.contains("data set has changed"), "{message}");
}

#[test]
fn initial_weights_must_be_for_the_same_classes_and_network() {
    let fixture = Fixture::new();
    let model = fixture.train("exp", &[("epochs", "1")]).unwrap().run.last();
    let init = model.display().to_string();
    fixture.train("again", &[("init", &init), ("epochs", "1")]).unwrap();
    let refused = |name: &str, file: &Path| {
        fixture.train(name, &[("init", &file.display().to_string())]).unwrap_err().to_string()
    };
    let found = loc_model::weights::load(&model).unwrap();
    let other = fixture.path("other.safetensors");
    let metadata = found.metadata.unwrap().replace("\"star\"", "\"moon\"");
    fs_err::write(&other, loc_model::weights::to_bytes(&found.weights, Some(&metadata)).unwrap()).unwrap();
    let message = refused("classes", &other);
    assert!(message.contains("moon") && message.contains("star"), "{message}");
    let mut weights = found.weights;
    weights.0.remove("conv1.bias");
    fs_err::write(&other, loc_model::weights::to_bytes(&weights, None).unwrap()).unwrap();
    let message = refused("tensors", &other);
    assert!(message.contains("other.safetensors") && message.contains("missing `conv1.bias`"), "{message}");
    assert!(!fixture.path("runs/classes").exists(), "a refused run leaves no folder");
}

#[test]
fn a_loss_that_is_not_finite_stops_before_the_step() {
    let fixture = Fixture::new();
    let error = fixture.train("exp", &[("lr", "1e18"), ("epochs", "3")]).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("shape-0") && message.contains("hint"), "{message}");
    assert_eq!(Run::open(fixture.path("runs/exp")).unwrap().status().unwrap(), Status::Failed);
}
