//! Assigns photos to annotations: each annotation names one photo, several annotations may match the same photo, and a
//! photo belongs to at most one sample.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::build_samples::SampleBuilder;
use crate::file_index::{name_of, stem_of};
use crate::formats::number::quoted;
use crate::formats::{Annotation, Scope};
use crate::photo_lookup::{FoundPhoto, LookupError, MatchRule};
use crate::{Diagnostic, DiagnosticKind, Hint};

/// Hint for a photo that exists in its annotation only.
const EMBEDDED: &str = "the annotation holds it as `imageData`: `labelme_export_json` writes it as a file, to be put beside the annotation";

/// An annotation with the photo that was found for it.
struct PhotoMatch<'a> {
    /// Index of the annotation.
    index: usize,
    annotation: &'a Annotation,
    found: FoundPhoto,
    /// If the photo was found by the annotation file's name: why not by the name in the annotation.
    reason: String,
}

impl PhotoMatch<'_> {
    /// The quality of the match; the smallest is the best.
    fn rank(&self) -> (MatchRule, bool, bool) {
        let (source, path) = (stem_of(&self.annotation.source), &self.found.path);
        let same_name =
            self.annotation.has_own_file() && (source == stem_of(path) || source == name_of(path));
        (self.found.rule, !same_name, !self.found.in_expected_folder)
    }

    /// Whether two annotations match the photo equally well, so that either may be wrong.
    fn is_as_good_as(&self, other: &Self) -> bool {
        self.found.rule == other.found.rule && self.found.in_expected_folder == other.found.in_expected_folder
    }
}

/// The best match of each photo, and the other matches.
struct Assignment<'a> {
    best: HashMap<PathBuf, PhotoMatch<'a>>,
    rejected: Vec<PhotoMatch<'a>>,
}

