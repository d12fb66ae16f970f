//! Compares each operation of each set of this processor with plain arithmetic on its lanes.
#![expect(unsafe_code, reason = "loads and stores of vectors")]

use super::{Dst, Isa, Kernel, Level, Src, argmax_byte, pool, vectors};
use crate::kernels::testing::numbers;

/// Runs a kernel on each set that this processor has.
fn on_each<K: Kernel + Clone>(kernel: &K) {
    for level in Level::available() {
        level.run(kernel.clone());
    }
}

fn floats<I: Isa>(isa: I, v: I::F32) -> Vec<f32> {
    let mut out = vec![0.0; I::LANES];
    // SAFETY: a vector's length.
    unsafe { isa.store(Dst::of(&mut out), v) };
    out
}

fn ints<I: Isa>(isa: I, v: I::I32) -> Vec<i32> {
    let mut out = vec![0; I::LANES];
    // SAFETY: a vector's length.
    unsafe { isa.store_i32(Dst::of(&mut out), v) };
    out
}

fn single(seed: u64, n: usize) -> Vec<f32> {
    numbers(seed, n).into_iter().map(|v| v as f32).collect()
}

#[derive(Clone)]
struct Arithmetic;

impl Kernel for Arithmetic {
    type Output = ();

    fn eval<I: Isa>(self, isa: I) {
        let (a, b, c) = (single(1, I::LANES), single(2, I::LANES), single(3, I::LANES));
        // SAFETY: a vector each.
        let (x, y, z) = unsafe { (isa.load(Src::of(&a)), isa.load(Src::of(&b)), isa.load(Src::of(&c))) };
        let each =
            |f: fn(f32, f32) -> f32| -> Vec<f32> { a.iter().zip(&b).map(|(a, b)| f(*a, *b)).collect() };
        assert_eq!(floats(isa, isa.add(x, y)), each(|a, b| a + b));
        assert_eq!(floats(isa, isa.sub(x, y)), each(|a, b| a - b));
        assert_eq!(floats(isa, isa.mul(x, y)), each(|a, b| a * b));
        assert_eq!(floats(isa, isa.max(x, y)), each(f32::max));
        assert_eq!(floats(isa, isa.min(x, y)), each(f32::min));
        for (i, v) in floats(isa, isa.mul_add(x, y, z)).into_iter().enumerate() {
            let exact = f64::from(a[i]) * f64::from(b[i]) + f64::from(c[i]);
            assert!((f64::from(v) - exact).abs() < 1e-6, "{v} {exact}");
        }
        let sum: f64 = a.iter().map(|v| f64::from(*v)).sum();
        assert!((f64::from(isa.sum(x)) - sum).abs() < 1e-5);
        let greater = isa.gt(x, y);
        let bits = isa.mask_bits(greater);
        assert!((0..I::LANES).all(|i| (bits >> i & 1 == 1) == (a[i] > b[i])));
        assert_eq!(floats(isa, isa.select(greater, x, y)), each(f32::max));
        assert_eq!(isa.mask_bits(isa.not(greater)), !bits & ((1 << I::LANES) - 1));
        assert_eq!(isa.mask_bits(isa.and(greater, isa.first(2))), bits & 3);
        let nan = isa.splat(f32::NAN);
        assert_eq!(isa.mask_bits(isa.gt(nan, x)), 0);
        assert!(floats(isa, isa.max(isa.zero(), nan)).iter().all(|v| v.is_nan()));
        assert_eq!(floats(isa, isa.max(nan, x)), a);
    }
}

#[derive(Clone)]
struct Integers;

impl Kernel for Integers {
    type Output = ();

