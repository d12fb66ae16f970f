//! The backward pass: from the gradients of the outputs to the gradients of the trained parameters.

use super::Training;
use super::setup::Images;
use crate::Source;
use crate::buffers::Aligned;
use crate::kernels::join::add_to;
use crate::kernels::layer::{Gradients, SavedPass};
use crate::kernels::parts::Parts;

impl Training {
    /// Computes the gradients of the trained parameters ([`Training::trained`]), one after the other, from the gradient
    /// of the outputs of the last [`Training::forward`]. `images` and `params` are the arguments of that call. `parts`
    /// gives the order of the sums over the batch: [`Parts::of`] the photos, or the parts of a larger batch that this
    /// process computes.
    ///
    /// # Panics
    ///
    /// If a slice does not have the length that the forward pass implies.
    pub fn backward(
        &mut self,
        images: Images,
        params: &[&[f32]],
        parts: &Parts,
        gradient: &[f32],
        param_gradients: &mut [f32],
    ) {
        let (n, out_len) = (self.photos, self.out_len());
        assert_eq!(parts.photos(), n, "parts of the forward pass's photos");
        self.check(images, n, params, gradient.len());
        let trained: usize = params[self.trained.clone()].iter().map(|values| values.len()).sum();
        assert_eq!(param_gradients.len(), trained, "gradients of the trained parameters");
        let mut from = 0;
        for layer in self.setup.outputs.clone() {
            let len = self.network.shape(layer).len();
            let mut own = self.take_buffer(n * len);
            let each = own.chunks_exact_mut(len).zip(gradient.chunks_exact(out_len.max(1)));
            each.for_each(|(own, all)| {
                self.layouts.copy_from_planar(&self.network, layer, &all[from..from + len], own);
            });
            self.add_gradient(Source::Layer(layer), own, n * len);
            from += len;
        }
        // In `param_gradients` the gradients of a step's parameters end where those of the next step begin.
        let mut rest = param_gradients;
        for i in (0..self.steps.len()).rev() {
            let step = &self.steps[i];
            let own = step.params.start.max(self.trained.start)..step.params.end.max(self.trained.start);
            let lens: Vec<usize> = params[own].iter().map(|values| values.len()).collect();
            let (before, mut gradients) = rest.split_at_mut(rest.len() - lens.iter().sum::<usize>());
            rest = before;
            let Some(gy) = self.gradient_of(step.output, n) else {
                // No output depends on it.
                gradients.fill(0.0);
                continue;
            };
            let step_gradients = lens.into_iter().map(|len| {
                let (own, others) = std::mem::take(&mut gradients).split_at_mut(len);
                gradients = others;
                own
            });
            let step_gradients = step_gradients.collect();
            self.backward_step(i, images, parts, params, gy, step_gradients);
        }
        let Some(last) = self.fused.as_ref().map(|fused| fused.layers() - 1) else { return };
        let gy = self.gradient_of(last, n);
        if let (Some(fused), Images::Photos(photos), false) = (&mut self.fused, images, rest.is_empty()) {
            match &gy {
                Some(gy) => fused.backward(photos, parts, &gy[..n * self.network.shape(last).len()], rest),
                None => rest.fill(0.0),
            }
        }
        self.free_buffers.extend(gy);
    }

    /// Takes the gradient of a layer's output before dropout: the stored gradient times the dropout factors.
    fn gradient_of(&mut self, layer: usize, n: usize) -> Option<Aligned> {
        let mut gradient = self.gradients[layer].take()?;
        if let Some(dropped) = &self.dropped[layer] {
            let cells: usize = self.network.shape(layer).0[1..].iter().product();
            let len = n * self.network.shape(layer).len();
            for (g, factor) in gradient[..len].chunks_exact_mut(cells).zip(&dropped.factors) {
                g.iter_mut().for_each(|g| *g *= factor);
            }
        }
        Some(gradient)
    }

    /// Runs the backward pass of one step, from the gradient of its output.
    fn backward_step(
        &mut self,
        i: usize,
        images: Images,
        parts: &Parts,
        params: &[&[f32]],
        mut gy: Aligned,
        mut param_gradients: Vec<&mut [f32]>,
    ) {
        let n = self.photos;
        let (output, sources) = (self.steps[i].output, self.steps[i].inputs.clone());
        let len = n * self.network.shape(output).len();
        if self.steps[i].kernel.passes_gradient() {
            let targets: Vec<Source> =
                sources.into_iter().filter(|source| self.needs_gradient(*source)).collect();
            for source in targets.iter().skip(1) {
                let mut copy = self.take_buffer(len);
                copy[..len].copy_from_slice(&gy[..len]);
                self.add_gradient(*source, copy, len);
            }
            match targets.first() {
                Some(source) => self.add_gradient(*source, gy, len),
                None => self.free_buffers.push(gy),
            }
            return;
        }
        let needs_gradient: Vec<Option<usize>> = sources
            .iter()
            .map(|source| self.needs_gradient(*source).then(|| n * self.network.source_shape(*source).len()))
            .collect();
        let mut buffers: Vec<Option<Aligned>> =
            needs_gradient.iter().map(|len| len.map(|len| self.take_buffer(len))).collect();
        let step = &self.steps[i];
        let inputs: Vec<&[f32]> = sources.iter().map(|source| self.read(images, n, *source)).collect();
        let pass = SavedPass {
            inputs: &inputs,
            params: &params[step.params.clone()],
            y: &self.values[output][..len],
            saved: &self.saved[output],
        };
        let mut input_gradients: Vec<Option<&mut [f32]>> = buffers
            .iter_mut()
            .zip(&needs_gradient)
            .map(|(buffer, len)| buffer.as_mut().zip(*len).map(|(buffer, len)| &mut buffer[..len]))
            .collect();
        let gradients =
            Gradients { output: &mut gy[..len], inputs: &mut input_gradients, params: &mut param_gradients };
        step.kernel.backward(parts, &pass, gradients);
        self.free_buffers.push(gy);
        for ((source, buffer), len) in sources.into_iter().zip(buffers).zip(needs_gradient) {
            if let (Some(buffer), Some(len)) = (buffer, len) {
                self.add_gradient(source, buffer, len);
            }
        }
    }

    /// Returns whether any trained parameter needs the gradient of this source.
    fn needs_gradient(&self, source: Source) -> bool {
        matches!(source, Source::Layer(layer) if self.requires_grad[layer])
    }

    /// Adds `gradient` to the gradient of a source, or frees the buffer if nothing needs that gradient.
    fn add_gradient(&mut self, source: Source, gradient: Aligned, len: usize) {
        match source {
            Source::Layer(layer) if self.requires_grad[layer] => self.accumulate(layer, gradient, len),
            _ => self.free_buffers.push(gradient),
        }
    }

    /// Adds `gradient` to the gradient of a layer's output; a layer may have several readers.
    fn accumulate(&mut self, layer: usize, gradient: Aligned, len: usize) {
        match &mut self.gradients[layer] {
            Some(sum) => {
                add_to(&mut sum[..len], &gradient[..len]);
                self.free_buffers.push(gradient);
            }
            none => *none = Some(gradient),
        }
    }

    /// Takes a free buffer of at least `len` values, with arbitrary content.
    fn take_buffer(&mut self, len: usize) -> Aligned {
        let fitting = self.free_buffers.iter().enumerate().filter(|(_, buffer)| buffer.len() >= len);
        let smallest = fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(i, _)| i);
        let mut buffer = smallest.map_or_else(Aligned::default, |i| self.free_buffers.swap_remove(i));
        buffer.grow(len);
        buffer
    }
}
