//! Detects boxes that are not in pixels of two corners, but in fractions of the photo, or given as a corner (or centre)
//! and a size. A single box says little, so all boxes of a file are checked together; in formats with one file per photo,
//! those of all files.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use crate::formats::Annotation;
use crate::{BBox, Diagnostic, DiagnosticKind, ImageSize};

/// How far fractions may exceed 0..1: tools round, and some do not clip.
const FRACTION_MARGIN: f32 = 0.05;
/// Photos with sides up to this many pixels may have boxes within 0..1 pixel.
const TINY_SIDE: u32 = 2;
/// From this many boxes on, a file whose boxes all have corners at 0 and 1 holds fractions (boxes of whole photos).
const MIN_WHOLE_PHOTOS: usize = 3;
/// From this many boxes on, edges in the wrong order are a pattern.
const MIN_REVERSED: usize = 2;
/// Percentage of boxes that must fit their photos in the other reading.
const MIN_FITTING_PERCENT: usize = 95;
/// How far a box that fits may exceed its photo: in pixels, and as a fraction of the side; the larger counts.
const MARGIN_PIXELS: f32 = 1.5;
const MARGIN_FRACTION: f32 = 0.01;
/// From this many boxes on, boxes within 0..100 on photos with sides above [`PERCENT_SIDE`] pixels may be percentages.
const MIN_PERCENT_BOXES: usize = 5;
const PERCENT_SIDE: u32 = 200;

/// An annotation and the size of the pixels that it refers to, if known.
#[derive(Clone, Copy)]
pub(crate) struct SizedAnnotation<'a> {
    pub(crate) annotation: &'a Annotation,
    pub(crate) size: Option<ImageSize>,
}

/// The result of [`check_units`].
#[derive(Debug, Default)]
pub(crate) struct UnitCheck {
    /// Indices of the annotations whose boxes are in other units.
    pub(crate) other_units: HashSet<usize>,
    /// One per file.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Checks the boxes of all annotations: file by file, or all files together if there is one file per photo.
pub(crate) fn check_units(annotated: &[SizedAnnotation], file_a_photo: bool) -> UnitCheck {
    let mut files: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
    for (i, sized) in annotated.iter().enumerate() {
        files.entry(&sized.annotation.source).or_default().push(i);
    }
    let files: Vec<Vec<usize>> = files.into_values().collect();
    let mut check = UnitCheck::default();
    if file_a_photo {
        check.check_scope(annotated, &files);
    } else {
        files.iter().for_each(|file| check.check_scope(annotated, std::slice::from_ref(file)));
    }
    check
}

/// A box as written, and the size of its photo, if known.
#[derive(Clone, Copy)]
struct SizedBox {
    bbox: BBox,
    size: Option<ImageSize>,
}

impl UnitCheck {
    /// Checks files that were presumably written by one program.
    fn check_scope(&mut self, annotated: &[SizedAnnotation], files: &[Vec<usize>]) {
        let all = files.iter().flatten().map(|i| annotated[*i]);
        let boxes: Vec<SizedBox> = all
            .flat_map(|sized| {
                sized.annotation.objects.iter().map(move |o| SizedBox { bbox: o.bbox, size: sized.size })
            })
            .collect();
        let count = |test: &dyn Fn(SizedBox) -> bool| boxes.iter().filter(|sized| test(**sized)).count();
        let certain = count(&|sized| fraction(sized) == Some(true));
        let possible = count(&|sized| fraction(sized).is_some());
        // If most boxes are certainly fractions, so are those with whole numbers.
        let mostly = certain * 2 > boxes.len() || (possible == boxes.len() && possible >= MIN_WHOLE_PHOTOS);
        if certain > 0 || mostly {
            for file in files {
                self.fractions(annotated, file, mostly);
            }
        }
        // All boxes are fractions: no other unit is possible.
        if possible == boxes.len() {
            return;
        }
        if let Some((reversed, order)) = order(&boxes) {
            let boxes = boxes.len();
            for file in files {
                let message = format!(
                    "in {reversed} of {boxes} boxes xmax is below xmin or ymax below ymin, and as {order} they fit their \
                     photos: are these {order}?"
                );
                self.report(annotated, file, message, "xmin, ymin, xmax, ymax are needed");
                self.other_units
                    .extend(file.iter().filter(|i| !annotated[**i].annotation.objects.is_empty()));
            }
        } else if let Some(file) = files.first()
            && percent(&boxes)
        {
            let message = format!(
                "all {} boxes lie within 0..100, although each photo has more than {} pixels a side: are these percent?",
                boxes.len(),
                PERCENT_SIDE
            );
            let annotation = annotated[file[0]].annotation;
            let diagnostic = Diagnostic::warning(
                DiagnosticKind::BoxUnits,
                &annotation.source,
                Some(annotation.line),
                message,
            );
            self.diagnostics
                .push(diagnostic.hint("pixels are needed; if they are pixels, ignore this warning"));
        }
    }

