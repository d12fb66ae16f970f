//! From what annotations say to samples: each photo found and its header read, each box compared with its photo, one
//! object chosen, classes numbered. Everything that is wrong becomes a finding; nothing stops at the first.

mod compare;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use loc_infer::preprocess::FileKind;
use rayon::prelude::*;

use crate::bounded::Findings;
use crate::classes::Classes;
use crate::content::Content;
use crate::formats::number::quoted;
use crate::formats::{self, Annotation, Annotations, Object, text};
use crate::group::Grouping;
use crate::photo::{self, Photo};
use crate::split::Part;
use crate::tree::{Tree, name_of, photo_folders_beside};
use crate::units::{Sized, judge};
use crate::{BBox, DataError, Finding, Format, Kind, Objects, ReadOptions, Sample};

/// A data set as far as it could be read. What is a sample here is one for everybody: `check` counts them, training
/// and validation use them, and no error names one of their photos.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) root: PathBuf,
    pub(crate) format: Format,
    pub(crate) classes: Vec<String>,
    /// The usable samples, sorted by name.
    pub(crate) samples: Vec<Sample>,
    /// Errors and warnings, sorted by file and line.
    pub(crate) findings: Vec<Finding>,
    /// Photos that the annotations name, whether they are there or not; an annotation that names none counts as one.
    pub(crate) named: usize,
    /// How many of them an error makes unusable.
    pub(crate) unusable: usize,
    /// Whether the annotations of more than one photo could not be read at all.
    pub(crate) incomplete: bool,
    /// Files of the photos that the annotations name, usable or not.
    pub(crate) files: Vec<PathBuf>,
    /// Photos that were decoded, and what they look like.
    pub(crate) photos: Vec<(PathBuf, Photo)>,
}

/// Reads a folder or a CSV file, and decodes every photo that an annotation names; with `look` it also sees what each
/// looks like.
///
/// # Errors
///
/// [`DataError::NoDataSet`] if there is nothing to read, [`DataError::Argument`] for unusable options.
pub(crate) fn read(path: &Path, options: &ReadOptions, look: bool) -> Result<Reading, DataError> {
    let no_data = |reason: &str| DataError::NoDataSet { path: path.to_owned(), reason: reason.to_owned() };
    let grouping = Grouping::new(options.group_by.as_deref())?;
    let encoding = options.encoding.as_deref().map(text::given).transpose()?;
    let metadata = fs_err::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => no_data("does not exist"),
        _ => DataError::Io(e),
    })?;
    let (mut tree, format, whole_folder) = if metadata.is_dir() {
        let tree = Tree::of_folder(path)?;
        let format = options.format.map_or_else(|| formats::recognise(&tree), Ok)?;
        (tree, format, true)
    } else if !metadata.is_file() {
        return Err(no_data("is neither a folder nor a regular file"));
    } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("xml")) {
        return Err(no_data(&formats::voc::describe(path)));
    } else if options.format == Some(Format::Voc) {
        return Err(no_data("is a file, and the format `voc` is a folder of XML files"));
    } else if let Some(content) = Content::of_file(path) {
        if content == Content::Xml {
            return Err(no_data(&formats::voc::describe(path)));
        }
        return Err(no_data(&format!("is {content}, not a data set (hint: {})", content.way_to_data())));
    } else {
        (Tree::of_csv(path)?, Format::Csv, false)
    };
    let annotations = match format {
        Format::Voc => formats::voc::read_all(&tree.xmls, encoding),
        Format::Csv => formats::csv::read_all(&tree.csvs, !whole_folder, encoding),
    };
    if annotations.photos.is_empty() && annotations.findings.is_empty() && annotations.broken.is_empty() {
        return Err(no_data(&format!(
            "no {format} annotations found (hint: leave the format out to have it recognised)"
        )));
    }
    let mut findings = Findings::default();
    findings.extend(std::mem::take(&mut tree.findings));
    let mut assembly =
        Assembly { tree: &tree, options, findings, spoiled: HashSet::new(), missing: 0, left_out: 0 };
    let found = assembly.find_photos(&annotations.photos);
    if found.is_empty() && (tree.readable() == 0 || !annotations.photos.is_empty()) {
        assembly.findings.push(no_photos(&tree, path));
    }
    let photos: Vec<Result<Photo, String>> =
        found.par_iter().map(|(path, _)| photo::examine(path, look)).collect();
    let (mut samples, classes) = assembly.samples(&annotations, &found, &photos, format)?;
    if whole_folder {
        assembly.unannotated(&annotations, &found);
    }
    let mut findings = assembly.findings.into_vec();
    let named = found.len() + assembly.missing + annotations.lost;
    let unusable = named - samples.len() - assembly.left_out;
    findings.extend(annotations.findings);
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    name(&mut samples, &tree);
    samples.sort_by(|a, b| a.file.cmp(&b.file));
    let files: Vec<PathBuf> = found.into_iter().map(|(path, _)| path).collect();
    let paths = files.iter().cloned();
    let photos: Vec<(PathBuf, Photo)> =
        paths.zip(photos).filter_map(|(path, photo)| Some((path, photo.ok()?))).collect();
    grouping.group(&mut samples, &photos);
    let root = tree.root.clone();
    let incomplete = annotations.incomplete;
    Ok(Reading { root, format, classes, samples, findings, named, unusable, incomplete, files, photos })
}

