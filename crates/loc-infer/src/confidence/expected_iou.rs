//! The expected IoU of a box, from the distributions of its edges.

use serde::{Deserialize, Serialize};

use super::EdgeSpread;
use crate::bbox::narrow;

/// How to compute the IoU that a predicted box can be expected to have with the true one.
///
/// ```text
/// IoU = 1 / (1 + exp(−(a + b · u)))      u = ln((s₁ + s₂ + s₃ + s₄) / 4)
/// ```
///
/// s are the deviations of the edges in sides of the box ([`EdgeSpread`]), a the intercept and b the slope.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedIou {
    /// The intercept a.
    pub intercept: f64,
    /// The slope b; below 0 where uncertain edges go with small overlaps.
    pub slope: f64,
}

/// The smallest mean deviation that is told from smaller ones.
const LEAST: f64 = 1e-4;

impl ExpectedIou {
    /// u of the formula.
    #[must_use]
    pub fn statistic(spread: &EdgeSpread) -> f64 {
        (spread.0.iter().sum::<f64>() / 4.0).max(LEAST).ln()
    }

    /// The expected IoU, in 0..1.
    #[must_use]
    pub fn of(&self, spread: &EdgeSpread) -> f32 {
        narrow(1.0 / (1.0 + (-(self.intercept + self.slope * Self::statistic(spread))).exp()))
    }

    /// Whether both coefficients are finite.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.intercept.is_finite() && self.slope.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uncertain_edges_lower_it() {
        // At a mean deviation of 1/e, u is −1.
        let model = ExpectedIou { intercept: 1.0, slope: -2.0 };
        let of = |spread: f64| model.of(&EdgeSpread([spread; 4]));
        assert!((of((-1.0_f64).exp()) - 1.0 / (1.0 + (-3.0_f32).exp())).abs() < 1e-6);
        assert!(of(0.02) > of(0.1) && of(0.1) > of(0.5));
        for extreme in [0.0, 1e300] {
            assert!((0.0..=1.0).contains(&of(extreme)), "{extreme}");
        }
    }
}
