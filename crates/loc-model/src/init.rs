//! Seeded initial weights: each value is a pure function of the seed, the tensor's name and the index in the tensor.
//!
//! There is no generator state, so the order in which values are drawn has no effect, and two networks that share a
//! layer's name and shape share its values. Candle's own CPU generator cannot be seeded, and its schemes differ from
//! PyTorch's.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use loc_net::{Network, Op, Param, ParamKind, Source, Weight, Weights};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// The distribution of the initial weights. `fan_in` is the number of inputs of one output cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// PyTorch's initialisation of `Conv2d` and `Linear` (`kaiming_uniform_(a=√5)`): weight and bias uniform in
    /// ±1/√fan_in. The variance of a weight is 1/(3·fan_in): relu layers reduce the signal's variance by a factor of
    /// six per layer.
    PyTorch,
    /// He et al. 2015, equation 10: weights normal with standard deviation √(2/fan_in), which keeps the signal's
    /// variance through relu; biases 0. The last layer of each head is normal with standard deviation 0.01, so that
    /// training starts from equal class probabilities and a centred box.
    He,
}

/// Standard deviation of the last layer of each head for [`Scheme::He`].
const LAST_LAYER_DEVIATION: f64 = 0.01;

/// Returns the initial parameters of a network.
#[must_use]
pub fn weights(network: &Network, scheme: Scheme, seed: u64) -> Weights {
    let mut last = last_with_parameters(network, network.logits());
    last.extend(last_with_parameters(network, network.boxes()));
    let values = network.params().iter().map(|param| {
        let stream = Stream::new(seed, &param.name);
        let data = draw(param, scheme, last.contains(&param.layer), stream);
        (param.name.clone(), Weight { shape: param.shape.clone(), data })
    });
    Weights(values.collect::<BTreeMap<_, _>>())
}

fn draw(param: &Param, scheme: Scheme, last_layer: bool, stream: Stream) -> Vec<f32> {
    let len = param.shape.iter().product::<usize>() as u64;
    let fan_in = param.fan_in.max(1) as f64;
    match (scheme, param.kind) {
        (_, ParamKind::Scale) => vec![1.0; param.shape.iter().product()],
        (Scheme::PyTorch, _) => {
            let bound = 1.0 / fan_in.sqrt();
            (0..len).map(|i| (bound * (2.0 * stream.uniform(i) - 1.0)) as f32).collect()
        }
        (Scheme::He, ParamKind::Bias) => vec![0.0; param.shape.iter().product()],
        (Scheme::He, ParamKind::Weight) => {
            let deviation = if last_layer { LAST_LAYER_DEVIATION } else { (2.0 / fan_in).sqrt() };
            (0..len).map(|i| (deviation * stream.normal(i)) as f32).collect()
        }
    }
}

/// Returns the last layers with parameters before output `index`; in the box head they come before the sigmoid or the
/// softmax expectation.
fn last_with_parameters(network: &Network, index: usize) -> Vec<usize> {
    let layer = &network.layers()[index];
    if matches!(layer.op, Op::Conv2d(_) | Op::Linear(_)) {
        return vec![index];
    }
    let before = layer.inputs.iter().filter_map(|source| match source {
        Source::Layer(before) => Some(*before),
        Source::Input => None,
    });
    before.flat_map(|before| last_with_parameters(network, before)).collect()
}

/// Random numbers by index: `mix(key + (i + 1)·γ)`, which is SplitMix64 (Steele, Lea, Flood 2014) started at `key`.
///
/// The key is a hash of seed and name, so that each pair of seed and name has its own sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    key: u64,
}

