//! The whole network as one Candle operation on the CPU: [`loc_net::exec::Training`] under Candle's autograd.
//!
//! There are two reasons for one operation: the maps between fused convolutions have their own layouts, and a training
//! step then allocates nothing larger than the cache. Candle's autograd would zero and add a tensor for each gradient.
//! Candle computes the losses of the outputs; the gradients of the parameters go to [`GradientBuffers`].

use std::sync::{Arc, Mutex};

use candle_core::{CpuStorage, CustomOp1, DType, Device, Error, Layout, Result, Shape, Tensor, Var};
use loc_net::exec::{self, Images, Training, TrainingSetup};
use loc_net::{ImageBatch, Network, Parts};

use super::{Conditions, Input};
use crate::gradient_buffers::{GradientBuffers, ParamRange, ParamRanges, lock};
use crate::storage::tensor_values;

/// The executor of a network on the CPU.
#[derive(Debug, Clone)]
pub(super) struct CpuNetwork {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    network: Network,
    frozen: bool,
    /// The parameters that get gradients: all, or those of the heads.
    all: Params,
    heads: Params,
    /// A variable in place of all parameters, so that Candle calls the backward pass.
    anchor: Var,
    /// Training passes that are not in use, with their buffers; the next batch reuses them.
    unused: Mutex<Vec<(TrainingSetup, Training)>>,
    buffers: GradientBuffers,
}

/// Some parameters whose gradients are in one buffer.
#[derive(Debug)]
struct Params {
    ranges: ParamRanges,
    len: usize,
}

impl Params {
    /// Returns the parameters of the layers from `first` on.
    fn of(network: &Network, first: usize) -> Self {
        let mut len = 0;
        let trained = network.params().iter().filter(|param| param.layer >= first);
        let ranges = trained.map(|param| {
            let start = len;
            len += param.shape.iter().product::<usize>();
            ParamRange { name: param.name.clone(), start }
        });
        Self { ranges: ranges.collect(), len }
    }
}

/// The settings of one run.
pub(super) struct Run<'a> {
    /// Whether a backward pass may follow.
    pub(super) keep: bool,
    pub(super) conditions: &'a Conditions,
    /// The layers whose outputs are returned.
    pub(super) outputs: &'a [usize],
}

