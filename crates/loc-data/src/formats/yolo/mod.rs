//! YOLO: a text file a photo, one line an object: a class's number and a box by centre, width and height in fractions of
//! the photo. The names and the split: `names`.

mod names;
pub(crate) mod yaml;

use std::path::{Path, PathBuf};

use encoding_rs::Encoding;
use rayon::prelude::*;

use super::coco::bounds;
use super::number::{self, decimal, quoted, whole};
use super::registry::{FilesReader, Reader};
use super::{Annotation, Annotations, Label, Object, Request, Scope, Unit, class_name, read_limited, text};
use crate::diagnostics::MOST;
use crate::file_index::{FileIndex, is_annotation_folder, stem_of};
use crate::{BBox, Diagnostic, DiagnosticKind};

use self::names::Listing;

pub(super) const READER: Reader = Reader {
    file_a_photo: true,
    json: None,
    files: Some(FilesReader {
        recognise: |files, _| files.texts.iter().any(|path| looks_like(path)),
        read: read_all,
    }),
};

/// Longest label file that is read, in bytes.
const SIZE_LIMIT: u64 = 1 << 20;
/// What to try with a line that is no label.
const LINE_HINT: &str = "a label is `class x_center y_center width height`, in fractions of the photo";

/// A number above this is no fraction of a photo, however badly a box was clipped.
const PIXELS_FROM: f64 = 4.0;

/// Files in text that lie beside labels and are none.
const NO_LABELS: [&str; 12] = [
    "classes.txt",
    "class.txt",
    "names.txt",
    "labels.txt",
    "label.txt",
    "predefined_classes.txt",
    "train.txt",
    "val.txt",
    "valid.txt",
    "test.txt",
    "requirements.txt",
    "license.txt",
];

/// Whether a text file may be a label file by its name.
fn may_be_labels(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    !NO_LABELS.contains(&&*name) && !name.starts_with("readme") && !name.ends_with(".labels")
}

/// Whether a text file's first line is a label.
fn looks_like(path: &Path) -> bool {
    let mut head = [0; 4096];
    let read = fs_err::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut head));
    let head = text::head(&head[..read.unwrap_or(0)]);
    let first = head.trim_start_matches('\u{feff}').lines().map(str::trim).find(|line| !line.is_empty());
    let is_label = |line| match line_of(line) {
        Ok(_) => true,
        Err((kind, _)) => kind == DiagnosticKind::BoxUnits,
    };
    may_be_labels(path) && first.is_some_and(is_label)
}

/// Whether a file is a `data.yaml`, which describes a set and is given in its place.
pub(crate) fn is_description(path: &Path) -> bool {
    let is_yaml =
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"));
    is_yaml && names::Kind::of(path, None).is_some()
}

/// Reads the label files of a folder, in their order: text files that lie in a folder of labels, are named like a photo, or
/// begin like a label.
fn read_all(files: &FileIndex, request: &Request<'_>) -> Annotations {
    let listing = Listing::of(files, request.encoding);
    let is_labels = |path: &&PathBuf| {
        let is_named_like_a_photo = || files.find_by_annotation_name(path).is_some();
        may_be_labels(path)
            && (path.parent().is_some_and(is_annotation_folder)
                || is_named_like_a_photo()
                || looks_like(path))
    };
    let labels: Vec<_> = files.texts.par_iter().filter(is_labels).collect();
    let read: Vec<Annotations> = labels.par_iter().map(|path| read(path, request.encoding)).collect();
    let mut all = Annotations {
        split: listing.split,
        diagnostics: listing.diagnostics,
        incomplete: listing.doubtful,
        ..Annotations::default()
    };
    read.into_iter().for_each(|one| all.append(one));
    if !listing.names.is_empty() {
        name_classes(&mut all, &listing.names, listing.source.as_deref());
    }
    all
}

/// Replaces the numbers of classes by their names.
fn name_classes(all: &mut Annotations, names: &[String], source: Option<&Path>) {
    let source = source.map(|path| path.display().to_string()).unwrap_or_default();
    for photo in &mut all.photos {
        for object in &mut photo.objects {
            let Label::Number(number) = object.label else { continue };
            let name = usize::try_from(number)
                .ok()
                .and_then(|i| names.get(i))
                .filter(|name| !name.trim().is_empty());
            match name.map(|name| class_name(name.clone())) {
                Some(Ok(label)) => object.label = label,
                _ => {
                    photo.defective = true;
                    let message =
                        format!("class number {number}, but {} names are listed in {source}", names.len());
                    let line = Some(object.label_line);
                    all.diagnostics.push(
                        Diagnostic::error(DiagnosticKind::ClassUnknown, &photo.source, line, message)
                            .hint("numbers count from 0; correct the number, or add the name"),
                    );
                }
            }
        }
    }
    all.classes = names.to_vec();
}

