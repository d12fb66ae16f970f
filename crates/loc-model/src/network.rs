//! The layer list on Candle: a forward pass that keeps what the backward pass needs. Losses do not live here.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Error, Result as CandleResult, Shape, Tensor, Var};
use loc_net::{Layer, Network, Op, Pool, Source, Weight, Weights};

use crate::ModelError;
use crate::ops::{self, Activation, Collected, Convolutions, Dropout, Form, Names, Sink};

/// A network whose weights are Candle variables on a device: made to be trained.
///
/// What the tutorial's network makes of a batch of 256×256 photos, layer by layer:
///
/// | layer | output |
/// |---|---|
/// | input: RGB in 0..1, planar | `[N, 3, 256, 256]` |
/// | `normalize`, where it is not the identity | `[N, 3, 256, 256]` |
/// | `conv1`; `pool1`, `relu1` | `[N, 6, 252, 252]`; `[N, 6, 126, 126]` |
/// | `conv2`; `pool2`, `relu2` | `[N, 12, 122, 122]`; `[N, 12, 61, 61]` |
/// | `conv3`; `pool3`, `relu3` | `[N, 24, 57, 57]`; `[N, 24, 28, 28]` |
/// | `conv4`; `pool4`, `relu4` | `[N, 48, 24, 24]`; `[N, 48, 12, 12]` |
/// | `conv5`, `relu5`; `pool5` | `[N, 192, 8, 8]`; `[N, 192, 3, 3]` |
/// | `features` | `[N, 1728]` |
/// | `class_fc1`, `class_fc2`, `class_out` | `[N, 240]`, `[N, 120]`, logits `[N, K]` |
/// | `box_fc1`, `box_fc2`, `box_out`, `box` | `[N, 240]`, `[N, 120]`, `[N, 4]`, boxes `[N, 4]` |
#[derive(Debug, Clone)]
pub struct Model {
    network: Network,
    vars: BTreeMap<String, Var>,
    /// The parameters that are not trained: a frozen backbone's.
    constants: BTreeMap<String, Tensor>,
    device: Device,
    form: Form,
    /// The first layers as one operation, on the CPU.
    convolutions: Option<Convolutions>,
    /// For each layer that is linear, its two parameters.
    linears: Vec<Option<Names>>,
    /// Where the kernels leave the gradients of parameters.
    sink: Sink,
}

/// For each layer that is linear, the names of its weight and bias, and where each begins in one buffer.
fn linears(network: &Network) -> Vec<Option<Names>> {
    let names = |(i, layer): (usize, &Layer)| match layer.op {
        Op::Linear { out_features } => {
            let weights = network.source_shape(layer.inputs[0]).len() * out_features;
            debug_assert_eq!(network.shape(i).len(), out_features);
            Some(Arc::from([
                (format!("{}.weight", layer.name), 0),
                (format!("{}.bias", layer.name), weights),
            ]))
        }
        _ => None,
    };
    network.layers().iter().enumerate().map(names).collect()
}

/// What a network reads: photos, or what its backbone has made of them already.
#[derive(Debug, Clone)]
pub enum Input {
    /// As [`Model::forward`] takes them.
    Images(Tensor),
    /// The outputs of the layers [`Network::taps`], in that order, each `[N, …]` in f32.
    Features(Vec<Tensor>),
}

/// What the network says of a batch.
#[derive(Debug, Clone)]
pub struct ModelOutput {
    /// `[N, K]`: the class logits, before softmax.
    pub logits: Tensor,
    /// `[N, 4]`: x1, y1, x2, y2 of each box, in 0..1 of the input.
    pub boxes: Tensor,
    /// `[N, 4, B]`: the logits of each edge's distribution over B places, where the box head makes them.
    pub edges: Option<Tensor>,
}

/// The gradients of a model's parameters.
#[derive(Debug)]
pub struct Gradients {
    vars: BTreeMap<String, Var>,
    store: GradStore,
    collected: Collected,
}

