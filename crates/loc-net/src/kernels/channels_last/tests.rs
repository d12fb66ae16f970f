//! Compares the convolutions with the f64 reference, which is planar.

use proptest::prelude::*;

use super::*;
use crate::kernels::conv2d::reference;
use crate::kernels::testing::{assert_close, numbers, same_for_any_threads, single};

/// A convolution of each form, with odd sizes and channels.
fn shapes() -> impl Strategy<Value = ConvShape> {
    let form = prop_oneof![Just(Form::Pointwise), Just(Form::Depthwise), Just(Form::Stem)];
    (form, 1usize..=70, 1usize..=60, 1usize..=23, 1usize..=23, 1usize..=2, any::<bool>(), any::<bool>())
        .prop_map(|(form, ins, outs, h, w, stride, five, same)| {
            let k = if five { 5 } else { 3 };
            let padded = |shape: ConvShape| match same {
                true => shape.same(),
                false => ConvShape { padding: (k - 1, 1), extra: (0, k - 1), ..shape },
            };
            let square =
                |ins, outs| ConvShape { stride: (stride, stride), ..ConvShape::square(ins, (h, w), outs, k) };
            match form {
                Form::Pointwise => ConvShape::square(ins, (h, w), outs, 1),
                Form::Depthwise => padded(ConvShape { groups: ins + 1, ..square(ins + 1, ins + 1) }),
                Form::Stem => padded(square(1 + ins % 4, outs)),
            }
        })
}

fn forward(kernel: &ConvLast, n: usize, x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
    let mut y = vec![7.0; n * kernel.shape.out_len()];
    kernel.forward(ForwardPass { n, inputs: &[x], params: &[w, b], y: &mut y, saved: None });
    y
}

/// Converts each of `n` maps.
fn maps(convert: fn((usize, usize), &[f32], &mut [f32]), size: (usize, usize), x: &[f32]) -> Vec<f32> {
    let mut y = vec![7.0; x.len()];
    convert(size, x, &mut y);
    y
}

fn compare(shape: &ConvShape, n: usize, activation: Activation) {
    let mut kernel = ConvLast::new(*shape, activation).unwrap();
    let (h, w) = shape.in_size;
    let (in_map, out_map) =
        ((shape.in_channels, h * w), (shape.out_channels, shape.out_len() / shape.out_channels));
    let (x, w, b) =
        (numbers(1, n * shape.in_len()), numbers(2, shape.weight_len()), numbers(3, shape.out_channels));
    let input = match kernel.form {
        Form::Stem => single(&x),
        _ => maps(from_planar, in_map, &single(&x)),
    };
    let y = forward(&kernel, n, &input, &single(&w), &single(&b));
    kernel.pack(&[&single(&w), &single(&b)], true);
    assert_eq!(forward(&kernel, n, &input, &[], &[]), y, "packed before");
    let mut expected = vec![7.0; y.len()];
    reference::activated(shape, activation, n, &x, &w, &b, &mut expected);
    assert_close("y", &maps(to_planar, out_map, &y), &expected, 1e-5);

    let gy = numbers(4, y.len());
    let given = maps(from_planar, out_map, &single(&gy));
    // The reference has the same active outputs, whatever the rounding.
    let (mut masked, mut expected_x) = (gy, vec![7.0; x.len()]);
    let planar: Vec<f64> = maps(to_planar, out_map, &y).iter().map(|v| f64::from(*v)).collect();
    activation.backward_in_place(&planar, &mut masked);
    let (mut expected_w, mut expected_b) = (vec![7.0; w.len()], vec![7.0; b.len()]);
    reference::backward_weights(shape, n, &x, &masked, &mut expected_w, &mut expected_b);
    reference::backward_input(shape, n, &w, &masked, &mut expected_x);
    let (gx, gw, gb) = backward(&kernel, n, (&input, &single(&w), &y), &given);
    assert_close("gw", &gw, &expected_w, 1e-5);
    assert_close("gb", &gb, &expected_b, 1e-5);
    let gx = match kernel.form {
        Form::Stem => gx,
        _ => maps(to_planar, in_map, &gx),
    };
    assert_close("gx", &gx, &expected_x, 1e-5);
}

