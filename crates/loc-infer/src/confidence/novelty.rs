//! Whether a photo is unlike those that a model knows, by the features that its class is read from.

use serde::{Deserialize, Serialize};

use crate::bbox::narrow;

/// What tells photos of the kind that a model knows from others: a few directions, in which the features of known photos have
/// most of their length. A photo whose features point elsewhere is novel.
///
/// ```text
/// novelty = 1 − Σᵢ (dᵢ · x)² / |x|²
/// ```
///
/// x are the features that the class is read from, and dᵢ orthogonal directions, shorter for those that known photos have less
/// of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Novelty {
    /// Share of photos of the known kind that are accepted, above 0 and below 1.
    pub accepted: f64,
    /// Photos with a larger novelty are rejected; 0..=1.
    pub threshold: f32,
    /// Number of photos that the threshold was fitted to.
    pub photos: usize,
    /// Number of features.
    pub features: usize,
    /// The directions' coordinates are multiples of this; above 0.
    pub step: f32,
    /// `[directions, features]`: the coordinates in steps, −127..=127. In JSON each is a byte of two's complement in two
    /// hexadecimal digits, 16 times shorter than numbers.
    #[serde(with = "hex")]
    pub directions: Vec<i8>,
}

impl Novelty {
    /// The novelty of a photo, 0..=1, from its features; 1 if they are all 0. Other than `features` values give a number without
    /// a meaning.
    #[must_use]
    pub fn of(&self, features: &[f32]) -> f32 {
        let length: f64 = features.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        let along = |direction: &[i8]| {
            let products = direction.iter().zip(features).map(|(d, x)| f64::from(*d) * f64::from(*x));
            (f64::from(self.step) * products.sum::<f64>()).powi(2)
        };
        let known: f64 = self.directions.chunks_exact(self.features.max(1)).map(along).sum();
        if length > 0.0 && length.is_finite() { narrow((1.0 - known / length).clamp(0.0, 1.0)) } else { 1.0 }
    }

    /// Whether all values are in their ranges.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let accepted = self.accepted > 0.0 && self.accepted < 1.0;
        let whole = self.features > 0 && self.directions.len().is_multiple_of(self.features);
        let step = self.step > 0.0 && self.step.is_finite();
        accepted && whole && step && !self.directions.is_empty() && (0.0..=1.0).contains(&self.threshold)
    }
}

/// Bytes as a text of hexadecimal digits.
mod hex {
    use std::fmt::Write;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[i8], serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(2 * values.len());
        for value in values {
            // Writing to a string cannot fail.
            let _ = write!(text, "{value:02x}");
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some((digit(*high)? << 4 | digit(*low)?).cast_signed()),
            _ => None,
        });
        pairs.collect::<Option<_>>().ok_or_else(|| D::Error::custom("pairs of hexadecimal digits are needed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Novelty {
        // (1, 0, 0) and (0, ½, 0), nearly.
        let directions = vec![127, 0, 0, 0, 64, 0];
        Novelty { accepted: 0.95, threshold: 0.5, photos: 99, features: 3, step: 1.0 / 127.0, directions }
    }

    #[test]
    fn features_in_known_directions_are_not_novel() {
        let half = 64.0_f32 / 127.0;
        for (features, expected) in [
            ([3.0, 0.0, 0.0], 0.0),
            ([-0.1, 0.0, 0.0], 0.0),
            ([0.0, 2.0, 0.0], 1.0 - half * half),
            ([0.0, 0.0, 7.0], 1.0),
            ([1.0, 0.0, 1.0], 0.5),
            ([0.0, 0.0, 0.0], 1.0),
            ([f32::NAN, 0.0, 0.0], 1.0),
        ] {
            assert!((model().of(&features) - expected).abs() < 1e-6, "{features:?}");
        }
    }

    #[test]
    fn json_can_be_read_back_and_is_checked() {
        let mut model = model();
        model.directions[2] = -1;
        let json = serde_json::to_string(&model).unwrap();
        assert!(json.ends_with(r#""directions":"7f00ff004000"}"#), "{json}");
        assert_eq!(serde_json::from_str::<Novelty>(&json).unwrap(), model);
        for bad in ["7f0", "7g", "é"] {
            let json = json.replace("7f00ff004000", bad);
            assert!(serde_json::from_str::<Novelty>(&json).is_err(), "{bad}");
        }
        assert!(model.is_valid());
        let invalid = [
            Novelty { features: 4, ..model.clone() },
            Novelty { features: 0, ..model.clone() },
            Novelty { threshold: f32::NAN, ..model.clone() },
            Novelty { accepted: 1.0, ..model.clone() },
            Novelty { step: 0.0, ..model.clone() },
            Novelty { directions: Vec::new(), ..model },
        ];
        assert!(invalid.iter().all(|novelty| !novelty.is_valid()));
    }
}
