//! The forward pass without a backward pass to come: many photos, each on one thread, or one photo on all.

use std::ops::Range;

use rayon::prelude::*;

use super::plan::{Chain, GROUP};
use crate::idle::{Idle, grow};
use crate::kernels::conv_rows::{self, Rows};
use crate::kernels::conv_tiles::{self, average, pool};
use crate::kernels::fused::RowMap;
use crate::kernels::photo::{self, Photos};

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) rows: conv_rows::Scratch,
    pub(super) tiles: conv_tiles::Scratch,
}

/// The maps of some photos between the convolutions.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    /// The photo itself, where it has to be converted.
    pub(super) photo: Vec<f32>,
    /// One photo's map behind each block but the last.
    pub(super) between: Vec<Vec<f32>>,
    /// The maps before the last convolution.
    pub(super) before_last: Vec<f32>,
    pub(super) input: average::Input,
    pub(super) scratch: Scratch,
}

impl Chain {
    /// Blocks before the last convolution.
    pub(super) fn blocks(&self) -> usize {
        self.rows.len() + self.tiles.len()
    }

    /// Values in one pooled row behind a block, and pooled rows.
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

    /// Values of the map behind a block.
    pub(super) fn map_len(&self, block: usize) -> usize {
        let (row, rows) = self.map_rows(block);
        row * rows
    }

    /// Values of a photo as rows of runs.
    pub(super) fn photo_rows_len(&self) -> usize {
        3 * self.size.0 * crate::kernels::fused::run(self.size.1)
    }

    /// A photo as the first block reads it: as it is, or converted into the buffer.
    pub(super) fn converted<'a>(&self, photo: Photos<'a>, buffer: &'a mut Vec<f32>) -> RowMap<'a> {
        if photo::needs_buffer(photo, &self.affine) {
            grow(buffer, self.photo_rows_len());
            photo::to_rows(photo, &self.affine, self.size.1, 0..self.size.0, buffer);
        }
        photo::row_map(photo, &self.affine, self.size.1, buffer)
    }

    /// Some pooled rows of a block: `before` is the map before it (for the first block the photo's).
    pub(super) fn block(
        &self,
        block: usize,
        before: RowMap,
        rows: Range<usize>,
        scratch: &mut Scratch,
        y: &mut [f32],
        winners: &mut [u8],
    ) {
        match self.rows.get(block) {
            Some(form) => form.forward(before, rows, &mut scratch.rows, y, winners),
            None => {
                let form = &self.tiles[block - self.rows.len()];
                pool::forward(form, before.values, rows, &mut scratch.tiles, y, winners);
            }
        }
    }

    /// The map behind a block as the next one reads it.
    pub(super) fn view<'a>(&self, block: usize, map: &'a [f32]) -> RowMap<'a> {
        match self.rows.get(block).map(Rows::shape) {
            Some(shape) => RowMap::rows(map, shape.out_channels, shape.pooled_size().1),
            // Channels last: the tile forms look at the values alone.
            None => RowMap { values: map, row: 0, channel: 0 },
        }
    }

    /// Runs `n` photos into `features`, `n ×` [`Chain::out_len`].
    ///
    /// Each photo's features do not depend on the others. Buffers come from `idle` and go back there.
    pub(crate) fn infer(&self, photos: Photos, n: usize, idle: &Idle<Maps>, features: &mut [f32]) {
        let (len, out) = (self.photo_len(), self.out_len());
        features.par_chunks_mut(GROUP * out).enumerate().for_each(|(group, features)| {
            let count = GROUP.min(n - group * GROUP);
            idle.with(|maps| {
                self.infer_group(photos.slice(group * GROUP, count, len), count, maps, features)
            });
        });
    }

    fn infer_group(&self, photos: Photos, n: usize, maps: &mut Maps, features: &mut [f32]) {
        let last = self.blocks() - 1;
        let last_len = self.map_len(last);
        maps.between.resize_with(last, Vec::new);
        maps.before_last.resize(GROUP * last_len, 0.0);
        let Maps { photo: buffer, between, before_last, input, scratch } = maps;
        for i in 0..n {
            let photo = photos.slice(i, 1, self.photo_len());
            let photo = self.converted(photo, buffer);
            for block in 0..=last {
                let (done, rest) = between.split_at_mut(block);
                let before = match done.last() {
                    Some(map) => self.view(block - 1, map),
                    None => photo,
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
