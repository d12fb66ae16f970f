//! The chain on processors whose vectors nobody has written it for yet: there is none, and the general kernels run.

use crate::Network;
use crate::buffers::BufferPool;
use crate::kernels::image_input::ImageBatch;
use crate::parallel::DisjointSlice;

/// Never there.
#[derive(Debug, Clone)]
pub enum FusedPlan {}

/// Never there.
#[derive(Debug)]
pub enum FusedTraining {}

/// Never there.
#[derive(Debug, Default)]
pub(crate) struct Maps;

/// Never there.
pub(crate) enum IntraOp {}

#[expect(clippy::needless_pass_by_value, reason = "the same signatures as on other processors")]
impl FusedPlan {
    /// Nothing.
    #[must_use]
    pub fn of(_: &Network, _training: bool) -> Option<Self> {
        None
    }

    /// Of no chain.
    #[must_use]
    pub fn layers(&self) -> usize {
        match *self {}
    }

    /// Of no chain.
    #[must_use]
    pub fn out_len(&self) -> usize {
        match *self {}
    }

    /// Of no chain.
    #[must_use]
    pub fn photo_len(&self) -> usize {
        match *self {}
    }

    /// Of no chain.
    #[must_use]
    pub fn params(&self) -> Vec<(String, usize)> {
        match *self {}
    }

    /// Of no chain.
    #[must_use]
    pub fn params_len(&self) -> usize {
        match *self {}
    }

    /// Of no chain.
    pub fn pack(&mut self, _params: &[&[f32]]) {
        match *self {}
    }

    pub(crate) fn infer(
        &self,
        _photos: ImageBatch,
        _n: usize,
        _pool: &BufferPool<Maps>,
        _features: &mut [f32],
    ) {
        match *self {}
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the same signatures as on other processors")]
impl FusedTraining {
    /// Of no chain.
    #[must_use]
    pub fn new(chain: FusedPlan) -> Self {
        match chain {}
    }

    /// Of no chain.
    #[must_use]
    pub fn chain(&self) -> &FusedPlan {
        match *self {}
    }

    /// Of no chain.
    pub fn pack(&mut self, _params: &[&[f32]]) {
        match *self {}
    }

    /// Of no chain.
    pub fn forward(&mut self, _photos: ImageBatch, _n: usize, _features: &mut [f32]) {
        match *self {}
    }

    /// Of no chain.
    pub fn infer(&self, _photos: ImageBatch, _n: usize, _features: &mut [f32]) {
        match *self {}
    }

    /// Of no chain.
    pub fn backward(&mut self, _photos: ImageBatch, _gradient: &[f32], _params: &mut [f32]) {
        match *self {}
    }
}

impl IntraOp {
    pub(crate) fn new(
        chain: &FusedPlan,
        _photo: ImageBatch,
        _maps: &mut Maps,
        _scratch: &BufferPool<Maps>,
        _features: &DisjointSlice<f32>,
    ) -> Self {
        match *chain {}
    }

    pub(crate) fn stages(&self) -> Vec<usize> {
        match *self {}
    }

    pub(crate) fn run(&self, _stage: usize, _task: usize) {
        match *self {}
    }
}
