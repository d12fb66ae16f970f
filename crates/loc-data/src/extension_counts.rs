//! Counts of ignored files by extension, in words.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use loc_infer::preprocess::FileKind;

/// Most extensions that are listed.
const NAMED: usize = 6;
/// Longest ending that is shown.
const LONGEST: usize = 12;

/// How many files of each ending: `2 .txt, 1 .mp4 (MP4 video)`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ExtensionCounts {
    endings: BTreeMap<String, usize>,
}

impl ExtensionCounts {
    /// Counts a file by its ending.
    pub fn count(&mut self, path: &Path) {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        // Other characters are hardly an extension, and might control a terminal.
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '~' | '+');
        let shown = ending.len() <= LONGEST && ending.chars().all(plain);
        *self.endings.entry(if shown { ending } else { "…".into() }).or_default() += 1;
    }

    /// Number of files counted.
    #[must_use]
    pub fn total(&self) -> usize {
        self.endings.values().sum()
    }

    /// A hint for photos of unsupported formats among them, if any.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        self.kinds()
            .filter(|(_, _, kind)| kind.is_some_and(is_unread))
            .max_by_key(|k| k.1)?
            .2
            .map(FileKind::hint)
    }

    fn kinds(&self) -> impl Iterator<Item = (&str, usize, Option<&'static FileKind>)> {
        self.endings.iter().map(|(ending, n)| {
            let kind = FileKind::of_ending(&Path::new("x").with_extension(ending));
            (ending.as_str(), *n, kind)
        })
    }
}

fn is_unread(kind: &FileKind) -> bool {
    kind.is_photo() && !kind.is_read()
}

impl fmt::Display for ExtensionCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: Vec<_> = self.kinds().collect();
        // A stable sort: of equal numbers, by name.
        kinds.sort_by_key(|(_, n, _)| std::cmp::Reverse(*n));
        let others: usize = kinds.iter().skip(NAMED).map(|(_, n, _)| n).sum();
        let mut words: Vec<String> = kinds
            .into_iter()
            .take(NAMED)
            .map(|(ending, n, kind)| match (ending, kind.filter(|kind| !kind.is_read())) {
                ("", _) => format!("{n} without an ending"),
                (ending, Some(kind)) => format!("{n} .{ending} ({})", kind.name()),
                (ending, None) => format!("{n} .{ending}"),
            })
            .collect();
        if others > 0 {
            words.push(format!("{others} of other kinds"));
        }
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_by_ending_the_most_first() {
        let mut tally = ExtensionCounts::default();
        assert_eq!((tally.to_string(), tally.hint()), (String::new(), None));
        for name in ["a.mp4", "b.TXT", "c.txt", "README", "d.\x1b[2J", "e.HEIC"] {
            tally.count(Path::new(name));
        }
        assert_eq!(
            tally.to_string(),
            "2 .txt, 1 without an ending, 1 .heic (HEIC photo), 1 .mp4 (MP4 video), 1 .…"
        );
        assert_eq!(tally.total(), 6);
        assert!(tally.hint().is_some_and(|hint| hint.contains("heif-convert")));
        for name in ["a.x1", "a.x2", "a.x3"] {
            tally.count(Path::new(name));
        }
        assert!(tally.to_string().ends_with(", 1 .x2, 2 of other kinds"), "{tally}");
    }
}
