//! Measures each fused kernel, and a training pass of the fused plan.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group};
use loc_net::exec::fused::{FusedPlan, FusedTraining};
use loc_net::kernels::conv_block::rows::{self, InputGradient, Layout, WinogradRows};
use loc_net::kernels::conv_block::tiles::{self, WinogradTiles, average, pool};
use loc_net::kernels::conv_block::{ConvBlock, OVERREAD, PooledGradient, RowView};
use loc_net::kernels::parts::Parts;
use loc_net::{ImageBatch, InputShape, NetworkConfig, Normalization};
use rayon::prelude::*;

use crate::numbers::numbers;

fn bytes(n: usize) -> Vec<u8> {
    // Relu is off for half of the cells, about as in training.
    numbers(n).iter().map(|v| ((v + 1.0) * 4.0) as u8 % 8).collect()
}

fn direct(shape: &ConvBlock) -> Throughput {
    let (h, w) = shape.conv_size();
    Throughput::Elements((2 * h * w * shape.weight_len()) as u64)
}

fn sparse(shape: &ConvBlock) -> Throughput {
    Throughput::Elements((2 * shape.pooled_cells() * shape.weight_len()) as u64)
}

fn rows(c: &mut Criterion) {
    for (name, layout, in_channels, side, out_channels) in
        [("conv1", Layout::Rows, 3, 256, 6), ("conv2", Layout::ChannelsLast, 6, 126, 12)]
    {
        let shape = ConvBlock { in_channels, out_channels, in_size: (side, side) };
        let Some(mut conv) = WinogradRows::of(shape, layout) else { return };
        let (w, b) = (numbers(shape.weight_len()), numbers(out_channels));
        conv.pack(&w, &b);
        let height = shape.pooled_size().0;
        let x = numbers(in_channels * side * side);
        let cells = shape.pooled_cells() * out_channels + OVERREAD;
        let (mut y, mut argmax) = (vec![0.0; height * conv.out_row()], vec![0; cells]);
        let mut scratch = rows::Scratch::default();
        let mut group = c.benchmark_group(name);
        group.throughput(direct(&shape));
        group.bench_function("forward", |bench| {
            bench.iter(|| {
                conv.forward(
                    RowView::planar(black_box(&x), shape.in_size),
                    0..height,
                    &mut scratch,
                    &mut y,
                    &mut [],
                );
            });
        });
        group.bench_function("forward with argmax", |bench| {
            bench.iter(|| {
                let x = RowView::planar(black_box(&x), shape.in_size);
                conv.forward(x, 0..height, &mut scratch, &mut y, &mut argmax);
            });
        });
        group.throughput(sparse(&shape));
        let (gy, argmax) = (numbers(cells), bytes(cells));
        let mut sums = rows::WeightGradient::of(&conv);
        group.bench_function("weight gradient", |bench| {
            let map = RowView::planar(black_box(&x), shape.in_size);
            bench.iter(|| sums.add(|rows, out| conv.to_pixels(map, rows, out), &gy, &argmax));
        });
        let mut kernels = InputGradient::of(&conv);
        kernels.pack(&w);
        let mut gx = vec![0.0; side * side * in_channels + OVERREAD];
        let mut list = rows::ActiveList::default();
        group.bench_function("input gradient", |bench| {
            bench.iter(|| kernels.add(black_box(&gy), &argmax, &mut list, &mut gx))
        });
        group.finish();
    }
}

fn tiles(c: &mut Criterion) {
    for (name, in_channels, side, out_channels) in [("conv3", 12, 61, 24), ("conv4", 24, 28, 48)] {
        let shape = ConvBlock { in_channels, out_channels, in_size: (side, side) };
        let Some(mut conv) = WinogradTiles::of(shape, true) else { return };
        let (w, b) = (numbers(shape.weight_len()), numbers(out_channels));
        conv.pack(&w, &b);
        let height = shape.pooled_size().0;
        let x = numbers(in_channels * side * side);
        let cells = shape.pooled_cells() * out_channels;
        let (mut y, mut argmax) = (vec![0.0; cells], vec![0; cells]);
        let mut scratch = tiles::Scratch::default();
        let mut group = c.benchmark_group(name);
        group.throughput(direct(&shape));
        group.bench_function("forward", |bench| {
            bench.iter(|| pool::forward(&conv, black_box(&x), 0..height, &mut scratch, &mut y, &mut []));
        });
        group.bench_function("forward with argmax", |bench| {
            bench.iter(|| pool::forward(&conv, black_box(&x), 0..height, &mut scratch, &mut y, &mut argmax));
        });
        let (gy, argmax) = (numbers(cells), bytes(cells));
        let mut sums = tiles::WeightGradient::of(&conv);
        let mut gx = vec![0.0; x.len() + OVERREAD];
        group.throughput(sparse(&shape));
        group.bench_function("both gradients", |bench| {
            bench.iter(|| {
                let pooled = PooledGradient { gy: &gy, argmax: &argmax };
                pool::backward(&conv, black_box(&x), pooled, &mut scratch, &mut sums, &mut gx)
            });
        });
        let (mut gw, mut gb) = (vec![0.0; w.len()], vec![0.0; b.len()]);
        group.bench_function("once a step", |bench| {
            bench.iter(|| {
                conv.pack(black_box(&w), &b);
                sums.write(&mut gw, &mut gb);
            });
        });
        group.finish();
    }
}

