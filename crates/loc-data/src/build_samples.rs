//! Builds samples from annotations: finds and decodes each photo, compares each box with its photo, selects one object,
//! numbers the classes. Every problem becomes a diagnostic; reading does not stop at the first.

mod names;
mod photos;
mod pixels;
mod validate;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use self::names::{no_photos, set_names};

use crate::box_units::{SizedAnnotation, check_units};
use crate::classes::Classes;
use crate::content_type::ContentType;
use crate::convert::LabelledPhoto;
use crate::copy_groups::Grouping;
use crate::diagnostics::Diagnostics;
use crate::file_index::FileIndex;
use crate::findings::PhotoFindings;
use crate::formats::number::quoted;
use crate::formats::{self, Annotation, Annotations, Empty, Object, Request, text};
use crate::photo::Photo;
use crate::{
    BBox, DataError, Diagnostic, DiagnosticKind, Format, Hint, LabelledObject, MultiObjectPolicy,
    NoDataSetError, ReadOptions, Sample, UnlabelledPolicy,
};

/// A data set as far as it could be read. All commands see the same samples: `check` counts them, training and validation
/// use them, and no error concerns one of their photos.
#[derive(Debug, Clone)]
pub(crate) struct LoadedSet {
    pub(crate) root: PathBuf,
    pub(crate) format: Format,
    pub(crate) classes: Vec<String>,
    /// The valid samples, sorted by name.
    pub(crate) samples: Vec<Sample>,
    /// Errors and warnings, sorted by file and line.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Number of photos that the annotations name, existing or not; an annotation that names none counts as one.
    pub(crate) named: usize,
    /// Number of these photos that are invalid.
    pub(crate) unusable: usize,
    /// Whether a file with the annotations of several photos could not be read completely.
    pub(crate) incomplete: bool,
    /// The annotation files, one for each photo.
    pub(crate) sources: Vec<PathBuf>,
    /// Files of the photos that the annotations name, valid or not.
    pub(crate) files: Vec<PathBuf>,
    /// The decoded photos' properties.
    pub(crate) photos: Vec<(PathBuf, Photo)>,
    /// Valid photos with all their objects, those without any included; sorted by name.
    pub(crate) labelled: Vec<LabelledPhoto>,
    /// The classes of these objects, those of no object included.
    pub(crate) labelled_classes: Vec<String>,
    /// The photos with diagnostics about themselves or their annotation.
    pub(crate) findings: Vec<PhotoFindings>,
}

