//! Average pooling.

use super::{Operation, Pool};
use crate::Shape;

/// The mean of each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvgPool2d(
    /// The window.
    pub Pool,
);

impl Operation for AvgPool2d {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        self.0.pooled(inputs[0])
    }

    fn describe(&self) -> String {
        self.0.describe("average pool")
    }
}
