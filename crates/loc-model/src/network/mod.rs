//! A network on Candle: its forward pass stores what the backward pass needs. The losses are in `loss`.

mod backend;
mod cpu;
mod types;
mod walk;

use std::collections::BTreeMap;

use candle_core::{Device, Error, Tensor, Var};
use loc_net::{Network, Weight, Weights};

use crate::gradient_buffers::GradientBuffers;
use crate::{Gradients, ModelError};
pub use backend::Backend;
use cpu::{CpuNetwork, Run};
pub use types::{Conditions, Input, ModelOutput};

/// A network for training: its weights are Candle variables on a device.
///
/// The outputs of the tutorial's network for a batch of 256×256 photos, layer by layer:
///
/// | layer | output |
/// |---|---|
/// | input: RGB in 0..1, planar | `[N, 3, 256, 256]` |
/// | `normalize`, unless it is the identity | `[N, 3, 256, 256]` |
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
    /// The parameters that are not trained: those of a frozen backbone.
    constants: BTreeMap<String, Tensor>,
    device: Device,
    backend: Backend,
    /// The network as one operation; on the CPU only.
    cpu: Option<CpuNetwork>,
    /// The buffers of the parameter gradients that the kernels compute.
    buffers: GradientBuffers,
}

impl Model {
    /// Creates a network with these weights on a device.
    ///
    /// # Errors
    ///
    /// [`ModelError::Net`] with every difference between the weights and the network, or a Candle error of the
    /// device.
    pub fn new(network: Network, weights: &Weights, device: &Device) -> Result<Self, ModelError> {
        Self::with_backend(network, weights, device, Backend::of(device))
    }

    /// Same as [`Model::new`], with a backend chosen by the caller. [`Backend::Composed`], which other devices use,
    /// also runs on the CPU.
    ///
    /// # Errors
    ///
    /// Those of [`Model::new`]. With [`Backend::Kernels`] on a device other than the CPU every forward pass fails.
    pub fn with_backend(
        network: Network,
        weights: &Weights,
        device: &Device,
        backend: Backend,
    ) -> Result<Self, ModelError> {
        Self::build(network, weights, device, backend, false)
    }

    /// Same as [`Model::new`], with a frozen backbone: [`Model::vars`] holds only the parameters of the heads.
    ///
    /// # Errors
    ///
    /// Those of [`Model::new`].
    pub fn with_frozen_backbone(
        network: Network,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Self::build(network, weights, device, Backend::of(device), true)
    }

    fn build(
        network: Network,
        weights: &Weights,
        device: &Device,
        backend: Backend,
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
        let buffers = GradientBuffers::default();
        let cpu = match backend {
            Backend::Kernels => Some(CpuNetwork::new(&network, frozen, &buffers)?),
            Backend::Composed => None,
        };
        Ok(Self { network, vars, constants, device: device.clone(), backend, cpu, buffers })
    }

