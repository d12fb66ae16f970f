//! Training: the forward pass, which keeps the values that the backward pass needs, and the backward pass. Buffers are
//! reused.

use rayon::prelude::*;

use super::maps::Scratch;
use super::plan::{FusedPlan, GROUP};
use super::train_photo::{BlockOutput, Group, Part, Saved};
use crate::buffers::{BufferPool, grow};
use crate::kernels::conv_block::OVERREAD;
use crate::kernels::conv_block::rows::{self, InputGradient};
use crate::kernels::conv_block::tiles::{self, average};
use crate::kernels::image_input::ImageBatch;
use crate::kernels::parts::{Parts, SUM_PARTS, tree_sum};

/// Maximum number of photos that the backward pass of the last convolution processes at once, which bounds its buffers.
/// It processes complete parts of the batch, and at least one.
const CHUNK_PHOTOS: usize = 64;

/// A fused plan together with the activations and gradients of a batch.
#[derive(Debug)]
pub struct FusedTraining {
    plan: FusedPlan,
    /// The parameters that are currently packed.
    params: Vec<Vec<f32>>,
    /// Packed kernels for the input gradients, for each row kernel but the first (the photo needs no gradient).
    kernels: Vec<InputGradient>,
    photos: usize,
    /// For each block, the output maps and the argmax bytes of all photos.
    saved: Vec<Saved>,
    /// For each photo, bytes that record where relu of the last convolution was active.
    active: Vec<u8>,
    groups: BufferPool<Group>,
    parts: Vec<Part>,
    /// The gradients of the blocks' parameters, one part of the batch after the other.
    sums: Vec<f32>,
    last: LastGradient,
}

#[derive(Debug)]
struct LastGradient {
    buffers: average::Gradient,
    /// Gradients of its weight and bias, one row for each group of parts.
    sums: Vec<f32>,
    /// Gradients of the maps before the last convolution.
    gx: Vec<f32>,
}

/// The photos that the backward pass of the last convolution processes at once.
struct Chunk<'a> {
    first: usize,
    maps: &'a [f32],
    map_len: usize,
    active: &'a [u8],
    byte_len: usize,
    gradient: &'a [f32],
    out_len: usize,
}

impl average::Batch for Chunk<'_> {
    fn input(&self, photo: usize) -> &[f32] {
        &self.maps[(self.first + photo) * self.map_len..][..self.map_len]
    }
    fn active(&self, photo: usize) -> &[u8] {
        &self.active[(self.first + photo) * self.byte_len..][..self.byte_len]
    }
    fn gradient(&self, photo: usize) -> &[f32] {
        &self.gradient[(self.first + photo) * self.out_len..][..self.out_len]
    }
}

impl FusedTraining {
    /// Returns the training executor of a plan that was made for training.
    #[must_use]
    pub fn new(plan: FusedPlan) -> Self {
        let part = || Part {
            rows: plan.rows.iter().map(rows::WeightGradient::of).collect(),
            tiles: plan.tiles.iter().map(tiles::WeightGradient::of).collect(),
            gradients: Default::default(),
            list: rows::ActiveList::default(),
            scratch: Scratch::default(),
        };
        let last = LastGradient { buffers: average::Gradient::default(), sums: Vec::new(), gx: Vec::new() };
        Self {
            params: Vec::new(),
            kernels: plan.rows.iter().skip(1).map(InputGradient::of).collect(),
            photos: 0,
            saved: (0..plan.blocks()).map(|_| Saved::default()).collect(),
            active: Vec::new(),
            groups: BufferPool::default(),
            sums: Vec::new(),
            parts: (0..SUM_PARTS).map(|_| part()).collect(),
            last,
            plan,
        }
    }

    /// Returns the plan.
    #[must_use]
    pub fn plan(&self) -> &FusedPlan {
        &self.plan
    }

    /// Packs the parameters, one slice each: the network's first ones, in its order. Does nothing if they have not
    /// changed.
    ///
    /// # Panics
    ///
    /// If the slices do not have these parameters' lengths.
    pub fn pack(&mut self, params: &[&[f32]]) {
        let known = self.params.len() == params.len();
        if known && self.params.iter().zip(params).all(|(known, new)| known == new) {
            return;
        }
        self.plan.pack(params);
        for (i, kernels) in self.kernels.iter_mut().enumerate() {
            kernels.pack(params[2 * (i + 1)]);
        }
        self.params.resize_with(params.len(), Vec::new);
        for (known, new) in self.params.iter_mut().zip(params) {
            known.clear();
            known.extend_from_slice(new);
        }
    }

