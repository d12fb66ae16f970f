//! Where things lie: the root, the target folder, the shared files; and what cargo says of the workspace's crates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command::Call;

/// The checkout `cargo xtask` was called in.
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
}

/// What `cargo metadata --no-deps` says, as far as the tasks ask.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    /// Every member.
    pub(crate) packages: Vec<Package>,
    /// Where cargo builds; a `CARGO_TARGET_DIR` is honoured.
    pub(crate) target_directory: PathBuf,
}

/// A member of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its features and what each turns on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

impl Workspace {
    /// Cargo names xtask's folder to the process it runs; a binary started by hand falls back to where it was built.
    pub(crate) fn locate() -> Result<Self> {
        let xtask =
            std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&xtask).parent().context("xtask lies in the workspace's root")?.to_path_buf();
        Ok(Self { root })
    }

    /// `data/`: data sets, ignored by git.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Files that lie beside the project (`LOC_SHARED`, else `../shared`); may be absent.
    pub(crate) fn shared(&self) -> PathBuf {
        match std::env::var_os("LOC_SHARED") {
            Some(folder) => self.root.join(folder),
            None => self.root.join("../shared"),
        }
    }

    /// A path as a user in the root would type it.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Asks cargo about the members; reads manifests only.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        let text = Call::cargo(self).args(["metadata", "--no-deps", "--format-version", "1"]).capture()?;
        serde_json::from_str(&text).context("reading what `cargo metadata` printed")
    }
}

/// The `protoc` that the ONNX features need at build time: the one of `PROTOC` if set, else the one that comes
/// with a crate, so that nobody has to install it.
pub(crate) fn protoc() -> Result<PathBuf> {
    match std::env::var_os("PROTOC") {
        Some(path) => Ok(path.into()),
        None => protoc_bin_vendored::protoc_bin_path()
            .context("no protoc for this machine (hint: install it and set PROTOC to its path)"),
    }
}
