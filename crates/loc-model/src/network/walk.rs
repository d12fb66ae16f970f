//! The way through the layers: which operation each is, which are one operation, when an output is forgotten.

use candle_core::{DType, Error, Result as CandleResult, Shape, Tensor};
use loc_net::exec::activation_behind;
use loc_net::ops::{
    Add, AvgPool2d, ChannelAffine, Concat, Flatten, GroupMean, MaxPool2d, MeanMaxPool, Normalize, Pool, Relu,
    Relu6, Sigmoid, SoftmaxExpectation, Upsample,
};
use loc_net::{Op, Source};

use super::{Input, Model};
use crate::ModelError;
use crate::ops::{self, Activation, Backend, Convolutions, Dropout};

impl Model {
    /// Goes through the layers; in training with what is dropped. An output is forgotten after its last reader, unless it
    /// is the network's or in `keep`.
    pub(super) fn walk(
        &self,
        input: &Input,
        training: Option<Option<Dropout>>,
        keep: &[usize],
    ) -> Result<Vec<Option<Tensor>>, ModelError> {
        let (training, dropout) = (training.is_some(), training.flatten());
        let parameter = |name: &str| {
            Ok(match self.vars.get(name) {
                None => self.constants[name].clone(),
                Some(var) if training => var.as_tensor().clone(),
                Some(var) => var.as_detached_tensor(),
            })
        };
        let empty = Tensor::zeros(0, DType::F32, &self.device)?;
        let images = match input {
            Input::Images(images) => {
                self.check_input(images)?;
                images
            }
            Input::Features(_) => &empty,
        };
        // Nothing is seen of what lies inside the operation.
        let photos = matches!(input, Input::Images(_));
        let whole = |c: &&Convolutions| photos && c.give(keep);
        let convolutions = self.convolutions.as_ref().filter(whole);
        let planar = match convolutions {
            None if images.dtype() == DType::U8 => Some(ops::planar(images)?),
            _ => None,
        };
        let images = planar.as_ref().unwrap_or(images);
        let layers = self.network.layers();
        let readers_of = |index: usize| {
            let reads = layers.iter().flat_map(|l| &l.inputs).filter(|s| **s == Source::Layer(index)).count();
            let outputs = [self.network.logits(), self.network.boxes()];
            let edges = self.network.edges().map(|(layer, _)| layer);
            reads + outputs.iter().chain(&edges).chain(keep).filter(|k| **k == index).count()
        };
        let mut readers: Vec<usize> = (0..layers.len()).map(readers_of).collect();
        let mut values: Vec<Option<Tensor>> = vec![None; layers.len()];
        let dropped = |index: usize, y: Tensor| match dropout {
            Some(dropout) if layers[index].dropout => dropout.apply(&y, &layers[index].name),
            _ => Ok(y),
        };
        let mut index = 0;
        if let Some(convolutions) = convolutions {
            index = convolutions.layers();
            for (layer, output) in convolutions.apply(images, training, parameter)? {
                values[layer] = Some(dropped(layer, output)?);
            }
        }
        if let Input::Features(features) = input {
            index = self.network.backbone_layers();
            for (layer, features) in self.taps(features)? {
                values[layer] = Some(dropped(layer, features.clone())?);
            }
        }
        while let Some(layer) = layers.get(index) {
            let read = |source: &Source| {
                let x = match source {
                    Source::Input => Some(images),
                    Source::Layer(before) => values[*before].as_ref(),
                };
                x.ok_or_else(|| Error::Msg(format!("layer `{}` reads a forgotten output", layer.name)))
            };
            let inputs = layer.inputs.iter().map(read).collect::<CandleResult<Vec<_>>>()?;
            let x = inputs[0];
            let named = |what: &str| parameter(&format!("{}.{what}", layer.name));
            let fused = self.pool_to_fuse(index, &readers);
            let behind = activation_behind(&self.network, index).filter(|_| readers[index] == 1);
            let activation = behind.unwrap_or(Activation::None);
            let y = match (&layer.op, fused) {
                (Op::Conv2d(conv), Some(pool)) => {
                    ops::conv_pool_relu(x, &named("weight")?, &named("bias")?, conv, pool, self.form)?
                }
                (Op::Conv2d(conv), None) => {
                    ops::activated(x, &named("weight")?, &named("bias")?, conv, activation, self.form)?
                }
                (Op::Normalize(Normalize { mean, std }), _) => ops::normalize(x, *mean, *std)?,
                (Op::MaxPool2d(MaxPool2d(pool)), _) => ops::maxpool2d(x, *pool, self.form)?,
                (Op::AvgPool2d(AvgPool2d(pool)), _) => ops::avgpool2d(x, *pool, self.form)?,
                (Op::Relu(Relu), _) => ops::relu(x, self.form)?,
                (Op::Flatten(Flatten), _) => x.flatten_from(1)?,
                (Op::Linear(_), _) => {
                    let (w, b) = (named("weight")?, named("bias")?);
                    match &self.linears[index] {
                        Some(names) if training && self.form == Backend::Kernels => {
                            ops::linear_to_sink(x, &w, &b, (&self.sink, names))?
                        }
                        _ => ops::linear(x, &w, &b, self.form)?,
                    }
                }
                (Op::Sigmoid(Sigmoid), _) => ops::sigmoid(x)?,
                (Op::Relu6(Relu6), _) => ops::relu6(x, self.form)?,
                (Op::ChannelAffine(ChannelAffine { limit }), _) => {
                    ops::affine(x, &named("weight")?, &named("bias")?, *limit)?
                }
                (Op::Add(Add), _) => (x + inputs[1])?,
                (Op::Concat(Concat), _) => Tensor::cat(&inputs, 1)?,
                (Op::Upsample(Upsample { size }), _) => ops::upsample(x, *size)?,
                (Op::MeanMaxPool(MeanMaxPool(axis)), _) => ops::profile(x, *axis)?,
                (Op::SoftmaxExpectation(SoftmaxExpectation { bins }), _) => ops::expectation(x, *bins)?,
                (Op::GroupMean(GroupMean { parts }), _) => ops::mean(x, *parts)?,
            };
            if fused.is_some() {
                index += 2;
            } else if activation != Activation::None {
                index += 1;
            }
            let y = dropped(index, y)?;
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
            index += 1;
        }
        Ok(values)
    }

