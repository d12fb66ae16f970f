//! Compares the two implementations of every layer, Candle operations and loc-net's kernel, with PyTorch, with
//! difference quotients, and with each other.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{BACKENDS, apply, assert_close, forward_backward, golden, numbers, random, tied};
use loc_model::Backend;
use loc_net::Op;
use loc_net::ops::{
    AvgPool2d, Axis, ChannelAffine, Conv2d, GroupMean, Linear, MaxPool2d, MeanMaxPool, Normalize, Pool,
    RegionPool, Relu, Relu6, Sigmoid, SoftmaxExpectation, Upsample,
};
use proptest::prelude::*;

/// Tolerance of f32 against f64, relative to the largest value: for sums of a few hundred products at most.
const F32: f64 = 5e-6;
/// Tolerance of f64 against f64 with another order of sums.
const F64: f64 = 1e-13;

fn op_of(kind: &str, geometry: &[i64], out_channels: usize) -> Op {
    let at = |i: usize| usize::try_from(geometry[i]).unwrap();
    match kind {
        "conv2d" => Op::Conv2d(Conv2d {
            out_channels,
            kernel: (at(0), at(1)),
            stride: (at(2), at(3)),
            padding: (at(4), at(5)),
            extra: if geometry.len() > 7 { (at(7), at(8)) } else { (0, 0) },
            groups: at(6),
        }),
        "maxpool2d" => Op::MaxPool2d(MaxPool2d(Pool { kernel: (at(0), at(1)), stride: (at(2), at(3)) })),
        "avgpool2d" => Op::AvgPool2d(AvgPool2d(Pool { kernel: (at(0), at(1)), stride: (at(2), at(3)) })),
        "linear" => Op::Linear(Linear { out_features: at(1) }),
        "relu" => Op::Relu(Relu),
        "relu6" => Op::Relu6(Relu6),
        "affine" => Op::ChannelAffine(ChannelAffine { limit: 1.5 }),
        "upsample" => Op::Upsample(Upsample { size: (at(0), at(1)) }),
        "profile" => Op::MeanMaxPool(MeanMaxPool(if at(0) == 3 { Axis::Rows } else { Axis::Columns })),
        "expectation" => Op::SoftmaxExpectation(SoftmaxExpectation { bins: at(0) }),
        "region" => Op::RegionPool(RegionPool { max: at(0) == 1 }),
        "mean" => Op::GroupMean(GroupMean { parts: at(0) }),
        "sigmoid" => Op::Sigmoid(Sigmoid),
        _ => panic!("unknown operation {kind}"),
    }
}

#[test]
fn values_and_gradients_equal_pytorch() {
    let golden = golden("ops");
    let mut cases: Vec<&str> = golden.keys().filter_map(|k| k.strip_suffix("/geometry")).collect();
    cases.sort_unstable();
    assert_eq!(cases.len(), 47, "the cases of ops.py");
    for case in cases {
        let tensor = |name: &str| golden.get(&format!("{case}/{name}"));
        let geometry: Vec<i64> = tensor("geometry").unwrap().to_vec1().unwrap();
        let channels = tensor("w").map_or(0, |w| w.dim(0).unwrap());
        let op = op_of(case.split('/').next().unwrap(), &geometry, channels);
        let names: Vec<&str> = ["x", "w", "b", "boxes"].into_iter().filter(|n| tensor(n).is_some()).collect();
        let types_and_backends = [
            (DType::F64, F64, Backend::Composed),
            (DType::F32, F32, Backend::Composed),
            (DType::F32, F32, Backend::Kernels),
        ];
        for (dtype, tolerance, backend) in types_and_backends {
            let typed = |name: &str| tensor(name).unwrap().to_dtype(dtype).unwrap();
            let inputs: Vec<Tensor> = names.iter().map(|n| typed(n)).collect();
            let (y, grads) = forward_backward(&op, &inputs, &typed("gy"), backend);
            let what = format!("{case}, {dtype:?}, {backend:?}");
            assert_close(&format!("{what}: y"), &y, tensor("y").unwrap(), tolerance);
            for (name, grad) in names.iter().zip(&grads) {
                let reference = tensor(&format!("g{name}")).unwrap();
                assert_close(&format!("{what}: g{name}"), grad, reference, tolerance);
            }
        }
    }
}

