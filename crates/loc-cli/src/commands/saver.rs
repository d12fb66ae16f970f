//! The files of `loc predict --save`: photos with predictions drawn on them, and annotations, under distinct names.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{ImageEncoder, RgbImage};
use loc_infer::draw::{LabeledBox, color, draw, draw_outline};
use loc_infer::preprocess::decode_path;
use loc_infer::{Answer, Limits};

use super::labels;
use crate::args::{LabelFormat, PredictArgs};
use crate::outputs::{Inputs, Kind, Target};

/// Longest name of a drawn photo without its extension, in bytes; file systems allow 255 in all.
pub(super) const LONGEST: usize = 200;
/// JPEG quality of drawn photos.
const QUALITY: u8 = 92;

/// The files for the predictions of all photos, determined before the first prediction.
pub(super) struct Saver {
    /// The drawing of each photo.
    drawings: Vec<Target>,
    /// The annotation of each photo; empty without `--save-labels`.
    labels: Vec<Target>,
}

impl Saver {
    /// Chooses the names, and checks that all files may be written.
    pub(super) fn plan(
        folder: &Path,
        args: &PredictArgs,
        photos: &[PathBuf],
        inputs: &Inputs,
    ) -> Result<Self> {
        let force = args.overwrite.force;
        let mut names = Names::default();
        let names: Vec<(String, &str)> = photos.iter().map(|photo| names.of(photo)).collect();
        let drawings = names.iter().map(|(stem, ending)| (format!("{stem}.{ending}").into(), Kind::Drawing));
        let labels = match args.save_labels {
            None => &[][..],
            Some(LabelFormat::Voc) => &names,
        };
        let labels =
            labels.iter().map(|(stem, _)| (Path::new("labels").join(format!("{stem}.xml")), Kind::Label));
        let mut drawings = Target::folder(folder, drawings.chain(labels).collect(), inputs, force)?;
        let labels = drawings.split_off(photos.len());
        Ok(Self { drawings, labels })
    }

    /// Writes the prediction of the photo at this place in the list.
    pub(super) fn save(&self, place: usize, path: &Path, answer: &Answer) -> Result<()> {
        let mut photo = decode_path(path, &Limits::default())?.rgb;
        match answer {
            Answer::Found(found) => {
                for margin in [found.outer, found.inner].into_iter().flatten() {
                    draw_outline(&mut photo, margin, color(found.class));
                }
                draw(&mut photo, &[LabeledBox::of(found)]);
            }
            Answer::Absent(absent) => draw(&mut photo, &[LabeledBox::of_absent(absent)]),
        }
        self.drawings[place].write(encoded(&photo, path)?)?;
        match self.labels.get(place) {
            Some(label) => label.write(labels::voc(path, answer).into_bytes()),
            None => Ok(()),
        }
    }
}

/// The drawing of a photo as a file, in the format of [`ending`].
pub(super) fn encoded(drawing: &RgbImage, path: &Path) -> Result<Vec<u8>> {
    let (bytes, size) = (drawing.as_raw(), (drawing.width(), drawing.height()));
    let color = image::ExtendedColorType::Rgb8;
    let mut encoded = Vec::new();
    match ending(path) {
        "png" => PngEncoder::new(&mut encoded).write_image(bytes, size.0, size.1, color),
        _ => JpegEncoder::new_with_quality(&mut encoded, QUALITY).write_image(bytes, size.0, size.1, color),
    }
    .with_context(|| format!("encoding the drawing of {}", path.display()))?;
    Ok(encoded)
}

/// The file extension of a photo's drawing.
pub(super) fn ending(path: &Path) -> &'static str {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) { "png" } else { "jpg" }
}

/// Distinct names; distinct in lower case, too, for file systems that ignore case.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    /// The number of photos with each stem.
    counts: HashMap<String, usize>,
}

impl Names {
    /// Returns `photo`, or `photo-2` if another photo has that name, and the extension.
    fn of(&mut self, path: &Path) -> (String, &'static str) {
        let stem =
            path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_else(|| "photo".into());
        // Leaves room for the extension, a number, and the suffix of a temporary file.
        let stem = &stem[..stem.floor_char_boundary(LONGEST)];
        let count = self.counts.entry(stem.to_lowercase()).or_default();
        loop {
            *count += 1;
            let name = if *count == 1 { stem.to_owned() } else { format!("{stem}-{count}") };
            if self.taken.insert(name.to_lowercase()) {
                return (name, ending(path));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Vec<String> {
        let mut names = Names::default();
        let named = |path: &&str| {
            let (stem, ending) = names.of(Path::new(path));
            format!("{stem}.{ending}")
        };
        paths.iter().map(named).collect()
    }

    #[test]
    fn equal_names_are_numbered_whatever_others_are_called() {
        assert_eq!(
            names(&["x/a.jpg", "y/a.jpg", "a.PNG", "b/A.bmp", "a-2.jpg", "c/a.jpg", "a-2.gif"]),
            ["a.jpg", "a-2.jpg", "a-3.png", "A-4.jpg", "a-2-2.jpg", "a-5.jpg", "a-2-3.jpg"]
        );
        assert_eq!(names(&["a-2.jpg", "a.jpg", "b/a.jpg"]), ["a-2.jpg", "a.jpg", "a-3.jpg"]);
        let long = "ü".repeat(150);
        assert_eq!(names(&[&long, &long])[1], format!("{}-2.jpg", "ü".repeat(100)));
    }

    /// Numbering was quadratic once: this many would have taken hours.
    #[test]
    fn a_hundred_thousand_equal_names_are_numbered_in_one_pass() {
        let all = vec!["a.jpg"; 100_000];
        assert_eq!(names(&all).last().map(String::as_str), Some("a-100000.jpg"));
    }
}
