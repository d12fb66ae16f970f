//! Photos with the annotated and the predicted box: an SVG that holds a small JPEG.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use loc_infer::preprocess::decode_path;
use loc_infer::{BBox, ImageSize, Limits};
use loc_train::Prediction;
use rayon::prelude::*;

use super::gather::Gathered;
use super::page::Picture;
use super::words::shown;
use crate::plots::xml;

/// How small the photos become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Small {
    /// Longer side, in pixels.
    pub(super) side: u32,
    /// Quality of the JPEG, 1 to 100.
    pub(super) quality: u8,
}

/// The pictures of these answers, in their order, and how many photos could not be read any more.
pub(super) fn pictures(of: &Gathered, chosen: &[usize], small: Small) -> (Vec<Picture>, usize) {
    let all: Vec<Option<Picture>> = chosen
        .par_iter()
        .map(|i| of.answers.get(*i).and_then(|answer| picture(of, answer, small).ok()))
        .collect();
    let lost = all.iter().filter(|picture| picture.is_none()).count();
    (all.into_iter().flatten().collect(), lost)
}

fn picture(of: &Gathered, answer: &Prediction, small: Small) -> Result<Picture> {
    let size = ImageSize { width: answer.width, height: answer.height };
    let path = of.places(&answer.path).into_iter().find(|path| path.is_file());
    let path: PathBuf = path.context("the photo is gone")?;
    let photo = decode_path(path, &Limits::default())?.rgb;
    ensure!(ImageSize::of(&photo) == size && !size.is_empty(), "it is another photo now");
    let longer = size.width.max(size.height);
    let scaled = |side: u32| {
        if longer <= small.side {
            return side;
        }
        let scaled = u64::from(side) * u64::from(small.side) / u64::from(longer);
        u32::try_from(scaled).unwrap_or(side).max(1)
    };
    let thumbnail = image::imageops::thumbnail(&photo, scaled(size.width), scaled(size.height));
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, small.quality).encode_image(&thumbnail)?;
    let (truth, class) = (shown(&answer.truth.name), shown(&answer.name));
    let right = answer.class == answer.truth.class;
    let label = format!(
        "Photo {}: annotated {truth}, box {}; predicted {class} with confidence {:.2}, box {}; IoU {:.2}",
        shown(&answer.file),
        corners(answer.truth.bbox),
        answer.confidence,
        corners(answer.bbox),
        answer.iou
    );
    Ok(Picture {
        svg: svg(&jpeg, size, [answer.truth.bbox, answer.bbox], &label),
        file: shown(&answer.file),
        predicted: class,
        confidence: format!("{:.2}", answer.confidence),
        annotated: if right { String::new() } else { truth },
        iou: format!("{:.2}", answer.iou),
    })
}

fn corners(b: BBox) -> String {
    format!("{:.0},{:.0} to {:.0},{:.0}", b.x1, b.y1, b.x2, b.y2)
}

/// The drawing: annotated box, predicted box, each on a dark line that keeps it visible on any photo.
fn svg(jpeg: &[u8], size: ImageSize, [truth, answer]: [BBox; 2], label: &str) -> String {
    let ImageSize { width, height } = size;
    let line = f64::from(width.max(height)) / 90.0;
    let rect = |class: &str, b: BBox, line: f64| {
        let (w, h) = ((b.x2 - b.x1).max(0.0), (b.y2 - b.y1).max(0.0));
        let (x, y) = (b.x1, b.y1);
        format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" stroke-width=\"{line:.2}\"/>"
        )
    };
    // The dashes are as long as four lines are wide, whatever the size of the photo.
    let dashed = rect("true", truth, line)
        .replace("/>", &format!(" stroke-dasharray=\"{:.1} {:.1}\"/>", 4.0 * line, 2.5 * line));
    format!(
        "<svg role=\"img\" viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\"><title>{}</title>\
         <image href=\"data:image/jpeg;base64,{}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"/>\
         {}{}{}{dashed}</svg>",
        xml(label),
        STANDARD.encode(jpeg),
        rect("halo", answer, 2.0 * line),
        rect("answer", answer, line),
        rect("halo", truth, 2.0 * line),
    )
}
