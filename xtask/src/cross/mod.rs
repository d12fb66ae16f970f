//! `cargo xtask cross`: other targets than this machine's: the tests of loc-net and loc-infer for aarch64 under qemu, and
//! loc-infer for WebAssembly in Node.js, which must predict what `loc predict` predicts.
//!
//! This file has the options and the order of the stages; `toolchain` finds a compiler for a target.

mod aarch64;
mod toolchain;
mod wasm;

use anyhow::{Result, bail};
use clap::Args;

use crate::stages::Stages;
use crate::workspace::Workspace;

/// The flags of `cargo xtask cross`.
#[derive(Args)]
#[command(
    after_help = "A target needs its standard library in the project's toolchain (`rustup target add`) or in /usr/bin's. On \
Debian:\n  dpkg --add-architecture arm64 && apt-get update\n  apt-get install rustc-web cargo-web rust-web-src lld nodejs qemu-user \
gcc-aarch64-linux-gnu libc6-dev-arm64-cross libstd-rust-web-dev:arm64\n\nNothing is installed. The target folder is \
target/cross; nothing else is built with that toolchain."
)]
pub(crate) struct Options {
    /// Without the tests that take minutes under qemu
    #[arg(long)]
    quick: bool,
    /// Fail if a target cannot be built or run here, instead of skipping it
    #[arg(long)]
    strict: bool,
}

/// Runs the stages of both targets.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut stages = Stages::new(true);
    match aarch64::Tools::find(workspace) {
        Ok(tools) => aarch64::add_stages(workspace, &mut stages, &tools, options.quick),
        Err(missing) => cannot_run(&mut stages, "tests for aarch64", &missing, options.strict),
    }
    match wasm::Tools::find(workspace) {
        Ok(tools) => wasm::add_stages(workspace, &mut stages, &tools),
        Err(missing) => cannot_run(&mut stages, "prediction in WebAssembly", &missing, options.strict),
    }
    stages.finish()
}

fn cannot_run(stages: &mut Stages, name: &str, missing: &str, strict: bool) {
    if strict {
        stages.run(name, || bail!("{missing}"));
    } else {
        stages.skip(name, missing);
    }
}
