//! A compiler for another target: the project's own if rustup has installed the target's standard library, else that of the
//! system in `/usr/bin`, which some distributions build for several targets.

use std::path::PathBuf;

use anyhow::{Context, Result};
use fs_err as fs;

use crate::command::Call;
use crate::workspace::Workspace;

/// The programs of distributions.
const SYSTEM: [&str; 2] = ["/usr/bin/cargo", "/usr/bin/rustc"];

/// A compiler that can build for a target.
pub(super) struct Toolchain {
    target: &'static str,
    cargo: Option<PathBuf>,
    rustc: Option<PathBuf>,
    /// Whether the standard library is compiled from its sources.
    builds_std: bool,
}

impl Toolchain {
    /// Finds a compiler for the target; `from_source`: also one that has only the sources of the standard library.
    /// Otherwise returns what is missing.
    pub(super) fn find(
        workspace: &Workspace,
        target: &'static str,
        from_source: bool,
    ) -> Result<Self, String> {
        let own = Self { target, cargo: None, rustc: None, builds_std: false };
        let [cargo, rustc] = SYSTEM.map(|program| Some(PathBuf::from(program)));
        let system = Self { target, cargo, rustc, builds_std: false };
        let needed = needed_version(workspace).map_err(|error| format!("{error:#}"))?;
        for toolchain in [own, system] {
            let Ok((version, sysroot)) = toolchain.describe(workspace) else { continue };
            if version < needed {
                continue;
            }
            let rustlib = sysroot.join("lib/rustlib");
            if rustlib.join(target).join("lib").is_dir() {
                return Ok(toolchain);
            }
            if from_source && rustlib.join("src/rust/library/std").is_dir() {
                return Ok(Self { builds_std: true, ..toolchain });
            }
        }
        Err(format!("no standard library for {target} (hint: `cargo xtask cross --help` lists the packages)"))
    }

    /// A call of this cargo for the target, with the target folder of all such builds.
    pub(super) fn cargo(&self, workspace: &Workspace, command: &str) -> Result<Call> {
        let mut call = match &self.cargo {
            Some(cargo) => Call::new(workspace, cargo),
            None => Call::cargo(workspace),
        };
        if let Some(rustc) = &self.rustc {
            call = call.env("RUSTC", rustc);
        }
        call = call.env("CARGO_TARGET_DIR", self.folder(workspace)?);
        if self.builds_std {
            // The flag is unstable; the variable allows it in a stable compiler.
            call = call.env("RUSTC_BOOTSTRAP", "1");
        }
        call = call.args([command, "--release", "--locked", "--target", self.target]);
        Ok(if self.builds_std { call.arg("-Zbuild-std=std,panic_abort") } else { call })
    }

    /// Whether the standard library is compiled from its sources.
    pub(super) fn builds_std(&self) -> bool {
        self.builds_std
    }

    /// The target folder of this compiler, apart from that of the workspace.
    pub(super) fn folder(&self, workspace: &Workspace) -> Result<PathBuf> {
        Ok(workspace.metadata()?.target_directory.join("cross"))
    }

    /// The version of the compiler, and the folder of its libraries.
    fn describe(&self, workspace: &Workspace) -> Result<([u32; 2], PathBuf)> {
        let rustc = || match &self.rustc {
            Some(rustc) => Call::new(workspace, rustc),
            None => Call::new(workspace, "rustc"),
        };
        let text = rustc().arg("--version").capture()?;
        let version = text.split(' ').nth(1).and_then(version).context("no version of rustc")?;
        let sysroot = rustc().args(["--print", "sysroot"]).capture()?;
        Ok((version, sysroot.trim().into()))
    }
}

/// The version that the workspace needs.
fn needed_version(workspace: &Workspace) -> Result<[u32; 2]> {
    let manifest: toml::Table = fs::read_to_string(workspace.root.join("Cargo.toml"))?.parse()?;
    let text = manifest["workspace"]["package"]["rust-version"].as_str();
    text.and_then(version).context("the workspace has no rust-version")
}

/// `1.95` and `1.95.0` as numbers; the patch is not needed.
fn version(text: &str) -> Option<[u32; 2]> {
    let mut numbers = text.split(['.', '-']).map(str::parse::<u32>);
    Some([numbers.next()?.ok()?, numbers.next()?.ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("1.95"), Some([1, 95]));
        assert_eq!(version("1.100.0-nightly"), Some([1, 100]));
        assert!(version("1.100.0") > version("1.95"));
        assert_eq!(version("unknown"), None);
        assert!(needed_version(&Workspace::locate().unwrap()).unwrap() >= [1, 95]);
    }

    #[test]
    fn the_error_names_the_target() {
        let missing = Toolchain::find(&Workspace::locate().unwrap(), "no-such-target", false).err();
        assert!(missing.unwrap().starts_with("no standard library for no-such-target (hint: "));
    }
}
