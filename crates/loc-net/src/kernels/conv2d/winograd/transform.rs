//! The transforms of inputs and products, and the matrix products.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use std::ops::Range;

use super::{CHANNELS, Sizes};
use crate::kernels::Activation;
use crate::kernels::gemm::GemmTile;
use crate::kernels::simd::{Dst, Isa, Kernel, Src, vectors};
use crate::kernels::winograd::f53::{self, INPUTS, OUTPUTS, TAPS};

/// Copies a photo `x[channels][cells]` to `to[cells][channels]`. There are at least four cells and whole vectors of channels.
///
/// # Safety
///
/// `x` and `to` hold the photo.
#[inline(always)]
pub(super) unsafe fn channels_last<I: Isa>(isa: I, x: Src<f32>, channels: usize, cells: usize, to: Dst<f32>) {
    for cell in (0..cells).step_by(4) {
        // The last four cells overlap those before.
        let cell = cell.min(cells - 4);
        for channel in (0..channels).step_by(I::LANES) {
            // SAFETY: four cells of a vector of channels.
            unsafe {
                let v = isa.load_columns(x.add(channel * cells + cell), cells);
                for i in 0..4 {
                    isa.store(to.add((cell + i) * channels + channel), v[i]);
                }
            }
        }
    }
}

/// Fills with zeros; `len` is a multiple of sixteen.
///
/// # Safety
///
/// `to` holds `len` values.
#[inline(always)]
pub(super) unsafe fn clear<I: Isa>(isa: I, to: Dst<f32>, len: usize) {
    for at in (0..len).step_by(I::LANES) {
        // SAFETY: guaranteed by the caller.
        unsafe { isa.store(to.add(at), isa.zero()) };
    }
}

/// Transforms the tiles of a photo `x[in, h, w]`. `frame` holds [`Sizes::frame`] values; `v` is the photo's first tile in
/// the first of seven planes `[tiles][width + 2][in]`.
pub(super) struct Input<'a> {
    pub(super) sizes: Sizes,
    pub(super) x: Src<'a, f32>,
    pub(super) frame: Dst<'a, f32>,
    pub(super) v: Dst<'a, f32>,
    pub(super) plane: usize,
}

impl Kernel for Input<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { sizes, x, frame, v, plane } = self;
        let channels = sizes.ins;
        let (row, whole) = (sizes.width * channels, sizes.cells() * channels);
        // SAFETY: the lengths that the fields promise.
        unsafe {
            clear(isa, frame, row);
            channels_last(isa, x, channels, sizes.cells(), frame.add(row));
            clear(isa, frame.add(row + whole), sizes.frame(channels) - row - whole);
            for tile in 0..sizes.tiles() {
                let (from, to) = (frame.src().add(OUTPUTS * tile * row), v.add(tile * sizes.in_row()));
                for p in 0..INPUTS {
                    clear(isa, to.add(p * plane), channels);
                    clear(isa, to.add(p * plane + channels + row), channels);
                }
                for at in (0..row).step_by(I::LANES) {
                    let q = f53::input(isa, vectors!(|i| isa.load(from.add(i * row + at))));
                    for p in 0..INPUTS {
                        isa.store(to.add(p * plane + channels + at), q[p]);
                    }
                }
            }
        }
    }
}

/// Computes the seven products of some tiles, for some output channels: `m[7][tiles][width][channels]` from
/// `v[7][tiles][width + 2][in]`.
pub(super) struct Products<'a> {
    pub(super) sizes: Sizes,
    pub(super) tiles: usize,
    pub(super) v: &'a [f32],
    pub(super) weights: &'a [f32],
    pub(super) channels: Range<usize>,
    pub(super) m: &'a mut [f32],
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { sizes, tiles, v, weights, channels, m } = self;
        let (inner, count) = (TAPS * sizes.ins, channels.len());
        let (in_row, out_row) = (sizes.in_row(), sizes.out_row(count));
        for p in 0..INPUTS {
            let v = Src::of(v).add(p * tiles * in_row);
            let b = Src::of(weights).add(p * inner * sizes.outs + channels.start);
            let m = Dst::of(m).add(p * tiles * out_row);
            // SAFETY: the rows of one column of all tiles, or of all columns of one tile; a row of A is three columns.
            unsafe {
                // The order of a sum is the same both ways.
                if I::REGISTERS >= 32 && tiles.is_multiple_of(8) {
                    for x in 0..sizes.width {
                        let product = GemmTile {
                            a: v.add(x * sizes.ins),
                            a_row: in_row,
                            a_col: 1,
                            b,
                            b_row: sizes.outs,
                            c: m.add(x * count),
                            c_row: out_row,
                            add: false,
                        };
                        product.run(isa, (tiles, count, inner));
                    }
                } else {
                    for tile in 0..tiles {
                        let product = GemmTile {
                            a: v.add(tile * in_row),
                            a_row: sizes.ins,
                            a_col: 1,
                            b,
                            b_row: sizes.outs,
                            c: m.add(tile * out_row),
                            c_row: count,
                            add: false,
                        };
                        product.run(isa, (sizes.width, count, inner));
                    }
                }
            }
        }
    }
}

/// Computes the outputs `y[channels, h, w]` of a photo from its products: `m` is the photo's first tile in the first plane
/// `[tiles][width][channels]`. `frame` holds [`Sizes::frame`] values of sixteen channels.
pub(super) struct Output<'a> {
    pub(super) sizes: Sizes,
    pub(super) m: Src<'a, f32>,
    pub(super) plane: usize,
    /// The bias of these channels.
    pub(super) bias: &'a [f32],
    pub(super) activation: Activation,
    pub(super) frame: Dst<'a, f32>,
    pub(super) y: Dst<'a, f32>,
}

impl Kernel for Output<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { sizes, m, plane, bias, activation, frame, y } = self;
        let (channels, cells, width) = (bias.len(), sizes.cells(), sizes.width);
        let limit = isa.splat(if activation == Activation::Relu6 { 6.0 } else { f32::INFINITY });
        for channel in (0..channels).step_by(I::LANES) {
            // SAFETY: the lengths that the fields promise; the frame has whole tiles of rows.
            unsafe {
                let bias = isa.load(Src::of(bias).add(channel));
                for row in 0..sizes.tiles() {
                    for x in 0..width {
                        let m = m.add((row * width + x) * channels + channel);
                        let y = f53::output(isa, vectors!(|p| isa.load(m.add(p * plane))));
                        for i in 0..OUTPUTS {
                            let mut v = isa.add(y[i], bias);
                            if activation != Activation::None {
                                // With this order of arguments a NaN stays NaN.
                                v = isa.min(limit, isa.max(isa.zero(), v));
                            }
                            isa.store(frame.add(((OUTPUTS * row + i) * width + x) * CHANNELS), v);
                        }
                    }
                }
                for cell in (0..cells).step_by(4) {
                    // The last four cells overlap those before.
                    let cell = cell.min(cells - 4);
                    let v = vectors!(|i| isa.load(frame.src().add((cell + i) * CHANNELS)));
                    isa.store_columns(v, 4, y.add(channel * cells + cell), cells);
                }
            }
        }
    }
}
