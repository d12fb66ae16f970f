//! `1 / (1 + e^−x)`.

use super::Operation;
use crate::Shape;

/// `1 / (1 + e^−x)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sigmoid;

impl Operation for Sigmoid {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        Ok(inputs[0].clone())
    }

    fn describe(&self) -> String {
        "sigmoid".into()
    }
}
