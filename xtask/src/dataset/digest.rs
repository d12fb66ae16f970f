//! The digest of a data set. Archives are handled elsewhere.
//!
//! It is the SHA-256 of the output of `sha256sum` for the files of the data set (`<hex>  <path>\n`, two spaces). The
//! paths use `/`, are relative to the folder of the data set, and are sorted by their bytes. So it can be checked with
//! standard tools:
//! `find dataset/images dataset/annot -type f | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum`.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use sha2::{Digest, Sha256};

/// The files of a data set: path to SHA-256 in hex.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents(BTreeMap<String, String>);

impl Contents {
    /// Adds a file.
    pub(super) fn insert(&mut self, path: String, sha256: String) {
        self.0.insert(path, sha256);
    }

    /// A file's SHA-256.
    pub(super) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// The number of files.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The digest of the data set.
    pub(super) fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (path, sha256) in &self.0 {
            hasher.update(format!("{sha256}  {path}\n"));
        }
        hex::encode(hasher.finalize())
    }

    /// Reads the files under `folders` of a data set that is unpacked in `root`.
    pub(super) fn of_folder(root: &Path, folders: &[String]) -> Result<Self> {
        let mut contents = Self::default();
        for folder in folders {
            if root.join(folder).is_dir() {
                contents.add_folder(root, folder)?;
            }
        }
        Ok(contents)
    }

    fn add_folder(&mut self, root: &Path, folder: &str) -> Result<()> {
        for entry in fs::read_dir(root.join(folder))? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name
                .to_str()
                .with_context(|| format!("{}: a name that is not UTF-8", entry.path().display()))?;
            let path = format!("{folder}/{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.add_folder(root, &path)?;
            } else if kind.is_file() {
                let sha256 = copy_hashed(&mut fs::File::open(entry.path())?, &mut io::sink())?;
                self.insert(path, sha256);
            } else {
                bail!("{}: neither a file nor a folder", entry.path().display());
            }
        }
        Ok(())
    }
}

/// Copies `from` to `to`, and returns the SHA-256 of the copied bytes.
pub(super) fn copy_hashed(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            n => {
                hasher.update(&buffer[..n]);
                to.write_all(&buffer[..n])?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard_tools() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in
            [("a/b/2", "two"), ("a/b.txt", "dot"), ("a/B", ""), ("c/1", "one"), ("ignored", "x")]
        {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let folders = ["a".to_owned(), "c".to_owned(), "absent".to_owned()];
        let contents = Contents::of_folder(root.path(), &folders).unwrap();
        assert_eq!(contents.len(), 4);
        // find a c -type f | LC_ALL=C sort | xargs sha256sum | sha256sum
        assert_eq!(contents.digest(), "5ccd564d123f0c0da53b3f58592863207250490bc205b34818b283cfd5c83697");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_folder_is_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.path().join("a/link")).unwrap();
        let error = Contents::of_folder(root.path(), &["a".to_owned()]).unwrap_err();
        assert!(error.to_string().ends_with("a/link: neither a file nor a folder"), "{error}");
    }
}
