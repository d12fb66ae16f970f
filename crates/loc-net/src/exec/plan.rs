//! Turns the list of layers into steps, each with its kernel.

use std::ops::Range;

use super::layout::Layouts;
use super::table::{conv_shape, kernel_of};
use crate::kernels::Activation;
use crate::kernels::channels_last::{ConvLast, Layout, PlanarInputs};
use crate::kernels::layer::LayerKernel;
use crate::{Layer, Network, Op, Shape, Source};

/// One layer, or a convolution together with the activation after it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) kernel: Box<dyn LayerKernel>,
    /// The sources it reads.
    pub(super) inputs: Vec<Source>,
    /// The range of its parameters among the network's.
    pub(super) params: Range<usize>,
    /// The layer whose output it writes.
    pub(super) output: usize,
    /// The layers whose outputs are not needed after this step ([`find_last_reads`]).
    pub(super) last_reads: Vec<usize>,
}

/// Returns the steps of a range of layers. The output between the two layers of a step is never stored, so a
/// convolution in `stored` is not combined with its activation.
pub(super) fn steps(
    network: &Network,
    layouts: &Layouts,
    layers: Range<usize>,
    stored: &[usize],
) -> Vec<Step> {
    let mut steps = Vec::new();
    let end = layers.end;
    let mut layers = layers;
    while let Some(index) = layers.next() {
        let layer = &network.layers()[index];
        let activation =
            activation_after(network, index).filter(|_| index + 1 < end && !stored.contains(&index));
        let output = index + usize::from(activation.is_some());
        steps.push(Step {
            kernel: kernel(network, layouts, index, activation.unwrap_or(Activation::None)),
            inputs: layer.inputs.clone(),
            params: params_of(network, index),
            output,
            last_reads: Vec::new(),
        });
        if activation.is_some() {
            layers.next();
        }
    }
    steps
}

/// Finds for each step the layers whose outputs no later step reads, except those that are kept. Their buffers can be
/// used again, while they are in the cache.
pub(super) fn find_last_reads(steps: &mut [Step], kept: &[usize]) {
    let mut read = kept.to_vec();
    for step in steps.iter_mut().rev() {
        for source in &step.inputs {
            if let Source::Layer(layer) = source
                && !read.contains(layer)
            {
                read.push(*layer);
                step.last_reads.push(*layer);
            }
        }
    }
}

/// Returns the kernel of a layer, for the layouts of its inputs and its output.
fn kernel(
    network: &Network,
    layouts: &Layouts,
    index: usize,
    activation: Activation,
) -> Box<dyn LayerKernel> {
    let layer = &network.layers()[index];
    let inputs: Vec<&Shape> = layer.inputs.iter().map(|source| network.source_shape(*source)).collect();
    let output_last = layouts.of(Source::Layer(index)) == Layout::ChannelsLast;
    if let (true, Op::Conv2d(conv), Some((channels, h, w))) = (output_last, &layer.op, inputs[0].chw())
        && let Some(kernel) = ConvLast::new(conv_shape(conv, channels, (h, w)), activation)
    {
        return Box::new(kernel);
    }
    let kernel = kernel_of(&layer.op, &inputs, network.shape(index), activation);
    let last = |source: &Source| !output_last && layouts.of(*source) == Layout::ChannelsLast;
    let map = |source: &Source| {
        network.source_shape(*source).chw().filter(|_| last(source)).map(|(channels, h, w)| (channels, h * w))
    };
    let maps: Vec<_> = layer.inputs.iter().map(map).collect();
    match maps.iter().any(Option::is_some) {
        true => Box::new(PlanarInputs::new(kernel, maps)),
        false => kernel,
    }
}

/// Packs the parameters of all steps; `params` holds those of the network.
pub(super) fn pack(steps: &mut [Step], params: &[impl AsRef<[f32]>], training: bool) {
    for step in steps {
        let own: Vec<&[f32]> = params[step.params.clone()].iter().map(AsRef::as_ref).collect();
        step.kernel.pack(&own, training);
    }
}

/// Returns the range of a layer's parameters among the network's.
fn params_of(network: &Network, layer: usize) -> Range<usize> {
    let before = network.params().iter().filter(|param| param.layer < layer).count();
    let own = network.params().iter().filter(|param| param.layer == layer).count();
    before..before + own
}

/// Returns the activation directly after convolution `index`, if it is the only reader of the convolution's output.
fn activation_after(network: &Network, index: usize) -> Option<Activation> {
    let [Layer { op: Op::Conv2d(_), dropout: false, .. }, next] = network.layers().get(index..index + 2)?
    else {
        return None;
    };
    let activation = match next.op {
        Op::Relu(_) => Activation::Relu,
        Op::Relu6(_) => Activation::Relu6,
        _ => return None,
    };
    let source = Source::Layer(index);
    let readers =
        network.layers().iter().flat_map(|layer| &layer.inputs).filter(|read| **read == source).count();
    let output = network.outputs().contains(&index);
    (next.inputs == [source] && readers == 1 && !output).then_some(activation)
}

/// Groups the steps into levels: a step is one level after the last of the steps it reads, so the steps of one level do
/// not depend on each other.
pub(super) fn levels(network: &Network, steps: &[Step]) -> Vec<Vec<usize>> {
    let mut depths = vec![None; network.layers().len()];
    let mut levels: Vec<Vec<usize>> = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let before = |source: &Source| match source {
            Source::Layer(layer) => depths[*layer].map_or(0, |depth: usize| depth + 1),
            Source::Input => 0,
        };
        let depth = step.inputs.iter().map(before).max().unwrap_or(0);
        depths[step.output] = Some(depth);
        levels.resize_with(levels.len().max(depth + 1), Vec::new);
        levels[depth].push(i);
    }
    levels
}