/// A batch that repeats one photo.
struct Photo {
    x: Vec<f32>,
    active: Vec<u8>,
    gy: Vec<f32>,
}

impl average::Batch for Photo {
    fn input(&self, _: usize) -> &[f32] {
        &self.x
    }
    fn active(&self, _: usize) -> &[u8] {
        &self.active
    }
    fn gradient(&self, _: usize) -> &[f32] {
        &self.gy
    }
}

fn last(c: &mut Criterion) {
    const N: usize = 32;
    let shape = ConvBlock { in_channels: 48, out_channels: 192, in_size: (12, 12) };
    let Some(mut tiles) = WinogradTiles::of(shape, true) else { return };
    let (w, b) = (numbers(shape.weight_len()), numbers(192));
    tiles.pack(&w, &b);
    let Some(mut conv) = average::Average::of(tiles, (4, 4), (2, 2)) else { return };
    let x = numbers(12 * 12 * 48);
    let mut group = c.benchmark_group("conv5");
    let mut scratch = tiles::Scratch::default();
    for n in [1, 4, 8] {
        let Throughput::Elements(flop) = direct(&shape) else { return };
        group.throughput(Throughput::Elements(flop * n as u64));
        let mut input = average::Input::default();
        let mut y = vec![0.0; n * conv.out_len()];
        group.bench_function(format!("forward {n}"), |bench| {
            bench.iter(|| {
                conv.input(n, |_| black_box(&x), &mut input);
                for block in 0..conv.tiles().blocks() {
                    let from = conv.block_start(block);
                    conv.forward(&input, block, &mut scratch, &mut y[from..], 1728, &mut []);
                }
            });
        });
    }
    let Throughput::Elements(flop) = direct(&shape) else { return };
    group.throughput(Throughput::Elements(2 * flop * N as u64));
    let batch = Photo { x, active: vec![1; conv.byte_len()], gy: numbers(conv.out_len()) };
    let (mut gw, mut gb) = (vec![0.0; w.len()], vec![0.0; b.len()]);
    let (mut buffers, mut gx) = (average::Gradient::default(), vec![0.0; N * (12 * 12 * 48 + OVERREAD)]);
    group.bench_function(format!("both gradients {N}"), |bench| {
        bench.iter(|| {
            conv.backward(&Parts::of(N), black_box(&batch), &mut buffers, &mut gw, &mut gb, &mut gx);
        });
    });
    group.bench_function("once a step", |bench| {
        bench.iter(|| conv.pack(black_box(&w), &b));
    });
    group.finish();
}

/// A training pass over the tutorial's convolutions, on all threads.
fn training_pass(c: &mut Criterion) {
    const N: usize = 32;
    let config = NetworkConfig::five_conv(InputShape { height: 256, width: 256 }, 2);
    let network = config.build(&Normalization::IDENTITY).unwrap_or_else(|e| panic!("{e}"));
    let Some(plan) = FusedPlan::of(&network, true) else { return };
    let own = network.params().iter().take(2 * plan.convolutions());
    let params: Vec<Vec<f32>> =
        own.map(|param| numbers(param.shape.iter().product()).iter().map(|v| v * 0.05).collect()).collect();
    let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
    let photos: Vec<u8> = numbers(N * plan.photo_len()).iter().map(|v| (v.abs() * 255.0) as u8).collect();
    let (mut features, mut gradient) = (vec![0.0; N * plan.out_len()], vec![0.0; plan.params_len()]);
    let gy = numbers(features.len());
    let mut pass = FusedTraining::new(plan);
    pass.pack(&params);
    pass.forward(ImageBatch::Bytes(&photos), N, &mut features);
    pass.backward(ImageBatch::Bytes(&photos), &Parts::of(N), &gy, &mut gradient);
    assert!(
        gradient.iter().all(|g| g.is_finite()) && gradient[0] != 0.0,
        "the gradients are finite and not zero"
    );
    let mut group = c.benchmark_group("pass");
    group.throughput(Throughput::Elements(N as u64)).sample_size(20);
    group.bench_function("infer", |b| {
        b.iter(|| pass.plan().infer(ImageBatch::Bytes(black_box(&photos)), N, &mut features))
    });
    group.bench_function("forward", |b| {
        b.iter(|| pass.forward(ImageBatch::Bytes(black_box(&photos)), N, &mut features));
    });
    group.bench_function("backward", |b| {
        b.iter(|| pass.backward(ImageBatch::Bytes(black_box(&photos)), &Parts::of(N), &gy, &mut gradient));
    });
    group.finish();
}