    /// Computes the features of `n` photos, `n ×` [`FusedPlan::out_len`], and keeps what [`FusedTraining::backward`]
    /// needs.
    ///
    /// # Panics
    ///
    /// If a slice has another length.
    pub fn forward(&mut self, photos: ImageBatch, n: usize, features: &mut [f32]) {
        let Self { plan, saved, active, groups, .. } = self;
        let (len, out, byte_len) = (plan.photo_len(), plan.out_len(), plan.last.byte_len());
        assert!(photos.len() == n * len && features.len() == n * out, "photos and features");
        self.photos = n;
        for (block, saved) in saved.iter_mut().enumerate() {
            let maps = n * plan.map_len(block);
            grow(&mut saved.maps, maps);
            let argmax = n * (plan.cells(block) + OVERREAD);
            grow(&mut saved.argmax, argmax);
        }
        grow(active, n * byte_len);

        // For each group of photos, the outputs of every block.
        let mut outputs: Vec<Vec<BlockOutput>> = (0..n.div_ceil(GROUP)).map(|_| Vec::new()).collect();
        for (block, saved) in saved.iter_mut().enumerate() {
            let maps = saved.maps.chunks_mut(GROUP * plan.map_len(block));
            let argmax = saved.argmax.chunks_mut(GROUP * (plan.cells(block) + OVERREAD));
            for (outputs, (maps, argmax)) in outputs.iter_mut().zip(maps.zip(argmax)) {
                outputs.push(BlockOutput { maps, argmax });
            }
        }
        let features = features.par_chunks_mut(GROUP * out);
        let tasks = features.zip(active.par_chunks_mut(GROUP * byte_len)).zip(outputs);
        tasks.enumerate().for_each(|(group, ((features, active), outputs))| {
            let count = GROUP.min(n - group * GROUP);
            let photos = photos.slice(group * GROUP, count, len);
            groups.with(|buffers| plan.forward_group(photos, count, buffers, outputs, features, active));
        });
    }

    /// Computes the gradients of the parameters (the network's first, in its order) from the gradient of the features.
    /// `photos` are the photos of the last forward pass.
    ///
    /// # Panics
    ///
    /// If a slice has another length.
    pub fn backward(&mut self, photos: ImageBatch, all: &Parts, gradient: &[f32], params: &mut [f32]) {
        let n = self.photos;
        assert_eq!(all.photos(), n, "parts of the forward pass's photos");
        let Self { plan, kernels, saved, active, parts, sums, last, .. } = self;
        let (len, out) = (plan.photo_len(), plan.out_len());
        assert!(photos.len() == n * len && gradient.len() == n * out, "photos and gradient");
        assert_eq!(params.len(), plan.params_len(), "gradients of the parameters");
        let map_len = plan.map_len(plan.blocks() - 1);
        let gx_len = map_len + OVERREAD;
        grow(&mut last.gx, n * gx_len);
        let shape = plan.last.tiles().shape();
        let (block_gradients, last_gradients) =
            params.split_at_mut(params.len() - shape.weight_len() - shape.out_channels);
        // The largest number of parts that is a subtree of the sum and has no more photos than the maximum.
        let fits = |count: &usize| *count <= all.count() && all.subtree(0, *count).photos() <= CHUNK_PHOTOS;
        let parts_per_chunk = [SUM_PARTS, 4, 2].into_iter().find(fits).unwrap_or(1);
        grow(&mut last.sums, all.count() / parts_per_chunk * last_gradients.len());
        for (first, sums) in
            (0..all.count()).step_by(parts_per_chunk).zip(last.sums.chunks_exact_mut(last_gradients.len()))
        {
            let (chunk_parts, start) = (all.subtree(first, parts_per_chunk), all.part(first).start);
            let chunk = Chunk {
                first: start,
                maps: &saved[plan.blocks() - 1].maps,
                map_len,
                active,
                byte_len: plan.last.byte_len(),
                gradient,
                out_len: out,
            };
            let gx = &mut last.gx[start * gx_len..][..chunk_parts.photos() * gx_len];
            let (gw, gb) = sums.split_at_mut(shape.weight_len());
            plan.last.backward(&chunk_parts, &chunk, &mut last.buffers, gw, gb, gx);
        }
        tree_sum(&last.sums, last_gradients.len(), all.count() / parts_per_chunk, last_gradients);

        grow(sums, all.count() * block_gradients.len());
        let tasks = parts[..all.count()].par_iter_mut().zip(sums.par_chunks_exact_mut(block_gradients.len()));
        tasks.enumerate().for_each(|(index, (part, sums))| {
            part.rows.iter_mut().for_each(rows::WeightGradient::clear);
            part.tiles.iter_mut().for_each(tiles::WeightGradient::clear);
            for photo in all.part(index) {
                let gy = &last.gx[photo * gx_len..][..gx_len];
                let image = photos.slice(photo, 1, len);
                plan.backward_photo(photo, image, saved, kernels, gy, part);
            }
            plan.write(part, sums);
        });
        tree_sum(sums, block_gradients.len(), all.count(), block_gradients);
    }
}