/// Compares the gradient with the central difference of `Σ y · gy` at every entry of every input, in f64.
#[track_caller]
fn check_gradient(op: &Op, inputs: &[Tensor]) {
    const STEP: f64 = 1e-5;
    let gy = random(apply(op, inputs).unwrap().dims(), 9, DType::F64);
    let loss = |inputs: &[Tensor]| -> f64 {
        let y = apply(op, inputs).unwrap();
        (y * &gy).unwrap().sum_all().unwrap().to_scalar().unwrap()
    };
    let (_, grads) = forward_backward(op, inputs, &gy, Backend::Composed);
    for (input, grad) in grads.iter().enumerate() {
        let (values, dims) = (numbers(&inputs[input]), inputs[input].dims());
        for (i, gradient) in numbers(grad).into_iter().enumerate() {
            let at = |step: f64| {
                let mut moved = values.clone();
                moved[i] += step;
                let mut inputs = inputs.to_vec();
                inputs[input] = Tensor::from_vec(moved, dims, &Device::Cpu).unwrap();
                loss(&inputs)
            };
            let quotient = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let error = (quotient - gradient).abs();
            assert!(error < 1e-8, "{op:?}, input {input}[{i}]: {gradient}, quotient {quotient}");
        }
    }
}

#[test]
fn gradients_are_the_difference_quotients() {
    let conv = |kernel, stride, padding, groups| {
        let op = Op::Conv2d(Conv2d { out_channels: 4, kernel, stride, padding, extra: (0, 0), groups });
        (op, vec![vec![2, 2, 6, 5], vec![4, 2 / groups, kernel.0, kernel.1], vec![4]])
    };
    let pool = |kernel, stride| Pool { kernel, stride };
    let map = || vec![vec![2, 2, 5, 7]];
    let cases = [
        conv((3, 3), (1, 1), (0, 0), 1),
        conv((3, 2), (2, 1), (1, 2), 2),
        conv((2, 3), (2, 2), (1, 1), 1),
        (Op::MaxPool2d(MaxPool2d(pool((2, 2), (2, 2)))), map()),
        (Op::MaxPool2d(MaxPool2d(pool((3, 2), (1, 2)))), map()),
        (Op::AvgPool2d(AvgPool2d(pool((2, 2), (2, 2)))), map()),
        (Op::AvgPool2d(AvgPool2d(pool((4, 3), (1, 2)))), map()),
        (Op::Linear(Linear { out_features: 3 }), vec![vec![4, 6], vec![3, 6], vec![3]]),
        (Op::Relu(Relu), map()),
        (Op::Relu6(Relu6), map()),
        (Op::ChannelAffine(ChannelAffine { limit: 0.7 }), vec![vec![2, 2, 5, 7], vec![2], vec![2]]),
        (Op::Upsample(Upsample { size: (9, 8) }), map()),
        (Op::MeanMaxPool(MeanMaxPool(Axis::Rows)), map()),
        (Op::MeanMaxPool(MeanMaxPool(Axis::Columns)), map()),
        (Op::SoftmaxExpectation(SoftmaxExpectation { bins: 5 }), vec![vec![2, 20]]),
        (Op::GroupMean(GroupMean { parts: 3 }), vec![vec![2, 12]]),
        (Op::Sigmoid(Sigmoid), vec![vec![3, 4]]),
        (Op::Normalize(Normalize { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.5] }), vec![vec![2, 3, 3, 2]]),
    ];
    for (op, shapes) in &cases {
        let inputs: Vec<Tensor> =
            shapes.iter().zip(1..).map(|(dims, stream)| random(dims, stream, DType::F64)).collect();
        check_gradient(op, &inputs);
    }
}

