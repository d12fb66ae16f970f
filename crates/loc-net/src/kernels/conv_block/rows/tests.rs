//! The row form against the reference in f64, on random shapes.

use proptest::prelude::*;

use super::*;
use crate::kernels::conv_block::{OVERREAD, RELU_OFF, reference};
use crate::kernels::testing::{assert_close, assert_within, no_fast_forms, numbers, single};

/// The reference's results for a block: output, bytes, and gradients of a random output gradient.
struct Twin {
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

impl Twin {
    fn new(shape: ConvBlock) -> Self {
        let rounded = |seed, n| numbers(seed, n).iter().map(|v| f64::from(*v as f32)).collect::<Vec<_>>();
        let (conv, pool) = shape.parts();
        let (x, w, b) =
            (rounded(1, conv.in_len()), rounded(2, shape.weight_len()), rounded(3, shape.out_channels));
        let gy = rounded(4, pool.out_len());
        let (mut y, mut argmax) = (vec![0.0; gy.len()], vec![0; gy.len()]);
        reference::forward(&shape, &x, &w, &b, &mut y, &mut argmax);
        let (mut gw, mut gb, mut gx) = (vec![0.0; w.len()], vec![0.0; b.len()], vec![0.0; x.len()]);
        reference::backward(&shape, (&x, &w), (&gy, &argmax), (&mut gw, &mut gb), &mut gx);
        Self { shape, x, w, b, y, argmax, gy, gw, gb, gx }
    }

