//! Compares the linear layer with the f64 reference, and the reference's gradients with difference quotients.

use proptest::prelude::*;

use super::{Features, backward_input, backward_weights, forward, forward_one, reference};
use crate::kernels::parts::Parts;
use crate::kernels::testing::{
    assert_close, check_gradient, numbers, same_for_any_threads, single, weighted,
};

proptest! {
    #[test]
    fn equals_the_reference(input in 1usize..60, output in 1usize..60, n in 1usize..40) {
        let f = Features { input, output };
        let (x, w, b) = (numbers(1, n * input), numbers(2, output * input), numbers(3, output));
        let gy = numbers(4, n * output);
        let (sx, sw, sb, sgy) = (single(&x), single(&w), single(&b), single(&gy));

        let (mut y, mut expected) = (vec![7.0; gy.len()], vec![7.0; gy.len()]);
        forward(f, n, &sx, &sw, &sb, &mut y);
        reference::forward(f, n, &x, &w, &b, &mut expected);
        assert_close("y", &y, &expected, 1e-5);
        for (x, y) in sx.chunks_exact(input).zip(y.chunks_exact(output)) {
            let mut alone = vec![7.0; output];
            forward_one(x, &sw, &sb, &mut alone);
            assert_eq!(alone, y, "a single photo");
        }

        let (mut gw, mut gb) = (vec![7.0; w.len()], vec![7.0; b.len()]);
        let (mut expected_w, mut expected_b) = (vec![7.0; w.len()], vec![7.0; b.len()]);
        backward_weights(f, &Parts::of(n), &sx, &sgy, &mut gw, &mut gb);
        reference::backward_weights(f, n, &x, &gy, &mut expected_w, &mut expected_b);
        assert_close("gw", &gw, &expected_w, 1e-5);
        assert_close("gb", &gb, &expected_b, 1e-5);

        let (mut gx, mut expected_x) = (vec![7.0; x.len()], vec![7.0; x.len()]);
        backward_input(f, n, &sw, &sgy, &mut gx);
        reference::backward_input(f, n, &w, &gy, &mut expected_x);
        assert_close("gx", &gx, &expected_x, 1e-5);
    }
}

#[test]
fn gradients_are_the_difference_quotients() {
    let f = Features { input: 5, output: 3 };
    let n = 4;
    let (x, w, b) = (numbers(1, n * 5), numbers(2, 15), numbers(3, 3));
    let gy = numbers(4, n * 3);
    let loss = |x: &[f64], w: &[f64], b: &[f64]| {
        let mut y = vec![0.0; gy.len()];
        reference::forward(f, n, x, w, b, &mut y);
        weighted(&y, &gy)
    };
    let (mut gw, mut gb, mut gx) = (vec![0.0; 15], vec![0.0; 3], vec![0.0; n * 5]);
    reference::backward_weights(f, n, &x, &gy, &mut gw, &mut gb);
    reference::backward_input(f, n, &w, &gy, &mut gx);
    check_gradient("gw", &w, &gw, |w| loss(&x, w, &b));
    check_gradient("gb", &b, &gb, |b| loss(&x, &w, b));
    check_gradient("gx", &x, &gx, |x| loss(x, &w, &b));
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let f = Features { input: 130, output: 70 };
    let (x, w, b) = (single(&numbers(1, 33 * 130)), single(&numbers(2, 70 * 130)), single(&numbers(3, 70)));
    same_for_any_threads("y", || {
        let mut y = vec![0.0; 33 * 70];
        forward(f, 33, &x, &w, &b, &mut y);
        y
    });
}