    /// The pool behind convolution `index`, where convolution, pool and relu can be one operation: nobody else reads
    /// what lies between them.
    fn pool_to_fuse(&self, index: usize, readers: &[usize]) -> Option<Pool> {
        let [conv, pool, relu] = self.network.layers().get(index..index + 3)? else { return None };
        let chained = pool.inputs == [Source::Layer(index)] && relu.inputs == [Source::Layer(index + 1)];
        let unread = readers[index] == 1 && readers[index + 1] == 1;
        match (&conv.op, &pool.op, &relu.op) {
            (Op::Conv2d(_), Op::MaxPool2d(MaxPool2d(pool)), Op::Relu(Relu)) if chained && unread => {
                Some(*pool)
            }
            _ => None,
        }
    }

    /// The layers whose outputs are given, and these, once they fit.
    fn taps<'a>(&self, features: &'a [Tensor]) -> CandleResult<Vec<(usize, &'a Tensor)>> {
        let taps = self.network.taps();
        let n = features.first().map_or(0, |f| f.dims().first().copied().unwrap_or(0));
        let shapes = taps.iter().map(|tap| [&[n][..], &self.network.shape(*tap).0].concat());
        let fits = taps.len() == features.len() && shapes.zip(features).all(|(shape, f)| f.dims() == shape);
        if fits {
            return Ok(taps.into_iter().zip(features).collect());
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
        let msg = format!("the network takes photos of {layout}");
        Err(Error::UnexpectedShape { msg, expected: Shape::from(&expected), got: images.shape().clone() })
    }
}
