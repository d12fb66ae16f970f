//! Which layers' outputs have the channels last.

use super::table::conv_shape;
use crate::kernels::channels_last::{Form, Layout, from_planar, to_planar};
use crate::{Network, Op, Source};

/// The layout of each layer's output.
#[derive(Debug, Clone)]
pub(super) struct Layouts(Vec<Layout>);

impl Layouts {
    /// Chooses the layouts of the layers from `first` on; the outputs of the layers before it are planar.
    ///
    /// A sequence of 1×1 and depthwise convolutions has the channels last, with the sums and activations between them.
    /// It begins with a convolution of few channels that only they read. All other layers are planar, and so is a layer
    /// with dropout.
    pub(super) fn new(network: &Network, first: usize) -> Self {
        let mut layouts = Self(vec![Layout::Planar; network.layers().len()]);
        for (i, layer) in network.layers().iter().enumerate().skip(first) {
            let inputs = layer.inputs.iter().all(|source| layouts.of(*source) == Layout::ChannelsLast);
            let last = match layer.op {
                Op::Conv2d(_) => match form(network, i) {
                    Some(Form::Pointwise | Form::Depthwise) => inputs,
                    Some(Form::Stem) => !inputs && read_channels_last(network, i),
                    None => false,
                },
                Op::Relu(_) | Op::Relu6(_) | Op::Add(_) => inputs,
                _ => false,
            };
            if last && !layer.dropout {
                layouts.0[i] = Layout::ChannelsLast;
            }
        }
        layouts
    }

    pub(super) fn of(&self, source: Source) -> Layout {
        match source {
            Source::Input => Layout::Planar,
            Source::Layer(layer) => self.0[layer],
        }
    }

    /// Copies some photos' output of a layer as planar maps.
    pub(super) fn copy_planar(&self, network: &Network, layer: usize, from: &[f32], to: &mut [f32]) {
        match (self.0[layer], network.shape(layer).chw()) {
            (Layout::ChannelsLast, Some((channels, h, w))) => to_planar((channels, h * w), from, to),
            _ => to.copy_from_slice(from),
        }
    }

    /// The inverse of [`Layouts::copy_planar`].
    pub(super) fn copy_from_planar(&self, network: &Network, layer: usize, from: &[f32], to: &mut [f32]) {
        match (self.0[layer], network.shape(layer).chw()) {
            (Layout::ChannelsLast, Some((channels, h, w))) => from_planar((channels, h * w), from, to),
            _ => to.copy_from_slice(from),
        }
    }
}

/// Returns the form of a convolution.
fn form(network: &Network, layer: usize) -> Option<Form> {
    let of = &network.layers()[layer];
    let (channels, h, w) = network.source_shape(of.inputs[0]).chw()?;
    match &of.op {
        Op::Conv2d(conv) => Form::of(&conv_shape(conv, channels, (h, w))),
        _ => None,
    }
}

/// Returns whether only 1×1 and depthwise convolutions read a layer, or its activation.
fn read_channels_last(network: &Network, layer: usize) -> bool {
    let source = Source::Layer(layer);
    let mut readers =
        (0..network.layers().len()).filter(|i| network.layers()[*i].inputs.contains(&source)).peekable();
    readers.peek().is_some()
        && readers.all(|reader| match network.layers()[reader].op {
            Op::Conv2d(_) => matches!(form(network, reader), Some(Form::Pointwise | Form::Depthwise)),
            Op::Relu(_) | Op::Relu6(_) => read_channels_last(network, reader),
            _ => false,
        })
}