impl Gradients {
    /// The gradient of a parameter, in its shape; nothing if the loss does not depend on it.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn get(&self, name: &str) -> Result<Option<Tensor>, ModelError> {
        let Some(var) = self.vars.get(name) else { return Ok(None) };
        if let Some(values) = self.collected.get(name) {
            return Ok(Some(Tensor::from_slice(values, var.shape(), var.device())?));
        }
        Ok(self.store.get(var).cloned())
    }

    /// `target ← scale · target + rate · gradient` in place, for a tensor of the parameter's shape: what optimizers are
    /// made of. False if there is no gradient.
    ///
    /// # Errors
    ///
    /// A Candle error if the shapes differ or the device fails.
    pub fn add_to(&self, name: &str, target: &Var, scale: f64, rate: f64) -> Result<bool, ModelError> {
        if let Some(values) = self.collected.get(name) {
            ops::scale_add_slice(target, scale, values, rate)?;
            return Ok(true);
        }
        let Some(gradient) = self.vars.get(name).and_then(|var| self.store.get(var)) else {
            return Ok(false);
        };
        ops::scale_add(target, scale, gradient, rate)?;
        Ok(true)
    }

    /// `target ← scale · target + rate · gradient²` in place, as [`Gradients::add_to`].
    ///
    /// # Errors
    ///
    /// A Candle error if the shapes differ or the device fails.
    pub fn add_square_to(&self, name: &str, target: &Var, scale: f64, rate: f64) -> Result<bool, ModelError> {
        if let Some(values) = self.collected.get(name) {
            ops::scale_add_square_slice(target, scale, values, rate)?;
            return Ok(true);
        }
        let Some(gradient) = self.vars.get(name).and_then(|var| self.store.get(var)) else {
            return Ok(false);
        };
        ops::scale_add(target, scale, &gradient.sqr()?, rate)?;
        Ok(true)
    }

    /// The root of the sum of the squares of all gradients.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn norm(&self) -> Result<f64, ModelError> {
        let squares = |values: &[f32]| values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>();
        let mut sum = 0.0;
        for (name, var) in &self.vars {
            if let Some(values) = self.collected.get(name) {
                sum += squares(values);
            } else if let Some(gradient) = self.store.get(var) {
                sum += squares(&gradient.flatten_all()?.to_vec1::<f32>()?);
            }
        }
        Ok(sum.sqrt())
    }
}

impl Model {
    /// Puts a network with these weights on a device.
    ///
    /// # Errors
    ///
    /// [`ModelError::Net`] with every difference between the weights and the network, or a Candle error of the
    /// device.
    pub fn new(network: Network, weights: &Weights, device: &Device) -> Result<Self, ModelError> {
        Self::with_form(network, weights, device, Form::of(device))
    }

    /// As [`Model::new`], with the form of the operations chosen by the caller: what another device would run,
    /// [`Form::Composed`], also runs on the CPU.
    ///
    /// # Errors
    ///
    /// As [`Model::new`]. With [`Form::Kernels`] on a device other than the CPU every forward pass fails.
    pub fn with_form(
        network: Network,
        weights: &Weights,
        device: &Device,
        form: Form,
    ) -> Result<Self, ModelError> {
        Self::build(network, weights, device, form, false)
    }

    /// As [`Model::new`], but the backbone is not trained: [`Model::vars`] are the heads' parameters alone.
    ///
    /// # Errors
    ///
    /// As [`Model::new`].
    pub fn with_frozen_backbone(
        network: Network,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Self::build(network, weights, device, Form::of(device), true)
    }

    fn build(
        network: Network,
        weights: &Weights,
        device: &Device,
        form: Form,
        frozen: bool,
    ) -> Result<Self, ModelError> {
        weights.check(&network)?;
        let (mut vars, mut constants) = (BTreeMap::new(), BTreeMap::new());
        for param in network.params() {
            let weight = &weights.0[&param.name];
            let tensor = Tensor::from_slice(&weight.data, &weight.shape[..], device)?;
            if frozen && param.layer < network.backbone_layers() {
                constants.insert(param.name.clone(), tensor);
            } else {
                vars.insert(param.name.clone(), Var::from_tensor(&tensor)?);
            }
        }
        let (sink, linears) = (Sink::default(), linears(&network));
        let fused = form == Form::Kernels && !frozen;
        let convolutions = if fused { Convolutions::of(&network, &sink)? } else { None };
        Ok(Self { network, vars, constants, device: device.clone(), form, convolutions, linears, sink })
    }

