//! Runs the layers one after the other with Candle operations, on any device. An output is freed after the last layer
//! that reads it.

use candle_core::{DType, Error, Result as CandleResult, Shape, Tensor};
use loc_net::Source;

use super::cpu::Run;
use super::{Input, Model};
use crate::ModelError;
use crate::layers::compose;

impl Model {
    /// Computes the outputs of `run.outputs`, in that order.
    pub(super) fn run(&self, input: &Input, run: &Run) -> Result<Vec<Tensor>, ModelError> {
        match input {
            Input::Images(images) => self.check_input(images)?,
            Input::Features(features) => self.check_features(features)?,
        }
        match &self.cpu {
            Some(cpu) => {
                let params = self.network.params().iter().map(|param| self.param(&param.name, true));
                Ok(cpu.run(input, params.collect(), run)?)
            }
            None => self.run_layers(input, run),
        }
    }

    /// Returns a parameter. It gets a gradient if it is trained and `tracked` is set.
    fn param(&self, name: &str, tracked: bool) -> Tensor {
        match self.vars.get(name) {
            None => self.constants[name].clone(),
            Some(var) if tracked => var.as_tensor().clone(),
            Some(var) => var.as_detached_tensor(),
        }
    }

    fn run_layers(&self, input: &Input, run: &Run) -> Result<Vec<Tensor>, ModelError> {
        let layers = self.network.layers();
        let count_readers = |index: usize| {
            let reads = layers.iter().flat_map(|l| &l.inputs).filter(|s| **s == Source::Layer(index)).count();
            reads + run.outputs.iter().filter(|output| **output == index).count()
        };
        let mut readers: Vec<usize> = (0..layers.len()).map(count_readers).collect();
        let mut values: Vec<Option<Tensor>> = vec![None; layers.len()];
        let with_dropout = |index: usize, y: Tensor| match run.conditions.dropout {
            Some(dropout) if layers[index].dropout => dropout.apply(&y, &layers[index].name),
            _ => Ok(y),
        };
        let (images, begin) = match input {
            Input::Images(images) if images.dtype() == DType::U8 => (Some(planar(images)?), 0),
            Input::Images(images) => (Some(images.clone()), 0),
            Input::Features(features) => {
                for (tap, features) in self.network.taps().into_iter().zip(features) {
                    values[tap] = Some(with_dropout(tap, features.clone())?);
                }
                (None, self.network.backbone_layers())
            }
        };
        for (index, layer) in layers.iter().enumerate().skip(begin) {
            let read = |source: &Source| {
                let x = match source {
                    Source::Input => images.as_ref(),
                    Source::Layer(before) => values[*before].as_ref(),
                };
                x.ok_or_else(|| Error::Msg(format!("layer `{}` reads an output that was freed", layer.name)))
            };
            let inputs = layer.inputs.iter().map(read).collect::<CandleResult<Vec<_>>>()?;
            let layer_params = self.network.params().iter().filter(|param| param.layer == index);
            let params: Vec<Tensor> = layer_params.map(|param| self.param(&param.name, run.keep)).collect();
            let y = match &run.conditions.region_boxes {
                Some(boxes) if self.network.region_box() == Some(index) => boxes.clone(),
                _ => compose(&layer.op, &inputs, &params)?,
            };
            let y = with_dropout(index, y)?;
            if readers[index] > 0 {
                values[index] = Some(y);
            }
            for source in &layer.inputs {
                if let Source::Layer(before) = *source {
                    readers[before] -= 1;
                    if readers[before] == 0 {
                        values[before] = None;
                    }
                }
            }
        }
        let output = |index: &usize| values[*index].clone();
        let outputs: Option<Vec<Tensor>> = run.outputs.iter().map(output).collect();
        Ok(outputs.ok_or_else(|| Error::Msg("an output was freed".into()))?)
    }

    /// Returns an error unless the features are those of the taps.
    fn check_features(&self, features: &[Tensor]) -> CandleResult<()> {
        let taps = self.network.taps();
        let n = features.first().map_or(0, |f| f.dims().first().copied().unwrap_or(0));
        let shapes = taps.iter().map(|tap| [&[n][..], &self.network.shape(*tap).0].concat());
        let is_valid =
            taps.len() == features.len() && shapes.zip(features).all(|(shape, f)| f.dims() == shape);
        if is_valid {
            return Ok(());
        }
        let got: Vec<&[usize]> = features.iter().map(Tensor::dims).collect();
        Err(Error::Msg(format!("these are not the features that the heads read: {got:?}")))
    }

    fn check_input(&self, images: &Tensor) -> CandleResult<()> {
        let n = images.dims().first().copied().unwrap_or(0).max(1);
        let (channels, height, width) = self.network.input().chw().unwrap_or_default();
        let (expected, layout) = match images.dtype() {
            DType::U8 => {
                ([n, height, width, channels], format!("bytes of [N, {height}, {width}, {channels}]"))
            }
            _ => ([n, channels, height, width], format!("[N, {channels}, {height}, {width}]")),
        };
        if images.dims() == expected {
            return Ok(());
        }
        let msg = format!("the network needs photos of {layout}");
        Err(Error::UnexpectedShape { msg, expected: Shape::from(&expected), got: images.shape().clone() })
    }
}

/// Converts photos from bytes, `[N, h, w, 3]` in u8, to the layers' input, `[N, 3, h, w]` in f32: a byte `v` to `v /
/// 255`.
fn planar(photos: &Tensor) -> CandleResult<Tensor> {
    photos.permute((0, 3, 1, 2))?.contiguous()?.to_dtype(DType::F32)? / 255.0
}
