//! Decoding: every colour type, every orientation, every limit, truncated files, and files that are not photos.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;
#[path = "../../../xtask/src/skip.rs"]
mod skip;

use ::png::{BitDepth, ColorType};
use common::{assert_error, encode, jpeg, jpeg_of, photo, png};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};
use loc_infer::preprocess::{decode, decode_path, orient_box, orient_size, upright_size};
use loc_infer::{BBox, Error, ImageSize, Limits};

fn decoded(bytes: &[u8]) -> RgbImage {
    decode(bytes, &Limits::default()).unwrap().rgb
}

#[test]
fn every_colour_type_becomes_rgb8() {
    let wide = |v: u16| v * 257;
    let png = |image: DynamicImage| encode(image, ImageFormat::Png);
    let one = |p: [u8; 3]| vec![p];
    let palette = &[10, 20, 30, 200, 100, 50][..];
    for (what, bytes, expected) in [
        ("grey", png(ImageBuffer::from_pixel(1, 1, Luma([77u8])).into()), one([77; 3])),
        ("grey alpha", png(ImageBuffer::from_pixel(1, 1, LumaA([0u8, 51])).into()), one([204; 3])),
        ("rgb", png(ImageBuffer::from_pixel(1, 1, Rgb([1u8, 2, 3])).into()), one([1, 2, 3])),
        ("rgba", png(ImageBuffer::from_pixel(1, 1, Rgba([255u8, 0, 100, 51])).into()), one([255, 204, 224])),
        ("transparent", png(ImageBuffer::from_pixel(1, 1, Rgba([9u8, 9, 9, 0])).into()), one([255; 3])),
        ("grey 16", png(ImageBuffer::from_pixel(1, 1, Luma([wide(77)])).into()), one([77; 3])),
        ("grey 16, between", png(ImageBuffer::from_pixel(1, 1, Luma([wide(77) + 129])).into()), one([78; 3])),
        ("grey alpha 16", png(ImageBuffer::from_pixel(1, 1, LumaA([0, wide(51)])).into()), one([204; 3])),
        ("rgb 16", png(ImageBuffer::from_pixel(1, 1, Rgb([wide(1), 65535, 0])).into()), one([1, 255, 0])),
        (
            "rgba 16",
            png(ImageBuffer::from_pixel(1, 1, Rgba([65535, 0, wide(100), wide(51)])).into()),
            one([255, 204, 224]),
        ),
        (
            "palette",
            png::raw((2, 1), ColorType::Indexed, BitDepth::Eight, Some(palette), None, &[1, 0]),
            vec![[200, 100, 50], [10, 20, 30]],
        ),
        (
            "palette with alpha",
            png::raw((2, 1), ColorType::Indexed, BitDepth::Eight, Some(palette), Some(&[0]), &[0, 1]),
            vec![[255; 3], [200, 100, 50]],
        ),
        (
            "palette of one bit",
            png::raw((3, 1), ColorType::Indexed, BitDepth::One, Some(palette), None, &[0b1010_0000]),
            vec![[200, 100, 50], [10, 20, 30], [200, 100, 50]],
        ),
        (
            "grey of two bits",
            png::raw((4, 1), ColorType::Grayscale, BitDepth::Two, None, None, &[0b0001_1011]),
            vec![[0; 3], [85; 3], [170; 3], [255; 3]],
        ),
        (
            "grey with a transparent level",
            png::raw((2, 1), ColorType::Grayscale, BitDepth::Eight, None, Some(&[0, 7]), &[7, 8]),
            vec![[255; 3], [8; 3]],
        ),
        ("bmp", encode(RgbImage::from_pixel(1, 1, Rgb([1, 2, 3])), ImageFormat::Bmp), one([1, 2, 3])),
        ("jpeg grey", jpeg::flat(1, 1, &[77], None), one([77; 3])),
        ("jpeg YCbCr", jpeg::flat(1, 1, &[90, 128, 128], None), one([90; 3])),
        ("jpeg RGB", jpeg::flat(1, 1, &[10, 200, 30], Some(0)), one([10, 200, 30])),
        // Adobe stores the complement: 255 means no ink.
        ("jpeg CMYK", jpeg::flat(1, 1, &[255, 102, 0, 255], Some(0)), one([255, 102, 0])),
        ("jpeg CMYK, half black", jpeg::flat(1, 1, &[255, 102, 0, 128], Some(0)), one([128, 51, 0])),
        ("jpeg YCCK", jpeg::flat(1, 1, &[55, 128, 128, 255], Some(2)), one([200; 3])),
    ] {
        let got: Vec<[u8; 3]> = decoded(&bytes).pixels().map(|p| p.0).collect();
        assert_eq!(got, expected, "{what}");
    }
}

