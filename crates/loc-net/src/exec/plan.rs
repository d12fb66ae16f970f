//! Turns the list of layers into steps, each with its kernel.

use std::ops::Range;

use super::table::kernel_of;
use crate::kernels::Activation;
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
}

/// Returns the steps of a range of layers. The output between the two layers of a step is never stored, so a
/// convolution in `stored` is not combined with its activation.
pub(super) fn steps(network: &Network, layers: Range<usize>, stored: &[usize]) -> Vec<Step> {
    let mut steps = Vec::new();
    let end = layers.end;
    let mut layers = layers;
    while let Some(index) = layers.next() {
        let layer = &network.layers()[index];
        let inputs: Vec<&Shape> = layer.inputs.iter().map(|source| network.source_shape(*source)).collect();
        let activation =
            activation_after(network, index).filter(|_| index + 1 < end && !stored.contains(&index));
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
