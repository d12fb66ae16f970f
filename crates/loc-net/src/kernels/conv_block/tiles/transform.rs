//! The transforms of tiles. Lanes are channels of adjacent tiles ([`Lanes`]).
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use std::ops::Range;

use super::lanes::Lanes;
use super::products::Planes;
use super::{ConvBlock, Grid};
use crate::kernels::simd::{Dst, Isa, Src, vectors};
use crate::kernels::winograd::{INPUTS, OUTPUTS, transform};

/// Transforms some tiles of the photo `x[h][w][in]` to `Bᵀ · d · B`, into 64 planes `[tiles][in]` that are `plane` apart.
///
/// # Safety
///
/// `x` holds the photo, each plane of `to` the tiles' channels.
#[inline(always)]
pub(super) unsafe fn inputs<I: Isa>(
    isa: I,
    shape: &ConvBlock,
    grid: Grid,
    x: Src<f32>,
    tiles: Range<usize>,
    to: Dst<f32>,
    plane: usize,
) {
    let (ins, n) = (shape.in_channels, tiles.len());
    for vector in 0..Lanes::count::<I>(n, ins) {
        let lanes = Lanes::of::<I>(vector, n, ins);
        let first = x.add(grid.offset(shape, tiles.start + lanes.tile) + lanes.channel);
        let second = if lanes.split < lanes.len {
            x.add(grid.offset(shape, tiles.start + lanes.tile + 1)).back(lanes.split)
        } else {
            first
        };
        let to = to.add(vector * I::LANES);
        // SAFETY: the channels of tiles of 8×8 pixels inside the map.
        unsafe {
            if lanes.whole::<I>() {
                input::<I, true>(isa, shape, lanes, [first, second], to, plane);
            } else {
                input::<I, false>(isa, shape, lanes, [first, second], to, plane);
            }
        }
    }
}

/// Transforms one vector of [`inputs`]. `from` are the addresses of lane 0 in the first tile and in the second.
///
/// # Safety
///
/// As for [`inputs`].
#[inline(always)]
unsafe fn input<I: Isa, const WHOLE: bool>(
    isa: I,
    shape: &ConvBlock,
    lanes: Lanes,
    from: [Src<f32>; 2],
    to: Dst<f32>,
    plane: usize,
) {
    let (channels, row) = (shape.in_channels, shape.in_size.1 * shape.in_channels);
    let first = isa.first(lanes.split);
    let second = isa.and(isa.first(lanes.len), isa.not(first));
    // SAFETY: guaranteed by the caller.
    unsafe {
        let columns: [[I::F32; INPUTS]; INPUTS] = vectors!(|c| {
            let d = vectors!(|r| {
                let at = c * channels + r * row;
                if WHOLE {
                    isa.load(from[0].add(at))
                } else {
                    let (a, b) =
                        (isa.load_masked(from[0].add(at), first), isa.load_masked(from[1].add(at), second));
                    isa.select(first, a, b)
                }
            });
            transform::input(isa, d)
        });
        for r in 0..INPUTS {
            let q = transform::input(isa, vectors!(|c| columns[c][r]));
            for c in 0..INPUTS {
                store(isa, to.add((r * INPUTS + c) * plane), lanes.len, q[c]);
            }
        }
    }
}

/// The adjoint of [`inputs`], for whole rows of tiles: adds to the photo's input gradient `gx`. Overwrites `gv`.
///
/// # Safety
///
/// `gx` holds the photo; each plane of `gv` the tiles' channels, the last one a vector more. No other task accesses them.
#[inline(always)]
pub(super) unsafe fn inputs_adjoint<I: Isa>(
    isa: I,
    shape: &ConvBlock,
    grid: Grid,
    gv: Planes<Dst<f32>>,
    tiles: Range<usize>,
    gx: Dst<f32>,
) {
    let (channels, n) = (shape.in_channels, tiles.len());
    for vector in 0..Lanes::count::<I>(n, channels) {
        let len = Lanes::of::<I>(vector, n, channels).len;
        let at = gv.at.add(vector * I::LANES);
        // SAFETY: guaranteed by the caller.
        unsafe {
            let columns: [[I::F32; INPUTS]; INPUTS] = vectors!(|c| {
                let t = vectors!(|r| load(isa, at.src().add((r * INPUTS + c) * gv.plane), len));
                transform::input_adjoint(isa, t)
            });
            for r in 0..INPUTS {
                let q = transform::input_adjoint(isa, vectors!(|c| columns[c][r]));
                for c in 0..INPUTS {
                    store(isa, at.add((r * INPUTS + c) * gv.plane), len, q[c]);
                }
            }
        }
    }
    // Tiles overlap. Each pixel sums its tiles: adding tile by tile would load what was stored just before.
    let rows = tiles.start / grid.columns.tiles..tiles.end / grid.columns.tiles;
    for y in grid.rows.start(rows.start)..grid.rows.start(rows.end - 1) + INPUTS {
        let covering = grid.rows.covering(y);
        let tile_rows = covering.start.max(rows.start)..covering.end.min(rows.end);
        let mut x = 0;
        loop {
            let tile_columns = grid.columns.covering(x);
            let end = grid.columns.same_until(&tile_columns);
            let (mut from, mut count) = ([gv.at.src(); 9], 0);
            for row in tile_rows.clone() {
                for column in tile_columns.clone() {
                    let tile = (row - rows.start) * grid.columns.tiles + column;
                    let product = (y - grid.rows.start(row)) * INPUTS + x - grid.columns.start(column);
                    from[count] = gv.at.src().add(product * gv.plane + tile * channels);
                    count += 1;
                }
            }
            let to = gx.add((y * shape.in_size.1 + x) * channels);
            let from = &from[..count];
            // SAFETY: channels of pixels of the map, and of the tiles that cover them.
            unsafe {
                match from {
                    [a, b, c, d] => add_pixels(isa, end - x, channels, to, [*a, *b, *c, *d], gv.plane),
                    [a, b] => add_pixels(isa, end - x, channels, to, [*a, *b], gv.plane),
                    _ => {
                        for a in from {
                            add_pixels(isa, end - x, channels, to, [*a], gv.plane);
                        }
                    }
                }
            }
            x = end;
            if x >= grid.columns.start(grid.columns.tiles - 1) + INPUTS {
                break;
            }
        }
    }
}

