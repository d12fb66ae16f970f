//! Tests that the matrices compute a correlation, and that the vector code applies these matrices.
#![expect(unsafe_code, reason = "loads and stores of vectors")]

use super::*;
use crate::kernels::simd::{Dst, Isa, Kernel, Level, vectors};
use crate::kernels::testing::numbers;

fn apply<const R: usize, const C: usize>(matrix: &[[f64; C]; R], x: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
}

fn assert_correlation<const N: usize, const M: usize, const K: usize>(
    kernel: &[[f64; K]; N],
    input: &[[f64; N]; N],
    output: &[[f64; N]; M],
) {
    for seed in 0..20 {
        let (d, g) = (numbers(seed, N), numbers(seed + 100, K));
        let products: Vec<f64> = apply(input, &d).iter().zip(apply(kernel, &g)).map(|(a, b)| a * b).collect();
        for (i, y) in apply(output, &products).iter().enumerate() {
            let expected: f64 = (0..K).map(|k| g[k] * d[i + k]).sum();
            assert!((y - expected).abs() < 1e-12, "output {i}: {y}, expected {expected}");
        }
    }
}

#[test]
fn the_matrices_compute_a_correlation() {
    assert_correlation(&KERNEL, &INPUT, &OUTPUT);
    assert_correlation(&f65::KERNEL, &f65::INPUT, &f65::OUTPUT);
    assert_correlation(&f53::KERNEL, &f53::INPUT, &f53::OUTPUT);
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

fn transposed<const R: usize, const C: usize>(m: &[[f64; C]; R]) -> [[f64; R]; C] {
    std::array::from_fn(|c| std::array::from_fn(|r| m[r][c]))
}

fn check<I: Isa, const M: usize>(isa: I, what: &str, got: [I::F32; M], expected: &[f64]) {
    assert_eq!(M, expected.len(), "{what}");
    for (i, (v, e)) in got.into_iter().zip(expected).enumerate() {
        let mut lanes = vec![0.0; I::LANES];
        // SAFETY: a vector.
        unsafe { isa.store(Dst::of(&mut lanes), v) };
        for (l, v) in lanes.iter().enumerate() {
            let e = e * (l + 1) as f64;
            assert!((f64::from(*v) - e).abs() < 4e-5, "{what}[{i}] lane {l}: {v}, expected {e}");
        }
    }
}

struct Transforms;

impl Kernel for Transforms {
    type Output = ();

    fn eval<I: Isa>(self, isa: I) {
        // Lane l holds the input times l + 1.
        let lanes = isa.add(isa.to_f32(isa.iota()), isa.splat(1.0));
        macro_rules! vectors_of {
            ($x:expr) => {
                vectors!(|i| isa.mul(isa.splat($x[i] as f32), lanes))
            };
        }
        let (eight, four, ten) = (numbers(1, INPUTS), numbers(2, OUTPUTS), numbers(3, f65::INPUTS));
        check(isa, "input", transform::input(isa, vectors_of!(eight)), &apply(&INPUT, &eight));
        let adjoint = transform::input_adjoint(isa, vectors_of!(eight));
        check(isa, "input_adjoint", adjoint, &apply(&transposed(&INPUT), &eight));
        check(isa, "output", transform::output(isa, vectors_of!(eight)), &apply(&OUTPUT, &eight));
        let adjoint = transform::output_adjoint(isa, vectors_of!(four));
        check(isa, "output_adjoint", adjoint, &apply(&transposed(&OUTPUT), &four));
        check(isa, "f65_input", transform::f65_input(isa, vectors_of!(ten)), &apply(&f65::INPUT, &ten));
        let (seven, five, three) = (&ten[..f53::INPUTS], &ten[..f53::OUTPUTS], &ten[..f53::TAPS]);
        check(isa, "f53 input", f53::input(isa, vectors_of!(seven)), &apply(&f53::INPUT, seven));
        check(isa, "f53 output", f53::output(isa, vectors_of!(seven)), &apply(&f53::OUTPUT, seven));
        let adjoint = f53::output_adjoint(isa, vectors_of!(five));
        check(isa, "f53 output_adjoint", adjoint, &apply(&transposed(&f53::OUTPUT), five));
        check(isa, "f53 kernel", f53::kernel(isa, vectors_of!(three)), &apply(&f53::KERNEL, three));
        let adjoint = f53::kernel_adjoint(isa, vectors_of!(seven));
        check(isa, "f53 kernel_adjoint", adjoint, &apply(&transposed(&f53::KERNEL), seven));
        check(isa, "f65_output", transform::f65_output(isa, vectors_of!(ten)), &apply(&f65::OUTPUT, &ten));
    }
}

#[test]
fn the_vector_code_equals_the_matrices_and_their_transposes() {
    for level in Level::available() {
        level.run(Transforms);
    }
}
