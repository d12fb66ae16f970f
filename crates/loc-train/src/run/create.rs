//! Creating the folder of a run, and using an existing one again. An existing folder must hold a run, by its
//! `run.json`, and nothing but a run's files; then those are removed. Else nothing is removed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;

use crate::error::{ConfigError, ReuseError, TrainError};
use crate::run::dir::{self, Run};
use crate::run::lock::{self, Lock};
use crate::run::{atomic_file, manifest};

/// The largest number of files that an error lists.
const SHOWN: usize = 10;

/// The field of `run.json` that marks a run.
#[derive(Deserialize)]
struct Claim {
    schema: String,
}

/// Where a new run is recorded.
#[derive(Debug, Clone, Copy)]
pub struct RunLocation<'a> {
    /// The folder of runs.
    pub project: &'a Path,
    /// The name of the run's folder in it.
    pub name: &'a str,
    /// Whether an existing run of that name is removed; else a number is added to the name.
    pub exist_ok: bool,
}

impl Run {
    /// The folder `project/name`.
    fn named(project: &Path, name: &str) -> Result<PathBuf, TrainError> {
        if Path::new(name).components().count() != 1 || name.starts_with('.') {
            return Err(TrainError::config("run name", ConfigError::RunName { name: name.to_owned() }));
        }
        Ok(project.join(name))
    }

    /// Returns the files that a new run would remove from the folder `project/name` to use it again; none if it is
    /// empty or absent. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] if anything but one run of ours lies there.
    pub fn removable(project: &Path, name: &str) -> Result<Vec<PathBuf>, TrainError> {
        removable(&Self::named(project, name)?)
    }

    /// Creates the folder `project/name`, or `name2`, `name3`, … if that exists. With `exist_ok` the folder is used
    /// again, and the run in it is removed.
    pub(crate) fn create(project: &Path, name: &str, exist_ok: bool) -> Result<(Self, Lock), TrainError> {
        let first = Self::named(project, name)?;
        fs_err::create_dir_all(project)?;
        for number in 1.. {
            let path = if number == 1 { first.clone() } else { project.join(format!("{name}{number}")) };
            match fs_err::create_dir(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && !exist_ok => {}
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e.into()),
                _ => {
                    let run = Self::at(path);
                    let lock = take(&run)?;
                    fs_err::create_dir_all(run.weights())?;
                    return Ok((run, lock));
                }
            }
        }
        unreachable!("there are more numbers than folders")
    }
}

/// Returns the files of an earlier run in a folder, in the order of removal; none if the folder is empty or absent.
/// Nothing is written.
///
/// # Errors
///
/// [`TrainError::Config`] if it is no folder, or holds anything but one run.
pub(crate) fn removable(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let refuse = |why| {
        let kind = ConfigError::Reuse { folder: folder.to_owned(), why };
        Err(TrainError::config("run folder", kind))
    };
    match fs::symlink_metadata(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
        Ok(metadata) if metadata.is_symlink() => {
            return refuse(ReuseError::Link);
        }
        Ok(metadata) if !metadata.is_dir() => {
            return refuse(ReuseError::NotAFolder);
        }
        Ok(_) => {}
    }
    let (mut files, mut others) = (Vec::new(), Vec::new());
    look(folder, dir::FILES, |_| false, &mut files, &mut others)?;
    let run = Run::at(folder);
    if fs::symlink_metadata(run.weights()).is_ok_and(|metadata| metadata.is_dir()) {
        look(&run.weights(), dir::WEIGHTS, dir::is_epoch, &mut files, &mut others)?;
        others.retain(|path| *path != run.weights());
    }
    if !lock::is_ours(folder) {
        others.push(folder.join(lock::FILE));
    }
    if !others.is_empty() {
        others.sort_unstable();
        let list: Vec<String> =
            others.iter().take(SHOWN).map(|path| format!("\n  {}", path.display())).collect();
        let more = match others.len() {
            0..=SHOWN => String::new(),
            all => format!("\n  … and {} more", all - SHOWN),
        };
        return refuse(ReuseError::OtherFiles { list: list.concat() + &more });
    }
    if files.is_empty() {
        return Ok(files);
    }
    let claim = fs::read(run.json()).ok().and_then(|bytes| serde_json::from_slice::<Claim>(&bytes).ok());
    if claim.is_none_or(|claim| claim.schema != manifest::SCHEMA) {
        return refuse(ReuseError::NoRecord { schema: manifest::SCHEMA });
    }
    // `config.toml`, which marks a run as resumable, goes first, and `run.json`, which marks it as a run, last: after
    // an interruption the rest is no resumable run, and the removal can be repeated.
    let rank = |path: &PathBuf| if *path == run.config() { 0 } else { 1 + usize::from(*path == run.json()) };
    files.sort_by_key(rank);
    Ok(files)
}

