//! The tile kernel that ends with relu and an average pool: forward pass by blocks of channels; `backward` over a
//! batch.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers whose ranges the public functions check"
)]

mod backward;
mod output_gradient;

use super::lanes::Lanes;
use super::products::{self, Planes};
use super::transform;
use super::{ConvBlock, Grid, PRODUCTS, Scratch, WinogradTiles, block_len, plane_len};
use crate::buffers::Aligned;
use crate::kernels::PoolShape;
use crate::kernels::conv_block::OVERREAD;
use crate::kernels::simd::{Dst, Isa, Kernel, Src};
use crate::window;
pub use backward::{Batch, Gradient};

/// A convolution followed by relu and an average pool.
#[derive(Debug, Clone)]
pub struct Average {
    tiles: WinogradTiles,
    pool: PoolShape,
}

/// The transformed tiles of some photos.
#[derive(Debug, Default)]
pub struct Input {
    /// `[64][photos · tiles][in]`.
    values: Aligned,
    photos: usize,
    /// The convolution whose inputs they are.
    of: Option<ConvBlock>,
}

impl Average {
    /// Creates the kernel, or returns `None` if the pool does not fit.
    #[must_use]
    pub fn of(tiles: WinogradTiles, kernel: (usize, usize), stride: (usize, usize)) -> Option<Self> {
        let in_size = tiles.shape.conv_size();
        window::output(in_size, kernel, stride)?;
        let pool = PoolShape { channels: tiles.shape.out_channels, in_size, kernel, stride };
        Some(Self { tiles, pool })
    }

    /// Returns the convolution.
    #[must_use]
    pub fn tiles(&self) -> &WinogradTiles {
        &self.tiles
    }

    /// Packs the convolution's parameters, as [`WinogradTiles::pack`].
    ///
    /// # Panics
    ///
    /// If a slice does not have the length of its shape.
    pub fn pack(&mut self, w: &[f32], b: &[f32]) {
        self.tiles.pack(w, b);
    }

    /// Returns the number of output values per photo, `[out, oh, ow]`.
    #[must_use]
    pub fn out_len(&self) -> usize {
        self.pool.out_len()
    }

    /// Returns the index in one photo's output at which a block of channels starts.
    #[must_use]
    pub fn block_start(&self, block: usize) -> usize {
        (block * block_len(self.pool.channels) * self.out_cells()).min(self.out_len())
    }

    /// Returns the number of bytes per photo, `[h][w][out]`: 1 where relu of the convolution was active.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.pool.in_len()
    }

    fn out_cells(&self) -> usize {
        self.pool.out_len() / self.pool.channels
    }

    fn grid(&self) -> Grid {
        Grid::over(self.pool.in_size)
    }

    /// Transforms `n` photos, each `[h][w][in]`; `x` returns a photo by its number.
    ///
    /// # Panics
    ///
    /// If a photo is shorter than its shape.
    pub fn input<'a>(&self, n: usize, x: impl Fn(usize) -> &'a [f32], input: &mut Input) {
        let shape = self.tiles.shape;
        let plane = plane_len(n * self.grid().count(), shape.in_channels);
        input.values.grow(PRODUCTS * plane);
        (input.photos, input.of) = (n, Some(shape));
        for photo in 0..n {
            let x = x(photo);
            assert!(x.len() >= shape.in_size.0 * shape.in_size.1 * shape.in_channels, "input");
            let to = Dst::of(&mut input.values);
            self.tiles.level.run(Transform { of: self, x: Src::of(x), photo, to, plane });
        }
    }

    /// Computes one block of output channels for all transformed photos. Photo i's output starts at `y[i · stride]`,
    /// with the block's first channel; its bytes start at `active[i · byte_len()]`, with the map's first channel,
    /// unless `active` is empty.
    ///
    /// # Panics
    ///
    /// If a slice is too short, or the photos were transformed for another convolution.
    pub fn forward(
        &self,
        input: &Input,
        block: usize,
        scratch: &mut Scratch,
        y: &mut [f32],
        stride: usize,
        active: &mut [u8],
    ) {
        let n = input.photos;
        let (cells, map) = (self.out_cells(), self.pool.in_size.0 * self.pool.in_size.1);
        let (_, width) = self.tiles.block(block);
        assert!(n > 0 && crate::kernels::gemm::holds(y.len(), n, stride, width * cells), "output");
        assert!(active.is_empty() || active.len() >= n * self.byte_len(), "bytes");
        assert!(input.of == Some(self.tiles.shape), "photos that this convolution has transformed");
        scratch.products.grow(PRODUCTS * plane_len(n * self.grid().count(), width) + OVERREAD);
        scratch.gradient.grow(map * width + OVERREAD);
        self.tiles.level.run(Block { of: self, input, block, scratch, y, stride, active });
    }
}

