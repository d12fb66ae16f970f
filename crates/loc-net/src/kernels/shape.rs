//! The shapes that the kernels take: windows over feature maps, without names and layers.

use crate::window;

/// A two-dimensional convolution with bias, and the feature map it reads. Pairs are (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Channels of the input.
    pub in_channels: usize,
    /// Height and width of the input.
    pub in_size: (usize, usize),
    /// Channels of the output.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Steps between output cells.
    pub stride: (usize, usize),
    /// Zeros added above and below, left and right.
    pub padding: (usize, usize),
    /// Zeros added below and right beyond those.
    pub extra: (usize, usize),
    /// Number of groups; the channel counts are multiples of it.
    pub groups: usize,
}

impl ConvShape {
    /// A square kernel with stride 1, no padding and one group.
    #[must_use]
    pub fn square(in_channels: usize, in_size: (usize, usize), out_channels: usize, kernel: usize) -> Self {
        Self {
            in_channels,
            in_size,
            out_channels,
            kernel: (kernel, kernel),
            stride: (1, 1),
            padding: (0, 0),
            extra: (0, 0),
            groups: 1,
        }
    }

    /// The same with TensorFlow's SAME padding.
    #[must_use]
    pub fn same(self) -> Self {
        let (padding, extra) = window::same_padding(self.in_size, self.kernel, self.stride);
        Self { padding, extra, ..self }
    }

    /// Height and width of the output.
    ///
    /// # Panics
    ///
    /// If the kernel does not fit the input or the groups do not divide the channels.
    #[must_use]
    pub fn out_size(&self) -> (usize, usize) {
        let groups = self.groups;
        assert!(groups > 0 && self.in_channels.is_multiple_of(groups), "groups divide the input channels");
        assert!(self.out_channels.is_multiple_of(groups), "groups divide the output channels");
        let Some(size) =
            window::conv_output(self.in_size, self.kernel, self.stride, (self.padding, self.extra))
        else {
            panic!("the kernel {:?} does not fit {:?}", self.kernel, self.in_size)
        };
        size
    }

    /// Values of one photo's input.
    #[must_use]
    pub fn in_len(&self) -> usize {
        self.in_channels * self.in_size.0 * self.in_size.1
    }

    /// Values of one photo's output.
    #[must_use]
    pub fn out_len(&self) -> usize {
        let (h, w) = self.out_size();
        self.out_channels * h * w
    }

    /// Inputs that one output cell sees: channels of a group × kernel height × kernel width.
    #[must_use]
    pub fn fan_in(&self) -> usize {
        self.in_channels / self.groups * self.kernel.0 * self.kernel.1
    }

    /// Values of the weight tensor.
    #[must_use]
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.fan_in()
    }
}

/// A pooling and the feature map it reads. Pairs are (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolShape {
    /// Channels of input and output.
    pub channels: usize,
    /// Height and width of the input.
    pub in_size: (usize, usize),
    /// Window height and width.
    pub kernel: (usize, usize),
    /// Steps between windows.
    pub stride: (usize, usize),
}

impl PoolShape {
    /// A square window.
    #[must_use]
    pub fn square(channels: usize, in_size: (usize, usize), kernel: usize, stride: usize) -> Self {
        Self { channels, in_size, kernel: (kernel, kernel), stride: (stride, stride) }
    }

    /// Height and width of the output.
    ///
    /// # Panics
    ///
    /// If the window does not fit the input.
    #[must_use]
    pub fn out_size(&self) -> (usize, usize) {
        let Some(size) = window::output(self.in_size, self.kernel, self.stride) else {
            panic!("the window {:?} does not fit {:?}", self.kernel, self.in_size)
        };
        size
    }

    /// Values of one photo's input.
    #[must_use]
    pub fn in_len(&self) -> usize {
        self.channels * self.in_size.0 * self.in_size.1
    }

    /// Values of one photo's output.
    #[must_use]
    pub fn out_len(&self) -> usize {
        let (h, w) = self.out_size();
        self.channels * h * w
    }
}

/// An activation that a convolution applies to each of its outputs before it writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None.
    None,
    /// `max(y, 0)`.
    Relu,
    /// `min(max(y, 0), 6)`.
    Relu6,
}
