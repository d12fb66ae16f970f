//! `cargo xtask mpi`: training on several processes that `mpirun` starts: the same bytes as on one, also after a signal, a
//! kill and a full disk.
//!
//! This file has the options and the order of the checks; `bench` starts the trainings and compares their results.

mod bench;

use std::path::Path;

use anyhow::{Result, bail, ensure};
use clap::Args;
use fs_err as fs;

use self::bench::{Bench, Fault};
use crate::command::Call;
use crate::skips::is_installed;
use crate::stages::Stages;
use crate::test;
use crate::workspace::{Workspace, protoc};

/// Debian's packages with all that is needed.
const PACKAGES: &str = "openmpi-bin libopenmpi-dev libclang-dev";

#[derive(Args)]
#[command(
    after_help = "The program is built with the feature `mpi`. Needs Open MPI and libclang; Debian's packages: \
openmpi-bin libopenmpi-dev libclang-dev. Nothing is installed."
)]
pub(crate) struct Options {
    /// Fail if Open MPI or libclang is missing, instead of skipping the checks
    #[arg(long)]
    strict: bool,
}

/// Returns what is missing for the feature `mpi`.
pub(crate) fn missing() -> Option<&'static str> {
    ["mpirun", "mpicc"]
        .into_iter()
        .find(|program| !is_installed(program))
        .or_else(|| (!has_libclang()).then_some("libclang"))
}

/// Returns whether the build finds libclang, which reads the C declarations of MPI.
fn has_libclang() -> bool {
    let is_library = |name: &str| {
        name.starts_with("libclang")
            && !name.starts_with("libclang-cpp")
            && (name.contains(".so") || name.ends_with(".dylib"))
    };
    let has = |folder: &Path| {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.filter_map(|file| file.file_name().into_string().ok()).any(|name| is_library(&name))
    };
    let versions = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let llvm = versions.filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm"));
    let folders = ["/usr/lib64", "/usr/lib", "/usr/local/lib", "/opt/homebrew/opt/llvm/lib"];
    std::env::var_os("LIBCLANG_PATH").is_some()
        || folders.iter().any(|folder| has(Path::new(folder)))
        || llvm.into_iter().any(|entry| has(&entry.path().join("lib")))
}

/// Builds the program and runs all checks.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if let Some(missing) = missing() {
        let what = format!("{missing} is not installed (Debian: apt-get install {PACKAGES})");
        if options.strict {
            bail!("{what}");
        }
        println!("skipped: {what}");
        return Ok(());
    }
    let metadata = workspace.metadata()?;
    // With the features of the tests, so that nothing is built twice.
    let features = test::workspace_features(&metadata);
    let build = Call::cargo(workspace).env("PROTOC", protoc()?).args(["build", "--release", "--workspace"]);
    build.args(["--bin", "loc"]).args(features).run()?;
    let folder = metadata.target_directory.join("mpi");
    if folder.is_dir() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let bench = Bench::new(&folder, &metadata.target_directory.join("release").join("loc"))?;

    let mut stages = Stages::new(true);
    // 48 photos train: the last batch of 13 has 9.
    let scratch = ["--recipe", "scratch", "--imgsz", "188", "--batch", "13", "--epochs", "2"];
    stages.run("scratch", || bench.same_bytes("scratch", &scratch));
    let compact = ["--recipe", "compact", "--imgsz", "128", "--batch", "13", "--epochs", "1"];
    stages.run("compact", || bench.same_bytes("compact", &compact));
    let weights = workspace.shared().join("weights");
    fs::write(folder.join("warmup.toml"), WARMUP)?;
    for (recipe, more) in [("transfer", &[][..]), ("finetune", &["--set", "head_warmup=warmup.toml"])] {
        if weights.is_dir() {
            let weights = weights.to_string_lossy();
            let args = [&pretrained(recipe, &weights)[..], more].concat();
            stages.run(recipe, || bench.same_bytes(recipe, &args));
        } else {
            stages.skip(recipe, "the pretrained weights are not in LOC_SHARED");
        }
    }
    stages.run("SIGTERM to mpirun", || bench.interrupted("term", Fault::Term, 4));
    stages.run("kill -9 of a process", || bench.interrupted("kill", Fault::Kill, 1));
    stages.run("a full disk of the first process", || bench.interrupted("full", Fault::FullDisk, 2));
    stages.run("a loss that is not finite", || {
        let lr = ["--recipe", "scratch", "--imgsz", "188", "--set", "lr=1e30", "--set", "warmup=0.0"];
        let output = bench.train(2, "exploded", &lr)?;
        let told = output.text.matches("error: the loss is").count();
        ensure!(output.code != Some(0) && told == 1, "exit {:?}: {}", output.code, output.text);
        Ok(())
    });
    stages.finish()
}

/// A short head warm-up.
const WARMUP: &str =
    "backbone = \"lite0\"\nbackbone_lr = 0.0\nepochs = 1\ncopies = 1\nbatch = 13\nmin_steps = 1\n";

/// A short training with pretrained weights, with two looks.
fn pretrained<'a>(recipe: &'a str, weights: &'a str) -> Vec<&'a str> {
    let sizes = ["--imgsz", "64", "--set", "crop_imgsz=64", "--batch", "13", "--epochs", "1"];
    let heads = ["--set", "looks=2", "--set", "copies=2", "--set", "views=0", "--set", "min_steps=1"];
    let recipe = ["--recipe", recipe, "--backbone-weights", weights];
    recipe.into_iter().chain(sizes).chain(heads).collect()
}
