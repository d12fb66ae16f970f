//! 1×1 convolution with the channels last: one matrix product over the cells of all photos.
#![expect(unsafe_code, reason = "products through pointers into slices whose lengths are checked")]

use super::convert::transpose;
use super::mask::Masked;
use crate::buffers::Aligned;
use crate::kernels::gemm::{DEPTH, Epilogue, GemmTile};
use crate::kernels::simd::{Dst, Isa, Kernel, Level, Src};
use crate::kernels::{Activation, ConvShape, product};
use crate::parallel::{self, DisjointSlice};

/// Columns of a packed panel: three of the longest vectors, as many as a block of the product has.
const PANEL: usize = 48;
/// Values of the left matrix that a task keeps in the level-2 cache while it reads the panels.
const BLOCK: usize = 1 << 15;
/// Rows of a block, at least and at most.
const ROWS: std::ops::RangeInclusive<usize> = 64..=256;
/// Panels of a task, if there are few blocks.
const GROUP: usize = 4;

/// Values of the inputs and outputs of a chunk of the backward pass: they fit the level-2 cache.
const CHUNK: usize = 1 << 16;

/// Packs the transposed of `w[n][k]` in panels: all rows of some columns, then those of the next.
pub(super) fn pack_transposed(w: &[f32], (k, n): (usize, usize), panels: &mut [f32]) {
    for first in (0..n).step_by(PANEL) {
        let width = PANEL.min(n - first);
        transpose(width, k, &w[first * k..][..width * k], &mut panels[first * k..][..width * k]);
    }
}

/// Packs `w[k][n]` in panels.
fn pack(w: &[f32], (k, n): (usize, usize), panels: &mut [f32]) {
    for first in (0..n).step_by(PANEL) {
        let width = PANEL.min(n - first);
        for (to, row) in panels[first * k..][..width * k].chunks_exact_mut(width).zip(w.chunks_exact(n)) {
            to.copy_from_slice(&row[first..first + width]);
        }
    }
}

/// `y[m][n] = activation(bias + x[m][k] · B)` with B in packed panels.
pub(super) fn forward(
    (m, n, k): (usize, usize, usize),
    x: &[f32],
    panels: &[f32],
    bias: &[f32],
    activation: Activation,
    y: &mut [f32],
) {
    let lens = (product(&[m, k]), product(&[k, n]), product(&[m, n]));
    assert_eq!((x.len(), panels.len(), y.len()), lens, "matrices");
    assert_eq!(bias.len(), n, "a bias for each column");
    let rows = (BLOCK / k.max(1)).clamp(*ROWS.start(), *ROWS.end());
    let rows = even(m, rows);
    let (blocks, all_panels) = (m.div_ceil(rows), n.div_ceil(PANEL));
    let group = if blocks < 2 * GROUP { GROUP } else { all_panels.max(1) };
    let groups = all_panels.div_ceil(group);
    let (y, level) = (DisjointSlice::new(y), Level::current());
    parallel::each(blocks * groups, |task| {
        let (block, first) = (task / groups * rows, task % groups * group);
        level.run(Block {
            rows: block..m.min(block + rows),
            panels: first..all_panels.min(first + group),
            panel: PANEL,
            size: (n, k),
            a: Src::of(x),
            a_strides: (k, 1),
            b: Src::of(panels),
            c: y.pointer(),
            epilogue: Epilogue { bias: Some(Src::of(bias)), activation, ..Epilogue::NONE },
        });
    });
}

/// The weights as the input gradient reads them.
pub(super) fn pack_for_input(shape: &ConvShape, w: &[f32]) -> Aligned {
    let (ins, outs) = (shape.in_channels, shape.out_channels);
    let mut panels = Aligned::zeros(w.len());
    pack(w, (outs, ins), &mut panels);
    panels
}

