//! Tiles of output rows, the matrix of patches that a tile's cells read, and its adjoint.

use std::ops::Range;

use crate::kernels::ConvShape;

/// The largest number of values in a tile's patches: they share the level-2 cache with the weights.
const PATCH_VALUES: usize = 64 * 1024;

/// Some rows of one photo's output.
pub(super) struct Tile {
    first_row: usize,
    rows: usize,
    width: usize,
}

impl Tile {
    /// Returns the tiles of a photo's output, from top to bottom.
    pub(super) fn all(shape: &ConvShape) -> Vec<Self> {
        let (height, width) = shape.out_size();
        let rows = (PATCH_VALUES / (shape.fan_in() * width)).clamp(1, height);
        (0..height)
            .step_by(rows)
            .map(|first_row| Self { first_row, rows: rows.min(height - first_row), width })
            .collect()
    }

    /// Returns the number of output cells.
    pub(super) fn cells(&self) -> usize {
        self.rows * self.width
    }

    /// Returns the index of the first cell in a plane of the output.
    pub(super) fn first_cell(&self) -> usize {
        self.first_row * self.width
    }

    /// Fills `patches[channel·ky·kx][cell]` with the values of `x[in, h, w]` that each output cell reads; `row` is the
    /// row stride of the patches.
    pub(super) fn gather(&self, shape: &ConvShape, group: usize, x: &[f32], patches: &mut [f32], row: usize) {
        if self.keeps_width(shape) {
            return self.visit_shifts(shape, group, row, |at, shift| {
                let out = &mut patches[at..at + self.cells()];
                copy(&x[shift.from..], &mut out[shift.cells.clone()]);
                out[..shift.cells.start].fill(0.0);
                out[shift.cells.end..].fill(0.0);
                self.clear_border(&shift, out);
            });
        }
        self.visit(shape, group, row, |at, span, from, step| {
            let out = &mut patches[at..at + self.width];
            out[..span.start].fill(0.0);
            out[span.end..].fill(0.0);
            let out = &mut out[span];
            out.iter_mut().zip(x[from..].iter().step_by(step)).for_each(|(o, v)| *o = *v);
        });
    }

    /// Adds `patches[channel·ky·kx][cell]` to the cells of `gx[in, h, w]` that they were gathered from; `row` is the
    /// row stride of the patches. Patches that were read from the padding are cleared.
    pub(super) fn scatter(
        &self,
        shape: &ConvShape,
        group: usize,
        patches: &mut [f32],
        gx: &mut [f32],
        row: usize,
    ) {
        if self.keeps_width(shape) {
            return self.visit_shifts(shape, group, row, |at, shift| {
                let values = &mut patches[at..at + self.cells()];
                self.clear_border(&shift, values);
                gx[shift.from..].iter_mut().zip(&values[shift.cells]).for_each(|(g, v)| *g += v);
            });
        }
        self.visit(shape, group, row, |at, span, from, step| {
            let values = &patches[at..at + self.width][span];
            gx[from..].iter_mut().step_by(step).zip(values).for_each(|(g, v)| *g += v);
        });
    }

    /// Returns whether each output row is as long as an input row and begins at its start: then the cells of all rows
    /// read one contiguous part of the input plane, shifted by the kernel position.
    fn keeps_width(&self, shape: &ConvShape) -> bool {
        shape.stride == (1, 1) && self.width == shape.in_size.1 && shape.padding.1 < self.width
    }

