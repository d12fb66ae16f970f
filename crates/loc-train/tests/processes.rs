//! Several processes train together: the same bytes as one, and they end together. The processes are threads here; `cargo
//! xtask mpi` starts real ones.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::lite0::Lite0Fixture;
use common::threads::{Threads, on_processes, on_threads};
use common::{Fixture, PHOTOS, last};
use loc_train::{
    Choices, Collective, Event, Processes, ResumeOptions, Run, Status, Stop, TrainError, TrainOptions,
    resume_with,
};

/// Settings under which everything that depends on the position of a photo in its batch is used. With 12 training photos, a
/// batch of 5 leaves a last one of 2, so that some of four and eight processes have no photo.
const EVERYTHING: &[(&str, &str)] = &[
    ("batch", "5"),
    ("dropout", "0.3"),
    ("augment", "{ flip = 0.5, window = [0.5, 1.2], aspect = 0.2, cutout = 0.9, mix = 0.9, tint = 0.2 }"),
    ("clip_grad_norm", "0.5"),
    ("ema_decay", "0.9"),
    ("feature_distill_weight", "1.0"),
];

fn bytes_of(fixture: &Fixture, size: usize, name: &str, overrides: &[(&str, &str)]) -> Vec<u8> {
    let name = format!("{name}-{size}");
    let outcomes = on_processes(size, |p| fixture.train_on(p, &name, overrides, &mut |_, _| {}).unwrap());
    assert!(outcomes.iter().all(|outcome| outcome.status == Status::Finished));
    assert!(outcomes.iter().all(|outcome| outcome.run == outcomes[0].run), "all know the run's folder");
    last(&outcomes[0].run)
}

#[test]
fn one_two_four_and_eight_processes_write_the_same_bytes() {
    let fixture = Fixture::new();
    let whole_batch = PHOTOS.to_string();
    for (name, overrides, sizes) in [
        ("everything", EVERYTHING, &[1, 2, 4, 8][..]),
        ("few", &[("batch", "3"), ("optimizer", "sgd"), ("epochs", "1")], &[4, 8]),
        ("all", &[("batch", &*whole_batch), ("epochs", "1")], &[2]),
    ] {
        let alone = fixture.train(name, overrides).unwrap().run;
        for size in sizes.iter().copied() {
            assert!(bytes_of(&fixture, size, name, overrides) == last(&alone), "{name} on {size} processes");
        }
    }
}

/// One configuration of each kind: end to end, heads on a frozen backbone, a head warm-up before it, and two looks.
#[test]
fn every_recipe_writes_the_same_bytes_on_several_processes() {
    let fixture = Lite0Fixture::new();
    let warmup = fixture.path("warmup.toml");
    let text = "backbone = \"lite0\"\nbackbone_lr = 0.0\nepochs = 1\ncopies = 2\nbatch = 5\nmin_steps = 1\n";
    fs_err::write(&warmup, text).unwrap();
    let warmup = warmup.display().to_string();
    let short = [("epochs", "1"), ("batch", "5"), ("copies", "2"), ("views", "0"), ("min_steps", "1")];
    let two_looks = [("looks", "2"), ("class_features", "region"), ("crop_imgsz", "64")];
    for (name, recipe, more) in [
        ("compact", "compact", &[("imgsz", "128")][..]),
        ("transfer", "transfer", &[("class_features", "region")]),
        ("finetune", "finetune", &[("head_warmup", &*warmup)]),
        ("transfer-2", "transfer", &two_looks),
        ("finetune-2", "finetune", &[&two_looks[..], &[("head_warmup", &*warmup)]].concat()),
    ] {
        let config = fixture.config(recipe, "", &[&short[..], more].concat()).unwrap();
        let bytes = |size: usize| {
            let name = format!("{name}-{size}");
            let train = |processes| {
                let choices = Choices { features: true, imgsz: true, looks: true };
                let options = TrainOptions { processes, choices, ..TrainOptions::default() };
                fixture.train_as(&name, &config, &options, &mut |_, _| {}).unwrap()
            };
            last(&on_processes(size, train)[0].run)
        };
        let alone = bytes(1);
        for size in [2, 4] {
            assert!(bytes(size) == alone, "{name} on {size} processes");
        }
    }
}

#[test]
fn three_processes_agree_with_one_closely() {
    let fixture = Fixture::new();
    let weights = |run: &Run| loc_model::weights::load(&run.last()).unwrap().weights;
    // AdamW divides by the root of the squared gradient: where that is nearly 0, rounding alone moves a weight.
    let plain = [("optimizer", "sgd"), ("momentum", "0.9")];
    let alone = weights(&fixture.train("alone", &plain).unwrap().run);
    let warned = AtomicUsize::new(0);
    let outcomes = on_processes(3, |processes| {
        let on = &mut |event: &Event, _: &Stop| {
            let is = matches!(event, Event::Warning(text) if text.contains("3 processes"));
            warned.fetch_add(usize::from(is), Ordering::SeqCst);
        };
        fixture.train_on(processes, "three", &plain, on).unwrap()
    });
    assert_eq!(warned.into_inner(), 3, "each process tells its program");
    let record = fs_err::read_to_string(outcomes[0].run.json()).unwrap();
    assert!(record.contains("\"processes\": 3") || record.contains("\"processes\":3"), "{record}");
    let three = weights(&outcomes[0].run);
    for (name, weight) in &alone.0 {
        let difference = weight.data.iter().zip(three.values(name)).map(|(a, b)| (a - b).abs());
        let largest = difference.fold(0.0, f32::max);
        assert!(largest < 1e-5, "{name}: {largest}");
    }
}

