//! The input without its gradient.

use super::Operation;
use crate::Shape;

/// Passes its input on, but not its gradient. Training can replace the values of the layer
/// ([`Network::region_box`](crate::Network::region_box)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detach;

impl Operation for Detach {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        Ok(inputs[0].clone())
    }

    fn describe(&self) -> String {
        "without gradient".into()
    }
}
