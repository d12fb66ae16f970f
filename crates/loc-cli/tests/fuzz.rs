//! Fuzzes every reader with valid bytes that are truncated at every 64th byte or changed at random with a fixed seed:
//! first through the library functions that the commands call, then some of them through the binary. Nothing may panic.
//!
//! `LOC_MUTATIONS=10000` sets the number of changes for each target (1,000 by default; a tenth of it for targets that
//! run a network). `LOC_CORPUS=DIR` also writes the valid bytes there, for the fuzzers. A failure names the target and
//! the number of the change; the same number gives the same change again.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a helper that fails is a test that fails")]

mod common;
#[path = "fuzz/seeds.rs"]
mod seeds;
#[path = "fuzz/targets.rs"]
mod targets;

use std::panic::catch_unwind;

use common::{Desk, Ran};
use targets::TARGETS;

/// Knuth's MMIX generator, of which the high bits are used.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(self.0) * n.max(1) as u128) >> 64) as usize
    }
}

/// Bytes with a meaning in one of the formats.
const PIECES: [&[u8]; 20] = [
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x7f\xff\xff\xff",
    b"\x80\x80\x80\x80\x01",
    b"NaN",
    b"1e999",
    b"-1",
    b"\"",
    b"<",
    b">",
    b"{",
    b"[",
    b"\n",
    b",",
    b"\xff\xd8",
    b"\xff\xd9",
    b"\xff\xda",
    b"(",
    b"\x8a\xff",
    b"18446744073709551615",
];

