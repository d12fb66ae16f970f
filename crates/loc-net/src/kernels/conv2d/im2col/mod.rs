//! The general kernel (im2col): the patches that output cells read are gathered as a matrix that fits the level-2
//! cache, then multiplied by the weights.
//!
//! A large map is split into tiles of rows. For small maps the patches of several photos are placed side by side in one
//! matrix: its rows become longer, and the weights are read once for all of these photos.

mod tile;

use std::ops::Range;

use rayon::prelude::*;

use crate::buffers::with_buffers;
use crate::kernels::gemm::{self, Mode, RowMajor, Strided};
use crate::kernels::parts::tree_sum;
use crate::kernels::{Activation, ConvShape};
use crate::parallel::{self, DisjointSlice};
use tile::Tile;

/// The largest number of values in the patches of several photos together.
const GROUP_VALUES: usize = 120 * 1024;
/// The largest number of photos in one matrix: one part of the sum for a batch of 32, and enough tasks for eight
/// threads.
const MAX_PHOTOS: usize = 4;
/// Output channels per task when the parts of the weight gradient are summed.
const OUTPUTS: usize = 16;

/// A tile of some photos, which are side by side in the matrix.
struct Chunk<'a> {
    tile: &'a Tile,
    photos: Range<usize>,
    /// Number of cells of one photo, and the row stride of the matrix.
    cells: usize,
    row: usize,
}

impl<'a> Chunk<'a> {
    fn new(tile: &'a Tile, photos: Range<usize>) -> Self {
        let cells = tile.cells();
        Self { tile, row: (photos.len() * cells).next_multiple_of(8), photos, cells }
    }

    /// Returns the chunks of some photos.
    fn all(shape: &ConvShape, tiles: &'a [Tile], photos: Range<usize>) -> Vec<Self> {
        let each = match tiles {
            [one] => (GROUP_VALUES / (shape.fan_in() * one.cells())).clamp(1, MAX_PHOTOS),
            _ => 1,
        };
        let end = photos.end;
        let groups = photos.step_by(each).map(|first| first..end.min(first + each));
        groups.flat_map(|photos| tiles.iter().map(move |tile| Self::new(tile, photos.clone()))).collect()
    }

    fn all_cells(&self) -> usize {
        self.photos.len() * self.cells
    }

    /// Iterates over the photos with the matrix column at which each starts.
    fn columns(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let cells = self.cells;
        self.photos.clone().enumerate().map(move |(i, photo)| (photo, i * cells))
    }

    /// Fills the patch matrix from `x[n, in, h, w]`.
    fn gather(&self, shape: &ConvShape, group: usize, x: &[f32], patches: &mut [f32]) {
        let len = shape.in_len();
        for (photo, column) in self.columns() {
            self.tile.gather(shape, group, &x[photo * len..][..len], &mut patches[column..], self.row);
        }
    }

    /// Copies a group's channels of `gy[n, out, oh, ow]` side by side.
    fn gather_columns(&self, shape: &ConvShape, group: usize, gy: &[f32], matrix: &mut [f32]) {
        let (outs, plane) = (shape.out_channels / shape.groups, shape.out_size().0 * shape.out_size().1);
        for (photo, column) in self.columns() {
            let first = photo * shape.out_len() + group * outs * plane + self.tile.first_cell();
            for (o, row) in matrix.chunks_exact_mut(self.row).take(outs).enumerate() {
                row[column..column + self.cells].copy_from_slice(&gy[first + o * plane..][..self.cells]);
            }
        }
    }

    /// Copies a group's channels of `gy[n, out, oh, ow]` as `matrix[cell, out/groups]`.
    fn gather_channels_last(&self, shape: &ConvShape, group: usize, gy: &[f32], matrix: &mut [f32]) {
        let (outs, plane) = (shape.out_channels / shape.groups, shape.out_size().0 * shape.out_size().1);
        for (photo, column) in self.columns() {
            let first = photo * shape.out_len() + group * outs * plane + self.tile.first_cell();
            for (cell, row) in matrix[column * outs..].chunks_exact_mut(outs).take(self.cells).enumerate() {
                row.iter_mut().zip(gy[first + cell..].iter().step_by(plane)).for_each(|(m, g)| *m = *g);
            }
        }
    }
}

