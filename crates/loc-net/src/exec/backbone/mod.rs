//! A backbone's layers with their gradients as one pass over a batch: the general kernels, one layer after the other,
//! every activation kept, no graph, and buffers that stay for the next batch. The fused forms are `chain`.

#[cfg(test)]
mod tests;

use rayon::prelude::*;

use crate::buffers::grow;
use crate::exec::forward::run_layer;
use crate::exec::{activation_behind, conv_shape, pool_shape};
use crate::kernels::image_input::{self, ImageBatch};
use crate::kernels::{activation, avgpool, conv2d};
use crate::ops::{Add, AvgPool2d, ChannelAffine, Flatten, Relu, Relu6};
use crate::{Network, Op, Source, Weight, Weights};

/// Values a task adds: enough to be worth handing out.
const CHUNK: usize = 64 * 1024;

/// A backbone with its parameters, and the activations of a batch.
#[derive(Debug, Clone)]
pub struct BackboneTraining {
    network: Network,
    /// The layers that the heads read.
    taps: Vec<usize>,
    /// For each layer, whether there are parameters in it or before it.
    learns: Vec<bool>,
    weights: Weights,
    photos: usize,
    planar: Vec<f32>,
    /// Every layer's output; a convolution's is only kept with what the activation behind it makes of it.
    values: Vec<Vec<f32>>,
    gradients: Vec<Option<Vec<f32>>>,
    /// Buffers of gradients that have been used.
    spare: Vec<Vec<f32>>,
}

impl BackboneTraining {
    /// The tape of a network's backbone, or nothing where one of its layers is not among those that have been written for
    /// it: convolutions with or without an activation behind, sums, means, flattening and standardisation.
    #[must_use]
    pub fn of(network: &Network) -> Option<Self> {
        let layers = &network.layers()[..network.backbone_layers()];
        let mut learns = vec![false; layers.len()];
        for (i, layer) in layers.iter().enumerate() {
            let known = match &layer.op {
                Op::Normalize(_) => layer.inputs == [Source::Input],
                Op::Conv2d(_)
                | Op::ChannelAffine(_)
                | Op::Add(Add)
                | Op::AvgPool2d(_)
                | Op::Flatten(Flatten) => true,
                Op::Relu(Relu) | Op::Relu6(Relu6) => i > 0 && activation_behind(network, i - 1).is_some(),
                _ => false,
            };
            if !known {
                return None;
            }
            let before = layer.inputs.iter().any(|source| matches!(source, Source::Layer(j) if learns[*j]));
            learns[i] = before || matches!(layer.op, Op::Conv2d(_) | Op::ChannelAffine(_));
        }
        let count = layers.len();
        Some(Self {
            taps: network.taps(),
            network: network.clone(),
            learns,
            weights: Weights::default(),
            photos: 0,
            planar: Vec::new(),
            values: vec![Vec::new(); count],
            gradients: vec![None; count],
            spare: Vec::new(),
        })
    }