/// Adds N tiles to adjacent pixels; a tile's pixels are `plane` apart.
///
/// # Safety
///
/// The pixels exist.
#[inline(always)]
unsafe fn add_pixels<I: Isa, const N: usize>(
    isa: I,
    pixels: usize,
    channels: usize,
    to: Dst<f32>,
    from: [Src<f32>; N],
    plane: usize,
) {
    for channel in (0..channels).step_by(I::LANES) {
        let len = I::LANES.min(channels - channel);
        for pixel in 0..pixels {
            let to = to.add(pixel * channels + channel);
            // SAFETY: guaranteed by the caller.
            unsafe {
                let mut sum = load(isa, to.src(), len);
                for n in 0..N {
                    sum = isa.add(sum, load(isa, from[n].add(pixel * plane + channel), len));
                }
                store(isa, to, len, sum);
            }
        }
    }
}

/// Loads the first `len` lanes.
///
/// # Safety
///
/// They can be read.
#[inline(always)]
unsafe fn load<I: Isa>(isa: I, from: Src<f32>, len: usize) -> I::F32 {
    // SAFETY: guaranteed by the caller.
    unsafe { if len == I::LANES { isa.load(from) } else { isa.load_masked(from, isa.first(len)) } }
}

/// Stores the first `len` lanes.
///
/// # Safety
///
/// They can be written.
#[inline(always)]
unsafe fn store<I: Isa>(isa: I, to: Dst<f32>, len: usize, v: I::F32) {
    // SAFETY: guaranteed by the caller.
    unsafe { if len == I::LANES { isa.store(to, v) } else { isa.store_masked(to, isa.first(len), v) } }
}

/// Computes `Aᵀ · m · A` for a vector: 4×4 outputs.
///
/// # Safety
///
/// A vector of each of the 64 planes can be read.
#[inline(always)]
pub(super) unsafe fn output<I: Isa>(isa: I, m: Src<f32>, plane: usize) -> [[I::F32; OUTPUTS]; OUTPUTS] {
    let columns: [[I::F32; OUTPUTS]; INPUTS] = vectors!(|c| {
        let m = vectors!(|r| {
            // SAFETY: guaranteed by the caller.
            unsafe { isa.load(m.add((r * INPUTS + c) * plane)) }
        });
        transform::output(isa, m)
    });
    vectors!(|r| transform::output(isa, vectors!(|c| columns[c][r])))
}

/// Computes `A · gy · Aᵀ` for a vector, of which `len` lanes are written: the adjoint of [`output`].
///
/// # Safety
///
/// These lanes of each of the 64 planes can be written.
#[inline(always)]
pub(super) unsafe fn output_adjoint<I: Isa>(
    isa: I,
    gy: &[[I::F32; OUTPUTS]; OUTPUTS],
    gm: Dst<f32>,
    plane: usize,
    len: usize,
) {
    let columns: [[I::F32; INPUTS]; OUTPUTS] =
        vectors!(|c| transform::output_adjoint(isa, vectors!(|r| gy[r][c])));
    for r in 0..INPUTS {
        let q = transform::output_adjoint(isa, vectors!(|c| columns[c][r]));
        for c in 0..INPUTS {
            let to = gm.add((r * INPUTS + c) * plane);
            // SAFETY: guaranteed by the caller.
            unsafe { store(isa, to, len, q[c]) };
        }
    }
}
