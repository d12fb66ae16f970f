//! The gradient of an activation, applied to the output gradient in place just before it is used, and the sums of the
//! result over the cells: the bias gradient.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers into slices whose lengths are checked"
)]

use std::ops::Range;

use crate::kernels::Activation;
use crate::kernels::simd::{Dst, Isa, Kernel, Level, Src, keep, load_lanes, store_lanes};

/// An output gradient `[cells][channels]` with its output.
pub(super) struct Masked<'a> {
    pub(super) activation: Activation,
    pub(super) y: &'a [f32],
    pub(super) g: &'a mut [f32],
}

impl Masked<'_> {
    /// Sets the gradient of a range to 0 where the activation's gradient is 0, adds it to the bias gradient, and returns
    /// it. The range is whole cells of `channels` values.
    pub(super) fn mask(&mut self, range: Range<usize>, channels: usize, gb: Option<&mut [f32]>) -> &[f32] {
        let (y, g) = (&self.y[range.clone()], &mut self.g[range]);
        assert_eq!((y.len(), g.len() % channels), (g.len(), 0), "whole cells of output and gradient");
        assert!(gb.as_ref().is_none_or(|gb| gb.len() == channels), "bias gradient");
        if self.activation != Activation::None || gb.is_some() {
            Level::current().run(Mask { activation: self.activation, channels, y, g: &mut *g, gb });
        }
        g
    }
}

struct Mask<'a> {
    activation: Activation,
    channels: usize,
    y: &'a [f32],
    g: &'a mut [f32],
    gb: Option<&'a mut [f32]>,
}

impl Kernel for Mask<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(mut self, isa: I) {
        let mut channel = 0;
        while channel < self.channels {
            channel += match self.channels - channel {
                left if left >= 4 * I::LANES => self.vectors::<I, 4, true>(isa, channel),
                left if left >= I::LANES => self.vectors::<I, 1, true>(isa, channel),
                _ => self.vectors::<I, 1, false>(isa, channel),
            };
        }
    }
}

impl Mask<'_> {
    /// Computes V vectors of channels of all cells. Returns their number of channels.
    #[inline(always)]
    fn vectors<I: Isa, const V: usize, const FULL: bool>(&mut self, isa: I, channel: usize) -> usize {
        let mask = isa.first(self.channels - channel);
        let limit = match self.activation {
            Activation::Relu6 => 6.0,
            _ => f32::INFINITY,
        };
        let limit = isa.splat(limit);
        let mut sums = [isa.zero(); V];
        let (y, len) = (Src::of(self.y), self.g.len());
        let g = Dst::of(self.g);
        // SAFETY: whole cells; channels from `channel` on, as whole vectors or with a mask.
        unsafe {
            for cell in (0..len).step_by(self.channels) {
                let at = cell + channel;
                for v in 0..V {
                    let place = g.add(at + v * I::LANES);
                    let mut own = load_lanes::<I, FULL>(isa, place.src(), mask);
                    if self.activation != Activation::None {
                        let from = y.add(at + v * I::LANES);
                        let y = load_lanes::<I, FULL>(isa, from, mask);
                        own = keep(isa, isa.and(isa.gt(y, isa.zero()), isa.gt(limit, y)), own);
                        store_lanes::<I, FULL>(isa, place, mask, own);
                    }
                    sums[v] = isa.add(sums[v], own);
                }
            }
            if let Some(gb) = &mut self.gb {
                let gb = Dst::of(gb).add(channel);
                for v in 0..V {
                    let to = gb.add(v * I::LANES);
                    let sum = isa.add(load_lanes::<I, FULL>(isa, to.src(), mask), sums[v]);
                    store_lanes::<I, FULL>(isa, to, mask, sum);
                }
            }
        }
        V * I::LANES
    }
}
