//! From what annotations say to samples: each photo found and its header read, each box compared with its photo, one
//! object chosen, classes numbered. Everything that is wrong becomes a finding; nothing stops at the first.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::classes::Classes;
use crate::formats::number::quoted;
use crate::formats::{self, Annotation, Annotations, Object};
use crate::photo::{Header, header};
use crate::tree::{PHOTO_FOLDERS, Tree, name_of, stem_of, tidy};
use crate::{BBox, DataError, Finding, Format, ImageSize, Objects, ReadOptions, Sample};

/// A box may reach less than this beyond the photo, in pixels: rounding. It is clipped, with a warning.
const ROUNDING: f32 = 1.0;

/// A data set as far as it could be read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) root: PathBuf,
    pub(crate) format: Format,
    pub(crate) classes: Vec<String>,
    pub(crate) samples: Vec<Sample>,
    /// Errors and warnings, sorted by file and line.
    pub(crate) findings: Vec<Finding>,
    /// Photos that an annotation names and whose header could be read.
    pub(crate) photos: Vec<PathBuf>,
}

/// Reads a folder or a CSV file.
///
/// # Errors
///
/// [`DataError::NoDataSet`] if there is nothing to read, [`DataError::Argument`] for an unusable list of classes.
pub(crate) fn read(path: &Path, options: &ReadOptions) -> Result<Reading, DataError> {
    let no_data = |reason: &str| DataError::NoDataSet { path: path.to_owned(), reason: reason.to_owned() };
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
        return Err(no_data("is one annotation of many (hint: name the folder it lies in)"));
    } else if options.format == Some(Format::Voc) {
        return Err(no_data("is a file, and the format `voc` is a folder of XML files"));
    } else {
        (Tree::of_csv(path)?, Format::Csv, false)
    };
    let annotations = match format {
        Format::Voc => formats::voc::read_all(&tree.xmls),
        Format::Csv => formats::csv::read_all(&tree.csvs, !whole_folder),
    };
    if annotations.photos.is_empty() && annotations.findings.is_empty() && annotations.broken.is_empty() {
        return Err(no_data(&format!(
            "no {format} annotations found (hint: leave the format out to have it recognised)"
        )));
    }
    let mut findings = std::mem::take(&mut tree.findings);
    if tree.photos.is_empty() {
        findings.push(Finding::error(path, None, "no photo found").hint("photos end in .jpg, .png or .bmp"));
    }
    let mut assembly = Assembly { tree: &tree, options, findings };
    let (mut samples, classes, photos) = assembly.samples(&annotations)?;
    if whole_folder {
        assembly.unannotated(&annotations, &photos);
    }
    let mut findings = assembly.findings;
    findings.extend(annotations.findings);
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    samples.sort_by(|a, b| a.file.cmp(&b.file));
    let photos = photos.into_iter().filter_map(|(path, ok)| ok.then_some(path)).collect();
    Ok(Reading { root: tree.root.clone(), format, classes, samples, findings, photos })
}

/// Samples, class names, and each annotated photo with whether its header could be read.
type Samples = (Vec<Sample>, Vec<String>, BTreeMap<PathBuf, bool>);

struct Assembly<'a> {
    tree: &'a Tree,
    options: &'a ReadOptions,
    findings: Vec<Finding>,
}

