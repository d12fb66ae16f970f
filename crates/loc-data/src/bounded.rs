//! Findings of which no file brings more than a bounded number: a million wrong rows must not fill the memory.

use std::collections::HashMap;

use crate::{Finding, Kind, Severity};

/// Most errors of one file that are kept.
pub(crate) const MOST: usize = 1000;
/// Most warnings of one file that are kept: what they are about can be used, and people want to know of how many.
const MOST_WARNINGS: usize = 100_000;

/// Findings in the order they were made. Of each file the first ones are kept, the others counted.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    kept: Vec<Finding>,
    errors: usize,
    of_file: HashMap<String, Counts>,
}

/// How many errors and warnings a file has.
#[derive(Debug, Default)]
struct Counts {
    errors: usize,
    warnings: usize,
}

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        if !self.of_file.contains_key(&finding.file) {
            self.of_file.insert(finding.file.clone(), Counts::default());
        }
        let Some(counts) = self.of_file.get_mut(&finding.file) else { return };
        let keep = match finding.severity {
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
            self.kept.push(finding);
        }
    }

    /// How many errors there were, whether they were kept or not.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// The findings; of each file with more than are kept, one says how many.
    pub(crate) fn into_vec(mut self) -> Vec<Finding> {
        for (file, counts) in self.of_file {
            let more = |left: usize, what: &str| {
                let left = crate::error::count(left, &format!("more {what}"));
                format!("{left} in this file: not listed")
            };
            if counts.errors > MOST {
                let message = more(counts.errors - MOST, "error");
                self.kept.push(Finding::error(Kind::TooMany, &file, None, message));
            }
            if counts.warnings > MOST_WARNINGS {
                let message = more(counts.warnings - MOST_WARNINGS, "warning");
                self.kept.push(Finding::warning(Kind::TooMany, &file, None, message));
            }
        }
        self.kept
    }
}

impl Extend<Finding> for Findings {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_its_own_bound() {
        let mut findings = Findings::default();
        for line in 1..=2_500 {
            findings.push(Finding::error(Kind::Number, "a.csv", Some(line), "bad"));
            findings.push(Finding::warning(Kind::BoxClipped, "a.csv", Some(line), "clipped"));
        }
        findings.extend([Finding::error(Kind::Number, "b.csv", Some(1), "bad")]);
        assert_eq!(findings.errors(), 2_501);
        let all = findings.into_vec();
        assert_eq!(all.iter().filter(|f| f.kind == Kind::Number).count(), MOST + 1);
        assert_eq!(all.iter().filter(|f| f.kind == Kind::BoxClipped).count(), 2_500);
        let last = all.last().unwrap();
        assert_eq!(last.to_string(), "a.csv: 1500 more errors in this file: not listed");
    }
}
