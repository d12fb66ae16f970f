//! Whether a second look pays, judged by folds of the training photos.

use std::fmt;

use crate::eval::{Differences, Gain, Judged, differences};

/// What a second look gains on training photos that the heads have not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LooksVerdict {
    /// Accuracy and mean IoU of the first look alone.
    pub(crate) first: [f64; 2],
    /// Those of both looks.
    pub(crate) both: [f64; 2],
    /// Both looks minus the first, photo by photo.
    pub(crate) gain: Differences,
}

impl LooksVerdict {
    /// From the answers of one and of two looks to the same photos; none without photos.
    pub(crate) fn of(first: &[Judged], both: &[Judged]) -> Option<Self> {
        let n = first.len().max(1) as f64;
        let figures = |all: &[Judged]| {
            let right = all.iter().filter(|one| one.is_right()).count() as f64;
            [right / n, all.iter().map(|one| one.iou).sum::<f64>() / n]
        };
        Some(Self { first: figures(first), both: figures(both), gain: differences(first, both)? })
    }

    /// Whether the second look pays: unless, beyond chance, accuracy and mean IoU gain at most 0.01 each. Where the photos
    /// do not decide it, it stays: it has gained on every set of photos that we measured.
    pub(crate) fn pays(&self) -> bool {
        Gain::of(&[self.gain.accuracy.interval, self.gain.mean_iou.interval]) != Gain::Hardly
    }
}

impl fmt::Display for LooksVerdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { first, both, gain } = self;
        let verdict = if self.pays() { "a second look pays" } else { "a second look gains hardly anything" };
        let of = |name: &str, i: usize, [low, high]: [f64; 2]| {
            let (before, after) = (first[i], both[i]);
            format!("{name} {before:.3} → {after:.3} ({low:+.3} to {high:+.3})")
        };
        write!(
            f,
            "{verdict}: on {} training photos that the heads had not seen, {}, {}",
            gain.samples,
            of("accuracy", 0, gain.accuracy.interval),
            of("mean IoU", 1, gain.mean_iou.interval)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::judged;

    /// Answers to `n` photos: of so many of a hundred the class is right, with this IoU.
    fn answers(n: usize, right: usize, iou: f64) -> Vec<Judged> {
        let logits = |i: usize| if i * 37 % 100 < right { [1.0, 0.0] } else { [0.0, 1.0] };
        (0..n).map(|i| judged(i, 0, &logits(i), iou - 0.1 * ((i % 5) as f64))).collect()
    }

    #[test]
    fn a_second_look_stays_unless_it_gains_hardly_anything_beyond_chance() {
        for (what, n, right, iou, pays) in [
            ("classes that the first look cannot tell", 200, 95, 0.8, true),
            ("better boxes", 200, 80, 0.84, true),
            ("the same answers", 200, 80, 0.8, false),
            ("worse answers", 200, 70, 0.79, false),
            ("a hair better", 400, 80, 0.8005, true),
        ] {
            let verdict = LooksVerdict::of(&answers(n, 80, 0.8), &answers(n, right, iou)).unwrap();
            assert_eq!(verdict.pays(), pays, "{what}: {verdict}");
        }
        assert_eq!(LooksVerdict::of(&[], &[]), None);
    }
}
