//! Flattens a feature map to a vector.

use super::Operation;
use crate::Shape;

/// Flattens a feature map to a vector: channel by channel, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flatten;

impl Operation for Flatten {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        Ok(Shape(vec![inputs[0].len()]))
    }

    fn describe(&self) -> String {
        "flatten".into()
    }
}
