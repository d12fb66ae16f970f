//! Helpers of the kernels' tests: seeded numbers, comparison, numerical gradients.

/// Returns `n` numbers in −1..1 that depend only on the seed.
pub(crate) fn numbers(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    (0..n)
        .map(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

pub(crate) fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

/// Asserts that no value differs from its reference by more than `tolerance` times the largest reference value.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &[f32], reference: &[f64], tolerance: f64) {
    let largest = reference.iter().fold(1e-30f64, |m, v| m.max(v.abs()));
    assert_within(what, got, reference, tolerance * largest);
}

/// Asserts that no value differs from its reference by more than `tolerance`. For sums whose terms may cancel, so that
/// the result does not show the size of the terms.
#[track_caller]
pub(crate) fn assert_within(what: &str, got: &[f32], reference: &[f64], tolerance: f64) {
    assert_eq!(got.len(), reference.len(), "{what}: length");
    for (i, (g, r)) in got.iter().zip(reference).enumerate() {
        let error = (f64::from(*g) - r).abs();
        assert!(error <= tolerance, "{what}[{i}]: got {g}, expected {r}, tolerance {tolerance:e}");
    }
}

/// Compares an analytical gradient with the central difference of `loss` at every entry of `x`.
#[track_caller]
pub(crate) fn check_gradient(what: &str, x: &[f64], gradient: &[f64], mut loss: impl FnMut(&[f64]) -> f64) {
    const STEP: f64 = 1e-5;
    assert_eq!(x.len(), gradient.len(), "{what}: length");
    let mut moved = x.to_vec();
    // Miri takes seconds for each entry; there every fortieth is enough to check the memory accesses.
    for i in (0..x.len()).step_by(if cfg!(miri) { 40 } else { 1 }) {
        moved[i] = x[i] + STEP;
        let above = loss(&moved);
        moved[i] = x[i] - STEP;
        let below = loss(&moved);
        moved[i] = x[i];
        let numerical = (above - below) / (2.0 * STEP);
        let error = (numerical - gradient[i]).abs() / numerical.abs().max(1.0);
        assert!(error < 1e-7, "{what}[{i}]: got {}, but the difference quotient is {numerical}", gradient[i]);
    }
}

/// The scalar function whose gradient is tested: the sum of the outputs, each times a fixed number.
pub(crate) fn weighted(output: &[f64], by: &[f64]) -> f64 {
    output.iter().zip(by).map(|(a, b)| a * b).sum()
}

/// Runs `f` in pools of one, two and four threads and asserts equal bytes.
pub(crate) fn same_for_any_threads(what: &str, f: impl Fn() -> Vec<f32> + Sync) {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&f).iter().map(|v| v.to_bits()).collect::<Vec<u32>>()
    };
    let one = run(1);
    assert!(one == run(2) && one == run(4), "{what}: the bytes depend on the number of threads");
}
