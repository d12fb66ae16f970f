//! The transformed weights.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use super::{CHANNELS, Sizes, supports};
use crate::buffers::Aligned;
use crate::kernels::ConvShape;
use crate::kernels::simd::{Dst, Isa, Kernel, Level, Src, vectors};
use crate::kernels::winograd::f53::{self, INPUTS, TAPS};
use crate::parallel::{self, DisjointSlice};

/// The transformed weights of a convolution.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packed {
    pub(super) of: Option<ConvShape>,
    /// `[7][3][in][out]`.
    pub(super) weights: Aligned,
    /// The same of the turned kernel, `[7][3][out][in]`; empty for inference.
    pub(super) adjoint: Aligned,
}

impl Packed {
    /// Transforms the weights `w[out, in, 3, 3]` of a convolution that [`super::supports`] accepts; with `training` also those
    /// of the input gradient.
    ///
    /// # Panics
    ///
    /// If `w` does not have the length of its shape.
    pub(crate) fn pack(&mut self, shape: &ConvShape, w: &[f32], training: bool) {
        assert!(supports(shape) && w.len() == shape.weight_len(), "weights of a supported convolution");
        let sizes = Sizes::of(shape);
        self.of = Some(*shape);
        self.weights.grow(sizes.weights());
        Self::transform(Rows::Inputs, sizes, w, &mut self.weights);
        if training {
            self.adjoint.grow(sizes.weights());
            Self::transform(Rows::Outputs, sizes, w, &mut self.adjoint);
        }
    }

    fn transform(rows: Rows, sizes: Sizes, w: &[f32], to: &mut Aligned) {
        let (to, level) = (DisjointSlice::new(to), Level::current());
        parallel::each(rows.count(sizes) / CHANNELS, |block| {
            // Each task writes its own rows of the matrices.
            level.run(Pack { rows, sizes, first: block * CHANNELS, w: Src::of(w), to: to.pointer() });
        });
    }
}

/// What the rows of the packed matrices are; the columns are the other channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Input channels: the weights of the forward pass.
    Inputs,
    /// Output channels, with the kernel turned around: the weights of the input gradient.
    Outputs,
}

impl Rows {
    /// Returns the number of rows for each tap.
    pub(super) fn count(self, sizes: Sizes) -> usize {
        match self {
            Self::Inputs => sizes.ins,
            Self::Outputs => sizes.outs,
        }
    }
}

/// Computes `G · w` for sixteen rows from `first` on, into `to[7][3][rows][columns]`, from `w[out, in, 3, 3]`.
pub(super) struct Pack<'a> {
    pub(super) rows: Rows,
    pub(super) sizes: Sizes,
    pub(super) first: usize,
    pub(super) w: Src<'a, f32>,
    pub(super) to: Dst<'a, f32>,
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { rows, sizes, first, w, to } = self;
        const KERNEL: usize = TAPS * TAPS;
        let (count, columns) = match rows {
            Rows::Inputs => (sizes.ins, sizes.outs),
            Rows::Outputs => (sizes.outs, sizes.ins),
        };
        // Distances between the kernels of adjacent rows and of adjacent columns.
        let (row_step, step) = match rows {
            Rows::Inputs => (KERNEL, KERNEL * sizes.ins),
            Rows::Outputs => (KERNEL * sizes.ins, KERNEL),
        };
        for column in (0..columns).step_by(I::LANES) {
            for row in first..first + CHANNELS {
                let w = w.add(row * row_step + column * step);
                // SAFETY: the kernels of a vector of columns; their places in the matrices.
                unsafe {
                    let (a, b) = (isa.load_columns(w, step), isa.load_columns(w.add(4), step));
                    let last = isa.load_columns(w.add(KERNEL - 4), step)[3];
                    let mut taps = [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], last];
                    if rows == Rows::Outputs {
                        taps.reverse();
                    }
                    for x in 0..TAPS {
                        let u = f53::kernel(isa, vectors!(|y| taps[y * TAPS + x]));
                        for p in 0..INPUTS {
                            isa.store(to.add(((p * TAPS + x) * count + row) * columns + column), u[p]);
                        }
                    }
                }
            }
        }
    }
}
