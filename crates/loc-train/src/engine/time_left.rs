//! How long the rest of a run will take: told once, after its first epoch, or during it if that is long.

use std::time::Duration;

use crate::run::Clock;

/// Time after which it is told within the first epoch.
const SOON: Duration = Duration::from_secs(15);

/// Measures the speed of a run from where it begins or is resumed.
#[derive(Debug)]
pub(crate) struct TimeLeft {
    clock: Clock,
    began: Duration,
    steps: u32,
    is_told: bool,
}

impl TimeLeft {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), began: clock.now(), steps: 0, is_told: false }
    }

    /// After a step: the time for so many further steps and for as many photos more as evaluations take, in steps.
    pub(crate) fn after_step(&mut self, further: f64) -> Option<Duration> {
        self.steps += 1;
        let passed = self.clock.now().saturating_sub(self.began);
        // The first step alone may be slow.
        (passed >= SOON && self.steps >= 2)
            .then(|| passed.mul_f64(further / f64::from(self.steps)))
            .filter(|_| !std::mem::replace(&mut self.is_told, true))
    }

    /// After an epoch: the time for `further` steps; none after the last epoch.
    pub(crate) fn after_epoch(&mut self, further: f64) -> Option<Duration> {
        let passed = self.clock.now().saturating_sub(self.began);
        (self.steps > 0 && further > 0.0 && !std::mem::replace(&mut self.is_told, true))
            .then(|| passed.mul_f64(further / f64::from(self.steps)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_after_the_last_epoch() {
        let mut left = TimeLeft::new(&Clock::default());
        assert_eq!(left.after_step(0.0), None);
        assert_eq!(left.after_epoch(0.0), None);
        assert!(left.after_epoch(1.0).is_some());
        assert_eq!(left.after_epoch(1.0), None);
    }
}
