//! Damaged photos: truncated at every 64 bytes, or with changed bytes. Decoding returns an error or an image and never
//! panics; a truncated photo never gives a wrong image.

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
fn a_truncated_photo_is_an_error_or_the_right_image() {
    for (what, bytes) in ENCODINGS.iter() {
        let whole = decode(bytes, &Limits::default()).unwrap().rgb;
        for cut in (0..bytes.len()).step_by(64).chain(bytes.len() - 8..bytes.len()) {
            if let Ok(photo) = decode(&bytes[..cut], &Limits::default()) {
                assert!(photo.rgb == whole, "{what} cut to {cut} of {} bytes: a wrong image", bytes.len());
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
        // Most errors are in the header, which is short.
        near_the_start in any::<bool>(),
    ) {
        let mut bytes = which.get(&ENCODINGS).1.clone();
        let range = if near_the_start { bytes.len().min(700) } else { bytes.len() };
        for (at, value) in changes {
            bytes[at.index(range)] = value;
        }
        // A changed header may claim a large image: a low limit keeps the test fast.
        let limits = Limits { max_alloc: 4 << 20, ..Limits::default() };
        if let Ok(photo) = decode(&bytes, &limits) {
            prop_assert!(!photo.size().is_empty());
        }
    }

    #[test]
    fn noise_after_a_valid_start_never_panics(
        which in any::<prop::sample::Index>(),
        start_len in 0usize..64,
        noise in prop::collection::vec(any::<u8>(), 0..512),
    ) {
        let start = &which.get(&ENCODINGS).1;
        let bytes = [&start[..start_len.min(start.len())], &noise[..]].concat();
        let _ = decode(&bytes, &Limits { max_alloc: 4 << 20, ..Limits::default() });
    }
}
