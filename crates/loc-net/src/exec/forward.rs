//! Prediction: runs a network with its weights on a batch. Weights are packed once, buffers are reused.

mod intra_op;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::fused::segment;
use super::layout::Layouts;
use super::output::Output;
use super::plan::{Step, find_last_reads, levels, pack, steps};
use super::segment::Segment;
use crate::buffers::{Aligned, BufferPool};
use crate::kernels::image_input::{self, ImageBatch};
use crate::kernels::layer::ForwardPass;
use crate::parallel;
use crate::{ConfigError, NetError, Network, Source, Weights};

/// Multiply-adds of one photo for each thread that computes it: about 150 µs on one thread. The stages of a photo are handed
/// over some twenty times, in 4 to 8 µs together, and each thread reads maps that others wrote (`docs/kernels.md`).
const PRODUCTS_PER_THREAD: usize = 32_000_000;

/// A network with its weights, ready to run. Several threads may share it.
#[derive(Debug)]
pub struct Forward {
    network: Network,
    /// The parameters in the network's order; empty for the fused layers, whose parameters are packed in `fused`.
    params: Vec<Vec<f32>>,
    layouts: Layouts,
    /// The fused segment of the first layers, if there is one.
    fused: Option<Box<dyn Segment>>,
    /// The other layers.
    steps: Vec<Step>,
    /// The indices of the steps in levels: steps of one level do not depend on each other.
    levels: Vec<Vec<usize>>,
    /// The number of threads that one photo is worth.
    threads: usize,
    /// The layers of [`Network::outputs`], and that of the features where they were asked for.
    outputs: Vec<usize>,
    /// Reusable buffers.
    activations: BufferPool<Activations>,
}

/// The outputs of the layers for some photos.
#[derive(Debug, Default)]
struct Activations {
    photo: Vec<f32>,
    layers: Vec<Aligned>,
    /// Buffers of layers that no later step reads.
    free: Vec<Aligned>,
}

impl Activations {
    /// Takes a free buffer of at least `len` values, with arbitrary content.
    fn take_buffer(&mut self, len: usize) -> Aligned {
        let fitting = self.free.iter().enumerate().filter(|(_, buffer)| buffer.len() >= len);
        let smallest = fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(i, _)| i);
        let mut buffer = smallest.map_or_else(Aligned::default, |i| self.free.swap_remove(i));
        buffer.grow(len);
        buffer
    }

    /// Frees a layer's buffer.
    fn release(&mut self, layer: usize) {
        let buffer = std::mem::take(&mut self.layers[layer]);
        if !buffer.is_empty() {
            self.free.push(buffer);
        }
    }
}

impl Forward {
    /// Prepares a network with these weights.
    ///
    /// # Errors
    ///
    /// [`NetError::Mismatch`] if the weights are not exactly those of the network, or not all finite.
    pub fn new(network: Network, weights: Weights) -> Result<Self, NetError> {
        weights.check(&network)?;
        Self::with_nonfinite(network, weights)
    }

    /// Same as [`Forward::new`], for weights that may be infinite or NaN.
    ///
    /// # Errors
    ///
    /// [`NetError::Mismatch`] if the weights are not exactly those of the network.
    pub fn with_nonfinite(network: Network, mut weights: Weights) -> Result<Self, NetError> {
        weights.check_shapes(&network)?;
        let take_values = |param: &crate::Param| weights.0.remove(&param.name).map(|weight| weight.data);
        let mut params: Vec<Vec<f32>> = network.params().iter().filter_map(take_values).collect();
        let fused = segment(&network).map(|mut fused| {
            let own = &mut params[..fused.params()];
            fused.pack(&own.iter().map(Vec::as_slice).collect::<Vec<_>>());
            own.fill(Vec::new());
            fused
        });
        let first = fused.as_ref().map_or(0, |fused| fused.layers());
        let layouts = Layouts::new(&network, first);
        let mut steps = steps(&network, &layouts, first..network.layers().len(), &[]);
        pack(&mut steps, &params, false);
        let levels = levels(&network, &steps);
        let outputs = network.outputs();
        if fused.is_none() {
            find_last_reads(&mut steps, &outputs);
        }
        let products: usize = (0..network.layers().len()).map(|layer| network.multiply_adds(layer)).sum();
        let threads = (products / PRODUCTS_PER_THREAD).max(1);
        let activations = BufferPool::default();
        Ok(Self { network, params, layouts, fused, steps, levels, threads, outputs, activations })
    }

