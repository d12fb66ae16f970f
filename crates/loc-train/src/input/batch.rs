//! A batch of training or validation samples as tensors.

use candle_core::{Device, Tensor};
use loc_data::Batch;
use loc_model::Input;
use loc_model::loss::Truth;

use crate::collective::Share;
use crate::error::TrainError;
use crate::input::Place;

/// A batch on the model's device. The input has the photos of this process's share, all else is of the whole batch.
pub(crate) struct TensorBatch {
    /// Photos `[n, H, W, 3]` in u8, or features.
    pub(crate) input: Input,
    /// `[N, 4]`
    pub(crate) boxes: Tensor,
    /// `[N]`, u32
    pub(crate) labels: Tensor,
    /// Of each photo whether it shows an object.
    pub(crate) present: Vec<bool>,
    /// The same as `[N]` of 1 and 0 in f32; none where all do.
    pub(crate) mask: Option<Tensor>,
    pub(crate) n: usize,
    /// Samples' indices in the data set.
    pub(crate) indices: Vec<usize>,
    pub(crate) share: Share,
    pub(crate) place: Place,
}

impl TensorBatch {
    /// A batch of a loader that prepares the rows of this process.
    pub(crate) fn of(batch: Batch, place: &Place) -> Result<Self, TrainError> {
        let device = &place.device;
        let Batch { images, boxes, labels, present, indices } = batch;
        let (n, image_dims, box_dims) = (labels.len(), images.dim(), boxes.dim());
        Ok(Self {
            // The arrays are fresh, so their raw values are in row-major order.
            input: Input::Images(Tensor::from_vec(images.into_raw_vec_and_offset().0, image_dims, device)?),
            boxes: Tensor::from_vec(boxes.into_raw_vec_and_offset().0, box_dims, device)?,
            labels: Tensor::from_vec(labels, n, device)?,
            mask: mask_of(&present, device)?,
            present,
            n,
            indices,
            share: place.processes.share(n),
            place: place.clone(),
        })
    }

    /// What the photos show, for the losses.
    pub(crate) fn truth(&self) -> Truth<'_> {
        Truth { labels: &self.labels, boxes: &self.boxes, present: self.mask.as_ref() }
    }

    /// Number of photos with an object.
    pub(crate) fn positives(&self) -> usize {
        self.present.iter().filter(|present| **present).count()
    }
}

/// 1 for each photo with an object and 0 for the others; none if all have one.
pub(crate) fn mask_of(present: &[bool], device: &Device) -> Result<Option<Tensor>, TrainError> {
    if present.iter().all(|present| *present) {
        return Ok(None);
    }
    let values: Vec<f32> = present.iter().map(|present| f32::from(u8::from(*present))).collect();
    Ok(Some(Tensor::from_vec(values, present.len(), device)?))
}

/// An iterator over batches.
pub(crate) type Batches<'a> = Box<dyn ExactSizeIterator<Item = Result<TensorBatch, TrainError>> + 'a>;
