//! The input gradient: every active cell adds its gradient times the kernel, `Σ g · w`. The kernels are stored shifted
//! for each of the four argmax positions. Gradients and argmax bytes are channels last.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers whose ranges the public functions check"
)]

use super::{MAX_LANES, WinogradRows, as_i32};
use crate::buffers::Aligned;
use crate::kernels::conv_block::{ConvBlock, OVERREAD, RELU_OFF};
use crate::kernels::simd::{Dst, Isa, Kernel, Level, Src};

/// Rows and columns of the input that a window of two by two cells reads.
const PATCH: usize = 6;

/// A block's kernels, laid out for its input gradient.
#[derive(Debug)]
pub struct InputGradient {
    shape: ConvBlock,
    level: Level,
    /// `[out][4][6][row]`: output channel, argmax, row of a window's patch, six columns × channels. Each is the kernel
    /// shifted to the argmax position, with zeros around it.
    kernels: Aligned,
}

impl InputGradient {
    /// Creates it without weights.
    #[must_use]
    pub fn of(conv: &WinogradRows) -> Self {
        let shape = conv.shape;
        let kernels = Aligned::zeros(shape.out_channels * 4 * PATCH * Self::row_len(&shape));
        Self { shape, level: conv.level, kernels }
    }

    /// Returns the length of a row of a window's patch, which is six pixels, in whole vectors of any set.
    fn row_len(shape: &ConvBlock) -> usize {
        (PATCH * shape.in_channels).next_multiple_of(MAX_LANES)
    }

    /// Packs the weights `w[out, in, 5, 5]`.
    ///
    /// # Panics
    ///
    /// If the slice does not have the length of its shape.
    pub fn pack(&mut self, w: &[f32]) {
        let ins = self.shape.in_channels;
        assert_eq!(w.len(), self.shape.weight_len(), "weight");
        let row_len = Self::row_len(&self.shape);
        for (at, w) in w.iter().enumerate() {
            let (o, c, y, x) = (at / (25 * ins), at / 25 % ins, at / 5 % 5, at % 5);
            for position in 0..4 {
                let (row, column) = (y + position / 2, x + position % 2);
                let row = (o * 4 + position) * PATCH + row;
                self.kernels[row * row_len + column * ins + c] = *w;
            }
        }
    }

    /// Adds to `gx[h][w][in]` the input gradient, from the gradient `gy[ph][pw][out]` and the argmax bytes in the same
    /// order.
    ///
    /// # Panics
    ///
    /// If a slice is shorter than its map plus [`OVERREAD`].
    pub fn add(&self, gy: &[f32], argmax: &[u8], list: &mut ActiveList, gx: &mut [f32]) {
        let ConvBlock { in_channels, out_channels, in_size: (height, width) } = self.shape;
        let cells = self.shape.pooled_cells() * out_channels + OVERREAD;
        assert!(gy.len() >= cells && argmax.len() >= cells, "gradient, bytes and overread");
        assert!(gx.len() >= height * width * in_channels + OVERREAD, "input gradient and overread");
        let pooled_width = self.shape.pooled_size().1;
        let capacity = pooled_width * out_channels + MAX_LANES;
        list.offsets.resize(capacity.max(list.offsets.len()), 0);
        list.values.resize(capacity.max(list.values.len()), 0.0);
        list.starts.resize((pooled_width + 1).max(list.starts.len()), 0);
        let (gy, argmax, gx) = (Src::of(gy), Src::of(argmax), Dst::of(gx));
        self.level.run(Photo { of: self, gy, argmax, list, gx });
    }
}

/// The slices are as long as [`InputGradient::add`] checks.
struct Photo<'a> {
    of: &'a InputGradient,
    gy: Src<'a, f32>,
    argmax: Src<'a, u8>,
    list: &'a mut ActiveList,
    gx: Dst<'a, f32>,
}

impl Kernel for Photo<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { of, gy, argmax, list, gx } = self;
        let ConvBlock { in_channels: ins, out_channels: outs, in_size: (_, in_width) } = of.shape;
        let (rows, width) = of.shape.pooled_size();
        let row_len = InputGradient::row_len(&of.shape);
        let kernel = PATCH * row_len;
        for y in 0..rows {
            let at = y * width * outs;
            // SAFETY: a row of the map, the last one with the overread after it; the list is long enough for it.
            unsafe { list.fill(isa, (outs, width), gy.add(at), argmax.add(at), as_i32(kernel)) };
            macro_rules! vectors_of {
                ($($v:literal)+) => {
                    match (PATCH * ins).div_ceil(I::LANES) {
                        $($v => sums::<I, $v>(isa, &of.kernels, list, gx.add(2 * y * in_width * ins), &of.shape),)+
                        _ => sums::<I, 12>(isa, &of.kernels, list, gx.add(2 * y * in_width * ins), &of.shape),
                    }
                };
            }
            vectors_of!(1 2 3 4 5 6 8 9 11);
        }
    }
}

