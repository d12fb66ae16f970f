//! The list of photos: one path a line. It is copied into the place of the plan once; afterwards each shard reads its lines only.

pub(crate) mod duplicates;

use std::io::{self, BufRead, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;

/// Longest line, in bytes: longer than any path or key of an object store.
const MAX_LINE: u64 = 16 << 10;
/// The byte order mark of UTF-8, with which Windows programs begin a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The manifest of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// SHA-256 of the copy.
    pub(crate) sha256: String,
    /// Number of photos.
    pub(crate) lines: u64,
    /// Its length.
    pub(crate) bytes: u64,
}

/// The lines of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    /// The first byte.
    pub(crate) start: u64,
    /// The number of bytes.
    pub(crate) bytes: u64,
    /// SHA-256 of these bytes.
    pub(crate) sha256: String,
}

/// The number of the first line of a shard: the lines are distributed evenly. `shard` may be the number of shards.
pub(crate) fn first_line(shard: u64, shards: u64, lines: u64) -> u64 {
    let first = u128::from(shard) * u128::from(lines) / u128::from(shards.max(1));
    u64::try_from(first).unwrap_or(u64::MAX)
}

/// Copies a list without byte order mark, carriage returns and empty lines. `name` is its name in errors.
///
/// # Errors
///
/// [`Error::Manifest`] for a line that is not UTF-8, is too long, or holds a zero byte.
pub(crate) fn copy(name: &str, mut list: impl BufRead, mut into: impl Write) -> Result<Manifest, Error> {
    let mut digest = Sha256::new();
    let (mut lines, mut bytes) = (0, 0);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = list.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line);
        if read.map_err(|e| Error::io(name, e))? == 0 {
            break;
        }
        let bad =
            |reason: &str| Error::Manifest { manifest: name.into(), line: number, reason: reason.into() };
        if line.len() as u64 > MAX_LINE {
            return Err(bad("is longer than any path; is this a list of photos?"));
        }
        let content = line.strip_suffix(b"\n").unwrap_or(&line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        let content =
            if number == 1 { content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content) } else { content };
        if content.trim_ascii().is_empty() {
            continue;
        }
        if content.contains(&0) || std::str::from_utf8(content).is_err() {
            return Err(bad("is not UTF-8 text; the results hold paths as UTF-8"));
        }
        for piece in [content, b"\n"] {
            into.write_all(piece).map_err(|e| Error::io("the copy of the manifest", e))?;
            digest.update(piece);
            bytes += piece.len() as u64;
        }
        lines += 1;
    }
    into.flush().map_err(|e| Error::io("the copy of the manifest", e))?;
    Ok(Manifest { sha256: hex::encode(digest.finalize()), lines, bytes })
}

/// The lines of each of the shards, from the copy.
pub(crate) fn ranges(copy: impl BufRead, shards: u64, lines: u64) -> Result<Vec<Range>, Error> {
    let mut ranges = Vec::new();
    let mut photos = Lines::new(copy);
    let mut start = 0;
    for shard in 0..shards {
        let count = first_line(shard + 1, shards, lines) - first_line(shard, shards, lines);
        for _ in 0..count {
            photos.next_line().map_err(|e| Error::io("the copy of the manifest", e))?;
        }
        let (bytes, sha256) = photos.take_digest();
        ranges.push(Range { start, bytes, sha256 });
        start += bytes;
    }
    Ok(ranges)
}

/// Reads the lines of a copy, and digests what it reads.
pub(crate) struct Lines<R> {
    list: R,
    digest: Sha256,
    bytes: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(list: R) -> Self {
        Self { list, digest: Sha256::new(), bytes: 0, line: Vec::new() }
    }

    /// The next line without its end; `None` after the last.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<&str>> {
        self.line.clear();
        self.list.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut self.line)?;
        self.digest.update(&self.line);
        self.bytes += self.line.len() as u64;
        if self.line.is_empty() {
            return Ok(None);
        }
        // The digest is compared at the end: a changed file is found there.
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        std::str::from_utf8(line).map(Some).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }

    /// The number of bytes since the last call, and their digest.
    pub(crate) fn take_digest(&mut self) -> (u64, String) {
        (std::mem::take(&mut self.bytes), hex::encode(self.digest.finalize_reset()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(list: &[u8]) -> Result<(String, Manifest), Error> {
        let mut text = Vec::new();
        let manifest = copy("list.txt", list, &mut text)?;
        Ok((String::from_utf8(text).unwrap(), manifest))
    }

    #[test]
    fn lists_of_all_systems_become_the_same_copy() {
        let (text, manifest) = copied(b"a.jpg\nb c.jpg\n").unwrap();
        assert_eq!((text.as_str(), manifest.lines, manifest.bytes), ("a.jpg\nb c.jpg\n", 2, 14));
        assert_eq!(manifest.sha256, crate::sha256(text.as_bytes()));
        for other in [&b"a.jpg\r\nb c.jpg\r\n"[..], b"\xef\xbb\xbfa.jpg\nb c.jpg", b"\na.jpg\n \n\nb c.jpg\n"]
        {
            assert_eq!(copied(other).unwrap(), (text.clone(), manifest.clone()));
        }
    }

    #[test]
    fn what_is_no_list_is_an_error_with_its_line() {
        let long = vec![b'x'; 20_000];
        for (list, line) in [(&b"a\n\xff\xd8\n"[..], 2), (b"a\nb\nc\0d\n", 3), (&long, 1)] {
            let Err(Error::Manifest { line: found, .. }) = copied(list) else { panic!("{list:?} was taken") };
            assert_eq!(found, line);
        }
    }

    #[test]
    fn the_ranges_cover_the_list_in_order() {
        let text: String = (0..200).map(|i| format!("{i}.jpg\n")).collect();
        for shards in [1, 3, 6, 7, 199, 200] {
            let ranges = ranges(text.as_bytes(), shards, 200).unwrap();
            let mut next = 0;
            for (shard, range) in (0..).zip(&ranges) {
                assert_eq!(range.start, next);
                next += range.bytes;
                let part = &text[usize::try_from(range.start).unwrap()..usize::try_from(next).unwrap()];
                assert_eq!(range.sha256, crate::sha256(part.as_bytes()));
                let count = first_line(shard + 1, shards, 200) - first_line(shard, shards, 200);
                assert_eq!(part.lines().count() as u64, count);
            }
            assert_eq!((next, ranges.len() as u64), (text.len() as u64, shards));
        }
    }
}
