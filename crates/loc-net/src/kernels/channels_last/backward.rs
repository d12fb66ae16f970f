//! The gradients, part by part of the batch. Within a part each photo's gradient is read once: the gradient of the
//! activation, the sums for weights and biases, and the input gradient are computed while it is in the cache.

use rayon::prelude::*;

use super::depthwise::{self, Phase};
use super::mask::Masked;
use super::{ConvLast, Form, convert, pointwise, stem};
use crate::buffers::Aligned;
use crate::kernels::conv2d;
use crate::kernels::layer::SavedPass;
use crate::kernels::parts::{Parts, tree_sum};
use crate::kernels::product;
use crate::parallel::DisjointSlice;

/// The weights, as the input gradient reads them.
#[derive(Debug)]
pub(super) enum InputWeights {
    Pointwise(Aligned),
    Depthwise(Vec<Phase>),
    /// The input gradient is computed by the planar convolution.
    Stem,
}

impl InputWeights {
    pub(super) fn new(kernel: &ConvLast, w: &[f32]) -> Self {
        assert_eq!(w.len(), kernel.shape.weight_len(), "weight");
        match kernel.form {
            Form::Pointwise => Self::Pointwise(pointwise::pack_for_input(&kernel.shape, w)),
            Form::Depthwise => Self::Depthwise(depthwise::phases(&kernel.shape, w)),
            Form::Stem => Self::Stem,
        }
    }
}

/// Computes the gradients of the input and of the parameters, those that are asked for.
pub(super) fn run(
    kernel: &ConvLast,
    parts: &Parts,
    pass: &SavedPass,
    gy: &mut [f32],
    gx: Option<&mut [f32]>,
    params: Option<(&mut [f32], &mut [f32])>,
) {
    let ConvLast { form, shape, activation, for_input, .. } = kernel;
    let (in_len, out_len, n) = (shape.in_len(), shape.out_len(), parts.photos());
    let (x, w, y) = (pass.inputs[0], pass.params[0], pass.y);
    let lens = (product(&[n, in_len]), product(&[n, out_len]));
    assert_eq!((x.len(), y.len(), gy.len()), (lens.0, lens.1, lens.1), "input and outputs");
    assert!(gx.as_ref().is_none_or(|gx| gx.len() == x.len()), "input gradient");
    let (weights, outs) = (shape.weight_len(), shape.out_channels);
    let stride = (weights + outs).next_multiple_of(16);
    let mut sums = Aligned::zeros(if params.is_some() { parts.count() * stride } else { 0 });
    let own;
    let packed = match (&gx, for_input) {
        (None, _) => None,
        (Some(_), Some(packed)) => Some(packed),
        (Some(_), None) => {
            own = InputWeights::new(kernel, w);
            Some(&own)
        }
    };
    {
        let (no_sums, mut no_gx) = (sums.is_empty(), [0.0; 0]);
        let (shared_sums, shared_gy) = (DisjointSlice::new(&mut sums), DisjointSlice::new(gy));
        let shared_gx = DisjointSlice::new(gx.map_or(&mut no_gx[..], |gx| gx));
        (0..parts.count()).into_par_iter().for_each(|part| {
            let photos = parts.part(part);
            let (inputs, outputs) =
                (photos.start * in_len..photos.end * in_len, photos.start * out_len..photos.end * out_len);
            #[expect(unsafe_code, reason = "tasks have the values of their parts")]
            // SAFETY: parts have different photos, and places of their own for their sums.
            let (sums, g, gx) = unsafe {
                let sums = (!no_sums).then(|| shared_sums.range(part * stride, weights + outs));
                let gx = packed.map(|packed| (packed, shared_gx.range(inputs.start, inputs.len())));
                (sums, shared_gy.range(outputs.start, outputs.len()), gx)
            };
            let gy = Masked { activation: *activation, y: &y[outputs], g };
            part_of(kernel, &x[inputs], gy, w, gx, sums.map(|sums| sums.split_at_mut(weights)));
        });
    }
    if let Some((gw, gb)) = params {
        assert_eq!((gw.len(), gb.len()), (weights, outs), "weight and bias gradient");
        let mut sum = Aligned::zeros(weights);
        let sum = &mut sum[..weights];
        tree_sum(&sums, stride, parts.count(), sum);
        tree_sum(&sums[weights..], stride, parts.count(), gb);
        match form {
            Form::Pointwise => pointwise::write_weights(shape, sum, gw),
            Form::Depthwise | Form::Stem => convert::transpose(shape.fan_in(), outs, sum, gw),
        }
    }
}

/// Computes the gradients of the photos of a part.
fn part_of(
    kernel: &ConvLast,
    x: &[f32],
    mut gy: Masked,
    w: &[f32],
    gx: Option<(&InputWeights, &mut [f32])>,
    mut sums: Option<(&mut [f32], &mut [f32])>,
) {
    let shape = &kernel.shape;
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    let (packed, mut gx) = gx.unzip();
    if let Form::Pointwise = kernel.form {
        let packed = match packed {
            Some(InputWeights::Pointwise(panels)) => Some(&panels[..]),
            _ => None,
        };
        return pointwise::backward(shape, x, &mut gy, packed.zip(gx), sums);
    }
    for (photo, x) in x.chunks_exact(in_len).enumerate() {
        let (gw, gb) = sums.as_mut().map_or((None, None), |(gw, gb)| (Some(&mut **gw), Some(&mut **gb)));
        let gy = gy.mask(photo * out_len..(photo + 1) * out_len, shape.out_channels, gb);
        match (kernel.form, gw) {
            (Form::Depthwise, Some(gw)) => depthwise::add_weight_gradient(shape, x, gy, gw),
            (_, Some(gw)) => stem::add_weight_gradient(shape, x, gy, gw),
            (_, None) => {}
        }
        let Some(gx) = &mut gx else { continue };
        let gx = &mut gx[photo * in_len..][..in_len];
        match packed {
            Some(InputWeights::Depthwise(phases)) => depthwise::input_gradient(shape, phases, gy, gx),
            _ => {
                let mut planar = Aligned::zeros(out_len);
                convert::to_planar(
                    (shape.out_channels, out_len / shape.out_channels),
                    gy,
                    &mut planar[..out_len],
                );
                conv2d::backward_input(shape, 1, w, &planar[..out_len], gx);
            }
        }
    }
}
