//! The forward pass for prediction: many photos, one thread each, or one photo on all threads.

use std::ops::Range;

use super::maps::{Maps, Scratch};
use super::plan::{FusedPlan, GROUP};
use crate::kernels::conv_block::rows::{self, WinogradRows};
use crate::kernels::conv_block::tiles::pool;
use crate::kernels::conv_block::{ConvBlock, RowView};
use crate::kernels::image_input::{self, ImageBatch};
use crate::parallel;

/// Pooled rows that the first block computes from one converted strip of the photo; the strip stays in the cache.
pub(super) const BAND: usize = 3 * rows::STRIP;

/// The input of a block.
#[derive(Debug, Clone, Copy)]
pub(super) enum BlockInput<'a> {
    /// The photo: the first block.
    Photo(ImageBatch<'a>),
    /// The output map of the previous block.
    Map(RowView<'a>),
}

impl FusedPlan {
    /// Returns the number of blocks before the last convolution.
    pub(super) fn blocks(&self) -> usize {
        self.rows.len() + self.tiles.len()
    }

    /// Returns the shape of a block.
    fn shape(&self, block: usize) -> &ConvBlock {
        match self.rows.get(block) {
            Some(conv) => conv.shape(),
            None => self.tiles[block - self.rows.len()].shape(),
        }
    }

    /// Returns the number of values in one pooled row of a block's output.
    pub(super) fn row_len(&self, block: usize) -> usize {
        match self.rows.get(block) {
            Some(conv) => conv.out_row(),
            None => self.shape(block).pooled_size().1 * self.shape(block).out_channels,
        }
    }

    /// Returns the number of pooled rows of a block's output.
    pub(super) fn row_count(&self, block: usize) -> usize {
        self.shape(block).pooled_size().0
    }

    /// Returns the number of values in a block's output map.
    pub(super) fn map_len(&self, block: usize) -> usize {
        self.row_len(block) * self.row_count(block)
    }

    /// Computes some pooled rows of a block.
    pub(super) fn block(
        &self,
        block: usize,
        before: BlockInput,
        rows: Range<usize>,
        scratch: &mut Scratch,
        y: &mut [f32],
        argmax: &mut [u8],
    ) {
        match (before, self.rows.get(block)) {
            (BlockInput::Photo(photo), _) => self.first(photo, rows, scratch, y, argmax),
            (BlockInput::Map(map), Some(conv)) => conv.forward(map, rows, &mut scratch.rows, y, argmax),
            (BlockInput::Map(map), None) => {
                let conv = &self.tiles[block - self.rows.len()];
                pool::forward(conv, map.values, rows, &mut scratch.tiles, y, argmax);
            }
        }
    }

    /// Computes some pooled rows of the first block, band by band.
    fn first(
        &self,
        photo: ImageBatch,
        rows: Range<usize>,
        scratch: &mut Scratch,
        y: &mut [f32],
        argmax: &mut [u8],
    ) {
        let conv = &self.rows[0];
        let bytes = if argmax.is_empty() { 0 } else { self.cells(0) / self.row_count(0) };
        for start in rows.clone().step_by(BAND) {
            let band = start..rows.end.min(start + BAND);
            let input = conv.input_rows(&band);
            let x = image_input::strip(photo, &self.norm, self.size.1, input, &mut scratch.photo);
            let done = start - rows.start;
            let (y, argmax) = (&mut y[done * conv.out_row()..], &mut argmax[done * bytes..]);
            conv.forward(x, band, &mut scratch.rows, y, argmax);
        }
    }

    /// Returns the number of pooled cells of a block's output, over all channels.
    pub(super) fn cells(&self, block: usize) -> usize {
        self.shape(block).pooled_cells() * self.shape(block).out_channels
    }

    /// Returns a block's output map as the next block reads it.
    pub(super) fn view<'a>(&self, block: usize, map: &'a [f32]) -> RowView<'a> {
        match self.rows.get(block).map(WinogradRows::shape) {
            Some(shape) => RowView::rows(map, shape.out_channels, shape.pooled_size().1),
            // Channels last: the tile kernels use only the values.
            None => RowView { values: map, first: 0, row: 0, channel: 0 },
        }
    }

    /// Computes the features of `n` photos, `n ×` [`FusedPlan::out_len`].
    ///
    /// The features of a photo do not depend on the other photos.
    ///
    /// # Panics
    ///
    /// If a slice has another length.
    pub fn infer(&self, photos: ImageBatch, n: usize, features: &mut [f32]) {
        let (len, out) = (self.photo_len(), self.out_len());
        assert!(photos.len() == n * len && features.len() == n * out, "photos and features");
        parallel::chunks(features, GROUP * out, |group, features| {
            let count = GROUP.min(n - group * GROUP);
            self.maps.with(|maps| {
                self.infer_group(photos.slice(group * GROUP, count, len), count, maps, features)
            });
        });
    }

    fn infer_group(&self, photos: ImageBatch, n: usize, maps: &mut Maps, features: &mut [f32]) {
        let last = self.blocks() - 1;
        let last_len = self.map_len(last);
        maps.block_outputs.resize_with(last, Vec::new);
        maps.last_input.resize(GROUP * last_len, 0.0);
        let Maps { block_outputs, last_input, input, scratch } = maps;
        for i in 0..n {
            let photo = photos.slice(i, 1, self.photo_len());
            for block in 0..=last {
                let (done, rest) = block_outputs.split_at_mut(block);
                let before = match done.last() {
                    Some(map) => BlockInput::Map(self.view(block - 1, map)),
                    None => BlockInput::Photo(photo),
                };
                let y = match rest.first_mut() {
                    Some(map) => {
                        map.resize(self.map_len(block), 0.0);
                        map
                    }
                    None => &mut last_input[i * last_len..][..last_len],
                };
                self.block(block, before, 0..self.row_count(block), scratch, y, &mut []);
            }
        }
        self.last.input(n, |i| &last_input[i * last_len..], input);
        for block in 0..self.last.tiles().blocks() {
            let y = &mut features[self.last.block_start(block)..];
            self.last.forward(input, block, &mut scratch.tiles, y, self.out_len(), &mut []);
        }
    }
}
