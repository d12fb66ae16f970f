//! The layers, one file each. Each layer is implemented twice: with Candle operations, and as nodes of an ONNX graph.
//!
//! The Candle operations run on every device and have PyTorch's gradients; the tests compare loc-net's CPU kernels with
//! them. Candle's own pooling and relu are not used: the gradient of its `max_pool2d` is wrong, its `avg_pool2d` has no
//! gradient unless the kernel equals the stride, and its relu passes the gradient at 0.
//!
//! Each layer has a line in `layer_impl`.

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
mod region_pool;
mod relu;
mod relu6;
mod sigmoid;
mod softmax_expectation;
mod upsample;
mod windows;

use candle_core::{Error, Result, Shape, Tensor};
use loc_net::Op;

use crate::ModelError;
use crate::export::{LastNode, LayerNodes};

/// The two implementations of a layer.
pub(crate) trait LayerImpl {
    /// Computes the output of a batch with Candle operations.
    fn compose(&self, inputs: &[&Tensor], params: &[Tensor]) -> Result<Tensor>;

    /// Returns the layer's last ONNX node; the nodes before it are added to the graph.
    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError>;
}

pub(crate) fn layer_impl(op: &Op) -> &dyn LayerImpl {
    match op {
        Op::Normalize(op) => op,
        Op::Conv2d(op) => op,
        Op::MaxPool2d(op) => op,
        Op::AvgPool2d(op) => op,
        Op::Relu(op) => op,
        Op::Flatten(op) => op,
        Op::Linear(op) => op,
        Op::Sigmoid(op) => op,
        Op::Relu6(op) => op,
        Op::ChannelAffine(op) => op,
        Op::Add(op) => op,
        Op::Concat(op) => op,
        Op::Upsample(op) => op,
        Op::MeanMaxPool(op) => op,
        Op::SoftmaxExpectation(op) => op,
        Op::GroupMean(op) => op,
        Op::Detach(op) => op,
        Op::RegionPool(op) => op,
    }
}

/// Computes the output of an operation for a batch, `[N, …]`, with Candle operations, which also give its gradients.
///
/// # Errors
///
/// A Candle error if the shapes of inputs and parameters do not fit each other, or the device fails.
pub fn compose(op: &Op, inputs: &[&Tensor], params: &[Tensor]) -> Result<Tensor> {
    layer_impl(op).compose(inputs, params)
}

/// Returns a layer's weight and bias.
fn weight_and_bias(params: &[Tensor]) -> Result<(&Tensor, &Tensor)> {
    match params {
        [weight, bias] => Ok((weight, bias)),
        _ => Err(Error::Msg(format!("got {} parameters, expected a weight and a bias", params.len()))),
    }
}

/// Returns an error if the tensor does not have this shape.
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
