//! The convolutions at the beginning of a network as one operation: [`loc_net::chain`] under Candle's autograd.
//!
//! On the CPU only. One operation instead of one a layer, because the maps between the fused convolutions have layouts
//! of their own, and because nothing wider than a cache is then allocated in a training step.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, DType, Device, Error, Layout, Result, Shape, Tensor};
use loc_net::Network;
use loc_net::chain::{Chain, Pass};
use loc_net::kernels::photo::Photos;

use super::cpu::{lent, values};

/// The chain of a network, and passes that wait for the next batch.
#[derive(Debug, Clone)]
pub struct Convolutions {
    chain: Chain,
    /// The parameters' names, in the order the operation takes them.
    names: Vec<String>,
    /// Channels, height and width of the result.
    shape: (usize, usize, usize),
    idle: Arc<Mutex<Vec<Pass>>>,
}

impl Convolutions {
    /// The chain of a network, or nothing where its layers or the processor do not fit.
    #[must_use]
    pub fn of(network: &Network) -> Option<Self> {
        let chain = Chain::of(network, true)?;
        let names = chain.params().into_iter().map(|(name, _)| name).collect();
        let shape = network.shape(chain.layers() - 1).chw()?;
        Some(Self { chain, names, shape, idle: Arc::default() })
    }

    /// How many of the network's layers it stands for.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.chain.layers()
    }

    /// Runs photos through the convolutions.
    ///
    /// # Shapes
    ///
    /// photos `[N, 3, h, w]` in f32 or `[N, h, w, 3]` in u8; `parameter` gives each weight and bias by its name. The
    /// result is the last layer's `[N, C, oh, ow]`.
    ///
    /// # Errors
    ///
    /// A Candle error if the photos have another type.
    pub fn apply(&self, photos: &Tensor, parameter: impl Fn(&str) -> Result<Tensor>) -> Result<Tensor> {
        let params =
            self.names.iter().map(|name| parameter(name)?.flatten_all()).collect::<Result<Vec<_>>>()?;
        let params = Tensor::cat(&params, 0)?;
        let op = Op { convolutions: self.clone(), keep: params.track_op(), pass: Mutex::default() };
        photos.contiguous()?.apply_op2(&params, op)
    }

    fn take(&self) -> Pass {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| Pass::new(self.chain.clone()))
    }

    fn give_back(&self, pass: Pass) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(pass);
    }
}

/// One call.
struct Op {
    convolutions: Convolutions,
    /// Whether a backward pass may come.
    keep: bool,
    /// What that one needs.
    pass: Mutex<Option<Pass>>,
}

impl Drop for Op {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.convolutions.give_back(pass);
        }
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
        params: &CpuStorage,
        params_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let op = self.name();
        let photos = match photos.dtype() {
            DType::U8 => Photos::Bytes(values(op, photos, photos_layout)?),
            DType::F32 => Photos::Floats(values(op, photos, photos_layout)?),
            dtype => return Err(Error::UnsupportedDTypeForOp(dtype, op)),
        };
        let n = photos.len() / self.convolutions.chain.photo_len();
        let mut features = vec![0.0; n * self.convolutions.chain.out_len()];
        let mut pass = self.convolutions.take();
        pass.pack(values(op, params, params_layout)?);
        if self.keep {
            pass.forward(photos, n, &mut features);
            *self.pass.lock().unwrap_or_else(PoisonError::into_inner) = Some(pass);
        } else {
            pass.infer(photos, n, &mut features);
            self.convolutions.give_back(pass);
        }
        let (channels, height, width) = self.convolutions.shape;
        Ok((CpuStorage::F32(features), Shape::from((n, channels, height, width))))
    }

    fn bwd(
        &self,
        photos: &Tensor,
        params: &Tensor,
        _features: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let op = self.name();
        if photos.track_op() {
            return Err(Error::Msg(format!("{op}: the photos have no gradient")));
        }
        let gradient = gradient.contiguous()?;
        let (lent_photos, lent_gradient) = (photos.storage_and_layout(), gradient.storage_and_layout());
        let photos = match photos.dtype() {
            DType::U8 => Photos::Bytes(lent(op, &lent_photos)?),
            _ => Photos::Floats(lent(op, &lent_photos)?),
        };
        let mut pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        let pass = pass.as_mut().ok_or_else(|| Error::Msg(format!("{op}: backward before forward")))?;
        let mut of_params = vec![0.0f32; params.elem_count()];
        pass.backward(photos, lent(op, &lent_gradient)?, &mut of_params);
        Ok((None, Some(Tensor::from_vec(of_params, params.shape(), &Device::Cpu)?)))
    }
}
