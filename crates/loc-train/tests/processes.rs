//! Several processes train together: the same bytes as one, and they end together. The processes are threads here; `cargo
//! xtask mpi` starts real ones.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::threads::on_processes;
use common::{Fixture, PHOTOS, last};
use loc_train::Status;

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
    for (name, overrides) in [
        ("tutorial", &[][..]),
        ("everything", EVERYTHING),
        ("few", &[("batch", "3"), ("optimizer", "sgd"), ("epochs", "1")]),
        ("all", &[("batch", &*whole_batch), ("epochs", "1")]),
    ] {
        let alone = fixture.train(name, overrides).unwrap().run;
        for size in [1, 2, 4, 8] {
            assert!(bytes_of(&fixture, size, name, overrides) == last(&alone), "{name} on {size} processes");
        }
    }
}
