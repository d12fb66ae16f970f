//! The user's cache folder.

use std::path::PathBuf;

/// Returns a folder in the user's cache: in `LOC_USER_CACHE`, or in `loc` in the system's cache folder. None where the environment names
/// no such folder.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("LOC_USER_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("loc")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/loc")))
        .or_else(|| set("LOCALAPPDATA").map(|base| base.join("loc")));
    Some(base?.join(name))
}
