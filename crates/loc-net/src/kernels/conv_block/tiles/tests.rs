//! Compares the tile kernel with the f64 reference, on random shapes.

use proptest::prelude::*;

use super::*;
use crate::kernels::conv_block::{OVERREAD, PooledGradient, reference};
use crate::kernels::parts::Parts;
use crate::kernels::testing::{assert_close, numbers, single};
use crate::kernels::{PoolShape, activation, avgpool, conv2d};

/// Tolerance relative to the largest value. One of a few hundred random shapes reached 1.1e-5; none of 4000 reached
/// this value.
const ROUNDING: f64 = 4e-5;

fn rounded(seed: u64, n: usize) -> Vec<f64> {
    numbers(seed, n).iter().map(|v| f64::from(*v as f32)).collect()
}

/// Converts planar values to channels last, with `overread` zeros after them.
fn channels_last<T: Copy + Default>(planar: &[T], channels: usize, overread: usize) -> Vec<T> {
    let cells = planar.len() / channels;
    let mut out: Vec<T> = (0..planar.len()).map(|i| planar[i % channels * cells + i / channels]).collect();
    out.resize(planar.len() + overread, T::default());
    out
}

fn shapes() -> impl Strategy<Value = ConvBlock> {
    let channels = prop_oneof![Just(8usize), Just(12), Just(16), Just(20)];
    let outs = prop_oneof![Just(8usize), Just(16), Just(24), Just(32), Just(48)];
    (channels, outs, 8usize..24, 8usize..24).prop_map(|(in_channels, out_channels, h, w)| ConvBlock {
        in_channels,
        out_channels,
        in_size: (h, w),
    })
}

fn packed(shape: ConvBlock, w: &[f64], b: &[f64]) -> Option<WinogradTiles> {
    let mut tiles = WinogradTiles::of(shape, true)?;
    tiles.pack(&single(w), &single(b));
    Some(tiles)
}

fn check_pool(shape: ConvBlock, cut: usize) {
    let (conv, pool_shape) = shape.parts();
    let (x, w, b) =
        (rounded(1, conv.in_len()), rounded(2, shape.weight_len()), rounded(3, shape.out_channels));
    let tiles = packed(shape, &w, &b).unwrap();
    let (mut y, mut argmax) = (vec![0.0; pool_shape.out_len()], vec![0; pool_shape.out_len()]);
    reference::forward(&shape, &x, &w, &b, &mut y, &mut argmax);
    let (y, argmax) =
        (channels_last(&y, shape.out_channels, 0), channels_last(&argmax, shape.out_channels, 0));

    let x_last = channels_last(&single(&x), shape.in_channels, 0);
    let (height, width) = shape.pooled_size();
    let row = width * shape.out_channels;
    let (mut got, mut bytes) = (vec![7.0; y.len()], vec![7; y.len()]);
    let mut scratch = Scratch::default();
    let cut = (2 * cut).min(height / 2 * 2);
    for part in [0..cut, cut..height] {
        let from = part.start * row;
        pool::forward(&tiles, &x_last, part, &mut scratch, &mut got[from..], &mut bytes[from..]);
    }
    assert_close("y", &got, &y, ROUNDING);
    let differing = argmax.iter().zip(&bytes).filter(|(a, b)| a != b).count();
    assert!(differing * 1000 <= y.len() + 1000, "{differing} of {} argmax differ", y.len());
    let mut plain = vec![7.0; y.len()];
    pool::forward(&tiles, &x_last, 0..height, &mut scratch, &mut plain, &mut []);
    assert_eq!(plain, got, "the same without bytes and in one piece");

    let gy = rounded(4, y.len());
    let (mut gw, mut gb, mut gx) = (vec![0.0; w.len()], vec![0.0; b.len()], vec![0.0; x.len()]);
    let planar = |v: Vec<f64>| -> Vec<f64> {
        let cells = v.len() / shape.out_channels;
        (0..v.len()).map(|i| v[i % cells * shape.out_channels + i / cells]).collect()
    };
    let planar_argmax: Vec<u8> =
        planar(argmax.iter().map(|b| f64::from(*b)).collect()).iter().map(|b| *b as u8).collect();
    let planar_gy = planar(gy.clone());
    let pooled = PooledGradient { gy: &planar_gy, argmax: &planar_argmax };
    reference::backward(&shape, &x, &w, pooled, &mut gw, &mut gb, &mut gx);
    let mut sums = WeightGradient::of(&tiles);
    let mut got_x = vec![7.0; x.len() + OVERREAD];
    let single_gy = single(&gy);
    let pooled = PooledGradient { gy: &single_gy, argmax: &argmax };
    pool::backward(&tiles, &x_last, pooled, &mut scratch, &mut sums, &mut got_x);
    let (mut got_w, mut got_b) = (vec![7.0; w.len()], vec![7.0; b.len()]);
    sums.write(&mut got_w, &mut got_b);
    assert_close("gw", &got_w, &gw, ROUNDING);
    assert_close("gb", &got_b, &gb, ROUNDING);
    assert_close("gx", &got_x[..x.len()], &channels_last(&gx, shape.in_channels, 0), ROUNDING);
    // A second photo doubles the sums; `clear` resets them to zero.
    pool::backward(&tiles, &x_last, pooled, &mut scratch, &mut sums, &mut got_x);
    sums.write(&mut got_w, &mut got_b);
    assert_close("gb twice", &got_b, &gb.iter().map(|g| 2.0 * g).collect::<Vec<_>>(), ROUNDING);
    sums.clear();
    sums.write(&mut got_w, &mut got_b);
    assert!(got_w.iter().chain(&got_b).all(|g| *g == 0.0));
}

