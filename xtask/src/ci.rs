//! `cargo xtask ci`: what CI runs, cheapest first, each stage timed.
//!
//! Lints, docs, tests, benches and the pipeline all use the release profile, so that what one builds the next finds.

use anyhow::{Context, Result};
use clap::Args;

use crate::command::Call;
use crate::stages::Stages;
use crate::workspace::{Workspace, protoc};
use crate::{check_cuda, pipeline, test};

/// The flags of `cargo xtask ci`.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave out the crates' tests, where `cargo xtask test` runs them anyway
    #[arg(long)]
    no_test: bool,
    /// Go on past a failing stage
    #[arg(long)]
    keep_going: bool,
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
            .context("(hint: `.ci/run` says how to install cargo-deny)")
    });
    stages.run("lints", || {
        let clippy = cargo().args(["clippy", "--release", "--workspace", "--all-targets"]);
        clippy.args(&features).args(["--", "--deny", "warnings"]).run()
    });
    stages.run("docs", || {
        let doc = cargo().env("RUSTDOCFLAGS", "--deny warnings").args(["doc", "--release", "--workspace"]);
        doc.arg("--no-deps").args(&features).run()
    });
    stages.run("cuda, type-checked", || check_cuda::run(workspace));
    stages.run("loc-infer without default features", || {
        cargo().args(["test", "--release", "--package", "loc-infer", "--no-default-features"]).run()
    });
    if options.no_test {
        stages.skip("tests");
    } else {
        test::add_stages(workspace, &mut stages)?;
    }
    stages.run("benches, built", || test::build_benches(workspace, &metadata));
    stages.run("pipeline --quick", || pipeline::run(workspace, &pipeline::Options::quick()));
    stages.finish()
}
