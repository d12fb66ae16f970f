//! `cargo xtask ci`: the stages of CI, the cheapest first, with the time of each.
//!
//! Lints, docs, tests, benches and the pipeline all use the release profile, so that each stage reuses what earlier
//! stages built.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::command::Call;
use crate::stages::Stages;
use crate::workspace::{Workspace, protoc};
use crate::{check_cuda, faults, fuzz, judges, kernels, pipeline, recipes, slurm, test};

/// The flags of `cargo xtask ci`.
#[derive(Args)]
pub(crate) struct Options {
    /// Skip the tests of the crates, if `cargo xtask test` runs them separately
    #[arg(long)]
    no_test: bool,
    /// Fail if a stage cannot run because packages are missing that .ci/run installs
    #[arg(long)]
    strict: bool,
    /// Continue after a failed stage
    #[arg(long)]
    keep_going: bool,
    /// Also check the dependencies against this copy of the RustSec advisory database (nothing is downloaded)
    #[arg(long, value_name = "DIR")]
    advisories: Option<PathBuf>,
}

/// Runs the stages and prints their table.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let protoc = protoc()?;
    let metadata = workspace.metadata()?;
    let features = test::workspace_features(&metadata);
    let cargo = || Call::cargo(workspace).env("PROTOC", &protoc);
    let mut stages = Stages::new(options.keep_going);

    stages.run("format", || cargo().args(["fmt", "--all", "--check"]).run());
    stages.run("licences, bans, sources", || {
        let check = Call::cargo(workspace).args(["deny", "--log-level", "error", "check"]);
        check
            .args(["licenses", "bans", "sources"])
            .run()
            .context("(hint: `.ci/run` shows how to install cargo-deny)")
    });
    if let Some(database) = &options.advisories {
        stages.run("advisories", || advisories(workspace, &metadata.target_directory, database));
    }
    stages.run("lints", || {
        let clippy = cargo().args(["clippy", "--release", "--workspace", "--all-targets"]);
        clippy.args(&features).args(["--", "--deny", "warnings"]).run()
    });
    stages.run("docs", || {
        let doc = cargo().env("RUSTDOCFLAGS", "--deny warnings").args(["doc", "--release", "--workspace"]);
        doc.arg("--no-deps").args(&features).run()
    });
    stages.run("type check of the CUDA code", || check_cuda::run(workspace));
    stages.run("loc-infer without default features", || {
        cargo().args(["test", "--release", "--package", "loc-infer", "--no-default-features"]).run()
    });
    if options.no_test {
        stages.skip("tests", "--no-test");
    } else {
        test::add_stages(workspace, &mut stages, &test::Options { strict: true })?;
    }
    kernels::add_checks(workspace, &mut stages, &test::scope(&metadata));
    stages.run("fault injection", || faults::run(workspace, &faults::Options::quick()));
    match fuzz::missing(workspace) {
        None => stages.run("fuzzing of the readers", || fuzz::run(workspace, &fuzz::Options::quick())),
        Some(missing) => stages.skip("fuzzing of the readers", missing),
    }
    match judges::install(workspace) {
        Ok(python) => {
            stages.run("annotation formats, by other programs", || judges::judge(workspace, &python))
        }
        Err(error) => stages.skip(
            "annotation formats, by other programs",
            &format!("the judges cannot be installed: {error:#}"),
        ),
    }
    match slurm::missing() {
        Some(missing) if !options.strict => stages.skip("shards under Slurm", &missing),
        _ => stages
            .run("shards under Slurm", || slurm::run(workspace, &slurm::Options { strict: options.strict })),
    }
    stages.run("build of the benches", || test::build_benches(workspace, &metadata));
    stages.run("pipeline --quick", || pipeline::run(workspace, &pipeline::Options::quick()));
    stages.run("results of the recipes on shapes", || {
        let shapes = recipes::Options { check: true, dataset: Some("shapes".into()), ..Default::default() };
        recipes::run(workspace, &shapes)
    });
    stages.finish()
}

/// Runs cargo-deny on a copy of the database, stored under the folder name that cargo-deny expects.
fn advisories(workspace: &Workspace, target: &Path, database: &Path) -> Result<()> {
    const NAME: &str = "advisory-db-3157b0e258782691";
    let from = fs_err::canonicalize(database)?;
    let folder = target.join("advisories");
    if folder.is_dir() {
        fs_err::remove_dir_all(&folder)?;
    }
    fs_err::create_dir_all(&folder)?;
    Call::new(workspace, "git").args(["clone", "--quiet"]).arg(&from).arg(folder.join(NAME)).run()?;
    let config = folder.join("deny.toml");
    let text = fs_err::read_to_string(workspace.root.join("deny.toml"))?;
    let place = toml::Value::from(folder.display().to_string());
    fs_err::write(&config, text.replace("[advisories]", &format!("[advisories]\ndb-path = {place}")))?;
    let check = Call::cargo(workspace).args(["deny", "--offline", "--log-level", "error", "--config"]);
    check.arg(&config).args(["check", "advisories"]).run()
}
