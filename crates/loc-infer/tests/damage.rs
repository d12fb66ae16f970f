//! Damaged photos: cut at every 64 bytes, or with bytes changed. An error or a picture, never a panic; and a cut photo
//! never a wrong picture.

mod common;

use std::sync::LazyLock;

use common::{encode, jpeg, jpeg_of, photo};
use image::ImageFormat;
use loc_infer::Limits;
use loc_infer::preprocess::decode;
use proptest::prelude::*;

/// One photo in every format of this build.
static ENCODINGS: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let source = photo(96, 72, 7);
    let grey = image::imageops::grayscale(&source);
    vec![
        ("JPEG", jpeg_of(&source)),
        ("JPEG with EXIF", jpeg::with_exif(&jpeg_of(&source), 6, &jpeg::flat(16, 16, &[128], None))),
        ("JPEG, CMYK", jpeg::flat(40, 24, &[255, 102, 0, 128], Some(0))),
        ("PNG", encode(source.clone(), ImageFormat::Png)),
        ("PNG, grey", encode(grey, ImageFormat::Png)),
        ("BMP", encode(source.clone(), ImageFormat::Bmp)),
        #[cfg(feature = "formats")]
        ("GIF", encode(image::DynamicImage::from(source.clone()).into_rgba8(), ImageFormat::Gif)),
        #[cfg(feature = "formats")]
        ("WebP", encode(source, ImageFormat::WebP)),
    ]
});

#[test]
fn every_cut_is_an_error_or_the_right_picture() {
    for (what, bytes) in ENCODINGS.iter() {
        let whole = decode(bytes, &Limits::default()).unwrap().rgb;
        for cut in (0..bytes.len()).step_by(64).chain(bytes.len() - 8..bytes.len()) {
            if let Ok(photo) = decode(&bytes[..cut], &Limits::default()) {
                assert!(photo.rgb == whole, "{what} cut to {cut} of {} bytes: a wrong picture", bytes.len());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        // Headers are short and matter most.
        near_the_start in any::<bool>(),
    ) {
        let mut bytes = which.get(&ENCODINGS).1.clone();
        let range = if near_the_start { bytes.len().min(700) } else { bytes.len() };
        for (at, value) in changes {
            bytes[at.index(range)] = value;
        }
        // A changed header may ask for much: bounded, so that the test is quick.
        let limits = Limits { max_alloc: 4 << 20, ..Limits::default() };
        if let Ok(photo) = decode(&bytes, &limits) {
            prop_assert!(!photo.size().is_empty());
        }
    }

    #[test]
    fn noise_behind_a_known_beginning_never_panics(
        which in any::<prop::sample::Index>(),
        kept in 0usize..64,
        noise in prop::collection::vec(any::<u8>(), 0..512),
    ) {
        let beginning = &which.get(&ENCODINGS).1;
        let bytes = [&beginning[..kept.min(beginning.len())], &noise[..]].concat();
        let _ = decode(&bytes, &Limits { max_alloc: 4 << 20, ..Limits::default() });
    }
}
