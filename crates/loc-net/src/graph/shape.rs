//! Shapes of activations, and kinds of parameters.

use std::fmt;

/// Dimensions of one photo's activation, without the batch: `[channels, height, width]` or `[features]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// Returns the number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().product()
    }

    /// Returns whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `(channels, height, width)` of a feature map, or `None` for a vector.
    #[must_use]
    pub fn chw(&self) -> Option<(usize, usize, usize)> {
        match self.0[..] {
            [c, h, w] => Some((c, h, w)),
            _ => None,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&dims.join("×"))
    }
}

/// The kind of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// A weight: the kernels of a convolution or the matrix of a linear layer.
    Weight,
    /// A scale: one factor per channel.
    Scale,
    /// A bias: one value per output channel.
    Bias,
}
