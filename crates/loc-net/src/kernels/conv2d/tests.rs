//! Compares the convolution with the f64 reference, and the reference's gradients with difference quotients.

use proptest::prelude::*;

use super::{backward_input, backward_weights, forward, reference};
use crate::kernels::Activation;
use crate::kernels::ConvShape;
use crate::kernels::parts::Parts;
use crate::kernels::testing::{
    assert_close, check_gradient, numbers, same_for_any_threads, single, weighted,
};

fn shapes() -> impl Strategy<Value = (ConvShape, usize)> {
    let pair = |low, high| (low..=high, low..=high);
    (
        pair(1usize, 5),
        pair(1usize, 3),
        pair(0usize, 2),
        1usize..=3,
        1usize..=3,
        1usize..=3,
        pair(0usize, 9),
        1usize..=3,
    )
        .prop_map(|(kernel, stride, padding, groups, cin, cout, extra, n)| {
            let in_size = (kernel.0 + extra.0, kernel.1 + extra.1);
            let square = ConvShape::square(cin * groups, in_size, cout * groups, 1);
            (ConvShape { kernel, stride, padding, groups, ..square }, n)
        })
}

struct Numbers {
    x: Vec<f64>,
    w: Vec<f64>,
    b: Vec<f64>,
    gy: Vec<f64>,
}

fn inputs(shape: &ConvShape, n: usize) -> Numbers {
    Numbers {
        x: numbers(1, n * shape.in_len()),
        w: numbers(2, shape.weight_len()),
        b: numbers(3, shape.out_channels),
        gy: numbers(4, n * shape.out_len()),
    }
}

fn compare(shape: &ConvShape, n: usize) {
    let v = inputs(shape, n);
    let (x, w, b, gy) = (single(&v.x), single(&v.w), single(&v.b), single(&v.gy));
    let (mut y, mut expected) = (vec![7.0; gy.len()], vec![7.0; gy.len()]);
    forward(shape, n, &x, &w, &b, &mut y);
    reference::forward(shape, n, &v.x, &v.w, &v.b, &mut expected);
    assert_close("y", &y, &expected, 1e-5);
    for activation in [Activation::Relu, Activation::Relu6] {
        let mut activated = vec![7.0; gy.len()];
        super::activated(shape, activation, n, &x, &w, &b, &mut activated);
        let mut separate = y.clone();
        activation.apply(&mut separate);
        assert_eq!(activated, separate, "{activation:?}");
    }

    let (mut gw, mut gb) = (vec![7.0; w.len()], vec![7.0; b.len()]);
    let (mut expected_w, mut expected_b) = (vec![7.0; w.len()], vec![7.0; b.len()]);
    backward_weights(shape, &Parts::of(n), &x, &gy, &mut gw, &mut gb);
    reference::backward_weights(shape, n, &v.x, &v.gy, &mut expected_w, &mut expected_b);
    assert_close("gw", &gw, &expected_w, 1e-5);
    assert_close("gb", &gb, &expected_b, 1e-5);

    let (mut gx, mut expected_x) = (vec![7.0; x.len()], vec![7.0; x.len()]);
    backward_input(shape, n, &w, &gy, &mut gx);
    reference::backward_input(shape, n, &v.w, &v.gy, &mut expected_x);
    assert_close("gx", &gx, &expected_x, 1e-5);
}

