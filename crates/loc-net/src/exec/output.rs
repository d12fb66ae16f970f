//! The outputs of a prediction, taken apart.

use crate::Network;

/// The outputs of a network for a batch of `n` photos.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Output {
    /// `n × classes`, row-major: the logits of each photo.
    pub logits: Vec<f32>,
    /// `n × 4`: x1, y1, x2, y2 of each photo's box, in 0..1 of the input.
    pub boxes: Vec<f32>,
    /// `n ×` the length of [`Network::edges`]: the logits of the edges' distributions, empty if the head has none.
    pub edges: Vec<f32>,
    /// `n`: the logit that an object is present, empty if [`Network::presence`] is none.
    pub presence: Vec<f32>,
    /// `n ×` [`Network::class_feature_count`]: the features of the whole photo, of a map the means of its channels; empty unless
    /// [`Forward::with_features`](crate::Forward::with_features) asked for them.
    pub features: Vec<f32>,
}

impl Output {
    /// Takes the outputs of `n` photos apart; `rows` holds those of [`Network::outputs`] photo by photo, and the features where
    /// they were asked for.
    pub(super) fn of(network: &Network, rows: &[f32], n: usize) -> Self {
        let width = rows.len() / n.max(1);
        let mut from = 0;
        let mut next = |len: usize| {
            let columns = from..(from + len).min(width);
            from = columns.end;
            rows.chunks_exact(width.max(1)).flat_map(|row| &row[columns.clone()]).copied().collect()
        };
        let (logits, boxes) = (next(network.classes()), next(4));
        let edges = network.edges().map_or_else(Vec::new, |(layer, _)| next(network.shape(layer).len()));
        let presence = network.presence().map_or_else(Vec::new, |_| next(1));
        let features: Vec<f32> = next(width);
        let cells = features.len() / (n * network.class_feature_count()).max(1);
        let mean = |channel: &[f32]| channel.iter().sum::<f32>() / cells as f32;
        let features = features.chunks_exact(cells.max(1)).map(mean).collect();
        Self { logits, boxes, edges, presence, features }
    }
}