/// Stops all processes by a request to one of them.
fn stopped(fixture: &Fixture, size: usize, asked: usize, after: usize) -> Run {
    let outcomes = on_processes(size, |processes: Processes| {
        let (rank, mut steps) = (processes.rank(), 0);
        let on = &mut |event: &Event, stop: &Stop| {
            steps += usize::from(matches!(event, Event::Step { .. }));
            if rank == asked && steps == after {
                stop.request();
            }
        };
        fixture.train_on(processes, "stopped", EVERYTHING, on).unwrap()
    });
    assert!(
        outcomes.iter().all(|outcome| outcome.status == Status::Interrupted),
        "all stop at the same step"
    );
    outcomes[0].run.clone()
}

#[test]
fn a_request_to_one_process_stops_all_and_any_number_resumes_to_the_same_bytes() {
    let fixture = Fixture::new();
    let whole = last(&fixture.train("whole", EVERYTHING).unwrap().run);
    for (size, asked, after, then) in [(2, 1, 1, 4), (2, 1, 4, 1), (4, 3, 2, 2)] {
        let run = stopped(&fixture, size, asked, after);
        let outcomes = on_processes(then, |processes| {
            resume_with(run.clone(), &[], ResumeOptions::default(), &processes, &Stop::default(), &mut |_| {})
                .unwrap()
        });
        assert!(last(&outcomes[0].run) == whole, "stopped on {size}, resumed on {then} processes");
    }
}

#[test]
fn the_failure_of_the_first_process_ends_all() {
    let fixture = Fixture::new();
    let errors = on_processes(2, |processes| {
        let is_first = processes.is_first();
        let on = &mut |event: &Event, _: &Stop| {
            // The folder of the run is gone when its first epoch is saved.
            if let (Event::Ready { run, .. }, true) = (event, is_first) {
                fs_err::remove_dir_all(run).unwrap();
            }
        };
        let result = fixture.train_on(processes.clone(), "gone", &[], on);
        assert!(processes.have_ended());
        result.unwrap_err()
    });
    assert!(matches!(errors[0], TrainError::Run { .. }), "{}", errors[0]);
    assert!(matches!(errors[1], TrainError::OtherProcess { rank: 0 }), "{}", errors[1]);
}

#[test]
fn an_error_that_all_processes_have_is_told_once() {
    let fixture = Fixture::new();
    let errors = on_processes(4, |processes| {
        let overrides = [("lr", "1e30"), ("schedule", "constant"), ("warmup", "0.0")];
        fixture.train_on(processes, "exploded", &overrides, &mut |_, _| {}).unwrap_err()
    });
    assert!(matches!(errors[0], TrainError::NotFinite { .. }), "{}", errors[0]);
    assert!(errors[1..].iter().all(|error| matches!(error, TrainError::OtherProcess { rank: 0 })));
}

/// The second process computes a gradient that is not a number.
#[derive(Debug)]
struct Broken(Threads, AtomicUsize);

impl Collective for Broken {
    fn rank(&self) -> usize {
        self.0.rank()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        self.0.gather(own)
    }

    fn exchange(&self, partner: usize, own: &[f32], theirs: &mut [f32]) {
        let mut own = own.to_vec();
        // The first of the four exchanges of the fourth step, which is the first of the second epoch.
        if self.rank() == 1 && self.1.fetch_add(1, Ordering::SeqCst) == 12 {
            own[5] = f32::NAN;
        }
        self.0.exchange(partner, &own, theirs);
    }
}

#[test]
fn a_gradient_of_one_process_that_is_not_finite_stops_all_before_the_step() {
    let fixture = Fixture::new();
    let errors = on_threads(4, |threads| {
        let processes = Processes::new(Broken(threads, AtomicUsize::new(0)));
        fixture.train_on(processes, "broken", &[], &mut |_, _| {}).unwrap_err()
    });
    let TrainError::NotFinite { what, epoch: 2, step: 1, .. } = &errors[0] else { panic!("{}", errors[0]) };
    assert!(what.contains("gradient"), "{what}");
    assert!(errors[1..].iter().all(|error| matches!(error, TrainError::OtherProcess { rank: 0 })));
}

#[test]
fn a_process_that_would_train_something_else_is_named() {
    let fixture = Fixture::new();
    for (key, value, what) in [("seed", "7", "the configuration"), ("batch", "3", "the configuration")] {
        let errors = on_processes(4, |processes| {
            let other: &[_] = if processes.rank() == 2 { &[(key, value)] } else { &[] };
            fixture.train_on(processes, key, other, &mut |_, _| {}).unwrap_err()
        });
        let named = |error: &TrainError| matches!(error, TrainError::ProcessDiffers { rank: 2, what: found } if *found == what);
        assert!(named(&errors[0]), "{key}: {}", errors[0]);
    }
    let error = on_processes(2, |processes| {
        let options =
            TrainOptions { processes, time: Some(std::time::Duration::from_secs(9)), ..Default::default() };
        Lite0Fixture::new().train_as("timed", &fixture.config(&[]), &options, &mut |_, _| {}).unwrap_err()
    });
    assert!(error.iter().any(|error| error.remedy().is_some() && error.is_usage()));
}

#[test]
fn threads_are_divided_among_the_processes_of_a_host() {
    let of = |available: usize| {
        on_processes(4, |processes| {
            let place = if processes.rank() < 3 { "one host" } else { "another" };
            processes.threads(available, place).unwrap()
        })
    };
    assert_eq!((of(8), of(2)), (vec![2, 2, 2, 8], vec![1, 1, 1, 2]));
}