    /// The same, but [`Forward::run`] also returns the features of the whole photo that the class is read from.
    ///
    /// # Errors
    ///
    /// [`NetError::Config`] if they are inside the fused blocks, whose outputs are never stored.
    pub fn with_features(mut self) -> Result<Self, NetError> {
        let layer = self.network.class_features();
        let first = self.unfused(&[layer])?;
        self.steps = steps(&self.network, &self.layouts, first..self.network.layers().len(), &[layer]);
        pack(&mut self.steps, &self.params, false);
        self.levels = levels(&self.network, &self.steps);
        self.outputs = self.network.outputs().into_iter().chain([layer]).collect();
        if self.fused.is_none() {
            find_last_reads(&mut self.steps, &self.outputs);
        }
        Ok(self)
    }

    /// The index of the first layer after the fused blocks; an error if one of `layers` is inside them.
    fn unfused(&self, layers: &[usize]) -> Result<usize, NetError> {
        let first = self.fused.as_ref().map_or(0, |fused| fused.layers());
        match layers.iter().find(|layer| **layer + 1 < first) {
            Some(layer) => {
                let layer = self.network.layers()[*layer].name.clone();
                Err(NetError::Config(ConfigError::FusedLayer { layer }))
            }
            None => Ok(first),
        }
    }

    /// Returns the network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Runs `n` photos of the network's input size.
    ///
    /// The output for a photo depends neither on the other photos nor on the number of threads. The calling thread
    /// computes, with helpers as described in [`parallel`]; outside of [`parallel::Threads::run`] the helpers come from
    /// rayon's current pool. Helpers take whole photos or, if there are fewer photos than threads, rows of one photo.
    ///
    /// # Errors
    ///
    /// [`NetError::Length`] if there are not `n` photos.
    pub fn run(&self, photos: ImageBatch, n: usize) -> Result<Output, NetError> {
        self.check(photos, n)?;
        let width: usize = self.outputs.iter().map(|layer| self.network.shape(*layer).len()).sum();
        let mut rows = vec![0.0; n * width];
        parallel::in_team(|| self.run_in_team(photos, n, width, &mut rows));
        Ok(Output::of(&self.network, &rows, n))
    }

    fn check(&self, photos: ImageBatch, n: usize) -> Result<(), NetError> {
        let expected = n * self.network.input().len();
        match photos.len() == expected {
            true => Ok(()),
            false => Err(NetError::Length { what: "images", expected, got: photos.len() }),
        }
    }