impl CpuNetwork {
    pub(super) fn new(network: &Network, frozen: bool, buffers: &GradientBuffers) -> Result<Self> {
        let shared = Shared {
            all: Params::of(network, 0),
            heads: Params::of(network, network.backbone_layers()),
            network: network.clone(),
            frozen,
            anchor: Var::new(0f32, &Device::Cpu)?,
            unused: Mutex::default(),
            buffers: buffers.clone(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Adds zeros to the gradients of the trained parameters.
    pub(super) fn no_gradients(&self) {
        let shared = &self.shared;
        let trained = if shared.frozen { &shared.heads } else { &shared.all };
        shared.buffers.put(&trained.ranges, trained.len, |gradients| gradients.fill(0.0));
    }

    /// Runs a batch; `params` are all parameters of the network, in its order.
    ///
    /// # Shapes
    ///
    /// Photos `[N, 3, h, w]` in f32 or `[N, h, w, 3]` in u8, or features of the taps in f32. Returns the requested
    /// outputs, each `[N, …]`.
    pub(super) fn run(&self, input: &Input, params: Vec<Tensor>, run: &Run) -> Result<Vec<Tensor>> {
        let network = &self.shared.network;
        let (n, input) = match input {
            Input::Images(images) => (images.dim(0)?, Input::Images(images.contiguous()?)),
            Input::Features(features) => {
                let n = features.first().map_or(Ok(0), |features| features.dim(0))?;
                (n, Input::Features(features.iter().map(Tensor::contiguous).collect::<Result<_>>()?))
            }
        };
        let setup = TrainingSetup {
            from_features: matches!(input, Input::Features(_)),
            frozen_backbone: self.shared.frozen,
            outputs: run.outputs.to_vec(),
        };
        let anchor = &self.shared.anchor;
        let anchor = if run.keep { anchor.as_tensor().clone() } else { anchor.as_detached_tensor() };
        let op = NetworkOp {
            cpu: self.clone(),
            setup,
            input,
            params,
            n,
            keep: run.keep,
            conditions: run.conditions.clone(),
            pass: Mutex::default(),
        };
        let outputs = anchor.apply_op1(op)?;
        let mut from = 0;
        let output_of = |layer: &usize| {
            let shape = network.shape(*layer);
            from += shape.len();
            let dims = [&[n][..], &shape.0].concat();
            outputs.narrow(1, from - shape.len(), shape.len())?.reshape(dims)
        };
        run.outputs.iter().map(output_of).collect()
    }
}

/// One call of the network.
struct NetworkOp {
    cpu: CpuNetwork,
    setup: TrainingSetup,
    input: Input,
    params: Vec<Tensor>,
    n: usize,
    keep: bool,
    conditions: Conditions,
    /// The forward pass, with the values that the backward pass needs.
    pass: Mutex<Option<Training>>,
}

impl Drop for NetworkOp {
    fn drop(&mut self) {
        if let Some(pass) = lock(&self.pass).take() {
            self.recycle(pass);
        }
    }
}

impl NetworkOp {
    /// Returns a pass that is not in use, or a new one.
    fn pass(&self) -> Training {
        let shared = &self.cpu.shared;
        let mut unused = lock(&shared.unused);
        match unused.iter().position(|(setup, _)| *setup == self.setup) {
            Some(i) => unused.swap_remove(i).1,
            None => Training::new(&shared.network, self.setup.clone()),
        }
    }

    /// Keeps a pass with its buffers for the next batch, unless it has many outputs: such passes are rare.
    fn recycle(&self, pass: Training) {
        const MAX_OUTPUTS: usize = 4;
        if self.setup.outputs.len() <= MAX_OUTPUTS {
            lock(&self.cpu.shared.unused).push((self.setup.clone(), pass));
        }
    }

    /// Calls `f` with the values of the input and of all parameters.
    fn with_values<R>(&self, f: impl FnOnce(Images, &[&[f32]]) -> R) -> Result<R> {
        let op = self.name();
        let storages: Vec<_> = self.params.iter().map(Tensor::storage_and_layout).collect();
        let params =
            storages.iter().map(|storage| tensor_values(op, storage)).collect::<Result<Vec<&[f32]>>>()?;
        match &self.input {
            Input::Images(images) => {
                let storage = images.storage_and_layout();
                let photos = match images.dtype() {
                    DType::U8 => ImageBatch::Bytes(tensor_values(op, &storage)?),
                    DType::F32 => ImageBatch::Floats(tensor_values(op, &storage)?),
                    dtype => return Err(Error::UnsupportedDTypeForOp(dtype, op)),
                };
                Ok(f(Images::Photos(photos), &params))
            }
            Input::Features(features) => {
                let storages: Vec<_> = features.iter().map(Tensor::storage_and_layout).collect();
                let features = storages
                    .iter()
                    .map(|storage| tensor_values(op, storage))
                    .collect::<Result<Vec<&[f32]>>>()?;
                Ok(f(Images::Features(&features), &params))
            }
        }
    }
}

impl CustomOp1 for NetworkOp {
    fn name(&self) -> &'static str {
        "network"
    }

    fn cpu_fwd(&self, _anchor: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut pass = self.pass();
        let mut y = vec![0.0; self.n * pass.out_len()];
        let mask = |layer: &str, factors: &mut [f32]| {
            if let Some(dropout) = &self.conditions.dropout {
                dropout.factors(layer, self.n, factors);
            }
        };
        let boxes =
            self.conditions.region_boxes.as_ref().map(|boxes| boxes.flatten_all()?.to_vec1()).transpose()?;
        let conditions = exec::Conditions {
            dropout: if self.conditions.dropout.is_some() { Some(&mask) } else { None },
            region_boxes: boxes.as_deref(),
        };
        self.with_values(|images, params| match self.keep {
            false => pass.infer(images, self.n, params, &mut y),
            true => pass.forward(images, self.n, params, conditions, &mut y),
        })?;
        let shape = Shape::from((self.n, pass.out_len()));
        if self.keep {
            *lock(&self.pass) = Some(pass);
        } else {
            self.recycle(pass);
        }
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, anchor: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (op, shared) = (self.name(), &self.cpu.shared);
        let gradient = gradient.contiguous()?;
        let gradient_storage = gradient.storage_and_layout();
        let gradient: &[f32] = tensor_values(op, &gradient_storage)?;
        let mut pass = lock(&self.pass);
        let pass = pass.as_mut().ok_or_else(|| Error::Msg(format!("{op}: backward before forward")))?;
        let heads_only = self.setup.from_features || self.setup.frozen_backbone;
        let trained = if heads_only { &shared.heads } else { &shared.all };
        let parts = self.conditions.parts.unwrap_or_else(|| Parts::of(self.n));
        self.with_values(|images, params| {
            shared.buffers.put(&trained.ranges, trained.len, |param_gradients| {
                pass.backward(images, params, &parts, gradient, param_gradients);
            });
        })?;
        Ok(Some(anchor.zeros_like()?))
    }
}