#[test]
fn a_tie_gives_the_whole_gradient_to_the_first_cell() {
    // Windows with equal cells: the maximum has no derivative there, so a difference quotient cannot test it.
    let x = Tensor::ones((1, 1, 5, 5), DType::F32, &Device::Cpu).unwrap();
    let gy = Tensor::new(&[[[[1f32, 2.], [3., 4.]]]], &Device::Cpu).unwrap();
    let op = Op::MaxPool2d(MaxPool2d(Pool::square(2, 2)));
    for backend in BACKENDS {
        let (_, grads) = forward_backward(&op, std::slice::from_ref(&x), &gy, backend);
        let mut expected = vec![0.0; 25];
        (expected[0], expected[2], expected[10], expected[12]) = (1.0, 2.0, 3.0, 4.0);
        assert_eq!(numbers(&grads[0]), expected, "{backend:?}");
    }
}

#[test]
fn relu_has_gradient_zero_at_zero_and_keeps_nan() {
    let x = Tensor::new(&[-1f32, -0.0, 0.0, 1.0, f32::INFINITY, f32::NEG_INFINITY], &Device::Cpu).unwrap();
    let nan = Tensor::new(&[f32::NAN], &Device::Cpu).unwrap();
    for backend in BACKENDS {
        let (y, grads) =
            forward_backward(&Op::Relu(Relu), std::slice::from_ref(&x), &x.ones_like().unwrap(), backend);
        assert_eq!(numbers(&y), [0.0, 0.0, 0.0, 1.0, f64::INFINITY, 0.0], "{backend:?}");
        assert_eq!(numbers(&grads[0]), [0.0, 0.0, 0.0, 1.0, 1.0, 0.0], "{backend:?}");
        let (y, _) = forward_backward(&Op::Relu(Relu), std::slice::from_ref(&nan), &nan, backend);
        assert!(numbers(&y)[0].is_nan(), "{backend:?}");
    }
}

#[test]
fn a_nan_in_any_cell_of_a_window_is_the_maximum() {
    for at in 0..4 {
        let mut values = [1f32, 2.0, 3.0, 4.0];
        values[at] = f32::NAN;
        let x = Tensor::from_slice(&values, (1, 1, 2, 2), &Device::Cpu).unwrap();
        for backend in BACKENDS {
            let gy = Tensor::ones((1, 1, 1, 1), DType::F32, &Device::Cpu).unwrap();
            let op = Op::MaxPool2d(MaxPool2d(Pool::square(2, 2)));
            let (y, _) = forward_backward(&op, std::slice::from_ref(&x), &gy, backend);
            assert!(numbers(&y)[0].is_nan(), "{backend:?}, cell {at}");
        }
    }
}

#[test]
fn unsuitable_inputs_are_rejected_and_named() {
    let t = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
    let conv = |groups| Op::Conv2d(Conv2d { groups, ..Conv2d::square(4, 3) });
    let cases = [
        (conv(1), vec![t(&[1, 2, 2, 9]), t(&[4, 2, 3, 3]), t(&[4])], "conv2d"),
        (conv(3), vec![t(&[1, 2, 9, 9]), t(&[4, 2, 3, 3]), t(&[4])], "conv2d"),
        (conv(1), vec![t(&[1, 2, 9, 9]), t(&[4, 3, 3, 3]), t(&[4])], "conv2d weight"),
        (conv(1), vec![t(&[1, 2, 9, 9]), t(&[4, 2, 3, 3]), t(&[5])], "conv2d bias"),
        (Op::MaxPool2d(MaxPool2d(Pool::square(4, 2))), vec![t(&[1, 2, 3, 9])], "maxpool2d"),
        (Op::MaxPool2d(MaxPool2d(Pool::square(17, 1))), vec![t(&[1, 1, 20, 20])], "maxpool2d"),
        (
            Op::MaxPool2d(MaxPool2d(Pool { kernel: (2, 2), stride: (0, 2) })),
            vec![t(&[1, 1, 9, 9])],
            "maxpool2d",
        ),
        (Op::AvgPool2d(AvgPool2d(Pool::square(4, 2))), vec![t(&[1, 2, 9, 3])], "avgpool2d"),
        (Op::Linear(Linear { out_features: 3 }), vec![t(&[2, 5]), t(&[3, 4]), t(&[3])], "linear weight"),
    ];
    for (op, inputs, name) in &cases {
        let error = apply(op, inputs).unwrap_err().to_string();
        assert!(error.contains(name), "{op:?}: `{error}` does not name {name}");
    }
}

