//! The numerical gradient check of the losses' tests.

use candle_core::{Device, Error, Tensor, Var};

/// Asserts that Candle's gradient of a scalar `loss` equals the central difference at every entry of `x`, in f64.
#[track_caller]
pub(super) fn check_gradient(x: &[f64], dims: &[usize], loss: impl Fn(&Tensor) -> Result<Tensor, Error>) {
    const STEP: f64 = 1e-5;
    let var = Var::from_tensor(&Tensor::from_slice(x, dims, &Device::Cpu).unwrap()).unwrap();
    let grads = loss(&var).unwrap().backward().unwrap();
    let gradient = grads.get(&var).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    for i in 0..x.len() {
        let at = |step: f64| {
            let mut moved = x.to_vec();
            moved[i] += step;
            let moved = Tensor::from_vec(moved, dims, &Device::Cpu).unwrap();
            loss(&moved).unwrap().to_scalar::<f64>().unwrap()
        };
        let numerical = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        let error = (numerical - gradient[i]).abs();
        assert!(error < 1e-9, "[{i}]: got {}, but the difference quotient is {numerical}", gradient[i]);
    }
}