    /// Writes the outputs of each photo to its row.
    fn run_in_team(&self, photos: ImageBatch, n: usize, width: usize, rows: &mut [f32]) {
        let available = parallel::available();
        let many = n > 0 && n >= available.min(if n == 1 { self.threads } else { available });
        match &self.fused {
            Some(fused) if many => self.activations.with(|activations| {
                self.reserve(&self.steps, n, activations);
                let last = fused.layers() - 1;
                let y = &mut activations.layers[last][..n * self.network.shape(last).len()];
                fused.infer(photos, n, y);
                self.run_steps(&self.steps, n, &[], activations);
                for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                    self.write_outputs(activations, i, row);
                }
            }),
            _ => {
                let rows = rows.chunks_exact_mut(width).enumerate();
                let run = |(i, row): (usize, &mut [f32])| {
                    self.run_one(photos.slice(i, 1, self.network.input().len()), row);
                };
                if many {
                    parallel::run_jobs(rows.collect(), run, || ());
                } else {
                    rows.for_each(run);
                }
            }
        }
    }

    /// Runs one photo, split over the threads unless this is already a task.
    fn run_one(&self, photo: ImageBatch, row: &mut [f32]) {
        self.activations.with(|activations| {
            self.reserve(&self.steps, 1, activations);
            match &self.fused {
                Some(fused) => self.intra_op(fused.as_ref(), photo, activations),
                None => self.run_photo(&self.steps, photo, activations),
            }
            self.write_outputs(activations, 0, row);
        });
    }

    /// Computes the outputs of some layers for `n` photos: for each of `layers`, in that order, the outputs of all
    /// photos. The layers after the last of them do not run.
    ///
    /// # Errors
    ///
    /// [`NetError::Length`] if there are not `n` photos; [`NetError::Config`] for a layer inside the fused blocks,
    /// whose output is never stored.
    pub fn features(
        &self,
        photos: ImageBatch,
        n: usize,
        layers: &[usize],
    ) -> Result<Vec<Vec<f32>>, NetError> {
        self.check(photos, n)?;
        let first = self.unfused(layers)?;
        let end = layers.iter().max().map_or(0, |last| last + 1);
        let mut steps = steps(&self.network, &self.layouts, first..end.max(first), layers);
        pack(&mut steps, &self.params, false);
        if self.fused.is_none() {
            find_last_reads(&mut steps, layers);
        }
        let mut features: Vec<Vec<f32>> =
            layers.iter().map(|layer| vec![0.0; n * self.network.shape(*layer).len()]).collect();
        let mut parts: Vec<Vec<&mut [f32]>> = (0..n).map(|_| Vec::with_capacity(layers.len())).collect();
        for (all, layer) in features.iter_mut().zip(layers) {
            let each = all.chunks_exact_mut(self.network.shape(*layer).len());
            each.zip(&mut parts).for_each(|(out, parts)| parts.push(out));
        }
        parts.into_par_iter().enumerate().for_each(|(i, parts)| {
            let photo = photos.slice(i, 1, self.network.input().len());
            self.activations.with(|activations| {
                self.reserve(&steps, 1, activations);
                match &self.fused {
                    Some(fused) => {
                        let last = fused.layers() - 1;
                        let y = &mut activations.layers[last][..self.network.shape(last).len()];
                        fused.infer(photo, 1, y);
                        self.run_steps(&steps, 1, &[], activations);
                    }
                    None => self.run_photo(&steps, photo, activations),
                }
                for (out, layer) in parts.into_iter().zip(layers) {
                    let values = &activations.layers[*layer][..out.len()];
                    self.layouts.copy_planar(&self.network, *layer, values, out);
                }
            });
        });
        Ok(features)
    }

    /// Writes the outputs of photo `i` to its row.
    fn write_outputs(&self, activations: &Activations, i: usize, row: &mut [f32]) {
        let mut from = 0;
        for layer in &self.outputs {
            let len = self.network.shape(*layer).len();
            let values = &activations.layers[*layer][i * len..][..len];
            self.layouts.copy_planar(&self.network, *layer, values, &mut row[from..from + len]);
            from += len;
        }
    }

    /// Grows the output buffers of the steps to the size of `n` photos. Without fused blocks, where a layer's buffer is
    /// used again for others, all buffers are freed.
    fn reserve(&self, steps: &[Step], n: usize, activations: &mut Activations) {
        activations.layers.resize_with(self.network.layers().len(), Aligned::default);
        let Some(fused) = &self.fused else {
            (0..self.network.layers().len()).for_each(|layer| activations.release(layer));
            return;
        };
        for layer in steps.iter().map(|step| step.output).chain([fused.layers() - 1]) {
            activations.layers[layer].grow(n * self.network.shape(layer).len());
        }
    }

    fn params_of(&self, step: &Step) -> Vec<&[f32]> {
        self.params[step.params.clone()].iter().map(Vec::as_slice).collect()
    }

    /// Runs some steps in order; `photo` holds planar values.
    fn run_steps(&self, steps: &[Step], n: usize, photo: &[f32], activations: &mut Activations) {
        for step in steps {
            let len = n * self.network.shape(step.output).len();
            let mut y = match &self.fused {
                Some(_) => std::mem::take(&mut activations.layers[step.output]),
                None => activations.take_buffer(len),
            };
            let read = |source: &Source| {
                let x = match source {
                    Source::Input => photo,
                    Source::Layer(layer) => &activations.layers[*layer],
                };
                &x[..n * self.network.source_shape(*source).len()]
            };
            let inputs: Vec<&[f32]> = step.inputs.iter().map(read).collect();
            let params = self.params_of(step);
            let pass = ForwardPass { n, inputs: &inputs, params: &params, y: &mut y[..len], saved: None };
            step.kernel.forward(pass);
            activations.layers[step.output] = y;
            step.last_reads.iter().for_each(|layer| activations.release(*layer));
        }
    }

    /// Runs one photo through some steps, starting at the first layer.
    fn run_photo(&self, steps: &[Step], photo: ImageBatch, activations: &mut Activations) {
        match photo {
            ImageBatch::Floats(values) => self.run_steps(steps, 1, values, activations),
            ImageBatch::Bytes(bytes) => {
                let mut planar = std::mem::take(&mut activations.photo);
                planar.resize(bytes.len(), 0.0);
                image_input::to_planar(bytes, &mut planar);
                self.run_steps(steps, 1, &planar, activations);
                activations.photo = planar;
            }
        }
    }
}
