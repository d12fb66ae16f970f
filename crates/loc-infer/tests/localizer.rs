//! The localizer with engines whose output is known: order, threads, geometry, errors.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Colours, assert_error, encode, jpeg, jpeg_of, meta, photo};
use image::{ImageFormat, Rgb, RgbImage};
use loc_infer::preprocess::prepare;
use loc_infer::{
    BBox, Decode, Engine, Error, Fit, ImageSize, InputSpec, Limits, Localization, Localizer, RawOutput,
    Source,
};

const SIZE: ImageSize = ImageSize { width: 8, height: 8 };

fn spec() -> InputSpec {
    InputSpec { size: SIZE, ..InputSpec::default() }
}

fn localizer() -> Localizer {
    let spec = spec();
    Localizer::with_engine(meta(&["red", "blue"], spec), Box::new(Colours { values: spec.values() })).unwrap()
}

fn with(engine: impl Engine + 'static) -> Localizer {
    Localizer::with_engine(meta(&["a", "b"], spec()), Box::new(engine)).unwrap()
}

#[test]
fn a_localizer_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Localizer>();
    let localizer = localizer();
    let photo = photo(30, 20, 1);
    let expected = localizer.predict(&photo).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(localizer.predict(&photo).unwrap(), expected));
        }
    });
}

#[test]
fn all_predict_functions_give_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a photo.png");
    let photo = RgbImage::from_pixel(500, 375, Rgb([51, 102, 204]));
    let bytes = encode(photo.clone(), ImageFormat::Png);
    fs_err::write(&path, &bytes).unwrap();
    let localizer = localizer();
    let answer = localizer.predict(&photo).unwrap();
    let result = answer.clone().found().unwrap();
    assert_eq!((result.class, result.name.as_str()), (1, "blue"));
    assert_eq!((result.width, result.height), (500, 375));
    let expected = BBox::new(0.2 * 500.0, 0.4 * 375.0, 0.9 * 500.0, 0.8 * 375.0);
    for (got, expected) in result.bbox.xyxy().iter().zip(expected.xyxy()) {
        assert!((got - expected).abs() < 1e-3, "{:?}", result.bbox);
    }
    let odds = (0.8_f32 - 0.2).exp();
    assert!((result.confidence - odds / (1.0 + odds)).abs() < 1e-6);
    assert_eq!(localizer.predict_encoded(&bytes).unwrap(), answer);
    assert_eq!(localizer.predict_path(&path).unwrap(), answer);
    let sources = [Source::Path(&path), Source::Encoded(&bytes), Source::Photo(&photo)];
    for from_batch in localizer.predict_batch(&sources) {
        assert_eq!(from_batch.unwrap(), answer);
    }
}

#[test]
fn a_large_jpeg_has_the_same_answer_from_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.jpg");
    let bytes = jpeg::with_exif(&jpeg_of(&photo(211, 165, 5)), 6, b"");
    fs_err::write(&path, &bytes).unwrap();
    let spec = InputSpec { decode: Decode::Reduced, ..spec() };
    let engine = Box::new(Colours { values: spec.values() });
    let localizer = Localizer::with_engine(meta(&["red", "blue"], spec), engine).unwrap();
    let answer = localizer.predict_encoded(&bytes).unwrap();
    let found = answer.clone().found().unwrap();
    assert_eq!((found.width, found.height), (165, 211), "the size of the photo, upright");
    assert!((found.bbox.x2 - 0.9 * 165.0).abs() < 1e-3 && (found.bbox.y2 - 0.8 * 211.0).abs() < 1e-3);
    assert_eq!(localizer.predict_path(&path).unwrap(), answer);
    for from_batch in localizer.predict_batch(&[Source::Path(&path), Source::Encoded(&bytes)]) {
        assert_eq!(from_batch.unwrap(), answer);
    }
    // The input is the prepared one, not that of all pixels.
    let input = prepare(&bytes, &Limits::default(), &spec).unwrap().input;
    assert_eq!(localizer.predict(&input).unwrap().found().unwrap().probs, found.probs);
    assert_ne!(self::localizer().predict_encoded(&bytes).unwrap().found().unwrap().probs, found.probs);
}

#[test]
fn the_box_is_on_the_photo_rotated_by_exif() {
    // Stored in landscape, shown in portrait: 16 wide and 32 high.
    let bytes = jpeg::with_exif(&jpeg_of(&RgbImage::from_pixel(32, 16, Rgb([51, 102, 204]))), 6, b"");
    let result = localizer().predict_encoded(&bytes).unwrap().found().unwrap();
    assert_eq!((result.width, result.height), (16, 32));
    assert!((result.bbox.x2 - 0.9 * 16.0).abs() < 1e-3 && (result.bbox.y2 - 0.8 * 32.0).abs() < 1e-3);
}

