//! `max(x, 0)` and `min(max(x, 0), 6)`. The gradient at the kinks is 0, as in PyTorch. A NaN stays NaN.

#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;
use super::{Activation, Float};
use crate::parallel;

/// Values per task: so many that the cost of starting a task is negligible.
const CHUNK: usize = 64 * 1024;

/// `y = max(x, 0)`.
///
/// # Panics
///
/// If the slices differ in length.
pub fn forward<F: Float + Send + Sync>(x: &[F], y: &mut [F]) {
    assert_eq!(x.len(), y.len(), "input and output");
    parallel::chunks(y, CHUNK, |i, y| {
        for (y, x) in y.iter_mut().zip(&x[i * CHUNK..]) {
            *y = if *x < F::default() { F::default() } else { *x };
        }
    });
}

impl Activation {
    /// Sets the gradient to 0 where the activation's gradient is 0, given the activation's output `y`.
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    pub fn backward_in_place<F: Float + Send + Sync>(self, y: &[F], g: &mut [F]) {
        match self {
            Self::None => assert_eq!(y.len(), g.len(), "output and gradient"),
            Self::Relu => backward_in_place(y, g),
            Self::Relu6 => backward6_in_place(y, g),
        }
    }

    /// Applies the activation in place, on this thread.
    pub fn apply<F: Float>(self, y: &mut [F]) {
        let six = F::from(6u16);
        let non_negative = |y: F| if y < F::default() { F::default() } else { y };
        match self {
            Self::None => {}
            Self::Relu => y.iter_mut().for_each(|y| *y = non_negative(*y)),
            Self::Relu6 => {
                y.iter_mut().for_each(|y| *y = if non_negative(*y) > six { six } else { non_negative(*y) })
            }
        }
    }
}

/// `y = min(max(x, 0), 6)`.
///
/// # Panics
///
/// If the slices differ in length.
pub fn forward6<F: Float + Send + Sync>(x: &[F], y: &mut [F]) {
    assert_eq!(x.len(), y.len(), "input and output");
    let six = F::from(6u16);
    parallel::chunks(y, CHUNK, |i, y| {
        for (y, x) in y.iter_mut().zip(&x[i * CHUNK..]) {
            let non_negative = if *x < F::default() { F::default() } else { *x };
            *y = if non_negative > six { six } else { non_negative };
        }
    });
}

/// `gx = gy where 0 < y < 6, else 0`, from the output `y`.
///
/// # Panics
///
/// If the slices differ in length.
pub fn backward6<F: Float + Send + Sync>(y: &[F], gy: &[F], gx: &mut [F]) {
    let six = F::from(6u16);
    // Not `&&`: a branch for each value prevents vectorisation, and it cannot be predicted.
    backward_where(y, gy, gx, |y| (y > F::default()) & (y < six));
}

/// `gx = gy where y > 0, else 0`, from the output `y`.
///
/// # Panics
///
/// If the slices differ in length.
pub fn backward<F: Float + Send + Sync>(y: &[F], gy: &[F], gx: &mut [F]) {
    backward_where(y, gy, gx, |y| y > F::default());
}

/// [`backward6`], in place.
///
/// # Panics
///
/// If the slices differ in length.
pub fn backward6_in_place<F: Float + Send + Sync>(y: &[F], g: &mut [F]) {
    let six = F::from(6u16);
    backward_where_in_place(y, g, |y| (y > F::default()) & (y < six));
}

/// [`backward`], in place.
///
/// # Panics
///
/// If the slices differ in length.
pub fn backward_in_place<F: Float + Send + Sync>(y: &[F], g: &mut [F]) {
    backward_where_in_place(y, g, |y| y > F::default());
}

fn backward_where<F: Float + Send + Sync>(
    y: &[F],
    gy: &[F],
    gx: &mut [F],
    active: impl Fn(F) -> bool + Sync,
) {
    assert_eq!((y.len(), gy.len()), (gx.len(), gx.len()), "output and gradients");
    let chunks = gx.par_chunks_mut(CHUNK).zip(gy.par_chunks(CHUNK)).zip(y.par_chunks(CHUNK));
    chunks.for_each(|((gx, gy), y)| {
        for ((gx, gy), y) in gx.iter_mut().zip(gy).zip(y) {
            let gy = *gy;
            *gx = if active(*y) { gy } else { F::default() };
        }
    });
}

fn backward_where_in_place<F: Float + Send + Sync>(y: &[F], g: &mut [F], active: impl Fn(F) -> bool + Sync) {
    assert_eq!(y.len(), g.len(), "output and gradient");
    g.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK)).for_each(|(g, y)| {
        for (g, y) in g.iter_mut().zip(y) {
            let gradient = *g;
            *g = if active(*y) { gradient } else { F::default() };
        }
    });
}

/// An activation that is a layer of its own.
impl LayerKernel for Activation {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { inputs, y, .. } = pass;
        match self {
            Self::None => y.copy_from_slice(inputs[0]),
            Self::Relu => forward(inputs[0], y),
            Self::Relu6 => forward6(inputs[0], y),
        }
    }

    fn backward(&self, _: &Parts, pass: &SavedPass, gradients: Gradients) {
        let [Some(gx)] = gradients.inputs else { return };
        match self {
            Self::None => gx.copy_from_slice(gradients.output),
            Self::Relu => backward(pass.y, gradients.output, gx),
            Self::Relu6 => backward6(pass.y, gradients.output, gx),
        }
    }
}
