//! Runs an exported file with candle-onnx and compares its outputs with those of the network. The caller decides which
//! difference is acceptable.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use loc_net::{Forward, ImageBatch, METADATA_KEY, Network, Weights};
use prost::Message;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::{BOXES, INPUT, PRESENCE, PROBABILITIES, temperature};
use crate::ModelError;

/// The largest absolute differences between an exported file and its network; infinite if a value is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Difference of the probabilities, in 0..1.
    pub cls: f32,
    /// Difference of the box coordinates, in 0..1.
    pub loc: f32,
    /// Difference of the probability of presence, in 0..1; none if the network has no logit of it.
    pub presence: Option<f32>,
}

impl Difference {
    /// Returns the largest of them.
    #[must_use]
    pub fn max(&self) -> f32 {
        self.cls.max(self.loc).max(self.presence.unwrap_or(0.0))
    }
}

/// The batch sizes of the comparison: one photo and several, since the batch axis is dynamic.
const BATCHES: [usize; 2] = [1, 3];

/// Runs an exported file on random photos, one at a time and in a batch, and compares with [`Forward`].
///
/// # Errors
///
/// [`ModelError::Net`] if the weights are not those of the network; [`ModelError::Export`] if the file does not run or
/// does not have the outputs of an export.
pub fn check(onnx: &[u8], network: &Network, weights: &Weights) -> Result<Difference, ModelError> {
    let fail = |reason: String| ModelError::Export(reason);
    let model =
        candle_onnx::onnx::ModelProto::decode(onnx).map_err(|e| fail(format!("not an ONNX file: {e}")))?;
    let metadata = model.metadata_props.iter().find(|p| p.key == METADATA_KEY).map_or("null", |p| &p.value);
    let temperature = serde_json::from_str(metadata).map_or(Ok(1.0), |json| temperature(&json))?;
    let forward = Forward::new(network.clone(), weights.clone())?;
    let mut difference = Difference { cls: 0.0, loc: 0.0, presence: network.presence().map(|_| 0.0) };
    let mut noise = noise(0);
    for batch in BATCHES {
        let images: Vec<f32> = noise.by_ref().take(batch * network.input().len()).collect();
        let expected = forward.run(ImageBatch::Floats(&images), batch)?;
        let mut shape = vec![batch];
        shape.extend(&network.input().0);
        let input = Tensor::from_vec(images, shape, &Device::Cpu)?;
        let outputs = candle_onnx::simple_eval(&model, HashMap::from([(INPUT.to_owned(), input)]))
            .map_err(|e| fail(format!("candle-onnx cannot run the file: {e}")))?;
        let output_of = |name: &str, features: usize| -> Result<Vec<f32>, ModelError> {
            let tensor = outputs.get(name).ok_or_else(|| fail(format!("the file has no output `{name}`")))?;
            if tensor.dims() != [batch, features] {
                return Err(fail(format!(
                    "the output `{name}` has the shape {:?}, but must have [{batch}, {features}]",
                    tensor.dims()
                )));
            }
            Ok(tensor.flatten_all()?.to_vec1()?)
        };
        let classes = network.classes();
        let scaled: Vec<f32> = expected.logits.iter().map(|logit| logit / temperature).collect();
        let probabilities: Vec<f32> = scaled.chunks_exact(classes).flat_map(softmax).collect();
        difference.cls =
            difference.cls.max(max_difference(&probabilities, &output_of(PROBABILITIES, classes)?));
        difference.loc = difference.loc.max(max_difference(&expected.boxes, &output_of(BOXES, 4)?));
        if let Some(presence) = &mut difference.presence {
            let sigmoid = |logit: &f32| (1.0 / (1.0 + (-f64::from(*logit)).exp())) as f32;
            let expected: Vec<f32> = expected.presence.iter().map(sigmoid).collect();
            *presence = presence.max(max_difference(&expected, &output_of(PRESENCE, 1)?));
        }
    }
    Ok(difference)
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|x| f64::from(x - max).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|p| (p / sum) as f32).collect()
}

fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |max, d| if d.is_nan() { f32::INFINITY } else { max.max(d) })
}

/// Iterates over random values in 0..1, the same in every run.
fn noise(seed: u64) -> impl Iterator<Item = f32> {
    let mut generator = SplitMix64::seed_from_u64(seed);
    // The upper 24 bits: exact in f32.
    std::iter::repeat_with(move || (generator.next_u64() >> 40) as f32 / (1 << 24) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_an_infinite_difference() {
        assert_eq!(max_difference(&[0.0, f32::NAN], &[0.0, 0.0]), f32::INFINITY);
        assert_eq!(max_difference(&[f32::NAN, 0.0], &[0.0, 0.5]), f32::INFINITY);
        assert_eq!(max_difference(&[0.0], &[0.0, 0.0]), f32::INFINITY);
        assert_eq!(max_difference(&[0.25, 0.5], &[0.5, 0.5]), 0.25);
    }

    #[test]
    fn random_photos_cover_their_range() {
        let values: Vec<f32> = noise(0).take(10_000).collect();
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        let mean = values.iter().sum::<f32>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
