//! What `loc predict` is given: files, folders, globs, or a list on standard input, in their order.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::output::Usage;

/// Endings of the photos that are taken from a folder; a file named by itself may have any.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "bmp", "gif", "webp"];

/// The photos, in the order given; those of a folder or a glob by name.
pub(super) fn expand(sources: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut photos = Vec::new();
    for source in sources {
        if source.as_os_str() == "-" {
            for line in std::io::stdin().lock().lines() {
                let line = line.context("reading the list of photos on standard input")?;
                if !line.is_empty() {
                    photos.push(line.into());
                }
            }
        } else if source.is_dir() {
            let found = of_folder(source)?;
            if found.is_empty() {
                bail!(Usage(format!("{}: holds no photo ({})", source.display(), ENDINGS.join(", "))));
            }
            photos.extend(found);
        } else if let Some(pattern) = glob_of(source) {
            let found: Vec<PathBuf> = glob::glob(pattern)
                .map_err(|e| Usage(format!("{pattern}: {e}")))?
                .filter_map(Result::ok)
                .filter(|p| p.is_file())
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

fn of_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut photos = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        if ending.is_some_and(|e| ENDINGS.contains(&e.as_str())) && path.is_file() {
            photos.push(path);
        }
    }
    photos.sort();
    Ok(photos)
}

/// The text of a pattern: something with `*`, `?` or `[` that is no file's name.
fn glob_of(source: &Path) -> Option<&str> {
    let text = source.to_str()?;
    (text.contains(['*', '?', '[']) && !source.exists()).then_some(text)
}