/// What to say where no annotation has a photo.
fn no_photos(tree: &Tree, path: &Path) -> Finding {
    if tree.readable() > 0 {
        let message = format!("no annotation has a photo, among {}", tree.describe());
        let hint = "do the annotations belong to these photos?";
        return Finding::error(Kind::PhotoMissing, path, None, message).hint(hint);
    }
    let others = tree.other_files();
    let only = if others.total() > 0 { format!(", only {others}") } else { String::new() };
    let finding = Finding::error(Kind::PhotoMissing, path, None, format!("no photo found{only}"));
    let beside = photo_folders_beside(&tree.root).into_iter().next();
    match (others.hint(), beside) {
        (Some(hint), _) => finding.hint(hint),
        (None, Some(beside)) => {
            finding.hint(format!("{} lies beside it: name the folder that holds both", beside.display()))
        }
        (None, None) => {
            let endings: Vec<String> = FileKind::read_endings().map(|ending| format!(".{ending}")).collect();
            finding.hint(format!("photos end in {}", endings.join(", ")))
        }
    }
}

/// Names each sample after its photo's file, or, where another photo of the set has that name, by the path below the
/// root; and says which part of a split the folder stands for.
fn name(samples: &mut [Sample], tree: &Tree) {
    let mut times: HashMap<String, usize> = HashMap::new();
    for sample in &*samples {
        *times.entry(name_of(&sample.image).to_owned()).or_default() += 1;
    }
    for sample in samples {
        let name = name_of(&sample.image);
        let once = times[name] == 1;
        // Of a photo outside the root, the folders above it say nothing.
        let Some(below) = tree.below(&sample.image) else {
            sample.file = if once { name.to_owned() } else { sample.image.to_string_lossy().into_owned() };
            continue;
        };
        let parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let folders = parts.split_last().map_or(&[][..], |(_, folders)| folders);
        sample.part = folders.iter().find_map(|folder| Part::of_folder(folder));
        sample.file = if once { name.to_owned() } else { parts.join("/") };
    }
}

pub(crate) struct Assembly<'a> {
    pub(crate) tree: &'a Tree,
    options: &'a ReadOptions,
    pub(crate) findings: Findings,
    /// Photos that an error names which is not about their one annotation.
    pub(crate) spoiled: HashSet<PathBuf>,
    /// Annotations whose photo is not there.
    pub(crate) missing: usize,
    /// Photos left out by choice, without an error.
    left_out: usize,
}

