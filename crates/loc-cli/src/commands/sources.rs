//! The sources of `loc predict`: files, folders, globs, or a list on standard input, in the given order. Files that are
//! passed over are reported.

use std::collections::HashSet;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use loc_data::ExtensionCounts;
use loc_infer::preprocess::FileKind;

use crate::output::{Output, Usage, escape_name};

/// Most files and folders that are counted to report photos in folders that are not read.
const MOST_BELOW: usize = 10_000;
/// The byte order mark of UTF-8, with which Windows programs begin a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a command reads.
pub(super) struct Sources<'a> {
    pub(super) sources: &'a [PathBuf],
    /// Whether the folders below a folder are read too.
    pub(super) recursive: bool,
    /// The folder for drawn photos, which is not read.
    pub(super) save: Option<&'a Path>,
}

/// Returns the photos in the given order; those of a folder or a glob sorted by path.
pub(super) fn expand(args: &Sources<'_>, output: &Output) -> Result<Vec<PathBuf>> {
    let mut photos = Vec::new();
    for source in args.sources {
        let source = &at_home(source.clone());
        if source.as_os_str() == "-" {
            photos.extend(of_list(std::io::stdin().lock(), output)?);
        } else if source.is_dir() {
            let mut search = Search::new(args, output);
            search.entered.insert(fs_err::canonicalize(source)?);
            search.folder(source, fs_err::read_dir(source)?)?;
            photos.extend(search.finish(source)?);
        } else if let Some(pattern) = glob_of(source) {
            // As in a shell, `*` does not match a name that begins with a dot.
            let options =
                glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
            let matches = glob::glob_with(pattern, options).map_err(|e| Usage(format!("{pattern}: {e}")))?;
            let mut search = Search::new(args, output);
            matches.filter_map(Result::ok).for_each(|path| search.matched(path));
            photos.extend(search.finish_glob(pattern)?);
        } else {
            photos.push(source.clone());
        }
    }
    Ok(photos)
}

/// Reads a list of photos, one path per line. It is split as bytes: a name need not be UTF-8.
fn of_list(list: impl BufRead, output: &Output) -> Result<Vec<PathBuf>> {
    let mut photos = Vec::new();
    for (number, line) in list.split(b'\n').enumerate() {
        let mut line = line.context("reading the list of photos on standard input")?;
        line.pop_if(|byte| *byte == b'\r');
        if number == 0 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if !line.trim_ascii().is_empty() {
            photos.push(at_home(path_of(line)));
        }
    }
    if photos.is_empty() {
        output.note("the list on standard input is empty: there is nothing to predict");
    }
    Ok(photos)
}

/// A search for photos in folders and by patterns.
struct Search<'a> {
    recursive: bool,
    output: &'a Output,
    photos: Vec<PathBuf>,
    passed_over: ExtensionCounts,
    hidden: usize,
    /// Folders that are not read.
    folders: Vec<PathBuf>,
    /// Canonical paths of the folders that were read: links may lead to the same folder.
    entered: HashSet<PathBuf>,
    /// The folder for drawn photos.
    drawn: Option<PathBuf>,
}

impl<'a> Search<'a> {
    fn new(args: &Sources<'_>, output: &'a Output) -> Self {
        Self {
            recursive: args.recursive,
            output,
            photos: Vec::new(),
            passed_over: ExtensionCounts::default(),
            hidden: 0,
            folders: Vec::new(),
            entered: HashSet::new(),
            drawn: args.save.and_then(|folder| fs_err::canonicalize(folder).ok()),
        }
    }

    fn folder(&mut self, folder: &Path, entries: fs_err::ReadDir) -> Result<()> {
        let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
        // The first of two links to the same folder is followed.
        names.sort_unstable();
        for path in names.into_iter().map(|name| folder.join(name)) {
            if is_hidden(&path) {
                self.hidden += 1;
            } else if path.is_dir() {
                self.below(path)?;
            } else if FileKind::of_ending(&path).is_some_and(FileKind::is_read) {
                self.photo(path);
            } else if path.extension().is_none() && is_photo_inside(&path) {
                self.photos.push(path);
            } else {
                self.passed_over.count(&path);
            }
        }
        Ok(())
    }

    /// Reads a folder inside another, or skips it.
    fn below(&mut self, folder: PathBuf) -> Result<()> {
        if !self.recursive {
            self.folders.push(folder);
            return Ok(());
        }
        let listed = fs_err::canonicalize(&folder).and_then(|real| Ok((real, fs_err::read_dir(&folder)?)));
        match listed {
            Ok((real, _)) if self.drawn.as_ref() == Some(&real) => {
                self.skip(&folder, "it is the folder of --save");
                Ok(())
            }
            Ok((real, entries)) => {
                if self.entered.insert(real) {
                    return self.folder(&folder, entries);
                }
                self.skip(&folder, "it leads to a folder that is read already");
                Ok(())
            }
            Err(error) => {
                self.skip(&folder, &error.kind().to_string());
                Ok(())
            }
        }
    }

    /// Adds a path that a pattern matched.
    fn matched(&mut self, path: PathBuf) {
        if path.is_dir() {
            self.folders.push(path);
            return;
        }
        match FileKind::of_ending(&path) {
            Some(kind) if kind.is_read() => self.photo(path),
            None if is_photo_inside(&path) => self.photos.push(path),
            _ => self.passed_over.count(&path),
        }
    }

