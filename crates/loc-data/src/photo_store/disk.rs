//! Prepared photos in one file: a line that says what they were prepared for, then records of equal length.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use fs_err::File;
use image::RgbImage;
use loc_infer::{Decode, Filter, Fit, InputSpec};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::{Digest, lock};

const SCHEMA: &str = "loc.rgb8/1";
/// Bytes of the first line, filled up with spaces.
const HEAD: usize = 256;
/// Bytes of a record before its pixels: the photo's digest, and the pixels' CRC-32.
const PREFIX: usize = 36;

/// The first line: another version may prepare photos in another way.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Head {
    schema: String,
    version: String,
    width: u32,
    height: u32,
    fit: Fit,
    filter: Filter,
    decode: Decode,
}

impl Head {
    fn of(input: &InputSpec) -> Self {
        Self {
            schema: SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            width: input.size.width,
            height: input.size.height,
            fit: input.fit,
            filter: input.filter,
            decode: input.decode,
        }
    }

    fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.resize(HEAD - 1, b' ');
        line.push(b'\n');
        Ok(line)
    }
}

/// The prepared photos in a file, which one process writes. Others that open it meanwhile read what was there.
#[derive(Debug)]
pub(crate) struct DiskPhotos {
    path: PathBuf,
    /// Bytes of a photo's pixels.
    pixels: usize,
    file: Mutex<Records>,
    /// Whether a write has failed, or another process writes: then none is tried.
    is_full: AtomicBool,
}

#[derive(Debug)]
struct Records {
    file: File,
    /// The record of each photo.
    places: HashMap<Digest, u64>,
    count: u64,
}

impl DiskPhotos {
    /// Opens the file for the data set at this path and this input, or makes it. A file that was made for another input, that
    /// is damaged, or that holds more than twice as many photos as the data set has, begins anew.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub(crate) fn open(folder: &Path, data: &Path, input: &InputSpec, photos: usize) -> io::Result<Self> {
        fs_err::create_dir_all(folder)?;
        let head = Head::of(input).bytes()?;
        let mut name = sha2::Sha256::new();
        name.update(fs_err::canonicalize(data)?.as_os_str().as_encoded_bytes());
        name.update(&head);
        let path = folder.join(format!("{}.rgb8", hex::encode(&name.finalize()[..16])));
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        let is_ours = file.file().try_lock().is_ok();
        let pixels = 3 * input.size.width as usize * input.size.height as usize;
        let mut records = Records { file, places: HashMap::new(), count: 0 };
        records.index(&head, pixels, photos, is_ours)?;
        Ok(Self { path, pixels, file: Mutex::new(records), is_full: AtomicBool::new(!is_ours) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn lacks(&self, digest: &Digest) -> bool {
        !self.is_full.load(Ordering::Relaxed) && !lock(&self.file).places.contains_key(digest)
    }

    /// Appends a photo. Without room on the disk it is not kept, and decoded when it is needed.
    pub(crate) fn put(&self, digest: &Digest, image: &RgbImage) {
        let pixels = image.as_raw();
        if pixels.len() != self.pixels || !self.lacks(digest) {
            return;
        }
        let crc = crc32fast::hash(pixels).to_le_bytes();
        let record = [&digest[..], &crc, pixels].concat();
        let mut records = lock(&self.file);
        // Copies of a photo may be prepared at the same time.
        if records.places.contains_key(digest) {
            return;
        }
        let place = records.count;
        if records.write(place, &record).is_ok() {
            records.places.insert(*digest, place);
            records.count += 1;
        } else {
            self.is_full.store(true, Ordering::Relaxed);
        }
    }

    /// Reads the photo's pixels into `out`; false if they are not there or damaged.
    pub(crate) fn read(&self, digest: &Digest, out: &mut [u8]) -> bool {
        let mut prefix = [0; PREFIX];
        let is_read = {
            let mut records = lock(&self.file);
            let Some(place) = records.places.get(digest).copied() else { return false };
            out.len() == self.pixels && records.read(place, &mut prefix, out).is_ok()
        };
        is_read && prefix[..32] == digest[..] && prefix[32..] == crc32fast::hash(out).to_le_bytes()
    }
}

impl Records {
    /// Finds the records that the file has; a last one that is incomplete is written over.
    fn index(&mut self, head: &[u8], pixels: usize, photos: usize, is_ours: bool) -> io::Result<()> {
        let record = (PREFIX + pixels) as u64;
        let length = self.file.metadata()?.len();
        let mut found = vec![0; HEAD];
        let is_known = length >= HEAD as u64 && self.file.read_exact(&mut found).is_ok() && found == head;
        let count = length.saturating_sub(HEAD as u64) / record;
        if !is_ours && !is_known {
            return Ok(());
        }
        if !is_known || (is_ours && count > 2 * photos as u64) {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            return self.file.write_all(head);
        }
        for place in 0..count {
            let mut digest = [0; 32];
            self.file.seek(SeekFrom::Start(HEAD as u64 + place * record))?;
            self.file.read_exact(&mut digest)?;
            self.places.insert(digest, place);
        }
        self.count = count;
        Ok(())
    }

    fn seek(&mut self, place: u64, record: usize) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(HEAD as u64 + place * record as u64)).map(drop)
    }

