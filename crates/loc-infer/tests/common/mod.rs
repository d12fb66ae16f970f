//! Helpers of several test files: generated photos, their encodings, an engine without a network.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails is a test that fails")]

pub(crate) mod jpeg;
#[cfg(feature = "native")]
pub(crate) mod model;
pub(crate) mod png;
pub(crate) mod sampled_jpeg;
#[cfg(feature = "native")]
pub(crate) mod threads;

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use loc_infer::{Engine, Error, InputSpec, ModelMeta, RawOutput};

/// A colourful photo with detail everywhere, different for each seed.
pub(crate) fn photo(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let smooth = |k: u32| ((x * (k + 3) + y * (k + 5) + seed * 41) / 2 % 256) as u8;
        let noise = ((x ^ (y << 1)).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 27) as u8;
        Rgb([smooth(0) / 2 + noise, smooth(1) / 2 + noise, 200 - smooth(2) / 2])
    })
}

pub(crate) fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn jpeg_of(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 92).encode_image(image).unwrap();
    bytes
}

pub(crate) fn meta(classes: &[&str], input: InputSpec) -> ModelMeta {
    ModelMeta::new(classes.iter().map(ToString::to_string).collect(), input).unwrap()
}

/// An engine with two classes whose output depends on the colours: the logits are the means of red and blue, the box is
/// `[mean red, mean green, 0.9, 0.8]`. So each output can be assigned to its photo.
pub(crate) struct Colours {
    pub(crate) values: usize,
}

impl Engine for Colours {
    fn run(&self, images: &[f32], n: usize) -> Result<RawOutput, Error> {
        assert_eq!(images.len(), n * self.values, "the engine gets exactly n photos");
        let mut output = RawOutput::default();
        for photo in images.chunks_exact(self.values) {
            let plane = self.values / 3;
            let mean = |c: usize| photo[c * plane..][..plane].iter().sum::<f32>() / plane as f32;
            output.logits.extend([mean(0), mean(2)]);
            output.boxes.extend([mean(0), mean(1), 0.9, 0.8]);
        }
        Ok(output)
    }
}

/// Asserts that the text of an error contains `part`.
#[track_caller]
pub(crate) fn assert_error<T: std::fmt::Debug>(result: Result<T, Error>, part: &str) {
    let message = result.expect_err("this must be refused").to_string();
    assert!(message.contains(part), "the error is: {message}\nmissing: {part}");
}
