//! Every operation in both its forms: against PyTorch, against its difference quotient, against the other form.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{FORMS, apply, assert_close, both_ways, both_ways_of, golden, numbers, random, tied};
use loc_model::ops::{self, Backend};
use loc_net::Op;
use loc_net::ops::{
    AvgPool2d, Axis, ChannelAffine, Conv2d, GroupMean, Linear, MaxPool2d, MeanMaxPool, Normalize, Pool, Relu,
    Relu6, Sigmoid, SoftmaxExpectation, Upsample,
};
use proptest::prelude::*;

/// What f32 may differ from f64 by, over the largest value: sums of up to a few hundred products.
const F32: f64 = 5e-6;
/// The same where both sides are f64 and add in another order.
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
        "mean" => Op::GroupMean(GroupMean { parts: at(0) }),
        "sigmoid" => Op::Sigmoid(Sigmoid),
        _ => panic!("unknown operation {kind}"),
    }
}

#[test]
fn values_and_gradients_are_pytorchs() {
    let golden = golden("ops");
    let mut cases: Vec<&str> = golden.keys().filter_map(|k| k.strip_suffix("/geometry")).collect();
    cases.sort_unstable();
    assert_eq!(cases.len(), 45, "the cases of ops.py");
    for case in cases {
        let tensor = |name: &str| golden.get(&format!("{case}/{name}"));
        let geometry: Vec<i64> = tensor("geometry").unwrap().to_vec1().unwrap();
        let channels = tensor("w").map_or(0, |w| w.dim(0).unwrap());
        let op = op_of(case.split('/').next().unwrap(), &geometry, channels);
        let names: Vec<&str> = ["x", "w", "b"].into_iter().filter(|n| tensor(n).is_some()).collect();
        for (dtype, tolerance) in [(DType::F64, F64), (DType::F32, F32)] {
            let typed = |name: &str| tensor(name).unwrap().to_dtype(dtype).unwrap();
            let inputs: Vec<Tensor> = names.iter().map(|n| typed(n)).collect();
            for form in FORMS {
                let (y, grads) = both_ways(&op, &inputs, &typed("gy"), form);
                let what = format!("{case}, {dtype:?}, {form:?}");
                assert_close(&format!("{what}: y"), &y, tensor("y").unwrap(), tolerance);
                for (name, grad) in names.iter().zip(&grads) {
                    let reference = tensor(&format!("g{name}")).unwrap();
                    assert_close(&format!("{what}: g{name}"), grad, reference, tolerance);
                }
            }
        }
    }
}