/// Compares both backends in f32 with Candle's operations in f64. With inputs of [`tied`] every sum is exact in any
/// order, so only quotients can differ.
fn compare(op: &Op, inputs: &[Tensor]) {
    let gy = tied(apply(op, inputs).unwrap().dims(), 8, 8.0, DType::F64);
    let (y, grads) = forward_backward(op, inputs, &gy, Backend::Composed);
    let inputs_f32: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F32).unwrap()).collect();
    for backend in BACKENDS {
        let (y32, grads32) = forward_backward(op, &inputs_f32, &gy.to_dtype(DType::F32).unwrap(), backend);
        assert_close(&format!("{op:?}, {backend:?}: y"), &y32, &y, F32);
        for (i, (got, expected)) in grads32.iter().zip(&grads).enumerate() {
            assert_close(&format!("{op:?}, {backend:?}: gradient {i}"), got, expected, F32);
        }
    }
}

fn pair(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = (usize, usize)> {
    (range.clone(), range)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn backends_agree_on_any_convolution(
        n in 1usize..=3, groups in 1usize..=3, cin in 1usize..=3, cout in 1usize..=3,
        kernel in pair(1..=5), stride in pair(1..=3), padding in pair(0..=2), extra in pair(0..=7),
    ) {
        let conv = Conv2d { out_channels: cout * groups, kernel, stride, padding, extra: (0, 0), groups };
        let x = tied(&[n, cin * groups, kernel.0 + extra.0, kernel.1 + extra.1], 1, 8.0, DType::F64);
        let w = tied(&[cout * groups, cin, kernel.0, kernel.1], 2, 8.0, DType::F64);
        compare(&Op::Conv2d(conv), &[x, w, tied(&[cout * groups], 3, 8.0, DType::F64)]);
    }

    #[test]
    fn backends_agree_on_any_pool_even_with_ties(
        n in 1usize..=3, channels in 1usize..=3, kernel in pair(1..=4), stride in pair(1..=4),
        extra in pair(0..=7), steps in 1u32..=4,
    ) {
        let dims = [n, channels, kernel.0 + extra.0, kernel.1 + extra.1];
        // Multiples of a power of two are the same in f32 and f64, so the ties are the same.
        let x = tied(&dims, 4, f64::from(1 << steps), DType::F64);
        compare(&Op::MaxPool2d(MaxPool2d(Pool { kernel, stride })), std::slice::from_ref(&x));
        compare(&Op::AvgPool2d(AvgPool2d(Pool { kernel, stride })), &[x]);
    }

    #[test]
    fn backends_agree_on_any_linear_layer(n in 1usize..=5, input in 1usize..=40, output in 1usize..=20) {
        let x = tied(&[n, input], 5, 8.0, DType::F64);
        let w = tied(&[output, input], 6, 8.0, DType::F64);
        compare(&Op::Linear(Linear { out_features: output }), &[x, w, tied(&[output], 7, 8.0, DType::F64)]);
    }

    #[test]
    fn backends_agree_on_relu(len in 1usize..=300) {
        compare(&Op::Relu(Relu), &[tied(&[len], 8, 4.0, DType::F64)]);
    }
}
