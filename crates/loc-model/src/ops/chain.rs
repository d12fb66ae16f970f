//! The convolutions at the beginning of a network as one operation: [`loc_net::chain`] under Candle's autograd.
//!
//! On the CPU only. One operation instead of one a layer, because the maps between the fused convolutions have layouts
//! of their own, and because nothing wider than a cache is then allocated in a training step. The gradients of its
//! parameters go to a [`Sink`].

use std::sync::{Arc, Mutex};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, DType, Device, Error, Layout, Result, Shape, Tensor, Var};
use loc_net::Network;
use loc_net::chain::{Chain, Pass};
use loc_net::kernels::photo::Photos;

use super::cpu::{lent, values};
use super::sink::{Names, Sink, lock};

/// The chain of a network, and its passes.
#[derive(Debug, Clone)]
pub(crate) struct Convolutions {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    chain: Chain,
    /// The parameters in the order the operation takes them.
    names: Names,
    /// Channels, height and width of the result.
    shape: (usize, usize, usize),
    /// What makes Candle ask for a backward pass: it stands for all parameters.
    anchor: Var,
    /// Passes that wait for the next batch.
    idle: Mutex<Vec<Pass>>,
    sink: Sink,
}

impl Convolutions {
    /// The chain of a network, or nothing where its layers or the processor do not fit.
    pub(crate) fn of(network: &Network, sink: &Sink) -> Result<Option<Self>> {
        let Some(chain) = Chain::of(network, true) else { return Ok(None) };
        let Some(shape) = network.shape(chain.layers() - 1).chw() else { return Ok(None) };
        let mut start = 0;
        let names = chain.params().into_iter().map(|(name, len)| {
            start += len;
            (name, start - len)
        });
        let shared = Shared {
            names: names.collect(),
            chain,
            shape,
            anchor: Var::new(0f32, &Device::Cpu)?,
            idle: Mutex::default(),
            sink: sink.clone(),
        };
        Ok(Some(Self { shared: Arc::new(shared) }))
    }

    /// How many of the network's layers it stands for.
    pub(crate) fn layers(&self) -> usize {
        self.shared.chain.layers()
    }

    /// Runs photos through the convolutions; with `keep` a backward pass may come.
    ///
    /// # Shapes
    ///
    /// photos `[N, 3, h, w]` in f32 or `[N, h, w, 3]` in u8; `parameter` gives each weight and bias by its name. The
    /// result is the last layer's `[N, C, oh, ow]`.
    pub(crate) fn apply(
        &self,
        photos: &Tensor,
        keep: bool,
        parameter: impl Fn(&str) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let params = self.shared.names.iter().map(|(name, _)| parameter(name)).collect::<Result<_>>()?;
        let anchor = &self.shared.anchor;
        let anchor = if keep { anchor.as_tensor().clone() } else { anchor.as_detached_tensor() };
        let op = Op { convolutions: self.clone(), params, keep, pass: Mutex::default() };
        photos.contiguous()?.apply_op2(&anchor, op)
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
        let mut pass = idle.unwrap_or_else(|| Pass::new(shared.chain.clone()));
        let storages: Vec<_> = self.params.iter().map(Tensor::storage_and_layout).collect();
        let params = storages.iter().map(|storage| lent(self.name(), storage)).collect::<Result<Vec<_>>>()?;
        pass.pack(&params);
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
            DType::U8 => Photos::Bytes(values(op, photos, photos_layout)?),
            DType::F32 => Photos::Floats(values(op, photos, photos_layout)?),
            dtype => return Err(Error::UnsupportedDTypeForOp(dtype, op)),
        };
        let n = photos.len() / shared.chain.photo_len();
        let mut features = vec![0.0; n * shared.chain.out_len()];
        let mut pass = self.packed()?;
        if self.keep {
            pass.forward(photos, n, &mut features);
            *lock(&self.pass) = Some(pass);
        } else {
            pass.infer(photos, n, &mut features);
            lock(&shared.idle).push(pass);
        }
        let (channels, height, width) = shared.shape;
        Ok((CpuStorage::F32(features), Shape::from((n, channels, height, width))))
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
            DType::U8 => Photos::Bytes(lent(op, &lent_photos)?),
            _ => Photos::Floats(lent(op, &lent_photos)?),
        };
        let mut pass = lock(&self.pass);
        let pass = pass.as_mut().ok_or_else(|| Error::Msg(format!("{op}: backward before forward")))?;
        let gradient = lent(op, &lent_gradient)?;
        let len = shared.chain.params_len();
        shared.sink.put(&shared.names, len, |of_params| pass.backward(photos, gradient, of_params));
        Ok((None, Some(anchor.zeros_like()?)))
    }
}
