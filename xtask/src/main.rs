//! `cargo xtask …`: the development tasks of the project. This file has the arguments; each task has its own file.
//!
//! No crate of the product is imported: the tasks call `cargo` and the built `loc` as a user would.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod check_cuda;
mod ci;
mod command;
mod cross;
mod dataset;
mod faults;
mod fuzz;
mod judges;
mod kernels;
mod mpi;
mod peers;
mod pipeline;
mod python;
mod recipes;
mod skip;
mod skips;
mod slurm;
mod stages;
mod test;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Development tasks of the project: data sets, the pipeline, tests, CI.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// List public data sets, or download one into data/NAME
    #[command(subcommand)]
    Dataset(DatasetTask),
    /// Data → check → image of samples → train → validate → predict → export, and a table of results
    Pipeline(pipeline::Options),
    /// List the expected results of each recipe; with --check, train and compare
    Recipes(recipes::Options),
    /// Test all crates with every feature that needs no GPU; lists skipped tests with reasons at the end
    Test(test::Options),
    /// Run the stages of CI, the cheapest first
    Ci(ci::Options),
    /// Compare the speed with PyTorch, ONNX Runtime, OpenVINO, OpenCV and Rust libraries on this machine
    Peers(peers::Options),
    /// Inject kills, full disks and limits into small training runs, and check that no checkpoint is lost
    Faults(faults::Options),
    /// Train on several processes that `mpirun` starts, and compare the bytes with those of one process; needs Open MPI
    Mpi(mpi::Options),
    /// Fuzz every reader of untrusted input with libFuzzer and the address sanitizer; needs the nightly toolchain
    Fuzz(fuzz::Options),
    /// Compare the annotations that `loc data convert` writes and reads with other programs; needs Python and a package index
    Judges,
    /// Predict in shards under a Slurm on this machine, kill a task, and compare the bytes; needs Slurm and munge
    Slurm(slurm::Options),
    /// Check the kernels: every instruction set, no intrinsic as a call, the address sanitizer, Miri
    Kernels,
    /// Test on aarch64 under qemu and predict in WebAssembly; needs compilers for these targets
    Cross(cross::Options),
    /// Type-check the workspace with CUDA on a machine that has none
    CheckCuda,
}

#[derive(Subcommand)]
enum DatasetTask {
    /// List the data sets of data/datasets.toml
    List,
    /// Download a data set, check its digest and unpack it into data/NAME
    #[command(after_help = "Examples:\n  cargo xtask dataset fetch cats-dogs\n  \
                            cargo xtask dataset fetch cats-dogs --archive ../shared/datasets/cats-dogs.tar.gz\n  \
                            cargo xtask dataset fetch cats-dogs --url http://localhost:8000/cats-dogs.tar.gz")]
    Fetch {
        /// A name from `cargo xtask dataset list`
        name: String,
        /// Read the data set from this .tar.gz instead of downloading it
        #[arg(long, value_name = "FILE", conflicts_with = "url")]
        archive: Option<PathBuf>,
        /// Download from this mirror instead (the digest must be the same)
        #[arg(long)]
        url: Option<String>,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let workspace = Workspace::locate()?;
    match task {
        Task::Dataset(DatasetTask::List) => dataset::list(&workspace),
        Task::Dataset(DatasetTask::Fetch { name, archive, url }) => {
            let source = dataset::Source::new(archive, url);
            dataset::fetch(&workspace, &name, &source).map(drop)
        }
        Task::Pipeline(options) => pipeline::run(&workspace, &options),
        Task::Recipes(options) => recipes::run(&workspace, &options),
        Task::Test(options) => test::run(&workspace, &options),
        Task::Ci(options) => ci::run(&workspace, &options),
        Task::Peers(options) => peers::run(&workspace, &options),
        Task::Faults(options) => faults::run(&workspace, &options),
        Task::Mpi(options) => mpi::run(&workspace, &options),
        Task::Fuzz(options) => fuzz::run(&workspace, &options),
        Task::Judges => judges::run(&workspace),
        Task::Slurm(options) => slurm::run(&workspace, &options),
        Task::Kernels => kernels::run(&workspace),
        Task::Cross(options) => cross::run(&workspace, &options),
        Task::CheckCuda => check_cuda::run(&workspace),
    }
}