#[cfg(feature = "formats")]
#[test]
fn gif_and_webp() {
    let frame = |colour| image::Frame::new(image::RgbaImage::from_pixel(4, 3, Rgba(colour)));
    let mut gif = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
    encoder.encode_frames([frame([255, 0, 0, 255]), frame([0, 0, 255, 255])]).unwrap();
    drop(encoder);
    let first = decode(&gif, &Limits::default()).unwrap();
    assert_eq!((first.format, first.size()), (ImageFormat::Gif, ImageSize { width: 4, height: 3 }));
    assert!(first.rgb.pixels().all(|p| *p == Rgb([255, 0, 0])), "the first frame");

    let source = photo(40, 30, 1);
    assert_eq!(decoded(&encode(source.clone(), ImageFormat::WebP)), source, "lossless");
}

#[cfg(feature = "formats")]
#[test]
fn tiff() {
    let source = photo(40, 30, 1);
    let bytes = encode(source.clone(), ImageFormat::Tiff);
    let got = decode(&bytes, &Limits::default()).unwrap();
    assert_eq!((got.format, got.rgb), (ImageFormat::Tiff, source.clone()));
    let wide = DynamicImage::ImageRgb8(source.clone());
    assert_eq!(decoded(&encode(DynamicImage::ImageRgb16(wide.to_rgb16()), ImageFormat::Tiff)), source);
    let clear = ImageBuffer::from_pixel(1, 1, Rgba([255u8, 0, 100, 51]));
    assert_eq!(decoded(&encode(clear, ImageFormat::Tiff)).get_pixel(0, 0), &Rgb([255, 204, 224]));
    // The range of floating-point values is not defined.
    let floats = encode(DynamicImage::ImageRgb32F(wide.to_rgb32f()), ImageFormat::Tiff);
    assert_error(
        decode(&floats, &Limits::default()),
        "is a TIFF photo of floating-point numbers, which loc does not read",
    );

    // Its directory is at the end: any truncated TIFF is invalid.
    for percent in [90, 50, 10] {
        assert!(decode(&bytes[..bytes.len() * percent / 100], &Limits::default()).is_err(), "{percent} %");
    }
    let limits = Limits { max_width: 39, ..Limits::default() };
    assert_error(decode(&bytes, &limits), "40×30 photo is beyond the limits of 39×");
}

#[cfg(not(feature = "formats"))]
#[test]
fn the_errors_of_gif_and_tiff_contain_their_feature() {
    let limits = Limits::default();
    assert_error(
        decode(b"GIF89a\x01\0\x01\0\0\0\0;", &limits),
        "is a GIF photo, which loc does not read (hint: build loc-infer with the feature `formats`)",
    );
    assert_error(decode(b"II\x2a\0\x08\0\0\0\0\0", &limits), "feature `formats`");
}

