//! The backward pass over a batch: each of the 64 matrix products takes all photos at once.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers whose ranges the public functions check"
)]

use rayon::prelude::*;

use super::super::products::{self, Planes};
use super::super::weights::Unpack;
use super::super::{GROUP, PRODUCTS, plane_len, transform};
use super::output_gradient::OutputGradient;
use super::{Average, Transform};
use crate::buffers::{Aligned, grow, with_buffers};
use crate::kernels::conv_block::OVERREAD;
use crate::kernels::parts::{Parts, tree_sum};
use crate::kernels::simd::{Dst, Isa, Kernel, Src};
use crate::parallel::DisjointSlice;

/// Weights per pair of input and output channel.
const TAPS: usize = 25;

/// Buffers of a backward pass over a batch.
#[derive(Debug, Default)]
pub struct Gradient {
    input: Aligned,
    products: Aligned,
    gradient: Aligned,
    bias: Vec<f32>,
    /// The bias gradients of the parts.
    part_bias: Vec<f32>,
    /// Each photo's output gradient divided by the number of cells in a window, `[oh · ow][out]`.
    windows: Vec<f32>,
}

/// The values that a backward pass reads of each photo, by its number.
pub trait Batch: Sync {
    /// Returns the input `[h][w][in]`.
    fn input(&self, photo: usize) -> &[f32];
    /// Returns the bytes that [`Average::forward`] wrote.
    fn active(&self, photo: usize) -> &[u8];
    /// Returns the gradient of the output, `[out, oh, ow]`.
    fn gradient(&self, photo: usize) -> &[f32];
}

impl Average {
    /// Computes the gradients of the weight `[out, in, 5, 5]` and the bias `[out]`, summed over the photos in the order
    /// of [`crate::kernels::parts`], and each photo's input gradient, into `gx[n][h · w · in + OVERREAD]`.
    ///
    /// There are four passes, each over rayon's current pool: (1) transform every photo's output gradient by `A`; (2)
    /// compute the 64 products of the input gradient, each over all photos at once; (3) transform these by `B`; (4) for
    /// a few output channels at a time, compute the 64 products of the weight gradient, part by part, and transform
    /// them by `G`.
    ///
    /// # Panics
    ///
    /// If a slice is too short, or the weights were packed for inference.
    pub fn backward(
        &self,
        parts: &Parts,
        photos: &impl Batch,
        buffers: &mut Gradient,
        gw: &mut [f32],
        gb: &mut [f32],
        gx: &mut [f32],
    ) {
        let (shape, n) = (self.tiles.shape, parts.photos());
        let (ins, outs) = (shape.in_channels, shape.out_channels);
        let (in_len, grid) = (shape.in_size.0 * shape.in_size.1 * ins, self.grid());
        let tiles = n * grid.count();
        assert!(gx.len() == n * (in_len + OVERREAD), "input gradient");
        assert!(!self.tiles.adjoint.is_empty(), "weights that were packed for training");
        assert!(gw.len() == shape.weight_len() && gb.len() == outs, "weight and bias gradient");
        let (v_plane, m_plane) = (plane_len(tiles, ins), plane_len(tiles, outs));
        buffers.input.grow(PRODUCTS * v_plane);
        buffers.products.grow(PRODUCTS * m_plane);
        buffers.gradient.grow(PRODUCTS * v_plane + OVERREAD);
        grow(&mut buffers.bias, n * outs);
        grow(&mut buffers.windows, n * self.out_len());
        // The buffers may be longer than these photos need, if an earlier batch had more.
        let bias = &mut buffers.bias[..n * outs];
        let windows = &mut buffers.windows[..n * self.out_len()];

        let (v, gm) = (DisjointSlice::new(&mut buffers.input), DisjointSlice::new(&mut buffers.products));
        let photo_buffers = bias.par_chunks_exact_mut(outs).zip(windows.par_chunks_exact_mut(self.out_len()));
        photo_buffers.enumerate().for_each(|(photo, (bias, windows))| {
            let (x, active, gy) = (photos.input(photo), photos.active(photo), photos.gradient(photo));
            assert!(x.len() >= in_len && active.len() >= self.byte_len() && gy.len() >= self.out_len());
            self.window_gradients(gy, windows);
            // Each photo writes its own tiles.
            let level = self.tiles.level;
            level.run(Transform { of: self, x: Src::of(x), photo, to: v.pointer(), plane: v_plane });
            let (windows, active) = (Src::of(windows), Src::of(active));
            level.run(OutputGradient {
                of: self,
                windows,
                active,
                photo,
                gm: gm.pointer(),
                plane: m_plane,
                bias,
            });
        });
        let part_bias = &mut buffers.part_bias;
        part_bias.clear();
        part_bias.resize(parts.count() * outs, 0.0);
        for (sums, photos) in part_bias.chunks_exact_mut(outs).zip(parts.iter()) {
            for bias in bias[photos.start * outs..photos.end * outs].chunks_exact(outs) {
                sums.iter_mut().zip(bias).for_each(|(sum, b)| *sum += b);
            }
        }
        tree_sum(part_bias, outs, parts.count(), gb);

        let planes = buffers.gradient[..PRODUCTS * v_plane].par_chunks_exact_mut(v_plane.max(1));
        planes.zip(buffers.products.par_chunks_exact(m_plane.max(1))).enumerate().for_each(
            |(p, (gv, gm))| {
                let (gm, gv) = (Src::of(gm), Dst::of(gv));
                self.tiles.level.run(InputProduct { of: self, p, n: tiles, gm, gv });
            },
        );
        self.weight_gradient(parts, &buffers.input, &buffers.products, gw);

        let gv = DisjointSlice::new(&mut buffers.gradient);
        gx.par_chunks_exact_mut(in_len + OVERREAD).enumerate().for_each(|(photo, gx)| {
            gx.fill(0.0);
            // Each photo accesses its own tiles.
            let gv = Planes { at: gv.pointer().add(photo * grid.count() * ins), plane: v_plane };
            self.tiles.level.run(InputGradient { of: self, gv, gx: Dst::of(gx) });
        });
    }

