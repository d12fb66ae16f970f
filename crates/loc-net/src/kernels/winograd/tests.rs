//! Tests that the matrices compute a correlation, and that the vector code applies these matrices.

use super::*;
use crate::kernels::testing::{numbers, skip_without_avx2};

fn apply<const R: usize, const C: usize>(matrix: &[[f64; C]; R], x: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
}

fn assert_correlation<const N: usize, const M: usize>(
    kernel: &[[f64; TAPS]; N],
    input: &[[f64; N]; N],
    output: &[[f64; N]; M],
) {
    for seed in 0..20 {
        let (d, g) = (numbers(seed, N), numbers(seed + 100, TAPS));
        let products: Vec<f64> = apply(input, &d).iter().zip(apply(kernel, &g)).map(|(a, b)| a * b).collect();
        for (i, y) in apply(output, &products).iter().enumerate() {
            let expected: f64 = (0..TAPS).map(|k| g[k] * d[i + k]).sum();
            assert!((y - expected).abs() < 1e-12, "output {i}: {y}, expected {expected}");
        }
    }
}

#[test]
fn the_matrices_compute_a_correlation() {
    assert_correlation(&KERNEL, &INPUT, &OUTPUT);
    assert_correlation(&f65::KERNEL, &f65::INPUT, &f65::OUTPUT);
}

#[test]
fn a_kernel_is_transformed_along_both_axes() {
    // The transform of an outer product is the outer product of the transforms.
    let (a, b) = ([1.0, -0.5, 0.25, 2.0, -1.0], [0.5, 0.0, -2.0, 1.0, 4.0]);
    let g: [f32; 25] = std::array::from_fn(|i| (a[i / 5] * b[i % 5]) as f32);
    let (ga, gb) = (apply(&KERNEL, &a), apply(&KERNEL, &b));
    for (i, row) in kernel(&g).iter().enumerate() {
        for (j, v) in row.iter().enumerate() {
            assert!((v - ga[i] * gb[j]).abs() < 1e-12);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_vector_code_equals_the_matrices_and_their_transposes() {
    use std::arch::x86_64::{__m256, _mm256_loadu_ps, _mm256_storeu_ps};

    #[expect(unsafe_code, reason = "calls the AVX2 kernel after checking for AVX2")]
    #[target_feature(enable = "avx2,fma")]
    fn run<const N: usize, const M: usize>(
        x: &[f64],
        f: unsafe fn([__m256; N]) -> [__m256; M],
    ) -> Vec<[f32; 8]> {
        // Lane l holds the input times l + 1.
        let vectors = std::array::from_fn(|i| {
            let lanes: [f32; 8] = std::array::from_fn(|l| x[i] as f32 * (l + 1) as f32);
            // SAFETY: eight values.
            unsafe { _mm256_loadu_ps(lanes.as_ptr()) }
        });
        // SAFETY: this function has the target features of `f`.
        let out = unsafe { f(vectors) };
        let stored = |v: &__m256| {
            let mut lanes = [0.0; 8];
            // SAFETY: eight values.
            unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), *v) };
            lanes
        };
        out.iter().map(stored).collect()
    }

    fn transposed<const R: usize, const C: usize>(m: &[[f64; C]; R]) -> [[f64; R]; C] {
        std::array::from_fn(|c| std::array::from_fn(|r| m[r][c]))
    }

    if !crate::kernels::gemm::avx2::available() {
        return skip_without_avx2();
    }
    let check = |what: &str, got: Vec<[f32; 8]>, expected: Vec<f64>| {
        assert_eq!(got.len(), expected.len(), "{what}");
        for (i, (lanes, e)) in got.iter().zip(&expected).enumerate() {
            for (l, v) in lanes.iter().enumerate() {
                let e = e * (l + 1) as f64;
                assert!((f64::from(*v) - e).abs() < 2e-5, "{what}[{i}] lane {l}: {v}, expected {e}");
            }
        }
    };
    let (eight, four) = (numbers(1, INPUTS), numbers(2, OUTPUTS));
    #[expect(unsafe_code, reason = "calls the AVX2 kernel after checking for AVX2")]
    // SAFETY: AVX2 and FMA are available.
    unsafe {
        check("input", run(&eight, avx2::input), apply(&INPUT, &eight));
        check("input_adjoint", run(&eight, avx2::input_adjoint), apply(&transposed(&INPUT), &eight));
        check("output", run(&eight, avx2::output), apply(&OUTPUT, &eight));
        let ten = numbers(3, f65::INPUTS);
        check("f65_input", run(&ten, avx2::f65_input), apply(&f65::INPUT, &ten));
        check("f65_output", run(&ten, avx2::f65_output), apply(&f65::OUTPUT, &ten));
        check("output_adjoint", run(&four, avx2::output_adjoint), apply(&transposed(&OUTPUT), &four));
    }
}