#[test]
fn the_error_for_an_unsupported_format_names_it() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, expected) in [
        (
            &b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..],
            "is a HEIC photo, which loc does not read (hint: convert it to JPEG: `heif-convert",
        ),
        (
            b"\0\0\0\x14ftypavif\0\0\0\0avif",
            "is an AVIF photo, which loc does not read (hint: convert it to PNG: `avifdec",
        ),
        (
            b"II\x2a\0\x10\0\0\0CR\x02\0",
            "is a camera's RAW photo, which loc does not read (hint: develop it to JPEG",
        ),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "is a JPEG 2000 photo, which loc"),
        (b"8BPS\0\x01", "is a Photoshop document, which loc does not read (hint: export it as JPEG"),
        (b"%PDF-1.7", "is a PDF document, which loc does not read (hint: take the photos out"),
        (b"<svg>", "is an SVG drawing, which loc"),
        (b"\0\0\x01\0", "is an icon, which loc"),
        (
            b"\0\0\0\x18ftypmp42",
            "is an MP4 video, which loc does not read (hint: take frames out of it: `ffmpeg",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00",
            "is a Git LFS pointer, which loc does not read (hint: the file itself was not downloaded: `git lfs pull`",
        ),
    ] {
        let path = folder.path().join("a.jpg");
        fs_err::write(&path, bytes).unwrap();
        for error in [decode(bytes, &Limits::default()), decode_path(&path, &Limits::default())] {
            let error = error.unwrap_err();
            assert!(error.reason().to_string().starts_with(expected), "{error}");
        }
        assert!(upright_size(bytes, &Limits::default()).is_err());
    }
}

/// The upper left corner of the upright photo is red; it is stored where the definition of each orientation puts it.
#[test]
fn exif_orientations_turn_the_photo_upright() {
    let upright =
        RgbImage::from_fn(32, 16, |x, y| if x < 8 && y < 8 { Rgb([250, 5, 5]) } else { Rgb([10, 60, 200]) });
    use image::imageops::{flip_horizontal, flip_vertical, rotate90, rotate180, rotate270};
    // EXIF 2.32, tag 274: which sides of the upright photo are row 0 and column 0 of the stored one.
    let stored: [(u8, RgbImage); 8] = [
        (1, upright.clone()),
        (2, flip_horizontal(&upright)),
        (3, rotate180(&upright)),
        (4, flip_vertical(&upright)),
        (5, rotate270(&flip_horizontal(&upright))),
        (6, rotate270(&upright)),
        (7, rotate90(&flip_horizontal(&upright))),
        (8, rotate90(&upright)),
    ];
    for (orientation, pixels) in stored {
        // The corner as a box on the stored pixels.
        let corner: Vec<(u32, u32)> =
            pixels.enumerate_pixels().filter(|(.., p)| p.0[0] > 128).map(|(x, y, _)| (x, y)).collect();
        let (first, last) = (corner[0], corner[63]);
        let bbox = [first.0, first.1, last.0 + 1, last.1 + 1].map(|v| v as f32);
        let known = Orientation::from_exif(orientation).unwrap();
        let size = ImageSize { width: pixels.width(), height: pixels.height() };
        assert_eq!(orient_box(BBox::from(bbox), size, known), BBox::new(0.0, 0.0, 8.0, 8.0), "{orientation}");
        assert_eq!(orient_size(size, known), ImageSize { width: 32, height: 16 }, "{orientation}");
        let bytes = jpeg::with_exif(&jpeg_of(&pixels), orientation, b"");
        let got = decoded(&bytes);
        assert_eq!(got.dimensions(), (32, 16), "orientation {orientation}");
        let size = upright_size(&bytes, &Limits::default()).unwrap();
        assert_eq!(size, ImageSize { width: 32, height: 16 }, "orientation {orientation}, header only");
        for (x, y, red) in [(4, 4, true), (28, 4, false), (4, 12, false), (28, 12, false)] {
            let [r, _, b] = got.get_pixel(x, y).0;
            assert_eq!(r > b, red, "orientation {orientation} at {x}, {y}: {:?}", got.get_pixel(x, y));
        }
    }
    // An undefined orientation is ignored.
    assert_eq!(decoded(&jpeg::with_exif(&jpeg_of(&upright), 9, b"")), decoded(&jpeg_of(&upright)));
}

