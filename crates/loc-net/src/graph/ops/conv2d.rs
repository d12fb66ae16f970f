//! Two-dimensional convolution.

use super::{Operation, ParamSpec, map, weight_and_bias};
use crate::{ParamKind, Shape, window};

/// A two-dimensional convolution with bias; pairs are (vertical, horizontal). Parameters
/// `NAME.weight [out, in/groups, kh, kw]` and `NAME.bias [out]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv2d {
    /// Number of output channels.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Steps between output cells.
    pub stride: (usize, usize),
    /// Zeros added above and below, left and right.
    pub padding: (usize, usize),
    /// Additional zeros below and on the right: TensorFlow's SAME padding can differ between the two sides.
    pub extra: (usize, usize),
    /// Number of groups; the channel counts are multiples of it.
    pub groups: usize,
}

impl Conv2d {
    /// A square kernel, stride 1, no padding, one group.
    #[must_use]
    pub fn square(out_channels: usize, kernel: usize) -> Self {
        Self {
            out_channels,
            kernel: (kernel, kernel),
            stride: (1, 1),
            padding: (0, 0),
            extra: (0, 0),
            groups: 1,
        }
    }

    /// Returns the same convolution with TensorFlow's SAME padding for an input of `(height, width)`: `⌈size / stride⌉`
    /// output cells per axis; if the number of zeros is odd, the additional one is below or on the right.
    #[must_use]
    pub fn same(self, size: (usize, usize)) -> Self {
        let (padding, extra) = window::same_padding(size, self.kernel, self.stride);
        Self { padding, extra, ..self }
    }

    /// Returns output height and width for an input of `(height, width)`, or `None` if the kernel does not fit.
    #[must_use]
    pub fn output(&self, size: (usize, usize)) -> Option<(usize, usize)> {
        window::conv_output(size, self.kernel, self.stride, (self.padding, self.extra))
    }

    fn fan_in(&self, channels: usize) -> usize {
        channels / self.groups * self.kernel.0 * self.kernel.1
    }
}

impl Operation for Conv2d {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        let (c, h, w) = map(inputs[0])?;
        let (g, out, (kh, kw)) = (self.groups, self.out_channels, self.kernel);
        if g == 0 || out == 0 || c % g != 0 || out % g != 0 {
            return Err(format!("{c} input and {out} output channels cannot be divided into {g} groups"));
        }
        let (oh, ow) = self.output((h, w)).ok_or_else(|| {
            format!("a {kh}×{kw} kernel does not fit {h}×{w} with padding {:?}", self.padding)
        })?;
        Ok(Shape(vec![out, oh, ow]))
    }

    fn params(&self, inputs: &[&Shape]) -> Vec<ParamSpec> {
        let channels = inputs[0].0[0];
        let weight = vec![self.out_channels, channels / self.groups, self.kernel.0, self.kernel.1];
        weight_and_bias(weight, self.out_channels, ParamKind::Weight, self.fan_in(channels))
    }

    fn multiply_adds(&self, inputs: &[&Shape], output: &Shape) -> usize {
        self.fan_in(inputs[0].0[0]) * output.len()
    }

    fn describe(&self) -> String {
        format!("convolution {}×{} → {}", self.kernel.0, self.kernel.1, self.out_channels)
    }
}
