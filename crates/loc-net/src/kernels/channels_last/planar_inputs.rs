//! A kernel that reads planar maps, between layers that have the channels last.

use super::convert::{from_planar, to_planar};
use crate::buffers::{Aligned, BufferPool};
use crate::kernels::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use crate::kernels::parts::Parts;

/// Converts some of a kernel's inputs to planar maps, and their gradients back.
#[derive(Debug)]
pub struct PlanarInputs {
    kernel: Box<dyn LayerKernel>,
    /// For each input that has the channels last, its channels and cells.
    maps: Vec<Option<(usize, usize)>>,
    /// The planar maps of a pass.
    buffers: BufferPool<Vec<Aligned>>,
}

impl PlanarInputs {
    /// Wraps a kernel. `maps` has for each input that has the channels last its channels and cells.
    #[must_use]
    pub fn new(kernel: Box<dyn LayerKernel>, maps: Vec<Option<(usize, usize)>>) -> Self {
        Self { kernel, maps, buffers: BufferPool::default() }
    }

    /// Calls `f` with all inputs as planar maps.
    fn with_planar<R>(&self, inputs: &[&[f32]], f: impl FnOnce(&[&[f32]]) -> R) -> R {
        self.buffers.with(|buffers: &mut Vec<Aligned>| {
            buffers.resize_with(self.maps.len(), Aligned::default);
            for ((x, map), buffer) in inputs.iter().zip(&self.maps).zip(buffers.iter_mut()) {
                if let Some(map) = map {
                    buffer.grow(x.len());
                    to_planar(*map, x, &mut buffer[..x.len()]);
                }
            }
            let planar =
                inputs.iter().zip(&self.maps).zip(buffers.iter()).map(|((x, map), buffer)| match map {
                    Some(_) => &buffer[..x.len()],
                    None => *x,
                });
            f(&planar.collect::<Vec<_>>())
        })
    }
}

impl LayerKernel for PlanarInputs {
    fn pack(&mut self, params: &[&[f32]], training: bool) {
        self.kernel.pack(params, training);
    }

    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, params, y, saved } = pass;
        self.with_planar(inputs, |inputs| {
            self.kernel.forward(ForwardPass { n, inputs, params, y, saved });
        });
    }

    fn backward(&self, parts: &Parts, pass: &SavedPass, gradients: Gradients) {
        let Gradients { output, inputs, params } = gradients;
        // Each gradient is computed in a buffer of its own and then converted into its place.
        let mut planar: Vec<Option<Vec<f32>>> = inputs
            .iter()
            .zip(&self.maps)
            .map(|(gx, map)| gx.as_ref().filter(|_| map.is_some()).map(|gx| vec![0.0; gx.len()]))
            .collect();
        let mut own: Vec<Option<&mut [f32]>> = inputs
            .iter_mut()
            .zip(&mut planar)
            .map(|(gx, planar)| planar.as_deref_mut().or(gx.as_deref_mut()))
            .collect();
        self.with_planar(pass.inputs, |inputs| {
            let pass = SavedPass { inputs, params: pass.params, y: pass.y, saved: pass.saved };
            self.kernel.backward(parts, &pass, Gradients { output, inputs: &mut own, params });
        });
        for ((gx, planar), map) in inputs.iter_mut().zip(planar).zip(&self.maps) {
            if let (Some(gx), Some(planar), Some(map)) = (gx, planar, map) {
                from_planar(*map, &planar, gx);
            }
        }
    }
}