fn read(path: &Path, given: Option<&'static Encoding>) -> Annotations {
    match read_limited(path, SIZE_LIMIT) {
        Ok(bytes) => parse(path, bytes, given),
        Err(why) => Annotations::broken(path, Diagnostic::error(DiagnosticKind::Unreadable, path, None, why)),
    }
}

/// Parses the bytes of one label file; `path` is for messages and names the photo.
pub(crate) fn parse(path: &Path, bytes: Vec<u8>, given: Option<&'static Encoding>) -> Annotations {
    let text = match text::of_plain(path, bytes, given) {
        Ok(text) => text,
        Err(why) => return Annotations::broken(path, why),
    };
    let mut read = Annotations::default();
    let mut photo = Annotation {
        unit: Unit::Fraction,
        scope: Scope::OneOfSameName,
        ..Annotation::new(path, 1, stem_of(path).to_owned())
    };
    let (mut outlines, mut corners) = (0, 0);
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
        if read.diagnostics.len() >= MOST {
            read.incomplete = true;
            break;
        }
        match line_of(line) {
            Ok((class, shape)) => {
                match shape {
                    Shape::Box(_) => {}
                    Shape::Corners(_) => corners += 1,
                    Shape::Outline(_) => outlines += 1,
                }
                if let Some(bbox) = shape.bbox() {
                    let label = Label::Number(class);
                    photo.objects.push(Object { label, label_line: number, bbox, line: number });
                }
            }
            Err((kind, why)) => {
                photo.defective = true;
                read.diagnostics.push(Diagnostic::error(kind, path, Some(number), why).hint(LINE_HINT));
            }
        }
    }
    let derived = |count: usize, what: &str| {
        let message = format!("{}: the box around each is used", crate::error::count(count, what));
        Diagnostic::warning(DiagnosticKind::BoxDerived, path, None, message)
    };
    if outlines > 0 {
        read.diagnostics.push(derived(outlines, "segmentation outline"));
    }
    if corners > 0 {
        read.diagnostics.push(derived(corners, "oriented box"));
    }
    read.photos.push(photo);
    read
}

/// What a line holds behind its class.
enum Shape {
    /// Centre, width, height.
    Box([f64; 4]),
    /// Four corners: an oriented box.
    Corners(Vec<f64>),
    /// The points of an outline: a segmentation.
    Outline(Vec<f64>),
}

impl Shape {
    fn bbox(&self) -> Option<BBox> {
        match self {
            Self::Box([x, y, w, h]) => {
                Some(number::bbox([x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]))
            }
            Self::Corners(points) | Self::Outline(points) => {
                bounds(points.chunks_exact(2).map(|point| (point[0], point[1])))
            }
        }
    }
}

/// A line's class and shape. A sixth field, the confidence of a prediction, is passed over.
fn line_of(line: &str) -> Result<(u32, Shape), (DiagnosticKind, String)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let class = whole(fields.first().copied().unwrap_or_default())
        .map_err(|why| (DiagnosticKind::Number, format!("class {why}")))?;
    let numbers = fields[1..]
        .iter()
        .map(|field| decimal(field))
        .collect::<Result<Vec<f64>, String>>()
        .map_err(|why| (DiagnosticKind::Number, why))?;
    match numbers[..] {
        [x, y, w, h] | [x, y, w, h, _] if x.max(y).max(w).max(h) > PIXELS_FROM => {
            Err((DiagnosticKind::BoxUnits, format!("{} is in pixels, it seems", quoted(line))))
        }
        [x, y, w, h] | [x, y, w, h, _] => Ok((class, Shape::Box([x, y, w, h]))),
        _ if numbers.len() == 8 => Ok((class, Shape::Corners(numbers))),
        _ if numbers.len() >= 6 && numbers.len().is_multiple_of(2) => Ok((class, Shape::Outline(numbers))),
        _ => Err((DiagnosticKind::Syntax, format!("{} has {} fields", quoted(line), fields.len()))),
    }
}