    fn eval<I: Isa>(self, isa: I) {
        let n = i32::try_from(I::LANES).unwrap();
        let check = |v, f: fn(i32) -> i32| assert_eq!(ints(isa, v), (0..n).map(f).collect::<Vec<_>>());
        let v = isa.iota();
        check(v, |i| i);
        check(isa.add_i32(v, isa.splat_i32(-5)), |i| i - 5);
        check(isa.mul_i32(v, isa.splat_i32(70_000)), |i| i * 70_000);
        check(isa.or_i32(v, isa.splat_i32(8)), |i| i | 8);
        check(isa.and_i32(v, isa.splat_i32(3)), |i| i & 3);
        check(isa.shift_left(v, 24), |i| i << 24);
        check(isa.shift_right(isa.shift_left(v, 29), 28), |i| i << 1 & 15);
        check(isa.bits(isa.gt_i32(v, isa.splat_i32(2)), 7), |i| if i > 2 { 7 } else { 0 });
        check(isa.bits(isa.eq_i32(v, isa.splat_i32(2)), 7), |i| if i == 2 { 7 } else { 0 });
        assert_eq!(floats(isa, isa.to_f32(v)), (0..n).map(|i| i as f32).collect::<Vec<_>>());
        for k in 0..20 {
            assert_eq!(isa.mask_bits(isa.first(k)), (1 << k.min(I::LANES)) - 1);
        }
    }
}

#[derive(Clone)]
struct Memory;

impl Kernel for Memory {
    type Output = ();

    fn eval<I: Isa>(self, isa: I) {
        let values = single(4, I::LANES);
        for k in 0..=I::LANES {
            // Slices that end with the last enabled lane.
            let mut out = vec![9.0; k];
            let mask = isa.first(k);
            // SAFETY: the enabled lanes are inside.
            let v = unsafe {
                let v = isa.load_masked(Src::of(&values[..k]), mask);
                isa.store_masked(Dst::of(&mut out), mask, v);
                v
            };
            assert_eq!(out, values[..k]);
            assert!(floats(isa, v)[k..].iter().all(|v| *v == 0.0));
            let mut bytes = vec![9u8; k];
            // SAFETY: the enabled lanes are inside.
            unsafe { isa.store_u8_masked(Dst::of(&mut bytes), mask, isa.iota()) };
            assert!(bytes.iter().enumerate().all(|(i, b)| i == usize::from(*b)));
            // SAFETY: the enabled lanes are inside.
            let v = ints(isa, unsafe { isa.load_u8_masked(Src::of(&bytes), mask) });
            assert!(v.iter().enumerate().all(|(i, v)| *v == if i < k { i as i32 } else { 0 }));
        }
        let bytes: Vec<u8> = (0..200u8).map(|i| i.wrapping_mul(37)).collect();
        let byte = |i: usize| i32::from(bytes[i]);
        // SAFETY: at most 3 · 16 or 15 · 7 + 4 bytes.
        let (plain, four, rgb) = unsafe {
            let from = Src::of(&bytes);
            (isa.load_u8(from), isa.load_u8x4(from, 7), isa.load_rgb(from))
        };
        assert_eq!(ints(isa, plain), (0..I::LANES).map(byte).collect::<Vec<_>>());
        let quad =
            |i: usize| byte(7 * i) | byte(7 * i + 1) << 8 | byte(7 * i + 2) << 16 | byte(7 * i + 3) << 24;
        assert_eq!(ints(isa, four), (0..I::LANES).map(quad).collect::<Vec<_>>());
        for (colour, v) in rgb.into_iter().enumerate() {
            assert_eq!(ints(isa, v), (0..I::LANES).map(|i| byte(3 * i + colour)).collect::<Vec<_>>());
        }
        for n in 1..=4 {
            let mut out = vec![9u8; 7 * I::LANES];
            // SAFETY: the last byte is at 7 · (LANES − 1) + n − 1.
            unsafe { isa.store_u8x4(four, n, Dst::of(&mut out), 7) };
            assert!(out.iter().enumerate().all(|(i, b)| *b == if i % 7 < n { bytes[i] } else { 9 }));
        }
        let argmax = isa.and_i32(isa.iota(), isa.splat_i32(7));
        let offset = |i: i32| (i & 1) * 5 + (i >> 1 & 1) * 700;
        let lanes = 0..i32::try_from(I::LANES).unwrap();
        assert_eq!(ints(isa, isa.offset(argmax, 5, 700)), lanes.map(offset).collect::<Vec<_>>());
        let mut out = vec![0u8; I::LANES];
        // SAFETY: a byte for each lane.
        unsafe { isa.store_u8(Dst::of(&mut out), plain) };
        assert_eq!(out, bytes[..I::LANES]);
    }
}

#[derive(Clone)]
struct Moves;

impl Kernel for Moves {
    type Output = ();

