//! The forward pass of a list of layers over a batch: no graph, weights packed once, buffers reused.

mod general;
#[cfg(test)]
mod tests;

use std::ops::Range;

use rayon::prelude::*;

use crate::buffers::BufferPool;
use crate::exec::activation_behind;
use crate::exec::fused::{FusedPlan, IntraOp, Maps};
use crate::kernels::image_input::{self, ImageBatch};
use crate::kernels::linear;
use crate::parallel::DisjointSlice;
use crate::parallel::{self, run_stages};
use crate::{Layer, NetError, Network, Op, Source, Weight, Weights};

pub(crate) use general::run_layer;

/// Weights of a linear layer that a task reads where a single photo is spread over the threads: 64 KB.
const TASK_WEIGHTS: usize = 1 << 14;

/// What a network says of a batch of `n` photos.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Output {
    /// `n × classes`, row-major: the logits of each photo.
    pub logits: Vec<f32>,
    /// `n × 4`: x1, y1, x2, y2 of each photo's box, in 0..1 of the input.
    pub boxes: Vec<f32>,
}

/// A network with its weights, ready to run; any number of threads may share it.
#[derive(Debug)]
pub struct Forward {
    network: Network,
    weights: Weights,
    /// The first layers, where the fused forms take them.
    chain: Option<FusedPlan>,
    /// The layers behind the chain, those together that none of the others waits for.
    levels: Vec<Vec<usize>>,
    /// Buffers of photos that have been through, for the next ones.
    activations: BufferPool<Activations>,
    maps: BufferPool<Maps>,
}

/// The output of every layer for some photos, and the argmax of the widest max-pool.
#[derive(Debug, Default)]
struct Activations {
    photo: Vec<f32>,
    layers: Vec<Vec<f32>>,
    argmax: Vec<u8>,
}

impl Forward {
    /// Takes over the weights for the network.
    ///
    /// # Errors
    ///
    /// [`NetError::Mismatch`] if the weights are not exactly the network's, or not all finite.
    pub fn new(network: Network, weights: Weights) -> Result<Self, NetError> {
        weights.check(&network)?;
        Self::with_nonfinite(network, weights)
    }

    /// As [`Forward::new`], with weights that may be infinite or no number.
    ///
    /// # Errors
    ///
    /// [`NetError::Mismatch`] if the weights are not exactly the network's.
    pub fn with_nonfinite(network: Network, mut weights: Weights) -> Result<Self, NetError> {
        weights.check_shapes(&network)?;
        let chain = FusedPlan::of(&network, false).map(|mut chain| {
            // The chain keeps its own in an order of its own.
            let own: Vec<Weight> =
                chain.params().iter().filter_map(|(name, _)| weights.0.remove(name)).collect();
            chain.pack(&own.iter().map(|weight| weight.data.as_slice()).collect::<Vec<_>>());
            chain
        });
        let levels = levels(&network, chain.as_ref().map_or(0, FusedPlan::layers));
        Ok(Self {
            network,
            weights,
            chain,
            levels,
            activations: BufferPool::default(),
            maps: BufferPool::default(),
        })
    }

    /// The network it runs.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Runs `n` photos of the network's input size.
    ///
    /// A photo's answer does not depend on the others, nor on the number of threads. This thread computes, and is helped
    /// as [`parallel`] says, outside of [`parallel::Threads::run`] by rayon's current pool: with whole photos, or where
    /// there are fewer of them than threads with each one's rows.
    ///
    /// # Errors
    ///
    /// [`NetError::Length`] if there are not `n` photos.
    pub fn run(&self, photos: ImageBatch, n: usize) -> Result<Output, NetError> {
        let len = self.network.input().len();
        if photos.len() != n * len {
            return Err(NetError::Length { what: "images", expected: n * len, got: photos.len() });
        }
        let mut output = Output { logits: vec![0.0; n * self.network.classes()], boxes: vec![0.0; n * 4] };
        parallel::in_team(|| self.run_in_team(photos, n, &mut output));
        Ok(output)
    }

    fn run_in_team(&self, photos: ImageBatch, n: usize, output: &mut Output) {
        // One photo alone is spread even where there is one thread: its tasks then run here.
        let many = n > 1 && n >= parallel::available();
        match &self.chain {
            Some(chain) if many => self.activations.with(|activations| {
                self.reserve(activations, n);
                let features = &mut activations.layers[chain.layers() - 1][..n * chain.out_len()];
                chain.infer(photos, n, &self.maps, features);
                self.run_layers(chain.layers()..self.network.layers().len(), n, &[], &[], activations);
                self.answer(activations, n, &mut output.logits, &mut output.boxes);
            }),
            _ => {
                let classes = self.network.classes();
                let answers = output.logits.chunks_exact_mut(classes).zip(output.boxes.chunks_exact_mut(4));
                let answers = answers.enumerate();
                if many {
                    parallel::share(answers.collect(), |answer| self.run_one(photos, answer), || ());
                } else {
                    answers.for_each(|answer| self.run_one(photos, answer));
                }
            }
        }
    }

