//! Sums over a batch in the fixed order of [`loc_net::Parts`], so that several processes, each with some parts of the batch,
//! compute the same bytes as one process.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Error, Layout, Result, Shape, Tensor, WithDType};
use loc_net::{Parts, tree_fold};

/// Returns the sum of all values, which belong to `photos` photos and are stored photo by photo.
pub(super) fn batch_sum(values: &Tensor, photos: usize) -> Result<Tensor> {
    match values.device() {
        Device::Cpu => values.contiguous()?.apply_op1(BatchSum { photos }),
        _ => values.sum_all(),
    }
}

/// Returns the mean of all values, summed as in [`batch_sum`].
pub(super) fn batch_mean(values: &Tensor, photos: usize) -> Result<Tensor> {
    batch_sum(values, photos)? / values.elem_count() as f64
}

/// The photos of a batch that count in a loss.
#[derive(Debug, Clone, Copy)]
pub struct Photos<'a> {
    /// Number of photos in the batch.
    pub count: usize,
    /// `[count]`: 1 for a photo that counts, 0 for one that does not; without it all count.
    pub present: Option<&'a Tensor>,
}

impl Photos<'_> {
    /// Photos that all count.
    #[must_use]
    pub fn all(count: usize) -> Self {
        Self { count, present: None }
    }

    /// Returns the sum of the values of the photos that count, summed as in [`batch_sum`]; all values must be finite.
    pub(super) fn sum(&self, values: &Tensor) -> Result<Tensor> {
        let Some(present) = self.present else { return batch_sum(values, self.count) };
        let each = values.reshape((self.count, ()))?;
        batch_sum(&each.broadcast_mul(&present.unsqueeze(1)?)?, self.count)
    }

    /// Returns the mean of these values; 0 if no photo counts.
    pub(super) fn mean(&self, values: &Tensor) -> Result<Tensor> {
        let Some(present) = self.present else { return batch_mean(values, self.count) };
        let each = values.elem_count() as f64 / self.count as f64;
        self.sum(values)? / or_one(&(present.sum_all()? * each)?)?
    }
}

/// Returns a scalar, or 1 if it is 0.
pub(super) fn or_one(scalar: &Tensor) -> Result<Tensor> {
    scalar.eq(0.0)?.where_cond(&scalar.ones_like()?, scalar)
}

struct BatchSum {
    photos: usize,
}

impl CustomOp1 for BatchSum {
    fn name(&self) -> &'static str {
        "batch-sum"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        fn sum<T: WithDType + std::iter::Sum>(values: &[T], photos: usize) -> CpuStorage {
            let each = values.len() / photos.max(1);
            let parts = Parts::of(photos);
            let sums: Vec<T> = parts
                .iter()
                .map(|photos| values[photos.start * each..photos.end * each].iter().copied().sum())
                .collect();
            T::to_cpu_storage_owned(vec![tree_fold(&sums, |a, b| a + b)])
        }
        let (start, end) =
            layout.contiguous_offsets().ok_or(Error::RequiresContiguous { op: self.name() })?;
        let sum = match x {
            CpuStorage::F32(values) => sum(&values[start..end], self.photos),
            CpuStorage::F64(values) => sum(&values[start..end], self.photos),
            other => return Err(Error::UnsupportedDTypeForOp(other.dtype(), self.name())),
        };
        Ok((sum, Shape::from(())))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        gradient.broadcast_as(x.shape()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check_gradient;
    use super::*;

    #[test]
    fn sums_run_by_parts_and_have_gradients() {
        // With 16 photos a part has two; f32 loses the ones next to a large number unless they are added to each other first.
        let mut values = [1.0f32; 16];
        (values[0], values[8]) = (3e8, -3e8);
        let x = Tensor::new(&values, &Device::Cpu).unwrap();
        let expected: f32 = {
            let part = |i: usize| values[2 * i] + values[2 * i + 1];
            ((part(0) + part(1)) + (part(2) + part(3))) + ((part(4) + part(5)) + (part(6) + part(7)))
        };
        assert_eq!(batch_sum(&x, 16).unwrap().to_scalar::<f32>().unwrap().to_bits(), expected.to_bits());
        check_gradient(&[0.5, -1.0, 2.0, 3.0, 1.0, 0.0], &[3, 2], |x| batch_mean(&x.sqr()?, 3));
        let wrong = Tensor::zeros(4, candle_core::DType::U32, &Device::Cpu).unwrap();
        assert!(batch_sum(&wrong, 4).unwrap_err().to_string().contains("batch-sum"));
    }
}
