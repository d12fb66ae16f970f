//! The forward pass of a list of layers over a batch: no graph, weights in place, buffers reused.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::kernels::{ConvShape, PoolShape, avgpool2d, conv2d, linear, maxpool2d, relu};
use crate::{Layer, NetError, Network, Op, Shape, Source, Weights};

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
    /// Buffers of photos that have been through, for the next ones.
    idle: Mutex<Vec<Activations>>,
}

/// The output of every layer for one photo, and the winners of the widest max-pool.
#[derive(Debug)]
struct Activations {
    layers: Vec<Vec<f32>>,
    winners: Vec<u8>,
}

impl Forward {
    /// Keeps a copy of the weights for the network.
    ///
    /// # Errors
    ///
    /// [`NetError::Mismatch`] if the weights are not exactly the network's, or not all finite.
    pub fn new(network: Network, weights: &Weights) -> Result<Self, NetError> {
        weights.check(&network)?;
        Ok(Self { network, weights: weights.clone(), idle: Mutex::default() })
    }

    /// The network it runs.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Runs `n` photos: `images` is `n × 3 × height × width`, RGB in 0..1.
    ///
    /// Each photo goes through all layers by itself, so its answer does not depend on the others; photos are spread
    /// over rayon's current pool, and the rows of a single one are.
    ///
    /// # Errors
    ///
    /// [`NetError::Length`] if `images` is not `n` photos long.
    pub fn run(&self, images: &[f32], n: usize) -> Result<Output, NetError> {
        let photo_len = self.network.input().len();
        let expected = n * photo_len;
        if images.len() != expected {
            return Err(NetError::Length { what: "images", expected, got: images.len() });
        }
        let classes = self.network.classes();
        let mut output = Output { logits: vec![0.0; n * classes], boxes: vec![0.0; n * 4] };
        let answers = output.logits.par_chunks_exact_mut(classes).zip(output.boxes.par_chunks_exact_mut(4));
        answers.zip(images.par_chunks_exact(photo_len)).for_each(|((logits, boxes), photo)| {
            let mut activations = self.borrow();
            self.run_photo(photo, &mut activations);
            logits.copy_from_slice(&activations.layers[self.network.logits()]);
            boxes.copy_from_slice(&activations.layers[self.network.boxes()]);
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(activations);
        });
        Ok(output)
    }

    /// Idle buffers, or new ones.
    fn borrow(&self) -> Activations {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| {
            let layers = 0..self.network.layers().len();
            let widest = |i: &usize| matches!(self.network.layers()[*i].op, Op::MaxPool2d(_));
            let winners = layers.clone().filter(widest).map(|i| self.network.shape(i).len()).max();
            Activations {
                layers: layers.map(|i| vec![0.0; self.network.shape(i).len()]).collect(),
                winners: vec![0; winners.unwrap_or(0)],
            }
        })
    }

    fn run_photo(&self, photo: &[f32], activations: &mut Activations) {
        for (i, layer) in self.network.layers().iter().enumerate() {
            let (before, rest) = activations.layers.split_at_mut(i);
            let source = layer.inputs[0];
            let x = match source {
                Source::Input => photo,
                Source::Layer(j) => &before[j],
            };
            self.run_layer(
                layer,
                self.network.source_shape(source),
                x,
                &mut rest[0],
                &mut activations.winners,
            );
        }
    }

    fn run_layer(&self, layer: &Layer, shape: &Shape, x: &[f32], y: &mut [f32], winners: &mut [u8]) {
        let param = |suffix: &str| self.weights.values(&format!("{}.{suffix}", layer.name));
        // Layers on feature maps; the builder refuses them on vectors.
        let (channels, height, width) = shape.chw().unwrap_or((shape.len(), 1, 1));
        let in_size = (height, width);
        match &layer.op {
            Op::Normalize { mean, std } => {
                let planes = y.chunks_exact_mut(height * width).zip(x.chunks_exact(height * width));
                for ((y, x), (mean, std)) in planes.zip(mean.iter().zip(std)) {
                    y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) / std);
                }
            }
            Op::Conv2d(conv) => {
                let shape = ConvShape { in_channels: channels, in_size, conv: conv.clone() };
                conv2d::forward(&shape, 1, x, param("weight"), param("bias"), y);
            }
            Op::MaxPool2d(pool) => {
                let winners = &mut winners[..y.len()];
                maxpool2d::forward(&PoolShape { channels, in_size, pool: *pool }, 1, x, y, winners);
            }
            Op::AvgPool2d(pool) => avgpool2d::forward(&PoolShape { channels, in_size, pool: *pool }, 1, x, y),
            Op::Relu => relu::forward(x, y),
            Op::Flatten => y.copy_from_slice(x),
            Op::Linear { out_features } => {
                let features = linear::Features { input: x.len(), output: *out_features };
                linear::forward(features, 1, x, param("weight"), param("bias"), y);
            }
            Op::Sigmoid => y.iter_mut().zip(x).for_each(|(y, x)| *y = 1.0 / (1.0 + (-x).exp())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{numbers, single};
    use crate::{InputShape, NetworkConfig, Normalization, Weight};

    fn forward() -> Forward {
        let config = NetworkConfig::five_conv(InputShape { height: 188, width: 190 }, 3);
        let network = config.build(&Normalization { mean: [0.5; 3], std: [0.25; 3] }).unwrap();
        let weights = network.params().iter().enumerate().map(|(i, p)| {
            let len = p.shape.iter().product();
            let bound = 1.0 / (p.fan_in as f64).sqrt();
            let data: Vec<f64> = numbers(i as u64, len).iter().map(|v| v * bound).collect();
            (p.name.clone(), Weight { shape: p.shape.clone(), data: single(&data) })
        });
        let weights = Weights(weights.collect());
        Forward::new(network, &weights).unwrap()
    }

    #[test]
    fn a_photo_has_the_same_answer_alone_in_a_batch_and_again() {
        let forward = forward();
        let len = forward.network().input().len();
        let images = single(&numbers(99, 3 * len));
        let all = forward.run(&images, 3).unwrap();
        assert!(all.logits.iter().chain(&all.boxes).all(|v| v.is_finite()));
        assert_ne!(all.logits[..3], all.logits[3..6]);
        assert!(all.boxes.iter().all(|v| (0.0..=1.0).contains(v)));
        for (i, photo) in images.chunks_exact(len).enumerate() {
            let one = forward.run(photo, 1).unwrap();
            assert_eq!(one.logits, all.logits[i * 3..][..3]);
            assert_eq!(one.boxes, all.boxes[i * 4..][..4]);
        }
        assert_eq!(forward.run(&[], 0).unwrap(), Output::default());
        assert!(matches!(forward.run(&images[1..], 3), Err(NetError::Length { .. })));
    }

    #[test]
    fn weights_that_do_not_fit_are_all_listed() {
        let Forward { network, mut weights, .. } = forward();
        weights.0.remove("conv2.bias");
        weights.0.insert("bn1.weight".into(), Weight { shape: vec![1], data: vec![0.0] });
        weights.0.insert("conv3.bias".into(), Weight { shape: vec![25], data: vec![0.0; 25] });
        weights.0.insert("conv4.bias".into(), Weight { shape: vec![48], data: vec![f32::NAN; 48] });
        let message = Forward::new(network, &weights).unwrap_err().to_string();
        for part in
            ["missing `conv2.bias`", "extra `bn1.weight`", "`conv3.bias` has the shape [25]", "48 non-finite"]
        {
            assert!(message.contains(part), "{message}");
        }
    }
}
