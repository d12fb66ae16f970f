//! Calls public kernels with shapes and views that contradict their slices. Each must refuse: what a kernel relies on is
//! checked at its door, with arithmetic that cannot wrap.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::conv_block::rows::{self, Layout, WinogradRows};
use super::conv_block::tiles::average::{Average, Input};
use super::conv_block::tiles::{self, WinogradTiles};
use super::conv_block::{ConvBlock, RowView};
use super::gemm::{Mode, RowMajor, Strided, gemm_nn, gemm_nt};
use super::{ConvShape, PoolShape, conv2d, image_input, linear, maxpool};
use crate::ImageBatch;
use crate::buffers::Aligned;

/// A row length whose product with a small number wraps to a small number.
const HUGE: usize = usize::MAX / 2 + 1;

#[track_caller]
fn refused(f: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err(), "the call was accepted");
}

fn block(in_channels: usize, out_channels: usize, side: usize) -> ConvBlock {
    ConvBlock { in_channels, out_channels, in_size: (side, side) }
}

#[test]
fn products_refuse_rows_that_are_too_far_apart() {
    let (v, mut c) = ([1.0; 64], [0.0; 64]);
    let (a, b) = (Strided { values: &v, row: 4, col: 1 }, RowMajor { values: &v, row: 4 });
    let far = RowMajor { row: HUGE, ..b };
    for size in [(3, 4, 4), (4, 4, 3)] {
        refused(|| gemm_nn(size, a, far, &mut c.clone(), 4, Mode::Replace));
        refused(|| gemm_nn(size, Strided { row: HUGE, ..a }, b, &mut c.clone(), 4, Mode::Replace));
        refused(|| gemm_nn(size, Strided { col: HUGE, ..a }, b, &mut c.clone(), 4, Mode::Replace));
        refused(|| gemm_nn(size, a, b, &mut c.clone(), HUGE, Mode::Replace));
        refused(|| gemm_nt(size, far, b, &mut c.clone(), 4, Mode::Replace));
        refused(|| gemm_nt((4, 3, 4), b, far, &mut c.clone(), 4, Mode::Replace));
    }
    gemm_nn((4, 4, 4), a, b, &mut c, 4, Mode::Replace);
    assert!(c[..16].iter().all(|v| *v == 4.0));
}

#[test]
fn row_kernels_refuse_views_that_are_longer_than_their_values() {
    let conv = WinogradRows::of(block(3, 6, 40), Layout::Rows).unwrap();
    let x = vec![0.0; 3 * 40 * 40];
    let view = RowView::planar(&x, (40, 40));
    let forward = |view: RowView| {
        let mut y = vec![0.0; 18 * conv.out_row()];
        conv.forward(view, 0..18, &mut rows::Scratch::default(), &mut y, &mut []);
    };
    forward(view);
    for wrong in [
        RowView { row: HUGE, ..view },
        RowView { channel: HUGE, ..view },
        RowView { row: 41, ..view },
        RowView { first: 1, ..view },
        RowView { first: usize::MAX, ..view },
    ] {
        refused(|| forward(wrong));
        refused(|| conv.to_pixels(wrong, 0..40, &mut vec![0.0; 40 * 40 * 3 + 16]));
    }
    refused(|| conv.to_pixels(view, 39..41, &mut vec![0.0; 40 * 40 * 3 + 16]));
}

#[test]
fn blocks_that_are_too_small_or_too_large_have_no_kernel() {
    for side in [0, 1, 4] {
        let shape = block(8, 8, side);
        assert_eq!(shape.conv_size(), (0, 0));
        assert!(WinogradRows::of(shape, Layout::Rows).is_none() && WinogradTiles::of(shape, true).is_none());
    }
    for shape in
        [block(0, 6, 40), block(3, 0, 40), block(8, HUGE, 40), block(8, 8, HUGE), block(8, 8, 1 << 15)]
    {
        assert!(WinogradRows::of(shape, Layout::Rows).is_none() && WinogradTiles::of(shape, true).is_none());
    }
}

#[test]
fn an_average_refuses_tiles_of_another_convolution() {
    let of = |shape| Average::of(WinogradTiles::of(shape, false).unwrap(), (2, 2), (2, 2)).unwrap();
    let (small, large) = (of(block(8, 8, 8)), of(block(8, 8, 24)));
    let mut input = Input::default();
    let mut y = vec![0.0; large.out_len()];
    let mut forward = |conv: &Average, input: &Input| {
        let stride = conv.out_len();
        conv.forward(input, 0, &mut tiles::Scratch::default(), &mut y, stride, &mut []);
    };
    refused(|| forward(&large, &Input::default()));
    let x = vec![0.0; 8 * 24 * 24];
    small.input(1, |_| &x, &mut input);
    refused(|| forward(&large, &input));
    large.input(1, |_| &x, &mut input);
    refused(|| forward(&small, &input));
    forward(&large, &input);
}

#[test]
fn shapes_whose_size_wraps_are_refused() {
    let conv = ConvShape::square(HUGE, (2, 1), 1, 1);
    refused(|| conv2d::forward(&conv, 1, &[], &[], &[0.0], &mut [0.0; 2]));
    let padded = ConvShape { padding: (HUGE, 0), ..ConvShape::square(1, (2, 2), 1, 1) };
    refused(|| conv2d::forward(&padded, 1, &[0.0; 4], &[0.0], &[0.0], &mut [0.0; 4]));
    let pool = PoolShape::square(HUGE, (2, 1), 1, 1);
    refused(|| maxpool::forward(&pool, 1, &[], &mut [0.0; 0], &mut [0; 0]));
    refused(|| {
        linear::forward(linear::Features { input: HUGE, output: 1 }, 2, &[], &[], &[0.0], &mut [0.0; 2])
    });
}

#[test]
fn a_photo_may_be_narrower_than_a_vector() {
    let norm = image_input::InputNorm::new([0.0; 3], [1.0; 3]);
    for width in 1..20 {
        let bytes: Vec<u8> = (0..3 * width * 2).map(|i| i as u8).collect();
        let mut buffer = Aligned::default();
        let view = image_input::strip(ImageBatch::Bytes(&bytes), &norm, width, 0..2, &mut buffer);
        for (i, byte) in bytes.iter().enumerate() {
            let (y, x, c) = (i / 3 / width, i / 3 % width, i % 3);
            let v = view.values[view.start(y) + c * view.channel + x];
            assert_eq!(v, f32::from(*byte) / 255.0);
        }
    }
}