    /// Whether the backbone is not trained.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        !self.constants.is_empty()
    }

    /// A model of its own with the same weights.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn copy(&self) -> Result<Self, ModelError> {
        Self::build(self.network.clone(), &self.weights()?, &self.device, self.form, self.is_frozen())
    }

    /// The layers it walks.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Where its weights lie.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Its trainable tensors, by name and in the names' order.
    #[must_use]
    pub fn vars(&self) -> &BTreeMap<String, Var> {
        &self.vars
    }

    /// A copy of its weights.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn weights(&self) -> Result<Weights, ModelError> {
        let mut weights = BTreeMap::new();
        let vars = self.vars.iter().map(|(name, var)| (name, var.as_tensor()));
        for (name, tensor) in vars.chain(&self.constants) {
            let data = tensor.flatten_all()?.to_vec1()?;
            weights.insert(name.clone(), Weight { shape: tensor.dims().to_vec(), data });
        }
        Ok(Weights(weights))
    }

    /// Replaces its weights, all or none; a frozen backbone keeps its own.
    ///
    /// # Errors
    ///
    /// [`ModelError::Net`] with every difference between the weights and the network; then none is replaced.
    pub fn set_weights(&self, weights: &Weights) -> Result<(), ModelError> {
        weights.check(&self.network)?;
        for (name, var) in &self.vars {
            let shape = var.shape().clone();
            var.set(&Tensor::from_slice(weights.values(name), shape, &self.device)?)?;
        }
        Ok(())
    }

    /// Runs a batch and keeps every activation for the backward pass, as long as the output lives. Gradients are taken by
    /// [`Model::backward`]: on the CPU Candle's own `backward` does not give those of all parameters.
    ///
    /// # Shapes
    ///
    /// images `[N, 3, H, W]` in f32, RGB in 0..1, or `[N, H, W, 3]` in u8, RGB bytes of which `v` stands for `v / 255`;
    /// with the network's height and width.
    ///
    /// # Errors
    ///
    /// A Candle error that names the expected and the given shape, or one of the device.
    pub fn forward(&self, images: &Tensor) -> Result<ModelOutput, ModelError> {
        self.train(&Input::Images(images.clone()), None)
    }

    /// As [`Model::forward`], of photos or features, and drops some of what the layers that allow it give.
    ///
    /// # Errors
    ///
    /// As [`Model::forward`].
    pub fn train(&self, input: &Input, dropout: Option<Dropout>) -> Result<ModelOutput, ModelError> {
        self.outputs(self.walk(input, Some(dropout), &[])?)
    }

    /// Runs a batch without a backward pass to come: activations are dropped as soon as they have been read, and
    /// the output leads to no gradient. The values are those of [`Model::forward`].
    ///
    /// # Errors
    ///
    /// As [`Model::forward`].
    pub fn infer(&self, images: &Tensor) -> Result<ModelOutput, ModelError> {
        self.judge(&Input::Images(images.clone()))
    }

    /// As [`Model::infer`], of photos or features.
    ///
    /// # Errors
    ///
    /// As [`Model::forward`].
    pub fn judge(&self, input: &Input) -> Result<ModelOutput, ModelError> {
        self.outputs(self.walk(input, None, &[])?)
    }

    /// Every layer's output for a batch, in the order of the layers, without a gradient: for a look inside.
    ///
    /// # Errors
    ///
    /// As [`Model::forward`].
    pub fn activations(&self, images: &Tensor) -> Result<Vec<Tensor>, ModelError> {
        let all: Vec<usize> = (0..self.network.layers().len()).collect();
        let values = self.walk(&Input::Images(images.clone()), None, &all)?;
        Ok(values.into_iter().flatten().collect())
    }

    /// The gradients of a scalar, a loss of this model's outputs, with respect to its parameters.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients, ModelError> {
        let (store, collected) = self.sink.collect(|| loss.backward())?;
        Ok(Gradients { vars: self.vars.clone(), store, collected })
    }

    fn outputs(&self, values: Vec<Option<Tensor>>) -> Result<ModelOutput, ModelError> {
        let output =
            |index: usize| values[index].clone().ok_or_else(|| Error::Msg("an output was dropped".into()));
        let edges = match self.network.edges() {
            Some((layer, bins)) => Some(output(layer)?.reshape(((), 4, bins))?),
            None => None,
        };
        Ok(ModelOutput {
            logits: output(self.network.logits())?,
            boxes: output(self.network.boxes())?,
            edges,
        })
    }

    /// Goes through the layers; in training with what is dropped. An output is forgotten after its last reader, unless it
    /// is the network's or in `keep`.
    fn walk(
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
        let whole = |c: &&Convolutions| photos && keep.iter().all(|k| k + 1 >= c.layers());
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
        let mut index = 0;
        if let Some(convolutions) = convolutions {
            index = convolutions.layers();
            values[index - 1] = Some(convolutions.apply(images, training, parameter)?);
        }
        if let Input::Features(features) = input {
            index = self.network.backbone_layers();
            for (layer, features) in self.taps(features)? {
                values[layer] = Some(features.clone());
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
            let activation = self.activation_to_fuse(index, &readers);
            let y = match (&layer.op, fused) {
                (Op::Conv2d(conv), Some(pool)) => {
                    ops::conv_pool_relu(x, &named("weight")?, &named("bias")?, conv, pool, self.form)?
                }
                (Op::Conv2d(conv), None) => {
                    ops::activated(x, &named("weight")?, &named("bias")?, conv, activation, self.form)?
                }
                (Op::Normalize { mean, std }, _) => ops::normalize(x, *mean, *std)?,
                (Op::MaxPool2d(pool), _) => ops::maxpool2d(x, *pool, self.form)?,
                (Op::AvgPool2d(pool), _) => ops::avgpool2d(x, *pool, self.form)?,
                (Op::Relu, _) => ops::relu(x, self.form)?,
                (Op::Flatten, _) => x.flatten_from(1)?,
                (Op::Linear { .. }, _) => {
                    let (w, b) = (named("weight")?, named("bias")?);
                    match &self.linears[index] {
                        Some(names) if training && self.form == Form::Kernels => {
                            ops::linear_to_sink(x, &w, &b, (&self.sink, names))?
                        }
                        _ => ops::linear(x, &w, &b, self.form)?,
                    }
                }
                (Op::Sigmoid, _) => ops::sigmoid(x)?,
                (Op::Relu6, _) => ops::relu6(x, self.form)?,
                (Op::Affine { limit }, _) => ops::affine(x, &named("weight")?, &named("bias")?, *limit)?,
                (Op::Add, _) => (x + inputs[1])?,
                (Op::Concat, _) => Tensor::cat(&inputs, 1)?,
                (Op::Upsample { size }, _) => ops::upsample(x, *size)?,
                (Op::Profile(axis), _) => ops::profile(x, *axis)?,
                (Op::Expectation { bins }, _) => ops::expectation(x, *bins)?,
            };
            if fused.is_some() {
                index += 2;
            } else if activation != Activation::None {
                index += 1;
            }
            let y = match dropout {
                Some(dropout) if layers[index].dropout => dropout.apply(&y, &layers[index].name)?,
                _ => y,
            };
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
            (Op::Conv2d(_), Op::MaxPool2d(pool), Op::Relu) if chained && unread => Some(*pool),
            _ => None,
        }
    }

    /// What stands behind convolution `index` and can be one operation with it: nobody else reads what lies between.
    fn activation_to_fuse(&self, index: usize, readers: &[usize]) -> Activation {
        match self.network.layers().get(index..index + 2) {
            Some([Layer { op: Op::Conv2d(_), .. }, next])
                if next.inputs == [Source::Layer(index)] && readers[index] == 1 =>
            {
                match next.op {
                    Op::Relu => Activation::Relu,
                    Op::Relu6 => Activation::Relu6,
                    _ => Activation::None,
                }
            }
            _ => Activation::None,
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