/// Computes the outputs `y[n, out, oh, ow]`.
pub(super) fn forward(
    shape: &ConvShape,
    activation: Activation,
    n: usize,
    x: &[f32],
    w: &[f32],
    b: &[f32],
    y: &mut [f32],
) {
    let tiles = Tile::all(shape);
    let chunks = Chunk::all(shape, &tiles, 0..n);
    let (out_len, plane) = (shape.out_len(), shape.out_size().0 * shape.out_size().1);
    let (group_out, fan_in) = (shape.out_channels / shape.groups, shape.fan_in());
    let y = DisjointSlice::new(y);
    parallel::each(chunks.len(), |task| {
        let chunk = &chunks[task];
        with_buffers([fan_in * chunk.row, group_out * chunk.row], |[patches, product]| {
            for group in 0..shape.groups {
                chunk.gather(shape, group, x, patches);
                gemm::gemm_nn(
                    (group_out, chunk.all_cells(), fan_in),
                    Strided { values: &w[group * group_out * fan_in..], row: fan_in, col: 1 },
                    RowMajor { values: patches, row: chunk.row },
                    product,
                    chunk.row,
                    Mode::Replace,
                );
                for (o, row) in product.chunks_exact(chunk.row).enumerate() {
                    let channel = group * group_out + o;
                    for (photo, column) in chunk.columns() {
                        let at = photo * out_len + channel * plane + chunk.tile.first_cell();
                        #[expect(unsafe_code, reason = "tiles of one photo interleave in memory")]
                        // SAFETY: each task writes only the cells of its own tile and photos; no two ranges overlap.
                        let out = unsafe { y.range(at, chunk.cells) };
                        out.iter_mut().zip(&row[column..]).for_each(|(out, v)| *out = v + b[channel]);
                        activation.apply(out);
                    }
                }
            }
        });
    });
}

/// Adds the weight gradient of some photos to `transposed[in/groups·kh·kw, out]`: the gradient of the weight with the
/// output channels last, so that vectors consist of output channels.
pub(super) fn add_weight_gradient(
    shape: &ConvShape,
    photos: Range<usize>,
    x: &[f32],
    gy: &[f32],
    transposed: &mut [f32],
) {
    let tiles = Tile::all(shape);
    let (outs, group_out, fan_in) = (shape.out_channels, shape.out_channels / shape.groups, shape.fan_in());
    for chunk in Chunk::all(shape, &tiles, photos) {
        with_buffers([fan_in * chunk.row, group_out * chunk.row], |[patches, matrix]| {
            for group in 0..shape.groups {
                chunk.gather(shape, group, x, patches);
                chunk.gather_channels_last(shape, group, gy, matrix);
                gemm::gemm_nn(
                    (fan_in, group_out, chunk.all_cells()),
                    Strided { values: patches, row: chunk.row, col: 1 },
                    RowMajor { values: matrix, row: group_out },
                    &mut transposed[group * group_out..],
                    outs,
                    Mode::Add,
                );
            }
        });
    }
}

/// Sums what [`add_weight_gradient`] added for each part, and writes it as `gw[out, in/groups, kh, kw]`. In `sums` the
/// parts are `stride` values apart.
pub(super) fn write_weight_gradient(
    shape: &ConvShape,
    parts: usize,
    sums: &[f32],
    stride: usize,
    gw: &mut [f32],
) {
    let (outs, fan_in) = (shape.out_channels, shape.fan_in());
    gw.par_chunks_mut(OUTPUTS * fan_in).enumerate().for_each(|(task, gw)| {
        let mut row = [0.0; OUTPUTS];
        let row = &mut row[..gw.len() / fan_in];
        for at in 0..fan_in {
            tree_sum(&sums[at * outs + task * OUTPUTS..], stride, parts, row);
            gw[at..].iter_mut().step_by(fan_in).zip(&*row).for_each(|(gw, sum)| *gw = *sum);
        }
    });
}

/// Computes the input gradient `gx[n, in, h, w]`.
pub(super) fn input(shape: &ConvShape, n: usize, w: &[f32], gy: &[f32], gx: &mut [f32]) {
    let (tiles, len) = (Tile::all(shape), shape.in_len());
    let (group_out, fan_in) = (shape.out_channels / shape.groups, shape.fan_in());
    // The input gradients of a photo's tiles overlap, so one task computes all tiles of its photos.
    let each = Chunk::all(shape, &tiles, 0..n).first().map_or(1, |chunk| chunk.photos.len());
    gx.par_chunks_mut(each * len).enumerate().for_each(|(task, gx)| {
        gx.fill(0.0);
        let first = task * each;
        for chunk in Chunk::all(shape, &tiles, first..first + gx.len() / len) {
            with_buffers([fan_in * chunk.row, group_out * chunk.row], |[patches, matrix]| {
                for group in 0..shape.groups {
                    chunk.gather_columns(shape, group, gy, matrix);
                    gemm::gemm_nn(
                        (fan_in, chunk.all_cells(), group_out),
                        Strided { values: &w[group * group_out * fan_in..], row: 1, col: fan_in },
                        RowMajor { values: matrix, row: chunk.row },
                        patches,
                        chunk.row,
                        Mode::Replace,
                    );
                    for (photo, column) in chunk.columns() {
                        let gx = &mut gx[(photo - first) * len..][..len];
                        chunk.tile.scatter(shape, group, &mut patches[column..], gx, chunk.row);
                    }
                }
            });
        }
    });
}
