//! Whether boxes are what they are taken for, pixels of two corners: or fractions of the photo, or a corner (or the
//! centre) and a size. One box tells little; all of a file, or of a set with a file a photo, tell it.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use crate::formats::Annotation;
use crate::{BBox, Finding, ImageSize, Kind};

/// How far beyond 0..1 a fraction may reach: tools round, and clip late.
const SLACK: f32 = 0.05;
/// Photos of at most so many pixels a side may have boxes within 0..1.
const TINY: u32 = 2;
/// So many boxes of a file that all have corners at 0 and 1 are fractions: of whole photos.
const ENOUGH: usize = 3;
/// So many boxes with their edges in the wrong order are a pattern.
const SEVERAL: usize = 2;
/// Of a hundred boxes so many must make sense in another order of numbers.
const MOST: usize = 95;
/// How far beyond the photo's edges a box may reach all the same, in pixels and as a share of the side.
const ROUNDING: (f32, f32) = (1.5, 0.01);
/// So many boxes within 0..100, on photos of at least so many pixels a side, are remarkable.
const PERCENT: (usize, u32) = (5, 200);

/// An annotation and, if it is known, the size of the pixels that it is of.
pub(crate) type Sized<'a> = (&'a Annotation, Option<ImageSize>);

/// What [`judge`] found.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Which annotations, by index, hold boxes that are not pixels of two corners.
    pub(crate) misread: HashSet<usize>,
    /// One a file.
    pub(crate) findings: Vec<Finding>,
}

/// Judges the boxes of all annotations, file by file; where each file is of one photo, those of all files together.
pub(crate) fn judge(annotated: &[Sized], file_a_photo: bool) -> Judged {
    let mut files: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
    for (i, (annotation, _)) in annotated.iter().enumerate() {
        files.entry(&annotation.source).or_default().push(i);
    }
    let files: Vec<Vec<usize>> = files.into_values().collect();
    let mut judged = Judged::default();
    if file_a_photo {
        judged.scope(annotated, &files);
    } else {
        files.iter().for_each(|file| judged.scope(annotated, std::slice::from_ref(file)));
    }
    judged
}

/// A box as written, and the size of its photo.
type Seen = (BBox, Option<ImageSize>);