/// The same convolutions as five operations over the batch, each on all threads, in their own layouts. The difference
/// to the training pass is the gain of the fused plan, which runs each photo through all of them; the additional cost
/// of tensors between the operations is not included.
fn one_op_per_layer(c: &mut Criterion) {
    const N: usize = 32;
    const GROUP: usize = 4;
    let shape =
        |in_channels, out_channels, side| ConvBlock { in_channels, out_channels, in_size: (side, side) };
    let packed = |shape: &ConvBlock| (numbers(shape.weight_len()), numbers(shape.out_channels));
    let rows = [(shape(3, 6, 256), Layout::Rows), (shape(6, 12, 126), Layout::ChannelsLast)].map(
        |(shape, layout)| {
            let (w, b) = packed(&shape);
            WinogradRows::of(shape, layout).map(|mut conv| {
                conv.pack(&w, &b);
                conv
            })
        },
    );
    let tiles = [shape(12, 24, 61), shape(24, 48, 28), shape(48, 192, 12)].map(|shape| {
        let (w, b) = packed(&shape);
        WinogradTiles::of(shape, false).map(|mut conv| {
            conv.pack(&w, &b);
            conv
        })
    });
    let ([Some(conv1), Some(conv2)], [Some(conv3), Some(conv4), Some(conv5)]) = (rows, tiles) else { return };
    let Some(conv5) = average::Average::of(conv5, (4, 4), (2, 2)) else { return };
    let len = |conv: &WinogradRows| conv.shape().pooled_size().0 * conv.out_row();
    let cells = |conv: &WinogradTiles| conv.shape().pooled_cells() * conv.shape().out_channels;
    let pooled = |conv: &WinogradTiles, map: &mut [f32], x: &[f32], x_len: usize| {
        let each = map.par_chunks_mut(cells(conv)).zip(x.par_chunks(x_len));
        each.for_each_init(tiles::Scratch::default, |scratch, (y, x)| {
            pool::forward(conv, x, 0..conv.shape().pooled_size().0, scratch, y, &mut []);
        });
    };
    let photos = numbers(N * 3 * 65_536);
    let mut maps = [len(&conv1), len(&conv2), cells(&conv3), cells(&conv4)].map(|len| vec![0.0; N * len]);
    let mut features = vec![0.0; N * conv5.out_len()];
    let mut group = c.benchmark_group("pass");
    group.throughput(Throughput::Elements(N as u64)).sample_size(20);
    group.bench_function("infer, one operation a layer", |bench| {
        bench.iter(|| {
            let [map1, map2, map3, map4] = &mut maps;
            let each = map1.par_chunks_mut(len(&conv1)).zip(black_box(&photos).par_chunks(3 * 65_536));
            each.for_each_init(rows::Scratch::default, |scratch, (y, x)| {
                let x = RowView::planar(x, conv1.shape().in_size);
                conv1.forward(x, 0..conv1.shape().pooled_size().0, scratch, y, &mut []);
            });
            let each = map2.par_chunks_mut(len(&conv2)).zip(map1.par_chunks(len(&conv1)));
            each.for_each_init(rows::Scratch::default, |scratch, (y, x)| {
                let x = RowView::rows(x, 6, conv1.shape().pooled_size().1);
                conv2.forward(x, 0..conv2.shape().pooled_size().0, scratch, y, &mut []);
            });
            pooled(&conv3, map3, map2, len(&conv2));
            pooled(&conv4, map4, map3, cells(&conv3));
            let each =
                features.par_chunks_mut(GROUP * conv5.out_len()).zip(map4.par_chunks(GROUP * cells(&conv4)));
            each.for_each_init(Default::default, |(input, scratch), (y, x)| {
                conv5.input(GROUP, |i| &x[i * cells(&conv4)..], input);
                for block in 0..conv5.tiles().blocks() {
                    let y = &mut y[conv5.block_start(block)..];
                    conv5.forward(input, block, scratch, y, conv5.out_len(), &mut []);
                }
            });
        });
    });
    group.finish();
}

criterion_group!(benches, rows, tiles, last, training_pass, one_op_per_layer);
