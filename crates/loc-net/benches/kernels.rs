//! Measures each kernel on shapes of the tutorial's network and of EfficientNet-Lite0, forward and backward, and the whole
//! forward pass.
//!
//! Convolutions and linear layers: "elem/s" are floating-point operations per second; a multiply-add counts as two.
//! The others: "B/s" are bytes read and written per second. Whole forward pass: "elem/s" are photos per second.
//! `RAYON_NUM_THREADS=1 cargo bench -p loc-net` measures one core.

mod numbers;

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loc_net::kernels::channels_last::ConvLast;
use loc_net::kernels::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use loc_net::kernels::parts::Parts;
use loc_net::kernels::{Activation, ConvShape, PoolShape, activation, avgpool, conv2d, linear, maxpool};
use loc_net::{Forward, ImageBatch, InputShape, NetworkConfig, Normalization, Weight, Weights};
use numbers::numbers;

/// Photos per call.
const BATCH: usize = 8;

fn convolutions(c: &mut Criterion) {
    let square = |channels, side: usize, out, kernel| ConvShape::square(channels, (side, side), out, kernel);
    for (name, shape) in [
        ("conv1", square(3, 256, 6, 5)),
        ("conv2", square(6, 126, 12, 5)),
        ("conv3", square(12, 61, 24, 5)),
        ("conv4", square(24, 28, 48, 5)),
        ("conv5", square(48, 12, 192, 5)),
    ] {
        let out = shape.out_channels;
        let (x, w, b) = (numbers(BATCH * shape.in_len()), numbers(shape.weight_len()), numbers(out));
        let gy = numbers(BATCH * shape.out_len());
        let flops = 2 * BATCH * shape.out_len() * shape.fan_in();
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(flops as u64)).sample_size(20);
        let mut y = vec![0.0; gy.len()];
        conv2d::forward(&shape, BATCH, &x, &w, &b, &mut y);
        assert!(y.iter().all(|v| v.is_finite()) && y[0] != 0.0, "the outputs are finite and not zero");
        group.bench_function("forward", |bench| {
            bench.iter(|| conv2d::forward(&shape, BATCH, black_box(&x), &w, &b, &mut y));
        });
        let (mut gw, mut gb, mut gx) = (vec![0.0; w.len()], vec![0.0; b.len()], vec![0.0; x.len()]);
        group.bench_function("backward_weights", |bench| {
            bench.iter(|| {
                conv2d::backward_weights(&shape, &Parts::of(BATCH), black_box(&x), &gy, &mut gw, &mut gb)
            });
        });
        group.bench_function("backward_input", |bench| {
            bench.iter(|| conv2d::backward_input(&shape, BATCH, black_box(&w), &gy, &mut gx));
        });
        group.finish();
    }
}

/// The convolutions of EfficientNet-Lite0, with the channels last.
fn channels_last(c: &mut Criterion) {
    let pointwise = |ins, side: usize, outs| ConvShape::square(ins, (side, side), outs, 1);
    let depthwise = |channels, side: usize, kernel, stride| {
        let square = ConvShape::square(channels, (side, side), channels, kernel);
        ConvShape { groups: channels, stride: (stride, stride), ..square }.same()
    };
    let stem = ConvShape { stride: (2, 2), ..ConvShape::square(3, (224, 224), 32, 3) }.same();
    for (name, shape) in [
        ("stem", stem),
        ("pointwise 112", pointwise(16, 112, 96)),
        ("pointwise 56", pointwise(144, 56, 24)),
        ("pointwise 28", pointwise(40, 28, 240)),
        ("pointwise 14", pointwise(480, 14, 112)),
        ("pointwise 7", pointwise(192, 7, 1152)),
        ("depthwise 112", depthwise(96, 112, 3, 2)),
        ("depthwise 56", depthwise(144, 56, 3, 1)),
        ("depthwise 28", depthwise(240, 28, 5, 1)),
        ("depthwise 14", depthwise(672, 14, 5, 1)),
        ("depthwise 7", depthwise(1152, 7, 5, 1)),
    ] {
        let Some(mut kernel) = ConvLast::new(shape, Activation::Relu6) else { panic!("{name} has a form") };
        let (x, w, b) =
            (numbers(BATCH * shape.in_len()), numbers(shape.weight_len()), numbers(shape.out_channels));
        let (gy, mut y) = (numbers(BATCH * shape.out_len()), vec![0.0; BATCH * shape.out_len()]);
        kernel.pack(&[&w, &b], true);
        let mut group = c.benchmark_group(name);
        let flops = 2 * BATCH * shape.out_len() * shape.fan_in();
        group.throughput(Throughput::Elements(flops as u64)).sample_size(20);
        let forward = |x: &[f32], y: &mut [f32]| {
            kernel.forward(ForwardPass { n: BATCH, inputs: &[x], params: &[&w, &b], y, saved: None });
        };
        forward(&x, &mut y);
        assert!(y.iter().all(|v| v.is_finite()) && y.iter().any(|v| *v != 0.0), "finite and not zero");
        group.bench_function("forward", |bench| bench.iter(|| forward(black_box(&x), &mut y)));
        let (mut gw, mut gb, mut gx) = (vec![0.0; w.len()], vec![0.0; b.len()], vec![0.0; x.len()]);
        let mut output = gy.clone();
        group.bench_function("backward", |bench| {
            bench.iter(|| {
                let pass = SavedPass { inputs: &[black_box(&x)], params: &[&w, &b], y: &y, saved: &[] };
                let inputs = &mut [Some(&mut gx[..])];
                let params = &mut [&mut gw[..], &mut gb[..]];
                kernel.backward(&Parts::of(BATCH), &pass, Gradients { output: &mut output, inputs, params });
            });
        });
        group.finish();
    }
}