    /// Computes the weight gradient of all photos from their transformed inputs `v` and gradients `gm`.
    fn weight_gradient(&self, parts: &Parts, v: &[f32], gm: &[f32], gw: &mut [f32]) {
        let (shape, tiles) = (self.tiles.shape, self.grid().count());
        let (ins, outs, all) = (shape.in_channels, shape.out_channels, parts.photos() * tiles);
        let (v_plane, m_plane) = (plane_len(all, ins), plane_len(all, outs));
        gw.par_chunks_mut(GROUP * ins * TAPS).enumerate().for_each(|(task, gw)| {
            let (first, width) = (task * GROUP, gw.len() / (ins * TAPS));
            with_buffers([PRODUCTS * ins * width, parts.count() * gw.len()], |[gu, part_gradients]| {
                for (part_gradient, photos) in part_gradients.chunks_exact_mut(gw.len()).zip(parts.iter()) {
                    let (from, n) = (photos.start * tiles, photos.len() * tiles);
                    for (p, gu) in gu.chunks_exact_mut(ins * width).enumerate() {
                        // The part's tiles of product p, and these channels of them.
                        let v = Src::of(v).add(p * v_plane + from * ins);
                        let gm = Src::of(gm).add(p * m_plane + from * outs + first);
                        let gu = Dst::of(gu);
                        self.tiles.level.run(WeightProduct { of: self, size: (n, width), v, gm, gu });
                    }
                    let sums = Src::of(gu);
                    self.tiles.level.run(Unpack { shape: &shape, sums, row: width, gw: part_gradient });
                }
                tree_sum(part_gradients, gw.len(), parts.count(), gw);
            });
        });
    }

    /// Writes one photo's output gradient `gy[out, oh, ow]`, divided by the number of cells in a window, channels last.
    fn window_gradients(&self, gy: &[f32], windows: &mut [f32]) {
        let (cells, outs) = (self.out_cells(), self.tiles.shape.out_channels);
        let scale = 1.0 / (self.pool.kernel.0 * self.pool.kernel.1) as f32;
        for (channel, gy) in gy.chunks_exact(cells).enumerate().take(outs) {
            gy.iter().enumerate().for_each(|(cell, g)| windows[cell * outs + channel] = g * scale);
        }
    }
}

/// `gV` of product `p`, for n tiles: `gm` is `[n][out]` and `gv` is `[n][in]`.
struct InputProduct<'a> {
    of: &'a Average,
    p: usize,
    n: usize,
    gm: Src<'a, f32>,
    gv: Dst<'a, f32>,
}

impl Kernel for InputProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        // SAFETY: see the fields.
        unsafe { products::input_product(isa, &self.of.tiles, self.p, self.n, self.gm, self.gv) };
    }
}

/// `gU` of one product and some channels: `v` is `[n][in]`, `gm` is `[n][out]` from the first of these channels on, and
/// `gu` is `[in][channels]`.
struct WeightProduct<'a> {
    of: &'a Average,
    size: (usize, usize),
    v: Src<'a, f32>,
    gm: Src<'a, f32>,
    gu: Dst<'a, f32>,
}

impl Kernel for WeightProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { of, size, v, gm, gu } = self;
        // SAFETY: see the fields.
        unsafe { products::weight_product(isa, &of.tiles.shape, size, v, gm, gu, false) };
    }
}

/// A photo's input gradient: `gv` points to its tiles, `gx` holds zeros.
struct InputGradient<'a> {
    of: &'a Average,
    gv: Planes<Dst<'a, f32>>,
    gx: Dst<'a, f32>,
}

impl Kernel for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { of, gv, gx } = self;
        let (grid, shape) = (of.grid(), &of.tiles.shape);
        // SAFETY: the photo's own tiles.
        unsafe { transform::inputs_adjoint(isa, shape, grid, gv, 0..grid.count(), gx) };
    }
}