    /// Adds a path with a photo's extension.
    fn photo(&mut self, path: PathBuf) {
        match fs_err::metadata(&path) {
            Ok(metadata) if metadata.is_file() => self.photos.push(path),
            Ok(_) => self.skip(&path, "it is no regular file"),
            Err(error) => self.skip(&path, &error.kind().to_string()),
        }
    }

    fn skip(&self, path: &Path, why: &str) {
        self.output.warn(&format!("{}: skipped: {why}", escape_name(&path.to_string_lossy())));
    }

    /// Returns the photos of a folder, and reports the other files.
    fn finish(mut self, folder: &Path) -> Result<Vec<PathBuf>> {
        let shown = escape_name(&folder.to_string_lossy());
        let others = self.others();
        let below = if self.recursive { None } else { photos_below(&self.folders) };
        if self.photos.is_empty() {
            let others = others.map(|others| format!(", only {others}")).unwrap_or_default();
            let hint = match (below, self.passed_over.hint()) {
                (Some(below), _) => {
                    format!(" (hint: {below} lie in folders below it: `--recursive` reads them)")
                }
                (None, Some(hint)) => format!(" (hint: {hint})"),
                (None, None) => String::new(),
            };
            let endings: Vec<&str> = FileKind::read_endings().collect();
            bail!(Usage(format!("{shown}: holds no photo ({}){others}{hint}", endings.join(", "))));
        }
        self.say(&shown, others);
        if let Some(below) = below {
            self.output
                .note(&format!("{shown}: {below} in folders below it are not read (hint: `--recursive`)"));
        }
        self.photos.sort();
        Ok(self.photos)
    }

    /// Returns the photos that a pattern matched, and reports the other matches.
    fn finish_glob(mut self, pattern: &str) -> Result<Vec<PathBuf>> {
        let shown = escape_name(pattern);
        let folders = match self.folders.len() {
            0 => None,
            n => Some(counted(n, "folder")),
        };
        let others = match (self.others(), folders) {
            (Some(files), Some(folders)) => Some(format!("{files}, and {folders}")),
            (files, folders) => files.or(folders),
        };
        if self.photos.is_empty() {
            let Some(others) = others else { bail!(Usage(format!("{shown}: matches no file"))) };
            let hint = match self.passed_over.hint() {
                Some(hint) => format!(" (hint: {hint})"),
                None if !self.folders.is_empty() => " (hint: name a folder to read its photos)".into(),
                None => String::new(),
            };
            bail!(Usage(format!("{shown}: matches no photo, only {others}{hint}")));
        }
        self.say(&shown, others);
        self.photos.sort();
        Ok(self.photos)
    }

    /// Describes the files that are not photos; `None` if there are none.
    fn others(&self) -> Option<String> {
        let total = self.passed_over.total() + self.hidden;
        let mut kinds = vec![self.passed_over.to_string()];
        if self.hidden > 0 {
            kinds.push(format!("{} hidden", self.hidden));
        }
        kinds.retain(|kind| !kind.is_empty());
        (total > 0).then(|| format!("{}: {}", counted(total, "file"), kinds.join(", ")))
    }

    fn say(&self, shown: &str, others: Option<String>) {
        let Some(others) = others else { return };
        match self.passed_over.hint() {
            // The hint is about photos that are not read.
            Some(hint) => self.output.warn(&format!("{shown}: passed over {others} (hint: {hint})")),
            None => self.output.note(&format!("{shown}: passed over {others}")),
        }
    }
}

/// Describes the number of photos in folders and all folders below them; `None` if there are none. Counting stops after
/// [`MOST_BELOW`] entries.
fn photos_below(folders: &[PathBuf]) -> Option<String> {
    let mut waiting = folders.to_vec();
    let (mut looked_at, mut photos) = (0, 0);
    while let Some(folder) = waiting.pop() {
        for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
            looked_at += 1;
            if looked_at > MOST_BELOW {
                return (photos > 0).then(|| format!("more than {photos} photos"));
            }
            let path = entry.path();
            if is_hidden(&path) {
                continue;
            }
            // Links are not followed: the number is only for a hint.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(path),
                Ok(_) => photos += usize::from(FileKind::of_ending(&path).is_some_and(FileKind::is_read)),
                Err(_) => {}
            }
        }
    }
    (photos > 0).then(|| counted(photos, "photo"))
}

fn counted(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether a file's content is a photo that is read.
fn is_photo_inside(path: &Path) -> bool {
    FileKind::of_file(path).is_some_and(FileKind::is_read)
}

/// Expands `~` at the beginning of a path. A shell does not expand it in quotes, and no shell reads lists.
fn at_home(path: PathBuf) -> PathBuf {
    let home = || Some(std::env::home_dir()?.join(path.strip_prefix("~").ok()?));
    match home() {
        Some(expanded) if !path.exists() => expanded,
        _ => path,
    }
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

/// The text of a pattern: a source with `*`, `?` or `[` that is not the path of a file.
fn glob_of(source: &Path) -> Option<&str> {
    let text = source.to_str()?;
    (text.contains(['*', '?', '[']) && !source.exists()).then_some(text)
}
