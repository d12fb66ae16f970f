//! The window of the pooling operations.

use super::map;
use crate::{Shape, window};

/// A pooling window; pairs are (vertical, horizontal). Cells that the last window does not reach are ignored, as PyTorch
/// does without `ceil_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Window height and width.
    pub kernel: (usize, usize),
    /// Steps between windows.
    pub stride: (usize, usize),
}

impl Pool {
    /// A square window.
    #[must_use]
    pub fn square(kernel: usize, stride: usize) -> Self {
        Self { kernel: (kernel, kernel), stride: (stride, stride) }
    }

    /// Output height and width for an input of `(height, width)`, or `None` where the window does not fit.
    #[must_use]
    pub fn output(&self, size: (usize, usize)) -> Option<(usize, usize)> {
        window::output(size, self.kernel, self.stride)
    }

    /// The shape of a pooled map.
    pub(super) fn pooled(&self, input: &Shape) -> Result<Shape, String> {
        let (c, h, w) = map(input)?;
        let (kh, kw) = self.kernel;
        let (oh, ow) =
            self.output((h, w)).ok_or_else(|| format!("a {kh}×{kw} window does not fit {h}×{w}"))?;
        Ok(Shape(vec![c, oh, ow]))
    }

    /// The size in words.
    pub(super) fn describe(&self, what: &str) -> String {
        format!("{what} {}×{}, stride {}", self.kernel.0, self.kernel.1, self.stride.0)
    }
}