impl Judged {
    /// Judges files that one program wrote.
    fn scope(&mut self, annotated: &[Sized], files: &[Vec<usize>]) {
        let all = files.iter().flatten().map(|i| annotated[*i]);
        let boxes: Vec<Seen> = all
            .flat_map(|(annotation, size)| annotation.objects.iter().map(move |o| (o.bbox, size)))
            .collect();
        let count = |test: &dyn Fn(Seen) -> bool| boxes.iter().filter(|seen| test(**seen)).count();
        let certain = count(&|seen| fraction(seen) == Some(true));
        let possible = count(&|seen| fraction(seen).is_some());
        // What is certain of most holds for whole numbers beside them.
        let mostly = certain * 2 > boxes.len() || (possible == boxes.len() && possible >= ENOUGH);
        if certain > 0 || mostly {
            for file in files {
                self.fractions(annotated, file, mostly);
            }
        }
        // Nothing else is left to be told.
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
                self.accuse(annotated, file, message, "xmin, ymin, xmax, ymax are needed");
                self.misread.extend(file.iter().filter(|i| !annotated[**i].0.objects.is_empty()));
            }
        } else if let Some(file) = files.first()
            && percent(&boxes)
        {
            let message = format!(
                "all {} boxes lie within 0..100, although each photo has more than {} pixels a side: are these percent?",
                boxes.len(),
                PERCENT.1
            );
            let (annotation, _) = annotated[file[0]];
            let finding =
                Finding::warning(Kind::BoxUnits, &annotation.source, Some(annotation.line), message);
            self.findings.push(finding.hint("pixels are needed; if they are pixels, all is well"));
        }
    }

    /// Names one file's boxes that are fractions.
    fn fractions(&mut self, annotated: &[Sized], file: &[usize], mostly: bool) {
        let (mut wrong, mut all) = (0, 0);
        for i in file {
            let (annotation, size) = annotated[*i];
            let is_wrong = |bbox| fraction((bbox, size)).is_some_and(|certain| certain || mostly);
            let of_photo = annotation.objects.iter().filter(|o| is_wrong(o.bbox)).count();
            wrong += of_photo;
            all += annotation.objects.len();
            if of_photo > 0 {
                self.misread.insert(*i);
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
        self.accuse(annotated, file, message, "multiply x by the photo's width and y by its height");
    }

    /// One error about a file, at the first of its boxes that is misread.
    fn accuse(&mut self, annotated: &[Sized], file: &[usize], message: String, hint: &str) {
        let misread = file.iter().find(|i| self.misread.contains(i)).or(file.first());
        let Some((annotation, _)) = misread.map(|i| annotated[*i]) else { return };
        let line = annotation.objects.first().map_or(annotation.line, |object| object.line);
        let finding = Finding::error(Kind::BoxUnits, &annotation.source, Some(line), message);
        self.findings.push(finding.hint(hint));
    }
}

/// Whether a box may be in fractions of its photo, and if so, whether it can be nothing else.
fn fraction((bbox, size): Seen) -> Option<bool> {
    let edges = bbox.xyxy();
    let within = edges.iter().all(|v| (-SLACK..=1.0 + SLACK).contains(v));
    let tiny = size.is_some_and(|size| size.width <= TINY || size.height <= TINY);
    if !within || tiny {
        return None;
    }
    let certain = edges.iter().any(|v| v.fract() != 0.0);
    // Without a width it is a blank form rather than a fraction.
    (certain || (bbox.x1 < bbox.x2 && bbox.y1 < bbox.y2)).then_some(certain)
}

/// How many boxes have their edges in the wrong order, and the order of numbers in which nearly all of them are boxes of
/// their photos; nothing where they are, more or less, corners.
#[expect(clippy::cast_precision_loss, reason = "sides beyond 2^24 pixels are refused when decoded")]
fn order(boxes: &[Seen]) -> Option<(usize, &'static str)> {
    let reversed = boxes.iter().filter(|(b, _)| b.x2 < b.x1 || b.y2 < b.y1).count();
    if reversed < SEVERAL {
        return None;
    }
    let known: Vec<(BBox, ImageSize)> = boxes.iter().filter_map(|(b, size)| Some((*b, (*size)?))).collect();
    let fitting = |corners: fn(BBox) -> BBox| {
        let fits = |(b, size): &&(BBox, ImageSize)| {
            let b = corners(*b);
            let side = |low: f32, high: f32, side: u32| {
                let side = side as f32;
                let slack = ROUNDING.0.max(side * ROUNDING.1);
                low < high && low >= -slack && high <= side + slack
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
    if best * 100 < known.len() * MOST || best <= as_corners {
        return None;
    }
    let order = match as_sizes.cmp(&as_centres) {
        std::cmp::Ordering::Greater => "x, y, width, height",
        std::cmp::Ordering::Less => "centre x, centre y, width, height",
        std::cmp::Ordering::Equal => "x, y (of a corner or of the centre), width, height",
    };
    Some((reversed, order))
}

/// Whether all boxes lie in the upper left of large photos, as percentages would.
fn percent(boxes: &[Seen]) -> bool {
    let within = |(bbox, size): &Seen| {
        let large = size.is_some_and(|size| size.width.min(size.height) > PERCENT.1);
        large && bbox.xyxy().iter().all(|v| (0.0..=100.0).contains(v))
    };
    let blank = |(bbox, _): &Seen| bbox.xyxy() == [0.0; 4];
    boxes.len() >= PERCENT.0 && boxes.iter().all(within) && !boxes.iter().all(blank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Label, Object};

    /// Photos of 640×480 with a box each: of one file, or of a file each. What is misread, and what is said first.
    fn judged(file_a_photo: bool, boxes: &[[f32; 4]]) -> (usize, String) {
        let annotation = |(i, bbox): (u32, &[f32; 4])| {
            let object = Object { label: Label::Number(0), label_line: i, bbox: BBox::from(*bbox), line: i };
            Annotation {
                source: if file_a_photo { format!("{i}.xml") } else { "a.csv".into() }.into(),
                line: i,
                photo: format!("{i}.jpg"),
                size: None,
                objects: vec![object],
                defective: false,
            }
        };
        let annotations: Vec<Annotation> = (2..).zip(boxes).map(annotation).collect();
        let size = Some(ImageSize { width: 640, height: 480 });
        let annotated: Vec<Sized> = annotations.iter().map(|a| (a, size)).collect();
        let judged = judge(&annotated, file_a_photo);
        (judged.misread.len(), judged.findings.first().map(ToString::to_string).unwrap_or_default())
    }

    const PIXELS: [[f32; 4]; 3] =
        [[10.0, 20.0, 600.0, 400.0], [0.0, 0.0, 640.0, 480.0], [300.5, 200.0, 400.0, 300.0]];

    #[test]
    fn fractions_of_the_photo() {
        let fractions =
            [[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 1.000_4, 0.9], [-0.001, 0.5, 0.2, 0.9]];
        let (misread, said) = judged(false, &fractions);
        assert_eq!(misread, 4);
        assert_eq!(
            said,
            "a.csv:2: all 4 boxes: these look like fractions of the photo's size (0..1), pixels are needed (hint: \
             multiply x by the photo's width and y by its height)"
        );
        let (misread, said) = judged(true, &fractions);
        assert_eq!(misread, 4);
        assert!(said.starts_with("2.xml:2: the box: these look like fractions"), "{said}");
        // Centres and sizes, as YOLO has them, are fractions first of all.
        assert!(judged(false, &[[0.5, 0.5, 0.2, 0.3], [0.7, 0.5, 0.1, 0.3]]).1.contains("fractions"));
        // Whole photos, and nothing else.
        assert_eq!(judged(false, &[[0.0, 0.0, 1.0, 1.0]; 3]).0, 3);
        // Rows of two programs in one file.
        let mixed = [&PIXELS[..], &fractions[..1]].concat();
        let (misread, said) = judged(false, &mixed);
        assert_eq!(misread, 1);
        assert!(said.starts_with("a.csv:5: 1 of 4 boxes: these look like fractions"), "{said}");
    }

    #[test]
    fn small_boxes_in_pixels_are_pixels() {
        let tiny = [[0.0, 0.0, 1.0, 1.0]];
        for file_a_photo in [false, true] {
            assert_eq!(judged(file_a_photo, &[&PIXELS[..], &tiny].concat()), (0, String::new()));
            assert_eq!(judged(file_a_photo, &PIXELS), (0, String::new()));
            assert_eq!(judged(file_a_photo, &tiny), (0, String::new()), "one box tells nothing");
        }
        assert_eq!(judged(false, &[[0.0; 4]; 5]), (0, String::new()), "blank forms are empty boxes");
        assert_eq!(judged(false, &[]), (0, String::new()));
    }

    #[test]
    fn a_corner_and_a_size() {
        let sizes = [[10.0, 20.0, 600.0, 400.0], [400.0, 20.0, 200.0, 300.0], [500.0, 400.0, 140.0, 80.0]];
        for (file_a_photo, place) in [(false, "a.csv:2: "), (true, "2.xml:2: ")] {
            let (misread, said) = judged(file_a_photo, &sizes);
            assert_eq!(misread, 3, "those that would pass as corners too");
            assert!(
                said.starts_with(&format!("{place}in 2 of 3 boxes xmax is below xmin or ymax below ymin")),
                "{said}"
            );
            assert!(said.contains("are these x, y, width, height? (hint: "), "{said}");
        }
        let centres =
            [[320.0, 240.0, 640.0, 480.0], [600.0, 400.0, 80.0, 100.0], [500.0, 100.0, 250.0, 80.0]];
        let (misread, said) = judged(false, &centres);
        assert_eq!(misread, 3);
        assert!(said.contains("are these centre x, centre y, width, height?"), "{said}");
    }

    #[test]
    fn a_few_edges_in_the_wrong_order_are_no_pattern() {
        let one = [&PIXELS[..], &[[200.0, 20.0, 100.0, 40.0]]].concat();
        assert_eq!(judged(false, &one).0, 0);
        let two = [&PIXELS[..], &[[200.0, 20.0, 100.0, 40.0], [300.0, 20.0, 100.0, 40.0]]].concat();
        assert_eq!(judged(false, &two).0, 0, "others only make sense as corners");
    }

    #[test]
    fn percent_is_asked_about() {
        let percent = [[10.0, 20.0, 60.0, 90.0]; 5];
        let (misread, said) = judged(false, &percent);
        assert_eq!(misread, 0);
        assert!(said.contains("are these percent?"), "{said}");
        assert!(!judged(false, &percent[..4]).1.contains("percent"));
    }
}