/// A TIFF block with one entry, the orientation 6 as a value of this type, little-endian.
fn exif_block(kind: u8) -> Vec<u8> {
    let mut block = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01".to_vec();
    block.extend([kind, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    block
}

#[test]
fn exif_is_read_from_every_format() {
    let pixels = photo(32, 16, 1);
    let turned = ImageSize { width: 16, height: 32 };
    for kind in [1, 3, 4, 6, 8, 9] {
        let block = exif_block(kind);
        let prefixed = [b"Exif\0\0", &block[..]].concat();
        let png = encode(pixels.clone(), ImageFormat::Png);
        let cases = [
            ("JPEG", jpeg::with_app1(&jpeg_of(&pixels), &prefixed)),
            // XMP is in a segment with the same marker.
            ("JPEG with XMP", {
                let xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>";
                jpeg::with_app1(&jpeg::with_app1(&jpeg_of(&pixels), &prefixed), xmp)
            }),
            // The first block is used.
            ("JPEG with two", jpeg::with_app1(&jpeg::with_exif(&jpeg_of(&pixels), 1, b""), &prefixed)),
            ("PNG", png::with_chunk(&png, b"eXIf", &block, false)),
            ("PNG, after the pixels", png::with_chunk(&png, b"eXIf", &block, true)),
            ("PNG with a prefix", png::with_chunk(&png, b"eXIf", &prefixed, false)),
        ];
        for (what, bytes) in cases {
            let photo = decode(&bytes, &Limits::default()).unwrap();
            assert_eq!(photo.size(), turned, "{what}, type {kind}");
            assert_eq!(photo.orientation, Orientation::Rotate90, "{what}, type {kind}");
            assert_eq!(upright_size(&bytes, &Limits::default()).unwrap(), turned, "{what}, type {kind}");
        }
        #[cfg(feature = "formats")]
        for block in [block, prefixed] {
            let mut bytes = Vec::new();
            let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut bytes);
            image::ImageEncoder::set_exif_metadata(&mut encoder, block).unwrap();
            encoder.encode(pixels.as_raw(), 32, 16, image::ExtendedColorType::Rgb8).unwrap();
            assert_eq!(decode(&bytes, &Limits::default()).unwrap().size(), turned, "WebP, type {kind}");
        }
    }
}

#[test]
fn a_truncated_jpeg_is_refused_even_with_a_complete_thumbnail() {
    let complete = jpeg_of(&photo(64, 48, 3));
    let with_thumbnail = jpeg::with_exif(&complete, 1, &jpeg::flat(16, 16, &[128], None));
    assert_eq!(decoded(&with_thumbnail), decoded(&complete));
    for percent in [90, 50, 10] {
        let cut = &with_thumbnail[..with_thumbnail.len() * percent / 100];
        assert_error(decode(cut, &Limits::default()), "JPEG cut short");
    }
    assert_error(decode(&complete[..2], &Limits::default()), "starts with \"\\xff\\xd8\"");
    assert_error(
        decode(&complete[..4], &Limits::default()),
        "JPEG cut short: no end-of-image marker in 4 bytes",
    );
}

#[test]
fn garbage_after_the_end_is_ignored() {
    let complete = jpeg_of(&photo(64, 48, 3));
    for tail in [&b"\0\0\0 made by a camera"[..], b"\xff\xd9", b"\xff\xd8\xff", b"\xff"] {
        assert_eq!(decoded(&[&complete, tail].concat()), decoded(&complete));
    }
}

#[test]
fn the_error_for_other_bytes_shows_the_first_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("saved.jpg");
    fs_err::write(&page, "<html>").unwrap();
    let error = decode_path(&page, &Limits::default()).unwrap_err();
    assert_eq!(
        error.reason().to_string(),
        "not a JPEG: starts with \"<html>\" (hint: looks like HTML, a web page saved under a photo's name)"
    );
    assert_eq!(error.to_string(), format!("{}: {}", page.display(), error.reason()));

    let limits = Limits::default();
    assert_error(decode(b"", &limits), "is empty");
    assert_error(
        decode(b"\x1b[2J then text that goes on", &limits),
        "starts with \"\\x1b[2J then text that goes…\"",
    );
}

