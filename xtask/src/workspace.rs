//! Paths of the project (root, target folder, shared files), and cargo's metadata of the workspace's crates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command::Call;

/// The checkout in which `cargo xtask` was called.
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
}

/// The parts of `cargo metadata --no-deps` that the tasks use.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    /// Every member.
    pub(crate) packages: Vec<Package>,
    /// Cargo's target folder; respects `CARGO_TARGET_DIR`.
    pub(crate) target_directory: PathBuf,
}

/// A member of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its features, and what each enables.
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

impl Workspace {
    /// Finds the root. Cargo passes xtask's folder in an environment variable; a binary that is started directly uses
    /// the folder where it was built.
    pub(crate) fn locate() -> Result<Self> {
        let xtask =
            std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&xtask).parent().context("xtask is in the workspace's root")?.to_path_buf();
        Ok(Self { root })
    }

    /// `data/`: data sets, ignored by git.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The folder of files outside the project (`LOC_SHARED`, else `../shared`); may not exist.
    pub(crate) fn shared(&self) -> PathBuf {
        match std::env::var_os("LOC_SHARED") {
            Some(folder) => self.root.join(folder),
            None => self.root.join("../shared"),
        }
    }

    /// A path relative to the root, as a user would type it.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Reads the metadata of the workspace's members; cargo reads only manifests for this.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        let text = Call::cargo(self).args(["metadata", "--no-deps", "--format-version", "1"]).capture()?;
        serde_json::from_str(&text).context("reading what `cargo metadata` printed")
    }
}

/// The `protoc` that the ONNX features need at build time: that of `PROTOC` if set, else one from a crate, so that it
/// does not have to be installed.
pub(crate) fn protoc() -> Result<PathBuf> {
    match std::env::var_os("PROTOC") {
        Some(path) => Ok(path.into()),
        None => protoc_bin_vendored::protoc_bin_path()
            .context("no protoc for this machine (hint: install it and set PROTOC to its path)"),
    }
}
