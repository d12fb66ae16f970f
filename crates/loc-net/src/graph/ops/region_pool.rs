//! Mean and maximum of a map inside a box.

use super::{Operation, map};
use crate::Shape;

/// The mean of each channel of a map over a box, `[c]`, each cell weighted by how much of it the box covers; with `max`
/// followed by the maxima of value times coverage, `[2·c]`. The second input is the box `[4]`: x1, y1, x2, y2 in 0..1 of
/// the map. It gets no gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionPool {
    /// Whether the maxima follow.
    pub max: bool,
}

impl RegionPool {
    /// Added to the covered part of each row and column, so that a box without an area has a mean.
    pub const EPSILON: f64 = crate::window::REGION_EPSILON;
}

impl Operation for RegionPool {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        let (c, ..) = map(inputs[0])?;
        match inputs[1].0[..] {
            [4] => Ok(Shape(vec![if self.max { 2 * c } else { c }])),
            _ => Err(format!("needs a box of 4 coordinates, got {}", inputs[1])),
        }
    }

    fn accepts(&self, inputs: usize) -> bool {
        inputs == 2
    }

    fn multiply_adds(&self, inputs: &[&Shape], output: &Shape) -> usize {
        let (_, h, w) = inputs[0].chw().unwrap_or_default();
        output.len() * h * w
    }

    fn describe(&self) -> String {
        if self.max { "mean and maximum inside the box".into() } else { "mean inside the box".into() }
    }
}
