//! The list of layers as steps, each with its kernel.

use std::ops::Range;

use super::table::kernel_of;
use crate::kernels::Activation;
use crate::kernels::layer::LayerKernel;
use crate::{Layer, Network, Op, Shape, Source};

/// A layer, or a convolution and the activation behind it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) kernel: Box<dyn LayerKernel>,
    /// What it reads.
    pub(super) inputs: Vec<Source>,
    /// Its parameters among the network's.
    pub(super) params: Range<usize>,
    /// The layer whose output it writes.
    pub(super) output: usize,
}

/// The steps of the layers from `first` on, up to `end`. Between the two layers of a step no output exists: none is
/// joined where `kept` names the first.
pub(super) fn steps(network: &Network, layers: Range<usize>, kept: &[usize]) -> Vec<Step> {
    let mut steps = Vec::new();
    let end = layers.end;
    let mut layers = layers;
    while let Some(index) = layers.next() {
        let layer = &network.layers()[index];
        let inputs: Vec<&Shape> = layer.inputs.iter().map(|source| network.source_shape(*source)).collect();
        let activation =
            activation_behind(network, index).filter(|_| index + 1 < end && !kept.contains(&index));
        let output = index + usize::from(activation.is_some());
        steps.push(Step {
            kernel: kernel_of(
                &layer.op,
                &inputs,
                network.shape(index),
                activation.unwrap_or(Activation::None),
            ),
            inputs: layer.inputs.clone(),
            params: params_of(network, index),
            output,
        });
        if activation.is_some() {
            layers.next();
        }
    }
    steps
}

/// A layer's parameters among the network's.
fn params_of(network: &Network, layer: usize) -> Range<usize> {
    let before = network.params().iter().filter(|param| param.layer < layer).count();
    let own = network.params().iter().filter(|param| param.layer == layer).count();
    before..before + own
}

/// The activation directly behind convolution `index`, where nothing else reads what lies between.
fn activation_behind(network: &Network, index: usize) -> Option<Activation> {
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
    let output = [network.logits(), network.boxes()].contains(&index);
    (next.inputs == [source] && readers == 1 && !output).then_some(activation)
}

/// The steps by how many of them stand between a step and the outputs that are there before any.
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
