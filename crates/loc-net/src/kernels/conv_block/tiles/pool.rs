//! The tile kernel that ends with a 2×2 max-pool and relu: forward pass and both gradients.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers whose ranges the public functions check"
)]

use std::ops::Range;

use super::lanes::{Lanes, Part};
use super::products::{self, Planes};
use super::transform;
use super::{BLOCK, Grid, PRODUCTS, Scratch, WeightGradient, WinogradTiles, block_len, plane_len};
use crate::kernels::conv_block::{OVERREAD, PooledGradient};
use crate::kernels::simd::{self, Dst, Isa, Kernel, Src, keep, vectors};

/// Approximate number of tiles of a strip: enough to make the matrix products efficient, few enough for the level-2
/// cache.
const STRIP: usize = 28;

impl WinogradTiles {
    /// Returns the tiles whose outputs are pooled.
    fn pooled_grid(&self) -> Grid {
        let (height, width) = self.shape.pooled_size();
        Grid::over((2 * height, 2 * width))
    }
}

/// Iterates over the strips of some rows of tiles, as ranges of tiles.
fn strips(grid: Grid, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let each = (STRIP / grid.columns.tiles).max(1);
    let end = rows.end;
    rows.step_by(each).map(move |row| row * grid.columns.tiles..end.min(row + each) * grid.columns.tiles)
}

/// Computes the pooled rows `rows` of one photo `x[h][w][in]` into `y[rows][pw][out]`, and the argmax byte of each cell
/// into `argmax`, in the same order, unless it is empty.
///
/// `rows` starts at an even row, so that a map computed in pieces has the same bytes as a whole one.
///
/// # Panics
///
/// If a slice is too short, or `rows` starts at an odd row or ends beyond the map.
pub fn forward(
    tiles: &WinogradTiles,
    x: &[f32],
    rows: Range<usize>,
    scratch: &mut Scratch,
    y: &mut [f32],
    argmax: &mut [u8],
) {
    let shape = tiles.shape;
    let (height, width) = shape.pooled_size();
    let len = rows.len() * width * shape.out_channels;
    assert!(rows.start.is_multiple_of(2) && rows.end <= height, "rows of the map");
    assert!(y.len() >= len && (argmax.is_empty() || argmax.len() >= len), "output");
    assert!(x.len() >= shape.in_size.0 * shape.in_size.1 * shape.in_channels, "input");
    for strip in strips(tiles.pooled_grid(), rows.start / 2..rows.end.div_ceil(2)) {
        let n = strip.len();
        scratch.input.grow(PRODUCTS * plane_len(n, shape.in_channels));
        scratch.products.grow(PRODUCTS * plane_len(n, BLOCK) + OVERREAD);
        let (v, m) = (Dst::of(&mut scratch.input), Dst::of(&mut scratch.products));
        let argmax = (!argmax.is_empty()).then(|| Dst::of(argmax));
        let (x, y, rows) = (Src::of(x), Dst::of(y), rows.clone());
        tiles.level.run(Forward { conv: tiles, x, strip, rows, v, m, y, argmax });
    }
}

