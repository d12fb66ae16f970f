//! A small keyed generator: every value is a function of its key, never of what was drawn elsewhere.
//! Not for secrets.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014), begun at a key.
///
/// A key is a list of numbers, for example `[seed, epoch]`: two keys that differ in any place give unrelated
/// sequences, and a sequence can be begun anywhere without drawing those before it.
#[derive(Debug, Clone)]
pub struct Random(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's finalizer: a bijection in which every input bit reaches every output bit.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Random {
    /// Begins the sequence of a key.
    #[must_use]
    pub fn keyed(key: &[u64]) -> Self {
        Self(key.iter().fold(GOLDEN, |state, part| mix(state.wrapping_add(GOLDEN) ^ mix(*part))))
    }

    /// 64 even bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Even in 0..1, 1 excluded.
    #[expect(clippy::cast_precision_loss, reason = "24 bits are exact in an f32")]
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / 16_777_216.0
    }

    /// Even in `low..high`.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Even in `0..n`; 0 if `n` is 0. Multiply-shift: its bias is below `n` in 2⁶⁴.
    #[expect(clippy::cast_possible_truncation, reason = "the result is below n, which is a usize")]
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Fisher–Yates.
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
        let mut random = Random(1_234_567);
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
    fn is_even() {
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