    /// Reports the boxes of a file that are fractions.
    fn fractions(&mut self, annotated: &[SizedAnnotation], file: &[usize], mostly: bool) {
        let (mut wrong, mut all) = (0, 0);
        for i in file {
            let SizedAnnotation { annotation, size } = annotated[*i];
            let is_wrong = |bbox| fraction(SizedBox { bbox, size }).is_some_and(|certain| certain || mostly);
            let of_photo = annotation.objects.iter().filter(|o| is_wrong(o.bbox)).count();
            wrong += of_photo;
            all += annotation.objects.len();
            if of_photo > 0 {
                self.other_units.insert(*i);
            }
        }
        let subject = match (wrong, all) {
            (0, _) => return,
            (1, 1) => "the box".to_owned(),
            (wrong, all) if wrong == all => format!("all {all} boxes"),
            (wrong, all) => format!("{wrong} of {all} boxes"),
        };
        let message =
            format!("{subject}: these look like fractions of the photo's size (0..1), pixels are needed");
        self.report(annotated, file, message, "multiply x by the photo's width and y by its height");
    }

    /// Adds one error about a file, at the first of its boxes in other units.
    fn report(&mut self, annotated: &[SizedAnnotation], file: &[usize], message: String, hint: &str) {
        let first = file.iter().find(|i| self.other_units.contains(i)).or(file.first());
        let Some(SizedAnnotation { annotation, .. }) = first.map(|i| annotated[*i]) else { return };
        let line = annotation.objects.first().map_or(annotation.line, |object| object.line);
        let diagnostic = Diagnostic::error(DiagnosticKind::BoxUnits, &annotation.source, Some(line), message);
        self.diagnostics.push(diagnostic.hint(hint));
    }
}

/// Whether a box may be in fractions of its photo (`Some`), and if so, whether this is certain.
fn fraction(SizedBox { bbox, size }: SizedBox) -> Option<bool> {
    let edges = bbox.xyxy();
    let within = edges.iter().all(|v| (-FRACTION_MARGIN..=1.0 + FRACTION_MARGIN).contains(v));
    let tiny = size.is_some_and(|size| size.width <= TINY_SIDE || size.height <= TINY_SIDE);
    if !within || tiny {
        return None;
    }
    let certain = edges.iter().any(|v| v.fract() != 0.0);
    // A box without width or height is an empty field rather than a fraction.
    (certain || (bbox.x1 < bbox.x2 && bbox.y1 < bbox.y2)).then_some(certain)
}

/// The number of boxes with edges in the wrong order, and the reading of the four numbers in which nearly all boxes fit
/// their photos; `None` if the boxes fit as corners.
#[expect(clippy::cast_precision_loss, reason = "sides beyond 2^24 pixels are refused when decoded")]
fn order(boxes: &[SizedBox]) -> Option<(usize, &'static str)> {
    let reversed = boxes.iter().filter(|b| b.bbox.x2 < b.bbox.x1 || b.bbox.y2 < b.bbox.y1).count();
    if reversed < MIN_REVERSED {
        return None;
    }
    let known: Vec<(BBox, ImageSize)> = boxes.iter().filter_map(|b| Some((b.bbox, b.size?))).collect();
    let fitting = |corners: fn(BBox) -> BBox| {
        let fits = |(b, size): &&(BBox, ImageSize)| {
            let b = corners(*b);
            let side = |low: f32, high: f32, side: u32| {
                let side = side as f32;
                let margin = MARGIN_PIXELS.max(side * MARGIN_FRACTION);
                low < high && low >= -margin && high <= side + margin
            };
            side(b.x1, b.x2, size.width) && side(b.y1, b.y2, size.height)
        };
        known.iter().filter(fits).count()
    };
    let as_corners = fitting(|b| b);
    let as_sizes = fitting(|b| BBox::new(b.x1, b.y1, b.x1 + b.x2, b.y1 + b.y2));
    let as_centres =
        fitting(|b| BBox::new(b.x1 - b.x2 / 2.0, b.y1 - b.y2 / 2.0, b.x1 + b.x2 / 2.0, b.y1 + b.y2 / 2.0));
    let best = as_sizes.max(as_centres);
    if best * 100 < known.len() * MIN_FITTING_PERCENT || best <= as_corners {
        return None;
    }
    let order = match as_sizes.cmp(&as_centres) {
        std::cmp::Ordering::Greater => "x, y, width, height",
        std::cmp::Ordering::Less => "centre x, centre y, width, height",
        std::cmp::Ordering::Equal => "x, y (of a corner or of the centre), width, height",
    };
    Some((reversed, order))
}

/// Whether all boxes lie within 0..100 on large photos, as percentages would.
fn percent(boxes: &[SizedBox]) -> bool {
    let within = |SizedBox { bbox, size }: &SizedBox| {
        let large = size.is_some_and(|size| size.width.min(size.height) > PERCENT_SIDE);
        large && bbox.xyxy().iter().all(|v| (0.0..=100.0).contains(v))
    };
    let blank = |SizedBox { bbox, .. }: &SizedBox| bbox.xyxy() == [0.0; 4];
    boxes.len() >= MIN_PERCENT_BOXES && boxes.iter().all(within) && !boxes.iter().all(blank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Label, Object};

    /// Checks photos of 640×480 with one box each, in one file or one file per photo. Returns the number of annotations in
    /// other units, and the first message.
    fn checked(file_a_photo: bool, boxes: &[[f32; 4]]) -> (usize, String) {
        let annotation = |(i, bbox): (u32, &[f32; 4])| {
            let object = Object { label: Label::Number(0), label_line: i, bbox: BBox::from(*bbox), line: i };
            let source = if file_a_photo { format!("{i}.xml") } else { "a.csv".into() };
            Annotation { objects: vec![object], ..Annotation::new(source.as_ref(), i, format!("{i}.jpg")) }
        };
        let annotations: Vec<Annotation> = (2..).zip(boxes).map(annotation).collect();
        let size = Some(ImageSize { width: 640, height: 480 });
        let annotated: Vec<SizedAnnotation> =
            annotations.iter().map(|annotation| SizedAnnotation { annotation, size }).collect();
        let check = check_units(&annotated, file_a_photo);
        (check.other_units.len(), check.diagnostics.first().map(ToString::to_string).unwrap_or_default())
    }

    const PIXELS: [[f32; 4]; 3] =
        [[10.0, 20.0, 600.0, 400.0], [0.0, 0.0, 640.0, 480.0], [300.5, 200.0, 400.0, 300.0]];

    #[test]
    fn fractions_of_the_photo() {
        let fractions =
            [[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 1.000_4, 0.9], [-0.001, 0.5, 0.2, 0.9]];
        let (other_units, said) = checked(false, &fractions);
        assert_eq!(other_units, 4);
        assert_eq!(
            said,
            "a.csv:2: all 4 boxes: these look like fractions of the photo's size (0..1), pixels are needed (hint: \
             multiply x by the photo's width and y by its height)"
        );
        let (other_units, said) = checked(true, &fractions);
        assert_eq!(other_units, 4);
        assert!(said.starts_with("2.xml:2: the box: these look like fractions"), "{said}");
        // Centres and sizes, as YOLO has them, are fractions first of all.
        assert!(checked(false, &[[0.5, 0.5, 0.2, 0.3], [0.7, 0.5, 0.1, 0.3]]).1.contains("fractions"));
        // Whole photos, and nothing else.
        assert_eq!(checked(false, &[[0.0, 0.0, 1.0, 1.0]; 3]).0, 3);
        // Rows of two programs in one file.
        let mixed = [&PIXELS[..], &fractions[..1]].concat();
        let (other_units, said) = checked(false, &mixed);
        assert_eq!(other_units, 1);
        assert!(said.starts_with("a.csv:5: 1 of 4 boxes: these look like fractions"), "{said}");
    }

    #[test]
    fn small_boxes_in_pixels_are_pixels() {
        let tiny = [[0.0, 0.0, 1.0, 1.0]];
        for file_a_photo in [false, true] {
            assert_eq!(checked(file_a_photo, &[&PIXELS[..], &tiny].concat()), (0, String::new()));
            assert_eq!(checked(file_a_photo, &PIXELS), (0, String::new()));
            assert_eq!(checked(file_a_photo, &tiny), (0, String::new()), "one box tells nothing");
        }
        assert_eq!(checked(false, &[[0.0; 4]; 5]), (0, String::new()), "blank forms are empty boxes");
        assert_eq!(checked(false, &[]), (0, String::new()));
    }

    #[test]
    fn a_corner_and_a_size() {
        let sizes = [[10.0, 20.0, 600.0, 400.0], [400.0, 20.0, 200.0, 300.0], [500.0, 400.0, 140.0, 80.0]];
        for (file_a_photo, place) in [(false, "a.csv:2: "), (true, "2.xml:2: ")] {
            let (other_units, said) = checked(file_a_photo, &sizes);
            assert_eq!(other_units, 3, "those that would pass as corners too");
            assert!(
                said.starts_with(&format!("{place}in 2 of 3 boxes xmax is below xmin or ymax below ymin")),
                "{said}"
            );
            assert!(said.contains("are these x, y, width, height? (hint: "), "{said}");
        }
        let centres =
            [[320.0, 240.0, 640.0, 480.0], [600.0, 400.0, 80.0, 100.0], [500.0, 100.0, 250.0, 80.0]];
        let (other_units, said) = checked(false, &centres);
        assert_eq!(other_units, 3);
        assert!(said.contains("are these centre x, centre y, width, height?"), "{said}");
    }

    #[test]
    fn a_few_edges_in_the_wrong_order_are_no_pattern() {
        let one = [&PIXELS[..], &[[200.0, 20.0, 100.0, 40.0]]].concat();
        assert_eq!(checked(false, &one).0, 0);
        let two = [&PIXELS[..], &[[200.0, 20.0, 100.0, 40.0], [300.0, 20.0, 100.0, 40.0]]].concat();
        assert_eq!(checked(false, &two).0, 0, "others only make sense as corners");
    }

    #[test]
    fn percent_is_asked_about() {
        let percent = [[10.0, 20.0, 60.0, 90.0]; 5];
        let (other_units, said) = checked(false, &percent);
        assert_eq!(other_units, 0);
        assert!(said.contains("are these percent?"), "{said}");
        assert!(!checked(false, &percent[..4]).1.contains("percent"));
    }
}
