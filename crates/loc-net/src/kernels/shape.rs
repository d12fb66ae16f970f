//! The shapes that the kernels take: windows over feature maps, without layers and names.

use crate::window;

/// Returns the product of numbers that describe a shape.
///
/// # Panics
///
/// If it is larger than `usize`: unchecked, it could wrap to the length of a short slice.
#[must_use]
pub(crate) fn product(numbers: &[usize]) -> usize {
    let product = numbers.iter().try_fold(1usize, |product, n| product.checked_mul(*n));
    let Some(product) = product else { panic!("a shape of {numbers:?} has too many values") };
    product
}

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
    /// Additional zeros below and on the right.
    pub extra: (usize, usize),
    /// Number of groups; the channel counts are multiples of it.
    pub groups: usize,
}

impl ConvShape {
    /// Returns a convolution with a square kernel, stride 1, no padding and one group.
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

    /// Returns the same convolution with TensorFlow's SAME padding.
    #[must_use]
    pub fn same(self) -> Self {
        let (padding, extra) = window::same_padding(self.in_size, self.kernel, self.stride);
        Self { padding, extra, ..self }
    }

    /// Returns height and width of the output.
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

    /// Returns the number of input values per photo.
    #[must_use]
    pub fn in_len(&self) -> usize {
        product(&[self.in_channels, self.in_size.0, self.in_size.1])
    }

    /// Returns the number of output values per photo.
    #[must_use]
    pub fn out_len(&self) -> usize {
        let (h, w) = self.out_size();
        product(&[self.out_channels, h, w])
    }

    /// Returns the number of inputs of one output cell: channels of a group × kernel height × kernel width.
    #[must_use]
    pub fn fan_in(&self) -> usize {
        product(&[self.in_channels / self.groups, self.kernel.0, self.kernel.1])
    }

    /// Returns the number of values of the weight tensor.
    #[must_use]
    pub fn weight_len(&self) -> usize {
        product(&[self.out_channels, self.fan_in()])
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
    /// Returns a pooling with a square window.
    #[must_use]
    pub fn square(channels: usize, in_size: (usize, usize), kernel: usize, stride: usize) -> Self {
        Self { channels, in_size, kernel: (kernel, kernel), stride: (stride, stride) }
    }

    /// Returns height and width of the output.
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

    /// Returns the number of input values per photo.
    #[must_use]
    pub fn in_len(&self) -> usize {
        product(&[self.channels, self.in_size.0, self.in_size.1])
    }

    /// Returns the number of output values per photo.
    #[must_use]
    pub fn out_len(&self) -> usize {
        let (h, w) = self.out_size();
        product(&[self.channels, h, w])
    }
}

/// The activation that a convolution applies to each output before writing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// No activation.
    None,
    /// `max(y, 0)`.
    Relu,
    /// `min(max(y, 0), 6)`.
    Relu6,
}