impl Assembly<'_> {
    fn samples(
        &mut self,
        annotations: &Annotations,
        found: &[(PathBuf, &Annotation)],
        photos: &[Result<Photo, String>],
        format: Format,
    ) -> Result<(Vec<Sample>, Vec<String>), DataError> {
        let labels = annotations.photos.iter().flat_map(|a| &a.objects).map(|o| &o.label);
        let mut classes = Classes::settle(labels, self.options.classes.as_deref())?;
        let annotated: Vec<Sized> = found
            .iter()
            .zip(photos)
            .map(|((_, annotation), photo)| {
                (*annotation, photo.as_ref().ok().map(|photo| self.annotated(photo)))
            })
            .collect();
        let judged = judge(&annotated, format.is_file_a_photo());
        self.findings.extend(judged.findings);
        let mut samples: Vec<(Sample, &Object)> = Vec::new();
        for (i, ((path, annotation), photo)) in found.iter().zip(photos).enumerate() {
            let before = self.findings.errors();
            match photo {
                Ok(photo) => self.compare(annotation, path, photo),
                Err(why) => self.findings.push(Finding::error(Kind::PhotoDamaged, path, None, why)),
            }
            let photo = photo.as_ref().ok();
            // What is wrong with boxes in other units is that alone.
            let misread = judged.misread.contains(&i);
            let boxes = if misread { Vec::new() } else { self.objects(annotation, photo, &classes) };
            let chosen = self.choose(annotation, boxes);
            // Whatever is wrong with a photo or its annotation, it is no sample.
            let wrong = annotation.defective
                || misread
                || self.spoiled.contains(path)
                || self.findings.errors() > before;
            match (chosen, photo) {
                (Some((object, bbox)), Some(photo)) if !wrong => {
                    let class = classes.index(&object.label).unwrap_or_default();
                    let sample = Sample {
                        image: path.clone(),
                        file: String::new(),
                        size: photo.size,
                        class,
                        bbox,
                        part: None,
                        group: None,
                    };
                    samples.push((sample, object));
                }
                _ => self.left_out += usize::from(!wrong),
            }
        }
        self.used_classes(&mut classes, &mut samples);
        Ok((samples.into_iter().map(|(sample, _)| sample).collect(), classes.names))
    }

    /// The one object that the photo contributes.
    fn choose<'b>(
        &mut self,
        annotation: &Annotation,
        boxes: Vec<(&'b Object, BBox)>,
    ) -> Option<(&'b Object, BBox)> {
        if boxes.len() > 1 {
            let count = format!("{} has {} objects", quoted(&annotation.photo), boxes.len());
            let at = (&annotation.source, Some(annotation.line));
            match self.options.objects {
                Objects::Largest => {
                    let message = format!("{count}, the largest is used");
                    self.findings.push(Finding::warning(Kind::ObjectsSeveral, at.0, at.1, message));
                }
                Objects::Skip => {
                    let message = format!("{count}, it is left out");
                    self.findings.push(Finding::warning(Kind::ObjectsSeveral, at.0, at.1, message));
                    return None;
                }
                Objects::Error => {
                    let hint = "the largest can be used instead, or such photos be left out";
                    self.error_at(
                        Kind::ObjectsSeveral,
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

    /// Drops classes that no sample has (with a list given: warns and keeps them).
    fn used_classes(&mut self, classes: &mut Classes, samples: &mut [(Sample, &Object)]) {
        let mut used = vec![false; classes.names.len()];
        for (sample, _) in &*samples {
            if let Some(used) = used.get_mut(sample.class) {
                *used = true;
            }
        }
        if self.options.classes.is_some() {
            for (name, _) in classes.names.iter().zip(used).filter(|(_, used)| !used) {
                let message = format!("no photo of the class {}", quoted(name));
                self.findings.push(Finding::warning(Kind::ClassUnused, &self.tree.root, None, message));
            }
        } else {
            classes.keep(&used);
            for (sample, object) in samples {
                sample.class = classes.index(&object.label).unwrap_or_default();
            }
        }
    }

    pub(crate) fn error_at(
        &mut self,
        kind: Kind,
        annotation: &Annotation,
        line: u32,
        message: String,
        hint: Option<String>,
    ) {
        let mut finding = Finding::error(kind, &annotation.source, Some(line), message);
        finding.hint = hint;
        self.findings.push(finding);
    }
}