    /// Runs the `i`th photo, spread over the threads unless it is a task itself.
    fn run_one(&self, photos: ImageBatch, (i, (logits, boxes)): (usize, (&mut [f32], &mut [f32]))) {
        let photo = photos.slice(i, 1, self.network.input().len());
        self.activations.with(|activations| {
            self.reserve(activations, 1);
            match &self.chain {
                Some(chain) => self.spread(chain, photo, activations),
                None => self.run_photo(photo, self.network.layers().len(), &[], activations),
            }
            self.answer(activations, 1, logits, boxes);
        });
    }

    /// What some layers make of `n` photos: for each of `layers`, in that order, `n` outputs. The layers behind the last
    /// of them are not run, those that the fused forms pass over cannot be asked for.
    ///
    /// # Errors
    ///
    /// [`NetError::Length`] if there are not `n` photos, [`NetError::Config`] if a layer's output never exists.
    pub fn features(
        &self,
        photos: ImageBatch,
        n: usize,
        layers: &[usize],
    ) -> Result<Vec<Vec<f32>>, NetError> {
        let len = self.network.input().len();
        if photos.len() != n * len {
            return Err(NetError::Length { what: "images", expected: n * len, got: photos.len() });
        }
        let inside = self.chain.as_ref().map_or(0, |chain| chain.layers() - 1);
        if let Some(layer) = layers.iter().find(|layer| **layer < inside) {
            let name = &self.network.layers()[*layer].name;
            return Err(NetError::Config(format!("the output of `{name}` never leaves the fused forms")));
        }
        let end = layers.iter().max().map_or(0, |last| last + 1);
        let mut features: Vec<Vec<f32>> =
            layers.iter().map(|layer| vec![0.0; n * self.network.shape(*layer).len()]).collect();
        let mut parts: Vec<Vec<&mut [f32]>> = (0..n).map(|_| Vec::with_capacity(layers.len())).collect();
        for (all, layer) in features.iter_mut().zip(layers) {
            let each = all.chunks_exact_mut(self.network.shape(*layer).len());
            each.zip(&mut parts).for_each(|(out, parts)| parts.push(out));
        }
        parts.into_par_iter().enumerate().for_each(|(i, parts)| {
            let photo = photos.slice(i, 1, len);
            self.activations.with(|activations| {
                self.reserve(activations, 1);
                match &self.chain {
                    Some(chain) => {
                        let out = &mut activations.layers[chain.layers() - 1][..chain.out_len()];
                        chain.infer(photo, 1, &self.maps, out);
                        self.run_layers(chain.layers()..end, 1, &[], layers, activations);
                    }
                    None => self.run_photo(photo, end, layers, activations),
                }
                for (out, layer) in parts.into_iter().zip(layers) {
                    out.copy_from_slice(&activations.layers[*layer][..out.len()]);
                }
            });
        });
        Ok(features)
    }

    fn answer(&self, activations: &Activations, n: usize, logits: &mut [f32], boxes: &mut [f32]) {
        logits.copy_from_slice(&activations.layers[self.network.logits()][..n * self.network.classes()]);
        boxes.copy_from_slice(&activations.layers[self.network.boxes()][..n * 4]);
    }

    /// Makes room for n photos in what the layers write; what lies inside the chain is never written.
    fn reserve(&self, activations: &mut Activations, n: usize) {
        let layers = self.network.layers();
        let inside = self.chain.as_ref().map_or(0, |chain| chain.layers() - 1);
        activations.layers.resize_with(layers.len(), Vec::new);
        for (i, layer) in layers.iter().enumerate().skip(inside) {
            let len = n * self.network.shape(i).len();
            let output = &mut activations.layers[i];
            output.resize(len.max(output.len()), 0.0);
            if matches!(layer.op, Op::MaxPool2d(_)) {
                activations.argmax.resize(len.max(activations.argmax.len()), 0);
            }
        }
    }

    /// Runs some layers one after the other; `photo` is planar. A convolution and the activation behind it are one pass,
    /// unless the convolution's own output is `asked` for.
    fn run_layers(
        &self,
        range: Range<usize>,
        n: usize,
        photo: &[f32],
        asked: &[usize],
        activations: &mut Activations,
    ) {
        let Activations { layers, argmax, .. } = activations;
        let mut range = range;
        while let Some(i) = range.next() {
            let behind = activation_behind(&self.network, i);
            let activation = behind.filter(|_| range.contains(&(i + 1)) && !asked.contains(&i));
            let (before, rest) = layers.split_at_mut(i);
            let read = |source: &Source| {
                let x = match source {
                    Source::Input => photo,
                    Source::Layer(j) => &before[*j],
                };
                &x[..n * self.network.source_shape(*source).len()]
            };
            let inputs: Vec<&[f32]> = self.network.layers()[i].inputs.iter().map(read).collect();
            let y = &mut rest[usize::from(activation.is_some())][..n * self.network.shape(i).len()];
            run_layer(&self.network, &self.weights, (i, activation), n, &inputs, y, argmax);
            if activation.is_some() {
                range.next();
            }
        }
    }

