//! Makes a fused plan from a network's list of layers.

use super::maps::Maps;
use crate::buffers::BufferPool;
use crate::exec::table::conv_shape;
use crate::kernels::conv_block::rows::{Layout, WinogradRows, supports};
use crate::kernels::conv_block::tiles::WinogradTiles;
use crate::kernels::conv_block::tiles::average::Average;
use crate::kernels::conv_block::{self, ConvBlock};
use crate::kernels::image_input::InputNorm;

use crate::ops::{AvgPool2d, MaxPool2d, Normalize, Pool, Relu};
use crate::{Layer, Network, Op, Source};

/// Photos per task: they pass through the blocks one after the other, and through the last convolution together.
pub(super) const GROUP: usize = 4;

/// The planned convolutions, with their weights packed.
#[derive(Debug)]
pub struct FusedPlan {
    pub(super) norm: InputNorm,
    /// Height and width of the photos.
    pub(super) size: (usize, usize),
    pub(super) rows: Vec<WinogradRows>,
    pub(super) tiles: Vec<WinogradTiles>,
    pub(super) last: Average,
    /// The number of the network's layers that the plan replaces.
    layers: usize,
    /// Reusable buffers.
    pub(super) maps: BufferPool<Maps>,
}

impl FusedPlan {
    /// Makes the plan of a network, without weights. Returns `None` if its first layers do not fit the fused kernels.
    ///
    /// With `training`, the plan also reserves space for the packed weights of the backward pass.
    #[must_use]
    pub fn of(network: &Network, training: bool) -> Option<Self> {
        let mut cursor = Cursor { network, next: 0 };
        let (_, height, width) = network.input().chw()?;
        let norm = cursor.normalize();
        let (mut rows, mut tiles) = (Vec::new(), Vec::new());
        while let Some(block) = cursor.take_max_pooled() {
            let conv = if tiles.is_empty() && supports(&block) {
                WinogradRows::of(block, Layout::ChannelsLast).map(|conv| rows.push(conv))
            } else {
                WinogradTiles::of(block, training).map(|conv| tiles.push(conv))
            };
            conv?;
        }
        let (block, pool) = cursor.take_average_pooled()?;
        let last = Average::of(WinogradTiles::of(block, training)?, pool.kernel, pool.stride)?;
        // Between two row kernels the map keeps the row layout.
        let inner = rows.len().checked_sub(1)?;
        rows[..inner].iter_mut().for_each(|conv| conv.set_layout(Layout::Rows));
        let layers = cursor.next;
        Some(Self { norm, size: (height, width), rows, tiles, last, layers, maps: BufferPool::default() })
    }

    /// Returns the number of the network's layers that the plan replaces; the output of the last of them has
    /// [`FusedPlan::out_len`] values per photo.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Returns the number of output values per photo: the last layer's `[channels, height, width]`.
    #[must_use]
    pub fn out_len(&self) -> usize {
        self.last.out_len()
    }

    /// Returns the number of input values per photo.
    #[must_use]
    pub fn photo_len(&self) -> usize {
        3 * self.size.0 * self.size.1
    }

    /// Returns the number of convolutions. Each has a weight and a bias: the network's first parameters, in its order.
    #[must_use]
    pub fn convolutions(&self) -> usize {
        self.blocks() + 1
    }

    /// Iterates over the convolutions' shapes, in order.
    pub(super) fn shapes(&self) -> impl Iterator<Item = &ConvBlock> {
        let rows = self.rows.iter().map(WinogradRows::shape);
        rows.chain(self.tiles.iter().map(WinogradTiles::shape)).chain([self.last.tiles().shape()])
    }

    /// Returns the total number of parameter values.
    #[must_use]
    pub fn params_len(&self) -> usize {
        self.shapes().map(|shape| shape.weight_len() + shape.out_channels).sum()
    }

    /// Packs the parameters, one slice each.
    ///
    /// # Panics
    ///
    /// If the slices do not have the lengths of the network's first parameters.
    pub fn pack(&mut self, params: &[&[f32]]) {
        let (pairs, rest) = params.as_chunks::<2>();
        assert!(rest.is_empty() && pairs.len() == self.blocks() + 1, "parameters of this plan");
        let (row_params, tile_params) = pairs.split_at(self.rows.len());
        let (tile_params, last) = tile_params.split_at(self.tiles.len());
        self.rows.iter_mut().zip(row_params).for_each(|(conv, [w, b])| conv.pack(w, b));
        self.tiles.iter_mut().zip(tile_params).for_each(|(conv, [w, b])| conv.pack(w, b));
        self.last.pack(last[0][0], last[0][1]);
    }
}

/// A cursor over the network's layers.
struct Cursor<'a> {
    network: &'a Network,
    next: usize,
}

impl<'a> Cursor<'a> {
    /// Returns the layer `ahead` positions after the cursor, if it reads only the layer before it and is that layer's
    /// only reader.
    fn peek(&self, ahead: usize) -> Option<&'a Layer> {
        let index = self.next + ahead;
        let layers = self.network.layers();
        let before = index.checked_sub(1).map_or(Source::Input, Source::Layer);
        let readers = layers.iter().flat_map(|l| &l.inputs).filter(|source| **source == before).count();
        let output = [self.network.logits(), self.network.boxes()];
        let only_reader = readers == 1 && !index.checked_sub(1).is_some_and(|i| output.contains(&i));
        layers.get(index).filter(|layer| layer.inputs == [before] && only_reader)
    }

    fn normalize(&mut self) -> InputNorm {
        match self.peek(0).map(|layer| &layer.op) {
            Some(Op::Normalize(Normalize { mean, std })) => {
                self.next += 1;
                InputNorm::new(*mean, *std)
            }
            _ => InputNorm::new([0.0; 3], [1.0; 3]),
        }
    }

    /// Returns the next layer's shape if it is a convolution that the fused kernels compute.
    fn conv(&self) -> Option<ConvBlock> {
        let layer = self.peek(0)?;
        let (in_channels, height, width) = self.network.source_shape(layer.inputs[0]).chw()?;
        match &layer.op {
            Op::Conv2d(conv) => {
                let shape = conv_shape(conv, in_channels, (height, width));
                ConvBlock::of(&shape)
            }
            _ => None,
        }
    }

    /// Takes a convolution, a 2×2 max-pool and a relu.
    fn take_max_pooled(&mut self) -> Option<ConvBlock> {
        let shape = self.conv()?;
        match (&self.peek(1)?.op, &self.peek(2)?.op) {
            (Op::MaxPool2d(MaxPool2d(pool)), Op::Relu(Relu))
                if *pool == Pool::square(conv_block::POOL, conv_block::POOL) =>
            {
                self.next += 3;
                Some(shape)
            }
            _ => None,
        }
    }

    /// Takes a convolution, a relu and an average pool.
    fn take_average_pooled(&mut self) -> Option<(ConvBlock, Pool)> {
        let shape = self.conv()?;
        match (&self.peek(1)?.op, &self.peek(2)?.op) {
            (Op::Relu(Relu), Op::AvgPool2d(AvgPool2d(pool))) => {
                self.next += 3;
                Some((shape, *pool))
            }
            _ => None,
        }
    }
}