    /// How many of the network's layers it stands for.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.network.backbone_layers()
    }

    /// The layers whose outputs a pass gives, in their order: those that the heads read.
    #[must_use]
    pub fn taps(&self) -> &[usize] {
        &self.taps
    }

    /// Values of one photo.
    #[must_use]
    pub fn photo_len(&self) -> usize {
        self.network.input().len()
    }

    /// Values of one photo's outputs, one tap behind the other.
    #[must_use]
    pub fn out_len(&self) -> usize {
        self.taps.iter().map(|tap| self.network.shape(*tap).len()).sum()
    }

    /// The parameters' names and lengths, in the order of the layers.
    #[must_use]
    pub fn params(&self) -> Vec<(String, usize)> {
        let own = self.network.params().iter().filter(|p| p.layer < self.layers());
        own.map(|p| (p.name.clone(), p.shape.iter().product())).collect()
    }

    /// Takes over the parameters ([`BackboneTraining::params`]), each in a slice.
    ///
    /// # Panics
    ///
    /// If there are not as many, or one has another length.
    pub fn pack(&mut self, params: &[&[f32]]) {
        let own: Vec<_> =
            self.network.params().iter().filter(|p| p.layer < self.network.backbone_layers()).collect();
        assert_eq!(own.len(), params.len(), "parameters");
        for (param, values) in own.into_iter().zip(params) {
            let weight = self.weights.0.entry(param.name.clone()).or_insert_with(|| Weight {
                shape: param.shape.clone(),
                data: vec![0.0; param.shape.iter().product()],
            });
            weight.data.copy_from_slice(values);
        }
    }

    /// Runs `n` photos and keeps what [`BackboneTraining::backward`] needs; `features` are `n` times the taps' outputs.
    ///
    /// # Panics
    ///
    /// If a slice has not the length that `n` says, or nothing is packed.
    pub fn forward(&mut self, photos: ImageBatch, n: usize, features: &mut [f32]) {
        assert_eq!(
            (photos.len(), features.len()),
            (n * self.photo_len(), n * self.out_len()),
            "photos, features"
        );
        self.photos = n;
        let photo_len = self.photo_len();
        let planar: &[f32] = match photos {
            ImageBatch::Floats(values) => values,
            ImageBatch::Bytes(bytes) => {
                grow(&mut self.planar, bytes.len());
                let planar = &mut self.planar[..bytes.len()];
                let each = planar.par_chunks_exact_mut(photo_len).zip(bytes.par_chunks_exact(photo_len));
                each.for_each(|(planar, bytes)| image_input::to_planar(bytes, planar));
                planar
            }
        };
        let network = &self.network;
        for (i, layer) in network.layers()[..network.backbone_layers()].iter().enumerate() {
            if matches!(layer.op, Op::Relu(Relu) | Op::Relu6(Relu6)) {
                // One pass with the convolution before it.
                continue;
            }
            let activation = activation_behind(network, i);
            let to = i + usize::from(activation.is_some());
            let mut y = std::mem::take(&mut self.values[to]);
            grow(&mut y, n * network.shape(i).len());
            let of_batch = &mut y[..n * network.shape(i).len()];
            let inputs = layer.inputs.iter().map(|source| match source {
                Source::Input => planar,
                Source::Layer(j) => &self.values[*j][..n * network.shape(*j).len()],
            });
            let inputs: Vec<&[f32]> = inputs.collect();
            match layer.op {
                Op::Add(Add) => add(inputs[0], inputs[1], of_batch),
                _ => run_layer(network, &self.weights, (i, activation), n, &inputs, of_batch, &mut []),
            }
            self.values[to] = y;
        }
        let mut from = 0;
        let out_len = self.out_len();
        for tap in &self.taps {
            let len = self.network.shape(*tap).len();
            let each = features.chunks_exact_mut(out_len).zip(self.values[*tap].chunks_exact(len));
            each.for_each(|(features, values)| features[from..from + len].copy_from_slice(values));
            from += len;
        }
    }

    /// The parameters' gradients, one behind the other, from that of the features of the last [`BackboneTraining::forward`], whose
    /// photos are given again.
    ///
    /// # Panics
    ///
    /// If a slice has not the length that the batch says.
    pub fn backward(&mut self, photos: ImageBatch, gradient: &[f32], of_params: &mut [f32]) {
        let n = self.photos;
        assert_eq!(gradient.len(), n * self.out_len(), "gradient");
        let mut from = 0;
        for tap in self.taps.clone() {
            let len = self.network.shape(tap).len();
            let mut own = self.take(n * len);
            let each = own.chunks_exact_mut(len).zip(gradient.chunks_exact(self.out_len()));
            each.for_each(|(own, all)| own.copy_from_slice(&all[from..from + len]));
            self.receive(tap, own, n * len);
            from += len;
        }
        // Of each layer's parameters the place, from the last on.
        let mut end: usize = self.params().iter().map(|(_, len)| len).sum();
        assert_eq!(of_params.len(), end, "gradients of the parameters");
        for i in (0..self.layers()).rev() {
            let params = self.network.params().iter().filter(|p| p.layer == i);
            let lens: Vec<usize> = params.map(|p| p.shape.iter().product()).collect();
            let own = &mut of_params[end - lens.iter().sum::<usize>()..end];
            end -= own.len();
            match self.gradients[i].take() {
                Some(gradient) => {
                    self.back(i, photos, gradient, own.split_at_mut(lens.first().map_or(0, |l| *l)))
                }
                // Nothing behind it depends on it.
                None => own.fill(0.0),
            }
        }
    }

    /// One layer back: what its output's gradient says of its parameters, `(weight, bias)`, and of what it read.
    fn back(&mut self, i: usize, photos: ImageBatch, mut gy: Vec<f32>, (gw, gb): (&mut [f32], &mut [f32])) {
        let n = self.photos;
        let layer = self.network.layers()[i].clone();
        let source = layer.inputs[0];
        let (len, before) = (n * self.network.shape(i).len(), n * self.network.source_shape(source).len());
        let (channels, height, width) =
            self.network.source_shape(source).chw().unwrap_or((before / n.max(1), 1, 1));
        let learns = |source: &Source| matches!(source, Source::Layer(j) if self.learns[*j]);
        let further = learns(&source);
        match &layer.op {
            Op::Relu(Relu) | Op::Relu6(Relu6) => {
                let (y, gy_values) = (&self.values[i][..len], &mut gy[..len]);
                match layer.op {
                    Op::Relu6(Relu6) => activation::backward6_in_place(y, gy_values),
                    _ => activation::backward_in_place(y, gy_values),
                }
                self.hand_on(source, gy, len);
            }
            Op::Conv2d(conv) => {
                let shape = conv_shape(conv, channels, (height, width));
                let x = match (source, photos) {
                    (Source::Layer(j), _) => &self.values[j][..before],
                    (Source::Input, ImageBatch::Floats(values)) => values,
                    (Source::Input, ImageBatch::Bytes(_)) => &self.planar[..before],
                };
                conv2d::backward_weights(&shape, n, x, &gy[..len], gw, gb);
                if further {
                    let mut gx = self.take(before);
                    let w = self.weights.values(&format!("{}.weight", layer.name));
                    conv2d::backward_input(&shape, n, w, &gy[..len], &mut gx[..before]);
                    self.hand_on(source, gx, before);
                }
                self.spare.push(gy);
            }
            Op::ChannelAffine(ChannelAffine { limit }) => {
                let x = match source {
                    Source::Layer(j) => &self.values[j][..before],
                    Source::Input => &[],
                };
                let w = self.weights.values(&format!("{}.weight", layer.name));
                let cells = before / n.max(1) / w.len();
                gw.fill(0.0);
                gb.fill(0.0);
                let b = self.weights.values(&format!("{}.bias", layer.name));
                for (plane, (gy, x)) in
                    gy[..len].chunks_exact_mut(cells).zip(x.chunks_exact(cells)).enumerate()
                {
                    let channel = plane % w.len();
                    for (gy, x) in gy.iter_mut().zip(x) {
                        // What was cut does not move; the limit itself does, as in PyTorch.
                        let kept = (x * w[channel] + b[channel]).abs() <= *limit;
                        *gy = if kept { *gy } else { 0.0 };
                        gw[channel] += *gy * x;
                        gb[channel] += *gy;
                        *gy *= w[channel];
                    }
                }
                self.hand_on(source, gy, len);
            }
            Op::Add(Add) => {
                if learns(&layer.inputs[1]) {
                    let mut second = self.take(len);
                    second[..len].copy_from_slice(&gy[..len]);
                    self.hand_on(layer.inputs[1], second, len);
                }
                self.hand_on(source, gy, len);
            }
            Op::AvgPool2d(AvgPool2d(pool)) => {
                let shape = pool_shape(*pool, channels, (height, width));
                let mut gx = self.take(before);
                avgpool::backward(&shape, n, &gy[..len], &mut gx[..before]);
                self.spare.push(gy);
                self.hand_on(source, gx, before);
            }
            // The same values in the same order.
            Op::Flatten(Flatten) => self.hand_on(source, gy, len),
            // Before any parameter.
            _ => self.spare.push(gy),
        }
    }

    /// A gradient for what a layer read.
    fn hand_on(&mut self, source: Source, gradient: Vec<f32>, len: usize) {
        match source {
            Source::Layer(layer) if self.learns[layer] => self.receive(layer, gradient, len),
            _ => self.spare.push(gradient),
        }
    }

    /// A gradient of a layer's output; those of several readers are added.
    fn receive(&mut self, layer: usize, gradient: Vec<f32>, len: usize) {
        match &mut self.gradients[layer] {
            Some(sum) => {
                let tasks = sum[..len].par_chunks_mut(CHUNK).zip(gradient[..len].par_chunks(CHUNK));
                tasks.for_each(|(sum, more)| sum.iter_mut().zip(more).for_each(|(s, m)| *s += m));
                self.spare.push(gradient);
            }
            none => *none = Some(gradient),
        }
    }

    /// A buffer of at least `len` values, whatever they are.
    fn take(&mut self, len: usize) -> Vec<f32> {
        let fitting = self.spare.iter().enumerate().filter(|(_, buffer)| buffer.len() >= len);
        let smallest = fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(i, _)| i);
        let mut buffer = smallest.map_or_else(Vec::new, |i| self.spare.swap_remove(i));
        grow(&mut buffer, len);
        buffer
    }
}

fn add(a: &[f32], b: &[f32], y: &mut [f32]) {
    let tasks = y.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK)).zip(b.par_chunks(CHUNK));
    tasks.for_each(|((y, a), b)| y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (a, b))| *y = a + b));
}
