//! `min(max(x, 0), 6)`; its gradient at both kinks is 0, as in PyTorch.

use super::Operation;
use crate::Shape;

/// `min(max(x, 0), 6)`; its gradient at both kinks is 0, as in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relu6;

impl Operation for Relu6 {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        Ok(inputs[0].clone())
    }

    fn describe(&self) -> String {
        "relu6".into()
    }
}
