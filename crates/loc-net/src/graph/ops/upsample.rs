//! Bilinear upsampling of a map.

use super::{Operation, map};
use crate::Shape;

/// Enlarges a map to `size`, bilinear between the centres of its cells; outside of the centres the edge value is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upsample {
    /// Height and width of the result, at least those of the input.
    pub size: (usize, usize),
}

impl Operation for Upsample {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        let (c, h, w) = map(inputs[0])?;
        let (height, width) = self.size;
        if height < h || width < w {
            return Err(format!("{height}×{width} is smaller than {h}×{w}"));
        }
        Ok(Shape(vec![c, height, width]))
    }

    fn describe(&self) -> String {
        format!("upsampling to {}×{}", self.size.0, self.size.1)
    }
}