    /// One photo through the layers before `end` by the general kernels.
    fn run_photo(&self, photo: ImageBatch, end: usize, asked: &[usize], activations: &mut Activations) {
        match photo {
            ImageBatch::Floats(values) => self.run_layers(0..end, 1, values, asked, activations),
            ImageBatch::Bytes(bytes) => {
                let mut planar = std::mem::take(&mut activations.photo);
                planar.resize(bytes.len(), 0.0);
                image_input::to_planar(bytes, &mut planar);
                self.run_layers(0..end, 1, &planar, asked, activations);
                activations.photo = planar;
            }
        }
    }

    /// One photo with all threads: the chain's stages, then one stage a level.
    fn spread(&self, chain: &FusedPlan, photo: ImageBatch, activations: &mut Activations) {
        self.maps.with(|maps| {
            let first = chain.layers();
            let outputs: Vec<DisjointSlice<f32>> =
                activations.layers.iter_mut().map(|y| DisjointSlice::new(y)).collect();
            let spread = IntraOp::new(chain, photo, maps, &self.maps, &outputs[first - 1]);
            let own = spread.stages();
            let levels = self.levels.iter().map(|level| level.iter().map(|layer| self.tasks(*layer)).sum());
            run_stages(own.iter().copied().chain(levels), &|stage, mut task| match stage
                .checked_sub(own.len())
            {
                None => spread.run(stage, task),
                Some(level) => {
                    for layer in &self.levels[level] {
                        match task.checked_sub(self.tasks(*layer)) {
                            None => return self.run_task(*layer, task, &outputs),
                            Some(rest) => task = rest,
                        }
                    }
                }
            });
        });
    }

    /// Tasks of a layer behind the chain.
    fn tasks(&self, layer: usize) -> usize {
        self.network.shape(layer).len().div_ceil(self.part(layer))
    }

    /// Values of a layer's output that a task computes.
    fn part(&self, layer: usize) -> usize {
        let Layer { op, inputs, .. } = &self.network.layers()[layer];
        match op {
            Op::Linear(_) => (TASK_WEIGHTS / self.network.source_shape(inputs[0]).len()).max(1),
            _ => self.network.shape(layer).len(),
        }
    }

    /// One task of a layer behind the chain: some output features, or all of it.
    fn run_task(&self, index: usize, task: usize, outputs: &[DisjointSlice<f32>]) {
        let layer = &self.network.layers()[index];
        let y_len = self.network.shape(index).len();
        let part = self.part(index);
        let part = task * part..((task + 1) * part).min(y_len);
        #[expect(unsafe_code, reason = "tasks write parts of one output and read the one before")]
        // SAFETY: each task writes its own part; what is read was written by an earlier stage.
        let (inputs, y) = unsafe {
            let read = |source: &Source| match source {
                Source::Input => &[],
                Source::Layer(before) => outputs[*before].read(0, self.network.shape(*before).len()),
            };
            let inputs: Vec<&[f32]> = layer.inputs.iter().map(read).collect();
            (inputs, outputs[index].range(part.start, part.len()))
        };
        if matches!(layer.op, Op::Linear(_)) {
            let x = inputs[0];
            let w = &self.param(index, "weight")[part.start * x.len()..part.end * x.len()];
            linear::forward_one(x, w, &self.param(index, "bias")[part], y);
        } else {
            let mut argmax = vec![0; if matches!(layer.op, Op::MaxPool2d(_)) { y_len } else { 0 }];
            run_layer(&self.network, &self.weights, (index, None), 1, &inputs, y, &mut argmax);
        }
    }

    fn param(&self, layer: usize, suffix: &str) -> &[f32] {
        self.weights.values(&format!("{}.{suffix}", self.network.layers()[layer].name))
    }
}

/// The layers from `first` on by how many of them stand between a layer and those before `first`.
fn levels(network: &Network, first: usize) -> Vec<Vec<usize>> {
    let mut depths = vec![0; network.layers().len()];
    let mut levels: Vec<Vec<usize>> = Vec::new();
    for (i, layer) in network.layers().iter().enumerate().skip(first) {
        let before = |source: &Source| match source {
            Source::Layer(j) if *j >= first => depths[*j] + 1,
            _ => 0,
        };
        depths[i] = layer.inputs.iter().map(before).max().unwrap_or(0);
        levels.resize_with(levels.len().max(depths[i] + 1), Vec::new);
        levels[depths[i]].push(i);
    }
    levels
}