proptest! {
    #[test]
    fn equals_the_reference((shape, n) in shapes()) {
        compare(&shape, n);
    }

    #[test]
    fn convolutions_that_keep_the_width_equal_the_reference(
        kernel in (1usize..=6, 1usize..=6), size in (1usize..=9, 1usize..=9), groups in 1usize..=2, n in 1usize..=6,
    ) {
        let square = ConvShape::square(2 * groups, size, 3 * groups, 1);
        compare(&ConvShape { kernel, groups, ..square }.same(), n);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes many minutes under Miri")]
    fn winograd_equals_the_reference(
        cin in 1usize..=3, cout in 1usize..=5, h in 3usize..=16, w in 2usize..=12, n in 1usize..=9,
    ) {
        let square = ConvShape::square(16 * cin, (h, w), 16 * cout, 3);
        let shape = ConvShape { padding: (1, 1), ..square };
        prop_assert!(super::winograd::supports(&shape));
        compare(&shape, n);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes many minutes under Miri")]
    fn depthwise_and_pointwise_equal_the_reference(
        kernel in prop_oneof![Just(1), Just(3), Just(5)], stride in 1usize..=3, same in any::<bool>(),
        channels in 2usize..=20, out in 1usize..=70, h in 5usize..=23, w in 5usize..=23, n in 1usize..=3,
    ) {
        let square = ConvShape { stride: (stride, stride), ..ConvShape::square(channels, (h, w), channels, kernel) };
        let shape = match kernel {
            1 => ConvShape::square(channels, (h, w), out, 1),
            _ if same => ConvShape { groups: channels, ..square }.same(),
            _ => ConvShape { groups: channels, padding: (1, 2), extra: (1, 0), ..square },
        };
        compare(&shape, n);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn equals_the_reference_over_several_tiles() {
    // conv2 of the tutorial at a fifth of its width; conv5 with more channels than one block; a depthwise convolution.
    for shape in [
        ConvShape::square(6, (130, 40), 12, 5),
        ConvShape::square(48, (12, 12), 40, 5),
        ConvShape { padding: (1, 1), ..ConvShape::square(64, (14, 40), 20, 3) },
        ConvShape { padding: (2, 2), groups: 8, ..ConvShape::square(8, (90, 70), 8, 5) },
        // The direct kernel: an odd width with one channel, several groups, more channels than one block.
        ConvShape::square(1, (9, 53), 1, 5),
        ConvShape { groups: 2, kernel: (3, 4), ..ConvShape::square(4, (70, 66), 14, 3) },
        ConvShape::square(3, (64, 64), 9, 5),
    ] {
        compare(&shape, 2);
    }
}

#[test]
fn gradients_are_the_difference_quotients() {
    for (groups, stride, padding) in [(1, (1, 1), (0, 0)), (2, (2, 1), (1, 2)), (1, (3, 2), (2, 0))] {
        let square = ConvShape::square(2, (5, 6), 4, 1);
        let shape = ConvShape { kernel: (3, 2), stride, padding, groups, ..square };
        let n = 2;
        let v = inputs(&shape, n);
        let loss = |x: &[f64], w: &[f64], b: &[f64]| {
            let mut y = vec![0.0; n * shape.out_len()];
            reference::forward(&shape, n, x, w, b, &mut y);
            weighted(&y, &v.gy)
        };
        let (mut gw, mut gb) = (vec![0.0; v.w.len()], vec![0.0; v.b.len()]);
        let mut gx = vec![0.0; v.x.len()];
        reference::backward_weights(&shape, n, &v.x, &v.gy, &mut gw, &mut gb);
        reference::backward_input(&shape, n, &v.w, &v.gy, &mut gx);
        check_gradient("gw", &v.w, &gw, |w| loss(&v.x, w, &v.b));
        check_gradient("gb", &v.b, &gb, |b| loss(&v.x, &v.w, b));
        check_gradient("gx", &v.x, &gx, |x| loss(x, &v.w, &v.b));
    }
}

#[test]
fn same_padding_equals_tensorflow() {
    // tf.nn.conv2d(..., padding="SAME"): the output has ⌈size / stride⌉ cells; an odd zero is added at the end.
    let of = |kernel, stride, size| {
        let square = ConvShape::square(1, (size, size), 1, kernel);
        let shape = ConvShape { stride: (stride, stride), ..square }.same();
        (shape.padding.0, shape.extra.0, shape.out_size().0)
    };
    assert_eq!(of(3, 2, 224), (0, 1, 112));
    assert_eq!(of(5, 2, 56), (1, 1, 28));
    assert_eq!(of(3, 1, 14), (1, 0, 14));
    assert_eq!(of(3, 2, 15), (1, 0, 8));
    assert_eq!(of(1, 1, 9), (0, 0, 9));
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn bytes_do_not_depend_on_the_number_of_threads() {
    for shape in [
        ConvShape::square(3, (60, 60), 6, 5),
        ConvShape { padding: (1, 1), ..ConvShape::square(32, (10, 9), 48, 3) },
        ConvShape { padding: (1, 1), ..ConvShape::square(16, (5, 5), 32, 3) },
    ] {
        bytes_are_equal(&shape, 11);
    }
}

fn bytes_are_equal(shape: &ConvShape, n: usize) {
    let v = inputs(shape, n);
    let (x, w, b, gy) = (single(&v.x), single(&v.w), single(&v.b), single(&v.gy));
    same_for_any_threads("y", || {
        let mut y = vec![0.0; gy.len()];
        forward(shape, n, &x, &w, &b, &mut y);
        y
    });
    same_for_any_threads("gw", || {
        let (mut gw, mut gb) = (vec![0.0; w.len()], vec![0.0; b.len()]);
        backward_weights(shape, &Parts::of(n), &x, &gy, &mut gw, &mut gb);
        gw.extend(gb);
        gw
    });
    same_for_any_threads("gx", || {
        let mut gx = vec![0.0; x.len()];
        backward_input(shape, n, &w, &gy, &mut gx);
        gx
    });
}