impl Assembly<'_> {
    fn samples(&mut self, annotations: &Annotations) -> Result<Samples, DataError> {
        let found = self.find_photos(&annotations.photos);
        let headers: Vec<Result<Header, String>> = found.par_iter().map(|(path, _)| header(path)).collect();
        let labels = annotations.photos.iter().flat_map(|a| &a.objects).map(|o| &o.label);
        let mut classes = Classes::settle(labels, self.options.classes.as_deref())?;

        let mut photos = BTreeMap::new();
        let mut samples: Vec<(Sample, Object)> = Vec::new();
        for ((path, annotation), header) in found.iter().zip(headers) {
            photos.insert(path.clone(), header.is_ok());
            let size = match header {
                Ok(header) => {
                    self.compare(annotation, path, &header);
                    Some(header.size)
                }
                Err(why) => {
                    self.findings.push(Finding::error(path, None, why));
                    None
                }
            };
            let boxes = self.objects(annotation, size, &classes);
            if let (Some(boxes), Some(size)) = (boxes, size)
                && let Some((object, bbox)) = self.choose(annotation, boxes)
            {
                let class = classes.index(&object.label).unwrap_or_default();
                let (image, file) = (path.clone(), name_of(path).to_owned());
                samples.push((Sample { image, file, size, class, bbox }, object.clone()));
            }
        }
        self.same_name(&photos);
        self.used_classes(&mut classes, &mut samples);
        Ok((samples.into_iter().map(|(sample, _)| sample).collect(), classes.names, photos))
    }

    /// The photo of each annotation; annotations whose photo is missing or taken become findings.
    fn find_photos<'b>(&mut self, annotations: &'b [Annotation]) -> Vec<(PathBuf, &'b Annotation)> {
        let mut found = Vec::new();
        let mut taken: HashMap<PathBuf, &Path> = HashMap::new();
        for annotation in annotations {
            let name = quoted(&annotation.photo);
            match self.tree.find(&annotation.source, &annotation.photo) {
                Ok(path) => {
                    if let Some(first) = taken.get(&path) {
                        let message = if *first == annotation.source {
                            format!("the photo {name} is annotated under two names")
                        } else {
                            format!("the photo {name} is annotated in {} too", first.display())
                        };
                        self.error_at(annotation, annotation.line, message, Some("keep one of them".into()));
                    } else {
                        taken.insert(path.clone(), &annotation.source);
                        found.push((path, annotation));
                    }
                }
                Err((why, hint)) => {
                    self.error_at(annotation, annotation.line, format!("the photo {name} {why}"), hint);
                }
            }
        }
        found
    }

    /// The annotation's size against the photo's, and the photo's name against its content.
    fn compare(&mut self, annotation: &Annotation, path: &Path, header: &Header) {
        if header.misnamed(path) {
            let format = format!("{:?}", header.format).to_uppercase();
            let message = format!("is a {format}, whatever its name says: it is read by its content");
            self.findings.push(Finding::warning(path, None, message));
        }
        let Some((declared, line)) = annotation.size.filter(|(size, _)| *size != header.size) else { return };
        let turned = ImageSize { width: header.size.height, height: header.size.width };
        let hint = if declared == turned {
            "the photo's EXIF orientation turns it upright; it seems to be annotated as stored"
        } else {
            "the photo was resized after it was annotated, or is another one"
        };
        let message = format!(
            "the size is given as {declared}, the photo {} is {}",
            quoted(&annotation.photo),
            header.size
        );
        self.error_at(annotation, line, message, Some(hint.into()));
    }

    /// The objects of a photo with their boxes checked; none if anything about it is wrong.
    fn objects<'b>(
        &mut self,
        annotation: &'b Annotation,
        size: Option<ImageSize>,
        classes: &Classes,
    ) -> Option<Vec<(&'b Object, BBox)>> {
        let mut sound = !annotation.defective;
        let mut boxes = Vec::new();
        for object in &annotation.objects {
            if let Err((message, hint)) = classes.index(&object.label) {
                self.error_at(annotation, object.label_line, message, hint);
                sound = false;
            }
            match checked(object.bbox, size) {
                Ok((bbox, clipped)) => {
                    if let Some(message) = clipped {
                        self.findings.push(Finding::warning(&annotation.source, Some(object.line), message));
                    }
                    boxes.push((object, bbox));
                }
                Err(reasons) => {
                    sound = false;
                    for reason in reasons {
                        let hint = "correct the box with the annotation tool";
                        self.error_at(annotation, object.line, reason, Some(hint.into()));
                    }
                }
            }
        }
        sound.then_some(boxes)
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
                    self.findings.push(Finding::warning(at.0, at.1, format!("{count}, the largest is used")));
                }
                Objects::Skip => {
                    self.findings.push(Finding::warning(at.0, at.1, format!("{count}, it is left out")));
                    return None;
                }
                Objects::Error => {
                    let hint = "the largest can be used instead, or such photos be left out";
                    self.error_at(annotation, annotation.line, count, Some(hint.into()));
                    return None;
                }
            }
        }
        boxes.into_iter().reduce(|best, next| if next.1.area() > best.1.area() { next } else { best })
    }

    /// Photos that no annotation names, in the folders where photos are.
    fn unannotated(&mut self, annotations: &Annotations, photos: &BTreeMap<PathBuf, bool>) {
        let folders: HashSet<Option<&Path>> = photos.keys().map(|p| p.parent()).collect();
        let root = tidy(&self.tree.root);
        let of_photos = |path: &Path| {
            let below = path.strip_prefix(&root).ok().and_then(Path::parent).unwrap_or(Path::new(""));
            folders.contains(&path.parent())
                || below.iter().any(|part| PHOTO_FOLDERS.iter().any(|name| part == *name))
        };
        let broken: HashSet<&str> = annotations.broken.iter().map(|p| stem_of(p)).collect();
        let twins: BTreeSet<(Option<&Path>, &str)> =
            photos.keys().map(|p| (p.parent(), stem_of(p))).collect();
        for path in &self.tree.photos {
            if photos.contains_key(path) || broken.contains(stem_of(path)) || !of_photos(path) {
                continue;
            }
            let finding = Finding::error(path, None, "has no annotation");
            self.findings.push(if twins.contains(&(path.parent(), stem_of(path))) {
                finding.hint(
                    "another photo beside it differs only in its ending, and the annotation names that one",
                )
            } else {
                finding.hint("annotate it, or move it elsewhere")
            });
        }
    }

    /// Photos of one name in two folders: a split file could not tell them apart.
    fn same_name(&mut self, photos: &BTreeMap<PathBuf, bool>) {
        let mut by_name: HashMap<&str, &Path> = HashMap::new();
        for path in photos.keys() {
            if let Some(first) = by_name.insert(name_of(path), path) {
                let message = format!("has the name of {}", first.display());
                let finding = Finding::error(path, None, message);
                self.findings.push(finding.hint("rename one: the name tells them apart in a split file"));
            }
        }
    }

    /// Drops classes that no sample has (with a list given: warns and keeps them).
    fn used_classes(&mut self, classes: &mut Classes, samples: &mut [(Sample, Object)]) {
        let mut used = vec![false; classes.names.len()];
        for (sample, _) in &*samples {
            if let Some(used) = used.get_mut(sample.class) {
                *used = true;
            }
        }
        if self.options.classes.is_some() {
            for (name, _) in classes.names.iter().zip(used).filter(|(_, used)| !used) {
                let message = format!("no photo of the class {}", quoted(name));
                self.findings.push(Finding::warning(&self.tree.root, None, message));
            }
        } else {
            classes.keep(&used);
            for (sample, object) in samples {
                sample.class = classes.index(&object.label).unwrap_or_default();
            }
        }
    }

    fn error_at(&mut self, annotation: &Annotation, line: u32, message: String, hint: Option<String>) {
        let mut finding = Finding::error(&annotation.source, Some(line), message);
        finding.hint = hint;
        self.findings.push(finding);
    }
}

