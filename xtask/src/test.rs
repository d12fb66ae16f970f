//! `cargo xtask test`: the tests of all crates, with every feature that needs no GPU, with `cargo test`.
//!
//! There is one command for the whole workspace: with one command per crate cargo would resolve the features for each
//! and build Candle several times. Cargo names the crate whose test failed.

use anyhow::Result;
use clap::Args;

use crate::command::Call;
use crate::skips::Skips;
use crate::stages::Stages;
use crate::workspace::{Metadata, Package, Workspace, protoc};
use crate::{kernels, mpi};

/// Features that cannot be built without the toolkit of a GPU.
const NEEDS_GPU: &[&str] = &["cuda"];
/// The feature that cannot be built without an MPI library and libclang.
const NEEDS_MPI: &str = "mpi";

/// The flags of `cargo xtask test`.
#[derive(Args, Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// Also fail if a test was skipped for a reason that does not apply to this machine
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Runs all tests, also after a failure.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut stages = Stages::new(true);
    add_stages(workspace, &mut stages, options)?;
    stages.finish()
}

/// Adds the stages: the tests, the report of skipped tests, and the tests of loc-net with each instruction set.
pub(crate) fn add_stages(workspace: &Workspace, stages: &mut Stages, options: &Options) -> Result<()> {
    let (protoc, scope) = (protoc()?, scope(&workspace.metadata()?));
    let skips = Skips::create(workspace)?;
    stages.run("tests", || {
        let (name, file) = skips.variable();
        let call = Call::cargo(workspace).env("PROTOC", &protoc).env(name, file);
        call.args(["test", "--release", "--no-fail-fast"]).args(&scope).run()
    });
    stages.run("skipped tests", || skips.finish(workspace, options.strict));
    kernels::add_instruction_sets(workspace, stages, &scope);
    Ok(())
}

/// Builds the benches with the features of the tests, so that most of it is already built.
pub(crate) fn build_benches(workspace: &Workspace, metadata: &Metadata) -> Result<()> {
    let call = Call::cargo(workspace).env("PROTOC", protoc()?);
    call.args(["bench", "--no-run", "--workspace"]).args(workspace_features(metadata)).run()
}

/// The arguments for all crates with the features of the tests, so that a later build uses what the tests have built.
pub(crate) fn scope(metadata: &Metadata) -> Vec<String> {
    std::iter::once("--workspace".to_owned()).chain(workspace_features(metadata)).collect()
}

/// `--features` with every feature of every crate that can be built here and needs no GPU, for commands over the whole workspace.
pub(crate) fn workspace_features(metadata: &Metadata) -> Vec<String> {
    let all = metadata.packages.iter().flat_map(|package| {
        features(package).into_iter().map(move |feature| format!("{}/{feature}", package.name))
    });
    feature_args(&all.collect::<Vec<_>>().join(","))
}

/// The features of a crate, except those that need a GPU, or MPI where there is none.
fn features(package: &Package) -> Vec<&str> {
    let names = package.features.keys().map(String::as_str);
    let has_mpi = mpi::missing().is_none();
    let builds = |name: &&str| !NEEDS_GPU.contains(name) && (*name != NEEDS_MPI || has_mpi);
    names.filter(|name| *name != "default").filter(builds).collect()
}

fn feature_args(list: &str) -> Vec<String> {
    if list.is_empty() { Vec::new() } else { vec!["--features".to_owned(), list.to_owned()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_that_needs_no_gpu_is_tested() {
        let workspace = Workspace::locate().unwrap();
        let packages = workspace.metadata().unwrap().packages;
        let infer = packages.iter().find(|package| package.name == "loc-infer").unwrap();
        assert_eq!(features(infer), ["candle", "draw", "formats", "native", "onnx"]);
        assert!(packages.iter().all(|package| !features(package).contains(&"cuda")));
        let cli = packages.iter().find(|package| package.name == "loc-cli").unwrap();
        assert_eq!(features(cli).contains(&NEEDS_MPI), mpi::missing().is_none());
    }
}