/// Reads a folder or a CSV file, and decodes every photo that an annotation names; with `with_hash` also computes the
/// photos' perceptual hashes.
///
/// # Errors
///
/// [`DataError::NoDataSet`] if there is nothing to read, [`DataError::Argument`] for invalid options.
pub(crate) fn read(path: &Path, options: &ReadOptions, with_hash: bool) -> Result<LoadedSet, DataError> {
    let no_data = |error| DataError::NoDataSet { path: path.to_owned(), error: Box::new(error) };
    let grouping = Grouping::new(options.group_by.as_deref())?;
    let encoding = options.encoding.as_deref().map(text::given).transpose()?;
    let metadata = fs_err::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => no_data(NoDataSetError::Missing),
        _ => DataError::Io(e),
    })?;
    let request = Request {
        single_file: !metadata.is_dir(),
        encoding,
        columns: options.columns.as_deref(),
        class: options.class.as_deref(),
    };
    let mut files = if metadata.is_dir() {
        FileIndex::of_folder(path)?
    } else if !metadata.is_file() {
        return Err(no_data(NoDataSetError::NotAFileOrFolder));
    } else {
        match ContentType::of_file(path) {
            Some(ContentType::Xml) => return Err(no_data(formats::voc::not_a_data_set(path))),
            None if formats::yolo::is_description(path) => FileIndex::of_description(path)?,
            Some(ContentType::Json) | None => FileIndex::of_file(path)?,
            Some(content) => {
                return Err(no_data(NoDataSetError::Foreign(content)));
            }
        }
    };
    let format = match options.format {
        None if !files.listings.is_empty() && request.single_file => Format::Yolo,
        Some(format) if request.single_file && files.listings.is_empty() && format.is_file_a_photo() => {
            return Err(no_data(NoDataSetError::FileForFolderFormat { format }));
        }
        Some(format) => format,
        // What is wrong with the one file is said by its reader.
        None if request.single_file && !files.csvs.is_empty() => Format::Csv,
        None => formats::recognise(&files, &request)?,
    };
    let table_only = [
        ("list of columns", options.columns.as_ref().map(|c| c.join(","))),
        ("class", options.class.clone()),
    ];
    for (what, value) in table_only {
        if let Some(value) = value.filter(|_| format != Format::Csv) {
            let range = format!("it is for tables (CSV), and the annotations are {format}");
            return Err(DataError::Argument { what, value, range });
        }
    }
    let annotations = formats::read(&files, format, &request);
    if annotations.photos.is_empty() && annotations.diagnostics.is_empty() && annotations.broken.is_empty() {
        let given = options.format.is_some();
        return Err(no_data(NoDataSetError::NoneOfFormat { format, given }));
    }
    let mut diagnostics = Diagnostics::default();
    diagnostics.extend(std::mem::take(&mut files.diagnostics));
    let mut builder = SampleBuilder {
        files: &files,
        options,
        diagnostics,
        conflicting: HashSet::new(),
        missing: 0,
        skipped: 0,
    };
    let mut found = builder.find_photos(&annotations.photos);
    let unlabelled = match options.unlabelled {
        UnlabelledPolicy::Negative => builder.unlabelled(&annotations, &found),
        UnlabelledPolicy::Skip => Vec::new(),
    };
    found.extend(unlabelled.iter().map(|annotation| (annotation.source.clone(), annotation)));
    if found.is_empty() && (files.readable() == 0 || !annotations.photos.is_empty()) {
        builder.diagnostics.push(no_photos(&files, path));
    }
    let photos = photos::read_all(path, &found, options, with_hash)?;
    let Built { mut samples, classes, mut labelled, labelled_classes, findings } =
        builder.samples(&annotations, &found, &photos, format)?;
    if !request.single_file {
        builder.report_unannotated(&annotations, &found);
    }
    let mut diagnostics = builder.diagnostics.into_vec();
    let named = found.len() + builder.missing + annotations.lost;
    let unusable = named - samples.len() - builder.skipped;
    diagnostics.extend(annotations.diagnostics);
    diagnostics.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    let named_samples = samples.iter_mut().map(|s| (s.image.as_path(), &mut s.file, &mut s.subset));
    set_names(named_samples, &files, &annotations.split);
    let named_photos = labelled.iter_mut().map(|p| (p.image.as_path(), &mut p.file, &mut p.subset));
    set_names(named_photos, &files, &annotations.split);
    labelled.sort_by(|a, b| a.file.cmp(&b.file));
    samples.sort_by(|a, b| a.file.cmp(&b.file));
    let named_files: Vec<PathBuf> = found.into_iter().map(|(path, _)| path).collect();
    let paths = named_files.iter().cloned();
    let photos: Vec<(PathBuf, Photo)> =
        paths.zip(photos).filter_map(|(path, photo)| Some((path, photo.ok()?))).collect();
    grouping.group(&mut samples, &photos);
    let root = files.root.clone();
    let incomplete = annotations.incomplete;
    let sources = annotations.photos.into_iter().map(|annotation| annotation.source).collect();
    Ok(LoadedSet {
        root,
        format,
        classes,
        samples,
        diagnostics,
        named,
        unusable,
        incomplete,
        sources,
        files: named_files,
        photos,
        labelled,
        labelled_classes,
        findings,
    })
}

/// What [`SampleBuilder::samples`] makes of the annotations.
struct Built {
    samples: Vec<Sample>,
    classes: Vec<String>,
    labelled: Vec<LabelledPhoto>,
    labelled_classes: Vec<String>,
    findings: Vec<PhotoFindings>,
}

