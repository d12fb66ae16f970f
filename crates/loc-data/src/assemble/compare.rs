//! One annotation beside its photo: sizes, EXIF, boxes.

use std::collections::HashSet;
use std::path::Path;

use super::Assembly;
use crate::classes::Classes;
use crate::formats::number::quoted;
use crate::formats::{Annotation, Label, Object};
use crate::photo::Photo;
use crate::{BBox, Exif, Finding, ImageSize, Kind};

/// A box may reach less than this beyond the photo, in pixels: rounding. It is clipped, with a warning.
const ROUNDING: f32 = 1.0;

impl Assembly<'_> {
    /// The size of the pixels that an annotation of this photo is of.
    pub(super) fn annotated(&self, photo: &Photo) -> ImageSize {
        match self.options.exif {
            Exif::AsStored => photo.stored(),
            Exif::Undecided | Exif::Upright => photo.size,
        }
    }

    /// The annotation's size against the photo's, what EXIF says against both, and the photo's name against its content.
    pub(super) fn compare(&mut self, annotation: &Annotation, path: &Path, photo: &Photo) {
        if photo.misnamed(path) {
            let format = format!("{:?}", photo.format).to_uppercase();
            let message = format!("is a {format}, whatever its name says: it is read by its content");
            self.findings.push(Finding::warning(Kind::PhotoMisnamed, path, None, message));
        }
        if let Some((size, line)) = annotation.size.filter(|(size, _)| size.is_empty()) {
            let message = format!("the size is given as {size}, which counts as none");
            self.findings.push(Finding::warning(Kind::SizeUnknown, &annotation.source, Some(line), message));
        }
        let declared = annotation.size.filter(|(size, _)| !size.is_empty());
        let size = self.annotated(photo);
        if let Some((declared, line)) = declared.filter(|(declared, _)| *declared != size) {
            let name = quoted(&annotation.photo);
            let exchanged = declared == ImageSize { width: size.height, height: size.width };
            let (message, hint) = if exchanged && photo.stored() == photo.size {
                let message = format!(
                    "width and height are exchanged: given as {declared}, the photo {name} is {size}"
                );
                (message, "exchange them; if x and y of the boxes are exchanged too, annotate the photo anew")
            } else {
                let hint = match (exchanged, self.options.exif) {
                    (true, Exif::AsStored) => "that is the upright photo's size: `--exif upright`",
                    (true, _) => {
                        "the photo's EXIF orientation turns it upright; it seems to be annotated as stored: `--exif \
                         as-stored`"
                    }
                    (false, _) => "the photo was resized after it was annotated, or is another one",
                };
                let stored = if self.options.exif == Exif::AsStored { " as stored" } else { "" };
                (format!("the size is given as {declared}, the photo {name} is {size}{stored}"), hint)
            };
            self.error_at(Kind::SizeMismatch, annotation, line, message, Some(hint.into()));
        } else if photo.is_turned()
            && self.options.exif == Exif::Undecided
            && (declared.is_none() || photo.stored() == photo.size)
        {
            let message = format!(
                "EXIF turns or mirrors {}, and nothing says whether its boxes are of the upright photo: they are taken so",
                quoted(&annotation.photo)
            );
            let finding =
                Finding::warning(Kind::Orientation, &annotation.source, Some(annotation.line), message);
            self.findings.push(
                finding.hint("`--exif upright` if so, `--exif as-stored` if they are of the stored pixels"),
            );
        }
    }

    /// The objects of a photo whose classes and boxes are sound, the boxes on the upright photo.
    pub(super) fn objects<'b>(
        &mut self,
        annotation: &'b Annotation,
        photo: Option<&Photo>,
        classes: &Classes,
    ) -> Vec<(&'b Object, BBox)> {
        let size = photo.map(|photo| self.annotated(photo));
        let turned = photo.filter(|_| self.options.exif == Exif::AsStored);
        let mut boxes: Vec<(&Object, BBox)> = Vec::new();
        let mut seen: HashSet<(&Label, [u32; 4])> = HashSet::new();
        let mut again: Option<(u32, usize)> = None;
        for object in &annotation.objects {
            if !seen.insert((&object.label, object.bbox.xyxy().map(f32::to_bits))) {
                again.get_or_insert((object.line, 0)).1 += 1;
                continue;
            }
            if let Err((message, hint)) = classes.index(&object.label) {
                self.error_at(Kind::ClassUnknown, annotation, object.label_line, message, hint);
            }
            match checked(object.bbox, size) {
                Ok((bbox, clipped)) => {
                    if let Some(message) = clipped {
                        let at = (&annotation.source, Some(object.line));
                        self.findings.push(Finding::warning(Kind::BoxClipped, at.0, at.1, message));
                    }
                    boxes.push((object, turned.map_or(bbox, |photo| photo.upright(bbox))));
                }
                Err(wrong) => {
                    for (kind, reason) in wrong {
                        let hint = "correct the box with the annotation tool";
                        self.error_at(kind, annotation, object.line, reason, Some(hint.into()));
                    }
                }
            }
        }
        if let Some((line, times)) = again {
            let times = crate::error::count(times, "time");
            let message =
                format!("{} has the same object again, {times}: it counts once", quoted(&annotation.photo));
            self.findings.push(Finding::warning(Kind::PhotoDoubled, &annotation.source, Some(line), message));
        }
        boxes
    }
}

/// What is wrong with a box.
type Faults = Vec<(Kind, String)>;

/// The box inside its photo, and what was clipped.
///
/// # Errors
///
/// Each thing that is wrong with it.
fn checked(bbox: BBox, size: Option<ImageSize>) -> Result<(BBox, Option<String>), Faults> {
    let mut wrong = Faults::new();
    let mut clipped = Vec::new();
    let BBox { x1, y1, x2, y2 } = bbox;
    for (low, high, a, b, what) in [("xmin", "xmax", x1, x2, "width"), ("ymin", "ymax", y1, y2, "height")] {
        if b < a {
            wrong.push((Kind::BoxEmpty, format!("{high} {b} is less than {low} {a}")));
        } else if a == b {
            wrong.push((Kind::BoxEmpty, format!("the box has no {what}: {low} and {high} are {a}")));
        }
    }
    let Some(size) = size else {
        return if wrong.is_empty() { Ok((bbox, None)) } else { Err(wrong) };
    };
    #[expect(clippy::cast_precision_loss, reason = "sides beyond 2^24 pixels are refused when decoded")]
    let (w, h) = (size.width as f32, size.height as f32);
    for (field, value, side, what) in
        [("xmin", x1, w, "wide"), ("ymin", y1, h, "high"), ("xmax", x2, w, "wide"), ("ymax", y2, h, "high")]
    {
        let beyond = (-value).max(value - side);
        if beyond >= ROUNDING {
            let message = format!("{field} {value} lies outside the photo, which is {side} {what}");
            wrong.push((Kind::BoxOutside, message));
        } else if beyond > 0.0 {
            clipped
                .push(format!("{field} {value} lies {beyond} px outside the photo, which is {side} {what}"));
        }
    }
    let inside = bbox.clip(size);
    if wrong.is_empty() && inside.area() <= 0.0 {
        wrong.push((Kind::BoxOutside, "the box has no area inside the photo".into()));
    }
    if wrong.is_empty() {
        let message = (!clipped.is_empty()).then(|| format!("clipped: {}", clipped.join(", ")));
        Ok((inside, message))
    } else {
        Err(wrong)
    }
}
