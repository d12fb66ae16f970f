//! Measures the memory of a training from outside. The process has only this test, since the peak belongs to the
//! process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Fixture, PHOTOS};
use loc_net::{Backbone, Head, InputShape, NetworkConfig, Normalization};
use loc_train::{Event, TrainError};

/// Returns the largest memory of the process so far, in bytes.
fn peak() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    1024 * line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap()
}

/// Returns the size of a photo's features in bytes.
fn features_of_a_photo() -> u64 {
    let input = InputShape { height: SIDE, width: SIDE };
    let config = NetworkConfig::new(input, 3, Backbone::FiveConv, Head::Edges);
    let network = config.build(&Normalization::IDENTITY).unwrap();
    network.taps().iter().map(|tap| 2 * network.shape(*tap).len() as u64).sum()
}

/// Side of the photos: large, so that the features take much more memory than everything else.
const SIDE: usize = 1020;

/// The features of a frozen backbone are stored once. There is no second copy, not even while they are computed.
#[test]
fn cached_features_are_in_memory_once() {
    let fixture = Fixture::new();
    let side = SIDE.to_string();
    // Returns the peak after the backbone has computed this many batches.
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
    // Each copy of the few photos is one batch. The validation photos follow, so by then all training features are
    // computed.
    let after = peak_after(&copies.to_string(), copies + 1);
    let features = (copies * (PHOTOS - PHOTOS / 5)) as u64 * features_of_a_photo();
    assert!(features > 64 << 20, "{features} bytes are too few for a measurement");
    let more = after - before;
    assert!(more > features / 2, "only {more} bytes for {features} bytes of features");
    assert!(more < features * 3 / 2, "{more} bytes for {features} bytes of features");
}