pub(crate) struct SampleBuilder<'a> {
    pub(crate) files: &'a FileIndex,
    options: &'a ReadOptions,
    pub(crate) diagnostics: Diagnostics,
    /// Photos with several annotations that contradict each other.
    pub(crate) conflicting: HashSet<PathBuf>,
    /// Number of annotations whose photo is missing.
    pub(crate) missing: usize,
    /// Number of photos skipped without an error, by the policy for several objects.
    skipped: usize,
}

impl SampleBuilder<'_> {
    fn samples(
        &mut self,
        annotations: &Annotations,
        found: &[(PathBuf, &Annotation)],
        photos: &[Result<Photo, String>],
        format: Format,
    ) -> Result<Built, DataError> {
        let labels = annotations.photos.iter().flat_map(|a| &a.objects).map(|o| &o.label);
        let mut classes =
            Classes::from_labels(labels, self.options.classes.as_deref(), &annotations.classes)?;
        let pixels = self.in_pixels(found, photos);
        let found: Vec<(&PathBuf, &Annotation)> =
            found.iter().zip(&pixels).map(|((path, _), annotation)| (path, &**annotation)).collect();
        let annotated: Vec<SizedAnnotation> = found
            .iter()
            .zip(photos)
            .map(|((_, annotation), photo)| {
                let size = photo.as_ref().ok().map(|photo| self.annotated(photo));
                SizedAnnotation { annotation, size }
            })
            .collect();
        let units = check_units(&annotated, format.is_file_a_photo());
        self.diagnostics.extend(units.diagnostics);
        let mut samples: Vec<(Sample, Option<&Object>)> = Vec::new();
        let mut labelled: Vec<LabelledPhoto> = Vec::new();
        let mut findings = Vec::new();
        for (i, ((path, annotation), photo)) in found.iter().zip(photos).enumerate() {
            let (path, annotation) = (*path, *annotation);
            let before = self.diagnostics.errors();
            self.diagnostics.take_kinds();
            match photo {
                Ok(photo) => self.compare(annotation, path, photo),
                Err(why) => {
                    self.diagnostics.push(Diagnostic::error(DiagnosticKind::PhotoDamaged, path, None, why))
                }
            }
            let photo = photo.as_ref().ok();
            // Boxes in other units get no further errors.
            let other_units = units.other_units.contains(&i);
            let boxes = if other_units { Vec::new() } else { self.objects(annotation, photo, &classes) };
            let is_empty = annotation.objects.is_empty() && !annotation.defective;
            let is_negative = is_empty && self.is_negative(annotation, annotations.incomplete);
            let objects: Vec<LabelledObject> = boxes
                .iter()
                .map(|(object, bbox)| LabelledObject {
                    class: classes.index(&object.label).unwrap_or_default(),
                    bbox: *bbox,
                })
                .collect();
            let chosen = self.select(annotation, boxes);
            let mut kinds = self.diagnostics.take_kinds();
            kinds.extend(other_units.then_some(DiagnosticKind::BoxUnits));
            findings.extend(PhotoFindings::of(path, annotation, kinds));
            // A photo with any error, in itself or its annotation, is not a sample.
            let wrong = annotation.defective
                || other_units
                || self.conflicting.contains(path)
                || self.diagnostics.errors() > before;
            // Written without objects it would be a negative, which nobody has said.
            let is_unclear = is_empty && !is_negative;
            if let Some(photo) = photo.filter(|_| !wrong && !is_unclear) {
                labelled.push(LabelledPhoto {
                    image: path.clone(),
                    file: String::new(),
                    ending: photo.other_ending(path),
                    size: photo.size,
                    objects,
                    subset: annotation.subset,
                });
            }
            let usable = chosen.is_some() || is_negative;
            match photo.filter(|_| usable && !wrong) {
                Some(photo) => {
                    let object = chosen.map(|(object, bbox)| LabelledObject {
                        class: classes.index(&object.label).unwrap_or_default(),
                        bbox,
                    });
                    let sample = Sample {
                        image: path.clone(),
                        file: String::new(),
                        size: photo.size,
                        digest: photo.digest,
                        object,
                        subset: annotation.subset,
                        group: None,
                    };
                    samples.push((sample, chosen.map(|(object, _)| object)));
                }
                None => self.skipped += usize::from(!wrong),
            }
        }
        let all = classes.names.clone();
        self.remove_unused_classes(&mut classes, &mut samples);
        let samples = samples.into_iter().map(|(sample, _)| sample).collect();
        Ok(Built { samples, classes: classes.names, labelled, labelled_classes: all, findings })
    }

    /// Whether an annotation without objects makes its photo a negative; if not, a warning says that it is skipped.
    fn is_negative(&mut self, annotation: &Annotation, incomplete: bool) -> bool {
        let name = quoted(&annotation.photo);
        let (kind, message) = match annotation.empty {
            Empty::Negative if incomplete && !annotation.has_own_file() => (
                DiagnosticKind::ObjectMissing,
                format!("{name} has no object, as far as the file could be read: skipped"),
            ),
            Empty::Negative => return true,
            Empty::Open if self.options.unlabelled == UnlabelledPolicy::Negative => return true,
            Empty::Open => (DiagnosticKind::PhotoUnannotated, format!("{name} is not annotated: skipped")),
            Empty::Unclear => (DiagnosticKind::ObjectMissing, format!("{name} has no object: skipped")),
        };
        let (source, line) = (&annotation.source, Some(annotation.line));
        self.diagnostics.push(Diagnostic::warning(kind, source, line, message));
        false
    }

    /// Selects the object that the photo contributes.
    fn select<'b>(
        &mut self,
        annotation: &Annotation,
        boxes: Vec<(&'b Object, BBox)>,
    ) -> Option<(&'b Object, BBox)> {
        if boxes.len() > 1 {
            let count = format!("{} has {} objects", quoted(&annotation.photo), boxes.len());
            let at = (&annotation.source, Some(annotation.line));
            match self.options.objects {
                policy @ (MultiObjectPolicy::Largest | MultiObjectPolicy::Skip) => {
                    let skipped = policy == MultiObjectPolicy::Skip;
                    let message =
                        format!("{count}: {}", if skipped { "skipped" } else { "the largest is used" });
                    let kind = DiagnosticKind::ObjectsSeveral;
                    self.diagnostics.push(Diagnostic::warning(kind, at.0, at.1, message));
                    if skipped {
                        return None;
                    }
                }
                MultiObjectPolicy::Error => {
                    let hint = "the largest can be used instead, or such photos be skipped";
                    self.error_at(
                        DiagnosticKind::ObjectsSeveral,
                        annotation,
                        annotation.line,
                        count,
                        Some(hint.into()),
                    );
                    return None;
                }
            }
        }
        boxes.into_iter().reduce(|best, next| if next.1.area() > best.1.area() { next } else { best })
    }

    /// Removes classes without samples; a class of a given list is kept, with a warning.
    fn remove_unused_classes(&mut self, classes: &mut Classes, samples: &mut [(Sample, Option<&Object>)]) {
        let mut used = vec![false; classes.names.len()];
        for class in samples.iter().filter_map(|(sample, _)| sample.class()) {
            if let Some(used) = used.get_mut(class) {
                *used = true;
            }
        }
        if self.options.classes.is_some() {
            for (name, _) in classes.names.iter().zip(used).filter(|(_, used)| !used) {
                let message = format!("no photo of the class {}", quoted(name));
                self.diagnostics.push(Diagnostic::warning(
                    DiagnosticKind::ClassUnused,
                    &self.files.root,
                    None,
                    message,
                ));
            }
        } else {
            classes.keep(&used);
            for (sample, object) in samples {
                if let Some((chosen, object)) = sample.object.as_mut().zip(*object) {
                    chosen.class = classes.index(&object.label).unwrap_or_default();
                }
            }
        }
    }

    pub(crate) fn error_at(
        &mut self,
        kind: DiagnosticKind,
        annotation: &Annotation,
        line: u32,
        message: String,
        hint: Option<Hint>,
    ) {
        let mut diagnostic = Diagnostic::error(kind, &annotation.source, Some(line), message);
        diagnostic.hint = hint;
        self.diagnostics.push(diagnostic);
    }
}
