//! What a training keeps in memory, seen from the system. A process of its own, with this one test.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Fixture, PHOTOS};
use loc_net::{Backbone, Head, InputShape, NetworkConfig, Normalization};
use loc_train::{Event, TrainError};

/// Bytes that the process has held at most so far.
fn peak() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    1024 * line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap()
}

/// Bytes that are kept of a photo.
fn of_a_photo() -> u64 {
    let input = InputShape { height: SIDE, width: SIDE };
    let config = NetworkConfig { input, classes: 3, backbone: Backbone::FiveConv, head: Head::Edges };
    let network = config.build(&Normalization::IDENTITY).unwrap();
    network.taps().iter().map(|tap| 2 * network.shape(*tap).len() as u64).sum()
}

/// Side of the photos: their features are then much, and nothing else is.
const SIDE: usize = 1020;

/// The features of a frozen backbone are kept once: nothing is as large a second time, not even while they are made.
#[test]
fn kept_features_are_in_memory_once() {
    let fixture = Fixture::new();
    let side = SIDE.to_string();
    // Until so many batches have been through the backbone.
    let peak_after = |copies: &str, batches: usize| {
        let values = [
            ("backbone_lr", "0.0"),
            ("head", "edges"),
            ("imgsz", &side),
            ("epochs", "1"),
            ("copies", copies),
        ];
        let mut seen = 0;
        let result = fixture.train_until("exp", &values, &mut |event, stop| {
            seen += usize::from(matches!(event, Event::Features { .. }));
            if seen == batches {
                stop.request();
            }
        });
        assert!(matches!(result, Err(TrainError::Stopped)), "{result:?}");
        peak()
    };
    let copies = 4;
    let before = peak_after("1", 1);
    // Each copy of the few photos is a batch; then come those that validate: the others are whole by then.
    let after = peak_after(&copies.to_string(), copies + 1);
    let features = (copies * (PHOTOS - PHOTOS / 5)) as u64 * of_a_photo();
    assert!(features > 64 << 20, "too little to tell: {features}");
    let more = after - before;
    assert!(more > features / 2, "{more} bytes for features of {features}: are they kept?");
    assert!(more < features * 3 / 2, "{more} bytes for features of {features}");
}
