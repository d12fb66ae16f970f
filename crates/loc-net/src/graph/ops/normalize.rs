//! The photo's normalisation.

use super::{Operation, map};
use crate::Shape;

/// `(x − mean) / std` for each of three channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalize {
    /// Mean of each channel, in the input's unit (0..1).
    pub mean: [f32; 3],
    /// Standard deviation of each channel, above 0.
    pub std: [f32; 3],
}

impl Operation for Normalize {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        let (c, ..) = map(inputs[0])?;
        if c != 3 || self.std.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return Err(format!(
                "needs 3 channels and standard deviations above 0, got {c} and {:?}",
                self.std
            ));
        }
        Ok(inputs[0].clone())
    }

    fn describe(&self) -> String {
        "normalize".into()
    }
}
