//! Finds the photo that an annotation names: by the exact name, or else by one that differs in its extension, in case, or
//! in the spelling of the same letters. Rules and results are here, the search itself in `search`.

mod names;
mod search;

use std::path::{Path, PathBuf};

pub(crate) use self::names::match_key;
use self::names::{decoded, without_scheme};
use self::search::Search;
use crate::csv_escape::unescape_formula;
use crate::file_index::{FileIndex, stem_of};

/// The rule by which a photo was found, from the strictest to the loosest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MatchRule {
    /// The exact name.
    Exact,
    /// The extension in other case.
    ExtensionCase,
    /// Another extension.
    Extension,
    /// After Unicode normalisation and percent-decoding, without `file:`.
    Spelling,
    /// The name in other case.
    Case,
    /// The annotation file's own name.
    AnnotationName,
}

/// A photo that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FoundPhoto {
    pub(crate) path: PathBuf,
    pub(crate) rule: MatchRule,
    /// Whether it is in a folder where the annotation's photos are expected.
    pub(crate) in_expected_folder: bool,
    /// Whether it is outside the data set's folder.
    pub(crate) outside: bool,
}

/// Why no photo was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LookupError {
    /// Several photos match the name: a message with the candidates.
    Ambiguous(String),
    /// No photo matches.
    NotFound {
        /// What is there instead.
        reason: String,
        hint: Option<String>,
    },
}

/// One comparison of names.
#[derive(Debug, Clone, Copy)]
struct Comparison {
    rule: MatchRule,
    /// Whether the extensions must be equal except for case.
    same_extension: bool,
}

const fn comparison(rule: MatchRule, same_extension: bool) -> Comparison {
    Comparison { rule, same_extension }
}

/// Comparisons of the name as written, in the order in which they are tried.
const OF_WRITTEN_NAME: [Comparison; 2] =
    [comparison(MatchRule::ExtensionCase, true), comparison(MatchRule::Extension, false)];
/// Likewise, of the decoded name.
const OF_DECODED_NAME: [Comparison; 4] = [
    comparison(MatchRule::Spelling, true),
    comparison(MatchRule::Spelling, false),
    comparison(MatchRule::Case, true),
    comparison(MatchRule::Case, false),
];

impl FileIndex {
    /// Finds the photo that the annotation file `source` names `name`. `docs/formats.md` documents the order of the search.
    ///
    /// # Errors
    ///
    /// [`LookupError`] with the candidates, or with the reason why there is no such photo.
    pub(crate) fn find(&self, source: &Path, name: &str) -> Result<FoundPhoto, LookupError> {
        let search = Search { index: self, folder: source.parent().unwrap_or(Path::new("")) };
        let (name, scheme) = without_scheme(unescape_formula(name));
        let last = name.trim().replace('\\', "/");
        let mut spelled = vec![name.to_string(), name.trim().to_owned(), last.clone()];
        spelled.dedup();
        let mut found = search.exact(&spelled)?;
        if found.is_none() {
            found = search.similar(&last, &OF_WRITTEN_NAME)?;
        }
        if found.is_none() {
            let decoded = decoded(&last);
            if decoded != last {
                found = search
                    .exact(&[decoded.to_string()])?
                    .map(|found| FoundPhoto { rule: MatchRule::Spelling, ..found });
            }
            if found.is_none() {
                found = search.similar(&decoded, &OF_DECODED_NAME)?;
            }
        }
        match found {
            Some(found) if scheme => Ok(FoundPhoto { rule: found.rule.max(MatchRule::Spelling), ..found }),
            Some(found) => Ok(found),
            None => Err(search.explain_missing(&last)),
        }
    }

    /// Finds the only photo that has the name of its annotation file.
    pub(crate) fn find_by_annotation_name(&self, source: &Path) -> Option<FoundPhoto> {
        let search = Search { index: self, folder: source.parent()? };
        let found = search.similar(stem_of(source), &OF_WRITTEN_NAME[..1]).ok().flatten()?;
        Some(FoundPhoto { rule: MatchRule::AnnotationName, ..found })
    }
}