#[test]
fn a_batch_keeps_the_order_and_an_invalid_photo_affects_no_other() {
    let localizer = localizer();
    // More than one chunk, with invalid photos first, last and between.
    let photos: Vec<Vec<u8>> = (0..75)
        .map(|i| if i % 7 == 0 || i == 74 { b"<html>".to_vec() } else { jpeg_of(&photo(20 + i, 30, i)) })
        .collect();
    for threads in [0, 1, 3] {
        let results = self::localizer().with_threads(threads).unwrap().predict_batch(&photos);
        assert_eq!(results.len(), photos.len());
        for (i, (result, bytes)) in results.into_iter().zip(&photos).enumerate() {
            if i % 7 == 0 || i == 74 {
                assert_error(result, "starts with \"<html>\"");
            } else {
                assert_eq!(result.unwrap(), localizer.predict_encoded(bytes).unwrap(), "photo {i}");
            }
        }
    }
    assert!(localizer.predict_batch::<Vec<u8>>(&[]).is_empty());
    let missing =
        localizer.predict_batch(&[PathBuf::from("/nowhere/a.jpg"), PathBuf::from("/nowhere/b.jpg")]);
    for (result, name) in missing.into_iter().zip(["a.jpg", "b.jpg"]) {
        assert_error(result, &format!("/nowhere/{name}: "));
    }
}

/// Fails on every batch with a photo that is too red.
struct FailsOnRed {
    calls: AtomicUsize,
}

impl Engine for FailsOnRed {
    fn run(&self, images: &[f32], n: usize) -> Result<RawOutput, Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if images.chunks_exact(images.len() / n).any(|photo| photo[0] > 0.9) {
            return Err(Error::Engine { engine: "fails-on-red", error: "too red".into() });
        }
        Ok(RawOutput { logits: vec![0.0; 2 * n], boxes: vec![0.5; 4 * n], ..RawOutput::default() })
    }
}

#[test]
fn after_a_failed_batch_the_photos_are_run_one_by_one() {
    let localizer = with(FailsOnRed { calls: AtomicUsize::new(0) });
    let photos: Vec<RgbImage> =
        [10, 255, 20].map(|red| RgbImage::from_pixel(9, 9, Rgb([red, 0, 0]))).to_vec();
    let mut results = localizer.predict_batch(&photos).into_iter();
    assert!(results.next().unwrap().is_ok());
    assert_error(results.next().unwrap(), "engine `fails-on-red`: too red");
    assert!(results.next().unwrap().is_ok());
}

/// Panics on every batch with a photo that is too red.
struct PanicsOnRed;

impl Engine for PanicsOnRed {
    fn run(&self, images: &[f32], n: usize) -> Result<RawOutput, Error> {
        let red = images.chunks_exact(images.len() / n).position(|photo| photo[0] > 0.9);
        assert!(red.is_none(), "photo {} of {n}", red.unwrap_or_default());
        Ok(RawOutput { logits: vec![0.0; 2 * n], boxes: vec![0.5; 4 * n], ..RawOutput::default() })
    }
}

#[test]
fn a_panic_of_the_engine_affects_only_the_photos_of_that_call() {
    let localizer = with(PanicsOnRed);
    // Calls of 32, 32 and 11.
    let one = |i| RgbImage::from_pixel(9, 9, Rgb([if i == 40 { 255 } else { 10 }, 0, 0]));
    let mut photos: Vec<Source<'_>> = Vec::new();
    let pixels: Vec<RgbImage> = (0..75).map(one).collect();
    photos.extend(pixels.iter().map(Source::Photo));
    photos[35] = Source::Encoded(b"no photo");
    let results = localizer.predict_batch(&photos);
    assert_eq!(results.len(), 75);
    for (i, result) in results.into_iter().enumerate() {
        match i {
            35 => assert_error(result, "starts with \"no photo\""),
            // Photo 35 is invalid, so 31 are left; photo 40 is at index 7 of them.
            32..64 => assert_error(result, "the engine panicked: photo 7 of 31 (hint: "),
            _ => assert!(result.is_ok(), "photo {i}"),
        }
    }
    // The same for a single photo; the localizer still works after it.
    assert_error(localizer.predict(&pixels[40]), "the engine panicked: photo 0 of 1");
    assert!(localizer.predict(&pixels[41]).is_ok());
}

/// Always returns this output.
struct Fixed(RawOutput);

