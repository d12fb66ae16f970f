//! What is known of a data set's photos from the last reading: a file that is unchanged (length, inode, times) need not be read
//! and decoded again.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use image::ImageFormat;
use image::metadata::Orientation;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ImageSize;
use crate::atomic_file;
use crate::photo::Photo;

const SCHEMA: &str = "loc.photos/1";
/// Photos of a data set from which records are kept: fewer are read in a second or two.
const MANY: usize = 1000;
/// A file that was changed so shortly before it was read may change once more without a new time of change.
const SETTLED: Duration = Duration::from_secs(2);

/// The first line of the file: records of another version are not used, for its decoder may judge otherwise.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Head {
    schema: String,
    version: String,
}

impl Head {
    fn this() -> Self {
        Self { schema: SCHEMA.into(), version: env!("CARGO_PKG_VERSION").into() }
    }
}

/// What says that a file is unchanged: taken before the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    length: u64,
    /// When its content was changed, in nanoseconds since 1970.
    modified: u64,
    /// Its inode, and when content or inode were changed, which no program can set; 0 where there are none.
    inode: [u64; 2],
}

impl Stamp {
    /// That of a file that has settled: none of a file that may change once more without another time.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = fs_err::metadata(path).ok()?;
        let modified = metadata.modified().ok()?;
        let since_1970 = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos();
        let stamp = Self {
            length: metadata.len(),
            modified: u64::try_from(since_1970).ok()?,
            inode: inode(&metadata),
        };
        modified.elapsed().is_ok_and(|passed| passed > SETTLED).then_some(stamp)
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> [u64; 2] {
    use std::os::unix::fs::MetadataExt;
    let changed = metadata.ctime().wrapping_mul(1_000_000_000).wrapping_add(metadata.ctime_nsec());
    [metadata.ino(), changed.cast_unsigned()]
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> [u64; 2] {
    [0; 2]
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    path: PathBuf,
    #[serde(flatten)]
    stamp: Stamp,
    width: u32,
    height: u32,
    /// The EXIF orientation, 1 to 8.
    orientation: u8,
    /// The format's media type.
    format: String,
    sha256: String,
}

impl Record {
    fn photo(&self) -> Option<Photo> {
        let mut digest = [0; 32];
        hex::decode_to_slice(&self.sha256, &mut digest).ok()?;
        Some(Photo {
            size: ImageSize { width: self.width, height: self.height },
            orientation: Orientation::from_exif(self.orientation)?,
            format: ImageFormat::from_mime_type(&self.format)?,
            digest,
            hash: None,
            stamp: Some(self.stamp),
        })
    }
}

/// The records of a data set's photos.
#[derive(Debug, Default)]
pub(crate) struct PhotoRecords {
    known: HashMap<PathBuf, Photo>,
}

impl PhotoRecords {
    /// The file in a cache folder for the data set at this path; none if the path does not exist.
    pub(crate) fn place(folder: &Path, data: &Path) -> Option<PathBuf> {
        let path = fs_err::canonicalize(data).ok()?;
        let name = hex::encode(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..16]);
        Some(folder.join(format!("{name}.jsonl")))
    }

    /// Reads the records in a file; a file that is missing, of another version or damaged has none.
    pub(crate) fn read(path: &Path) -> Self {
        let lines = || -> Option<HashMap<PathBuf, Photo>> {
            let mut lines = BufReader::new(fs_err::File::open(path).ok()?).lines();
            let head: Head = serde_json::from_str(&lines.next()?.ok()?).ok()?;
            let record = |line: io::Result<String>| {
                let record: Record = serde_json::from_str(&line.ok()?).ok()?;
                let photo = record.photo()?;
                Some((record.path, photo))
            };
            // A line that is cut short ends what is known.
            (head == Head::this()).then(|| lines.map_while(record).collect())
        };
        Self { known: lines().unwrap_or_default() }
    }

    /// The photo in a file that has not changed since.
    pub(crate) fn find(&self, path: &Path) -> Option<Photo> {
        let photo = self.known.get(path)?;
        (Stamp::of(path) == photo.stamp).then(|| photo.clone())
    }

    /// Whether they are of exactly these photos.
    fn are_of(&self, photos: &[(&Path, &Photo)]) -> bool {
        let is_known = |(path, photo): &(&Path, &Photo)| {
            self.known.get(*path).is_some_and(|known| known.stamp == photo.stamp)
        };
        self.known.len() == photos.len() && photos.iter().all(is_known)
    }

    /// Writes the records of these photos, if they are many and others than those that were read.
    ///
    /// # Errors
    ///
    /// The file or its folder cannot be written.
    pub(crate) fn write(&self, path: &Path, photos: &[(&Path, &Photo)]) -> io::Result<()> {
        if photos.len() < MANY || self.are_of(photos) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let mut bytes = serde_json::to_vec(&Head::this())?;
        for (path, photo) in photos {
            let Some(stamp) = photo.stamp else { continue };
            bytes.push(b'\n');
            let record = Record {
                path: (*path).to_path_buf(),
                stamp,
                width: photo.size.width,
                height: photo.size.height,
                orientation: photo.orientation.to_exif(),
                format: photo.format.to_mime_type().into(),
                sha256: hex::encode(photo.digest),
            };
            serde_json::to_writer(&mut bytes, &record)?;
        }
        bytes.write_all(b"\n")?;
        atomic_file::replace(path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo;

    /// So many photos that records are kept, hard links of one, and the file of the records.
    fn photos() -> (tempfile::TempDir, Vec<(PathBuf, Photo)>, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let first = dir.path().join("0.png");
        image::RgbImage::new(3, 2).save(&first).unwrap();
        age(&first);
        for i in 1..MANY {
            fs_err::hard_link(&first, dir.path().join(format!("{i}.png"))).unwrap();
        }
        let one = photo::read(&first, false, None).unwrap();
        let all = (0..MANY).map(|i| (dir.path().join(format!("{i}.png")), one.clone())).collect();
        let records = dir.path().join("cache/records.jsonl");
        (dir, all, records)
    }

    fn refs(photos: &[(PathBuf, Photo)]) -> Vec<(&Path, &Photo)> {
        photos.iter().map(|(path, photo)| (&**path, photo)).collect()
    }

    /// Makes a file a minute old.
    fn age(path: &Path) {
        let file = fs_err::File::options().write(true).open(path).unwrap();
        file.file().set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn an_unchanged_photo_is_known_and_a_changed_one_is_not() {
        let (dir, all, path) = photos();
        PhotoRecords::default().write(&path, &refs(&all[..MANY - 1])).unwrap();
        assert!(!path.exists(), "a small set is read as fast without");
        PhotoRecords::default().write(&path, &refs(&all)).unwrap();
        let records = PhotoRecords::read(&path);
        assert_eq!(records.find(&all[7].0).as_ref(), Some(&all[7].1));
        assert_eq!(records.find(&dir.path().join("other.png")), None);
        let written = fs_err::metadata(&path).unwrap().modified().unwrap();
        records.write(&path, &refs(&all)).unwrap();
        assert_eq!(fs_err::metadata(&path).unwrap().modified().unwrap(), written, "nothing new to write");

        // Other pixels under the same name, length and time of change: another inode.
        let changed = &all[7].0;
        fs_err::remove_file(changed).unwrap();
        fs_err::copy(&all[0].0, changed).unwrap();
        let before = fs_err::metadata(&all[0].0).unwrap().modified().unwrap();
        fs_err::File::options().write(true).open(changed).unwrap().file().set_modified(before).unwrap();
        assert_eq!(records.find(changed), None);
        // A file that was changed just now may change again.
        fs_err::write(changed, b"x").unwrap();
        assert_eq!(Stamp::of(changed), None);
    }

    #[test]
    fn damaged_records_and_those_of_another_version_are_not_used() {
        let (_dir, all, path) = photos();
        PhotoRecords::default().write(&path, &refs(&all)).unwrap();
        let text = fs_err::read_to_string(&path).unwrap();
        let cut = &text[..text.len() / 2];
        for (what, text, known) in [
            ("cut", cut.to_owned(), cut.lines().count() - 2),
            ("another version", text.replacen(env!("CARGO_PKG_VERSION"), "0.0.0-other", 1), 0),
            ("no records", "hello\n".into(), 0),
        ] {
            fs_err::write(&path, text).unwrap();
            assert_eq!(PhotoRecords::read(&path).known.len(), known, "{what}");
        }
        assert!(PhotoRecords::read(Path::new("/nowhere")).known.is_empty());
    }
}
