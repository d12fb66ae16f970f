//! Tiles of output rows, the matrix of patches that a tile's cells read, and its adjoint.

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

    /// Fills `patches[channel·ky·kx][cell]` with the values of `x[in, h, w]` that each output cell reads; `row` is the row
    /// stride of the patches.
    pub(super) fn gather(&self, shape: &ConvShape, group: usize, x: &[f32], patches: &mut [f32], row: usize) {
        self.visit(shape, group, row, |at, span, from, step| {
            let out = &mut patches[at..at + self.width];
            out[..span.start].fill(0.0);
            out[span.end..].fill(0.0);
            let out = &mut out[span];
            if step == 1 {
                out.copy_from_slice(&x[from..from + out.len()]);
            } else {
                out.iter_mut().zip(x[from..].iter().step_by(step)).for_each(|(o, v)| *o = *v);
            }
        });
    }

    /// Adds `patches[channel·ky·kx][cell]` to the cells of `gx[in, h, w]` that they were gathered from; `row` is the row
    /// stride of the patches.
    pub(super) fn scatter(
        &self,
        shape: &ConvShape,
        group: usize,
        patches: &[f32],
        gx: &mut [f32],
        row: usize,
    ) {
        self.visit(shape, group, row, |at, span, from, step| {
            let values = &patches[at..at + self.width][span];
            if step == 1 {
                gx[from..from + values.len()].iter_mut().zip(values).for_each(|(g, v)| *g += v);
            } else {
                gx[from..].iter_mut().step_by(step).zip(values).for_each(|(g, v)| *g += v);
            }
        });
    }

    /// Calls `f` for each output row and kernel position, with the row's start in the patches, the range of its cells that
    /// read the input and not the padding, the input index that the first of these reads, and the step to the next.
    fn visit(
        &self,
        shape: &ConvShape,
        group: usize,
        stride: usize,
        mut each: impl FnMut(usize, std::ops::Range<usize>, usize, usize),
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
