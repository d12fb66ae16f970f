//! The photos' names and subsets, and the error where there is no photo.

use std::collections::HashMap;
use std::path::Path;

use loc_infer::preprocess::FileKind;

use crate::file_index::{FileIndex, name_of, photo_folders_beside};
use crate::split::{DeclaredSplit, Subset};
use crate::{Diagnostic, DiagnosticKind};

/// The error if no annotation has a photo.
pub(super) fn no_photos(files: &FileIndex, path: &Path) -> Diagnostic {
    if files.readable() > 0 {
        let message = format!("no annotation has a photo, among {}", files.describe());
        let hint = "do the annotations belong to these photos?";
        return Diagnostic::error(DiagnosticKind::PhotoMissing, path, None, message).hint(hint);
    }
    let others = files.other_files();
    let only = if others.total() > 0 { format!(", only {others}") } else { String::new() };
    let diagnostic =
        Diagnostic::error(DiagnosticKind::PhotoMissing, path, None, format!("no photo found{only}"));
    let beside = photo_folders_beside(&files.root).into_iter().next();
    match (others.hint(), beside) {
        (Some(hint), _) => diagnostic.hint(hint),
        (None, Some(beside)) => {
            diagnostic.hint(format!("{} is beside it: give the folder that contains both", beside.display()))
        }
        (None, None) => {
            let endings: Vec<String> = FileKind::read_endings().map(|ending| format!(".{ending}")).collect();
            diagnostic.hint(format!("photos end in {}", endings.join(", ")))
        }
    }
}

/// Names each photo after its file, or by the path below the root if another of these photos has the same file name; and
/// sets the subset: that of the annotation, or what the data set declares, or what the photo's folder stands for.
pub(super) fn set_names<'a>(
    photos: impl Iterator<Item = (&'a Path, &'a mut String, &'a mut Option<Subset>)>,
    files: &FileIndex,
    declared: &DeclaredSplit,
) {
    let photos: Vec<_> = photos.collect();
    let mut times: HashMap<String, usize> = HashMap::new();
    for (image, ..) in &photos {
        *times.entry(name_of(image).to_owned()).or_default() += 1;
    }
    for (image, file, subset) in photos {
        let name = name_of(image);
        let once = times[name] == 1;
        // The folders of a photo outside the root have no meaning here.
        let Some(below) = files.below(image) else {
            *file = if once { name.to_owned() } else { image.to_string_lossy().into_owned() };
            continue;
        };
        let parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let folders = parts.split_last().map_or(&[][..], |(_, folders)| folders);
        *subset = subset
            .or_else(|| declared.of(image))
            .or_else(|| folders.iter().find_map(|folder| Subset::of_folder(folder)));
        *file = if once { name.to_owned() } else { parts.join("/") };
    }
}