/// Transforms one photo and writes its tiles among those of all photos: `x` holds the photo, `to` the planes.
pub(super) struct Transform<'a> {
    of: &'a Average,
    x: Src<'a, f32>,
    photo: usize,
    to: Dst<'a, f32>,
    plane: usize,
}

impl Kernel for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { of, x, photo, to, plane } = self;
        let (grid, shape) = (of.grid(), &of.tiles.shape);
        let count = grid.count();
        let to = to.add(photo * count * shape.in_channels);
        // SAFETY: the photo's tiles.
        unsafe { transform::inputs(isa, shape, grid, x, 0..count, to, plane) };
    }
}

/// A block of output channels of all photos. The slices are as long as [`Average::forward`] checks.
struct Block<'a> {
    of: &'a Average,
    input: &'a Input,
    block: usize,
    scratch: &'a mut Scratch,
    y: &'a mut [f32],
    stride: usize,
    active: &'a mut [u8],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { of, input, block, scratch, y, stride, active } = self;
        let tiles = &of.tiles;
        let (ins, outs) = (tiles.shape.in_channels, tiles.shape.out_channels);
        let (grid, width) = (of.grid(), tiles.block(block).1);
        let count = grid.count();
        let n = input.photos * count;
        let (m, map) = (Dst::of(&mut scratch.products), Dst::of(&mut scratch.gradient));
        let from = Planes { at: Src::of(&input.values), plane: plane_len(n, ins) };
        let to = Planes { at: m, plane: plane_len(n, width) };
        // SAFETY: buffers of n tiles.
        unsafe { products::products(isa, tiles, block, n, from, to) };
        let bias = tiles.repeated_bias(block);
        let map_width = of.pool.in_size.1;
        let active = (!active.is_empty()).then(|| Dst::of(active));
        for photo in 0..input.photos {
            for vector in 0..Lanes::count::<I>(count, width) {
                let lanes = Lanes::of::<I>(vector, count, width);
                // SAFETY: a vector of the products, of which the last one is followed by the overread; of the bias.
                let (cells, bias) = unsafe {
                    let m = m.src().add(photo * count * width + vector * I::LANES);
                    (transform::output(isa, m, to.plane), isa.load(Src::of(&bias).add(lanes.channel)))
                };
                for i in 0..4 {
                    for j in 0..4 {
                        // With this order of arguments a NaN stays NaN.
                        let value = isa.max(isa.zero(), isa.add(cells[i][j], bias));
                        let on = isa.bits(isa.gt(value, isa.zero()), 1);
                        for part in lanes.each() {
                            let (top, left) = grid.start(part.tile);
                            let cell = (top + i) * map_width + left + j;
                            // SAFETY: channels of a cell of the map.
                            unsafe {
                                part.store(isa, map.add(cell * width + part.channel), value);
                                if let Some(active) = active {
                                    let channel = block * block_len(outs) + part.channel;
                                    let at = photo * of.byte_len() + cell * outs + channel;
                                    part.store_u8(isa, active.add(at), on);
                                }
                            }
                        }
                    }
                }
            }
            // SAFETY: the photo's map was just filled; the overread is behind it.
            unsafe { of.average(isa, map.src(), width, &mut y[photo * stride..]) };
        }
    }
}

impl Average {
    /// Averages a map `[h][w][width]` into `y[width][oh · ow]`.
    ///
    /// # Safety
    ///
    /// The map and a vector more can be read.
    #[inline(always)]
    unsafe fn average<I: Isa>(&self, isa: I, map: Src<f32>, width: usize, y: &mut [f32]) {
        let (kernel, step) = (self.pool.kernel, self.pool.stride);
        let (map_width, out_width) = (self.pool.in_size.1, self.pool.out_size().1);
        let cells = self.out_cells();
        let scale = isa.splat(1.0 / (kernel.0 * kernel.1) as f32);
        for cell in 0..cells {
            let (top, left) = (cell / out_width * step.0, cell % out_width * step.1);
            for channel in (0..width).step_by(I::LANES) {
                let mut sum = isa.zero();
                for at in 0..kernel.0 * kernel.1 {
                    let at = (top + at / kernel.1) * map_width + left + at % kernel.1;
                    // SAFETY: a cell of the map; the last vector may reach into the next cell or the overread.
                    sum = isa.add(sum, unsafe { isa.load(map.add(at * width + channel)) });
                }
                let mut lanes = [0.0f32; 16];
                // SAFETY: a vector of at most sixteen values.
                unsafe { isa.store(Dst::of(&mut lanes), isa.mul(sum, scale)) };
                for (lane, v) in lanes.into_iter().enumerate().take(I::LANES.min(width - channel)) {
                    y[(channel + lane) * cells + cell] = v;
                }
            }
        }
    }
}
