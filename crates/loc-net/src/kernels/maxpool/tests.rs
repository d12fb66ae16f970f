//! Compares max-pooling with the reference and with difference quotients, including ties, NaN and odd sizes.

use proptest::prelude::*;

use super::{backward, forward, reference};
use crate::kernels::PoolShape;
use crate::kernels::testing::{assert_close, check_gradient, numbers, single, weighted};

fn pool(shape: &PoolShape, n: usize, x: &[f32]) -> (Vec<f32>, Vec<u8>) {
    let (mut y, mut argmax) = (vec![7.0; n * shape.out_len()], vec![7; n * shape.out_len()]);
    forward(shape, n, x, &mut y, &mut argmax);
    (y, argmax)
}

proptest! {
    #[test]
    fn equals_the_reference(
        channels in 1usize..4, h in 3usize..12, w in 3usize..12, n in 1usize..4,
        kernel in 1usize..4, stride in 1usize..4, coarse in any::<bool>(),
    ) {
        let shape = PoolShape::square(channels, (h, w), kernel, stride);
        // Coarsely rounded values produce ties.
        let x: Vec<f64> = numbers(1, n * shape.in_len())
            .iter().map(|v| if coarse { (v * 2.0).round() } else { f64::from(*v as f32) }).collect();
        let (y, argmax) = pool(&shape, n, &single(&x));
        let (mut expected, mut expected_argmax) = (vec![0.0; y.len()], vec![0; y.len()]);
        reference::forward(&shape, n, &x, &mut expected, &mut expected_argmax);
        prop_assert_eq!(&argmax, &expected_argmax);
        assert_close("y", &y, &expected, 0.0);
        let gy = numbers(2, y.len());
        let (mut gx, mut expected_x) = (vec![7.0; x.len()], vec![7.0; x.len()]);
        backward(&shape, n, &argmax, &single(&gy), &mut gx);
        reference::backward(&shape, n, &argmax, &gy, &mut expected_x);
        assert_close("gx", &gx, &expected_x, 1e-6);
    }
}

#[test]
fn on_a_tie_the_first_cell_gets_the_whole_gradient() {
    let shape = PoolShape::square(1, (3, 5), 2, 2);
    let x = [1.0, 1.0, 0.0, 2.0, 9.0, 1.0, 1.0, 2.0, 2.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0];
    let (y, argmax) = pool(&shape, 1, &x);
    assert_eq!(y, [1.0, 2.0]);
    assert_eq!(argmax, [0, 1]);
    let mut gx = [7.0; 15];
    backward(&shape, 1, &argmax, &[3.0, 5.0], &mut gx);
    assert_eq!(gx, [3.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn nan_is_propagated() {
    for at in 0..4 {
        let mut x = [1.0f32, 2.0, 3.0, 4.0];
        x[at] = f32::NAN;
        let shape = PoolShape::square(1, (2, 2), 2, 2);
        let (y, argmax) = pool(&shape, 1, &x);
        assert!(y[0].is_nan(), "NaN at {at}");
        assert_eq!(usize::from(argmax[0]), at);
    }
}

#[test]
fn gradient_is_the_difference_quotient() {
    // Overlapping windows, and sizes that the windows do not cover exactly.
    for (kernel, stride, size) in [(2, 2, (5, 7)), (3, 2, (7, 6)), (2, 1, (4, 4)), (2, 3, (8, 5))] {
        let shape = PoolShape::square(2, size, kernel, stride);
        let n = 2;
        let x = numbers(5, n * shape.in_len());
        let gy = numbers(6, n * shape.out_len());
        let run = |x: &[f64]| {
            let (mut y, mut argmax) = (vec![0.0; gy.len()], vec![0; gy.len()]);
            reference::forward(&shape, n, x, &mut y, &mut argmax);
            (y, argmax)
        };
        let mut gx = vec![0.0; x.len()];
        reference::backward(&shape, n, &run(&x).1, &gy, &mut gx);
        check_gradient("gx", &x, &gx, |x| weighted(&run(x).0, &gy));
    }
}
