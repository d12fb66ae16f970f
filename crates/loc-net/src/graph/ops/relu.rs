//! `max(x, 0)`; its gradient at exactly 0 is 0, as in PyTorch.

use super::Operation;
use crate::Shape;

/// `max(x, 0)`; its gradient at exactly 0 is 0, as in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relu;

impl Operation for Relu {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        Ok(inputs[0].clone())
    }

    fn describe(&self) -> String {
        "relu".into()
    }
}
