//! Compares the fused plan with the general kernels, computed layer by layer in f64.

use super::*;
use crate::exec::table::{conv_shape, pool_shape};
use crate::kernels::image_input::ImageBatch;
use crate::kernels::parts::Parts;
use crate::kernels::testing::{assert_close, numbers, same_for_any_threads, single};
use crate::kernels::{activation, avgpool, conv2d, maxpool};
use crate::ops::{AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Normalize, Pool, Relu};
use crate::{InputShape, NetworkConfig, Normalization};
use crate::{Network, Op, Source};

fn network(height: usize, width: usize, normalization: &Normalization) -> Network {
    NetworkConfig::five_conv(InputShape { height, width }, 2).build(normalization).unwrap()
}

const NORMALIZATION: Normalization = Normalization { mean: [0.5, 0.4, 0.3], std: [0.25, 0.2, 0.3] };

fn params(plan: &FusedPlan) -> Vec<f32> {
    let shapes =
        plan.shapes().flat_map(|s| [(s.weight_len(), s.in_channels), (s.out_channels, s.in_channels)]);
    let values = shapes.enumerate().flat_map(|(i, (len, ins))| {
        let bound = 2.0 / ((ins * 25) as f64).sqrt();
        numbers(i as u64, len).into_iter().map(move |v| v * bound)
    });
    single(&values.collect::<Vec<_>>())
}

/// Each parameter in a slice.
fn slices<'a>(plan: &FusedPlan, params: &'a [f32]) -> Vec<&'a [f32]> {
    let mut rest = params;
    let lens = plan.shapes().flat_map(|s| [s.weight_len(), s.out_channels]);
    let next = |len: usize| {
        let (own, others) = rest.split_at(len);
        rest = others;
        own
    };
    lens.map(next).collect()
}

fn bytes(n: usize) -> Vec<u8> {
    numbers(77, n).iter().map(|v| ((v + 1.0) * 127.9) as u8).collect()
}

/// Computes features and parameter gradients of one photo with the f64 references; `gy` is the gradient of the
/// features.
fn reference(
    network: &Network,
    plan: &FusedPlan,
    params: &[f32],
    photo: &[f64],
    gy: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let mut values: Vec<Vec<f64>> = Vec::new();
    let mut argmax: Vec<Vec<u8>> = Vec::new();
    let params64: Vec<f64> = params.iter().map(|v| f64::from(*v)).collect();
    let conv_of = |i: usize| match &network.layers()[i].op {
        Op::Conv2d(conv) => {
            let (in_channels, h, w) = network.source_shape(network.layers()[i].inputs[0]).chw().unwrap();
            conv_shape(conv, in_channels, (h, w))
        }
        _ => unreachable!("a convolution"),
    };
    let pool_of = |i: usize, pool: &Pool| {
        let (channels, h, w) = network.source_shape(network.layers()[i].inputs[0]).chw().unwrap();
        pool_shape(*pool, channels, (h, w))
    };
    let mut at = 0;
    let mut offsets = Vec::new();
    for i in 0..plan.layers() {
        let x = if i == 0 { photo } else { &values[i - 1] };
        let mut y = vec![0.0; network.shape(i).len()];
        let mut argmax_bytes = Vec::new();
        offsets.push(at);
        match &network.layers()[i].op {
            Op::Normalize(Normalize { mean, std }) => {
                let plane = y.len() / 3;
                for (j, y) in y.iter_mut().enumerate() {
                    *y = (x[j] - f64::from(mean[j / plane])) / f64::from(std[j / plane]);
                }
            }
            Op::Conv2d(_) => {
                let shape = conv_of(i);
                let (w, b) = params64[at..].split_at(shape.weight_len());
                conv2d::reference::forward(&shape, 1, x, w, b, &mut y);
                at += shape.weight_len() + shape.out_channels;
            }
            Op::MaxPool2d(MaxPool2d(pool)) => {
                argmax_bytes = vec![0; y.len()];
                maxpool::reference::forward(&pool_of(i, pool), 1, x, &mut y, &mut argmax_bytes);
            }
            Op::AvgPool2d(AvgPool2d(pool)) => avgpool::reference::forward(&pool_of(i, pool), 1, x, &mut y),
            Op::Relu(Relu) => activation::forward(x, &mut y),
            op => unreachable!("{op:?} in a fused plan"),
        }
        values.push(y);
        argmax.push(argmax_bytes);
    }
    let mut gradient = vec![0.0; params64.len()];
    let mut g = gy.to_vec();
    for i in (0..plan.layers()).rev() {
        let x = if i == 0 { photo } else { &values[i - 1] };
        let mut gx = vec![0.0; x.len()];
        match &network.layers()[i].op {
            Op::Conv2d(_) => {
                let shape = conv_of(i);
                let (w_len, b_len) = (shape.weight_len(), shape.out_channels);
                let (gw, gb) = gradient[offsets[i]..][..w_len + b_len].split_at_mut(w_len);
                conv2d::reference::backward_weights(&shape, 1, x, &g, gw, gb);
                conv2d::reference::backward_input(&shape, 1, &params64[offsets[i]..][..w_len], &g, &mut gx);
            }
            Op::MaxPool2d(MaxPool2d(pool)) => {
                maxpool::reference::backward(&pool_of(i, pool), 1, &argmax[i], &g, &mut gx)
            }
            Op::AvgPool2d(AvgPool2d(pool)) => avgpool::reference::backward(&pool_of(i, pool), 1, &g, &mut gx),
            Op::Relu(Relu) => activation::backward(&values[i], &g, &mut gx),
            _ => {}
        }
        g = gx;
    }
    (values.pop().unwrap(), gradient)
}