    fn write(&mut self, place: u64, record: &[u8]) -> io::Result<()> {
        self.seek(place, record.len())?;
        self.file.write_all(record)
    }

    fn read(&mut self, place: u64, prefix: &mut [u8], pixels: &mut [u8]) -> io::Result<()> {
        self.seek(place, prefix.len() + pixels.len())?;
        self.file.read_exact(prefix)?;
        self.file.read_exact(pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageSize;

    fn input(width: u32) -> InputSpec {
        InputSpec { size: ImageSize { width, height: 4 }, ..InputSpec::default() }
    }

    fn photo(value: u8) -> RgbImage {
        RgbImage::from_pixel(6, 4, image::Rgb([value, 1, 2]))
    }

    #[test]
    fn photos_are_found_again_and_damaged_ones_are_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let open = |width| DiskPhotos::open(&dir.path().join("cache"), dir.path(), &input(width), 4);
        let digests: [Digest; 3] = [[1; 32], [2; 32], [3; 32]];
        let mut out = vec![0; 72];
        let path = {
            let disk = open(6).unwrap();
            for digest in &digests {
                assert!(disk.lacks(digest) && !disk.read(digest, &mut out));
                disk.put(digest, &photo(digest[0]));
            }
            disk.put(&digests[0], &photo(9));
            assert!(disk.read(&digests[0], &mut out) && out == photo(1).into_raw(), "the first stays");
            let other = open(6).unwrap();
            assert!(other.read(&digests[1], &mut out) && !other.lacks(&[9; 32]), "another one only reads");
            disk.path().to_owned()
        };
        let bytes = fs_err::read(&path).unwrap();
        assert_eq!(bytes.len(), HEAD + 3 * (PREFIX + 72));

        // A flipped bit, and a last record that is cut short.
        let mut damaged = bytes.clone();
        damaged[HEAD + PREFIX + 5] ^= 1;
        damaged.truncate(bytes.len() - 1);
        fs_err::write(&path, damaged).unwrap();
        let disk = open(6).unwrap();
        assert!(!disk.read(&digests[0], &mut out), "a damaged record");
        assert!(disk.read(&digests[1], &mut out) && out == photo(2).into_raw());
        assert!(disk.lacks(&digests[2]), "a record that is cut short");
        disk.put(&digests[2], &photo(3));
        drop(disk);
        assert_eq!(fs_err::metadata(&path).unwrap().len(), bytes.len() as u64);

        // Another input has a file of its own; another content begins anew.
        assert_ne!(open(8).unwrap().path(), path);
        fs_err::write(&path, b"something else").unwrap();
        assert!(open(6).unwrap().lacks(&digests[1]));
        let many = DiskPhotos::open(&dir.path().join("cache"), dir.path(), &input(6), 1).unwrap();
        digests.iter().for_each(|digest| many.put(digest, &photo(1)));
        drop(many);
        let few = DiskPhotos::open(&dir.path().join("cache"), dir.path(), &input(6), 1).unwrap();
        assert!(few.lacks(&digests[0]), "mostly photos that are gone");
    }
}
