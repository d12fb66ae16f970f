//! Measures the error of the fused kernels against f64 on a trained model: `precision MODEL PHOTOS`, where PHOTOS holds
//! 256×256 RGB bytes, photo after photo.
//!
//! Each block reads the f64 result of the block before it, rounded to f32. The printed errors are those of this block
//! alone: of its outputs, and of its gradients for a random output gradient, relative to the largest value. The argmax
//! bytes are those of f64: an argmax that differs because two values are almost equal would hide the other errors.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failing measurement must stop, and results are printed"
)]

use loc_net::WeightFile;
use loc_net::kernels::conv_block::{ConvBlock, OVERREAD, PooledGradient, RELU_OFF, reference};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, photos] = &args[..] else { panic!("precision MODEL PHOTOS") };
    #[expect(clippy::disallowed_methods, reason = "loc-net has no fs-err; a bad path may panic without it")]
    let (model, photos) = (std::fs::read(model).unwrap(), std::fs::read(photos).unwrap());
    let weights = WeightFile::parse(&model).unwrap().weights;
    let photo: Vec<f64> =
        (0..3 * 65536).map(|i| f64::from(photos[i % 65536 * 3 + i / 65536]) / 255.0).collect();
    println!("layer   output    weight    bias      input     (largest error ÷ largest value)");
    let mut x = photo;
    let mut size = (256, 256);
    for i in 1..=4 {
        let (w, b) = (weights.values(&format!("conv{i}.weight")), weights.values(&format!("conv{i}.bias")));
        let shape = ConvBlock { in_channels: w.len() / b.len() / 25, out_channels: b.len(), in_size: size };
        x = block(i, shape, &x, w, b);
        size = shape.pooled_size();
    }
    let (w, b) = (weights.values("conv5.weight"), weights.values("conv5.bias"));
    last_block(
        ConvBlock { in_channels: w.len() / b.len() / 25, out_channels: b.len(), in_size: size },
        &x,
        w,
        b,
    );
}

/// Returns pseudo-random numbers in −1..1.
fn numbers(n: usize) -> Vec<f64> {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 23) - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

