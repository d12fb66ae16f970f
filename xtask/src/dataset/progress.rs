//! The progress of a download, on standard error: a bar on a terminal, else a line after each tenth.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// The progress display of one download.
pub(super) struct Progress {
    name: String,
    bar: Option<ProgressBar>,
    total: Option<u64>,
    next_line: u64,
}

const STEP_WITHOUT_TOTAL: u64 = 8 << 20;

impl Progress {
    /// Starts at `done` bytes of `total`, if the server gives the total.
    pub(super) fn new(name: &str, done: u64, total: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(name, total));
        let mut progress = Self { name: name.to_owned(), bar, total, next_line: 0 };
        progress.at(done);
        progress
    }

    /// Updates the display: `done` bytes are on disk.
    pub(super) fn at(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if done >= self.next_line {
            match self.total {
                Some(total) => eprintln!("{}: {} of {} MB", self.name, done / 1_000_000, total / 1_000_000),
                None => eprintln!("{}: {} MB", self.name, done / 1_000_000),
            }
            self.next_line = done + self.total.map_or(STEP_WITHOUT_TOTAL, |total| total.div_ceil(10).max(1));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

fn bar(name: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => {
            (ProgressBar::new(total), "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        }
        None => (ProgressBar::new_spinner(), "{prefix} {spinner} {bytes} {bytes_per_sec}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_prefix(name.to_owned())
}
