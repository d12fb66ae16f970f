//! The operations, one file each: fields, output shape, parameters, cost and description.
//!
//! To add an operation: add its file here and its line to the list below, a line for its kernel in `exec::kernel_of`,
//! and its file in loc-model's `layers`.

mod add;
mod avg_pool2d;
mod channel_affine;
mod concat;
mod conv2d;
mod detach;
mod flatten;
mod group_mean;
mod linear;
mod max_pool2d;
mod mean_max_pool;
mod normalize;
mod pool;
mod region_pool;
mod relu;
mod relu6;
mod sigmoid;
mod softmax_expectation;
mod upsample;

pub use crate::window::{Interpolation, interpolation};
pub use add::Add;
pub use avg_pool2d::AvgPool2d;
pub use channel_affine::ChannelAffine;
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use detach::Detach;
pub use flatten::Flatten;
pub use group_mean::GroupMean;
pub use linear::Linear;
pub use max_pool2d::MaxPool2d;
pub use mean_max_pool::{Axis, MeanMaxPool};
pub use normalize::Normalize;
pub use pool::Pool;
pub use region_pool::RegionPool;
pub use relu::Relu;
pub use relu6::Relu6;
pub use sigmoid::Sigmoid;
pub use softmax_expectation::SoftmaxExpectation;
pub use upsample::Upsample;

use super::shape::{ParamKind, Shape};

/// The properties of an operation that a network needs. Shapes are those of one photo, without the batch dimension.
pub(crate) trait Operation {
    /// Returns the shape of the output, or why the inputs do not fit. There is at least one input.
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String>;

    /// Returns whether the operation accepts this number of inputs.
    fn accepts(&self, inputs: usize) -> bool {
        inputs == 1
    }

    /// Returns the parameters in the order of PyTorch's `state_dict`. Called only with shapes that
    /// [`Operation::output`] accepts.
    fn params(&self, _inputs: &[&Shape]) -> Vec<ParamSpec> {
        Vec::new()
    }

    /// Returns the number of multiply-adds for one photo; 0 for operations without products.
    fn multiply_adds(&self, _inputs: &[&Shape], _output: &Shape) -> usize {
        0
    }

    /// Returns a short description, as printed by `loc info`.
    fn describe(&self) -> String;
}

/// A parameter of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParamSpec {
    /// The suffix of the parameter's name, after the layer's name: `weight` or `bias`.
    pub(crate) suffix: &'static str,
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: ParamKind,
    /// Number of inputs that contribute to one output value.
    pub(crate) fan_in: usize,
}

/// Returns the parameters `weight` and `bias`; `bias` is the bias's length.
fn weight_and_bias(weight: Vec<usize>, bias: usize, kind: ParamKind, fan_in: usize) -> Vec<ParamSpec> {
    vec![
        ParamSpec { suffix: "weight", shape: weight, kind, fan_in },
        ParamSpec { suffix: "bias", shape: vec![bias], kind: ParamKind::Bias, fan_in },
    ]
}

/// Returns `(channels, height, width)`, or an error if the shape is not a feature map.
fn map(shape: &Shape) -> Result<(usize, usize, usize), String> {
    shape.chw().ok_or_else(|| format!("needs channels×height×width, got {shape}"))
}

/// Declares [`Op`], with one line for each operation.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The operation of a layer.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op {
            $($(#[$doc])* $name($name),)*
        }

        impl Op {
            pub(crate) fn operation(&self) -> &dyn Operation {
                match self {
                    $(Self::$name(op) => op,)*
                }
            }
        }

        $(impl From<$name> for Op {
            fn from(op: $name) -> Self {
                Self::$name(op)
            }
        })*
    };
}

operations! {
    /// `(x − mean) / std` for each channel.
    Normalize,
    /// Convolution plus bias.
    Conv2d,
    /// The largest cell of each window.
    MaxPool2d,
    /// The mean of each window.
    AvgPool2d,
    /// `max(x, 0)`.
    Relu,
    /// Flattens a feature map to a vector.
    Flatten,
    /// `x · weightᵀ + bias`.
    Linear,
    /// `1 / (1 + e^−x)`.
    Sigmoid,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x · weight + bias` for each channel, clipped.
    ChannelAffine,
    /// The sum of two inputs.
    Add,
    /// The concatenation of vectors.
    Concat,
    /// Bilinear upsampling of a map.
    Upsample,
    /// Mean and maximum of each row or column.
    MeanMaxPool,
    /// Positions as expected values of softmax distributions.
    SoftmaxExpectation,
    /// The mean of equal parts of a vector.
    GroupMean,
    /// The input without its gradient.
    Detach,
    /// Mean and maximum of a map inside a box.
    RegionPool,
}

impl Op {
    /// Returns a short description, such as `convolution 5×5 → 6`.
    #[must_use]
    pub fn describe(&self) -> String {
        self.operation().describe()
    }
}