fn linears(c: &mut Criterion) {
    let f = linear::Features { input: 1728, output: 240 };
    for n in [1, 32] {
        let (x, w, b) = (numbers(n * f.input), numbers(f.input * f.output), numbers(f.output));
        let gy = numbers(n * f.output);
        let mut group = c.benchmark_group(format!("fc1 batch {n}"));
        group.throughput(Throughput::Elements((2 * n * f.input * f.output) as u64));
        let mut y = vec![0.0; gy.len()];
        group.bench_function("forward", |bench| {
            bench.iter(|| linear::forward(f, n, black_box(&x), &w, &b, &mut y));
        });
        let (mut gw, mut gb, mut gx) = (vec![0.0; w.len()], vec![0.0; b.len()], vec![0.0; x.len()]);
        group.bench_function("backward_weights", |bench| {
            bench.iter(|| linear::backward_weights(f, &Parts::of(n), black_box(&x), &gy, &mut gw, &mut gb));
        });
        group.bench_function("backward_input", |bench| {
            bench.iter(|| linear::backward_input(f, n, black_box(&w), &gy, &mut gx));
        });
        group.finish();
    }
}

fn pools_and_relu(c: &mut Criterion) {
    let shape = PoolShape::square(6, (252, 252), 2, 2);
    let (n_in, n_out) = (BATCH * shape.in_len(), BATCH * shape.out_len());
    let (x, gy) = (numbers(n_in), numbers(n_out));
    let (mut y, mut argmax, mut gx) = (vec![0.0; n_out], vec![0; n_out], vec![0.0; n_in]);
    let mut group = c.benchmark_group("pool1");
    group.throughput(Throughput::Bytes((4 * n_in + 5 * n_out) as u64));
    group.bench_function("forward", |b| {
        b.iter(|| maxpool::forward(&shape, BATCH, black_box(&x), &mut y, &mut argmax));
    });
    group.bench_function("backward", |b| {
        b.iter(|| maxpool::backward(&shape, BATCH, black_box(&argmax), &gy, &mut gx));
    });
    group.finish();

    let mut group = c.benchmark_group("relu1");
    group.throughput(Throughput::Bytes(8 * n_out as u64));
    let mut out = vec![0.0; n_out];
    group.bench_function("forward", |b| b.iter(|| activation::forward(black_box(&y), &mut out)));
    group.finish();

    let shape = PoolShape::square(192, (8, 8), 4, 2);
    let (n_in, n_out) = (BATCH * shape.in_len(), BATCH * shape.out_len());
    let mut group = c.benchmark_group("pool5");
    group.throughput(Throughput::Bytes(4 * (n_in + n_out) as u64));
    group.bench_function("forward", |b| {
        b.iter(|| avgpool::forward(&shape, BATCH, black_box(&x[..n_in]), &mut y[..n_out]));
    });
    group.bench_function("backward", |b| {
        b.iter(|| avgpool::backward(&shape, BATCH, black_box(&gy[..n_out]), &mut gx[..n_in]));
    });
    group.finish();
}

fn whole_forward(c: &mut Criterion) {
    let config = NetworkConfig::five_conv(InputShape { height: 256, width: 256 }, 2);
    let network = config.build(&Normalization::IDENTITY).unwrap_or_else(|e| panic!("{e}"));
    let weights: BTreeMap<String, Weight> = network
        .params()
        .iter()
        .map(|p| {
            let bound = 1.0 / (p.fan_in as f32).sqrt();
            let data = numbers(p.shape.iter().product()).iter().map(|v| v * bound).collect();
            (p.name.clone(), Weight { shape: p.shape.clone(), data })
        })
        .collect();
    let forward = Forward::new(network, Weights(weights)).unwrap_or_else(|e| panic!("{e}"));
    let mut group = c.benchmark_group("whole forward");
    for n in [1, 32] {
        let photos: Vec<f32> = numbers(n * 3 * 256 * 256).iter().map(|v| v.abs()).collect();
        group.throughput(Throughput::Elements(n as u64)).sample_size(20);
        group.bench_function(format!("batch {n}"), |b| {
            b.iter(|| {
                let output =
                    forward.run(ImageBatch::Floats(black_box(&photos)), n).unwrap_or_else(|e| panic!("{e}"));
                assert!(output.boxes.iter().all(|v| (0.0..=1.0).contains(v)));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, convolutions, channels_last, linears, pools_and_relu, whole_forward);
criterion_main!(benches);
