//! Forward and backward pass of the fused plan in training, for the photos of one task.

use super::infer::BlockInput;
use super::maps::Scratch;
use super::plan::FusedPlan;
use crate::kernels::conv_block::rows::{self, InputGradient};
use crate::kernels::conv_block::tiles::{self, average, pool};
use crate::kernels::conv_block::{ConvBlock, OVERREAD, PooledGradient};
use crate::kernels::image_input::{self, ImageBatch};

/// Buffers of one thread in the forward pass.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) input: average::Input,
    pub(super) scratch: Scratch,
}

/// The outputs of a block that the backward pass reads.
#[derive(Debug, Default)]
pub(super) struct Saved {
    pub(super) maps: Vec<f32>,
    pub(super) argmax: Vec<u8>,
}

/// The output maps and argmax bytes of one block, for a group of photos.
#[derive(Debug)]
pub(super) struct BlockOutput<'a> {
    pub(super) maps: &'a mut [f32],
    pub(super) argmax: &'a mut [u8],
}

/// Gradient sums and buffers of one part of the batch.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) rows: Vec<rows::WeightGradient>,
    pub(super) tiles: Vec<tiles::WeightGradient>,
    /// The gradient of a block's output and the gradient of its input.
    pub(super) gradients: [Vec<f32>; 2],
    pub(super) list: rows::ActiveList,
    pub(super) scratch: Scratch,
}

impl FusedPlan {
    /// Writes a part's sums as the gradients of the blocks' parameters, in their order.
    pub(super) fn write(&self, part: &Part, params: &mut [f32]) {
        let mut rest = params;
        let mut next = |shape: &ConvBlock| {
            let (w, others) = std::mem::take(&mut rest).split_at_mut(shape.weight_len());
            let (b, others) = others.split_at_mut(shape.out_channels);
            rest = others;
            (w, b)
        };
        for (conv, sums) in self.rows.iter().zip(&part.rows) {
            let (w, b) = next(conv.shape());
            sums.write(w, b);
        }
        for (conv, sums) in self.tiles.iter().zip(&part.tiles) {
            let (w, b) = next(conv.shape());
            sums.write(w, b);
        }
    }

    /// Runs the forward pass of `n` photos; `outputs` holds the maps and argmax bytes of each block.
    pub(super) fn forward_group(
        &self,
        photos: ImageBatch,
        n: usize,
        buffers: &mut Group,
        mut outputs: Vec<BlockOutput>,
        features: &mut [f32],
        active: &mut [u8],
    ) {
        let Group { input, scratch } = buffers;
        for i in 0..n {
            let photo = photos.slice(i, 1, self.photo_len());
            for block in 0..self.blocks() {
                let (done, rest) = outputs.split_at_mut(block);
                let before = match done.last() {
                    Some(BlockOutput { maps, .. }) => {
                        let len = self.map_len(block - 1);
                        BlockInput::Map(self.view(block - 1, &maps[i * len..][..len]))
                    }
                    None => BlockInput::Photo(photo),
                };
                let BlockOutput { maps, argmax } = &mut rest[0];
                let (len, bytes) = (self.map_len(block), self.cells(block) + OVERREAD);
                let (y, argmax) = (&mut maps[i * len..][..len], &mut argmax[i * bytes..][..bytes]);
                self.block(block, before, 0..self.row_count(block), scratch, y, argmax);
            }
        }
        let last = self.blocks() - 1;
        let len = self.map_len(last);
        self.last.input(n, |i| &outputs[last].maps[i * len..], input);
        for block in 0..self.last.tiles().blocks() {
            let y = &mut features[self.last.block_start(block)..];
            self.last.forward(input, block, &mut scratch.tiles, y, self.out_len(), active);
        }
    }

    /// Runs the backward pass of photo `index` of the batch through the blocks, from the gradient `gy` of the last
    /// block's output.
    pub(super) fn backward_photo(
        &self,
        index: usize,
        photo: ImageBatch,
        saved: &[Saved],
        kernels: &[InputGradient],
        gy: &[f32],
        part: &mut Part,
    ) {
        let map = |block: usize| {
            let len = self.map_len(block);
            &saved[block].maps[index * len..][..len]
        };
        let argmax = |block: usize| {
            let len = self.cells(block) + OVERREAD;
            &saved[block].argmax[index * len..][..len]
        };
        let Part { rows, tiles, gradients: [above, below], list, scratch } = part;
        // The gradient of the current block's output is in `above`; for the first block visited it is in `gy`.
        let mut first = true;
        for (i, conv) in self.tiles.iter().enumerate().rev() {
            let block = self.rows.len() + i;
            let shape = conv.shape();
            below.resize(shape.in_size.0 * shape.in_size.1 * shape.in_channels + OVERREAD, 0.0);
            let g: &[f32] = if first { gy } else { above };
            let before = map(block - 1);
            let pooled = PooledGradient { gy: g, argmax: argmax(block) };
            pool::backward(conv, before, pooled, &mut scratch.tiles, &mut tiles[i], below);
            std::mem::swap(above, below);
            first = false;
        }
        for (block, conv) in self.rows.iter().enumerate().rev() {
            let shape = conv.shape();
            let (height, width) = shape.in_size;
            let g: &[f32] = if first { gy } else { above };
            match block.checked_sub(1) {
                Some(before) => {
                    let map = self.view(before, map(before));
                    let fill = |rows, out: &mut [f32]| conv.to_pixels(map, rows, out);
                    rows[block].add(fill, g, argmax(block));
                }
                None => {
                    let fill = |rows, out: &mut [f32]| {
                        image_input::to_pixels(photo, &self.norm, width, rows, out);
                    };
                    rows[block].add(fill, g, argmax(block));
                }
            }
            if let Some(before) = block.checked_sub(1) {
                below.clear();
                below.resize(height * width * shape.in_channels + OVERREAD, 0.0);
                kernels[before].add(g, argmax(block), list, below);
                std::mem::swap(above, below);
                first = false;
            }
        }
    }
}