/// The box inside its photo, and what was clipped.
///
/// # Errors
///
/// Each thing that is wrong with it.
fn checked(bbox: BBox, size: Option<ImageSize>) -> Result<(BBox, Option<String>), Vec<String>> {
    let mut wrong = Vec::new();
    let mut clipped = Vec::new();
    let BBox { x1, y1, x2, y2 } = bbox;
    for (low, high, a, b, what) in [("xmin", "xmax", x1, x2, "width"), ("ymin", "ymax", y1, y2, "height")] {
        if b < a {
            wrong.push(format!("{high} {b} is less than {low} {a}"));
        } else if a == b {
            wrong.push(format!("the box has no {what}: {low} and {high} are {a}"));
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
            wrong.push(format!("{field} {value} lies outside the photo, which is {side} {what}"));
        } else if beyond > 0.0 {
            clipped
                .push(format!("{field} {value} lies {beyond} px outside the photo, which is {side} {what}"));
        }
    }
    let inside = bbox.clip(size);
    if wrong.is_empty() && inside.area() <= 0.0 {
        wrong.push("the box has no area inside the photo".into());
    }
    if wrong.is_empty() {
        let message = (!clipped.is_empty()).then(|| format!("clipped: {}", clipped.join(", ")));
        Ok((inside, message))
    } else {
        Err(wrong)
    }
}