    fn eval<I: Isa>(self, isa: I) {
        let a = single(5, 200);
        // SAFETY: two vectors; at most 15 · 9 + 4 values.
        let (x, y, columns) = unsafe {
            let from = Src::of(&a);
            (isa.load(from), isa.load(from.add(I::LANES)), isa.load_columns(from, 9))
        };
        let (even, odd) = isa.even_odd(x, y);
        let (even, odd) = (isa.in_order(even), isa.in_order(odd));
        assert_eq!(floats(isa, even), (0..I::LANES).map(|i| a[2 * i]).collect::<Vec<_>>());
        assert_eq!(floats(isa, odd), (0..I::LANES).map(|i| a[2 * i + 1]).collect::<Vec<_>>());
        for (c, v) in columns.into_iter().enumerate() {
            assert_eq!(floats(isa, v), (0..I::LANES).map(|i| a[9 * i + c]).collect::<Vec<_>>());
        }
        for n in 1..=4 {
            let mut out = vec![7.0; 9 * I::LANES];
            // SAFETY: the last value is at 9 · (LANES − 1) + n − 1.
            unsafe { isa.store_columns(columns, n, Dst::of(&mut out), 9) };
            for (i, v) in out.into_iter().enumerate() {
                assert_eq!(v, if i % 9 < n { a[i] } else { 7.0 });
            }
        }
        for set in 0..64u32 {
            let mask = isa
                .eq_i32(isa.and_i32(isa.splat_i32((set * 1717).cast_signed()), shifted(isa)), shifted(isa));
            let on: Vec<usize> = (0..I::LANES).filter(|i| isa.mask_bits(mask) >> i & 1 == 1).collect();
            let (mut to, mut list) = (vec![0.0; I::LANES], vec![0; I::LANES]);
            // SAFETY: room for all lanes.
            let n = unsafe { isa.compress(mask, (x, Dst::of(&mut to)), (isa.iota(), Dst::of(&mut list))) };
            assert_eq!(n, on.len());
            for (i, lane) in on.into_iter().enumerate() {
                assert_eq!((to[i], usize::try_from(list[i]).unwrap()), (a[lane], lane));
            }
        }
    }
}

/// 1 << lane.
fn shifted<I: Isa>(isa: I) -> I::I32 {
    let mut v = isa.splat_i32(1);
    let lanes: Vec<i32> = ints(isa, isa.iota());
    for lane in lanes {
        let mask = isa.eq_i32(isa.iota(), isa.splat_i32(lane));
        v = isa.or_i32(isa.and_i32(v, isa.bits(isa.not(mask), -1)), isa.bits(mask, 1 << lane));
    }
    v
}

#[derive(Clone)]
struct Pools;

impl Kernel for Pools {
    type Output = ();

    fn eval<I: Isa>(self, isa: I) {
        let cells: Vec<Vec<f32>> = (0..4).map(|i| single(10 + i, I::LANES)).collect();
        let bias = single(20, I::LANES);
        // SAFETY: a vector each.
        let (v, b): ([I::F32; 4], _) =
            unsafe { (vectors!(|i| isa.load(Src::of(&cells[i]))), isa.load(Src::of(&bias))) };
        let (values, bytes) = (floats(isa, pool(isa, v, b)), ints(isa, argmax_byte(isa, v, b)));
        for lane in 0..I::LANES {
            let at = |i: i32| cells[usize::try_from(i).unwrap()][lane];
            let best = (0..4).fold(0, |best, i| if at(i) > at(best) { i } else { best });
            let value = at(best) + bias[lane];
            let off = if value > 0.0 { 0 } else { 4 };
            assert_eq!((values[lane], bytes[lane]), (value.max(0.0), best | off));
        }
        let nan = isa.splat(f32::NAN);
        assert!(floats(isa, pool(isa, v, nan)).iter().all(|v| v.is_nan()));
    }
}

#[test]
fn every_operation_equals_arithmetic_on_the_lanes() {
    on_each(&Arithmetic);
    on_each(&Integers);
    on_each(&Memory);
    on_each(&Moves);
    on_each(&Pools);
}

#[test]
fn every_set_has_a_name_and_the_last_one_is_portable() {
    let names: Vec<&str> = Level::available().iter().map(|level| level.name()).collect();
    assert_eq!(names.last(), Some(&"portable"));
    assert!(Level::available().iter().all(|level| [4, 8, 16].contains(&level.lanes())));
}
