//! The last step of Adam: `p ← (1 − lr · decay) · p − lr · m̂ / (√v̂ + ε)` in place.

use candle_core::{CpuStorage, Error, InplaceOp3, Layout, Result, Tensor, Var};
use rayon::prelude::*;

use crate::storage::values;

/// Values per task.
const CHUNK: usize = 1 << 15;
/// Keeps quotients finite if a gradient was always 0; PyTorch's default.
const EPSILON: f64 = 1e-8;

/// The settings of an Adam step.
#[derive(Debug, Clone, Copy)]
pub struct AdamUpdate {
    /// Learning rate.
    pub lr: f64,
    /// Decoupled weight decay (Loshchilov and Hutter 2019): the fraction of a parameter that is removed at learning
    /// rate 1.
    pub decay: f64,
    /// `1 − β₁ᵗ`: corrects the running mean of the gradients, which started at 0.
    pub mean_correction: f64,
    /// `1 − β₂ᵗ`: corrects the running mean of their squares, which started at 0.
    pub square_correction: f64,
}

/// Updates a parameter from the running means of its gradient and of the gradient's square, tensors of its shape.
///
/// # Errors
///
/// A Candle error if the shapes differ, on the CPU also if a tensor is not f32, or if the device fails.
pub fn adam_update(parameter: &Var, mean: &Tensor, square: &Tensor, update: AdamUpdate) -> Result<()> {
    if parameter.dims() != mean.dims() || parameter.dims() != square.dims() {
        return Err(Error::Msg(format!(
            "adam: {:?}, {:?} and {:?}",
            parameter.dims(),
            mean.dims(),
            square.dims()
        )));
    }
    if parameter.device().is_cpu() {
        return parameter.as_tensor().inplace_op3(mean, square, &update);
    }
    let (m, v) = ((mean.detach() / update.mean_correction)?, (square.detach() / update.square_correction)?);
    let step = ((m / (v.sqrt()? + EPSILON)?)? * update.lr)?;
    parameter.set(&((parameter.as_detached_tensor() * (1.0 - update.lr * update.decay))? - step)?)
}

impl InplaceOp3 for AdamUpdate {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        layout: &Layout,
        mean: &CpuStorage,
        mean_layout: &Layout,
        square: &CpuStorage,
        square_layout: &Layout,
    ) -> Result<()> {
        let (start, end) =
            layout.contiguous_offsets().ok_or(Error::RequiresContiguous { op: self.name() })?;
        let (mean, square): (&[f32], &[f32]) =
            (values(self.name(), mean, mean_layout)?, values(self.name(), square, square_layout)?);
        let CpuStorage::F32(p) = parameter else {
            return Err(Error::Msg("adam: only f32 is supported".into()));
        };
        let decay_factor = (1.0 - self.lr * self.decay) as f32;
        let rate = (self.lr / self.mean_correction) as f32;
        let (correction, epsilon) = ((1.0 / self.square_correction) as f32, EPSILON as f32);
        let chunks =
            p[start..end].par_chunks_mut(CHUNK).zip(mean.par_chunks(CHUNK)).zip(square.par_chunks(CHUNK));
        chunks.for_each(|((p, m), v)| {
            for ((p, m), v) in p.iter_mut().zip(m).zip(v) {
                *p = decay_factor * *p - rate * m / ((v * correction).sqrt() + epsilon);
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn follows_the_formula() {
        let p = Var::new(&[1.0f32, -2.0, 3.0], &Device::Cpu).unwrap();
        let m = Tensor::new(&[0.1f32, 0.2, 0.0], &Device::Cpu).unwrap();
        let v = Tensor::new(&[0.04f32, 0.01, 0.0], &Device::Cpu).unwrap();
        let update = AdamUpdate { lr: 0.5, decay: 0.1, mean_correction: 0.1, square_correction: 0.01 };
        adam_update(&p, &m, &v, update).unwrap();
        // 0.95 · p − 0.5 · (m / 0.1) / (√(v / 0.01) + ε)
        let expected = [0.95 - 0.5 / 2.0, -1.9 - 1.0, 2.85];
        for (got, expected) in p.to_vec1::<f32>().unwrap().into_iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "got {got}, expected {expected}");
        }
        assert!(adam_update(&p, &Tensor::new(&[0.0f32], &Device::Cpu).unwrap(), &v, update).is_err());
    }
}
