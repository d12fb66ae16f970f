//! A batch of training or validation samples as tensors.

use candle_core::{Device, Tensor};
use loc_data::Batch;
use loc_model::Input;

use crate::error::TrainError;

/// A batch on the model's device.
pub(crate) struct TensorBatch {
    /// Photos `[N, H, W, 3]` in u8, or features.
    pub(crate) input: Input,
    /// `[N, 4]`
    pub(crate) boxes: Tensor,
    /// `[N]`, u32
    pub(crate) labels: Tensor,
    pub(crate) n: usize,
    /// Samples' indices in the data set.
    pub(crate) indices: Vec<usize>,
}

impl TensorBatch {
    pub(crate) fn of(batch: Batch, device: &Device) -> Result<Self, TrainError> {
        let Batch { images, boxes, labels, indices } = batch;
        let (n, image_dims, box_dims) = (labels.len(), images.dim(), boxes.dim());
        Ok(Self {
            // The arrays are fresh, so their raw values are in row-major order.
            input: Input::Images(Tensor::from_vec(images.into_raw_vec_and_offset().0, image_dims, device)?),
            boxes: Tensor::from_vec(boxes.into_raw_vec_and_offset().0, box_dims, device)?,
            labels: Tensor::from_vec(labels, n, device)?,
            n,
            indices,
        })
    }
}

/// An iterator over batches.
pub(crate) type Batches<'a> = Box<dyn ExactSizeIterator<Item = Result<TensorBatch, TrainError>> + 'a>;
