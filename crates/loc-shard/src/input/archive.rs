//! The photos in a tar archive, as webdataset writes them: read from the beginning to the end, one at a time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use loc_infer::Limits;
use loc_infer::preprocess::FileKind;
use tar::{Archive, Entry};

use super::{Content, Photo};
use crate::remote::{Client, Url};
use crate::{Error, Plan};

/// Gives on the photos of an archive until the function returns false. The path of a photo is that of the archive and its name in
/// it. What is wrong with the archive itself becomes a photo with the archive's path and an error.
pub(super) fn read(
    plan: &Plan,
    client: &Client,
    line: &str,
    take: &mut dyn FnMut(Photo) -> bool,
) -> Result<(), Error> {
    let location = plan.location(line);
    let failed = |reason: String| Photo { path: line.into(), content: Content::Failed(reason) };
    let source: Box<dyn Read> = match Url::parse(&location) {
        Some(Ok(url)) => match client.open(&url)? {
            Some(reader) => Box::new(reader),
            None => return missing(failed, take),
        },
        Some(Err(reason)) => {
            take(failed(reason));
            return Ok(());
        }
        None => match fs_err::File::open(&location) {
            Ok(file) => Box::new(io::BufReader::new(file.into_file())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return missing(failed, take),
            Err(error) => return Err(Error::io(location, error)),
        },
    };
    let seen = Rc::new(RefCell::new(Seen::default()));
    let mut archive = Archive::new(Watched { source, seen: Rc::clone(&seen) });
    let whole = photos(&mut archive, line, take);
    let seen = seen.take();
    match whole {
        // The disk or the network, not the archive.
        _ if seen.error.is_some() => {
            Err(Error::io(location, seen.error.unwrap_or_else(|| io::ErrorKind::Other.into())))
        }
        Ok(true) if seen.end => {
            take(failed("the archive is cut short".into()));
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => {
            take(failed(format!("not a tar archive, or a damaged one: {error}")));
            Ok(())
        }
    }
}

fn missing(failed: impl Fn(String) -> Photo, take: &mut dyn FnMut(Photo) -> bool) -> Result<(), Error> {
    take(failed("does not exist".into()));
    Ok(())
}

/// Returns whether the archive was read to its end.
fn photos(
    archive: &mut Archive<impl Read>,
    line: &str,
    take: &mut dyn FnMut(Photo) -> bool,
) -> io::Result<bool> {
    // A name may occur again: each row needs a path of its own.
    let mut names: HashMap<String, u32> = HashMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.strip_prefix("./").unwrap_or(&name);
        let photo = FileKind::of_ending(Path::new(name)).is_some_and(FileKind::is_read);
        if !photo || !entry.header().entry_type().is_file() {
            continue;
        }
        let count = names.entry(name.to_owned()).or_default();
        *count += 1;
        let path = match count {
            1 => format!("{line}/{name}"),
            again => format!("{line}/{name}#{again}"),
        };
        let content = content(&mut entry)?;
        if !take(Photo { path, content }) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn content(entry: &mut Entry<'_, impl Read>) -> io::Result<Content> {
    let (size, limit) = (entry.size(), Limits::default().max_alloc);
    if size > limit {
        return Ok(Content::Failed(format!("has {size} bytes, more than the limit of {limit}")));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    match bytes.len() as u64 == size {
        true => Ok(Content::Bytes(bytes)),
        false => Ok(Content::Failed("the archive is cut short in this photo".into())),
    }
}

/// What happened while an archive was read.
#[derive(Default)]
struct Seen {
    /// The error of the source.
    error: Option<io::Error>,
    /// Whether the source ended: a complete archive has an end of its own before.
    end: bool,
}

struct Watched<R> {
    source: R,
    seen: Rc<RefCell<Seen>>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer);
        let mut seen = self.seen.borrow_mut();
        match &read {
            Ok(0) if !buffer.is_empty() => seen.end = true,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                seen.error = Some(io::Error::new(error.kind(), error.to_string()));
            }
            _ => {}
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(names: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_gnu();
            header.set_size(600);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, &[7; 600][..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// The paths of the photos, with their errors.
    fn read_all(bytes: &[u8]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("a.tar"), bytes).unwrap();
        let plan = Plan::for_tests(folder.path());
        let mut found = Vec::new();
        read(&plan, &Client::new(), "a.tar", &mut |photo| {
            found.push(match photo.content {
                Content::Failed(reason) => format!("{}: {reason}", photo.path),
                Content::Bytes(bytes) => {
                    assert_eq!(bytes, [7; 600]);
                    photo.path
                }
                Content::File(_) => unreachable!("an archive holds bytes"),
            });
            true
        })
        .unwrap();
        found
    }

    #[test]
    fn the_photos_of_an_archive_are_read_and_other_files_are_not() {
        let long = format!("{}.png", "x".repeat(150));
        let bytes = tar(&["./1.jpg", "1.json", "sub/2.JPG", &long, "1.jpg"]);
        assert_eq!(
            read_all(&bytes),
            [
                "a.tar/1.jpg".to_owned(),
                "a.tar/sub/2.JPG".into(),
                format!("a.tar/{long}"),
                "a.tar/1.jpg#2".into()
            ]
        );
        assert!(read_all(&tar(&[])).is_empty());
    }

    #[test]
    fn an_archive_that_is_cut_short_or_damaged_says_so() {
        let bytes = tar(&["1.jpg", "2.jpg"]);
        let short = "a.tar: the archive is cut short";
        assert_eq!(read_all(&bytes[..3072]), ["a.tar/1.jpg", "a.tar/2.jpg", short]);
        let in_photo = "a.tar/2.jpg: the archive is cut short in this photo";
        assert_eq!(read_all(&bytes[..2300])[..2], ["a.tar/1.jpg", in_photo]);
        assert_eq!(read_all(&bytes[..1536]), ["a.tar/1.jpg", short]);
        assert_eq!(read_all(b"")[..], [short]);
        for bad in [&b"<html>"[..], &[1; 2000]] {
            let found = read_all(bad);
            assert!(found.len() == 1 && found[0].starts_with("a.tar: not a tar archive"), "{found:?}");
        }
    }
}
