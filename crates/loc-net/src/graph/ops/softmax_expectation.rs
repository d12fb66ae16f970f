//! Positions as expected values of softmax distributions.

use super::Operation;
use crate::Shape;

/// Positions in 0..1 as expected values: the softmax of each group of `bins` values, where bin b has the position
/// `b / (bins − 1)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftmaxExpectation {
    /// Number of bins of a distribution, 2 or more.
    pub bins: usize,
}

impl Operation for SoftmaxExpectation {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        match inputs[0].0[..] {
            [n] if self.bins > 1 && n > 0 && n.is_multiple_of(self.bins) => Ok(Shape(vec![n / self.bins])),
            _ => Err(format!("{} cannot be divided into distributions of {} bins", inputs[0], self.bins)),
        }
    }

    fn describe(&self) -> String {
        format!("expected value over {} bins", self.bins)
    }
}
