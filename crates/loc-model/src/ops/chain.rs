//! The convolutions at the beginning of a network as one operation: [`loc_net::exec::fused`], or where there is none
//! [`loc_net::exec::backbone`], under Candle's autograd.
//!
//! On the CPU only. One operation instead of one a layer, because the maps between the fused convolutions have layouts
//! of their own, and because nothing wider than a cache is then allocated in a training step: Candle's autograd clears
//! and adds a tensor for each gradient. The gradients of its parameters go to a [`GradientBuffers`].

use std::sync::{Arc, Mutex};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, DType, Device, Error, Layout, Result, Shape, Tensor, Var};
use loc_net::exec::backbone::BackboneTraining;
use loc_net::exec::fused::{FusedPlan, FusedTraining};
use loc_net::{ImageBatch, Network};

use crate::gradient_buffers::{GradientBuffers, Names, lock};
use crate::storage::{lent, values};

/// Photos that a tape without a backward pass to come takes at once: it keeps their activations all the same.
const AT_ONCE: usize = 4;

/// The fused forms or the general ones.
#[derive(Debug)]
enum Plan {
    Chain(FusedPlan),
    Tape(BackboneTraining),
}

/// One batch's way there and back.
#[derive(Debug)]
enum Pass {
    Chain(Box<FusedTraining>),
    Tape(Box<BackboneTraining>),
}

/// Calls the same of either.
macro_rules! either {
    ($kind:ident, $value:expr, |$own:ident| $body:expr) => {
        match $value {
            $kind::Chain($own) => $body,
            $kind::Tape($own) => $body,
        }
    };
}

/// The first layers of a network, and their passes.
#[derive(Debug, Clone)]
pub(crate) struct Convolutions {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    plan: Plan,
    /// The parameters in the order the operation takes them.
    names: Names,
    /// Values of all parameters.
    params_len: usize,
    /// The layers whose outputs are the result, and the shape of each.
    outputs: Vec<(usize, Vec<usize>)>,
    /// What makes Candle ask for a backward pass: it stands for all parameters.
    anchor: Var,
    /// Passes that wait for the next batch.
    idle: Mutex<Vec<Pass>>,
    sink: GradientBuffers,
}

impl Convolutions {
    /// Those of a network, or nothing where its layers or the processor do not fit.
    pub(crate) fn of(network: &Network, sink: &GradientBuffers) -> Result<Option<Self>> {
        let plan = match FusedPlan::of(network, true) {
            Some(chain) => Plan::Chain(chain),
            None => match BackboneTraining::of(network) {
                Some(tape) => Plan::Tape(tape),
                None => return Ok(None),
            },
        };
        let outputs = match &plan {
            Plan::Chain(chain) => vec![chain.layers() - 1],
            Plan::Tape(tape) => tape.taps().to_vec(),
        };
        let mut params_len = 0;
        let names = either!(Plan, &plan, |own| own.params()).into_iter().map(|(name, len)| {
            params_len += len;
            (name, params_len - len)
        });
        let names = names.collect();
        let shared = Shared {
            names,
            params_len,
            outputs: outputs.into_iter().map(|layer| (layer, network.shape(layer).0.clone())).collect(),
            plan,
            anchor: Var::new(0f32, &Device::Cpu)?,
            idle: Mutex::default(),
            sink: sink.clone(),
        };
        Ok(Some(Self { shared: Arc::new(shared) }))
    }

    /// How many of the network's layers they stand for.
    pub(crate) fn layers(&self) -> usize {
        either!(Plan, &self.shared.plan, |own| own.layers())
    }

    /// Whether they give these layers' outputs, as far as they lie within.
    pub(crate) fn give(&self, layers: &[usize]) -> bool {
        let known = |layer: &usize| self.shared.outputs.iter().any(|(output, _)| output == layer);
        layers.iter().all(|layer| *layer >= self.layers() || known(layer))
    }