impl Engine for Fixed {
    fn run(&self, _: &[f32], _: usize) -> Result<RawOutput, Error> {
        Ok(self.0.clone())
    }
}

#[test]
fn the_output_of_an_engine_is_checked() {
    let photo = photo(9, 9, 0);
    for (logits, boxes, expected) in [
        (vec![0.0; 3], vec![0.5; 4], "logits: 3 values where 1 × 2 are needed"),
        (vec![], vec![0.5; 4], "logits: 0 values"),
        (vec![0.0; 2], vec![0.5; 5], "boxes: 5 values where 1 × 4 are needed"),
        (vec![f32::NAN, 0.0], vec![0.5; 4], "not finite"),
        (vec![0.0; 2], vec![f32::INFINITY; 4], "not finite"),
    ] {
        assert_error(
            with(Fixed(RawOutput { logits, boxes, ..RawOutput::default() })).predict(&photo),
            expected,
        );
    }
}

#[test]
fn distributions_of_edges_are_checked() {
    let photo = photo(9, 9, 0);
    let found = |edges: Vec<f32>| {
        let output = RawOutput { logits: vec![0.0; 2], boxes: vec![0.5; 4], edges, ..RawOutput::default() };
        with(Fixed(output)).predict(&photo)
    };
    assert!(found(vec![0.0; 68]).is_ok() && found(vec![0.0; 4 * 68]).is_ok());
    assert_error(found(vec![0.0; 67]), "edges: 67 values where 1 × 68 are needed");
    assert_error(found(vec![f32::NAN; 68]), "edges: no distribution");
}

#[test]
fn the_novelty_comes_from_the_features_of_the_engine() {
    let photo = photo(9, 9, 0);
    let novelty = loc_infer::confidence::Novelty {
        accepted: 0.95,
        threshold: 0.5,
        photos: 19,
        features: 2,
        step: 1.0 / 127.0,
        directions: vec![127, 0],
    };
    let found = |novelty: Option<_>, features: Vec<f32>| {
        let meta = loc_infer::ModelMeta { novelty, ..meta(&["a", "b"], spec()) };
        let output =
            RawOutput { logits: vec![0.0; 2], boxes: vec![0.5; 4], features, ..RawOutput::default() };
        Localizer::with_engine(meta, Box::new(Fixed(output))).unwrap().predict(&photo)
    };
    let of = |features: Vec<f32>| found(Some(novelty.clone()), features).unwrap().found().unwrap().novelty;
    assert!(of(vec![3.0, 0.0]).unwrap() < 1e-6);
    assert_eq!((of(vec![0.0, 3.0]), of(vec![])), (Some(1.0), None));
    assert_error(found(Some(novelty.clone()), vec![1.0; 3]), "features: 3 values where 1 × 2 are needed");
    assert_eq!(found(None, vec![1.0; 3]).unwrap().found().unwrap().novelty, None);
}

#[test]
fn boxes_are_ordered_and_inside_the_photo_for_any_output() {
    let photo = photo(50, 40, 0);
    for fit in [Fit::Stretch, Fit::Letterbox] {
        let meta = meta(&["a", "b"], InputSpec { fit, ..spec() });
        let output =
            RawOutput { logits: vec![0.0; 2], boxes: vec![1.7, 0.9, -0.4, 0.1], ..RawOutput::default() };
        let localizer = Localizer::with_engine(meta, Box::new(Fixed(output))).unwrap();
        let Localization { bbox, .. } = localizer.predict(&photo).unwrap().found().unwrap();
        assert_eq!((bbox.x1, bbox.x2), (0.0, 50.0), "{fit:?}");
        assert!(0.0 <= bbox.y1 && bbox.y1 < bbox.y2 && bbox.y2 <= 40.0, "{fit:?}: {bbox:?}");
    }
}

#[test]
fn limits_and_empty_photos() {
    let localizer = localizer().with_limits(Limits { max_width: 10, ..Limits::default() });
    assert_error(localizer.predict_encoded(&jpeg_of(&photo(11, 5, 0))), "limits of 10×20000");
    assert!(localizer.predict_encoded(&jpeg_of(&photo(10, 5, 0))).is_ok());
    assert_error(localizer.predict(&RgbImage::new(0, 7)), "0×7 photo has no pixel");
    assert!(localizer.predict(&photo(1, 1, 0)).is_ok());
    assert!(
        Localizer::with_engine(
            loc_infer::ModelMeta { classes: vec![], ..meta(&["a"], spec()) },
            Box::new(Fixed(RawOutput::default()))
        )
        .is_err()
    );
}
