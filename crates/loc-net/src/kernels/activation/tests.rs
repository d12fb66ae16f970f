//! Tests the values of relu and its gradient next to and at the kinks. It is generic over f32 and f64, so it needs no
//! separate reference.

use super::{backward, backward_in_place, backward6, backward6_in_place, forward, forward6};
use crate::kernels::Activation;
use crate::kernels::testing::{check_gradient, numbers, weighted};

#[test]
fn values_and_the_gradient_at_zero() {
    let mut y = [7.0f32; 4];
    forward(&[-1.0, 0.0, 2.0, f32::NAN], &mut y);
    assert_eq!(y[..3], [0.0, 0.0, 2.0]);
    assert!(y[3].is_nan());
    let mut gx = [7.0f32; 3];
    backward(&[0.0, 0.0, 2.0], &[3.0, 4.0, 5.0], &mut gx);
    assert_eq!(gx, [0.0, 0.0, 5.0]);
    let mut y = [7.0f32; 5];
    forward6(&[-1.0, 2.0, 6.0, 9.0, f32::NAN], &mut y);
    assert_eq!(y[..4], [0.0, 2.0, 6.0, 6.0]);
    assert!(y[4].is_nan());
    let mut z = [-1.0f32, 2.0, 6.0, 9.0, f32::NAN];
    Activation::Relu6.apply(&mut z);
    assert_eq!(z[..4], [0.0, 2.0, 6.0, 6.0]);
    assert!(z[4].is_nan());
    let mut z = [-1.0f32, 9.0, f32::NAN];
    Activation::Relu.apply(&mut z);
    assert_eq!(z[..2], [0.0, 9.0]);
    assert!(z[2].is_nan());
    let mut gx = [7.0f32; 3];
    backward6(&[0.0, 2.0, 6.0], &[3.0, 4.0, 5.0], &mut gx);
    assert_eq!(gx, [0.0, 4.0, 0.0]);
    let mut g = [3.0f32, 4.0, 5.0];
    backward6_in_place(&[0.0, 2.0, 6.0], &mut g);
    assert_eq!(g, [0.0, 4.0, 0.0]);
    let mut g = [3.0f32, f32::INFINITY, 5.0];
    backward_in_place(&[0.0, 0.0, 2.0], &mut g);
    assert_eq!(g, [0.0, 0.0, 5.0]);
}

#[test]
fn gradient_is_the_difference_quotient() {
    let (x, gy) = (numbers(1, 50), numbers(2, 50));
    let run = |x: &[f64]| {
        let mut y = vec![0.0; x.len()];
        forward(x, &mut y);
        y
    };
    let mut gx = vec![0.0; x.len()];
    backward(&run(&x), &gy, &mut gx);
    check_gradient("gx", &x, &gx, |x| weighted(&run(x), &gy));
}
