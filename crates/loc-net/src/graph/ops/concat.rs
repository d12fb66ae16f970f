//! Concatenation of vectors.

use super::Operation;
use crate::Shape;

/// The concatenation of vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concat;

impl Operation for Concat {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        if let Some(map) = inputs.iter().find(|shape| shape.0.len() != 1) {
            return Err(format!("needs vectors, got {map}"));
        }
        Ok(Shape(vec![inputs.iter().map(|shape| shape.len()).sum()]))
    }

    fn accepts(&self, inputs: usize) -> bool {
        inputs > 0
    }

    fn describe(&self) -> String {
        "concatenation".into()
    }
}
