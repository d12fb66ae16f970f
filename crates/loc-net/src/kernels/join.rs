//! Layers that mainly move values: copy, sum and concatenation.

use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;
use crate::parallel;

/// Values per task: so many that the cost of starting a task is negligible.
const CHUNK: usize = 64 * 1024;

/// Copies its input: a map seen as a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy;

impl LayerKernel for Copy {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { inputs, y, .. } = pass;
        y.copy_from_slice(inputs[0]);
    }

    fn passes_gradient(&self) -> bool {
        true
    }
}

/// The sum of two inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Add;

impl LayerKernel for Add {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { inputs, y, .. } = pass;
        let (a, b) = (inputs[0], inputs[1]);
        assert_eq!((a.len(), b.len()), (y.len(), y.len()), "inputs and output");
        parallel::chunks(y, CHUNK, |i, y| {
            let (a, b) = (&a[i * CHUNK..], &b[i * CHUNK..]);
            y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (a, b))| *y = a + b);
        });
    }

    fn passes_gradient(&self) -> bool {
        true
    }
}

/// Adds a gradient to another gradient of the same values.
///
/// # Panics
///
/// If the slices differ in length.
pub fn add_to(sum: &mut [f32], more: &[f32]) {
    assert_eq!(sum.len(), more.len(), "gradients");
    parallel::chunks(sum, CHUNK, |i, sum| {
        sum.iter_mut().zip(&more[i * CHUNK..]).for_each(|(sum, more)| *sum += more);
    });
}

/// The concatenation of vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concat {
    /// Length of each input, for one photo.
    pub lens: Vec<usize>,
}

impl LayerKernel for Concat {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, y, .. } = pass;
        let all: usize = self.lens.iter().sum();
        assert_eq!((inputs.len(), y.len()), (self.lens.len(), n * all), "inputs and output");
        for (photo, y) in y.chunks_exact_mut(all).enumerate() {
            let mut from = 0;
            for (len, x) in self.lens.iter().zip(inputs) {
                y[from..from + len].copy_from_slice(&x[photo * len..][..*len]);
                from += len;
            }
        }
    }

    fn backward(&self, _: &Parts, _: &SavedPass, gradients: Gradients) {
        let all: usize = self.lens.iter().sum();
        let mut from = 0;
        for (len, gx) in self.lens.iter().zip(gradients.inputs) {
            if let Some(gx) = gx {
                let photos = gx.chunks_exact_mut(*len).zip(gradients.output.chunks_exact(all));
                photos.for_each(|(gx, gy)| gx.copy_from_slice(&gy[from..from + len]));
            }
            from += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concat_and_its_gradient() {
        let kernel = Concat { lens: vec![2, 1] };
        let mut y = [0.0; 6];
        kernel.forward(ForwardPass {
            n: 2,
            inputs: &[&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0]],
            params: &[],
            y: &mut y,
            saved: None,
        });
        assert_eq!(y, [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
        let mut gx = [7.0; 2];
        let pass = SavedPass { inputs: &[], params: &[], y: &[], saved: &[] };
        let gradients = Gradients { output: &mut y, inputs: &mut [None, Some(&mut gx)], params: &mut [] };
        kernel.backward(&Parts::of(2), &pass, gradients);
        assert_eq!(gx, [5.0, 6.0]);
    }

    #[test]
    fn add_sums_all_values() {
        let (a, b) = (vec![1.0; 2 * CHUNK + 3], vec![2.0; 2 * CHUNK + 3]);
        let mut y = vec![0.0; a.len()];
        Add.forward(ForwardPass { n: 1, inputs: &[&a, &b], params: &[], y: &mut y, saved: None });
        assert!(y.iter().all(|v| *v == 3.0));
        add_to(&mut y, &a);
        assert!(y.iter().all(|v| *v == 4.0));
    }
}
