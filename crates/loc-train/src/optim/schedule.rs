//! The schedule of the learning rate.

use std::f64::consts::PI;

use crate::config::{Config, Schedule};

impl Config {
    /// Returns the learning rate of a step (from 0) in an epoch (from 1) with so many steps.
    ///
    /// In the first `warmup` epochs it grows linearly from nearly 0 to the schedule's value.
    #[must_use]
    pub fn lr_at(&self, epoch: usize, step: usize, steps: usize) -> f64 {
        let passed = (epoch - 1) as f64 + step as f64 / steps.max(1) as f64;
        let (begin, end) = self.schedule_part(epoch);
        let lr = match self.schedule {
            Schedule::Constant => self.lr,
            Schedule::Step => {
                let times = i32::try_from((epoch - 1 - begin) / self.step_every.max(1)).unwrap_or(i32::MAX);
                self.lr * self.step_factor.powi(times)
            }
            Schedule::Cosine => {
                let t = ((passed - begin as f64) / (end - begin) as f64).min(1.0);
                self.lr * (self.lr_final + (1.0 - self.lr_final) * (1.0 + (PI * t).cos()) / 2.0)
            }
        };
        if passed < self.warmup {
            lr * (passed + 1.0 / steps.max(1) as f64).min(self.warmup) / self.warmup
        } else {
            lr
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_stays_and_step_steps() {
        let constant = Config { lr: 0.1, ..Config::default() };
        assert_eq!((constant.lr_at(1, 0, 10), constant.lr_at(30, 9, 10)), (0.1, 0.1));
        let step = Config { schedule: Schedule::Step, step_every: 10, step_factor: 0.1, ..constant };
        for (epoch, lr) in [(1, 0.1), (10, 0.1), (11, 0.01), (20, 0.01), (21, 0.001)] {
            assert!((step.lr_at(epoch, 3, 10) - lr).abs() < 1e-12);
        }
    }

    #[test]
    fn cosine_falls_from_the_rate_to_the_end() {
        let c =
            Config { lr: 0.1, lr_final: 0.1, epochs: 10, schedule: Schedule::Cosine, ..Config::default() };
        assert_eq!(c.lr_at(1, 0, 4), 0.1);
        assert!((c.lr_at(6, 0, 4) - 0.055).abs() < 1e-12, "half way");
        assert!(c.lr_at(10, 3, 4) > 0.01 && c.lr_at(10, 3, 4) < 0.011);
        let all: Vec<f64> =
            (1..=10).flat_map(|e| (0..4).map(move |s| (e, s))).map(|(e, s)| c.lr_at(e, s, 4)).collect();
        assert!(all.windows(2).all(|w| w[1] < w[0]));
    }

    #[test]
    fn a_restart_begins_the_schedule_anew_and_leaves_what_was_before() {
        let short =
            Config { lr: 0.1, epochs: 4, schedule: Schedule::Cosine, warmup: 1.0, ..Config::default() };
        let long = Config { epochs: 10, restarts: vec![4], ..short.clone() };
        for (epoch, step) in (1..=4).flat_map(|e| (0..3).map(move |s| (e, s))) {
            assert_eq!(long.lr_at(epoch, step, 3), short.lr_at(epoch, step, 3));
        }
        let anew = Config { epochs: 6, warmup: 0.0, ..short };
        for (epoch, step) in (1..=6).flat_map(|e| (0..3).map(move |s| (e, s))) {
            let (got, expected) = (long.lr_at(epoch + 4, step, 3), anew.lr_at(epoch, step, 3));
            assert!((got - expected).abs() < 1e-15, "epoch {epoch}: {got} where {expected} is right");
        }
        let still = Config { no_augment_epochs: 2, ..long.clone() };
        let last: Vec<usize> = (1..=10).filter(|epoch| still.is_unaugmented(*epoch)).collect();
        assert_eq!(last, [3, 4, 9, 10], "of each part the last");
        assert!((1..=10).all(|epoch| !long.is_unaugmented(epoch)));
        let step = Config { lr: 1.0, step_every: 3, schedule: Schedule::Step, ..long };
        assert_eq!([4, 5, 7, 8].map(|e| (step.lr_at(e, 0, 3) * 10.0).round()), [1.0, 10.0, 10.0, 1.0]);
    }

    #[test]
    fn warm_up_is_linear_and_ends_at_the_rate() {
        let c = Config { lr: 0.1, warmup: 2.0, ..Config::default() };
        let rates: Vec<f64> =
            (1..=3).flat_map(|e| (0..2).map(move |s| (e, s))).map(|(e, s)| c.lr_at(e, s, 2)).collect();
        for (got, expected) in rates.into_iter().zip([0.025, 0.05, 0.075, 0.1, 0.1, 0.1]) {
            assert!((got - expected).abs() < 1e-12, "{got} where {expected} is right");
        }
    }
}