/// Returns the bytes after change `number`: one to six times, a byte is changed, a piece inserted, removed or repeated,
/// or the end cut off.
fn changed(bytes: &[u8], number: u64) -> Vec<u8> {
    let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x006c_6f63);
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.below(6) {
        // Headers are short and the most important part.
        let near = if random.below(2) == 0 { bytes.len().min(600) } else { bytes.len() };
        let at = random.below(near + 1).min(bytes.len());
        match random.below(8) {
            0..=2 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            3 | 4 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            5 => {
                let piece = PIECES[random.below(PIECES.len())];
                let end = (at + random.below(piece.len() + 1)).min(bytes.len());
                bytes.splice(at..end, piece.iter().copied());
            }
            6 => {
                let end = (at + random.below(64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            _ if random.below(4) == 0 => bytes.truncate(at),
            _ => drop(bytes.splice(at..(at + random.below(16)).min(bytes.len()), [])),
        }
    }
    bytes
}

fn mutations() -> u64 {
    std::env::var("LOC_MUTATIONS").map_or(1_000, |n| n.parse().unwrap())
}

/// Runs a target on every truncation and every change of its valid bytes.
fn fuzz_target(name: &str, divisor: u64) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let seeds = seeds::of(name);
    if let Some(corpus) = std::env::var_os("LOC_CORPUS") {
        let folder = std::path::Path::new(&corpus).join(name);
        fs_err::create_dir_all(&folder).unwrap();
        for (i, seed) in seeds.iter().enumerate() {
            fs_err::write(folder.join(format!("seed-{i}")), seed).unwrap();
        }
    }
    let (mut runs, mut accepted) = (0_u64, 0_u64);
    let mut run = |case: String, bytes: &[u8]| {
        runs += 1;
        match catch_unwind(|| target(bytes)) {
            Ok(true) => accepted += 1,
            Ok(false) => {}
            Err(_) => panic!("{name}, {case}: panicked"),
        }
    };
    for (i, seed) in seeds.iter().enumerate() {
        assert!(target(seed), "{name}: seed {i} is valid");
        // The header of a long file is in the first part; the rest is values.
        let step = 64 * (seed.len() / 64 / 3_000 + 1);
        for cut in (0..seed.len().min(64 << 10)).step_by(64).chain((0..seed.len()).step_by(step)) {
            run(format!("seed {i} cut to {cut}"), &seed[..cut]);
        }
    }
    for number in 0..mutations().div_ceil(divisor) {
        let seed = &seeds[number as usize % seeds.len()];
        run(format!("change {number}"), &changed(seed, number));
    }
    println!("{name}: {runs} runs, {accepted} accepted, no panic");
}

#[test]
fn fuzzed_photos_cause_no_panic() {
    fuzz_target("image", 1);
}

#[test]
fn fuzzed_annotations_cause_no_panic() {
    for name in ["voc", "csv", "json", "yolo", "yaml", "split"] {
        fuzz_target(name, 1);
    }
}

#[test]
fn fuzzed_model_files_cause_no_panic() {
    fuzz_target("model", 1);
}

#[test]
fn fuzzed_pytorch_files_cause_no_panic() {
    for name in ["pth", "pth_legacy", "wheel"] {
        fuzz_target(name, 1);
    }
}

#[test]
fn fuzzed_onnx_files_cause_no_panic() {
    // With the feature `onnx` every valid file is run by an engine that is slow.
    fuzz_target("onnx", if cfg!(feature = "onnx") && mutations() < 10_000 { 10 } else { 1 });
}

#[test]
fn fuzzed_configurations_cause_no_panic() {
    fuzz_target("config", 1);
}

/// The same through the binary: the exit code is a documented one, and there is no panic on stderr.
#[test]
fn the_binary_does_not_panic_on_fuzzed_files() {
    const EACH: u64 = 24;
    let desk = Desk::new();
    desk.shapes(4);
    fs_err::write(desk.path("m.safetensors"), common::model_file(&["box", "disc", "star"], 1)).unwrap();
    let photo = fs_err::read(common::first(&desk.path("shapes/images"), "jpg")).unwrap();
    fs_err::write(desk.path("photo.jpg"), &photo).unwrap();
    let voc = seeds::of("voc").remove(0);
    let csv =
        String::from_utf8(seeds::of("csv").remove(0)).unwrap().replace("\"b, \"\"c\"\".jpg\"", "photo.jpg");
    let cases: [(&str, &[u8], &str, &[&str]); 7] = [
        ("photo", &photo, "fuzzed.jpg", &["predict", "-m", "m.safetensors", "fuzzed.jpg"]),
        ("xml", &voc, "set/fuzzed.xml", &["data", "check", "set"]),
        ("csv", csv.as_bytes(), "fuzzed.csv", &["data", "check", "fuzzed.csv"]),
        (
            "model",
            &seeds::of("model")[0],
            "fuzzed.safetensors",
            &["predict", "-m", "fuzzed.safetensors", "photo.jpg"],
        ),
        (
            "pth",
            &seeds::of("pth")[0],
            "fuzzed.pth",
            &["import", "fuzzed.pth", "-o", "out.safetensors", "--classes", "a,b"],
        ),
        ("onnx", &seeds::of("onnx")[0], "fuzzed.onnx", &["info", "fuzzed.onnx"]),
        (
            "config",
            &seeds::of("config")[0],
            "fuzzed.toml",
            &["train", "--config", "fuzzed.toml", "--data", "nowhere"],
        ),
    ];
    fs_err::create_dir(desk.path("set")).unwrap();
    fs_err::write(desk.path("set/a.jpg"), &photo).unwrap();
    for (case, seed, path, args) in cases {
        for number in 0..EACH {
            // Every third is a truncation.
            let bytes = match number % 3 {
                0 => seed[..seed.len() * number as usize / EACH as usize].to_vec(),
                _ => changed(seed, number),
            };
            fs_err::write(desk.path(path), bytes).unwrap();
            let ran = Ran::of(desk.command(args).output().unwrap());
            assert!((0..=4).contains(&ran.code), "{case}, change {number}: {ran:?}");
            assert!(!ran.stderr.contains("panicked"), "{case}, change {number}: {ran:?}");
            assert!(
                ran.code == 0 || !ran.stderr.is_empty() || !ran.stdout.is_empty(),
                "{case}, change {number}"
            );
        }
    }
}
