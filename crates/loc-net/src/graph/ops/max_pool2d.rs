//! Max-pooling.

use super::{Operation, Pool};
use crate::Shape;

/// The largest cell of each window; on a tie the first in row order, as in PyTorch. A window has at most 256 cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool2d(
    /// The window.
    pub Pool,
);

impl Operation for MaxPool2d {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        if self.0.kernel.0.saturating_mul(self.0.kernel.1) > 256 {
            return Err("a max-pool window has at most 256 cells: its argmax is one byte".into());
        }
        self.0.pooled(inputs[0])
    }

    fn describe(&self) -> String {
        self.0.describe("max-pool")
    }
}
