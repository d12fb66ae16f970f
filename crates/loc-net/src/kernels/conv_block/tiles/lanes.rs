//! Vectors over the channels of tiles that lie one after the other, `[tile][channel]`: where the number of channels is not
//! a multiple of a vector's lanes, a vector holds the last channels of one tile and the first of the next.
#![expect(unsafe_code, reason = "loads and stores through pointers whose ranges the callers checked")]

use crate::kernels::simd::{Dst, Isa, Src};

/// What the lanes of a vector hold: `split` channels of `tile` from `channel` on, then the first channels of the next
/// tile; lanes from `len` on are unused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lanes {
    pub(super) tile: usize,
    pub(super) channel: usize,
    pub(super) split: usize,
    pub(super) len: usize,
}

impl Lanes {
    /// Returns the number of vectors of n tiles.
    #[inline(always)]
    pub(super) fn count<I: Isa>(n: usize, channels: usize) -> usize {
        (n * channels).div_ceil(I::LANES)
    }

    /// Returns the lanes of a vector of n tiles. There are at least eight channels, a multiple of four: so no vector
    /// reaches a third tile.
    #[inline(always)]
    pub(super) fn of<I: Isa>(vector: usize, n: usize, channels: usize) -> Self {
        let first = vector * I::LANES;
        let (tile, channel) = (first / channels, first % channels);
        let len = I::LANES.min(n * channels - first);
        Self { tile, channel, split: len.min(channels - channel), len }
    }

    /// Returns whether all lanes belong to one tile.
    #[inline(always)]
    pub(super) fn whole<I: Isa>(self) -> bool {
        self.split == I::LANES
    }

    /// Returns the part of the first tile, and that of the next one if there is one.
    #[inline(always)]
    pub(super) fn parts(self) -> (Part, Option<Part>) {
        let first = Part { tile: self.tile, channel: self.channel, from: 0, to: self.split };
        let second = Part { tile: self.tile + 1, channel: 0, from: self.split, to: self.len };
        (first, (self.split < self.len).then_some(second))
    }

    /// Iterates over the parts.
    #[inline(always)]
    pub(super) fn each(self) -> impl Iterator<Item = Part> {
        let (first, second) = self.parts();
        [Some(first), second].into_iter().flatten()
    }
}

/// Lanes `from..to` of a vector hold a tile's channels from `channel` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) tile: usize,
    pub(super) channel: usize,
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Part {
    #[inline(always)]
    pub(super) fn mask<I: Isa>(self, isa: I) -> I::Mask {
        isa.and(isa.first(self.to), isa.not(isa.first(self.from)))
    }

    #[inline(always)]
    fn whole<I: Isa>(self) -> bool {
        self.to - self.from == I::LANES
    }

    /// Loads the part's lanes, from the values of its channels; the others are 0.
    ///
    /// # Safety
    ///
    /// The part's values can be read.
    #[inline(always)]
    pub(super) unsafe fn load<I: Isa>(self, isa: I, at: Src<f32>) -> I::F32 {
        // SAFETY: guaranteed by the caller.
        unsafe {
            if self.whole::<I>() { isa.load(at) } else { isa.load_masked(at.back(self.from), self.mask(isa)) }
        }
    }

    /// Loads the part's lanes from bytes.
    ///
    /// # Safety
    ///
    /// As for [`Part::load`].
    #[inline(always)]
    pub(super) unsafe fn load_u8<I: Isa>(self, isa: I, at: Src<u8>) -> I::I32 {
        // SAFETY: guaranteed by the caller.
        unsafe {
            if self.whole::<I>() {
                isa.load_u8(at)
            } else {
                isa.load_u8_masked(at.back(self.from), self.mask(isa))
            }
        }
    }

    /// Stores the part's lanes, to the places of its channels.
    ///
    /// # Safety
    ///
    /// The part's values can be written.
    #[inline(always)]
    pub(super) unsafe fn store<I: Isa>(self, isa: I, to: Dst<f32>, v: I::F32) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            if self.whole::<I>() {
                isa.store(to, v);
            } else {
                isa.store_masked(to.back(self.from), self.mask(isa), v);
            }
        }
    }

    /// Adds the part's lanes to the values of its channels.
    ///
    /// # Safety
    ///
    /// The part's values can be read and written.
    #[inline(always)]
    pub(super) unsafe fn add<I: Isa>(self, isa: I, to: Dst<f32>, v: I::F32) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let sum = isa.add(self.load(isa, to.src()), v);
            self.store(isa, to, sum);
        }
    }

    /// Stores a byte for each of the part's lanes.
    ///
    /// # Safety
    ///
    /// As for [`Part::store`].
    #[inline(always)]
    pub(super) unsafe fn store_u8<I: Isa>(self, isa: I, to: Dst<u8>, v: I::I32) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            if self.whole::<I>() {
                isa.store_u8(to, v);
            } else {
                isa.store_u8_masked(to.back(self.from), self.mask(isa), v);
            }
        }
    }
}