/// Adds the patches of a row of windows, of V vectors a row, with as many rows at once as fit the registers.
#[inline(always)]
fn sums<I: Isa, const V: usize>(
    isa: I,
    kernels: &Aligned,
    list: &ActiveList,
    to: Dst<f32>,
    shape: &ConvBlock,
) {
    let (ins, in_width) = (shape.in_channels, shape.in_size.1);
    let all = Windows {
        list,
        kernels: Src::of(kernels),
        row_len: InputGradient::row_len(shape),
        width: shape.pooled_size().1,
        to,
        row: in_width * ins,
        pixels: 2 * ins,
    };
    if PATCH * V + 2 <= I::REGISTERS {
        return isa.run(Sums::<PATCH, V>(all));
    }
    for first in (0..PATCH).step_by(2) {
        let kernels = all.kernels.add(first * all.row_len);
        isa.run(Sums::<2, V>(Windows { kernels, to: all.to.add(first * all.row), ..all }));
    }
}

/// The patches of a row of windows. The kernels are those of the first of these rows; the rows are inside the input: only
/// zeros are added after the last column.
#[derive(Clone, Copy)]
struct Windows<'a> {
    list: &'a ActiveList,
    kernels: Src<'a, f32>,
    row_len: usize,
    /// Number of windows.
    width: usize,
    to: Dst<'a, f32>,
    /// Distance between rows of the input gradient, and between the patches of two windows.
    row: usize,
    pixels: usize,
}

/// R rows of V vectors of [`Windows`].
struct Sums<'a, const R: usize, const V: usize>(Windows<'a>);

impl<const R: usize, const V: usize> Kernel for Sums<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Windows { list, kernels, row_len, width, to, row, pixels } = self.0;
        let (values, offsets, starts) =
            (Src::of(&list.values), Src::of(&list.offsets), Src::of(&list.starts));
        // SAFETY: entries of the list; a kernel's rows; the patch of a window.
        unsafe {
            for x in 0..width {
                let mut acc = [[isa.zero(); V]; R];
                for e in starts.add(x).read()..starts.add(x + 1).read() {
                    let g = isa.load_splat(values.add(e));
                    let w = kernels.add(offsets.add(e).read() as usize);
                    for r in 0..R {
                        for v in 0..V {
                            let w = isa.load(w.add(r * row_len + v * I::LANES));
                            acc[r][v] = isa.mul_add(g, w, acc[r][v]);
                        }
                    }
                }
                for r in 0..R {
                    for v in 0..V {
                        let at = to.add(r * row + x * pixels + v * I::LANES);
                        isa.store(at, isa.add(isa.load(at.src()), acc[r][v]));
                    }
                }
            }
        }
    }
}

/// The active cells of a row: the buffers of [`InputGradient::add`].
#[derive(Debug, Default)]
pub struct ActiveList {
    offsets: Vec<i32>,
    values: Vec<f32>,
    /// The index at which each pixel's cells start, and the end of the last pixel's cells.
    starts: Vec<usize>,
}

impl ActiveList {
    /// Lists the active cells of a pooled row, pixel by pixel: the kernel's offset and the factor.
    ///
    /// # Safety
    ///
    /// Gradient and bytes hold a row and a vector more, the list has room for a row and a vector.
    #[inline(always)]
    unsafe fn fill<I: Isa>(
        &mut self,
        isa: I,
        (outs, width): (usize, usize),
        gy: Src<f32>,
        argmax: Src<u8>,
        kernel: i32,
    ) {
        let each = isa.mul_i32(isa.iota(), isa.splat_i32(4 * kernel));
        let (offsets, values) = (Dst::of(&mut self.offsets), Dst::of(&mut self.values));
        let mut n = 0;
        for x in 0..width {
            self.starts[x] = n;
            for group in (0..outs).step_by(I::LANES) {
                // SAFETY: a vector of channels from `group`; some of the last group may be beyond the pixel.
                unsafe {
                    let at = x * outs + group;
                    let id = isa.load_u8(argmax.add(at));
                    let active = isa.gt_i32(isa.splat_i32(i32::from(RELU_OFF)), id);
                    let active = isa.and(active, isa.first(outs - group));
                    let first = isa.splat_i32(as_i32(group) * 4 * kernel);
                    let offset = isa.add_i32(isa.add_i32(first, each), isa.offset(id, kernel, 2 * kernel));
                    let value = isa.load(gy.add(at));
                    n += isa.compress(active, (value, values.add(n)), (offset, offsets.add(n)));
                }
            }
        }
        self.starts[width] = n;
    }
}
