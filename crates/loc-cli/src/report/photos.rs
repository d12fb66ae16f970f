//! A photo with the annotated and the predicted box, as an SVG that holds a small JPEG.

use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use loc_infer::BBox;
use loc_infer::preprocess::{DecodeOptions, decode_path};

/// Longer side of the small photo, in pixels.
const SIDE: u32 = 240;
/// Quality of its JPEG.
const QUALITY: u8 = 72;

/// The drawing; `label` is what it shows, for those who do not see it. Boxes are in pixels of the upright photo.
///
/// # Errors
///
/// The photo cannot be decoded any more.
pub(super) fn figure(path: &Path, truth: BBox, answer: BBox, label: &str) -> Result<String> {
    let photo = decode_path(path, &DecodeOptions::default())?.rgb;
    let (width, height) = photo.dimensions();
    let scale = f64::from(SIDE) / f64::from(width.max(height)).max(1.0);
    let (w, h) = if scale < 1.0 {
        let of = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
        (of(width), of(height))
    } else {
        (width, height)
    };
    let small = image::imageops::thumbnail(&photo, w, h);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&small)?;
    let data = STANDARD.encode(&jpeg);
    let line = f64::from(width.max(height)) / 100.0;
    let rect = |class: &str, b: BBox| {
        let (w, h) = ((b.x2 - b.x1).max(0.0), (b.y2 - b.y1).max(0.0));
        format!(
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" stroke-width=\"{line:.2}\"/>",
            b.x1, b.y1
        )
    };
    let label = label.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(format!(
        "<svg role=\"img\" viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\"><title>{label}</title>\
         <image href=\"data:image/jpeg;base64,{data}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"/>\
         {}{}</svg>",
        rect("true", truth),
        rect("answer", answer)
    ))
}