/// A batch of two photos, for [`average`].
struct ImageBatch {
    x: Vec<Vec<f32>>,
    active: Vec<u8>,
    gy: Vec<f32>,
}

impl average::Batch for ImageBatch {
    fn input(&self, photo: usize) -> &[f32] {
        &self.x[photo]
    }
    fn active(&self, photo: usize) -> &[u8] {
        &self.active[photo * self.active.len() / 2..]
    }
    fn gradient(&self, photo: usize) -> &[f32] {
        &self.gy[photo * self.gy.len() / 2..]
    }
}

fn check_average(shape: ConvBlock, (kernel, stride): (usize, usize)) {
    const N: usize = 2;
    let (conv, _) = shape.parts();
    let (x, w, b) =
        (rounded(1, N * conv.in_len()), rounded(2, shape.weight_len()), rounded(3, shape.out_channels));
    let tiles = packed(shape, &w, &b).unwrap();
    let Some(conv_average) = average::Average::of(tiles, (kernel, kernel), (stride, stride)) else {
        return;
    };
    let pool = PoolShape::square(shape.out_channels, shape.conv_size(), kernel, stride);
    let (mut map, mut on) = (vec![0.0; N * conv.out_len()], vec![0.0; N * conv.out_len()]);
    let mut y = vec![0.0; N * pool.out_len()];
    conv2d::reference::forward(&conv, N, &x, &w, &b, &mut map);
    activation::forward(&map, &mut on);
    avgpool::reference::forward(&pool, N, &on, &mut y);

    let photos: Vec<Vec<f32>> =
        x.chunks(conv.in_len()).map(|x| channels_last(&single(x), shape.in_channels, 0)).collect();
    let mut input = average::Input::default();
    conv_average.input(N, |i| &photos[i], &mut input);
    let (mut got, mut active) = (vec![7.0; y.len()], vec![7; N * conv_average.byte_len()]);
    let mut scratch = Scratch::default();
    for block in 0..conv_average.tiles().blocks() {
        let from = conv_average.block_start(block);
        conv_average.forward(
            &input,
            block,
            &mut scratch,
            &mut got[from..],
            conv_average.out_len(),
            &mut active,
        );
    }
    assert_close("y", &got, &y, ROUNDING);
    for (photo, bytes) in active.chunks(conv_average.byte_len()).enumerate() {
        let expected = channels_last(&map[photo * conv.out_len()..][..conv.out_len()], shape.out_channels, 0);
        for (byte, v) in bytes.iter().zip(expected) {
            assert!(*byte == u8::from(v > 0.0) || v.abs() < 1e-4, "{byte} for {v}");
        }
    }

    // The reference's own bytes, so that rounding near zero makes no difference.
    let active: Vec<u8> = map
        .chunks(conv.out_len())
        .flat_map(|m| channels_last(m, shape.out_channels, 0))
        .map(|v| u8::from(v > 0.0))
        .collect();
    let gy = rounded(4, y.len());
    let (mut g_on, mut g_map) = (vec![0.0; map.len()], vec![0.0; map.len()]);
    avgpool::reference::backward(&pool, N, &gy, &mut g_on);
    activation::backward(&on, &g_on, &mut g_map);
    let (mut gw, mut gb, mut gx) = (vec![0.0; w.len()], vec![0.0; b.len()], vec![0.0; x.len()]);
    conv2d::reference::backward_weights(&conv, N, &x, &g_map, &mut gw, &mut gb);
    conv2d::reference::backward_input(&conv, N, &w, &g_map, &mut gx);
    let batch = ImageBatch { x: photos, active, gy: single(&gy) };
    let mut got_x = vec![7.0; N * (conv.in_len() + OVERREAD)];
    let (mut got_w, mut got_b) = (vec![7.0; w.len()], vec![7.0; b.len()]);
    conv_average.backward(
        &Parts::of(N),
        &batch,
        &mut average::Gradient::default(),
        &mut got_w,
        &mut got_b,
        &mut got_x,
    );
    assert_close("gw", &got_w, &gw, ROUNDING);
    assert_close("gb", &got_b, &gb, ROUNDING);
    for (got, gx) in got_x.chunks(conv.in_len() + OVERREAD).zip(gx.chunks(conv.in_len())) {
        assert_close("gx", &got[..conv.in_len()], &channels_last(gx, shape.in_channels, 0), ROUNDING);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    #[cfg_attr(miri, ignore = "takes many minutes under Miri")]
    fn pooled_equals_the_reference(shape in shapes(), cut in 0usize..6) {
        check_pool(shape, cut);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes many minutes under Miri")]
    fn averaged_equals_the_reference(shape in shapes(), kernel in 1usize..5, stride in 1usize..4) {
        check_average(shape, (kernel, stride));
    }
}

/// The smallest map, also for Miri.
#[test]
fn one_tile_equals_the_reference() {
    let shape = ConvBlock { in_channels: 8, out_channels: 8, in_size: (8, 8) };
    check_pool(shape, 0);
    check_average(shape, (2, 2));
}

#[test]
fn supports_exactly_the_documented_blocks() {
    let of = |in_channels, out_channels, side| {
        WinogradTiles::of(ConvBlock { in_channels, out_channels, in_size: (side, side) }, false).is_some()
    };
    assert!(of(12, 24, 8));
    assert!(!of(6, 24, 8), "few channels");
    assert!(!of(14, 24, 8), "14 input channels");
    assert!(!of(12, 12, 8), "12 output channels");
    assert!(!of(12, 24, 7), "3×3 outputs");
}