    /// Runs photos through the convolutions; with `keep` a backward pass may come.
    ///
    /// # Shapes
    ///
    /// photos `[N, 3, h, w]` in f32 or `[N, h, w, 3]` in u8; `parameter` gives each weight and bias by its name. The
    /// result are layers and their outputs, `[N, C, oh, ow]` or `[N, features]`.
    pub(crate) fn apply(
        &self,
        photos: &Tensor,
        keep: bool,
        parameter: impl Fn(&str) -> Result<Tensor>,
    ) -> Result<Vec<(usize, Tensor)>> {
        let params = self.shared.names.iter().map(|(name, _)| parameter(name)).collect::<Result<_>>()?;
        let anchor = &self.shared.anchor;
        let anchor = if keep { anchor.as_tensor().clone() } else { anchor.as_detached_tensor() };
        let op = Op { convolutions: self.clone(), params, keep, pass: Mutex::default() };
        let all = photos.contiguous()?.apply_op2(&anchor, op)?;
        let mut from = 0;
        let part = |(layer, shape): &(usize, Vec<usize>)| {
            let len = shape.iter().product();
            from += len;
            let dims = [&[all.dim(0)?][..], shape].concat();
            Ok((*layer, all.narrow(1, from - len, len)?.reshape(dims)?))
        };
        self.shared.outputs.iter().map(part).collect()
    }
}

/// One call.
struct Op {
    convolutions: Convolutions,
    params: Vec<Tensor>,
    /// Whether a backward pass may come.
    keep: bool,
    /// What that one needs.
    pass: Mutex<Option<Pass>>,
}

impl Drop for Op {
    fn drop(&mut self) {
        if let Some(pass) = lock(&self.pass).take() {
            lock(&self.convolutions.shared.idle).push(pass);
        }
    }
}

impl Op {
    /// An idle pass, or a new one, with the parameters as they are now.
    fn packed(&self) -> Result<Pass> {
        let shared = &self.convolutions.shared;
        let idle = lock(&shared.idle).pop();
        let mut pass = idle.unwrap_or_else(|| match &shared.plan {
            Plan::Chain(chain) => Pass::Chain(Box::new(FusedTraining::new(chain.clone()))),
            Plan::Tape(tape) => Pass::Tape(Box::new(tape.clone())),
        });
        let storages: Vec<_> = self.params.iter().map(Tensor::storage_and_layout).collect();
        let params = storages.iter().map(|storage| lent(self.name(), storage)).collect::<Result<Vec<_>>>()?;
        either!(Pass, &mut pass, |own| own.pack(&params));
        Ok(pass)
    }
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "convolutions"
    }

    fn cpu_fwd(
        &self,
        photos: &CpuStorage,
        photos_layout: &Layout,
        _anchor: &CpuStorage,
        _anchor_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (op, shared) = (self.name(), &self.convolutions.shared);
        let photos = match photos.dtype() {
            DType::U8 => ImageBatch::Bytes(values(op, photos, photos_layout)?),
            DType::F32 => ImageBatch::Floats(values(op, photos, photos_layout)?),
            dtype => return Err(Error::UnsupportedDTypeForOp(dtype, op)),
        };
        let (photo_len, out_len) = either!(Plan, &shared.plan, |own| (own.photo_len(), own.out_len()));
        let n = photos.len() / photo_len;
        let mut features = vec![0.0; n * out_len];
        let mut pass = self.packed()?;
        match &mut pass {
            Pass::Chain(chain) if !self.keep => chain.infer(photos, n, &mut features),
            Pass::Tape(tape) if !self.keep => {
                for (i, features) in features.chunks_mut(AT_ONCE * out_len).enumerate() {
                    let n = features.len() / out_len;
                    tape.forward(photos.slice(i * AT_ONCE, n, photo_len), n, features);
                }
            }
            pass => either!(Pass, pass, |own| own.forward(photos, n, &mut features)),
        }
        if self.keep {
            *lock(&self.pass) = Some(pass);
        } else {
            lock(&shared.idle).push(pass);
        }
        Ok((CpuStorage::F32(features), Shape::from((n, out_len))))
    }

    fn bwd(
        &self,
        photos: &Tensor,
        anchor: &Tensor,
        _features: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (op, shared) = (self.name(), &self.convolutions.shared);
        if photos.track_op() {
            return Err(Error::Msg(format!("{op}: the photos have no gradient")));
        }
        let gradient = gradient.contiguous()?;
        let (lent_photos, lent_gradient) = (photos.storage_and_layout(), gradient.storage_and_layout());
        let photos = match photos.dtype() {
            DType::U8 => ImageBatch::Bytes(lent(op, &lent_photos)?),
            _ => ImageBatch::Floats(lent(op, &lent_photos)?),
        };
        let mut pass = lock(&self.pass);
        let pass = pass.as_mut().ok_or_else(|| Error::Msg(format!("{op}: backward before forward")))?;
        let gradient = lent(op, &lent_gradient)?;
        shared.sink.put(&shared.names, shared.params_len, |of_params| {
            either!(Pass, pass, |own| own.backward(photos, gradient, of_params));
        });
        Ok((None, Some(anchor.zeros_like()?)))
    }
}
