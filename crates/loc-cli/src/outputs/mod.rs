//! All output files of the commands, except run folders, which loc-train writes. Before any work, a path is refused if it is
//! one of the command's inputs, or (without `--force`) an existing file that loc did not write as this output.

mod inputs;
mod kind;
mod signature;

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, bail};
use loc_data::atomic_file::{self, NotWritable};

use self::inputs::Identity;
pub(crate) use self::inputs::Inputs;
pub(crate) use self::kind::Kind;
use crate::output::Usage;

/// Largest existing file that is examined, in bytes: no output of loc is larger.
const LARGEST: u64 = 2 << 30;

/// A path that a command may write to.
#[derive(Debug)]
pub(crate) struct Target {
    /// The path as given.
    shown: PathBuf,
    /// The path with links resolved.
    path: PathBuf,
    kind: Kind,
    existing: Existing,
}

/// What exists at the path.
#[derive(Debug)]
enum Existing {
    /// Nothing.
    Free,
    /// A file that may be replaced.
    Taken(FileStamp),
    /// A file that is kept if it has the content to be written.
    Same(FileStamp),
    /// A pipe or a character device: bytes are written into it.
    Stream,
}

/// Identity, size and modification time of a file.
#[derive(Debug, PartialEq)]
struct FileStamp(Option<Identity>, u64, Option<SystemTime>);

impl FileStamp {
    fn of(path: &Path, metadata: &Metadata) -> Self {
        Self(inputs::identity(path, metadata), metadata.len(), metadata.modified().ok())
    }
}

/// Why a path cannot be written, and a hint.
struct Refusal {
    reason: String,
    hint: String,
}

impl Refusal {
    fn new(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: hint.into() }
    }
}

impl Target {
    /// A file that `-o` names, in a folder that is there and can be written to.
    ///
    /// # Errors
    ///
    /// [`Usage`] where it may not be written; what else prevents it.
    pub(crate) fn file(path: &Path, kind: Kind, inputs: &Inputs, force: bool) -> Result<Self> {
        let target = Self::look(path, kind, inputs, force).and_then(Self::in_a_folder);
        let target = target.map_err(|Refusal { reason, hint }| {
            Usage(format!("{}: {reason} (hint: {hint})", path.display()))
        })?;
        if !matches!(target.existing, Existing::Stream) {
            probe(folder_of(&target.path))?;
        }
        Ok(target)
    }

    /// Files of one folder, which is created with the first of them. If one of them cannot be written, none is.
    ///
    /// # Errors
    ///
    /// As [`Target::file`], with the first files that may not.
    pub(crate) fn folder(
        folder: &Path,
        names: Vec<(PathBuf, Kind)>,
        inputs: &Inputs,
        force: bool,
    ) -> Result<Vec<Self>> {
        const SHOWN: usize = 10;
        let folders: BTreeSet<PathBuf> =
            names.iter().filter_map(|(name, _)| folder.join(name).parent().map(Path::to_owned)).collect();
        if let Some(file) = folders.iter().find(|folder| folder.exists() && !folder.is_dir()) {
            let why = "is a file where a folder is needed (hint: name another folder with `--save`)";
            bail!(Usage(format!("{}: {why}", file.display())));
        }
        let (mut targets, mut refused) = (Vec::new(), Vec::new());
        for (name, kind) in names {
            let path = folder.join(name);
            match Self::look(&path, kind, inputs, force).and_then(Self::no_stream) {
                Ok(target) => targets.push(target),
                Err(refusal) => refused.push((path, refusal)),
            }
        }
        if let Some((_, Refusal { hint, .. })) = refused.first() {
            let lines: Vec<String> = refused
                .iter()
                .take(SHOWN)
                .map(|(path, why)| format!("\n  {}: {}", path.display(), why.reason))
                .collect();
            let more = match refused.len() {
                0..=SHOWN => String::new(),
                all => format!("\n  … and {} more", all - SHOWN),
            };
            bail!(Usage(format!(
                "{}: these files cannot be written, so nothing was:{}{more}\n(hint: {hint})",
                folder.display(),
                lines.concat()
            )));
        }
        for folder in &folders {
            probe(folder)?;
        }
        Ok(targets)
    }