#[test]
fn the_content_determines_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let source = photo(20, 10, 5);
    let path = folder.path().join("really a png.jpg");
    fs_err::write(&path, encode(source.clone(), ImageFormat::Png)).unwrap();
    let got = decode_path(&path, &Limits::default()).unwrap();
    assert_eq!((got.format, got.rgb), (ImageFormat::Png, source));
}

#[test]
fn limits_are_checked_with_the_header() {
    let limits = Limits::default();
    assert_error(
        decode(&png::with_claimed_size(60_000, 60_000), &limits),
        "60000×60000 photo is beyond the limits of 20000×20000",
    );
    // 507 MB: below the limit of the crate `image`, 512 MiB, and above loc's.
    assert_error(decode(&png::with_claimed_size(13_000, 13_000), &limits), "256 MiB");
    assert_error(upright_size(&png::with_claimed_size(13_000, 13_000), &limits), "256 MiB");
    let jpeg = jpeg_of(&photo(16, 16, 0));
    assert_error(decode(&jpeg::with_size(&jpeg, 65_500, 65_500), &limits), "65500×65500");
    // Grey has one byte per pixel as stored, three as RGB.
    let grey = encode(image::GrayImage::new(64, 64), ImageFormat::Png);
    assert_error(decode(&grey, &Limits { max_alloc: 64 * 64, ..limits }), "beyond the limits");
    for (max_width, max_height, fits) in [(16, 16, true), (15, 16, false), (16, 15, false)] {
        let limits = Limits { max_width, max_height, ..limits };
        assert_eq!(decode(&jpeg, &limits).is_ok(), fits, "{max_width}×{max_height}");
    }
}

#[test]
fn a_photo_without_pixels_is_refused() {
    let jpeg = jpeg_of(&photo(16, 16, 0));
    let mut bmp = encode(photo(4, 4, 0), ImageFormat::Bmp);
    bmp[18..22].fill(0);
    for (what, bytes) in [
        ("JPEG without width", jpeg::with_size(&jpeg, 0, 16)),
        ("JPEG without height", jpeg::with_size(&jpeg, 16, 0)),
        ("PNG", png::with_claimed_size(0, 5)),
        ("BMP", bmp),
    ] {
        assert!(decode(&bytes, &Limits::default()).is_err(), "{what}");
    }
}

#[test]
fn errors_about_paths_contain_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    assert_error(decode_path(folder.path(), &limits), "is a folder where a file is needed");
    let missing = folder.path().join("missing.jpg");
    let error = decode_path(&missing, &limits).unwrap_err();
    assert!(matches!(error.reason(), Error::Read(e) if e.kind() == std::io::ErrorKind::NotFound), "{error}");
    assert!(error.to_string().contains("missing.jpg"), "{error}");
    let large = folder.path().join("large.jpg");
    fs_err::write(&large, [0; 100]).unwrap();
    assert_error(
        decode_path(&large, &Limits { max_alloc: 99, ..limits }),
        "has 100 bytes, more than the limit of 99",
    );
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.jpg");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if !made.is_ok_and(|status| status.success()) {
        return skip::say(skip::Reason::Program("mkfifo"), "there is no `mkfifo` to make a pipe");
    }
    assert_error(decode_path(&pipe, &Limits::default()), "is not a regular file");
    assert_error(decode_path("/dev/zero", &Limits::default()), "is not a regular file");
}
