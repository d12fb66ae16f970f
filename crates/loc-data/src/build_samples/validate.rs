//! Validates an annotation against its photo: sizes, EXIF orientation, boxes.

use std::collections::HashSet;
use std::path::Path;

use super::SampleBuilder;
use crate::classes::{ClassError, Classes};
use crate::formats::number::quoted;
use crate::formats::{Annotation, Label, Object};
use crate::photo::Photo;
use crate::{BBox, Diagnostic, DiagnosticKind, Exif, Hint, ImageSize, Remedy};

/// A box that exceeds its photo by less than this many pixels (rounding) is clipped, with a warning.
const MAX_CLIPPED: f32 = 1.0;

impl SampleBuilder<'_> {
    /// The size of the pixels that the annotations of this photo refer to.
    pub(super) fn annotated(&self, photo: &Photo) -> ImageSize {
        match self.options.exif {
            Exif::AsStored => photo.stored(),
            Exif::Undecided | Exif::Upright => photo.size,
        }
    }

    /// Compares the annotated size with the photo's, considering EXIF, and the photo's extension with its content.
    pub(super) fn compare(&mut self, annotation: &Annotation, path: &Path, photo: &Photo) {
        if photo.misnamed(path) {
            let format = format!("{:?}", photo.format).to_uppercase();
            let message = format!("is a {format} despite its extension: it is read by its content");
            self.diagnostics.push(Diagnostic::warning(DiagnosticKind::PhotoMisnamed, path, None, message));
        }
        if let Some((size, line)) = annotation.size.filter(|(size, _)| size.is_empty()) {
            let message = format!("the size is given as {size} and ignored");
            self.diagnostics.push(Diagnostic::warning(
                DiagnosticKind::SizeUnknown,
                &annotation.source,
                Some(line),
                message,
            ));
        }
        let declared = annotation.size.filter(|(size, _)| !size.is_empty());
        let size = self.annotated(photo);
        if let Some((declared, line)) = declared.filter(|(declared, _)| *declared != size) {
            let name = quoted(&annotation.photo);
            let swapped = declared == ImageSize { width: size.height, height: size.width };
            let (message, hint) = if swapped && photo.stored() == photo.size {
                let message =
                    format!("width and height are swapped: given as {declared}, the photo {name} is {size}");
                (
                    message,
                    Hint::from(
                        "swap them; if x and y of the boxes are swapped too, annotate the photo again",
                    ),
                )
            } else {
                let hint = match (swapped, self.options.exif) {
                    (true, Exif::AsStored) => {
                        Hint::option("that is the size of the upright photo", Remedy::Exif(Exif::Upright))
                    }
                    (true, _) => Hint::option(
                        "EXIF rotates the photo; it was probably annotated as stored",
                        Remedy::Exif(Exif::AsStored),
                    ),
                    (false, _) => "the photo was resized after it was annotated, or is another one".into(),
                };
                let stored = if self.options.exif == Exif::AsStored { " as stored" } else { "" };
                (format!("the size is given as {declared}, the photo {name} is {size}{stored}"), hint)
            };
            self.error_at(DiagnosticKind::SizeMismatch, annotation, line, message, Some(hint));
        } else if photo.is_rotated()
            && !annotation.objects.is_empty()
            && self.options.exif == Exif::Undecided
            && (declared.is_none() || photo.stored() == photo.size)
        {
            let message = format!(
                "EXIF rotates or flips {}, and it is unknown whether its boxes refer to the upright photo: this is assumed",
                quoted(&annotation.photo)
            );
            let diagnostic = Diagnostic::warning(
                DiagnosticKind::Orientation,
                &annotation.source,
                Some(annotation.line),
                message,
            );
            self.diagnostics.push(
                diagnostic
                    .hint(Hint::option("say which pixels the boxes refer to", Remedy::Exif(Exif::Undecided))),
            );
        }
    }

    /// The objects of a photo with valid boxes, mapped to the upright photo.
    pub(super) fn objects<'b>(
        &mut self,
        annotation: &'b Annotation,
        photo: Option<&Photo>,
        classes: &Classes,
    ) -> Vec<(&'b Object, BBox)> {
        let size = photo.map(|photo| self.annotated(photo));
        let rotated = photo.filter(|_| self.options.exif == Exif::AsStored);
        let mut boxes: Vec<(&Object, BBox)> = Vec::new();
        let mut seen: HashSet<(&Label, [u32; 4])> = HashSet::new();
        let mut again: Option<(u32, usize)> = None;
        for object in &annotation.objects {
            if !seen.insert((&object.label, object.bbox.xyxy().map(f32::to_bits))) {
                again.get_or_insert((object.line, 0)).1 += 1;
                continue;
            }
            if let Err(ClassError { message, hint }) = classes.index(&object.label) {
                self.error_at(DiagnosticKind::ClassUnknown, annotation, object.label_line, message, hint);
            }
            match checked(object.bbox, size, self.options.repair) {
                Ok((bbox, warnings)) => {
                    for (kind, message) in warnings {
                        self.diagnostics.push(Diagnostic::warning(
                            kind,
                            &annotation.source,
                            Some(object.line),
                            message,
                        ));
                    }
                    boxes.push((object, rotated.map_or(bbox, |photo| photo.upright(bbox))));
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
                format!("{} has the same object again, {times}: it is used once", quoted(&annotation.photo));
            self.diagnostics.push(Diagnostic::warning(
                DiagnosticKind::PhotoDoubled,
                &annotation.source,
                Some(line),
                message,
            ));
        }
        boxes
    }
}

/// Errors or warnings about a box.
type Faults = Vec<(DiagnosticKind, String)>;

/// Returns the box clipped to its photo, with warnings about what was changed. With `repair`, also one that exceeds its photo
/// by more than rounding, or whose corners are in the wrong order.
///
/// # Errors
///
/// All errors of the box.
fn checked(bbox: BBox, size: Option<ImageSize>, repair: bool) -> Result<(BBox, Faults), Faults> {
    let (mut wrong, mut changed) = (Faults::new(), Faults::new());
    let mut clipped = Vec::new();
    let BBox { mut x1, mut y1, mut x2, mut y2 } = bbox;
    let axes = [("xmin", "xmax", &mut x1, &mut x2, "width"), ("ymin", "ymax", &mut y1, &mut y2, "height")];
    for (low, high, a, b, what) in axes {
        if b < a && repair {
            changed.push((
                DiagnosticKind::BoxRepaired,
                format!("repaired: {low} {a} and {high} {b} are swapped"),
            ));
            std::mem::swap(a, b);
        } else if b < a {
            wrong.push((DiagnosticKind::BoxEmpty, format!("{high} {b} is less than {low} {a}")));
        } else if a == b {
            wrong
                .push((DiagnosticKind::BoxEmpty, format!("the box has no {what}: {low} and {high} are {a}")));
        }
    }
    let bbox = BBox { x1, y1, x2, y2 };
    let Some(size) = size else {
        return if wrong.is_empty() { Ok((bbox, changed)) } else { Err(wrong) };
    };
    #[expect(clippy::cast_precision_loss, reason = "sides beyond 2^24 pixels are refused when decoded")]
    let (w, h) = (size.width as f32, size.height as f32);
    let mut most = 0.0f32;
    for (field, value, side, what) in
        [("xmin", x1, w, "wide"), ("ymin", y1, h, "high"), ("xmax", x2, w, "wide"), ("ymax", y2, h, "high")]
    {
        let beyond = (-value).max(value - side);
        most = most.max(beyond);
        if beyond >= MAX_CLIPPED && !repair {
            let message = format!("{field} {value} lies outside the photo, which is {side} {what}");
            wrong.push((DiagnosticKind::BoxOutside, message));
        } else if beyond > 0.0 {
            clipped
                .push(format!("{field} {value} lies {beyond} px outside the photo, which is {side} {what}"));
        }
    }
    let inside = bbox.clip(size);
    if wrong.is_empty() && inside.area() <= 0.0 {
        wrong.push((DiagnosticKind::BoxOutside, "the box has no area inside the photo".into()));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    if !clipped.is_empty() {
        let clipped = clipped.join(", ");
        changed.push(match most >= MAX_CLIPPED {
            true => (DiagnosticKind::BoxRepaired, format!("repaired: clipped: {clipped}")),
            false => (DiagnosticKind::BoxClipped, format!("clipped: {clipped}")),
        });
    }
    Ok((inside, changed))
}