    fn look(path: &Path, kind: Kind, inputs: &Inputs, force: bool) -> Result<Self, Refusal> {
        let target = |path: PathBuf, shown: &Path, existing| {
            Ok(Self { shown: shown.to_owned(), path, kind, existing })
        };
        let elsewhere = || format!("name another {}", kind.place());
        let metadata = match fs_err::metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                if fs_err::symlink_metadata(path).is_ok() {
                    return Err(Refusal::new(
                        "is a broken symbolic link",
                        "remove the link, or ".to_owned() + &elsewhere(),
                    ));
                }
                return target(path.to_owned(), path, Existing::Free);
            }
            Err(e) => return Err(Refusal::new(format!("cannot be written: {}", e.kind()), elsewhere())),
        };
        if metadata.is_dir() {
            return Err(Refusal::new("is a folder where a file is to be written", elsewhere()));
        }
        if !metadata.is_file() {
            return match is_stream(&metadata) {
                true => target(path.to_owned(), path, Existing::Stream),
                false => Err(Refusal::new("is not a regular file", elsewhere())),
            };
        }
        let found = fs_err::canonicalize(path)
            .map_err(|e| Refusal::new(format!("cannot be written: {}", e.kind()), elsewhere()))?;
        let stamp = FileStamp::of(&found, &metadata);
        let small = metadata.len() <= LARGEST;
        let wrote = || small && fs_err::read(&found).is_ok_and(|bytes| kind.wrote(&bytes));
        if let Some(identity) = &stamp.0
            && let Some(input) = inputs.find(identity, wrote)
        {
            let called = if input == path { String::new() } else { format!(" (as {})", input.display()) };
            let reason = format!("is an input of this command{called}, and inputs are never overwritten");
            return Err(Refusal::new(reason, elsewhere()));
        }
        if metadata.permissions().readonly() {
            return Err(Refusal::new("already exists and is read-only", elsewhere()));
        }
        if force || wrote() {
            return target(found, path, Existing::Taken(stamp));
        }
        if kind.may_be_same() {
            return target(found, path, Existing::Same(stamp));
        }
        let reason = format!("already exists, and is not an unchanged output of `{}`", kind.by());
        Err(Refusal::new(reason, elsewhere() + ", or overwrite it with `--force`"))
    }

    fn in_a_folder(self) -> Result<Self, Refusal> {
        let folder = folder_of(&self.path);
        if folder.is_dir() || self.kind.makes_its_folder() {
            return Ok(self);
        }
        let reason = format!("cannot be written: the folder {} does not exist", folder.display());
        Err(Refusal::new(reason, format!("create it first, or name another {}", self.kind.place())))
    }

    fn no_stream(self) -> Result<Self, Refusal> {
        match self.existing {
            Existing::Stream => Err(Refusal::new("is not a regular file", "name another folder")),
            _ => Ok(self),
        }
    }

    /// The path as given, if a file is written; `None` for a stream.
    pub(crate) fn made(&self) -> Option<String> {
        (!matches!(self.existing, Existing::Stream)).then(|| self.shown.display().to_string())
    }

    /// Returns an error if the existing file may only be kept.
    ///
    /// # Errors
    ///
    /// [`Usage`].
    pub(crate) fn free(&self) -> Result<()> {
        if matches!(self.existing, Existing::Same(_)) {
            let hint = format!("name another {}, or overwrite it with `--force`", self.kind.place());
            let shown = self.shown.display();
            bail!(Usage(format!("{shown}: already exists with other content (hint: {hint})")));
        }
        Ok(())
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    ///
    /// The file was changed since it was examined, or cannot be written.
    pub(crate) fn write(&self, bytes: Vec<u8>) -> Result<()> {
        let bytes = self.kind.signed(bytes);
        let shown = self.shown.display();
        let now = fs_err::symlink_metadata(&self.path).map(|metadata| FileStamp::of(&self.path, &metadata));
        match (&self.existing, now) {
            (Existing::Stream, _) => {
                let mut stream = fs_err::OpenOptions::new().write(true).open(&self.path)?;
                return Ok(stream.write_all(&bytes)?);
            }
            (Existing::Free, Err(e)) if e.kind() == ErrorKind::NotFound => {}
            (Existing::Taken(stamp), Ok(now)) if *stamp == now => {}
            (Existing::Same(stamp), Ok(now)) if *stamp == now => {
                if fs_err::read(&self.path)? == bytes {
                    return Ok(());
                }
                return self.free();
            }
            (_, Err(e)) if e.kind() != ErrorKind::NotFound => return Err(e.into()),
            _ => {
                let why = "was changed by another program while this command ran, and is left as it is";
                return Err(anyhow!("{shown}: {why} (hint: run the command again)"));
            }
        }
        if self.kind.makes_its_folder() {
            fs_err::create_dir_all(folder_of(&self.path))?;
        }
        atomic_file::replace(&self.path, &bytes).with_context(|| format!("cannot write {shown}"))
    }
}

/// Whether a path is a terminal, `/dev/null` or a pipe.
fn is_stream(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        metadata.file_type().is_char_device() || metadata.file_type().is_fifo()
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

/// Checks that files can be created in a folder, or in its nearest existing ancestor.
fn probe(folder: &Path) -> Result<()> {
    atomic_file::probe(folder).map_err(|NotWritable { folder, error }| {
        anyhow!(
            "{}: cannot create files in this folder: {error} (hint: a folder that can be written to is needed)",
            folder.display()
        )
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
