//! A list of diagnostics with a bound per file, so that a million wrong rows do not fill the memory.

use std::collections::{BTreeSet, HashMap};

use crate::{Diagnostic, DiagnosticKind, Severity};

/// Most errors that are kept of one file.
pub(crate) const MOST: usize = 1000;
/// Most warnings that are kept of one file. More than errors: the photos are used, and their number is of interest.
const MOST_WARNINGS: usize = 100_000;

/// Diagnostics in the order of their creation. The first of each file are kept, the others counted.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    kept: Vec<Diagnostic>,
    errors: usize,
    of_file: HashMap<String, Counts>,
    /// The kinds since the last [`Diagnostics::take_kinds`].
    kinds: BTreeSet<DiagnosticKind>,
}

/// How many errors and warnings a file has.
#[derive(Debug, Default)]
struct Counts {
    errors: usize,
    warnings: usize,
}

impl Diagnostics {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if !self.of_file.contains_key(&diagnostic.file) {
            self.of_file.insert(diagnostic.file.clone(), Counts::default());
        }
        let Some(counts) = self.of_file.get_mut(&diagnostic.file) else { return };
        self.kinds.insert(diagnostic.kind);
        let keep = match diagnostic.severity {
            Severity::Error => {
                self.errors += 1;
                counts.errors += 1;
                counts.errors <= MOST
            }
            Severity::Warning => {
                counts.warnings += 1;
                counts.warnings <= MOST_WARNINGS
            }
        };
        if keep {
            self.kept.push(diagnostic);
        }
    }

    /// The kinds of the diagnostics since the last call, kept or not.
    pub(crate) fn take_kinds(&mut self) -> BTreeSet<DiagnosticKind> {
        std::mem::take(&mut self.kinds)
    }

    /// The number of errors, kept or not.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// The kept diagnostics; for each file with more of them, one that counts the rest.
    pub(crate) fn into_vec(mut self) -> Vec<Diagnostic> {
        for (file, counts) in self.of_file {
            let more = |left: usize, what: &str| {
                let left = crate::error::count(left, &format!("more {what}"));
                format!("{left} in this file: not listed")
            };
            if counts.errors > MOST {
                let message = more(counts.errors - MOST, "error");
                self.kept.push(Diagnostic::error(DiagnosticKind::TooMany, &file, None, message));
            }
            if counts.warnings > MOST_WARNINGS {
                let message = more(counts.warnings - MOST_WARNINGS, "warning");
                self.kept.push(Diagnostic::warning(DiagnosticKind::TooMany, &file, None, message));
            }
        }
        self.kept
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: T) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_its_own_bound() {
        let mut diagnostics = Diagnostics::default();
        for line in 1..=2_500 {
            diagnostics.push(Diagnostic::error(DiagnosticKind::Number, "a.csv", Some(line), "bad"));
            diagnostics.push(Diagnostic::warning(DiagnosticKind::BoxClipped, "a.csv", Some(line), "clipped"));
        }
        diagnostics.extend([Diagnostic::error(DiagnosticKind::Number, "b.csv", Some(1), "bad")]);
        assert_eq!(diagnostics.errors(), 2_501);
        let all = diagnostics.into_vec();
        assert_eq!(all.iter().filter(|f| f.kind == DiagnosticKind::Number).count(), MOST + 1);
        assert_eq!(all.iter().filter(|f| f.kind == DiagnosticKind::BoxClipped).count(), 2_500);
        let last = all.last().unwrap();
        assert_eq!(last.to_string(), "a.csv: 1500 more errors in this file: not listed");
    }
}