/// A strip of the forward pass. The slices are as long as [`forward`] checks, the buffers hold the strip.
struct Forward<'a> {
    conv: &'a WinogradTiles,
    x: Src<'a, f32>,
    strip: Range<usize>,
    rows: Range<usize>,
    v: Dst<'a, f32>,
    m: Dst<'a, f32>,
    y: Dst<'a, f32>,
    argmax: Option<Dst<'a, u8>>,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { conv, x, strip, rows, v, m, y, argmax } = self;
        let (ins, outs) = (conv.shape.in_channels, conv.shape.out_channels);
        let (width, grid, n) = (conv.shape.pooled_size().1, conv.pooled_grid(), strip.len());
        let plane = plane_len(n, ins);
        // SAFETY: tiles of the map, a buffer of n tiles.
        unsafe { transform::inputs(isa, &conv.shape, grid, x, strip.clone(), v, plane) };
        for block in 0..conv.blocks() {
            let channels = conv.block(block).1;
            let (from, to) = (Planes { at: v.src(), plane }, Planes { at: m, plane: plane_len(n, channels) });
            // SAFETY: buffers of n tiles.
            unsafe { products::products(isa, conv, block, n, from, to) };
            let bias = conv.repeated_bias(block);
            for vector in 0..Lanes::count::<I>(n, channels) {
                let lanes = Lanes::of::<I>(vector, n, channels);
                // SAFETY: a vector of the products, of which the last one is followed by the overread; of the bias.
                let (cells, bias) = unsafe {
                    let cells = transform::output(isa, m.src().add(vector * I::LANES), to.plane);
                    (cells, isa.load(Src::of(&bias).add(lanes.channel)))
                };
                let windows: [[I::F32; 4]; 4] = vectors!(|q| {
                    let (a, b) = (q / 2, q % 2);
                    vectors!(|cell| cells[2 * a + cell / 2][2 * b + cell % 2])
                });
                let values: [I::F32; 4] = vectors!(|q| simd::pool(isa, windows[q], bias));
                let bytes: [I::I32; 4] = vectors!(|q| simd::argmax_byte(isa, windows[q], bias));
                // Tile by tile: columns that are also in the tile before get the values of the later one.
                for part in lanes.each() {
                    let tile = strip.start + part.tile;
                    let ((top, left), (first_new, _)) = (grid.start(tile), grid.first_new(tile));
                    for q in 0..4 {
                        let row = top / 2 + q / 2;
                        // Rows that are also in the tile above are written with that tile, so that the result does not
                        // depend on how the map is split.
                        if row < first_new / 2 || row >= rows.end {
                            continue;
                        }
                        let cell = (row - rows.start) * width + left / 2 + q % 2;
                        let at = cell * outs + block * block_len(outs) + part.channel;
                        // SAFETY: channels of a cell of rows the outputs hold.
                        unsafe {
                            part.store(isa, y.add(at), values[q]);
                            if let Some(argmax) = argmax {
                                part.store_u8(isa, argmax.add(at), bytes[q]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Adds one photo to the weight gradient, and writes its input gradient to `gx[h][w][in]` (plus [`OVERREAD`]).
///
/// The gradient and the argmax bytes are `[ph][pw][out]`.
///
/// # Panics
///
/// If a slice is too short, or the weights were packed for inference.
pub fn backward(
    tiles: &WinogradTiles,
    x: &[f32],
    pooled: PooledGradient<f32>,
    scratch: &mut Scratch,
    sums: &mut WeightGradient,
    gx: &mut [f32],
) {
    let shape = tiles.shape;
    let cells = shape.pooled_cells() * shape.out_channels;
    let len = shape.in_size.0 * shape.in_size.1 * shape.in_channels;
    assert!(pooled.gy.len() >= cells && pooled.argmax.len() >= cells, "gradient and bytes");
    assert!(x.len() >= len && gx.len() >= len + OVERREAD, "input, and its gradient with overread");
    assert!(sums.shape == shape && !tiles.adjoint.is_empty(), "sums and adjoint weights of this block");
    gx[..len].fill(0.0);
    let grid = tiles.pooled_grid();
    for strip in strips(grid, 0..grid.rows.tiles) {
        let n = strip.len();
        scratch.input.grow(PRODUCTS * plane_len(n, shape.in_channels));
        scratch.products.grow(PRODUCTS * plane_len(n, shape.out_channels));
        scratch.gradient.grow(PRODUCTS * plane_len(n, shape.in_channels) + OVERREAD);
        let Scratch { input, products, gradient } = scratch;
        tiles.level.run(Backward {
            conv: tiles,
            x: Src::of(x),
            gy: Src::of(pooled.gy),
            argmax: Src::of(pooled.argmax),
            strip,
            v: Dst::of(input),
            gm: Dst::of(products),
            gv: Dst::of(gradient),
            gu: Dst::of(&mut sums.sums),
            gb: Dst::of(&mut sums.bias),
            gx: Dst::of(gx),
        });
    }
}

/// A strip of the backward pass. The slices are as long as [`backward`] checks, the buffers hold the strip.
struct Backward<'a> {
    conv: &'a WinogradTiles,
    x: Src<'a, f32>,
    gy: Src<'a, f32>,
    argmax: Src<'a, u8>,
    strip: Range<usize>,
    v: Dst<'a, f32>,
    gm: Dst<'a, f32>,
    gv: Dst<'a, f32>,
    gu: Dst<'a, f32>,
    gb: Dst<'a, f32>,
    gx: Dst<'a, f32>,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { conv, x, ref strip, v, gm, gv, gu, gx, .. } = self;
        let shape = &conv.shape;
        let (ins, outs) = (shape.in_channels, shape.out_channels);
        let (grid, n) = (conv.pooled_grid(), strip.len());
        let (v_plane, m_plane) = (plane_len(n, ins), plane_len(n, outs));
        // SAFETY: tiles of the map, buffers of n tiles, sums of this layout.
        unsafe {
            transform::inputs(isa, shape, grid, x, strip.clone(), v, v_plane);
            for vector in 0..Lanes::count::<I>(n, outs) {
                self.output_gradient(isa, grid, vector, m_plane);
            }
            for p in 0..PRODUCTS {
                let (v, gm) = (v.src().add(p * v_plane), gm.src().add(p * m_plane));
                products::input_product(isa, conv, p, n, gm, gv.add(p * v_plane));
                products::weight_product(isa, shape, (n, outs), v, gm, gu.add(p * ins * outs), true);
            }
            let gv = Planes { at: gv, plane: v_plane };
            transform::inputs_adjoint(isa, shape, grid, gv, strip.clone(), gx);
        }
    }
}

impl Backward<'_> {
    /// Transforms a vector of the output gradient, and adds it to the bias gradient.
    ///
    /// # Safety
    ///
    /// The buffers hold the strip.
    #[inline(always)]
    unsafe fn output_gradient<I: Isa>(&self, isa: I, grid: Grid, vector: usize, plane: usize) {
        let outs = self.conv.shape.out_channels;
        let lanes = Lanes::of::<I>(vector, self.strip.len(), outs);
        let (first, second) = lanes.parts();
        let places = (self.place(grid, first), second.map(|part| self.place(grid, part)));
        let mut cells = [[isa.zero(); 4]; 4];
        let mut bias = isa.zero();
        for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            // SAFETY: channels of cells.
            let (mut g, mut byte) = unsafe { self.cell(isa, first, places.0, (a, b)) };
            if let (Some(second), Some(place)) = (second, places.1) {
                // SAFETY: channels of cells.
                let (values, bytes) = unsafe { self.cell(isa, second, place, (a, b)) };
                // Lanes of other parts are 0 in each.
                (g, byte) = (isa.add(g, values), isa.or_i32(byte, bytes));
            }
            for q in 0..4u8 {
                let is_argmax = isa.eq_i32(byte, isa.splat_i32(i32::from(q)));
                let g = keep(isa, is_argmax, g);
                let q = usize::from(q);
                cells[2 * a + q / 2][2 * b + q % 2] = g;
                bias = isa.add(bias, g);
            }
        }
        for part in lanes.each() {
            // SAFETY: channels of the bias.
            unsafe { part.add(isa, self.gb.add(part.channel), bias) };
        }
        // SAFETY: a vector of the strip's tiles.
        unsafe {
            transform::output_adjoint(isa, &cells, self.gm.add(vector * I::LANES), plane, lanes.len);
        }
    }

    /// Returns where a tile's first pooled cell is, with the part's first channel, and for each axis whether the tile's first
    /// cells are also in an earlier tile, with which they are computed.
    #[inline(always)]
    fn place(&self, grid: Grid, part: Part) -> (usize, (bool, bool)) {
        let shape = &self.conv.shape;
        let tile = self.strip.start + part.tile;
        let ((top, left), (new_row, new_column)) = (grid.start(tile), grid.first_new(tile));
        let at = (top / 2 * shape.pooled_size().1 + left / 2) * shape.out_channels + part.channel;
        (at, (top < new_row, left < new_column))
    }

    /// Loads gradient and argmax bytes of cell (a, b) of a tile; zeros for cells that are in an earlier tile.
    ///
    /// # Safety
    ///
    /// The place is that of a tile of the strip.
    #[inline(always)]
    unsafe fn cell<I: Isa>(
        &self,
        isa: I,
        part: Part,
        (at, known): (usize, (bool, bool)),
        (a, b): (usize, usize),
    ) -> (I::F32, I::I32) {
        if (known.0 && a == 0) || (known.1 && b == 0) {
            return (isa.zero(), isa.splat_i32(0));
        }
        let shape = &self.conv.shape;
        let at = at + (a * shape.pooled_size().1 + b) * shape.out_channels;
        // SAFETY: channels of a cell.
        unsafe { (part.load(isa, self.gy.add(at)), part.load_u8(isa, self.argmax.add(at))) }
    }
}
