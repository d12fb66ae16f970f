//! Places as the means of distributions.

use super::Operation;
use crate::Shape;

/// Places 0..1 as the means of distributions: the softmax of each `bins` values, where bin b stands for `b / (bins − 1)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftmaxExpectation {
    /// Values of a distribution, 2 or more.
    pub bins: usize,
}

impl Operation for SoftmaxExpectation {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        match inputs[0].0[..] {
            [n] if self.bins > 1 && n > 0 && n.is_multiple_of(self.bins) => Ok(Shape(vec![n / self.bins])),
            _ => Err(format!("{} are no distributions over {} places", inputs[0], self.bins)),
        }
    }

    fn describe(&self) -> String {
        format!("expected value over {} bins", self.bins)
    }
}
