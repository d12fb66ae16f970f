//! Every file that a command writes for its user goes through here; a run folder, which loc-train fills, apart. Refused
//! before any work: a path that is one of the command's inputs, and a file that is there already and that loc did not
//! write as this output, unless `--force`.

mod inputs;
mod kind;
mod mark;

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, bail};

use self::inputs::Identity;
pub(crate) use self::inputs::Inputs;
pub(crate) use self::kind::Kind;
use crate::output::Usage;

/// Largest file that is looked into, in bytes: no output of loc is larger.
const LARGEST: u64 = 2 << 30;

/// A path that a command may write to.
#[derive(Debug)]
pub(crate) struct Target {
    /// As it was given.
    shown: PathBuf,
    /// Where that is, links followed.
    path: PathBuf,
    kind: Kind,
    standing: Standing,
}

/// What is there already.
#[derive(Debug)]
enum Standing {
    /// Nothing.
    Free,
    /// A file that may be replaced.
    Taken(Stamp),
    /// A file that may stay if it holds what is to be written.
    Same(Stamp),
    /// A pipe or a character device: nothing is replaced, bytes go into it.
    Stream,
}

/// A file and when it was changed.
#[derive(Debug, PartialEq)]
struct Stamp(Option<Identity>, u64, Option<SystemTime>);

impl Stamp {
    fn of(path: &Path, metadata: &Metadata) -> Self {
        Self(inputs::identity(path, metadata), metadata.len(), metadata.modified().ok())
    }
}

/// Why a path cannot be written to, and what to do instead.
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
        if !matches!(target.standing, Standing::Stream) {
            probe(folder_of(&target.path))?;
        }
        Ok(target)
    }

    /// Files of one folder, which is made with the first of them: all of them may be written, or none is.
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
        let target = |path: PathBuf, shown: &Path, standing| {
            Ok(Self { shown: shown.to_owned(), path, kind, standing })
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
                return target(path.to_owned(), path, Standing::Free);
            }
            Err(e) => return Err(Refusal::new(format!("cannot be written: {}", e.kind()), elsewhere())),
        };
        if metadata.is_dir() {
            return Err(Refusal::new("is a folder where a file is to be written", elsewhere()));
        }
        if !metadata.is_file() {
            return match is_stream(&metadata) {
                true => target(path.to_owned(), path, Standing::Stream),
                false => Err(Refusal::new("is not a regular file", elsewhere())),
            };
        }
        let found = fs_err::canonicalize(path)
            .map_err(|e| Refusal::new(format!("cannot be written: {}", e.kind()), elsewhere()))?;
        let stamp = Stamp::of(&found, &metadata);
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
            return target(found, path, Standing::Taken(stamp));
        }
        if kind.may_be_same() {
            return target(found, path, Standing::Same(stamp));
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
        match self.standing {
            Standing::Stream => Err(Refusal::new("is not a regular file", "name another folder")),
            _ => Ok(self),
        }
    }

    /// The path as it was given, where a file is made: a stream has no use for the word that it was written.
    pub(crate) fn made(&self) -> Option<String> {
        (!matches!(self.standing, Standing::Stream)).then(|| self.shown.display().to_string())
    }

    /// Refuses a file that may only stay as it is.
    ///
    /// # Errors
    ///
    /// [`Usage`].
    pub(crate) fn free(&self) -> Result<()> {
        if matches!(self.standing, Standing::Same(_)) {
            let hint = format!("name another {}, or overwrite it with `--force`", self.kind.place());
            let shown = self.shown.display();
            bail!(Usage(format!("{shown}: already exists with other content (hint: {hint})")));
        }
        Ok(())
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    ///
    /// Where something came or went since it was looked at, and what prevents writing.
    pub(crate) fn write(&self, bytes: Vec<u8>) -> Result<()> {
        let bytes = self.kind.marked(bytes);
        let shown = self.shown.display();
        let now = fs_err::symlink_metadata(&self.path).map(|metadata| Stamp::of(&self.path, &metadata));
        match (&self.standing, now) {
            (Standing::Stream, _) => {
                let mut stream = fs_err::OpenOptions::new().write(true).open(&self.path)?;
                return Ok(stream.write_all(&bytes)?);
            }
            (Standing::Free, Err(e)) if e.kind() == ErrorKind::NotFound => {}
            (Standing::Taken(stamp), Ok(now)) if *stamp == now => {}
            (Standing::Same(stamp), Ok(now)) if *stamp == now => {
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
        write_whole(&self.path, &bytes).with_context(|| format!("cannot write {shown}"))
    }
}

/// Whether bytes can go into something that is no file without harm: a terminal, `/dev/null`, a pipe.
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

/// Whether files can be made in a folder; of one that is yet to be made, in the nearest that is there.
fn probe(folder: &Path) -> Result<()> {
    let there = folder.ancestors().find(|above| above.exists()).unwrap_or(Path::new("."));
    let made = atomic_write_file::AtomicWriteFile::open(there.join("probe")).and_then(|file| file.discard());
    made.map_err(|e| {
        anyhow!(
            "{}: cannot create files in this folder: {e} (hint: a folder that can be written to is needed)",
            there.display()
        )
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = atomic_write_file::AtomicWriteFile::open(path)?;
    file.write_all(bytes)?;
    file.commit()
}
