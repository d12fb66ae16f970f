//! Large JPEGs decoded at a reduced size: nearly the pixels of the full decode at exactly its place, and the full decode itself
//! wherever a reduced size is not possible.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::sampled_jpeg::{self, Layout};
use common::{encode, jpeg, jpeg_of, photo};
use image::{ImageFormat, Rgb, RgbImage};
use loc_infer::preprocess::{Prepared, decode, prepare, prepare_path};
use loc_infer::{Decode, Filter, Fit, ImageSize, InputSpec, Limits};

/// The kinds of sampling that cameras and programs write, with and without restart markers.
const LAYOUTS: [Layout; 7] = [
    Layout { factors: &[[1, 1], [1, 1], [1, 1]], restart: 0 },
    Layout { factors: &[[2, 2], [1, 1], [1, 1]], restart: 0 },
    Layout { factors: &[[2, 2], [1, 1], [1, 1]], restart: 7 },
    Layout { factors: &[[2, 1], [1, 1], [1, 1]], restart: 1 },
    Layout { factors: &[[1, 2], [1, 1], [1, 1]], restart: 0 },
    Layout { factors: &[[4, 1], [1, 1], [1, 1]], restart: 0 },
    Layout { factors: &[[2, 2]], restart: 0 },
];

fn spec(width: u32, height: u32) -> InputSpec {
    InputSpec { size: ImageSize { width, height }, decode: Decode::Reduced, ..InputSpec::default() }
}

/// The photo as decoded at a reduced size, and in full.
fn both(bytes: &[u8], spec: InputSpec) -> [Prepared; 2] {
    [Decode::Reduced, Decode::Full]
        .map(|decode| prepare(bytes, &Limits::default(), &InputSpec { decode, ..spec }).unwrap())
}

/// Smooth shapes and fine texture.
fn scene(width: u32, height: u32) -> RgbImage {
    let noise = photo(width, height, 3);
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let inside = (u - 0.6).abs() < 0.25 && (v - 0.4).abs() < 0.3;
        let base = if inside { [200.0, 90.0, 40.0] } else { [60.0 + 80.0 * u, 120.0, 180.0 - 90.0 * v] };
        let noise = noise.get_pixel(x, y).0;
        Rgb([0, 1, 2].map(|c: usize| (base[c] + f32::from(noise[c]) / 8.0) as u8))
    })
}

/// The mean difference of the bytes, and the largest one.
fn difference(a: &RgbImage, b: &RgbImage) -> (f64, u8) {
    let all = || a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b));
    (all().map(f64::from).sum::<f64>() / a.len() as f64, all().max().unwrap())
}

#[test]
fn pixels_are_nearly_those_of_the_full_decode() {
    // Two filters one after the other are not exactly one; colours are averaged before they are limited to 0..=255.
    const MEAN: f64 = 1.5;
    const LARGEST: u8 = 16;
    for layout in LAYOUTS {
        // Sides that no block divides; at 1/8, 1/4 and 1/2.
        for (width, height) in [(24, 16), (40, 40), (90, 60)] {
            let bytes = sampled_jpeg::encode(&scene(405, 331), layout);
            for fit in [Fit::Stretch, Fit::Letterbox] {
                for filter in [Filter::Bilinear, Filter::CatmullRom, Filter::Lanczos3] {
                    let [reduced, full] = both(&bytes, InputSpec { fit, filter, ..spec(width, height) });
                    assert_eq!((reduced.frame, reduced.format), (full.frame, full.format));
                    let (mean, largest) = difference(&reduced.input, &full.input);
                    assert!(
                        mean <= MEAN && largest <= LARGEST,
                        "{layout:?} {width}×{height} {fit:?} {filter:?}: differ by {mean:.2} in the mean, {largest} at most"
                    );
                    // With a quarter of the columns, colours would have fewer than 90 even at 1/2.
                    let is_full = layout.factors[0][0] == 4 && width == 90;
                    assert_eq!(largest == 0, is_full, "{layout:?} {width}×{height}: whether decoded in full");
                }
            }
        }
    }
}

/// The centre of what is brighter than the background, in fractions of the input.
fn centre(input: &RgbImage) -> [f64; 2] {
    let (mut sum, mut at) = (0.0, [0.0; 2]);
    for (x, y, pixel) in input.enumerate_pixels() {
        let weight = f64::from(pixel.0[1].saturating_sub(30));
        sum += weight;
        at = [at[0] + weight * (f64::from(x) + 0.5), at[1] + weight * (f64::from(y) + 0.5)];
    }
    [at[0] / sum / f64::from(input.width()), at[1] / sum / f64::from(input.height())]
}

