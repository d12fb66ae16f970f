//! The digest of a file inside itself: a changed or incomplete file is recognised before anything of it is parsed.
//!
//! The metadata at the end of the file hold 64 hex digits under [`KEY`]: the SHA-256 of the file with zeros in their place.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

/// The key of the digest in the metadata.
pub(super) const KEY: &str = "loc.sha256";
/// What stands there until the file is complete.
pub(super) const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// In the metadata, the key and the value are followed by each other with the value's type (0x18) and its length (64).
const BETWEEN: [u8; 2] = [0x18, 0x40];
/// The last bytes of a file: the length of the metadata, and `PAR1`.
const TAIL: u64 = 8;
/// Longest metadata that are read: a row group needs about two kilobytes.
const MAX_METADATA: u64 = 1 << 30;

/// Writes the digest into a complete file.
pub(super) fn close(file: &mut File) -> io::Result<()> {
    let place = place(file)?.ok_or_else(|| io::Error::other("the file has no place for its digest"))?;
    let digest = digest(file, place)?;
    file.seek(SeekFrom::Start(place))?;
    file.write_all(digest.as_bytes())
}

/// Whether the file has its digest; leaves it at its beginning.
pub(super) fn is_intact(file: &mut File) -> io::Result<bool> {
    let Some(place) = place(file)? else { return Ok(false) };
    let mut found = [0; ZEROS.len()];
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(&mut found)?;
    let intact = digest(file, place)?.as_bytes() == found;
    file.rewind()?;
    Ok(intact)
}

/// The position of the digest; `None` if this is not such a file.
fn place(file: &mut File) -> io::Result<Option<u64>> {
    let length = file.seek(SeekFrom::End(0))?;
    let Some(end) = length.checked_sub(TAIL) else { return Ok(None) };
    file.seek(SeekFrom::Start(end))?;
    let mut tail = [0; 8];
    file.read_exact(&mut tail)?;
    let (size, magic) = tail.split_at(4);
    let size = u64::from(u32::from_le_bytes(size.try_into().unwrap_or_default()));
    let (Some(start), b"PAR1") = (end.checked_sub(size), magic) else { return Ok(None) };
    if size > MAX_METADATA {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(start))?;
    let mut metadata = Vec::new();
    file.take(size).read_to_end(&mut metadata)?;
    let before = [KEY.as_bytes(), &BETWEEN].concat();
    let found = metadata.windows(before.len()).rposition(|window| window == before);
    let at = found.map(|at| at + before.len()).filter(|at| at + ZEROS.len() <= metadata.len());
    Ok(at.map(|at| start + at as u64))
}

/// The digest of the file with zeros at `place`.
fn digest(file: &mut File, place: u64) -> io::Result<String> {
    let mut digest = Sha256::new();
    file.rewind()?;
    update(&mut digest, file.take(place))?;
    digest.update(ZEROS);
    file.seek(SeekFrom::Start(place + ZEROS.len() as u64))?;
    update(&mut digest, file)?;
    Ok(hex::encode(digest.finalize()))
}

fn update(digest: &mut Sha256, mut from: impl Read) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => digest.update(&buffer[..read]),
        }
    }
}
