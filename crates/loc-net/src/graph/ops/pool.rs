//! The window of the pooling operations.

use super::map;
use crate::{Shape, window};

/// A pooling window; pairs are (vertical, horizontal). Cells that the last window does not reach are ignored, as in
/// PyTorch without `ceil_mode`.
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

    /// Returns output height and width for an input of `(height, width)`, or `None` if the window does not fit.
    #[must_use]
    pub fn output(&self, size: (usize, usize)) -> Option<(usize, usize)> {
        window::output(size, self.kernel, self.stride)
    }

    /// Returns the shape of the pooled map.
    pub(super) fn pooled(&self, input: &Shape) -> Result<Shape, String> {
        let (c, h, w) = map(input)?;
        let (kh, kw) = self.kernel;
        let (oh, ow) =
            self.output((h, w)).ok_or_else(|| format!("a {kh}×{kw} window does not fit {h}×{w}"))?;
        Ok(Shape(vec![c, oh, ow]))
    }

    /// Returns a description such as `max-pool 2×2, stride 2`.
    pub(super) fn describe(&self, what: &str) -> String {
        format!("{what} {}×{}, stride {}", self.kernel.0, self.kernel.1, self.stride.0)
    }
}
