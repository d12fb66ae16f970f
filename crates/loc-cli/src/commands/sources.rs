//! What `loc predict` is given: files, folders, globs, or a list on standard input, in their order.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::output::{Output, Usage, escape_name};

/// Endings of the photos that are taken from a folder; a file named by itself may have any.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "bmp", "gif", "webp"];

/// The photos, in the order given; those of a folder or a glob by name.
pub(super) fn expand(sources: &[PathBuf], output: &Output) -> Result<Vec<PathBuf>> {
    let mut photos = Vec::new();
    for source in sources {
        if source.as_os_str() == "-" {
            // Split as bytes: a name need not be UTF-8.
            for line in std::io::stdin().lock().split(b'\n') {
                let mut line = line.context("reading the list of photos on standard input")?;
                line.pop_if(|byte| *byte == b'\r');
                if !line.is_empty() {
                    photos.push(path_of(line));
                }
            }
        } else if source.is_dir() {
            let found = of_folder(source, output)?;
            if found.is_empty() {
                bail!(Usage(format!("{}: holds no photo ({})", source.display(), ENDINGS.join(", "))));
            }
            photos.extend(found);
        } else if let Some(pattern) = glob_of(source) {
            let found: Vec<PathBuf> = glob::glob(pattern)
                .map_err(|e| Usage(format!("{pattern}: {e}")))?
                .filter_map(Result::ok)
                .filter(|p| is_file(p, output))
                .collect();
            if found.is_empty() {
                bail!(Usage(format!("{pattern}: matches no file")));
            }
            photos.extend(found);
        } else {
            photos.push(source.clone());
        }
    }
    Ok(photos)
}

fn of_folder(folder: &Path, output: &Output) -> Result<Vec<PathBuf>> {
    let mut photos = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        if ending.is_some_and(|e| ENDINGS.contains(&e.as_str())) && is_file(&path, output) {
            photos.push(path);
        }
    }
    photos.sort();
    Ok(photos)
}

/// Whether a path that was found, not named, is a file; of what is not, a folder apart, a word is said.
fn is_file(path: &Path, output: &Output) -> bool {
    let why = match fs_err::metadata(path) {
        Ok(metadata) if metadata.is_file() => return true,
        Ok(metadata) if metadata.is_dir() => return false,
        Ok(_) => "it is no regular file".to_owned(),
        Err(error) => error.kind().to_string(),
    };
    output.warn(&format!("{}: skipped: {why}", escape_name(&path.to_string_lossy())));
    false
}

#[cfg(unix)]
fn path_of(line: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(line).into()
}

#[cfg(not(unix))]
fn path_of(line: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&line).into_owned().into()
}

/// The text of a pattern: something with `*`, `?` or `[` that is no file's name.
fn glob_of(source: &Path) -> Option<&str> {
    let text = source.to_str()?;
    (text.contains(['*', '?', '[']) && !source.exists()).then_some(text)
}
