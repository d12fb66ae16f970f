//! Photos without an annotation: reported and skipped, or negatives where that is asked for.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::build_samples::SampleBuilder;
use crate::file_index::{FileIndex, is_derived, is_read, name_of, stem_of};
use crate::formats::number::quoted;
use crate::formats::{Annotation, Annotations};
use crate::{Diagnostic, DiagnosticKind};

impl SampleBuilder<'_> {
    /// Warns of photos without an annotation in the folders that hold annotated photos.
    pub(crate) fn report_unannotated(&mut self, annotations: &Annotations, found: &[(PathBuf, &Annotation)]) {
        let sources = annotations.photos.iter().filter(|a| a.has_own_file());
        let by_stem: HashMap<&str, &Annotation> = sources.map(|a| (stem_of(&a.source), a)).collect();
        for path in unannotated(self.files, annotations, found) {
            let mut message = "has no annotation: skipped".to_owned();
            if let Some(similar) = by_stem.get(stem_of(path)) {
                let (source, photo) = (similar.source.display(), quoted(&similar.photo));
                message = format!("{message}; {source} has the same name, but is for {photo}");
            }
            let kind = DiagnosticKind::PhotoUnannotated;
            self.diagnostics.push(Diagnostic::warning(kind, path, None, message));
        }
    }

    /// An annotation without objects for each photo that has none. Left out are photos that may be those of annotations
    /// which were not read, or found no photo.
    pub(crate) fn unlabelled(
        &self,
        annotations: &Annotations,
        found: &[(PathBuf, &Annotation)],
    ) -> Vec<Annotation> {
        if annotations.incomplete || annotations.lost > annotations.broken.len() {
            return Vec::new();
        }
        let used: HashSet<*const Annotation> =
            found.iter().map(|(_, annotation)| std::ptr::from_ref(*annotation)).collect();
        let without_photo = annotations.photos.iter().filter(|a| !used.contains(&std::ptr::from_ref(*a)));
        let names = without_photo.flat_map(|annotation| {
            let source = annotation.has_own_file().then_some(annotation.source.as_path());
            [Some(Path::new(&annotation.photo)), source, annotation.other_name.as_deref().map(Path::new)]
        });
        let named: HashSet<String> = names.flatten().map(|name| stem_of(name).to_lowercase()).collect();
        let empty = |path: &Path| Annotation::new(path, 1, name_of(path).to_owned());
        let photos = unannotated(self.files, annotations, found).into_iter();
        photos.filter(|path| !named.contains(&stem_of(path).to_lowercase())).map(empty).collect()
    }
}

/// The photos without an annotation in the folders that hold annotated photos.
fn unannotated<'a>(
    files: &'a FileIndex,
    annotations: &Annotations,
    found: &[(PathBuf, &Annotation)],
) -> Vec<&'a Path> {
    let photos: HashSet<&Path> = found.iter().map(|(path, _)| path.as_path()).collect();
    let folders: HashSet<Option<&Path>> = photos.iter().map(|p| p.parent()).collect();
    let stems: HashSet<String> = photos.iter().map(|path| stem_of(path).to_lowercase()).collect();
    let broken: HashSet<&str> = annotations.broken.iter().map(|p| stem_of(p)).collect();
    let is_unannotated = |path: &&Path| {
        let folder = path.parent().unwrap_or(Path::new(""));
        let of_photos = folders.contains(&path.parent()) || files.is_photo_folder(folder);
        // Cameras write the same photo in a second format beside the JPEG.
        let second_format = !is_read(path) && stems.contains(&stem_of(path).to_lowercase());
        let known = photos.contains(path) || broken.contains(stem_of(path));
        !known && !second_format && of_photos && !is_derived(path)
    };
    files.photos.iter().map(|path| &**path).filter(is_unannotated).collect()
}