    /// A planar map of outputs, channels last, with slack.
    fn last<T: Copy + Default>(&self, planar: &[T]) -> Vec<T> {
        let (cells, outs) = (self.shape.pooled_cells(), self.shape.out_channels);
        let mut last: Vec<T> = (0..cells * outs).map(|i| planar[i % outs * cells + i / outs]).collect();
        last.resize(cells * outs + OVERREAD, T::default());
        last
    }
}

fn check_forward(twin: &Twin, layout: Layout, cut: usize) {
    let Some(mut rows) = WinogradRows::of(twin.shape, layout) else { return no_fast_forms() };
    rows.pack(&single(&twin.w), &single(&twin.b));
    let ((height, width), outs) = (twin.shape.pooled_size(), twin.shape.out_channels);
    let x = single(&twin.x);
    let (mut y, mut argmax) = (vec![7.0; height * rows.out_row()], vec![7; height * outs * width]);
    let mut scratch = Scratch::default();
    // In two parts, as threads would.
    let cut = (STRIP * cut).min(height / STRIP * STRIP);
    for part in [0..cut, cut..height] {
        let (from, w_from) = (part.start * rows.out_row(), part.start * outs * width);
        let x = RowView::planar(&x, twin.shape.in_size);
        rows.forward(x, part, &mut scratch, &mut y[from..], &mut argmax[w_from..]);
    }
    let at = |o: usize, row: usize, column: usize| match layout {
        Layout::Rows => (row * outs + o) * run(width) + column,
        Layout::ChannelsLast => (row * width + column) * outs + o,
    };
    let cells = || (0..twin.y.len()).map(|i| (i / (height * width), i / width % height, i % width));
    let got: Vec<f32> = cells().map(|(o, row, column)| y[at(o, row, column)]).collect();
    assert_close("y", &got, &twin.y, 1e-5);
    // Where two cells are as good as equal, rounding may choose the other.
    let argmax = cells().map(|(o, row, column)| argmax[(row * width + column) * outs + o]);
    let differing = argmax.zip(&twin.argmax).filter(|(a, b)| a != *b).count();
    assert!(differing * 2000 <= twin.y.len() + 2000, "{differing} of {} argmax differ", twin.y.len());
    // Without bytes the values are the same.
    let mut plain = vec![7.0; y.len()];
    rows.forward(RowView::planar(&x, twin.shape.in_size), 0..height, &mut scratch, &mut plain, &mut []);
    assert_eq!(plain, y);
}

fn check_gradients(twin: &Twin) {
    let Some(form) = WinogradRows::of(twin.shape, Layout::Rows) else { return no_fast_forms() };
    let ConvBlock { in_channels: ins, in_size: (height, width), .. } = twin.shape;
    let (gy, argmax) = (twin.last(&single(&twin.gy)), twin.last(&twin.argmax));
    let step = pixels::pixel(ins);
    let mut x = vec![7.0f32; height * width * step + OVERREAD];
    let planar = single(&twin.x);
    let map = RowView::planar(&planar, twin.shape.in_size);
    form.spread(map, 0..height, &mut x);
    for (i, v) in twin.x.iter().enumerate() {
        assert_eq!(x[i % (height * width) * step + i / (height * width)], *v as f32);
    }
    let mut sums = WeightGradient::of(&form);
    sums.add(|rows, out| form.spread(map, rows, out), &gy, &argmax);
    let (mut gw, mut gb) = (vec![0.0; twin.gw.len()], vec![0.0; twin.gb.len()]);
    sums.write(&mut gw, &mut gb);
    assert_close("gw", &gw, &twin.gw, 3e-6);
    // Numbers of either sign: their sum is as large as the root of how many there are, or much smaller.
    assert_within("gb", &gb, &twin.gb, 3e-6 * (twin.shape.pooled_cells() as f64).sqrt());
    // A second photo doubles the sums, and `clear` forgets both.
    sums.add(|rows, out| form.spread(map, rows, out), &gy, &argmax);
    let twice: Vec<f64> = twin.gw.iter().map(|g| 2.0 * g).collect();
    sums.write(&mut gw, &mut gb);
    assert_close("gw twice", &gw, &twice, 3e-6);
    sums.clear();
    sums.write(&mut gw, &mut gb);
    assert!(gw.iter().all(|g| *g == 0.0));

    let mut kernels = InputGradient::of(&form);
    kernels.pack(&single(&twin.w));
    let mut gx = vec![0.0f32; height * width * ins + OVERREAD];
    kernels.add(&gy, &argmax, &mut List::default(), &mut gx);
    let planar: Vec<f32> =
        (0..twin.gx.len()).map(|i| gx[i % (height * width) * ins + i / (height * width)]).collect();
    assert_close("gx", &planar, &twin.gx, 3e-6);
    assert!(gx[height * width * ins..].iter().all(|g| *g == 0.0), "nothing is added behind the map");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    #[cfg_attr(miri, ignore = "the fast form needs AVX2, which Miri does not claim to have")]
    fn equals_the_reference(
        in_channels in 1usize..9, out_channels in 1usize..14,
        h in 10usize..40, w in 20usize..60, last in any::<bool>(), cut in 0usize..6,
    ) {
        let twin = Twin::new(ConvBlock { in_channels, out_channels, in_size: (h, w) });
        check_forward(&twin, if last { Layout::ChannelsLast } else { Layout::Rows }, cut);
        check_gradients(&twin);
    }
}

#[test]
fn takes_what_it_says_and_nothing_else() {
    let of = |in_channels, in_size| {
        WinogradRows::of(ConvBlock { in_channels, out_channels: 6, in_size }, Layout::Rows)
    };
    assert_eq!(of(3, (10, 20)).is_some(), crate::kernels::gemm::avx2::available());
    assert!(of(9, (40, 40)).is_none(), "nine channels");
    assert!(of(3, (9, 40)).is_none(), "two pooled rows");
    assert!(of(3, (40, 19)).is_none(), "seven pooled columns");
}

#[test]
fn a_tie_goes_to_the_first_cell_and_zero_is_dead() {
    let shape = ConvBlock { in_channels: 1, out_channels: 1, in_size: (10, 20) };
    let Some(mut rows) = WinogradRows::of(shape, Layout::Rows) else { return no_fast_forms() };
    for (bias, byte) in [(0.5, 0), (0.0, RELU_OFF), (-0.5, RELU_OFF)] {
        rows.pack(&[0.0; 25], &[bias]);
        let (mut y, mut argmax) = ([7.0; 24], [7; 24]);
        let x = [1.0; 200];
        rows.forward(RowView::planar(&x, (10, 20)), 0..3, &mut Scratch::default(), &mut y, &mut argmax);
        assert_eq!((y, argmax), ([bias.max(0.0); 24], [byte; 24]));
    }
}

#[test]
fn a_broken_weight_is_not_hidden() {
    let shape = ConvBlock { in_channels: 1, out_channels: 1, in_size: (10, 20) };
    let Some(mut rows) = WinogradRows::of(shape, Layout::ChannelsLast) else { return no_fast_forms() };
    rows.pack(&[f32::NAN; 25], &[0.0]);
    let (mut y, x) = ([7.0; 24], [1.0; 200]);
    rows.forward(RowView::planar(&x, (10, 20)), 0..3, &mut Scratch::default(), &mut y, &mut []);
    assert!(y.iter().all(|v| v.is_nan()), "{y:?}");
}

#[test]
fn a_strip_that_begins_below_the_rows_is_refused() {
    let shape = ConvBlock { in_channels: 1, out_channels: 1, in_size: (12, 20) };
    let Some(rows) = WinogradRows::of(shape, Layout::Rows) else { return no_fast_forms() };
    let values = [0.0; 240];
    let strip = RowView { first: 1, ..RowView::planar(&values, (12, 20)) };
    let forward = || rows.forward(strip, 0..3, &mut Scratch::default(), &mut [0.0; 24], &mut []);
    assert!(std::panic::catch_unwind(forward).is_err(), "forward");
    let spread = || rows.spread(strip, 0..2, &mut [0.0; 40 + OVERREAD]);
    assert!(std::panic::catch_unwind(spread).is_err(), "spread");
}
