//! Training: computes a network's outputs for a batch and keeps what the backward pass needs, in buffers that are
//! reused for the next batch. There is no autograd graph: the backward pass visits the steps of the forward pass in
//! reverse order.

mod backward;
mod dropout;
mod setup;
#[cfg(test)]
mod tests;

use std::ops::Range;

use rayon::prelude::*;

use super::fused::training_segment;
use super::layout::Layouts;
use super::plan::{Step, pack, steps};
use super::segment::TrainingSegment;
use crate::buffers::{Aligned, grow};
use crate::kernels::image_input::{self, ImageBatch};
use crate::kernels::layer::ForwardPass;
use crate::{Network, Op, Source};
use dropout::Dropped;
pub use setup::{Conditions, DropoutMask, Images, TrainingSetup};

/// Photos that [`Training::infer`] runs at once without fused blocks: every layer's output is kept, so this bounds
/// memory.
const INFER_BATCH: usize = 4;

/// A network on the CPU that is trained batch by batch.
#[derive(Debug)]
pub struct Training {
    network: Network,
    setup: TrainingSetup,
    taps: Vec<usize>,
    region_box: Option<usize>,
    /// The fused segment of the first layers, if there is one.
    fused: Option<Box<dyn TrainingSegment>>,
    steps: Vec<Step>,
    layouts: Layouts,
    /// For each layer, whether its output depends on a trained parameter.
    requires_grad: Vec<bool>,
    /// The range of the trained parameters among the network's parameters.
    trained: Range<usize>,
    photos: usize,
    planar: Vec<f32>,
    /// Each layer's output; empty for layers inside a step.
    values: Vec<Aligned>,
    /// For each layer, what its kernel saves for the backward pass besides the output.
    saved: Vec<Vec<u8>>,
    /// For each layer to which the last pass applied dropout, the factors and the scaled output.
    dropped: Vec<Option<Dropped>>,
    gradients: Vec<Option<Aligned>>,
    /// Free gradient buffers.
    free_buffers: Vec<Aligned>,
}

impl Training {
    /// Plans the training of a network.
    ///
    /// # Panics
    ///
    /// If an output is not a layer of the network.
    #[must_use]
    pub fn new(network: &Network, setup: TrainingSetup) -> Self {
        let count = network.layers().len();
        assert!(setup.outputs.iter().all(|layer| *layer < count), "outputs are layers");
        let segment = if setup.from_features { None } else { training_segment(network) };
        let fused = segment.filter(|fused| setup.outputs.iter().all(|output| output + 1 >= fused.layers()));
        let first_layer = match &fused {
            Some(fused) => fused.layers(),
            None if setup.from_features => network.backbone_layers(),
            None => 0,
        };
        let frozen = if setup.from_features || setup.frozen_backbone { network.backbone_layers() } else { 0 };
        let untrained = network.params().iter().filter(|param| param.layer < frozen).count();
        let mut requires_grad = vec![false; count];
        for (i, layer) in network.layers().iter().enumerate() {
            let own = network.params()[untrained..].iter().any(|param| param.layer == i);
            let before = |source: &Source| matches!(source, Source::Layer(j) if requires_grad[*j]);
            let detached = matches!(layer.op, Op::Detach(_));
            requires_grad[i] = own || (!detached && layer.inputs.iter().any(before));
        }
        let layouts = Layouts::new(network, first_layer);
        Self {
            taps: network.taps(),
            region_box: network.region_box(),
            steps: steps(network, &layouts, first_layer..count, &setup.outputs),
            trained: untrained..network.params().len(),
            layouts,
            network: network.clone(),
            setup,
            fused,
            requires_grad,
            photos: 0,
            planar: Vec::new(),
            values: vec![Aligned::default(); count],
            saved: vec![Vec::new(); count],
            dropped: (0..count).map(|_| None).collect(),
            gradients: vec![None; count],
            free_buffers: Vec::new(),
        }
    }

    /// Returns the number of output values per photo; the outputs follow each other.
    #[must_use]
    pub fn out_len(&self) -> usize {
        self.setup.outputs.iter().map(|layer| self.network.shape(*layer).len()).sum()
    }

    /// Returns the range of the trained parameters among the network's: [`Training::backward`] computes their
    /// gradients.
    #[must_use]
    pub fn trained(&self) -> Range<usize> {
        self.trained.clone()
    }

    /// Runs `n` photos and keeps what [`Training::backward`] needs. `params` holds the values of all parameters in the
    /// network's order; `y` has shape `[n, out_len]`.
    ///
    /// # Panics
    ///
    /// If a slice does not have the length that the network and `n` require.
    pub fn forward(
        &mut self,
        images: Images,
        n: usize,
        params: &[&[f32]],
        conditions: Conditions,
        y: &mut [f32],
    ) {
        self.check(images, n, params, y.len());
        assert!(conditions.region_boxes.is_none_or(|boxes| boxes.len() == 4 * n), "a box for each photo");
        self.pack(params, true);
        self.prepare(images, n);
        if let Some(fused) = &mut self.fused {
            let (Images::Photos(photos), last) = (images, fused.layers() - 1) else { return };
            let len = n * self.network.shape(last).len();
            self.values[last].grow(len);
            fused.forward(photos, n, &mut self.values[last][..len]);
        }
        self.run_steps(images, n, params, conditions, true);
        self.write_outputs(images, n, y);
    }