impl<'a> Assignment<'a> {
    /// Keeps the best match of each photo, the first of equals; the others are rejected, in the annotations' order.
    fn of(matches: Vec<PhotoMatch<'a>>) -> Self {
        let (mut best, mut rejected): (HashMap<PathBuf, PhotoMatch<'a>>, Vec<_>) = Default::default();
        for new in matches {
            match best.get_mut(&new.found.path) {
                Some(current) if new.rank() < current.rank() => {
                    rejected.push(std::mem::replace(current, new));
                }
                Some(_) => rejected.push(new),
                None => {
                    best.insert(new.found.path.clone(), new);
                }
            }
        }
        rejected.sort_unstable_by_key(|m| m.index);
        Self { best, rejected }
    }
}

impl SampleBuilder<'_> {
    /// The photo of each annotation, in the annotations' order. Annotations whose photo is missing, ambiguous or assigned to
    /// another annotation become diagnostics.
    pub(crate) fn find_photos<'b>(
        &mut self,
        annotations: &'b [Annotation],
    ) -> Vec<(PathBuf, &'b Annotation)> {
        let (mut matches, mut unmatched) = (Vec::new(), Vec::new());
        for (index, annotation) in annotations.iter().enumerate() {
            match self.find(annotation) {
                Ok(found) => matches.push(PhotoMatch { index, annotation, found, reason: String::new() }),
                // Only a file with a single annotation may be named like its photo. Tables are reported at once: they may
                // name millions of missing photos.
                Err(why) if !annotation.has_own_file() => {
                    self.report_missing(annotation, why, &HashMap::new());
                }
                Err(why) => unmatched.push((index, annotation, why)),
            }
        }
        let Assignment { mut best, rejected } = Assignment::of(matches);
        // The name of the annotation file, if the name in it is outdated: the file was copied from another annotation, or all
        // files name the same photo.
        let unassigned = |annotation: &Annotation| {
            let found = self.files.find_by_annotation_name(&annotation.source);
            found.filter(|found| annotation.has_own_file() && !best.contains_key(&found.path))
        };
        let (mut by_name, mut conflicts, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for new in rejected {
            let owner = &best[&new.found.path];
            match unassigned(new.annotation).filter(|_| new.rank() > owner.rank()) {
                Some(found) => {
                    let reason = format!("that one is annotated in {}", owner.annotation.source.display());
                    by_name.push(PhotoMatch { found, reason, ..new });
                }
                None => conflicts.push(new),
            }
        }
        for (index, annotation, why) in unmatched {
            match unassigned(annotation).filter(|_| matches!(why, LookupError::NotFound { .. })) {
                Some(found) => {
                    let reason = "there is none of that name".to_owned();
                    by_name.push(PhotoMatch { index, annotation, found, reason });
                }
                None => missing.push((annotation, why)),
            }
        }
        let by_name = Assignment::of(by_name);
        conflicts.extend(by_name.rejected);
        best.extend(by_name.best);
        for (annotation, why) in missing {
            self.report_missing(annotation, why, &best);
        }
        for conflict in conflicts {
            self.report_conflict(&conflict, &best[&conflict.found.path]);
        }
        let mut matches: Vec<PhotoMatch<'_>> = best.into_values().collect();
        matches.sort_unstable_by_key(|m| m.index);
        matches.iter().for_each(|m| self.report_rule(m));
        matches.into_iter().map(|m| (m.found.path, m.annotation)).collect()
    }

    /// The photo that an annotation names, or that has the name of its file.
    fn find(&self, annotation: &Annotation) -> Result<FoundPhoto, LookupError> {
        if annotation.scope == Scope::OneOfSameName {
            let found = self.files.find_by_annotation_name(&annotation.source);
            let rule = MatchRule::Exact;
            return found.map(|found| FoundPhoto { rule, ..found }).ok_or_else(|| LookupError::NotFound {
                reason: "does not exist".into(),
                hint: Some("a label file has the name of its photo".into()),
            });
        }
        let found = self.files.find(&annotation.source, &annotation.photo);
        match (found, &annotation.other_name) {
            (Err(LookupError::NotFound { reason, hint }), Some(name)) => {
                self.files.find(&annotation.source, name).map_err(|_| LookupError::NotFound { reason, hint })
            }
            (found, _) => found,
        }
    }

    /// Reports an annotation without a photo.
    fn report_missing(
        &mut self,
        annotation: &Annotation,
        why: LookupError,
        best: &HashMap<PathBuf, PhotoMatch<'_>>,
    ) {
        let (kind, why, hint): (_, _, Option<Hint>) = match why {
            LookupError::NotFound { reason, .. } if annotation.listed => {
                let message = format!("the photo {} {reason}: it is left out", quoted(&annotation.photo));
                return self.diagnostics.push(Diagnostic::warning(
                    DiagnosticKind::PhotoMissing,
                    &annotation.source,
                    Some(annotation.line),
                    message,
                ));
            }
            LookupError::Ambiguous(why) => {
                let hint = "rename all but one of them: the name must identify one photo";
                (DiagnosticKind::PhotoAmbiguous, why, Some(hint.into()))
            }
            LookupError::NotFound { reason, hint } => {
                let found = self.files.find_by_annotation_name(&annotation.source);
                let found = found.filter(|_| annotation.has_own_file());
                let owner = found.and_then(|found| best.get(&found.path)).map(|owner| {
                    let (path, source) = (owner.found.path.display(), owner.annotation.source.display());
                    format!("{path}, named like this annotation, is annotated in {source}")
                });
                let embedded = annotation.embedded.then(|| EMBEDDED.to_owned());
                (DiagnosticKind::PhotoMissing, reason, hint.or(owner).or(embedded).map(Hint::from))
            }
        };
        self.missing += 1;
        let message = format!("the photo {} {why}", quoted(&annotation.photo));
        self.error_at(kind, annotation, annotation.line, message, hint);
    }

    /// Reports an annotation whose photo is assigned to another annotation.
    fn report_conflict(&mut self, conflict: &PhotoMatch<'_>, owner: &PhotoMatch<'_>) {
        let annotation = conflict.annotation;
        let name = quoted(&annotation.photo);
        let (source, path) = (owner.annotation.source.display(), owner.found.path.display());
        if conflict.is_as_good_as(owner) {
            let message = if owner.annotation.source == annotation.source {
                format!(
                    "the photo {name} is annotated under two names: also as {}",
                    quoted(&owner.annotation.photo)
                )
            } else {
                format!("the photo {name} is also annotated in {source}")
            };
            let hint = Some("keep one of the two annotations".into());
            self.error_at(DiagnosticKind::PhotoDoubled, annotation, annotation.line, message, hint);
            // Either annotation may be wrong: the photo is not used.
            self.conflicting.insert(owner.found.path.clone());
        } else {
            self.missing += 1;
            let other = quoted(&owner.annotation.photo);
            let message = format!(
                "the photo {name} does not exist; {path} is similar, but it is annotated as {other} in {source}"
            );
            let hint = Some("one of the two names is wrong".into());
            self.error_at(DiagnosticKind::PhotoMissing, annotation, annotation.line, message, hint);
        }
    }

    /// Warns if a photo was not found by its exact name, or outside the data set's folder.
    fn report_rule(&mut self, found: &PhotoMatch<'_>) {
        let PhotoMatch { annotation, found, reason, .. } = found;
        let (name, path) = (quoted(&annotation.photo), found.path.display());
        let mut warn = |kind, message: String| {
            self.diagnostics.push(Diagnostic::warning(
                kind,
                &annotation.source,
                Some(annotation.line),
                message,
            ));
        };
        let difference = match found.rule {
            MatchRule::Exact => None,
            MatchRule::ExtensionCase => Some("only the case of its extension differs".to_owned()),
            MatchRule::Extension => Some("only its extension differs".to_owned()),
            MatchRule::Spelling => Some("only the spelling differs".to_owned()),
            MatchRule::Case => Some("only the case differs".to_owned()),
            MatchRule::AnnotationName => Some(format!("{reason}, and it has the annotation's name")),
        };
        if let Some(difference) = difference {
            let message = format!("the photo {name} is taken from {path}: {difference}");
            warn(DiagnosticKind::PhotoRenamed, message);
        }
        if found.outside {
            let message = format!("the photo {name} lies outside the data set's folder: {path}");
            warn(DiagnosticKind::PhotoOutside, message);
        }
    }
}