    /// Returns whether the backbone is frozen.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        !self.constants.is_empty()
    }

    /// Returns an independent model with the same weights.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn copy(&self) -> Result<Self, ModelError> {
        Self::build(self.network.clone(), &self.weights()?, &self.device, self.backend, self.is_frozen())
    }

    /// Returns the network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Returns the device that holds the weights.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the trainable tensors, sorted by name.
    #[must_use]
    pub fn vars(&self) -> &BTreeMap<String, Var> {
        &self.vars
    }

    /// Returns a copy of the weights.
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

    /// Replaces all weights, or none if they are not those of the network. A frozen backbone keeps its weights.
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

    /// Runs a batch. The activations are kept for the backward pass as long as the output exists. Use
    /// [`Model::backward`] for the gradients: on the CPU, Candle's own `backward` does not return those of all
    /// parameters.
    ///
    /// # Shapes
    ///
    /// images `[N, 3, H, W]` in f32, RGB in 0..1, or `[N, H, W, 3]` in u8, RGB bytes where `v` means `v / 255`; with
    /// the network's height and width.
    ///
    /// # Errors
    ///
    /// A Candle error that names the expected and the given shape, or an error of the device.
    pub fn forward(&self, images: &Tensor) -> Result<ModelOutput, ModelError> {
        self.train(&Input::Images(images.clone()), &Conditions::default())
    }

    /// Same as [`Model::forward`], for photos or features, under the conditions of a training step.
    ///
    /// # Errors
    ///
    /// Those of [`Model::forward`].
    pub fn train(&self, input: &Input, conditions: &Conditions) -> Result<ModelOutput, ModelError> {
        Ok(self.outputs(input, true, conditions, None)?.0)
    }

    /// Same as [`Model::train`], and also returns the output of one layer: a tap or a layer of the heads.
    ///
    /// # Errors
    ///
    /// Those of [`Model::forward`].
    pub fn train_with(
        &self,
        input: &Input,
        conditions: &Conditions,
        layer: usize,
    ) -> Result<(ModelOutput, Tensor), ModelError> {
        let (output, extra) = self.outputs(input, true, conditions, Some(layer))?;
        Ok((output, extra.ok_or_else(|| Error::Msg("an output is missing".into()))?))
    }

    /// Runs a batch without preparing a backward pass: activations are freed after their last use, and the output has
    /// no gradient. The values are those of [`Model::forward`].
    ///
    /// # Errors
    ///
    /// Those of [`Model::forward`].
    pub fn infer(&self, images: &Tensor) -> Result<ModelOutput, ModelError> {
        self.evaluate(&Input::Images(images.clone()))
    }

    /// Same as [`Model::infer`], for photos or features.
    ///
    /// # Errors
    ///
    /// Those of [`Model::forward`].
    pub fn evaluate(&self, input: &Input) -> Result<ModelOutput, ModelError> {
        Ok(self.outputs(input, false, &Conditions::default(), None)?.0)
    }

    /// Returns every layer's output for a batch, in the order of the layers, without gradients; for inspection.
    ///
    /// # Errors
    ///
    /// Those of [`Model::forward`].
    pub fn activations(&self, images: &Tensor) -> Result<Vec<Tensor>, ModelError> {
        let all: Vec<usize> = (0..self.network.layers().len()).collect();
        let conditions = &Conditions::default();
        self.run(&Input::Images(images.clone()), &Run { keep: false, conditions, outputs: &all })
    }

    /// Computes the gradients of a scalar, a loss of this model's outputs, with respect to its parameters.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients, ModelError> {
        let (store, collected) = self.buffers.collect(|| loss.backward())?;
        Ok(Gradients { vars: self.vars.clone(), store, collected })
    }

    /// Returns the gradients of a loss that does not depend on the parameters: zeros, as a process adds to the sum if none
    /// of the batch's photos are its own. Only of a model that loc-net's kernels compute.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn no_gradients(&self) -> Result<Gradients, ModelError> {
        let none = || -> Result<(), Error> {
            self.cpu.iter().for_each(CpuNetwork::no_gradients);
            Ok(())
        };
        let ((), collected) = self.buffers.collect(none)?;
        let store = Tensor::zeros((), candle_core::DType::F32, &self.device)?.backward()?;
        Ok(Gradients { vars: self.vars.clone(), store, collected })
    }

    /// Returns the outputs of the network and, if requested, that of one more layer.
    fn outputs(
        &self,
        input: &Input,
        keep: bool,
        conditions: &Conditions,
        layer: Option<usize>,
    ) -> Result<(ModelOutput, Option<Tensor>), ModelError> {
        let mut outputs = self.network.outputs();
        outputs.extend(layer);
        let values = self.run(input, &Run { keep, conditions, outputs: &outputs })?;
        self.output_of(values)
    }

    /// Returns the number of values of each photo in all outputs: the length of a row of [`ModelOutput::to_rows`].
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.network.outputs().into_iter().map(|layer| self.network.shape(layer).len()).sum()
    }

    /// Returns the outputs whose values are the rows of [`ModelOutput::to_rows`].
    ///
    /// # Errors
    ///
    /// A Candle error if the rows have another length than [`Model::output_len`], or the device fails.
    pub fn output_from_rows(&self, rows: &Tensor) -> Result<ModelOutput, ModelError> {
        let mut from = 0;
        let of_layer = |layer| {
            let shape = self.network.shape(layer);
            from += shape.len();
            rows.narrow(1, from - shape.len(), shape.len())?.reshape([&[rows.dim(0)?][..], &shape.0].concat())
        };
        let values = self.network.outputs().into_iter().map(of_layer).collect::<Result<_, Error>>()?;
        Ok(self.output_of(values)?.0)
    }

    /// Takes the outputs apart; one more value is that of another layer.
    fn output_of(&self, values: Vec<Tensor>) -> Result<(ModelOutput, Option<Tensor>), ModelError> {
        let mut values = values.into_iter();
        let mut next = || values.next().ok_or_else(|| Error::Msg("an output is missing".into()));
        let (logits, boxes) = (next()?, next()?);
        let edges = match self.network.edges() {
            Some((layer, bins)) => {
                Some(next()?.reshape(((), self.network.shape(layer).len() / bins, bins))?)
            }
            None => None,
        };
        let presence = self.network.presence().map(|_| next()?.flatten_all()).transpose()?;
        Ok((ModelOutput { logits, boxes, edges, presence }, values.next()))
    }
}
