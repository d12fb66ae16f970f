//! Confidence intervals of means by the bootstrap (Efron 1979).

use loc_data::random::Random;

/// Returns the 95 % interval of each column's mean over the samples; none without samples.
pub(crate) fn bootstrap<const N: usize>(samples: &[[f64; N]]) -> Option<[[f64; 2]; N]> {
    const SETS: usize = 2000;
    if samples.is_empty() {
        return None;
    }
    let mut random = Random::keyed(&[0x626F_6F74, samples.len() as u64]);
    let mut means: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(SETS));
    for _ in 0..SETS {
        let mut sums = [0.0; N];
        for _ in samples {
            let own = samples[random.below(samples.len())];
            sums.iter_mut().zip(own).for_each(|(sum, v)| *sum += v);
        }
        means.iter_mut().zip(sums).for_each(|(all, sum)| all.push(sum / samples.len() as f64));
    }
    Some(means.map(|mut all| {
        all.sort_by(f64::total_cmp);
        [all[SETS / 40], all[SETS - 1 - SETS / 40]]
    }))
}
