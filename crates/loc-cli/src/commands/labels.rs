//! Predictions as annotation files.

use std::path::Path;

use loc_data::ImageSize;
use loc_data::convert::voc_document;
use loc_infer::Localization;

/// Pascal VOC XML.
pub(super) fn voc(photo: &Path, found: &Localization) -> String {
    let name = photo.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let size = ImageSize { width: found.width, height: found.height };
    voc_document(&name, size, [(found.name.as_str(), found.bbox)])
}
