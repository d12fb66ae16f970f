//! Compares the matrix products with sums in f64, for all sizes of remainder blocks and for strides.

use proptest::prelude::*;

use super::{Mode, RowMajor, Strided, gemm_nn, gemm_nt, reference};
use crate::kernels::testing::{assert_close, numbers, single};

#[derive(Debug, Clone)]
struct Case {
    size: (usize, usize, usize),
    transposed: bool,
    pad: usize,
    mode: Mode,
}

fn cases() -> impl Strategy<Value = Case> {
    ((1usize..20, 1usize..40, 0usize..40), any::<bool>(), 0usize..5, any::<bool>()).prop_map(
        |(size, transposed, pad, add)| Case {
            size,
            transposed,
            pad,
            mode: if add { Mode::Add } else { Mode::Replace },
        },
    )
}

type GemmNn = fn((usize, usize, usize), Strided, RowMajor, &mut [f32], usize, Mode);

fn check_nn(case: &Case, f: GemmNn) {
    let (m, n, k) = case.size;
    let (a_row, a_col) = if case.transposed { (1, m + case.pad) } else { (k + case.pad, 1) };
    let (b_row, c_row) = (n + case.pad, n + case.pad);
    let a = numbers(1, m * a_row + k * a_col);
    let b = numbers(2, k * b_row + n);
    let start = numbers(3, m * c_row);
    let mut expected = start.clone();
    for i in 0..m {
        for j in 0..n {
            let sum: f64 = (0..k).map(|p| a[i * a_row + p * a_col] * b[p * b_row + j]).sum();
            let old = if case.mode == Mode::Add { start[i * c_row + j] } else { 0.0 };
            expected[i * c_row + j] = old + sum;
        }
    }
    let mut c = single(&start);
    let (a, b) = (single(&a), single(&b));
    f(
        case.size,
        Strided { values: &a, row: a_row, col: a_col },
        RowMajor { values: &b, row: b_row },
        &mut c,
        c_row,
        case.mode,
    );
    assert_close("gemm_nn", &c, &expected, 1e-5);
}

type GemmNt = fn((usize, usize, usize), RowMajor, RowMajor, &mut [f32], usize, Mode);

fn check_nt(case: &Case, f: GemmNt) {
    let (m, n, k) = case.size;
    let (row, c_row) = (k + case.pad, n + case.pad);
    let a = numbers(1, m * row);
    let b = numbers(2, n * row);
    let start = numbers(3, m * c_row);
    let mut expected = start.clone();
    for i in 0..m {
        for j in 0..n {
            let sum: f64 = (0..k).map(|p| a[i * row + p] * b[j * row + p]).sum();
            let old = if case.mode == Mode::Add { start[i * c_row + j] } else { 0.0 };
            expected[i * c_row + j] = old + sum;
        }
    }
    let mut c = single(&start);
    let (a, b) = (single(&a), single(&b));
    f(case.size, RowMajor { values: &a, row }, RowMajor { values: &b, row }, &mut c, c_row, case.mode);
    assert_close("gemm_nt", &c, &expected, 1e-5);
}

proptest! {
    #[test]
    fn gemm_nn_equals_the_reference(case in cases()) {
        check_nn(&case, gemm_nn);
        check_nn(&case, reference::gemm_nn);
    }

    #[test]
    fn gemm_nt_equals_the_reference(case in cases()) {
        check_nt(&case, gemm_nt);
        check_nt(&case, reference::gemm_nt);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn long_inner_lengths_need_several_passes() {
    let case = Case { size: (7, 19, 1200), transposed: false, pad: 3, mode: Mode::Replace };
    check_nn(&case, gemm_nn);
    check_nn(&Case { mode: Mode::Add, transposed: true, ..case }, gemm_nn);
}
