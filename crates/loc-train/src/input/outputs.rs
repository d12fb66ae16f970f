//! The outputs of a network for all photos of a batch, of which this process computes its share.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp1, DType, Error, Layout, Result as CandleResult, Shape, Tensor};
use loc_model::{Conditions, Gradients, Model, ModelOutput};

use crate::error::TrainError;
use crate::input::TensorBatch;

impl TensorBatch {
    /// Runs a training pass. Returns the outputs for the whole batch, and with `layer` the output of that layer for this
    /// process's photos.
    pub(crate) fn train(
        &self,
        model: &Model,
        conditions: &Conditions,
        layer: Option<usize>,
    ) -> Result<(ModelOutput, Option<Tensor>), TrainError> {
        let own = || match layer {
            None => Ok::<_, TrainError>((model.train(&self.input, conditions)?, None)),
            Some(layer) => {
                let (output, values) = model.train_with(&self.input, conditions, layer)?;
                Ok((output, Some(values)))
            }
        };
        if self.place.processes.is_alone() {
            return own();
        }
        if self.share.rows.is_empty() {
            let values = layer.map(|layer| self.no_rows(model.network().shape(layer).len())).transpose()?;
            return Ok((self.whole(model, None)?, values));
        }
        let (output, values) = own()?;
        Ok((self.whole(model, Some(output))?, values))
    }

    /// Runs a pass without gradients. Returns the outputs for the whole batch.
    pub(crate) fn evaluate(&self, model: &Model) -> Result<ModelOutput, TrainError> {
        if self.place.processes.is_alone() {
            return Ok(model.evaluate(&self.input)?);
        }
        let own = (!self.share.rows.is_empty()).then(|| model.evaluate(&self.input)).transpose()?;
        self.whole(model, own)
    }

    /// Returns the gradients of a loss of the whole batch: the sums over all processes.
    pub(crate) fn backward(&self, model: &Model, loss: &Tensor) -> Result<Gradients, TrainError> {
        let processes = &self.place.processes;
        if processes.is_alone() {
            return Ok(model.backward(loss)?);
        }
        let mut gradients = match self.share.rows.is_empty() {
            true => model.no_gradients()?,
            false => model.backward(loss)?,
        };
        gradients.buffers_mut().for_each(|values| processes.sum(values));
        Ok(gradients)
    }

    /// Returns the rows `[N, C]` of the whole batch from this process's; gradients reach only its own.
    pub(crate) fn gather(&self, own: &Tensor) -> Result<Tensor, TrainError> {
        if self.place.processes.is_alone() {
            return Ok(own.clone());
        }
        let values: Vec<f32> = own.flatten_all()?.to_vec1()?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let all = self.place.processes.gather(&bytes)?.concat();
        let all: Vec<f32> =
            all.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if self.share.rows.is_empty() {
            return Ok(Tensor::from_vec(all, (self.n, own.dim(1)?), own.device())?);
        }
        let rows = Rows { first: self.share.rows.start, all: Mutex::new(all), count: self.n };
        Ok(own.contiguous()?.apply_op1(rows)?)
    }

    /// Returns the outputs of the whole batch from those of this process, if it has photos.
    fn whole(&self, model: &Model, own: Option<ModelOutput>) -> Result<ModelOutput, TrainError> {
        let own = match own {
            Some(output) => output.to_rows()?,
            None => self.no_rows(model.output_len())?,
        };
        Ok(model.output_from_rows(&self.gather(&own)?)?)
    }

    fn no_rows(&self, len: usize) -> Result<Tensor, TrainError> {
        Ok(Tensor::zeros((0, len), DType::F32, &self.place.device)?)
    }
}

/// Some rows of a tensor in the place of which all rows stand; the gradient of the rows is that of theirs.
struct Rows {
    first: usize,
    count: usize,
    all: Mutex<Vec<f32>>,
}

impl CustomOp1 for Rows {
    fn name(&self) -> &'static str {
        "rows-of-all-processes"
    }

    fn cpu_fwd(&self, _own: &CpuStorage, layout: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        let all = self.all.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default();
        let shape = Shape::from((self.count, layout.dims()[1]));
        if all.len() != shape.elem_count() {
            return Err(Error::Msg(format!("{} values are not {shape:?}", all.len())));
        }
        Ok((CpuStorage::F32(all), shape))
    }

    fn bwd(&self, own: &Tensor, _all: &Tensor, gradient: &Tensor) -> CandleResult<Option<Tensor>> {
        gradient.narrow(0, self.first, own.dim(0)?)?.contiguous().map(Some)
    }
}
