//! Shapes of activations, and kinds of parameters.

use std::fmt;

/// Dimensions of one photo's activation, without the batch: `[channels, height, width]` or `[features]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().product()
    }

    /// Whether it holds no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `(channels, height, width)` of a feature map, or nothing for a vector.
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

/// Whether a parameter multiplies or adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// A weight: a convolution's or a linear layer's matrix.
    Weight,
    /// A scale: one factor a channel.
    Scale,
    /// A bias: one number an output channel.
    Bias,
}
