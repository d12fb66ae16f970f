//! Keyed random numbers: every value is a function of its key, never of what was drawn elsewhere. Not for secrets.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A generator that is seeded by a key.
///
/// A key is a list of numbers, for example `[seed, epoch]`. Keys that differ in any place give unrelated sequences, and a
/// sequence can be started anywhere without drawing those before it.
#[derive(Debug, Clone)]
pub struct Random(SplitMix64);

/// The step of SplitMix64: 2⁶⁴ divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The output function of SplitMix64, a bijection in which every input bit affects every output bit.
fn mix(z: u64) -> u64 {
    SplitMix64::seed_from_u64(z.wrapping_sub(GOLDEN)).next_u64()
}

impl Random {
    /// The generator of a key.
    #[must_use]
    pub fn keyed(key: &[u64]) -> Self {
        let state = key.iter().fold(GOLDEN, |state, part| mix(state.wrapping_add(GOLDEN) ^ mix(*part)));
        Self(SplitMix64::seed_from_u64(state))
    }

    /// 64 uniformly distributed bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1).
    #[expect(clippy::cast_precision_loss, reason = "24 bits are exact in an f32")]
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / 16_777_216.0
    }

    /// Uniform in [`low`, `high`).
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Uniform in `0..n`; 0 if `n` is 0. The bias of the multiply-shift method is below `n` / 2⁶⁴.
    #[expect(clippy::cast_possible_truncation, reason = "the result is below n, which is a usize")]
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Shuffles by Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_published_sequence() {
        // splitmix64.c of the xoshiro authors, seed 1234567.
        let mut random = Random(SplitMix64::seed_from_u64(1_234_567));
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let keys: [&[u64]; 6] = [&[0], &[1], &[0, 0], &[0, 1], &[1, 0], &[0, 0, 0]];
        let mut first: Vec<u64> = keys.iter().map(|k| Random::keyed(k).bits()).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), keys.len());
    }

    #[test]
    fn is_uniform() {
        let mut random = Random::keyed(&[7]);
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            counts[random.below(10)] += 1;
            let u = random.unit();
            assert!((0.0..1.0).contains(&u));
        }
        // Each count is binomial: mean 1000, deviation 30.
        assert!(counts.iter().all(|c| (850..1150).contains(c)), "{counts:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn shuffle_reaches_every_order() {
        let mut seen = std::collections::BTreeMap::new();
        for key in 0..6_000 {
            let mut items = [0, 1, 2];
            Random::keyed(&[key]).shuffle(&mut items);
            *seen.entry(items).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|c| (850..1150).contains(c)), "{seen:?}");
    }
}