    /// Runs `n` photos without preparing a backward pass. Computes the same values as [`Training::forward`].
    ///
    /// # Panics
    ///
    /// As [`Training::forward`].
    pub fn infer(&mut self, images: Images, n: usize, params: &[&[f32]], y: &mut [f32]) {
        self.check(images, n, params, y.len());
        // After the fused blocks the maps are small. Without them, only a few photos run at a time, to bound the
        // memory.
        let batch = if self.fused.is_some() || self.setup.from_features { n } else { INFER_BATCH };
        let out_len = self.out_len();
        self.pack(params, false);
        for first in (0..n).step_by(batch.max(1)) {
            let count = batch.min(n - first);
            let photos = match images {
                Images::Photos(photos) => {
                    Images::Photos(photos.slice(first, count, self.network.input().len()))
                }
                features @ Images::Features(_) => features,
            };
            self.prepare(photos, count);
            if let (Some(fused), Images::Photos(photos)) = (&self.fused, photos) {
                let last = fused.layers() - 1;
                let len = count * self.network.shape(last).len();
                self.values[last].grow(len);
                fused.infer(photos, count, &mut self.values[last][..len]);
            }
            self.run_steps(photos, count, params, Conditions::default(), false);
            self.write_outputs(photos, count, &mut y[first * out_len..][..count * out_len]);
        }
    }

    fn check(&self, images: Images, n: usize, params: &[&[f32]], y: usize) {
        match images {
            Images::Photos(photos) => {
                assert!(!self.setup.from_features, "this pass reads features, not photos");
                assert_eq!(photos.len(), n * self.network.input().len(), "photos");
            }
            Images::Features(features) => {
                assert!(self.setup.from_features, "this pass reads photos, not features");
                let lens = self.taps.iter().map(|tap| n * self.network.shape(*tap).len());
                assert!(
                    lens.eq(features.iter().map(|f| f.len())),
                    "features of the layers that the heads read"
                );
            }
        }
        let lens = self.network.params().iter().map(|param| param.shape.iter().product::<usize>());
        assert!(lens.eq(params.iter().map(|values| values.len())), "values of all parameters");
        assert_eq!(y, n * self.out_len(), "outputs");
    }

    /// Packs the parameters.
    fn pack(&mut self, params: &[&[f32]], training: bool) {
        pack(&mut self.steps, params, training);
        if let Some(fused) = &mut self.fused {
            fused.pack(&params[..fused.params()]);
        }
    }

    /// Converts the photos.
    fn prepare(&mut self, images: Images, n: usize) {
        self.photos = n;
        if self.fused.is_some() {
            return;
        }
        if let Images::Photos(ImageBatch::Bytes(bytes)) = images {
            let len = self.network.input().len();
            grow(&mut self.planar, bytes.len());
            let each = self.planar.par_chunks_exact_mut(len).zip(bytes.par_chunks_exact(len));
            each.for_each(|(planar, bytes)| image_input::to_planar(bytes, planar));
        }
    }

    /// Runs the steps. Dropout applies to their outputs and to the outputs that exist before the first step.
    fn run_steps(
        &mut self,
        images: Images,
        n: usize,
        params: &[&[f32]],
        Conditions { dropout, region_boxes }: Conditions,
        keep: bool,
    ) {
        self.dropped.iter_mut().for_each(|dropped| {
            if dropout.is_none() {
                *dropped = None;
            }
        });
        let existing = match &self.fused {
            Some(fused) => vec![fused.layers() - 1],
            None if self.setup.from_features => self.taps.clone(),
            None => Vec::new(),
        };
        existing.into_iter().for_each(|layer| self.apply_dropout(layer, images, n, dropout));
        for i in 0..self.steps.len() {
            let (output, mut saved) = (self.steps[i].output, Vec::new());
            let mut y = std::mem::take(&mut self.values[output]);
            if keep {
                saved = std::mem::take(&mut self.saved[output]);
            }
            let len = n * self.network.shape(output).len();
            y.grow(len);
            let step = &self.steps[i];
            let inputs: Vec<&[f32]> =
                step.inputs.iter().map(|source| self.read(images, n, *source)).collect();
            let pass = ForwardPass {
                n,
                inputs: &inputs,
                params: &params[step.params.clone()],
                y: &mut y[..len],
                saved: if keep { Some(&mut saved) } else { None },
            };
            match region_boxes.filter(|_| Some(output) == self.region_box) {
                Some(boxes) => pass.y.copy_from_slice(boxes),
                None => step.kernel.forward(pass),
            }
            self.values[output] = y;
            if keep {
                self.saved[output] = saved;
            }
            self.apply_dropout(output, images, n, dropout);
        }
    }

    /// Returns the values that a layer reads from `source`, after dropout.
    fn read<'a>(&'a self, images: Images<'a>, n: usize, source: Source) -> &'a [f32] {
        let len = n * self.network.source_shape(source).len();
        match (source, images) {
            (Source::Input, Images::Photos(ImageBatch::Floats(values))) => values,
            (Source::Input, _) => &self.planar[..len],
            (Source::Layer(layer), images) => match (&self.dropped[layer], images) {
                (Some(dropped), _) => &dropped.values[..len],
                (None, Images::Features(features)) if layer < self.network.backbone_layers() => {
                    self.taps.iter().position(|tap| *tap == layer).map_or(&[], |i| features[i])
                }
                _ => &self.values[layer][..len],
            },
        }
    }

    fn write_outputs(&self, images: Images, n: usize, y: &mut [f32]) {
        let (mut from, out_len) = (0, self.out_len());
        for layer in &self.setup.outputs {
            let len = self.network.shape(*layer).len();
            let values = self.read(images, n, Source::Layer(*layer));
            let each = y.chunks_exact_mut(out_len.max(1)).zip(values.chunks_exact(len));
            each.for_each(|(y, values)| {
                self.layouts.copy_planar(&self.network, *layer, values, &mut y[from..from + len]);
            });
            from += len;
        }
    }
}