#[test]
fn places_are_exact_in_every_orientation() {
    // A hundredth of a pixel of the input.
    const NEAR: f64 = 0.01 / 32.0;
    for (width, height) in [(527, 401), (521, 513), (768, 640)] {
        let disc = RgbImage::from_fn(width, height, |x, y| {
            let [dx, dy] =
                [(x, width / 5), (y, 3 * height / 4)].map(|(at, centre)| at.abs_diff(centre).pow(2));
            Rgb([if dx + dy < 60 * 60 { 220 } else { 30 }; 3])
        });
        let bytes = sampled_jpeg::encode(&disc, LAYOUTS[1]);
        for orientation in 1..=8 {
            let bytes = jpeg::with_exif(&bytes, orientation, b"");
            for fit in [Fit::Stretch, Fit::Letterbox] {
                let [reduced, full] = both(&bytes, InputSpec { fit, ..spec(32, 24) });
                assert_eq!((reduced.frame, reduced.orientation), (full.frame, full.orientation));
                assert_ne!(reduced.input, full.input, "not decoded at a reduced size");
                let (a, b) = (centre(&reduced.input), centre(&full.input));
                let is_near = a.iter().zip(b).all(|(a, b)| (a - b).abs() < NEAR);
                assert!(is_near, "{width}×{height}, orientation {orientation}, {fit:?}: {a:?} and {b:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_reduced_is_decoded_in_full() {
    let large = scene(400, 300);
    let file = jpeg_of(&large);
    let same = |what: &str, bytes: &[u8], spec: InputSpec| {
        let [reduced, full] = both(bytes, spec);
        assert_eq!(reduced.input, full.input, "{what}");
        assert_eq!((reduced.frame, reduced.format), (full.frame, full.format), "{what}");
    };
    same("a side of less than four times the input's", &file, spec(101, 20));
    same("a side of less than four times the input's", &file, spec(20, 76));
    same("nearest", &file, InputSpec { filter: Filter::Nearest, ..spec(20, 20) });
    same("PNG", &encode(large.clone(), ImageFormat::Png), spec(20, 20));
    same("RGB", &jpeg::flat(400, 300, &[10, 200, 30], Some(0)), spec(20, 20));
    same("CMYK", &jpeg::flat(400, 300, &[10, 200, 30, 90], Some(0)), spec(20, 20));
    // A marker that a decoder passes over.
    let at = file.len() - 2;
    same("fill bytes", &[&file[..at], b"\xff\xff\xff\xd9"].concat(), spec(20, 20));
    let reduced = both(&file, spec(100, 75));
    assert_ne!(reduced[0].input, reduced[1].input, "four times the input's side");
    let [grey, full] = both(&jpeg::flat(400, 300, &[77], None), spec(20, 20));
    assert_eq!((grey.input.get_pixel(3, 3), &grey.input), (&Rgb([77; 3]), &full.input));
}

/// A copy with one byte changed, for each of many places after the first segments.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..4000_usize).map(|i| {
        let mut copy = bytes.to_vec();
        // Knuth's multiplier spreads the places.
        let hash = i.wrapping_mul(2_654_435_761);
        let at = if i % 4 == 0 { hash / 7 % 700 } else { hash / 7 % bytes.len() };
        copy[at] = [0xff, 0, copy[at] ^ 1 << (hash % 8), hash as u8][i / 4 % 4];
        copy
    })
}

#[test]
fn a_damaged_file_gets_the_answer_of_the_full_decode() {
    let limits = Limits::default();
    for layout in [LAYOUTS[1], LAYOUTS[2]] {
        let bytes = sampled_jpeg::encode(&scene(160, 120), layout);
        for (i, bytes) in damaged(&bytes).enumerate() {
            let reduced = prepare(&bytes, &limits, &spec(8, 8));
            let full = prepare(&bytes, &limits, &InputSpec { decode: Decode::Full, ..spec(8, 8) });
            match (reduced, full) {
                (Ok(reduced), Ok(full)) => assert_eq!(reduced.frame, full.frame, "{i}"),
                (reduced, full) => {
                    let [reduced, full] = [reduced, full]
                        .map(|answer| answer.map(|_| "a photo").map_err(|error| error.to_string()));
                    assert_eq!(reduced, full, "{i}");
                }
            }
        }
        for cut in [0, 1, 300, bytes.len() / 2, bytes.len() - 1] {
            let messages = [Decode::Reduced, Decode::Full].map(|decode| {
                prepare(&bytes[..cut], &limits, &InputSpec { decode, ..spec(8, 8) }).unwrap_err().to_string()
            });
            assert_eq!(messages[0], messages[1], "cut at {cut}");
        }
    }
}

#[test]
fn limits_and_paths_are_those_of_the_full_decode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.jpg");
    let bytes = jpeg_of(&scene(300, 200));
    fs_err::write(&path, &bytes).unwrap();
    let spec = spec(16, 16);
    let of_path = prepare_path(&path, &Limits::default(), &spec).unwrap();
    assert_eq!(of_path.input, prepare(&bytes, &Limits::default(), &spec).unwrap().input);
    for limits in [
        Limits { max_width: 299, ..Limits::default() },
        Limits { max_height: 199, ..Limits::default() },
        Limits { max_alloc: 3 * 300 * 200 - 1, ..Limits::default() },
    ] {
        let message = prepare(&bytes, &limits, &spec).unwrap_err().to_string();
        assert_eq!(message, decode(&bytes, &limits).unwrap_err().to_string());
        let message = prepare_path(&path, &limits, &spec).unwrap_err().to_string();
        assert!(message.contains("large.jpg"), "{message}");
    }
}
