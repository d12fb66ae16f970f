//! Arrays of eight numbers, which the compiler turns into what the target has: every target.
#![expect(unsafe_code, reason = "loads and stores through pointers")]

use super::{Dst, Isa, Kernel, Src};

const N: usize = 8;

/// No instruction set in particular.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

/// For each set of four lanes, the bytes that move them to the front; the places behind them become 0.
#[cfg(any(target_arch = "aarch64", target_arch = "wasm32"))]
pub(super) const fn pack_bytes() -> [[u8; 16]; 16] {
    let mut table = [[255; 16]; 16];
    let mut set = 0;
    while set < 16 {
        let (mut lane, mut to) = (0, 0);
        while lane < 4 {
            if set >> lane & 1 == 1 {
                let mut byte = 0;
                while byte < 4 {
                    table[set][4 * to + byte] = 4 * lane as u8 + byte as u8;
                    byte += 1;
                }
                to += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    table
}

/// Computes each lane from the lanes of one or two arrays.
macro_rules! each {
    ($($v:ident),+ => $value:expr) => {{
        let mut out = [Default::default(); N];
        for i in 0..N {
            $(let $v = $v[i];)+
            out[i] = $value;
        }
        out
    }};
}

impl Isa for Portable {
    const LANES: usize = N;
    const REGISTERS: usize = 16;
    type F32 = [f32; N];
    type I32 = [i32; N];
    type Mask = [bool; N];

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.eval(self)
    }

    #[inline(always)]
    fn splat(self, v: f32) -> [f32; N] {
        [v; N]
    }
    #[inline(always)]
    fn add(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        each!(a, b => a + b)
    }
    #[inline(always)]
    fn sub(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        each!(a, b => a - b)
    }
    #[inline(always)]
    fn mul(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        each!(a, b => a * b)
    }
    #[inline(always)]
    fn mul_add(self, a: [f32; N], b: [f32; N], c: [f32; N]) -> [f32; N] {
        each!(a, b, c => a * b + c)
    }
    #[inline(always)]
    fn max(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        each!(a, b => if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        each!(a, b => if a < b { a } else { b })
    }
    #[inline(always)]
    fn sum(self, v: [f32; N]) -> f32 {
        let [a, b, c, d, e, f, g, h] = v;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
    #[inline(always)]
    fn gt(self, a: [f32; N], b: [f32; N]) -> [bool; N] {
        each!(a, b => a > b)
    }
    #[inline(always)]
    fn select(self, mask: [bool; N], a: [f32; N], b: [f32; N]) -> [f32; N] {
        each!(mask, a, b => if mask { a } else { b })
    }

    #[inline(always)]
    fn splat_i32(self, v: i32) -> [i32; N] {
        [v; N]
    }
    #[inline(always)]
    fn iota(self) -> [i32; N] {
        [0, 1, 2, 3, 4, 5, 6, 7]
    }
    #[inline(always)]
    fn add_i32(self, a: [i32; N], b: [i32; N]) -> [i32; N] {
        each!(a, b => a.wrapping_add(b))
    }
    #[inline(always)]
    fn mul_i32(self, a: [i32; N], b: [i32; N]) -> [i32; N] {
        each!(a, b => a.wrapping_mul(b))
    }
    #[inline(always)]
    fn or_i32(self, a: [i32; N], b: [i32; N]) -> [i32; N] {
        each!(a, b => a | b)
    }
    #[inline(always)]
    fn and_i32(self, a: [i32; N], b: [i32; N]) -> [i32; N] {
        each!(a, b => a & b)
    }
    #[inline(always)]
    fn shift_left(self, v: [i32; N], bits: i32) -> [i32; N] {
        each!(v => v << bits)
    }
    #[inline(always)]
    fn shift_right(self, v: [i32; N], bits: i32) -> [i32; N] {
        each!(v => (v.cast_unsigned() >> bits).cast_signed())
    }
    #[inline(always)]
    fn gt_i32(self, a: [i32; N], b: [i32; N]) -> [bool; N] {
        each!(a, b => a > b)
    }
    #[inline(always)]
    fn eq_i32(self, a: [i32; N], b: [i32; N]) -> [bool; N] {
        each!(a, b => a == b)
    }
    #[inline(always)]
    fn to_f32(self, v: [i32; N]) -> [f32; N] {
        each!(v => v as f32)
    }

    #[inline(always)]
    fn first(self, n: usize) -> [bool; N] {
        let mut mask = [false; N];
        mask[..n.min(N)].fill(true);
        mask
    }
    #[inline(always)]
    fn and(self, a: [bool; N], b: [bool; N]) -> [bool; N] {
        each!(a, b => a & b)
    }
    #[inline(always)]
    fn not(self, mask: [bool; N]) -> [bool; N] {
        each!(mask => !mask)
    }
    #[inline(always)]
    fn mask_bits(self, mask: [bool; N]) -> u32 {
        let mut bits = 0;
        for (i, on) in mask.into_iter().enumerate() {
            bits |= u32::from(on) << i;
        }
        bits
    }
    #[inline(always)]
    fn bits(self, mask: [bool; N], v: i32) -> [i32; N] {
        each!(mask => if mask { v } else { 0 })
    }

    #[inline(always)]
    unsafe fn load(self, from: Src<f32>) -> [f32; N] {
        // SAFETY: guaranteed by the caller.
        unsafe { from.access(N).cast::<[f32; N]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: Dst<f32>, v: [f32; N]) {
        // SAFETY: guaranteed by the caller.
        unsafe { to.access(N).cast::<[f32; N]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_masked(self, from: Src<f32>, mask: [bool; N]) -> [f32; N] {
        let from = from.masked(self.mask_bits(mask));
        let mut out = [0.0; N];
        for i in 0..N {
            if mask[i] {
                // SAFETY: an enabled lane.
                out[i] = unsafe { from.wrapping_add(i).read() };
            }
        }
        out
    }
    #[inline(always)]
    unsafe fn store_masked(self, to: Dst<f32>, mask: [bool; N], v: [f32; N]) {
        let to = to.masked(self.mask_bits(mask));
        for i in 0..N {
            if mask[i] {
                // SAFETY: an enabled lane.
                unsafe { to.wrapping_add(i).write(v[i]) };
            }
        }
    }
    #[inline(always)]
    unsafe fn load_u8(self, from: Src<u8>) -> [i32; N] {
        // SAFETY: guaranteed by the caller.
        let v = unsafe { from.access(N).cast::<[u8; N]>().read_unaligned() };
        each!(v => i32::from(v))
    }
    #[inline(always)]
    unsafe fn load_u8_masked(self, from: Src<u8>, mask: [bool; N]) -> [i32; N] {
        let from = from.masked(self.mask_bits(mask));
        let mut out = [0; N];
        for i in 0..N {
            if mask[i] {
                // SAFETY: an enabled lane.
                out[i] = i32::from(unsafe { from.wrapping_add(i).read() });
            }
        }
        out
    }
    #[inline(always)]
    unsafe fn store_u8(self, to: Dst<u8>, v: [i32; N]) {
        let v: [u8; N] = each!(v => v.to_le_bytes()[0]);
        // SAFETY: guaranteed by the caller.
        unsafe { to.access(N).cast::<[u8; N]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn store_u8_masked(self, to: Dst<u8>, mask: [bool; N], v: [i32; N]) {
        let to = to.masked(self.mask_bits(mask));
        for i in 0..N {
            if mask[i] {
                // SAFETY: an enabled lane.
                unsafe { to.wrapping_add(i).write(v[i].to_le_bytes()[0]) };
            }
        }
    }
    #[inline(always)]
    unsafe fn store_i32(self, to: Dst<i32>, v: [i32; N]) {
        // SAFETY: guaranteed by the caller.
        unsafe { to.access(N).cast::<[i32; N]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_u8x4(self, from: Src<u8>, stride: usize) -> [i32; N] {
        let mut out = [0; N];
        for (i, out) in out.iter_mut().enumerate() {
            // SAFETY: guaranteed by the caller.
            let four = unsafe { from.add(i * stride).access(4).cast::<[u8; 4]>().read_unaligned() };
            *out = i32::from_le_bytes(four);
        }
        out
    }
    #[inline(always)]
    unsafe fn load_rgb(self, from: Src<u8>) -> [[i32; N]; 3] {
        // SAFETY: guaranteed by the caller.
        let bytes = unsafe { from.access(3 * N).cast::<[[u8; 3]; N]>().read_unaligned() };
        let mut out = [[0; N]; 3];
        for (i, pixel) in bytes.into_iter().enumerate() {
            for colour in 0..3 {
                out[colour][i] = i32::from(pixel[colour]);
            }
        }
        out
    }

    #[inline(always)]
    unsafe fn compress(
        self,
        mask: [bool; N],
        (v, to): ([f32; N], Dst<f32>),
        (w, list): ([i32; N], Dst<i32>),
    ) -> usize {
        let mut n = 0;
        for i in 0..N {
            // SAFETY: at most all places are written.
            unsafe {
                to.add(n).write(v[i]);
                list.add(n).write(w[i]);
            }
            n += usize::from(mask[i]);
        }
        n
    }

    #[inline(always)]
    fn even_odd(self, a: [f32; N], b: [f32; N]) -> ([f32; N], [f32; N]) {
        ([a[0], a[2], a[4], a[6], b[0], b[2], b[4], b[6]], [a[1], a[3], a[5], a[7], b[1], b[3], b[5], b[7]])
    }
    #[inline(always)]
    unsafe fn load_columns(self, from: Src<f32>, stride: usize) -> [[f32; N]; 4] {
        let mut out = [[0.0; N]; 4];
        for i in 0..N {
            // SAFETY: guaranteed by the caller.
            let four = unsafe { from.add(i * stride).access(4).cast::<[f32; 4]>().read_unaligned() };
            for c in 0..4 {
                out[c][i] = four[c];
            }
        }
        out
    }
    #[inline(always)]
    unsafe fn store_columns(self, v: [[f32; N]; 4], n: usize, to: Dst<f32>, stride: usize) {
        for i in 0..N {
            for (c, v) in v.iter().enumerate().take(n) {
                // SAFETY: guaranteed by the caller.
                unsafe { to.add(i * stride + c).write(v[i]) };
            }
        }
    }
}
