//! Compares the rows of a part with the lines of its shard: a row for each photo, any number for an archive.

use std::collections::HashSet;
use std::io::{self, BufRead};

use super::Lines;
use crate::input::{is_archive, is_of_archive};

/// The lines whose rows are still to come.
pub(crate) struct Expected<'a, R> {
    lines: &'a mut Lines<R>,
    /// The number of lines after the current one.
    left: u64,
    /// The current line, if it is an archive: more of its rows may come.
    archive: Option<String>,
    /// The paths of its rows so far.
    seen: HashSet<String>,
}

impl<'a, R: BufRead> Expected<'a, R> {
    /// Expects rows of the next `count` lines.
    pub(crate) fn new(lines: &'a mut Lines<R>, count: u64) -> Self {
        Self { lines, left: count, archive: None, seen: HashSet::new() }
    }

    /// Takes the path of the next row; returns what should stand there instead, if it is not one that may.
    pub(crate) fn take(&mut self, path: &str) -> io::Result<Option<String>> {
        loop {
            if let Some(archive) = self.archive.take()
                && is_of_archive(path, &archive)
            {
                self.archive = Some(archive);
                let new = self.seen.insert(path.to_owned());
                return Ok((!new).then(|| "this row once, not twice".into()));
            }
            match self.next()? {
                Some(line) if is_archive(&line) => self.archive = Some(line),
                Some(line) => return Ok((line != path).then_some(line)),
                None => return Ok(Some("no further photo in this shard".into())),
            }
        }
    }

    /// After the last row: returns a line of which there was none, though there must be.
    pub(crate) fn finish(mut self) -> io::Result<Option<String>> {
        while let Some(line) = self.next()? {
            if !is_archive(&line) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> io::Result<Option<String>> {
        self.seen.clear();
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return Ok(None),
        };
        Ok(self.lines.next_line()?.map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_must_be_those_of_the_list() {
        let list = "a.jpg\nb.tar\nc.tar\nd.jpg\n";
        for (rows, expected) in [
            (&["a.jpg", "b.tar/1.jpg", "b.tar/2.jpg", "c.tar", "d.jpg"][..], None),
            (&["a.jpg", "c.tar/1.jpg", "d.jpg"], None),
            (&["a.jpg", "d.jpg"], None),
            (&["a.jpg", "b.tar/1.jpg"], Some("d.jpg")),
            (&["b.tar/1.jpg"], Some("a.jpg")),
            (&["a.jpg", "b.tarx/1.jpg"], Some("d.jpg")),
            (&["a.jpg", "c.tar/1.jpg", "b.tar/1.jpg"], Some("d.jpg")),
            (&["a.jpg", "b.tar/1.jpg", "b.tar/1.jpg"], Some("this row once, not twice")),
            (&["a.jpg", "d.jpg", "d.jpg"], Some("no further photo in this shard")),
        ] {
            let mut lines = Lines::new(list.as_bytes());
            let mut all = Expected::new(&mut lines, 4);
            let wrong = rows.iter().find_map(|row| all.take(row).unwrap());
            let wrong = wrong.or_else(|| all.finish().unwrap());
            assert_eq!(wrong.as_deref(), expected, "{rows:?}");
        }
    }
}