fn check(height: usize, width: usize, normalization: &Normalization) {
    const N: usize = 2;
    let network = network(height, width, normalization);
    let mut plan = FusedPlan::of(&network, true).unwrap();
    let params = params(&plan);
    let own = slices(&plan, &params);
    plan.pack(&own);
    let bytes = bytes(N * plan.photo_len());
    let (out, len, plane) = (plan.out_len(), plan.photo_len(), plan.photo_len() / 3);
    let gy = numbers(5, N * out);
    let (mut expected, mut expected_gradient) = (Vec::new(), vec![0.0; params.len()]);
    for photo in 0..N {
        let bytes = &bytes[photo * len..][..len];
        let planar: Vec<f64> =
            (0..len).map(|i| f64::from(f32::from(bytes[i % plane * 3 + i / plane]) / 255.0)).collect();
        let (y, gradient) = reference(&network, &plan, &params, &planar, &gy[photo * out..][..out]);
        expected.extend(y);
        expected_gradient.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
    }

    let mut features = vec![7.0; N * out];
    plan.infer(ImageBatch::Bytes(&bytes), N, &mut features);
    assert_close("features", &features, &expected, 3e-6);
    let mut pass = FusedTraining::new(plan);
    pass.pack(&own);
    let mut again = vec![7.0; N * out];
    pass.forward(ImageBatch::Bytes(&bytes), N, &mut again);
    assert_eq!(again, features, "training and inference compute the same");
    let mut gradient = vec![7.0; params.len()];
    pass.backward(ImageBatch::Bytes(&bytes), &Parts::of(N), &single(&gy), &mut gradient);
    let mut at = 0;
    for (i, len) in own.iter().map(|values| values.len()).enumerate() {
        let name = format!("parameter {i}");
        // A near tie may give another argmax than f64 does. That changes a gradient by far more than rounding, but it
        // is rare and bounded.
        let (got, expected) = (&gradient[at..][..len], &expected_gradient[at..][..len]);
        assert_close(&name, got, expected, 5e-3);
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
        let error = norm(&mut got.iter().zip(expected).map(|(a, b)| f64::from(*a) - b));
        let relative = error / norm(&mut expected.iter().copied());
        assert!(relative < 1e-3, "{name}: relative error {relative:e} in norm");
        at += len;
    }
}

#[test]
fn the_tutorials_network_at_its_input_size() {
    check(256, 256, &Normalization::IDENTITY);
}

#[test]
fn odd_sizes_and_a_normalisation() {
    check(188, 189, &NORMALIZATION);
    check(203, 226, &NORMALIZATION);
}

#[test]
fn a_network_that_does_not_fit_is_not_fused() {
    use crate::NetworkBuilder;
    // (kernel of the first convolution, pool after it)
    let build = |kernel: usize, pool: usize| {
        let mut net = NetworkBuilder::new(64, 64);
        let mut x = net.add("conv1", Op::Conv2d(Conv2d::square(8, kernel)), Source::Input).unwrap();
        x = net.add("pool1", Op::MaxPool2d(MaxPool2d(Pool::square(pool, pool))), x).unwrap();
        x = net.add("relu1", Op::Relu(Relu), x).unwrap();
        x = net.add("conv2", Op::Conv2d(Conv2d::square(16, 5)), x).unwrap();
        x = net.add("relu2", Op::Relu(Relu), x).unwrap();
        x = net.add("pool2", Op::AvgPool2d(AvgPool2d(Pool::square(4, 2))), x).unwrap();
        x = net.add("features", Op::Flatten(Flatten), x).unwrap();
        let logits = net.add("class", Op::Linear(Linear { out_features: 2 }), x).unwrap();
        let boxes = net.add("box", Op::Linear(Linear { out_features: 4 }), x).unwrap();
        net.finish(logits, boxes).unwrap()
    };
    let planned = |kernel, pool| FusedPlan::of(&build(kernel, pool), false).map(|plan| plan.layers());
    assert_eq!(planned(5, 2), Some(6));
    assert_eq!(planned(3, 2), None, "a 3×3 kernel");
    assert_eq!(planned(5, 3), None, "a 3×3 pool");
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let network = network(188, 190, &NORMALIZATION);
    let plan = FusedPlan::of(&network, true).unwrap();
    let params = params(&plan);
    const N: usize = 9;
    let photos = bytes(N * plan.photo_len());
    let gy = single(&numbers(3, N * plan.out_len()));
    same_for_any_threads("a training pass", || {
        let plan = FusedPlan::of(&network, true).unwrap();
        let own = slices(&plan, &params);
        let mut pass = FusedTraining::new(plan);
        pass.pack(&own);
        let (mut features, mut gradient) = (vec![0.0; N * pass.plan().out_len()], vec![0.0; params.len()]);
        pass.forward(ImageBatch::Bytes(&photos), N, &mut features);
        pass.backward(ImageBatch::Bytes(&photos), &Parts::of(N), &gy, &mut gradient);
        features.extend(&gradient);
        // Buffers left by the larger pass do not change the result of a smaller one.
        pass.forward(ImageBatch::Bytes(&photos[..pass.plan().photo_len()]), 1, &mut features[..gy.len() / N]);
        features
    });
}
