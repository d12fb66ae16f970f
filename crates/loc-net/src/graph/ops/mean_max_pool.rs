//! Mean and maximum of each row or column.

use super::{Operation, map};
use crate::Shape;

/// The axis that a pool keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Each row becomes one value.
    Rows,
    /// Each column becomes one value.
    Columns,
}

/// The mean over each row (`[2·c, h, 1]`) or each column (`[2·c, 1, w]`) of every channel, followed by the maxima.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeanMaxPool(
    /// Which lines are reduced to one value.
    pub Axis,
);

impl Operation for MeanMaxPool {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        let (c, h, w) = map(inputs[0])?;
        Ok(match self.0 {
            Axis::Rows => Shape(vec![2 * c, h, 1]),
            Axis::Columns => Shape(vec![2 * c, 1, w]),
        })
    }

    fn describe(&self) -> String {
        match self.0 {
            Axis::Rows => "mean and maximum of each row".into(),
            Axis::Columns => "mean and maximum of each column".into(),
        }
    }
}
