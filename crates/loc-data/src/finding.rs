//! One thing that is wrong with a data set, or worth knowing: where it stands and what to try.

use std::fmt;
use std::path::Path;

use serde::Serialize;

/// Whether a finding makes the data set unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The data set cannot be used as it is.
    Error,
    /// It can be used; the message says what was done.
    Warning,
}

/// One finding. Its `Display` is one line: `file:line:column: message (hint: …)`, of which `line` and `column` may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Error or warning.
    pub severity: Severity,
    /// The file it stands in, as a path that can be opened from where the data set's path was given (bytes that are
    /// not UTF-8 replaced).
    pub file: String,
    /// Line in that file, from 1; none where the file has no lines.
    pub line: Option<u32>,
    /// Column in that line, in characters from 1; only where the file could not be parsed at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What is wrong: the field, its value, the reason.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}

impl Finding {
    /// An error without a hint.
    pub(crate) fn error(file: impl AsRef<Path>, line: Option<u32>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, file, line, message)
    }

    /// A warning without a hint.
    pub(crate) fn warning(file: impl AsRef<Path>, line: Option<u32>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, file, line, message)
    }

    fn new(
        severity: Severity,
        file: impl AsRef<Path>,
        line: Option<u32>,
        message: impl Into<String>,
    ) -> Self {
        let file = file.as_ref().to_string_lossy().into_owned();
        Self { severity, file, line, column: None, message: message.into(), hint: None }
    }

    /// The same at a column of its line.
    #[must_use]
    pub(crate) fn column(mut self, column: u32) -> Self {
        self.column = Some(column);
        self
    }

    /// The same with a hint.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Finding {
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