/// Computes the gradients of some photos: sets `gx[cells][ins]`, adds to `gw` (see [`write_weights`]). `panels` are the
/// weights of [`pack_for_input`].
pub(super) fn backward(
    shape: &ConvShape,
    x: &[f32],
    gy: &mut Masked,
    gx: Option<(&[f32], &mut [f32])>,
    mut sums: Option<(&mut [f32], &mut [f32])>,
) {
    let (ins, outs) = (shape.in_channels, shape.out_channels);
    let cells = x.len() / ins;
    assert_eq!(gy.g.len(), cells * outs, "output gradient");
    let (panels, mut gx) = match gx {
        Some((panels, gx)) => {
            assert_eq!((panels.len() >= ins * outs, gx.len()), (true, x.len()), "weights and input gradient");
            (panels, Some(gx))
        }
        None => (&[][..], None),
    };
    let rows = (CHUNK / (ins + outs)).clamp(128, DEPTH) / 8 * 8;
    let rows = even(cells, rows);
    for first in (0..cells).step_by(rows) {
        let count = rows.min(cells - first);
        let x = &x[first * ins..][..count * ins];
        let (gw, gb) = sums.as_mut().map_or((None, None), |(gw, gb)| (Some(&mut **gw), Some(&mut **gb)));
        let gy = gy.mask(first * outs..(first + count) * outs, outs, gb);
        if let Some(gw) = gw {
            assert_eq!(gw.len(), ins * outs, "weight gradient");
            // Vectors consist of the channels that are more.
            let (a, b, m, n) = if outs > ins { (x, gy, ins, outs) } else { (gy, x, outs, ins) };
            Level::current().run(Block {
                rows: 0..m,
                panels: 0..1,
                panel: n,
                size: (n, count),
                a: Src::of(a),
                a_strides: (1, m),
                b: Src::of(b),
                c: Dst::of(gw),
                epilogue: Epilogue { accumulate: true, ..Epilogue::NONE },
            });
        }
        if let Some(gx) = &mut gx {
            Level::current().run(Block {
                rows: 0..count,
                panels: 0..ins.div_ceil(PANEL),
                panel: PANEL,
                size: (ins, outs),
                a: Src::of(gy),
                a_strides: (outs, 1),
                b: Src::of(panels),
                c: Dst::of(&mut gx[first * ins..][..count * ins]),
                epilogue: Epilogue::NONE,
            });
        }
    }
}

/// Writes a sum that [`backward`] computed as `gw[outs][ins]`.
pub(super) fn write_weights(shape: &ConvShape, sum: &[f32], gw: &mut [f32]) {
    let (ins, outs) = (shape.in_channels, shape.out_channels);
    if outs > ins { transpose(ins, outs, sum, gw) } else { gw.copy_from_slice(sum) }
}

/// Returns the rows of a block, at most `most`, a multiple of eight, so that the blocks of `all` rows are of nearly equal
/// size: a last one of a few rows would read all panels for little work.
fn even(all: usize, most: usize) -> usize {
    all.div_ceil(all.div_ceil(most).max(1)).next_multiple_of(8).clamp(8, most)
}

/// Some rows and panels of the product. They exist, and no other task writes them.
struct Block<'a> {
    rows: std::ops::Range<usize>,
    panels: std::ops::Range<usize>,
    /// Columns of a panel.
    panel: usize,
    /// Columns, and inner length.
    size: (usize, usize),
    a: Src<'a, f32>,
    /// Distances between the rows and the columns of A.
    a_strides: (usize, usize),
    b: Src<'a, f32>,
    c: Dst<'a, f32>,
    epilogue: Epilogue<'a>,
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let (n, k) = self.size;
        for first in self.panels.map(|panel| panel * self.panel) {
            let width = self.panel.min(n - first);
            let tile = GemmTile {
                a: self.a.add(self.rows.start * self.a_strides.0),
                a_row: self.a_strides.0,
                a_col: self.a_strides.1,
                b: self.b.add(first * k),
                b_row: width,
                c: self.c.add(self.rows.start * n + first),
                c_row: n,
                add: false,
            };
            let bias = self.epilogue.bias.map(|bias| bias.add(first));
            // SAFETY: the rows and columns exist.
            unsafe { tile.run_with(isa, (self.rows.len(), width, k), Epilogue { bias, ..self.epilogue }) };
        }
    }
}
