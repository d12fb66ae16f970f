//! Compares the row kernel with the f64 reference, on random shapes.

use proptest::prelude::*;

use super::*;
use crate::kernels::conv_block::{OVERREAD, PooledGradient, RELU_OFF, reference};
use crate::kernels::testing::{assert_close, assert_within, numbers, single};

/// The reference's results for a block: output, argmax bytes, and gradients for a random output gradient.
struct Expected {
    shape: ConvBlock,
    x: Vec<f64>,
    w: Vec<f64>,
    b: Vec<f64>,
    y: Vec<f64>,
    argmax: Vec<u8>,
    gy: Vec<f64>,
    gw: Vec<f64>,
    gb: Vec<f64>,
    gx: Vec<f64>,
}

impl Expected {
    fn new(shape: ConvBlock) -> Self {
        let rounded = |seed, n| numbers(seed, n).iter().map(|v| f64::from(*v as f32)).collect::<Vec<_>>();
        let (conv, pool) = shape.parts();
        let (x, w, b) =
            (rounded(1, conv.in_len()), rounded(2, shape.weight_len()), rounded(3, shape.out_channels));
        let gy = rounded(4, pool.out_len());
        let (mut y, mut argmax) = (vec![0.0; gy.len()], vec![0; gy.len()]);
        reference::forward(&shape, &x, &w, &b, &mut y, &mut argmax);
        let (mut gw, mut gb, mut gx) = (vec![0.0; w.len()], vec![0.0; b.len()], vec![0.0; x.len()]);
        let pooled = PooledGradient { gy: &gy, argmax: &argmax };
        reference::backward(&shape, &x, &w, pooled, &mut gw, &mut gb, &mut gx);
        Self { shape, x, w, b, y, argmax, gy, gw, gb, gx }
    }

    /// Converts a planar map of outputs to channels last, with the overread.
    fn channels_last<T: Copy + Default>(&self, planar: &[T]) -> Vec<T> {
        let (cells, outs) = (self.shape.pooled_cells(), self.shape.out_channels);
        let mut channels_last: Vec<T> =
            (0..cells * outs).map(|i| planar[i % outs * cells + i / outs]).collect();
        channels_last.resize(cells * outs + OVERREAD, T::default());
        channels_last
    }
}

fn check_forward(expected: &Expected, layout: Layout, cut: usize) {
    let mut rows = WinogradRows::of(expected.shape, layout).unwrap();
    rows.pack(&single(&expected.w), &single(&expected.b));
    let ((height, width), outs) = (expected.shape.pooled_size(), expected.shape.out_channels);
    let x = single(&expected.x);
    let (mut y, mut argmax) = (vec![7.0; height * rows.out_row()], vec![7; height * outs * width]);
    let mut scratch = Scratch::default();
    // In two parts, as two threads would compute it.
    let cut = (STRIP * cut).min(height / STRIP * STRIP);
    for part in [0..cut, cut..height] {
        let (from, w_from) = (part.start * rows.out_row(), part.start * outs * width);
        let x = RowView::planar(&x, expected.shape.in_size);
        rows.forward(x, part, &mut scratch, &mut y[from..], &mut argmax[w_from..]);
    }
    let at = |o: usize, row: usize, column: usize| match layout {
        Layout::Rows => (row * outs + o) * run_len(width) + column,
        Layout::ChannelsLast => (row * width + column) * outs + o,
    };
    let cells = || (0..expected.y.len()).map(|i| (i / (height * width), i / width % height, i % width));
    let got: Vec<f32> = cells().map(|(o, row, column)| y[at(o, row, column)]).collect();
    assert_close("y", &got, &expected.y, 1e-5);
    // If two cells are almost equal, rounding may choose the other one.
    let argmax = cells().map(|(o, row, column)| argmax[(row * width + column) * outs + o]);
    let differing = argmax.zip(&expected.argmax).filter(|(a, b)| a != *b).count();
    assert!(differing * 2000 <= expected.y.len() + 2000, "{differing} of {} argmax differ", expected.y.len());
    // Without argmax bytes the values are the same.
    let mut plain = vec![7.0; y.len()];
    rows.forward(RowView::planar(&x, expected.shape.in_size), 0..height, &mut scratch, &mut plain, &mut []);
    assert_eq!(plain, y);
}

