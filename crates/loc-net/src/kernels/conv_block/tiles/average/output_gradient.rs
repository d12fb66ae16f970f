//! The transformed gradient of the map before the average.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use super::super::transform;
use super::Average;
use crate::kernels::simd::{Dst, Isa, Kernel, Src};

/// The gradient of every cell of one photo's map from its `windows`, transformed by `A` into the photo's tiles of `gm`, and
/// its sum over the cells.
pub(super) struct OutputGradient<'a> {
    pub(super) of: &'a Average,
    pub(super) windows: Src<'a, f32>,
    pub(super) active: Src<'a, u8>,
    pub(super) photo: usize,
    pub(super) gm: Dst<'a, f32>,
    pub(super) plane: usize,
    pub(super) bias: &'a mut [f32],
}

impl Kernel for OutputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { of, windows, active, photo, gm, plane, bias } = self;
        let outs = of.tiles.shape.out_channels;
        let (kernel, step) = (of.pool.kernel, of.pool.stride);
        let ((_, map_width), (_, out_width)) = (of.pool.in_size, of.pool.out_size());
        let (cells, grid) = (of.out_cells(), of.grid());
        let count = grid.count();
        let bias = Dst::of(bias);
        for channel in (0..outs).step_by(I::LANES) {
            let len = I::LANES.min(outs - channel);
            let mask = isa.first(len);
            let mut sum = isa.zero();
            for tile in 0..count {
                let ((top, left), (new_row, new_column)) = (grid.start(tile), grid.first_new(tile));
                let mut tile_cells = [[isa.zero(); 4]; 4];
                // Every window adds its gradient to the cells of this tile that it covers.
                for cell in 0..cells {
                    let (from_y, from_x) = (cell / out_width * step.0, cell % out_width * step.1);
                    if from_y >= top + 4
                        || from_y + kernel.0 <= top
                        || from_x >= left + 4
                        || from_x + kernel.1 <= left
                    {
                        continue;
                    }
                    // SAFETY: channels of a window.
                    let g = unsafe { isa.load_masked(windows.add(cell * outs + channel), mask) };
                    for y in from_y.max(top)..(from_y + kernel.0).min(top + 4) {
                        for x in from_x.max(left)..(from_x + kernel.1).min(left + 4) {
                            let c = &mut tile_cells[y - top][x - left];
                            *c = isa.add(*c, g);
                        }
                    }
                }
                for y in 0..4 {
                    for x in 0..4 {
                        let c = &mut tile_cells[y][x];
                        // A cell that is also in an earlier tile is computed with that tile.
                        if top + y < new_row || left + x < new_column {
                            *c = isa.zero();
                            continue;
                        }
                        let at = ((top + y) * map_width + left + x) * outs + channel;
                        // SAFETY: channels of a cell of the map.
                        let on = unsafe {
                            let active = active.add(at);
                            if len == I::LANES {
                                isa.load_u8(active)
                            } else {
                                isa.load_u8_masked(active, mask)
                            }
                        };
                        *c = isa.select(isa.gt_i32(on, isa.splat_i32(0)), *c, isa.zero());
                        sum = isa.add(sum, *c);
                    }
                }
                let to = gm.add((photo * count + tile) * outs + channel);
                // SAFETY: channels of this photo's tile.
                unsafe { transform::output_adjoint(isa, &tile_cells, to, plane, len) };
            }
            // SAFETY: channels of the bias.
            unsafe { isa.store_masked(bias.add(channel), mask, sum) };
        }
    }
}
