//! The flags of `loc shard`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
#[command(
    after_help = "A plan is made once, then each shard is run by a task of a scheduler, in any order, on any machine; tasks that fail \
are run again. Exit codes: 0 done, 75 run it again, 64 and 65 do not (64: plan, model or arguments do not fit; 65: the data).

Examples:
  loc shard plan photos.txt -m best.safetensors -o out --shards 100
  sbatch --array=0-99 --wrap 'loc shard run out'
  loc shard merge out"
)]
pub(crate) enum ShardCommand {
    /// Make a plan: which model predicts which photos in how many shards
    Plan(PlanArgs),
    /// Predict one or several shards of a plan
    Run(RunShardArgs),
    /// Check that all shards are complete, and join them
    Merge(MergeShardsArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "The list is copied, without empty lines; a path that occurs twice is an error. Relative paths are relative to \
the list's folder (of standard input: to the current one). An existing plan is never changed: an equal one is kept, with another \
the exit code is 64.

Examples:
  loc shard plan photos.txt -m best.safetensors -o out --shards 100
  find photos -name '*.jpg' | loc shard plan - -m best.safetensors -o out --shards 100"
)]
pub(crate) struct PlanArgs {
    /// List of photos, one path a line (- for standard input); or a folder, whose photos are listed
    #[arg(value_name = "MANIFEST|DIR")]
    pub(crate) manifest: PathBuf,

    /// Model file (.safetensors), or a run folder: its best model
    #[arg(short, long, value_name = "MODEL|RUN")]
    pub(crate) model: PathBuf,

    /// Folder for the plan and the results
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,

    /// Number of shards
    #[arg(long, value_name = "N")]
    pub(crate) shards: u64,

    /// Of a folder: also read the photos in all folders below it
    #[arg(long)]
    pub(crate) recursive: bool,

    /// Take an object to be there from this probability of presence on [default: the model's threshold]
    #[arg(long, value_name = "P")]
    pub(crate) presence: Option<f32>,

    /// Use the model even if some of its weights are infinite or NaN
    #[arg(long)]
    pub(crate) allow_nonfinite: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without --shard, the index is taken from SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX (Kubernetes) or \
AWS_BATCH_JOB_ARRAY_INDEX. The number of shards is the plan's, whatever the scheduler says. A shard whose file is there and intact \
is left alone; a damaged one is predicted again, to the same bytes. A photo without an answer is a row with `error`.

Examples:
  loc shard run out --shard 7
  loc shard run out --shard 0..10              the shards 0 to 9
  loc shard run out --per-task 10              task 3 of an array runs the shards 30 to 39"
)]
pub(crate) struct RunShardArgs {
    /// Folder of the plan
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Shard to run, from 0; or several: I..J, without J
    #[arg(long, value_name = "I|I..J")]
    pub(crate) shard: Option<String>,

    /// Run K shards: task I runs those from I·K on
    #[arg(long, value_name = "K", default_value_t = 1, hide_default_value = true, conflicts_with = "shard")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) per_task: u64,

    /// The model of the plan, if it lies elsewhere on this machine
    #[arg(short, long, value_name = "MODEL|RUN")]
    pub(crate) model: Option<PathBuf>,

    /// Fail with exit code 65 if more than this fraction of a shard's photos have errors, 0 to 1
    #[arg(long, value_name = "X", default_value_t = 1.0, hide_default_value = true)]
    pub(crate) max_error_rate: f64,

    /// Threads [default: one per core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
}

#[derive(Debug, Args)]
#[command(
    after_help = "All parts must be there, intact, and of this plan, and their rows must be the lines of the list, in its order; then \
_SUCCESS is written. Missing or damaged parts give exit code 75.

Example:
  loc shard merge out"
)]
pub(crate) struct MergeShardsArgs {
    /// Folder of the plan
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Only check the parts, and do not join them to one file
    #[arg(long)]
    pub(crate) keep_parts: bool,
}
