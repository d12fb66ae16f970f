//! `cargo xtask test`: every crate's tests, one `cargo test` a crate so that a failure is named.

use anyhow::Result;

use crate::command::Call;
use crate::stages::Stages;
use crate::workspace::{Metadata, Package, Workspace, protoc};

/// Features that need a GPU's toolkit to build.
const NEEDS_GPU: &[&str] = &["cuda"];

/// Runs them all, even past a failure.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut stages = Stages::new(true);
    add_stages(workspace, &mut stages)?;
    stages.finish()
}

/// Adds a stage for each crate.
pub(crate) fn add_stages(workspace: &Workspace, stages: &mut Stages) -> Result<()> {
    let protoc = protoc()?;
    for package in in_order(workspace.metadata()?) {
        stages.run(&format!("test {}", package.name), || {
            let call = Call::cargo(workspace).env("PROTOC", &protoc);
            call.args(["test", "--release", "--package", &package.name])
                .args(feature_args(&features(&package).join(",")))
                .run()
        });
    }
    Ok(())
}

/// Builds each crate's benches, a command a crate: with the features of its tests, most of it is there already.
pub(crate) fn build_benches(workspace: &Workspace, metadata: &Metadata) -> Result<()> {
    let protoc = protoc()?;
    let has_benches =
        |package: &&Package| package.targets.iter().any(|target| target.kind.iter().any(|k| k == "bench"));
    for package in metadata.packages.iter().filter(has_benches) {
        let call = Call::cargo(workspace).env("PROTOC", &protoc).args([
            "bench",
            "--no-run",
            "--package",
            &package.name,
        ]);
        call.args(feature_args(&features(package).join(","))).run()?;
    }
    Ok(())
}

/// `--features` with every feature of every crate that needs no GPU, for commands over the whole workspace.
pub(crate) fn workspace_features(metadata: &Metadata) -> Vec<String> {
    let all = metadata.packages.iter().flat_map(|package| {
        features(package).into_iter().map(move |feature| format!("{}/{feature}", package.name))
    });
    feature_args(&all.collect::<Vec<_>>().join(","))
}

/// Crates after those they use: what breaks everything breaks first. xtask last: its tests look at the binaries.
fn in_order(metadata: Metadata) -> Vec<Package> {
    let mut packages = metadata.packages;
    packages
        .sort_by_key(|package| package.dependencies.iter().filter(|d| d.name.starts_with("loc-")).count());
    packages
}

/// A crate's features, but for those that need a GPU.
fn features(package: &Package) -> Vec<&str> {
    let names = package.features.keys().map(String::as_str);
    names.filter(|name| *name != "default" && !NEEDS_GPU.contains(name)).collect()
}

fn feature_args(list: &str) -> Vec<String> {
    if list.is_empty() { Vec::new() } else { vec!["--features".to_owned(), list.to_owned()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_but_the_gpus_is_tested_and_the_base_comes_first() {
        let workspace = Workspace::locate().unwrap();
        let packages = in_order(workspace.metadata().unwrap());
        assert_eq!(packages.first().unwrap().name, "loc-net");
        assert_eq!(packages.last().unwrap().name, "xtask");
        let infer = packages.iter().find(|package| package.name == "loc-infer").unwrap();
        assert_eq!(features(infer), ["candle", "draw", "formats", "native", "onnx"]);
        assert!(packages.iter().all(|package| !features(package).contains(&"cuda")));
    }
}
