//! Dropout of a layer's output.

use super::Training;
use super::setup::{DropoutMask, Images};
use crate::buffers::grow;
use crate::{Layer, Shape, Source};

/// The output of a layer after dropout.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    pub(super) factors: Vec<f32>,
    pub(super) values: Vec<f32>,
}

impl Training {
    /// Multiplies a layer's output by dropout factors, if the layer has dropout.
    pub(super) fn apply_dropout(
        &mut self,
        layer: usize,
        images: Images,
        n: usize,
        dropout: Option<DropoutMask>,
    ) {
        let (Some(mask), Layer { name, dropout: true, .. }) = (dropout, &self.network.layers()[layer]) else {
            return;
        };
        let mut dropped = self.dropped[layer].take().unwrap_or_default();
        let Shape(dims) = self.network.shape(layer);
        let cells: usize = dims[1..].iter().product();
        dropped.factors.resize(n * dims[0], 0.0);
        mask(name, &mut dropped.factors);
        let x = self.read(images, n, Source::Layer(layer));
        grow(&mut dropped.values, x.len());
        let planes = dropped.values[..x.len()].chunks_exact_mut(cells).zip(x.chunks_exact(cells));
        for ((y, x), factor) in planes.zip(&dropped.factors) {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = x * factor);
        }
        self.dropped[layer] = Some(dropped);
    }
}