/// Compares the gradient with the central difference of `Σ y · gy` at every entry of every input, in f64.
#[track_caller]
fn check_gradient(op: &Op, inputs: &[Tensor], form: Backend) {
    const STEP: f64 = 1e-5;
    let gy = random(apply(op, inputs, form).unwrap().dims(), 9, DType::F64);
    let loss = |inputs: &[Tensor]| -> f64 {
        let y = apply(op, inputs, form).unwrap();
        (y * &gy).unwrap().sum_all().unwrap().to_scalar().unwrap()
    };
    let (_, grads) = both_ways(op, inputs, &gy, form);
    for (which, grad) in grads.iter().enumerate() {
        let (values, dims) = (numbers(&inputs[which]), inputs[which].dims());
        for (i, gradient) in numbers(grad).into_iter().enumerate() {
            let at = |step: f64| {
                let mut moved = values.clone();
                moved[i] += step;
                let mut inputs = inputs.to_vec();
                inputs[which] = Tensor::from_vec(moved, dims, &Device::Cpu).unwrap();
                loss(&inputs)
            };
            let quotient = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let error = (quotient - gradient).abs();
            assert!(error < 1e-8, "{op:?}, {form:?}, input {which}[{i}]: {gradient}, quotient {quotient}");
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
        for form in FORMS {
            check_gradient(op, &inputs, form);
        }
    }
}

#[test]
fn a_tie_gives_the_whole_gradient_to_the_first_cell() {
    // Windows without any difference: beyond a difference quotient, which has no derivative to find here.
    let x = Tensor::ones((1, 1, 5, 5), DType::F32, &Device::Cpu).unwrap();
    let gy = Tensor::new(&[[[[1f32, 2.], [3., 4.]]]], &Device::Cpu).unwrap();
    let op = Op::MaxPool2d(MaxPool2d(Pool::square(2, 2)));
    for form in FORMS {
        let (_, grads) = both_ways(&op, std::slice::from_ref(&x), &gy, form);
        let mut expected = vec![0.0; 25];
        (expected[0], expected[2], expected[10], expected[12]) = (1.0, 2.0, 3.0, 4.0);
        assert_eq!(numbers(&grads[0]), expected, "{form:?}");
    }
}

#[test]
fn relu_passes_no_gradient_at_zero_and_hides_no_nan() {
    let x = Tensor::new(&[-1f32, -0.0, 0.0, 1.0, f32::INFINITY, f32::NEG_INFINITY], &Device::Cpu).unwrap();
    let nan = Tensor::new(&[f32::NAN], &Device::Cpu).unwrap();
    for form in FORMS {
        let (y, grads) = both_ways(&Op::Relu(Relu), std::slice::from_ref(&x), &x.ones_like().unwrap(), form);
        assert_eq!(numbers(&y), [0.0, 0.0, 0.0, 1.0, f64::INFINITY, 0.0], "{form:?}");
        assert_eq!(numbers(&grads[0]), [0.0, 0.0, 0.0, 1.0, 1.0, 0.0], "{form:?}");
        assert!(
            numbers(&apply(&Op::Relu(Relu), std::slice::from_ref(&nan), form).unwrap())[0].is_nan(),
            "{form:?}"
        );
    }
}

#[test]
fn a_nan_wins_its_window_wherever_it_stands() {
    for at in 0..4 {
        let mut values = [1f32, 2.0, 3.0, 4.0];
        values[at] = f32::NAN;
        let x = Tensor::from_slice(&values, (1, 1, 2, 2), &Device::Cpu).unwrap();
        for form in FORMS {
            let y =
                apply(&Op::MaxPool2d(MaxPool2d(Pool::square(2, 2))), std::slice::from_ref(&x), form).unwrap();
            assert!(numbers(&y)[0].is_nan(), "{form:?}, cell {at}");
        }
    }
}

#[test]
fn gradients_that_nobody_wants_are_not_computed() {
    let tracked = |dims: &[usize]| Var::from_tensor(&random(dims, 1, DType::F32)).unwrap();
    let (photo, features) = (random(&[1, 3, 8, 8], 2, DType::F32), random(&[2, 6], 3, DType::F32));
    let (w, b) = (tracked(&[2, 3, 5, 5]), tracked(&[2]));
    let (linear_w, linear_b) = (tracked(&[4, 6]), tracked(&[4]));
    let cases = [
        (Op::Conv2d(Conv2d::square(2, 5)), photo, w, b),
        (Op::Linear(Linear { out_features: 4 }), features, linear_w, linear_b),
    ];
    for (op, x, w, b) in cases {
        let inputs = [x.clone(), w.as_tensor().clone(), b.as_tensor().clone()];
        let y = apply(&op, &inputs, Backend::Kernels).unwrap();
        let grads = y.sum_all().unwrap().backward().unwrap();
        assert!(grads.get(&x).is_none(), "{op:?}: the input's gradient");
        assert!(grads.get(&w).is_some() && grads.get(&b).is_some(), "{op:?}");
        // And with frozen weights only the input's.
        let x = Var::from_tensor(&x).unwrap();
        let inputs = [x.as_tensor().clone(), w.as_detached_tensor(), b.as_detached_tensor()];
        let grads = apply(&op, &inputs, Backend::Kernels).unwrap().sum_all().unwrap().backward().unwrap();
        assert!(grads.get(&x).is_some(), "{op:?}: the input's gradient is wanted");
        assert!(grads.get(&inputs[1]).is_none() && grads.get(&inputs[2]).is_none(), "{op:?}: frozen");
    }

    let photo = random(&[9, 3, 12, 12], 2, DType::F32);
    let (w, b) = (tracked(&[2, 3, 5, 5]), tracked(&[2]));
    let fused = |x: &Tensor, w: &Tensor, b: &Tensor| {
        let y = ops::conv_pool_relu(x, w, b, &Conv2d::square(2, 5), Pool::square(2, 2), Backend::Kernels)
            .unwrap();
        y.sum_all().unwrap().backward().unwrap()
    };
    let grads = fused(&photo, &w, &b);
    assert!(grads.get(&photo).is_none() && grads.get(&w).is_some() && grads.get(&b).is_some());
    let x = Var::from_tensor(&photo).unwrap();
    let (frozen_w, frozen_b) = (w.as_detached_tensor(), b.as_detached_tensor());
    let grads = fused(&x, &frozen_w, &frozen_b);
    assert!(grads.get(&x).is_some() && grads.get(&frozen_w).is_none() && grads.get(&frozen_b).is_none());
}

#[test]
fn strided_inputs_and_gradients_are_read_right() {
    let cases = [
        (Op::Conv2d(Conv2d::square(2, 3)), vec![vec![2, 3, 6, 7], vec![2, 3, 3, 3], vec![2]]),
        (Op::MaxPool2d(MaxPool2d(Pool::square(2, 2))), vec![vec![2, 3, 6, 7]]),
        (Op::AvgPool2d(AvgPool2d(Pool::square(3, 2))), vec![vec![2, 3, 6, 7]]),
        (Op::Relu(Relu), vec![vec![2, 3, 6, 7]]),
        (Op::Linear(Linear { out_features: 3 }), vec![vec![4, 6], vec![3, 6], vec![3]]),
    ];
    // The same numbers, seen through a transposed layout with an offset.
    let strided = |t: &Tensor| {
        if t.rank() < 2 {
            return t.clone();
        }
        let (a, b) = (t.rank() - 2, t.rank() - 1);
        let moved = t.transpose(a, b).unwrap().contiguous().unwrap();
        let rows = moved.dim(0).unwrap();
        let longer = Tensor::cat(&[&moved.zeros_like().unwrap(), &moved], 0).unwrap();
        longer.narrow(0, rows, rows).unwrap().transpose(a, b).unwrap()
    };
    for (op, shapes) in &cases {
        let inputs: Vec<Tensor> =
            shapes.iter().zip(1..).map(|(dims, stream)| random(dims, stream, DType::F32)).collect();
        let views: Vec<Tensor> = inputs.iter().map(strided).collect();
        let gy = random(apply(op, &inputs, Backend::Kernels).unwrap().dims(), 7, DType::F32);
        for form in FORMS {
            let (y, expected) = both_ways(op, &inputs, &gy, form);
            let (y_of_views, got) = both_ways(op, &views, &strided(&gy), form);
            assert_close(&format!("{op:?}, {form:?}: y"), &y_of_views, &y, 1e-6);
            for (got, expected) in got.iter().zip(&expected) {
                assert_close(&format!("{op:?}, {form:?}: gradient"), got, expected, 1e-6);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
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
        for form in FORMS {
            let error = apply(op, inputs, form).unwrap_err().to_string();
            assert!(error.contains(name), "{op:?}: `{error}` does not name {name}");
        }
    }
    let whole = Tensor::zeros((1, 1, 4, 4), DType::U32, &Device::Cpu).unwrap();
    let error = apply(&Op::Relu(Relu), &[whole], Backend::Kernels).unwrap_err().to_string();
    assert!(error.contains("relu") && error.contains("U32"), "{error}");
}

/// Both forms in f32 against the composed one in f64. With inputs of [`tied`] every sum is exact, whatever its order:
/// what is left to differ is a quotient.
fn compare(op: &Op, inputs: &[Tensor]) {
    let gy = tied(apply(op, inputs, Backend::Composed).unwrap().dims(), 8, 8.0, DType::F64);
    let (y, grads) = both_ways(op, inputs, &gy, Backend::Composed);
    let single: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F32).unwrap()).collect();
    for form in FORMS {
        let (y32, grads32) = both_ways(op, &single, &gy.to_dtype(DType::F32).unwrap(), form);
        assert_close(&format!("{op:?}, {form:?}: y"), &y32, &y, F32);
        for (i, (got, expected)) in grads32.iter().zip(&grads).enumerate() {
            assert_close(&format!("{op:?}, {form:?}: gradient {i}"), got, expected, F32);
        }
    }
    let (y64, grads64) = both_ways(op, inputs, &gy, Backend::Kernels);
    assert_close(&format!("{op:?}, plain twin: y"), &y64, &y, F64);
    for (i, (got, expected)) in grads64.iter().zip(&grads).enumerate() {
        assert_close(&format!("{op:?}, plain twin: gradient {i}"), got, expected, F64);
    }
}

fn pair(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = (usize, usize)> {
    (range.clone(), range)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn forms_agree_on_any_convolution(
        n in 1usize..=3, groups in 1usize..=3, cin in 1usize..=3, cout in 1usize..=3,
        kernel in pair(1..=5), stride in pair(1..=3), padding in pair(0..=2), extra in pair(0..=7),
    ) {
        let conv = Conv2d { out_channels: cout * groups, kernel, stride, padding, extra: (0, 0), groups };
        let x = tied(&[n, cin * groups, kernel.0 + extra.0, kernel.1 + extra.1], 1, 8.0, DType::F64);
        let w = tied(&[cout * groups, cin, kernel.0, kernel.1], 2, 8.0, DType::F64);
        compare(&Op::Conv2d(conv), &[x, w, tied(&[cout * groups], 3, 8.0, DType::F64)]);
    }

    #[test]
    fn forms_agree_on_any_pool_ties_included(
        n in 1usize..=3, channels in 1usize..=3, kernel in pair(1..=4), stride in pair(1..=4),
        extra in pair(0..=7), steps in 1u32..=4,
    ) {
        let dims = [n, channels, kernel.0 + extra.0, kernel.1 + extra.1];
        // Quarters and the like: the same number in f32 and f64, so the same ties.
        let x = tied(&dims, 4, f64::from(1 << steps), DType::F64);
        compare(&Op::MaxPool2d(MaxPool2d(Pool { kernel, stride })), std::slice::from_ref(&x));
        compare(&Op::AvgPool2d(AvgPool2d(Pool { kernel, stride })), &[x]);
    }

    #[test]
    fn the_fused_operation_is_its_three_parts(
        n in 1usize..=10, cin in 1usize..=3, cout in 1usize..=8, kernel in pair(1..=5), padding in pair(0..=1),
        window in pair(1..=3), stride in pair(1..=3), extra in pair(2..=70),
    ) {
        let conv = Conv2d { out_channels: cout, kernel, stride: (1, 1), padding, extra: (0, 0), groups: 1 };
        let pool = Pool { kernel: window, stride };
        // Halves, quarters and eighths: every sum is exact, so the number types have the same ties and the same gradients.
        let inputs = [
            tied(&[n, cin, kernel.0 + extra.0 % 9 + 2, kernel.1 + extra.1], 1, 4.0, DType::F64),
            tied(&[cout, cin, kernel.0, kernel.1], 2, 2.0, DType::F64),
            tied(&[cout], 3, 4.0, DType::F64),
        ];
        let parts = |t: &[Tensor]| {
            let map = ops::conv2d(&t[0], &t[1], &t[2], &conv, Backend::Composed)?;
            ops::relu(&ops::maxpool2d(&map, pool, Backend::Composed)?, Backend::Composed)
        };
        let gy = tied(parts(&inputs).unwrap().dims(), 4, 8.0, DType::F64);
        let (y, grads) = both_ways_of(parts, &inputs, &gy);
        for dtype in [DType::F32, DType::F64] {
            let typed: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(dtype).unwrap()).collect();
            let fused =
                |t: &[Tensor]| ops::conv_pool_relu(&t[0], &t[1], &t[2], &conv, pool, Backend::Kernels);
            let (fused_y, fused_grads) = both_ways_of(fused, &typed, &gy.to_dtype(dtype).unwrap());
            assert_eq!(numbers(&fused_y), numbers(&y));
            for (i, (got, expected)) in fused_grads.iter().zip(&grads).enumerate() {
                assert_eq!(numbers(got), numbers(expected), "{dtype:?}: gradient {i}");
            }
        }
    }

    #[test]
    fn forms_agree_on_any_linear_layer(n in 1usize..=5, input in 1usize..=40, output in 1usize..=20) {
        let x = tied(&[n, input], 5, 8.0, DType::F64);
        let w = tied(&[output, input], 6, 8.0, DType::F64);
        compare(&Op::Linear(Linear { out_features: output }), &[x, w, tied(&[output], 7, 8.0, DType::F64)]);
    }

    #[test]
    fn forms_agree_on_relu(len in 1usize..=300) {
        compare(&Op::Relu(Relu), &[tied(&[len], 8, 4.0, DType::F64)]);
    }
}
