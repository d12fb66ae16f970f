//! Diagnostics: an error or a warning about a data set, with its kind, its place, and a hint.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::Hint;

/// Most places that a line of a summary lists.
const LISTED: usize = 3;

/// Whether a diagnostic keeps a photo out of the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The photo it concerns is invalid, and not a sample.
    Error,
    /// The photo it concerns is used; the message says how the problem was handled.
    Warning,
}

/// Declares the kinds, each with its documentation, its name in singular and plural, and how to mend it.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident: $one:literal, $many:literal, $advice:literal;)+) => {
        /// The kind of a diagnostic.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum DiagnosticKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl DiagnosticKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// How such a problem is mended, for diagnostics without a hint of their own.
            #[must_use]
            pub fn advice(self) -> &'static str {
                match self {
                    $(Self::$kind => $advice,)+
                }
            }

            /// A count of this kind in words: "2 boxes without an area".
            #[must_use]
            pub fn counted(self, n: usize) -> String {
                let words = match self {
                    $(Self::$kind => if n == 1 { $one } else { $many },)+
                };
                format!("{n} {words}")
            }
        }
    };
}

kinds! {
    /// A file of the set that cannot be opened or read.
    Unreadable: "unreadable file", "unreadable files",
        "make the file readable, or remove it";
    /// A file or folder that was skipped: not a regular file, a broken link, too deep.
    Skipped: "skipped file or folder", "skipped files or folders",
        "name it otherwise, or move it, if it belongs to the set";
    /// A file that is not an annotation despite its extension.
    Foreign: "file that is not an annotation", "files that are not annotations",
        "move files that are no annotations elsewhere";
    /// An annotation file, or a row of one, that does not follow its format.
    Syntax: "malformed annotation", "malformed annotations",
        "export it again with the annotation tool, or correct the line";
    /// Text in an encoding that is not the declared or expected one.
    Encoding: "annotation in another encoding", "annotations in another encoding",
        "save the file as UTF-8";
    /// A required field that is missing or empty.
    FieldMissing: "missing field", "missing fields",
        "add the value with the annotation tool";
    /// A field that occurs twice but is allowed once.
    FieldDoubled: "field given twice", "fields given twice",
        "keep the one that is right";
    /// A value that is not a number, or out of range.
    Number: "invalid number", "invalid numbers",
        "write it with ASCII digits and a point, such as 12.5";
    /// A photo that an annotation names and that does not exist.
    PhotoMissing: "missing photo", "missing photos",
        "add the photo to the set, or remove its annotation";
    /// A name that matches several photos.
    PhotoAmbiguous: "ambiguous photo name", "ambiguous photo names",
        "rename all but one of the photos";
    /// A photo that was found under another name than the annotation gives.
    PhotoRenamed: "photo found under another name", "photos found under another name",
        "write the photo's own name into the annotation";
    /// A photo outside the data set's folder.
    PhotoOutside: "photo outside the data set's folder", "photos outside the data set's folder",
        "move the photo into the set's folder";
    /// A photo that is truncated, damaged, too large, or not a photo.
    PhotoDamaged: "photo that cannot be decoded", "photos that cannot be decoded",
        "replace the photo by a good copy, or remove its annotation";
    /// A photo whose content has another format than its extension says.
    PhotoMisnamed: "photo with the ending of another format", "photos with the ending of another format",
        "rename the file to the ending of its format";
    /// A photo without an annotation.
    PhotoUnannotated: "photo without an annotation", "photos without an annotation",
        "annotate the photo, or remove it";
    /// A photo that is annotated more than once.
    PhotoDoubled: "photo annotated more than once", "photos annotated more than once",
        "keep one of the annotations";
    /// The annotation gives another size than the photo has.
    SizeMismatch: "annotation with another size than its photo", "annotations with another size than their photos",
        "annotate the photo again, or put back the one that was annotated";
    /// The annotation gives a size of zero, which is ignored.
    SizeUnknown: "annotation without a size", "annotations without a size",
        "write the photo's size, or leave it out";
    /// A photo that EXIF rotates, where the annotation may refer to the stored pixels.
    Orientation: "photo turned by EXIF", "photos turned by EXIF",
        "say which pixels the boxes refer to";
    /// A box whose edges are equal or in the wrong order.
    BoxEmpty: "box without an area", "boxes without an area",
        "correct the box with the annotation tool";
    /// A box that exceeds its photo.
    BoxOutside: "box outside its photo", "boxes outside their photos",
        "correct the box with the annotation tool";
    /// A box that exceeded its photo by less than a pixel and was clipped.
    BoxClipped: "box clipped to its photo", "boxes clipped to their photos",
        "nothing need be done: it is rounding";
    /// A box that was wrong and was corrected, as asked.
    BoxRepaired: "box repaired", "boxes repaired",
        "look whether the box is right now";
    /// A box that is not given as the pixels of two corners.
    BoxUnits: "box in other units", "boxes in other units",
        "write the corners in pixels";
    /// A box that was computed from an outline or a rotated box.
    BoxDerived: "box derived from an outline", "boxes derived from outlines",
        "nothing need be done, if the whole object is meant";
    /// A marking that is no single object with a box: a point, a line, a crowd.
    ObjectIgnored: "marking that is no box", "markings that are no boxes",
        "draw a box, if the object is to count";
    /// A photo without objects.
    ObjectMissing: "photo without an object", "photos without an object",
        "annotate the photo, or remove it";
    /// A photo with several objects.
    ObjectsSeveral: "photo with several objects", "photos with several objects",
        "crop the photo to one object, if another one is meant";
    /// A class that is not in the list, or almost equal to another.
    ClassUnknown: "unknown class", "unknown classes",
        "correct the class, or add it to the list";
    /// A class of the list without photos.
    ClassUnused: "class without a photo", "classes without a photo",
        "remove the class from the list, or add photos of it";
    /// Copies of one photo on both sides of a split.
    CopiesTorn: "photo with a copy on the other side of the split", "photos with a copy on the other side of the split",
        "put all copies of a photo on one side of the split";
    /// Copies of one photo.
    Copies: "photo that is a copy of another", "photos that are copies of others",
        "remove the copies: they add nothing";
    /// A file with too many diagnostics, the rest of which is not listed or not read.
    TooMany: "file with too many errors", "files with too many errors",
        "correct the first ones, and check again";
}

