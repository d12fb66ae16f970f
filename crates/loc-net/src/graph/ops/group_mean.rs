//! The mean of equal parts of a vector.

use super::Operation;
use crate::Shape;

/// The element-wise mean of `parts` equal parts of a vector: `[parts·n]` becomes `[n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMean {
    /// Number of parts, 1 or more.
    pub parts: usize,
}

impl Operation for GroupMean {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        match inputs[0].0[..] {
            [n] if self.parts > 0 && n > 0 && n.is_multiple_of(self.parts) => Ok(Shape(vec![n / self.parts])),
            _ => Err(format!("{} cannot be divided into {} equal parts", inputs[0], self.parts)),
        }
    }

    fn describe(&self) -> String {
        format!("mean of {} parts", self.parts)
    }
}
