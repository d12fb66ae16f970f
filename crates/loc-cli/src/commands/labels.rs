//! Predictions as annotation files.

use std::path::Path;

use loc_data::ImageSize;
use loc_data::convert::voc_document;
use loc_infer::{Absent, Answer, Localization};

/// Pascal VOC XML; of a photo without an object one without `<object>`.
pub(super) fn voc(photo: &Path, answer: &Answer) -> String {
    let name = photo.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let (size, object) = match answer {
        Answer::Found(found) => {
            let Localization { width, height, .. } = *found;
            (ImageSize { width, height }, Some((found.name.as_str(), found.bbox)))
        }
        Answer::Absent(Absent { width, height, .. }) => (ImageSize { width: *width, height: *height }, None),
    };
    voc_document(&name, size, object)
}