/// Sorts the entries of a folder: regular files with these names, and all others.
fn look(
    folder: &Path,
    names: &[&str],
    or: impl Fn(&str) -> bool,
    files: &mut Vec<PathBuf>,
    others: &mut Vec<PathBuf>,
) -> Result<(), TrainError> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (name, is_file) = (entry.file_name(), entry.file_type()?.is_file());
        let ours = |name: &str| names.contains(&name) || or(name);
        match name.to_str() {
            // The lock stays: it is held during the removal.
            Some(lock::FILE) => {}
            Some(name) if is_file && atomic_file::is_temporary(name, ours) => {}
            Some(name) if is_file && ours(name) => files.push(entry.path()),
            _ => others.push(entry.path()),
        }
    }
    Ok(())
}

/// Locks a folder for a new run, and removes an earlier run from it.
pub(crate) fn take(run: &Run) -> Result<Lock, TrainError> {
    // Check before the lock file is created.
    removable(run.path())?;
    let lock = Lock::take(run.path())?;
    for file in removable(run.path())? {
        fs::remove_file(file)?;
    }
    run.sweep()?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"schema":"loc.run/1","more":1}"#;

    /// A folder with these files, a run's by its `run.json`.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn everything(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                all.extend(everything(&path));
            } else {
                all.push((path.clone(), fs::read(&path).unwrap_or_default()));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn a_run_of_ours_is_removed_file_by_file() {
        let run: Vec<(&str, &str)> = vec![
            ("run.json", JSON),
            ("config.toml", ""),
            ("split.csv", ""),
            ("results.csv", ""),
            ("weights/best.safetensors", ""),
            ("weights/epoch-001.safetensors", ""),
            ("weights/epoch-1234.safetensors", ""),
            ("weights/previous.state.safetensors", ""),
            ("weights/.last.safetensors.aB3xY9", "a temporary"),
        ];
        let folder = folder(&run);
        let files = removable(folder.path()).unwrap();
        assert_eq!(files.len(), 8, "{files:?}");
        assert!(files[0].ends_with("config.toml") && files[7].ends_with("run.json"), "{files:?}");
        let lock = take(&Run::at(folder.path())).unwrap();
        assert_eq!(
            everything(folder.path()),
            [(folder.path().join(".lock"), everything(folder.path())[0].1.clone())]
        );
        drop(lock);
        assert!(removable(folder.path()).unwrap().is_empty());
        assert!(removable(&folder.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn anything_else_is_listed_and_nothing_removed() {
        type Files<'a> = &'a [(&'a str, &'a str)];
        let cases: &[(Files, &str)] = &[
            (&[("run.json", JSON), ("notes.txt", "mine")], "notes.txt"),
            (
                &[("run.json", JSON), ("weights/model.pt", "mine"), ("weights/best.safetensors", "")],
                "model.pt",
            ),
            (&[("run.json", JSON), ("weights/deep/last.safetensors", "mine")], "deep"),
            (&[("run.json", JSON), ("weights/epoch-1.safetensors", "mine")], "epoch-1.safetensors"),
            (&[("run.json", JSON), ("config.toml/x", "mine")], "config.toml"),
            (&[("run.json", JSON), (".hidden", "mine")], ".hidden"),
            (&[("run.json", JSON), (".lock", "somebody else's")], ".lock"),
            (&[("weights/best.safetensors", "mine")], "no run.json"),
            (&[("run.json", r#"{"schema":"other/1"}"#), ("config.toml", "")], "no run.json"),
            (&[("run.json", "[]")], "no run.json"),
            (&[("config.toml", "lr = 1"), ("results.csv", "mine")], "no run.json"),
        ];
        for (files, word) in cases {
            let folder = folder(files);
            let before = everything(folder.path());
            let error = take(&Run::at(folder.path())).unwrap_err();
            let text = error.to_string();
            assert!(error.is_usage() && text.contains("run folder: ") && error.remedy().is_some(), "{text}");
            assert!(text.contains(word), "no {word} in {text}");
            assert_eq!(everything(folder.path()), before, "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_never_followed() {
        use std::os::unix::fs::symlink;
        let elsewhere = folder(&[("best.safetensors", "precious"), ("run.json", JSON), ("lock", "precious")]);
        let link = |name: &str, to: &str| {
            let folder = folder(&[("run.json", JSON), ("config.toml", "")]);
            symlink(elsewhere.path().join(to), folder.path().join(name)).unwrap();
            folder
        };
        let before = everything(elsewhere.path());
        for (name, to) in [("weights", ""), ("results.csv", "best.safetensors"), (".lock", "lock")] {
            let folder = link(name, to);
            let text = take(&Run::at(folder.path())).unwrap_err().to_string();
            assert!(text.contains(name), "{text}");
        }
        let folder = folder(&[]);
        symlink(elsewhere.path(), folder.path().join("exp")).unwrap();
        let text = take(&Run::at(folder.path().join("exp"))).unwrap_err().to_string();
        assert!(text.contains("is a symbolic link"), "{text}");
        assert_eq!(everything(elsewhere.path()), before);
    }
}