    /// Calls `each` for each kernel position of a convolution that keeps the width, with the start of its row of
    /// patches.
    fn visit_shifts(&self, shape: &ConvShape, group: usize, row: usize, mut each: impl FnMut(usize, Shift)) {
        let ((h, w), (top, left)) = (shape.in_size, shape.padding);
        let channels = shape.in_channels / shape.groups;
        let mut at = 0;
        for channel in group * channels..(group + 1) * channels {
            for ky in 0..shape.kernel.0 {
                // Output row r reads input row first_row + r + ky − top, which is inside the input for r in rows.
                let start = top.saturating_sub(self.first_row + ky).min(self.rows);
                let rows = start..(h + top).saturating_sub(self.first_row + ky).clamp(start, self.rows);
                let y = (self.first_row + ky + start).saturating_sub(top).min(h);
                for kx in 0..shape.kernel.1 {
                    let (before, after) = (left.saturating_sub(kx).min(w), kx.saturating_sub(left).min(w));
                    let cells = match rows.len() * w {
                        0 => 0..0,
                        len => rows.start * w + before..rows.start * w + len - after,
                    };
                    let from = (channel * h + y) * w + if cells.is_empty() { 0 } else { after };
                    each(at, Shift { cells, from, rows: rows.clone(), border: (before, after) });
                    at += row;
                }
            }
        }
    }

    /// Sets the cells of a row of patches to zero that read the padding on the left or right.
    fn clear_border(&self, shift: &Shift, cells: &mut [f32]) {
        let (before, after) = shift.border;
        if (before, after) != (0, 0) {
            for row in cells.chunks_exact_mut(self.width).take(shift.rows.end).skip(shift.rows.start) {
                row[..before].fill(0.0);
                row[self.width - after..].fill(0.0);
            }
        }
    }

    /// Calls `f` for each output row and kernel position, with the row's start in the patches, the range of its cells
    /// that read the input and not the padding, the input index that the first of these reads, and the step to the
    /// next.
    fn visit(
        &self,
        shape: &ConvShape,
        group: usize,
        stride: usize,
        mut each: impl FnMut(usize, Range<usize>, usize, usize),
    ) {
        let (h, w) = shape.in_size;
        let conv = shape;
        let channels = shape.in_channels / conv.groups;
        let mut matrix_row = 0;
        for channel in group * channels..(group + 1) * channels {
            for ky in 0..conv.kernel.0 {
                for kx in 0..conv.kernel.1 {
                    // Cell j reads column j·stride + kx − padding, which is inside the input for j in span.
                    let start = conv.padding.1.saturating_sub(kx).div_ceil(conv.stride.1).min(self.width);
                    let end = (w + conv.padding.1).saturating_sub(kx).div_ceil(conv.stride.1);
                    let end = end.clamp(start, self.width);
                    for row in 0..self.rows {
                        let at = matrix_row * stride + row * self.width;
                        let y = (self.first_row + row) * conv.stride.0 + ky;
                        let inside = y >= conv.padding.0 && y - conv.padding.0 < h && start < end;
                        if inside {
                            let x = start * conv.stride.1 + kx - conv.padding.1;
                            let from = (channel * h + y - conv.padding.0) * w + x;
                            each(at, start..end, from, conv.stride.1);
                        } else {
                            each(at, 0..0, 0, 1);
                        }
                    }
                    matrix_row += 1;
                }
            }
        }
    }
}

/// The input cells that a tile reads at one kernel position, if the convolution keeps the width.
struct Shift {
    /// The cells from the first to the last that reads the input; those at the border of a row between them do not.
    cells: Range<usize>,
    /// The input index that the first of these cells reads.
    from: usize,
    /// The rows of the tile that read the input and not the padding above or below.
    rows: Range<usize>,
    /// The numbers of cells at the start and at the end of each row that read the padding.
    border: (usize, usize),
}

/// Copies the first values of `x` to `y`: a few vectors, of which the last two may overlap. For the short rows of small
/// maps a call of `memcpy` takes longer.
#[inline]
fn copy(x: &[f32], y: &mut [f32]) {
    let x = &x[..y.len()];
    for (y, x) in y.as_chunks_mut::<8>().0.iter_mut().zip(x.as_chunks().0) {
        *y = *x;
    }
    match (y.last_chunk_mut::<8>(), x.last_chunk()) {
        (Some(y), Some(x)) => *y = *x,
        _ => y.iter_mut().zip(x).for_each(|(y, x)| *y = *x),
    }
}
