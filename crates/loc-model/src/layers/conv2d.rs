//! Two-dimensional convolution with bias: any kernel, stride, padding and groups.

use candle_core::{Error, Result, Tensor};
use loc_net::ops::Conv2d;

use super::windows::strided;
use super::{LayerImpl, expect, weight_and_bias};
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, int, ints, pair, size};

impl LayerImpl for Conv2d {
    /// x `[N, in, h, w]`, weight `[out, in/groups, kh, kw]`, bias `[out]`; the result is `[N, out, oh, ow]`.
    fn compose(&self, inputs: &[&Tensor], params: &[Tensor]) -> Result<Tensor> {
        let (x, (w, b)) = (inputs[0], weight_and_bias(params)?);
        let Self { out_channels, kernel, stride, padding, extra, groups } = *self;
        let (_, channels, height, width) = x.dims4()?;
        let divides = groups > 0 && channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups);
        let Some((oh, ow)) = self.output((height, width)).filter(|_| divides) else {
            return Err(Error::Msg(format!("conv2d: {self:?} does not fit an input of {:?}", x.dims())));
        };
        expect("conv2d weight", w, &[out_channels, channels / groups, kernel.0, kernel.1])?;
        expect("conv2d bias", b, &[out_channels])?;
        let unused_cells = |size: usize, k: usize, s: usize, p: usize| (size + 2 * p - k) % s;
        // Candle has one stride and one padding for both axes, and its gradient assumes that the number of cells after
        // the last window is the same on both axes. Otherwise: pad explicitly, convolve with stride 1, and keep every
        // stride-th output.
        let symmetric = extra == (0, 0)
            && stride.0 == stride.1
            && padding.0 == padding.1
            && unused_cells(height, kernel.0, stride.0, padding.0)
                == unused_cells(width, kernel.1, stride.1, padding.1);
        let y = if symmetric {
            x.conv2d(w, padding.0, stride.0, 1, groups)?
        } else {
            let padded = x.pad_with_zeros(2, padding.0, padding.0 + extra.0)?;
            let padded = padded.pad_with_zeros(3, padding.1, padding.1 + extra.1)?;
            let unstrided = padded.conv2d(w, 0, 1, 1, groups)?;
            strided(&strided(&unstrided, 2, 0, stride.0, oh)?, 3, 0, stride.1, ow)?
        };
        y.broadcast_add(&b.reshape((1, out_channels, 1, 1))?)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let ((vertical, horizontal), (below, right)) = (self.padding, self.extra);
        let attributes = vec![
            pair("kernel_shape", self.kernel)?,
            pair("strides", self.stride)?,
            // Top, left, bottom, right.
            ints("pads", &[vertical, horizontal, vertical + below, horizontal + right])?,
            int("group", size(self.groups)?),
        ];
        Ok(LastNode::new("Conv", nodes.with_params(), attributes))
    }
}
