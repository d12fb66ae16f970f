//! Boxes as fractions become boxes in pixels.

use std::borrow::Cow;
use std::path::PathBuf;

use super::SampleBuilder;
use crate::formats::{Annotation, Unit, number};
use crate::photo::Photo;

impl SampleBuilder<'_> {
    /// The annotations with boxes in pixels: fractions need the photo's size.
    pub(super) fn in_pixels<'b>(
        &self,
        found: &[(PathBuf, &'b Annotation)],
        photos: &[Result<Photo, String>],
    ) -> Vec<Cow<'b, Annotation>> {
        let scaled = |((_, annotation), photo): (&(PathBuf, &'b Annotation), &Result<Photo, String>)| {
            let size = photo.as_ref().ok().map(|photo| self.annotated(photo));
            match (annotation.unit, size) {
                (Unit::Fraction, Some(size)) => {
                    let (w, h) = (f64::from(size.width), f64::from(size.height));
                    let mut own = (*annotation).clone();
                    for object in &mut own.objects {
                        let b = object.bbox;
                        let [x1, y1, x2, y2] = [b.x1, b.y1, b.x2, b.y2].map(f64::from);
                        object.bbox = number::bbox([x1 * w, y1 * h, x2 * w, y2 * h]);
                    }
                    Cow::Owned(own)
                }
                // Without its photo a fraction is no number of pixels; the photo's own error keeps it out.
                (Unit::Fraction, None) => {
                    Cow::Owned(Annotation { objects: Vec::new(), defective: true, ..(*annotation).clone() })
                }
                (Unit::Pixels, _) => Cow::Borrowed(*annotation),
            }
        };
        found.iter().zip(photos).map(scaled).collect()
    }
}
