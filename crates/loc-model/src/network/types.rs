//! What goes into a network, and what comes out.

use candle_core::{Result, Tensor};
#[cfg(doc)]
use loc_net::Network;
use loc_net::Parts;

use crate::Dropout;
#[cfg(doc)]
use crate::Model;

/// The input of a network: photos, or features that its backbone has computed.
#[derive(Debug, Clone)]
pub enum Input {
    /// Photos, as for [`Model::forward`].
    Images(Tensor),
    /// The outputs of the layers [`Network::taps`], in that order, each `[N, …]` in f32.
    Features(Vec<Tensor>),
}

/// The conditions of a forward pass in training.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// Dropout, if there is any.
    pub dropout: Option<Dropout>,
    /// `[N, 4]` in f32: the boxes in which the class is read, if the network reads it in a box
    /// ([`Network::region_box`]), instead of the predicted boxes.
    pub region_boxes: Option<Tensor>,
    /// The parts of a larger batch that these photos are, if other processes compute the rest: the order in which the
    /// gradients are summed. Without it the photos are a whole batch.
    pub parts: Option<Parts>,
}

/// The outputs of a network for a batch.
#[derive(Debug, Clone)]
pub struct ModelOutput {
    /// `[N, K]`: the class logits, before softmax.
    pub logits: Tensor,
    /// `[N, 4]`: x1, y1, x2, y2 of each box, in 0..1 of the input.
    pub boxes: Tensor,
    /// `[N, 4, B]`: the logits of each edge's distribution over B bins, if the box head has them. If the box is the
    /// mean of several boxes, `[N, E, B]` with four edges per box.
    pub edges: Option<Tensor>,
    /// `[N]`: the logits that an object is present, if the network has them.
    pub presence: Option<Tensor>,
}

impl ModelOutput {
    /// Returns all values of each photo in one row, `[N, …]`: [`Model::output_from_rows`] is the inverse.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn to_rows(&self) -> Result<Tensor> {
        let edges = self.edges.as_ref().map(|edges| edges.flatten_from(1)).transpose()?;
        let presence = self.presence.as_ref().map(|presence| presence.unsqueeze(1)).transpose()?;
        let all = [Some(self.logits.clone()), Some(self.boxes.clone()), edges, presence];
        Tensor::cat(&all.into_iter().flatten().collect::<Vec<_>>(), 1)
    }
}