/// Returns the gradients of input, weights and biases.
fn backward(
    kernel: &ConvLast,
    n: usize,
    (x, w, y): (&[f32], &[f32], &[f32]),
    gy: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (mut gx, mut gw) = (vec![7.0; x.len()], vec![7.0; w.len()]);
    let (mut gb, mut gy) = (vec![7.0; kernel.shape.out_channels], gy.to_vec());
    let pass = SavedPass { inputs: &[x], params: &[w], y, saved: &[] };
    let gradients =
        Gradients { output: &mut gy, inputs: &mut [Some(&mut gx)], params: &mut [&mut gw, &mut gb] };
    kernel.backward(&Parts::of(n), &pass, gradients);
    (gx, gw, gb)
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn lite0s_convolutions_equal_the_reference() {
    let same = |ins, outs, side, k, stride, groups| {
        let square = ConvShape::square(ins, (side, side), outs, k);
        ConvShape { stride: (stride, stride), groups, ..square }.same()
    };
    for shape in [
        same(3, 32, 66, 3, 2, 1),
        same(16, 96, 40, 1, 1, 1),
        same(144, 24, 29, 1, 1, 1),
        same(600, 50, 7, 1, 1, 1),
        same(96, 96, 41, 3, 2, 96),
        same(144, 144, 28, 5, 2, 144),
        same(272, 272, 14, 5, 1, 272),
        same(144, 144, 7, 3, 1, 144),
    ] {
        compare(&shape, 3, Activation::Relu6);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let square = |ins, outs, k| ConvShape::square(ins, (19, 17), outs, k);
    for shape in [
        square(70, 200, 1),
        ConvShape { groups: 150, ..square(150, 150, 5) }.same(),
        ConvShape { stride: (2, 2), ..square(3, 32, 3) }.same(),
    ] {
        let (kernel, n) = (ConvLast::new(shape, Activation::Relu6).unwrap(), 11);
        let (x, w) = (single(&numbers(1, n * shape.in_len())), single(&numbers(2, shape.weight_len())));
        let (b, gy) = (single(&numbers(3, shape.out_channels)), single(&numbers(4, n * shape.out_len())));
        same_for_any_threads("output and gradients", || {
            let y = forward(&kernel, n, &x, &w, &b);
            let (gx, gw, gb) = backward(&kernel, n, (&x, &w, &y), &gy);
            [y, gx, gw, gb].concat()
        });
    }
}

#[test]
fn a_planar_kernel_between_layers_with_channels_last() {
    let mean = crate::kernels::avgpool::AvgPool(crate::kernels::PoolShape::square(2, (2, 2), 2, 2));
    let kernel = PlanarInputs::new(Box::new(mean), vec![Some((2, 4))]);
    let x = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 6.0, 60.0];
    let (mut y, mut gx) = ([7.0; 2], [7.0; 8]);
    kernel.forward(ForwardPass { n: 1, inputs: &[&x], params: &[], y: &mut y, saved: None });
    assert_eq!(y, [3.0, 30.0]);
    let pass = SavedPass { inputs: &[&x], params: &[], y: &y, saved: &[] };
    let gradients = Gradients { output: &mut [4.0, 8.0], inputs: &mut [Some(&mut gx)], params: &mut [] };
    kernel.backward(&Parts::of(1), &pass, gradients);
    assert_eq!(gx, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "takes many minutes under Miri")]
    fn equals_the_reference(
        shape in shapes(), n in 1usize..=3,
        activation in prop_oneof![Just(Activation::None), Just(Activation::Relu), Just(Activation::Relu6)],
    ) {
        compare(&shape, n, activation);
    }

    #[test]
    fn conversions_are_inverse(channels in 1usize..40, cells in 1usize..40) {
        let x = single(&numbers(1, 2 * channels * cells));
        let planar = maps(to_planar, (channels, cells), &x);
        let at = |channel: usize, cell: usize| (planar[channel * cells + cell], x[cell * channels + channel]);
        let (a, b) = at(channels - 1, cells / 2);
        assert_eq!(a, b);
        assert_eq!(maps(from_planar, (channels, cells), &planar), x);
    }
}