/// The step of SplitMix64: 2⁶⁴ divided by the golden ratio.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Stream {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        // Each byte is mixed into all 64 bits before the next one, so the order of the bytes matters.
        let key = name.bytes().fold(mix(seed.wrapping_add(GAMMA)), |key, byte| mix(key ^ u64::from(byte)));
        Self { key }
    }

    fn bits(self, index: u64) -> u64 {
        SplitMix64::seed_from_u64(self.key.wrapping_add(index.wrapping_mul(GAMMA))).next_u64()
    }

    /// Returns a number uniform in [0, 1), a multiple of 2⁻⁵³.
    pub(crate) fn uniform(self, index: u64) -> f64 {
        (self.bits(index) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Returns a standard normal number: the Box–Muller transform of the numbers 2i and 2i + 1.
    pub(crate) fn normal(self, index: u64) -> f64 {
        let radius = 1.0 - self.uniform(2 * index); // (0, 1]: its logarithm is finite
        let angle = self.uniform(2 * index + 1);
        (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
    }
}

/// The output function of SplitMix64, a bijection in which every input bit affects every output bit.
fn mix(z: u64) -> u64 {
    SplitMix64::seed_from_u64(z.wrapping_sub(GAMMA)).next_u64()
}

#[cfg(test)]
mod tests {
    use loc_net::{InputShape, NetworkConfig, Normalization};

    use super::*;

    fn network(classes: usize) -> Network {
        let input = InputShape { height: 256, width: 256 };
        NetworkConfig::five_conv(input, classes).build(&Normalization::IDENTITY).unwrap()
    }

    /// Returns mean, variance, skewness and kurtosis.
    fn moments(data: &[f32]) -> [f64; 4] {
        let n = data.len() as f64;
        let mean = data.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let central = |p: i32| data.iter().map(|&v| (f64::from(v) - mean).powi(p)).sum::<f64>() / n;
        let var = central(2);
        [mean, var, central(3) / var.powf(1.5), central(4) / (var * var)]
    }

    fn correlation(a: &[f32], b: &[f32]) -> f64 {
        let ([ma, va, ..], [mb, vb, ..]) = (moments(a), moments(b));
        let dot: f64 = a.iter().zip(b).map(|(&x, &y)| (f64::from(x) - ma) * (f64::from(y) - mb)).sum();
        dot / a.len().min(b.len()) as f64 / (va * vb).sqrt()
    }

    #[test]
    fn shapes_are_those_of_the_network_and_values_are_reproducible() {
        for scheme in [Scheme::PyTorch, Scheme::He] {
            for classes in [1, 2, 7] {
                let net = network(classes);
                let first = weights(&net, scheme, 3);
                first.check(&net).unwrap();
                assert_eq!(first, weights(&net, scheme, 3));
            }
        }
    }

    #[test]
    fn the_pytorch_scheme_is_uniform_within_its_bound() {
        let net = network(2);
        let all = weights(&net, Scheme::PyTorch, 11);
        for param in net.params() {
            let data = all.values(&param.name);
            let bound = 1.0 / (param.fan_in as f64).sqrt();
            let largest = data.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            assert!(largest <= bound as f32, "{}: {largest} is above the bound {bound}", param.name);
            let n = data.len() as f64;
            if n < 400.0 {
                continue;
            }
            assert!(
                f64::from(largest) > bound * (1.0 - 10.0 / n),
                "{}: the largest value is only {largest}",
                param.name
            );
            let [mean, var, skew, kurtosis] = moments(data);
            let expected = bound * bound / 3.0;
            assert!(mean.abs() < 5.0 * (expected / n).sqrt(), "{}: mean {mean}", param.name);
            assert!((var / expected - 1.0).abs() < 5.0 / n.sqrt(), "{}: variance {var}", param.name);
            assert!(skew.abs() < 8.0 / n.sqrt(), "{}: skewness {skew}", param.name);
            assert!((kurtosis - 1.8).abs() < 8.0 / n.sqrt(), "{}: kurtosis {kurtosis}", param.name);
        }
    }

    #[test]
    fn the_he_scheme_has_normal_weights_zero_biases_and_small_last_layers() {
        let net = network(2);
        let all = weights(&net, Scheme::He, 11);
        for param in net.params() {
            let data = all.values(&param.name);
            if param.kind == ParamKind::Bias {
                assert!(data.iter().all(|&v| v == 0.0), "{}", param.name);
                continue;
            }
            let last = param.name.ends_with("_out.weight");
            let expected = if last { 1e-4 } else { 2.0 / param.fan_in as f64 };
            let n = data.len() as f64;
            let [mean, var, skew, kurtosis] = moments(data);
            assert!(mean.abs() < 5.0 * (expected / n).sqrt(), "{}: mean {mean}", param.name);
            assert!((var / expected - 1.0).abs() < 7.5 / n.sqrt(), "{}: variance {var}", param.name);
            assert!(skew.abs() < 12.5 / n.sqrt(), "{}: skewness {skew}", param.name);
            assert!((kurtosis - 3.0).abs() < 25.0 / n.sqrt(), "{}: kurtosis {kurtosis}", param.name);
        }
    }

    #[test]
    fn tensors_and_seeds_are_independent() {
        let net = network(2);
        for scheme in [Scheme::PyTorch, Scheme::He] {
            let (a, b) = (weights(&net, scheme, 0), weights(&net, scheme, 1));
            let class = a.values("class_fc1.weight");
            let limit = 5.0 / (class.len() as f64).sqrt();
            for (name, other) in [
                ("another tensor", a.values("box_fc1.weight")),
                ("another seed", b.values("class_fc1.weight")),
                ("its neighbour", &class[1..]),
                ("the next row", &class[1728..]),
            ] {
                let r = correlation(&class[..other.len()], other);
                assert!(r.abs() < limit, "{scheme:?}: the correlation with {name} is {r}");
            }
        }
    }

    #[test]
    fn names_that_differ_only_in_order_or_length_differ() {
        let first = |name: &str, seed: u64| Stream::new(seed, name).bits(0);
        let all =
            [first("ab", 0), first("ba", 0), first("a", 0), first("aab", 0), first("", 0), first("ab", 1)];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b), "{all:?}");
        }
    }

    #[test]
    fn the_number_of_classes_does_not_change_shared_layers() {
        let (two, three) = (weights(&network(2), Scheme::He, 5), weights(&network(3), Scheme::He, 5));
        assert_eq!(two.values("conv3.weight"), three.values("conv3.weight"));
        assert_ne!(two.values("class_out.weight"), three.values("class_out.weight"));
    }

    #[test]
    fn mix_is_splitmix64() {
        // The first outputs of the reference implementation for the seed 1234567.
        let mut state = 1_234_567u64;
        let outputs: Vec<u64> = (0..3)
            .map(|_| {
                state = state.wrapping_add(GAMMA);
                mix(state)
            })
            .collect();
        assert_eq!(
            outputs,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
