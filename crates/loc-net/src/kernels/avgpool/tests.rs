//! Tests average pooling: known means, the reference, and difference quotients.

use super::{backward, forward, reference};
use crate::kernels::PoolShape;
use crate::kernels::testing::{assert_close, check_gradient, numbers, single, weighted};

#[test]
fn means_of_windows() {
    let shape = PoolShape { channels: 1, in_size: (3, 4), kernel: (2, 3), stride: (1, 1) };
    let x: Vec<f32> = (0u8..12).map(f32::from).collect();
    let mut y = [7.0; 4];
    forward(&shape, 1, &x, &mut y);
    // (0+1+2+4+5+6)/6 = 3; one step to the right adds 1, one step down adds 4.
    assert_close("y", &y, &[3.0, 4.0, 7.0, 8.0], 1e-6);
}

#[test]
fn equals_the_reference_and_the_difference_quotients() {
    for (kernel, stride, size) in
        [(4, 2, (8, 8)), (2, 2, (5, 7)), (3, 1, (4, 5)), (2, 3, (8, 5)), (1, 1, (1, 1))]
    {
        let shape = PoolShape::square(3, size, kernel, stride);
        let n = 2;
        let x = numbers(1, n * shape.in_len());
        let gy = numbers(2, n * shape.out_len());
        let run = |x: &[f64]| {
            let mut y = vec![0.0; gy.len()];
            reference::forward(&shape, n, x, &mut y);
            y
        };
        let mut gx = vec![0.0; x.len()];
        reference::backward(&shape, n, &gy, &mut gx);
        check_gradient("gx", &x, &gx, |x| weighted(&run(x), &gy));

        let (mut fast_y, mut fast_gx) = (vec![7.0; gy.len()], vec![7.0; x.len()]);
        forward(&shape, n, &single(&x), &mut fast_y);
        backward(&shape, n, &single(&gy), &mut fast_gx);
        assert_close("y", &fast_y, &run(&x), 1e-6);
        assert_close("gx", &fast_gx, &gx, 1e-6);
    }
}
