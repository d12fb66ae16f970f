//! `cargo xtask fuzz`: runs every reader of untrusted input under libFuzzer and the address sanitizer for some seconds.
//!
//! It does the same as `cargo fuzz`, but with cargo alone: only the nightly toolchain and a C++ compiler (to build
//! libFuzzer) are needed. The targets are in `fuzz/`.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use fs_err as fs;

use crate::command::Call;
use crate::skips::is_installed;
use crate::test;
use crate::workspace::{Workspace, protoc};

/// The flags of `cargo xtask fuzz`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only this target
    #[arg(value_name = "TARGET")]
    only: Option<String>,
    /// Seconds per target
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u32,
}

impl Options {
    /// The options that CI uses.
    pub(crate) fn quick() -> Self {
        Self { only: None, seconds: 20 }
    }
}

/// The compiler flags of cargo-fuzz: coverage counters on every edge, traced comparisons, the address
/// sanitizer, overflow checks.
const FLAGS: &str = "--cfg fuzzing -Zsanitizer=address -Cdebug-assertions -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Targets whose seeds have other names, and these names.
const SEEDS: [(&str, &[&str]); 1] = [("published", &["pth_legacy", "wheel"])];

/// Returns why the targets cannot be built on this machine; `None` if they can.
pub(crate) fn missing(workspace: &Workspace) -> Option<&'static str> {
    if nightly(workspace, "rustc").arg("--version").capture().is_err() {
        return Some("no nightly toolchain (hint: `rustup toolchain install nightly --profile minimal`)");
    }
    if !cfg!(unix) || !is_installed("c++") {
        return Some("no C++ compiler to build libFuzzer with");
    }
    None
}

/// Builds and runs the targets; all of them, also after one has failed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if let Some(missing) = missing(workspace) {
        bail!(missing);
    }
    let targets = targets(workspace)?;
    let wanted = |name: &&String| options.only.as_ref().is_none_or(|only| only == *name);
    ensure!(targets.iter().any(|name| wanted(&name)), "the targets are {}", targets.join(", "));

    let metadata = workspace.metadata()?;
    let folder = metadata.target_directory.join("fuzz");
    let seeds = folder.join("seeds");
    let write_seeds = Call::cargo(workspace)
        .env("PROTOC", protoc()?)
        .env("LOC_CORPUS", &seeds)
        .env("LOC_MUTATIONS", "1")
        .args(["test", "--release", "--workspace", "--test", "fuzz"]);
    write_seeds.args(test::workspace_features(&metadata)).run()?;
    let host = host(workspace)?;
    let manifest = workspace.root.join("fuzz/Cargo.toml");
    let build = nightly(workspace, "cargo").env("CARGO_TARGET_DIR", &folder).env("RUSTFLAGS", FLAGS);
    build
        .args(["build", "--release", "--bins", "--target", &host])
        .arg("--manifest-path")
        .arg(manifest)
        .run()?;

    let folders = Folders { root: &folder, programs: &folder.join(&host).join("release"), seeds: &seeds };
    let failed: Vec<&String> = targets
        .iter()
        .filter(wanted)
        .filter(|name| {
            let result = fuzz(workspace, &folders, name, options.seconds);
            result.inspect_err(|error| eprintln!("error: {name}: {error:#}")).is_err()
        })
        .collect();
    ensure!(failed.is_empty(), "failing inputs for {failed:?}; see {}", folder.join("found").display());
    Ok(())
}

/// The folders of one run of `cargo xtask fuzz`.
struct Folders<'a> {
    /// The folder with the corpus and the failing inputs.
    root: &'a Path,
    /// The folder with the built targets.
    programs: &'a Path,
    seeds: &'a Path,
}

/// Runs one target, starting from its seeds and its corpus of earlier runs.
fn fuzz(workspace: &Workspace, folders: &Folders<'_>, name: &str, seconds: u32) -> Result<()> {
    let (corpus, found) = (folders.root.join("corpus").join(name), folders.root.join("found"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&found)?;
    let seeds =
        SEEDS.iter().find(|(target, _)| *target == name).map_or([name].to_vec(), |(_, seeds)| seeds.to_vec());
    let seeds = seeds.iter().map(|seed| folders.seeds.join(seed)).filter(|folder| folder.is_dir());
    let mut prefix = found.join(name).into_os_string();
    prefix.push("-");
    Call::new(workspace, folders.programs.join(name))
        .arg(&corpus)
        .args(seeds)
        .arg(format!("-max_total_time={seconds}"))
        // A fixed seed: the same code gets the same inputs in every run, as far as the time limit allows.
        .args(["-seed=1", "-rss_limit_mb=1024", "-timeout=20", "-verbosity=0", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}", prefix.to_string_lossy()))
        .run()
}

/// The names of the targets in the manifest.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let text = fs::read_to_string(workspace.root.join("fuzz/Cargo.toml"))?;
    let manifest: toml::Table = text.parse()?;
    let bins =
        manifest.get("bin").and_then(toml::Value::as_array).context("fuzz/Cargo.toml has no targets")?;
    Ok(bins.iter().filter_map(|bin| Some(bin.get("name")?.as_str()?.to_owned())).collect())
}

/// The platform of the nightly toolchain, if there is one: with a sanitizer it must be passed explicitly.
pub(crate) fn host(workspace: &Workspace) -> Result<String> {
    let version = nightly(workspace, "rustc").arg("-vV").capture()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` prints no host")?.to_owned())
}

/// A call of a program of the nightly toolchain.
pub(crate) fn nightly(workspace: &Workspace, program: &str) -> Call {
    Call::new(workspace, "rustup").args(["run", "nightly", program])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_file() {
        let workspace = Workspace::locate().unwrap();
        let targets = targets(&workspace).unwrap();
        let files = fs::read_dir(workspace.root.join("fuzz/fuzz_targets")).unwrap();
        let mut files: Vec<String> =
            files.map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        files.sort();
        let mut sorted = targets.clone();
        sorted.sort();
        assert_eq!(sorted, files);
        assert!(SEEDS.iter().all(|(target, _)| targets.contains(&(*target).to_owned())));
    }
}
