//! The network's operations on Candle tensors, one file an operation, each in two forms.
//!
//! On the CPU a `CustomOp` over loc-net's kernels, forward and backward; on every other device a
//! composition of Candle operations whose gradients are PyTorch's. Candle's own pooling and relu are not used: the
//! gradient of its `max_pool2d` is wrong, its `avg_pool2d` has none for a kernel that is not the stride, and its
//! relu passes the gradient at 0. Which form runs is decided in [`Backend::of`] and nowhere else; both run on the CPU,
//! where one set of tests compares them. f32 takes the kernels, f64 (for tests) their plain twins.

mod avgpool2d;
mod chain;
mod conv2d;
mod conv_pool_relu;
mod linear;
mod maps;
mod maxpool2d;
mod normalize;
mod relu;
mod windows;

pub use avgpool2d::avgpool2d;
pub(crate) use chain::Convolutions;
pub use conv_pool_relu::conv_pool_relu;
pub use conv2d::{activated, conv2d};
pub use linear::linear;
pub(crate) use linear::linear_to_sink;
pub use loc_net::kernels::Activation;
pub use maps::{Dropout, affine, expectation, mean, profile, upsample};
pub use maxpool2d::maxpool2d;
pub use normalize::normalize;
pub use relu::{relu, relu6};

use candle_core::{DType, Device, Error, Result, Shape, Tensor};

/// How an operation is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// loc-net's kernels; on the CPU only.
    Kernels,
    /// Candle's operations; on any device.
    Composed,
}

impl Backend {
    /// The form for a device.
    #[must_use]
    pub fn of(device: &Device) -> Self {
        match device {
            Device::Cpu => Self::Kernels,
            _ => Self::Composed,
        }
    }
}

/// The logistic function `1 / (1 + e^−x)`, of any shape; `candle_nn`'s has kernel and gradient on every device.
///
/// # Errors
///
/// A Candle error if the device fails.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    candle_nn::ops::sigmoid(x)
}

/// Photos as bytes, `[N, h, w, 3]` in u8, as what the layers read: `[N, 3, h, w]` in f32, a byte `v` as `v / 255`.
///
/// # Errors
///
/// A Candle error if the device fails.
pub fn planar(photos: &Tensor) -> Result<Tensor> {
    photos.permute((0, 3, 1, 2))?.contiguous()?.to_dtype(DType::F32)? / 255.0
}

/// Refuses a tensor of another shape.
fn expect(what: &str, tensor: &Tensor, dims: &[usize]) -> Result<()> {
    if tensor.dims() == dims {
        return Ok(());
    }
    Err(Error::UnexpectedShape {
        msg: what.to_owned(),
        expected: Shape::from(dims),
        got: tensor.shape().clone(),
    })
}
