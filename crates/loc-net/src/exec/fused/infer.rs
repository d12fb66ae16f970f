//! The forward pass for prediction: many photos, one thread each, or one photo on all threads.

use std::ops::Range;

use super::maps::{Maps, Scratch};
use super::plan::{FusedPlan, GROUP};
use crate::kernels::conv_block::RowView;
use crate::kernels::conv_block::rows::{self, WinogradRows};
use crate::kernels::conv_block::tiles::pool;
use crate::kernels::image_input::{self, ImageBatch};
use crate::parallel;

/// Pooled rows that the first block computes from one converted strip of the photo; the strip stays in the cache.
pub(super) const BAND: usize = 3 * rows::STRIP;

/// The input of a block.
#[derive(Debug, Clone, Copy)]
pub(super) enum Before<'a> {
    /// The photo: the first block.
    Photo(ImageBatch<'a>),
    /// The output map of the block before.
    Map(RowView<'a>),
}

impl FusedPlan {
    /// Returns the number of blocks before the last convolution.
    pub(super) fn blocks(&self) -> usize {
        self.rows.len() + self.tiles.len()
    }

    /// Returns the number of values in one pooled row of a block's output, and the number of pooled rows.
    pub(super) fn map_rows(&self, block: usize) -> (usize, usize) {
        match self.rows.get(block) {
            Some(form) => (form.out_row(), form.shape().pooled_size().0),
            None => {
                let shape = self.tiles[block - self.rows.len()].shape();
                let (height, width) = shape.pooled_size();
                (width * shape.out_channels, height)
            }
        }
    }

    /// Returns the number of values in a block's output map.
    pub(super) fn map_len(&self, block: usize) -> usize {
        let (row, rows) = self.map_rows(block);
        row * rows
    }

    /// Computes some pooled rows of a block.
    pub(super) fn block(
        &self,
        block: usize,
        before: Before,
        rows: Range<usize>,
        scratch: &mut Scratch,
        y: &mut [f32],
        argmax: &mut [u8],
    ) {
        match (before, self.rows.get(block)) {
            (Before::Photo(photo), _) => self.first(photo, rows, scratch, y, argmax),
            (Before::Map(map), Some(form)) => form.forward(map, rows, &mut scratch.rows, y, argmax),
            (Before::Map(map), None) => {
                let form = &self.tiles[block - self.rows.len()];
                pool::forward(form, map.values, rows, &mut scratch.tiles, y, argmax);
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
        let form = &self.rows[0];
        let bytes = if argmax.is_empty() { 0 } else { self.cells(0) / self.map_rows(0).1 };
        for start in rows.clone().step_by(BAND) {
            let band = start..rows.end.min(start + BAND);
            let input = form.input_rows(&band);
            let x = image_input::strip(photo, &self.norm, self.size.1, input, &mut scratch.photo);
            let done = start - rows.start;
            let (y, argmax) = (&mut y[done * form.out_row()..], &mut argmax[done * bytes..]);
            form.forward(x, band, &mut scratch.rows, y, argmax);
        }
    }

    /// Returns the number of pooled cells of a block's output, over all channels.
    pub(super) fn cells(&self, block: usize) -> usize {
        let shape = match self.rows.get(block) {
            Some(form) => form.shape(),
            None => self.tiles[block - self.rows.len()].shape(),
        };
        shape.pooled_cells() * shape.out_channels
    }

    /// Returns a block's output map as the next block reads it.
    pub(super) fn view<'a>(&self, block: usize, map: &'a [f32]) -> RowView<'a> {
        match self.rows.get(block).map(WinogradRows::shape) {
            Some(shape) => RowView::rows(map, shape.out_channels, shape.pooled_size().1),
            // Channels last: the tile forms use the values only.
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
        maps.between.resize_with(last, Vec::new);
        maps.before_last.resize(GROUP * last_len, 0.0);
        let Maps { between, before_last, input, scratch } = maps;
        for i in 0..n {
            let photo = photos.slice(i, 1, self.photo_len());
            for block in 0..=last {
                let (done, rest) = between.split_at_mut(block);
                let before = match done.last() {
                    Some(map) => Before::Map(self.view(block - 1, map)),
                    None => Before::Photo(photo),
                };
                let y = match rest.first_mut() {
                    Some(map) => {
                        map.resize(self.map_len(block), 0.0);
                        map
                    }
                    None => &mut before_last[i * last_len..][..last_len],
                };
                self.block(block, before, 0..self.map_rows(block).1, scratch, y, &mut []);
            }
        }
        self.last.input(n, |i| &before_last[i * last_len..], input);
        for block in 0..self.last.tiles().blocks() {
            let y = &mut features[self.last.block_start(block)..];
            self.last.forward(input, block, &mut scratch.tiles, (y, self.out_len()), &mut []);
        }
    }
}