fn double(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

fn error(got: impl Iterator<Item = f32>, expected: &[f64]) -> f64 {
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    got.zip(expected).fold(0.0f64, |m, (a, b)| m.max((f64::from(a) - b).abs())) / largest
}

#[cfg(target_arch = "x86_64")]
fn block(i: usize, shape: ConvBlock, x: &[f64], w: &[f32], b: &[f32]) -> Vec<f64> {
    use loc_net::kernels::conv_block::RowView;
    use loc_net::kernels::conv_block::rows::{self, ActiveList, InputGradient, Layout, WinogradRows};
    use loc_net::kernels::conv_block::tiles::{self, WinogradTiles, pool};

    let (x32, cells, outs) = (single(x), shape.pooled_cells(), shape.out_channels);
    let x = double(&x32);
    let (mut y, mut argmax) = (vec![0.0; cells * outs], vec![0; cells * outs]);
    reference::forward(&shape, &x, &double(w), &double(b), &mut y, &mut argmax);
    let gy = double(&single(&numbers(cells * outs)));
    let (mut gw, mut gb, mut gx) = (vec![0.0; w.len()], vec![0.0; b.len()], vec![0.0; x.len()]);
    let pooled = PooledGradient { gy: &gy, argmax: &argmax };
    reference::backward(&shape, &x, &double(w), pooled, &mut gw, &mut gb, &mut gx);

    // Channels last, with the overread.
    let channels_last = |j: usize| j % outs * cells + j / outs;
    let (mut gy_last, mut bytes) =
        (vec![0.0f32; cells * outs + OVERREAD], vec![RELU_OFF; cells * outs + OVERREAD]);
    for j in 0..cells * outs {
        (gy_last[j], bytes[j]) = (gy[channels_last(j)] as f32, argmax[channels_last(j)]);
    }
    let (height, pixels) = (shape.pooled_size().0, shape.in_size.0 * shape.in_size.1);
    let mut got = vec![0.0f32; cells * outs];
    let (mut got_w, mut got_b) = (vec![0.0f32; w.len()], vec![0.0f32; b.len()]);
    let mut got_x = vec![0.0f32; x.len() + OVERREAD];
    if rows::supports(&shape) {
        let mut kernel = WinogradRows::of(shape, Layout::ChannelsLast).unwrap();
        kernel.pack(w, b);
        let map = RowView::planar(&x32, shape.in_size);
        kernel.forward(map, 0..height, &mut rows::Scratch::default(), &mut got, &mut []);
        let mut sums = rows::WeightGradient::of(&kernel);
        sums.add(|rows, out| kernel.to_pixels(map, rows, out), &gy_last, &bytes);
        sums.write(&mut got_w, &mut got_b);
        let mut kernels = InputGradient::of(&kernel);
        kernels.pack(w);
        kernels.add(&gy_last, &bytes, &mut ActiveList::default(), &mut got_x);
    } else {
        let mut kernel = WinogradTiles::of(shape, true).unwrap();
        kernel.pack(w, b);
        let ins = shape.in_channels;
        let x_last: Vec<f32> = (0..x.len()).map(|j| x32[j % ins * pixels + j / ins]).collect();
        let mut scratch = tiles::Scratch::default();
        pool::forward(&kernel, &x_last, 0..height, &mut scratch, &mut got, &mut []);
        let mut sums = tiles::WeightGradient::of(&kernel);
        let pooled = PooledGradient { gy: &gy_last, argmax: &bytes };
        pool::backward(&kernel, &x_last, pooled, &mut scratch, &mut sums, &mut got_x);
        sums.write(&mut got_w, &mut got_b);
    }
    let ins = shape.in_channels;
    let planar = (0..x.len()).map(|j| got_x[j % pixels * ins + j / pixels]);
    show(
        i,
        [
            error((0..got.len()).map(|j| got[j % cells * outs + j / cells]), &y),
            error(got_w.iter().copied(), &gw),
            error(got_b.iter().copied(), &gb),
            error(planar, &gx),
        ],
    );
    y
}

fn show(i: usize, errors: [f64; 4]) {
    let [y, w, b, x] = errors.map(|e| format!("{e:.1e}"));
    println!("conv{i}   {y:<9} {w:<9} {b:<9} {x}");
}

/// Measures the last convolution, which ends with relu and a 4×4 average pool of stride 2.
#[cfg(target_arch = "x86_64")]
fn last_block(shape: ConvBlock, x: &[f64], w: &[f32], b: &[f32]) {
    use loc_net::kernels::conv_block::tiles::{self, WinogradTiles, average};
    use loc_net::kernels::parts::Parts;
    use loc_net::kernels::{PoolShape, activation, avgpool, conv2d};

    /// One photo of a batch.
    struct Photo<'a> {
        x: &'a [f32],
        active: &'a [u8],
        gy: &'a [f32],
    }
    impl average::Batch for Photo<'_> {
        fn input(&self, _: usize) -> &[f32] {
            self.x
        }
        fn active(&self, _: usize) -> &[u8] {
            self.active
        }
        fn gradient(&self, _: usize) -> &[f32] {
            self.gy
        }
    }

    let (conv, _) = shape.parts();
    let pool = PoolShape::square(shape.out_channels, shape.conv_size(), 4, 2);
    let x32 = single(x);
    let (x, w64) = (double(&x32), double(w));
    let (mut map, mut y) = (vec![0.0; conv.out_len()], vec![0.0; pool.out_len()]);
    conv2d::reference::forward(&conv, 1, &x, &w64, &double(b), &mut map);
    let mut activated = map.clone();
    activation::forward(&map, &mut activated);
    avgpool::reference::forward(&pool, 1, &activated, &mut y);
    let gy = double(&single(&numbers(y.len())));
    let (mut g_on, mut g_map) = (vec![0.0; map.len()], vec![0.0; map.len()]);
    avgpool::reference::backward(&pool, 1, &gy, &mut g_on);
    activation::backward(&activated, &g_on, &mut g_map);
    let (mut gw, mut gb, mut gx) = (vec![0.0; w.len()], vec![0.0; b.len()], vec![0.0; x.len()]);
    conv2d::reference::backward_weights(&conv, 1, &x, &g_map, &mut gw, &mut gb);
    conv2d::reference::backward_input(&conv, 1, &w64, &g_map, &mut gx);

    let mut tiles = WinogradTiles::of(shape, true).unwrap();
    tiles.pack(w, b);
    let kernel = average::Average::of(tiles, (4, 4), (2, 2)).unwrap();
    let (ins, pixels) = (shape.in_channels, shape.in_size.0 * shape.in_size.1);
    let x_last: Vec<f32> = (0..x.len()).map(|j| x32[j % ins * pixels + j / ins]).collect();
    let (mut input, mut scratch) = (average::Input::default(), tiles::Scratch::default());
    kernel.input(1, |_| &x_last, &mut input);
    let mut got = vec![0.0f32; y.len()];
    for block in 0..kernel.tiles().blocks() {
        let y = &mut got[kernel.block_start(block)..];
        kernel.forward(&input, block, &mut scratch, y, kernel.out_len(), &mut []);
    }
    let (outs, cells) = (shape.out_channels, map.len() / shape.out_channels);
    let active: Vec<u8> = (0..map.len()).map(|j| u8::from(map[j % outs * cells + j / outs] > 0.0)).collect();
    let gy = single(&gy);
    let mut got_x = vec![0.0f32; x.len() + OVERREAD];
    let batch = Photo { x: &x_last, active: &active, gy: &gy };
    let (mut got_w, mut got_b) = (vec![0.0f32; w.len()], vec![0.0f32; b.len()]);
    kernel.backward(
        &Parts::of(1),
        &batch,
        &mut average::Gradient::default(),
        &mut got_w,
        &mut got_b,
        &mut got_x,
    );
    let planar = (0..x.len()).map(|j| got_x[j % pixels * ins + j / pixels]);
    show(
        5,
        [
            error(got.iter().copied(), &y),
            error(got_w.iter().copied(), &gw),
            error(got_b.iter().copied(), &gb),
            error(planar, &gx),
        ],
    );
}

#[cfg(not(target_arch = "x86_64"))]
fn last_block(_: ConvBlock, _: &[f64], _: &[f32], _: &[f32]) {}

#[cfg(not(target_arch = "x86_64"))]
fn block(_: usize, _: ConvBlock, _: &[f64], _: &[f32], _: &[f32]) -> Vec<f64> {
    panic!("the fused kernels exist on x86-64 only")
}
