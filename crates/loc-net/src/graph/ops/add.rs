//! The sum of two inputs of the same shape.

use super::Operation;
use crate::Shape;

/// The sum of two inputs of the same shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Add;

impl Operation for Add {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        match inputs {
            [a, b] if a == b => Ok((*a).clone()),
            [a, b, ..] => Err(format!("needs two inputs of the same shape, got {a} and {b}")),
            _ => Err("needs two inputs".into()),
        }
    }

    fn accepts(&self, inputs: usize) -> bool {
        inputs == 2
    }

    fn describe(&self) -> String {
        "sum".into()
    }
}