fn check_gradients(expected: &Expected) {
    let conv = WinogradRows::of(expected.shape, Layout::Rows).unwrap();
    let ConvBlock { in_channels: ins, in_size: (height, width), .. } = expected.shape;
    let (gy, argmax) =
        (expected.channels_last(&single(&expected.gy)), expected.channels_last(&expected.argmax));
    let step = pixels::pixel(ins);
    let mut x = vec![7.0f32; height * width * step + OVERREAD];
    let planar = single(&expected.x);
    let map = RowView::planar(&planar, expected.shape.in_size);
    conv.to_pixels(map, 0..height, &mut x);
    for (i, v) in expected.x.iter().enumerate() {
        assert_eq!(x[i % (height * width) * step + i / (height * width)], *v as f32);
    }
    let mut sums = WeightGradient::of(&conv);
    sums.add(|rows, out| conv.to_pixels(map, rows, out), &gy, &argmax);
    let (mut gw, mut gb) = (vec![0.0; expected.gw.len()], vec![0.0; expected.gb.len()]);
    sums.write(&mut gw, &mut gb);
    assert_close("gw", &gw, &expected.gw, 3e-6);
    // Terms of either sign: their sum is of the order of the square root of their number, or much smaller.
    assert_within("gb", &gb, &expected.gb, 3e-6 * (expected.shape.pooled_cells() as f64).sqrt());
    // A second photo doubles the sums; `clear` resets them.
    sums.add(|rows, out| conv.to_pixels(map, rows, out), &gy, &argmax);
    let twice: Vec<f64> = expected.gw.iter().map(|g| 2.0 * g).collect();
    sums.write(&mut gw, &mut gb);
    assert_close("gw twice", &gw, &twice, 3e-6);
    sums.clear();
    sums.write(&mut gw, &mut gb);
    assert!(gw.iter().all(|g| *g == 0.0));

    let mut kernels = InputGradient::of(&conv);
    kernels.pack(&single(&expected.w));
    let mut gx = vec![0.0f32; height * width * ins + OVERREAD];
    kernels.add(&gy, &argmax, &mut ActiveList::default(), &mut gx);
    let planar: Vec<f32> =
        (0..expected.gx.len()).map(|i| gx[i % (height * width) * ins + i / (height * width)]).collect();
    assert_close("gx", &planar, &expected.gx, 3e-6);
    assert!(gx[height * width * ins..].iter().all(|g| *g == 0.0), "nothing is added after the map");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    #[cfg_attr(miri, ignore = "takes many minutes under Miri")]
    fn equals_the_reference(
        in_channels in 1usize..9, out_channels in 1usize..14,
        h in 10usize..40, w in 20usize..60, channels_last in any::<bool>(), cut in 0usize..6,
    ) {
        let expected = Expected::new(ConvBlock { in_channels, out_channels, in_size: (h, w) });
        check_forward(&expected, if channels_last { Layout::ChannelsLast } else { Layout::Rows }, cut);
        check_gradients(&expected);
    }
}

#[test]
fn supports_exactly_the_documented_blocks() {
    let of = |in_channels, in_size| {
        WinogradRows::of(ConvBlock { in_channels, out_channels: 6, in_size }, Layout::Rows)
    };
    assert!(of(3, (10, 20)).is_some());
    assert!(of(9, (40, 40)).is_none(), "nine channels");
    assert!(of(3, (9, 40)).is_none(), "two pooled rows");
    assert!(of(3, (40, 19)).is_none(), "seven pooled columns");
}

#[test]
fn on_a_tie_the_first_cell_is_the_argmax_and_relu_is_off_at_zero() {
    let shape = ConvBlock { in_channels: 1, out_channels: 1, in_size: (10, 20) };
    let mut rows = WinogradRows::of(shape, Layout::Rows).unwrap();
    for (bias, byte) in [(0.5, 0), (0.0, RELU_OFF), (-0.5, RELU_OFF)] {
        rows.pack(&[0.0; 25], &[bias]);
        // Three rows of a run of sixteen, of which eight are written.
        let (mut y, mut argmax) = ([7.0; 48], [7; 24]);
        let x = [1.0; 200];
        rows.forward(RowView::planar(&x, (10, 20)), 0..3, &mut Scratch::default(), &mut y, &mut argmax);
        let written = y.chunks(16).flat_map(|run| &run[..8]);
        assert!(written.into_iter().all(|v| *v == bias.max(0.0)));
        assert_eq!(argmax, [byte; 24]);
    }
}

#[test]
fn a_nan_weight_gives_nan_outputs() {
    let shape = ConvBlock { in_channels: 1, out_channels: 1, in_size: (10, 20) };
    let mut rows = WinogradRows::of(shape, Layout::ChannelsLast).unwrap();
    rows.pack(&[f32::NAN; 25], &[0.0]);
    let (mut y, x) = ([7.0; 24], [1.0; 200]);
    rows.forward(RowView::planar(&x, (10, 20)), 0..3, &mut Scratch::default(), &mut y, &mut []);
    assert!(y.iter().all(|v| v.is_nan()), "{y:?}");
}

#[test]
fn a_view_that_starts_below_the_rows_panics() {
    let shape = ConvBlock { in_channels: 1, out_channels: 1, in_size: (12, 20) };
    let rows = WinogradRows::of(shape, Layout::Rows).unwrap();
    let values = [0.0; 240];
    let strip = RowView { first: 1, ..RowView::planar(&values, (12, 20)) };
    let forward = || rows.forward(strip, 0..3, &mut Scratch::default(), &mut [0.0; 48], &mut []);
    assert!(std::panic::catch_unwind(forward).is_err(), "forward");
    let to_pixels = || rows.to_pixels(strip, 0..2, &mut [0.0; 40 + OVERREAD]);
    assert!(std::panic::catch_unwind(to_pixels).is_err(), "to_pixels");
}