/// One diagnostic. Its `Display` is one line: `file:line:column: message (hint: …)`, of which `line` and `column` may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Kind of the problem.
    pub kind: DiagnosticKind,
    /// The file, as a path relative to where the data set's path was given (bytes that are not UTF-8 are replaced).
    pub file: String,
    /// Line in that file, from 1; `None` if the file has no lines.
    pub line: Option<u32>,
    /// Column in that line, in characters from 1; only if the file could not be parsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The problem: field, value, reason.
    pub message: String,
    /// What to try.
    pub hint: Option<Hint>,
}

impl Diagnostic {
    /// An error without a hint.
    pub(crate) fn error(
        kind: DiagnosticKind,
        file: impl AsRef<Path>,
        line: Option<u32>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, kind, file, line, message)
    }

    /// A warning without a hint.
    pub(crate) fn warning(
        kind: DiagnosticKind,
        file: impl AsRef<Path>,
        line: Option<u32>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warning, kind, file, line, message)
    }

    fn new(
        severity: Severity,
        kind: DiagnosticKind,
        file: impl AsRef<Path>,
        line: Option<u32>,
        message: impl Into<String>,
    ) -> Self {
        let file = file.as_ref().to_string_lossy().into_owned();
        Self { severity, kind, file, line, column: None, message: message.into(), hint: None }
    }

    /// The same at a column of its line.
    #[must_use]
    pub(crate) fn column(mut self, column: u32) -> Self {
        self.column = Some(column);
        self
    }

    /// The same with a hint.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        write!(f, ": {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}

/// Diagnostics by kind, a line each, in the order of the kinds: how many, the first files, and the hint where all share
/// one. A single diagnostic is given whole.
#[must_use]
pub fn summary<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> Vec<String> {
    let mut by_kind: BTreeMap<DiagnosticKind, Vec<&Diagnostic>> = BTreeMap::new();
    for diagnostic in diagnostics {
        by_kind.entry(diagnostic.kind).or_default().push(diagnostic);
    }
    by_kind.into_iter().map(|(kind, diagnostics)| line_of(kind, &diagnostics)).collect()
}

fn line_of(kind: DiagnosticKind, diagnostics: &[&Diagnostic]) -> String {
    let [first, rest @ ..] = diagnostics else { return kind.counted(0) };
    if rest.is_empty() {
        return first.to_string();
    }
    let mut places: Vec<String> = Vec::new();
    for diagnostic in diagnostics {
        let line = diagnostic.line.filter(|line| *line > 1);
        let place =
            line.map_or_else(|| diagnostic.file.clone(), |line| format!("{}:{line}", diagnostic.file));
        if !places.contains(&place) {
            places.push(place);
        }
        if places.len() > LISTED {
            break;
        }
    }
    let more = if places.len() > LISTED { ", …" } else { "" };
    places.truncate(LISTED);
    let mut text = format!("{}: {}{more}", kind.counted(diagnostics.len()), places.join(", "));
    if let Some(hint) = first.hint.as_ref().filter(|hint| rest.iter().all(|f| f.hint.as_ref() == Some(hint)))
    {
        text += &format!(" (hint: {hint})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_each_kind_and_names_the_first_files() {
        let empty = |file: &str, line| {
            Diagnostic::error(DiagnosticKind::BoxEmpty, file, Some(line), "no width").hint("mend")
        };
        let missing = Diagnostic::error(
            DiagnosticKind::PhotoMissing,
            "x.xml",
            Some(1),
            "the photo `x.jpg` does not exist",
        );
        let all = [empty("a.csv", 2), missing, empty("a.csv", 3), empty("b.csv", 1), empty("c.csv", 1)];
        assert_eq!(
            summary(&all),
            [
                "x.xml:1: the photo `x.jpg` does not exist",
                "4 boxes without an area: a.csv:2, a.csv:3, b.csv, … (hint: mend)",
            ]
        );
    }

    #[test]
    fn every_kind_has_words_for_one_and_many() {
        for kind in DiagnosticKind::ALL {
            assert_ne!(kind.counted(1)[2..], kind.counted(2)[2..], "{kind:?}");
        }
    }
}
