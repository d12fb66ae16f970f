//! Output: data to stdout, everything else to stderr; colours, escaping, exit codes.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::outputs::Target;
use crate::remedy;

/// When to colour what goes to the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Ok,
    /// It failed.
    Failed,
    /// Flags or configuration are at fault.
    Usage,
    /// Done, but some inputs failed.
    Partly,
    /// A gate was not met.
    Gate,
    /// Stopped by a signal, state saved: 128 plus its number.
    Signal(u8),
    /// What a scheduler should do about a shard that failed.
    Shard(loc_shard::Retry),
}

impl Exit {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partly => 3,
            Self::Gate => 4,
            Self::Signal(number) => 128 + number,
            // EX_TEMPFAIL, EX_USAGE and EX_DATAERR of sysexits.h.
            Self::Shard(loc_shard::Retry::Again) => 75,
            Self::Shard(loc_shard::Retry::Mismatch) => 64,
            Self::Shard(loc_shard::Retry::Data) => 65,
        })
    }

    /// The code of an error that ended a command.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if let Some(shard) = error.downcast_ref::<loc_shard::Error>() {
            return Self::Shard(shard.retry());
        }
        let usage = error.is::<Usage>()
            || error.downcast_ref::<loc_train::TrainError>().is_some_and(loc_train::TrainError::is_usage)
            || matches!(
                error.downcast_ref(),
                Some(loc_data::DataError::Argument { .. } | loc_data::DataError::NotEmpty(_))
            );
        if usage { Self::Usage } else { Self::Failed }
    }
}

/// An error of flags or of what they name.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Whether the error is a closed stdout.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// The output streams and their properties.
#[derive(Clone)]
pub(crate) struct Output {
    colored: bool,
    /// Whether only errors are printed.
    silent: bool,
    /// Whether a person may be asked, if there is one.
    pub(crate) may_ask: bool,
    /// Whether progress bars can be shown.
    pub(crate) bars: bool,
    /// Whether stdout is a terminal.
    pub(crate) data_is_seen: bool,
}

impl Output {
    pub(crate) fn new(color: Color) -> Self {
        let terminal = io::stderr().is_terminal();
        let colored = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let bars = terminal && !dumb && speaks_utf8();
        Self { colored, silent: false, may_ask: true, bars, data_is_seen: io::stdout().is_terminal() }
    }

    /// The same output, on which only errors are printed.
    pub(crate) fn silent(&self) -> Self {
        Self { silent: true, bars: false, ..*self }
    }

    /// Writes a line of data to stdout; on a terminal with control characters escaped.
    pub(crate) fn data(&self, line: &str) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.data_is_seen {
            out.write_all(escape(line).as_bytes())?;
        } else {
            out.write_all(line.as_bytes())?;
        }
        out.write_all(b"\n")
    }

    /// Prints the path of a written file; nothing for a pipe or a device, which may be stdout itself.
    pub(crate) fn made(&self, target: &Target) -> io::Result<()> {
        target.made().map_or(Ok(()), |path| self.data(&path))
    }

    /// Writes a record as one line of JSON.
    pub(crate) fn json(&self, value: &impl serde::Serialize) -> anyhow::Result<()> {
        Ok(self.data(&serde_json::to_string(value)?)?)
    }

    /// Writes a note to stderr.
    pub(crate) fn note(&self, text: &str) {
        if !self.silent {
            Self::plain(&escape(text));
        }
    }

    pub(crate) fn warn(&self, text: &str) {
        if !self.silent {
            self.labelled("warning", "33", text);
        }
    }

    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.labelled("error", "31", &remedy::explain(error));
    }

    fn labelled(&self, label: &str, color: &str, text: &str) {
        let text = escape(text);
        if self.colored {
            Self::plain(&format!("\x1b[1;{color}m{label}:\x1b[0m {text}"));
        } else {
            Self::plain(&format!("{label}: {text}"));
        }
    }

    /// Writes a hint after an error.
    pub(crate) fn hint(text: &str) {
        Self::plain(&format!("hint: {}", escape(text)));
    }

    /// Writes a line to stderr; errors are ignored.
    pub(crate) fn plain(text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Whether the locale uses UTF-8, by the variables in POSIX order; assumed if none is set.
fn speaks_utf8() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name));
    locale.is_none_or(|l| l.to_lowercase().replace('-', "").contains("utf8"))
}

/// Escapes control characters: class and file names must not control the terminal.
pub(crate) fn escape(text: &str) -> String {
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if control(c) {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

/// Escapes a name within a line, newlines and tabs included.
pub(crate) fn escape_name(text: &str) -> String {
    escape(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%\\".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(escape_name("a\x1b[2J\n\tb"), "a\\u{1b}[2J\\n\\tb");
        assert_eq!(escape("cat\x1b[2J\u{9b}31m\r\nß"), "cat\\u{1b}[2J\\u{9b}31m\\r\nß");
    }
}
