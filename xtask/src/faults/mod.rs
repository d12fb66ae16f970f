//! `cargo xtask faults`: injects kills, full disks and limits into small training runs; no saved checkpoint may be
//! lost.
//!
//! This file has the options, the order and the table. `bench` runs the training and checks the result; the faults are
//! in `kills` and `limits`.

mod bench;
mod kills;
mod limits;

use anyhow::{Result, bail};
use clap::Args;
use fs_err as fs;

use self::bench::Bench;
use crate::command::Call;
use crate::test;
use crate::workspace::{Workspace, protoc};

#[derive(Args)]
#[command(after_help = "The program is built with the feature `faults` of loc-train. A run passes if every \
model file loads, the run can be resumed, it ends with the same bytes as a run without faults, and no temporary \
file is left.")]
pub(crate) struct Options {
    /// Number of kills at random moments
    #[arg(long, value_name = "N", default_value_t = 200)]
    kills: usize,
    /// A tenth of the kills, every sixth failpoint: under a minute
    #[arg(long)]
    quick: bool,
    /// Seed of the random moments
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl Options {
    /// The options that CI uses.
    pub(crate) fn quick() -> Self {
        Self { kills: 200, quick: true, seed: 0 }
    }
}

/// The result of one kind of fault.
pub(super) struct Outcome {
    name: String,
    /// Number of faults that occurred in a run.
    injected: usize,
    /// The failed checks, one line each.
    lost: Vec<String>,
    /// Why this kind of fault could not be injected.
    skipped: Option<String>,
}

impl Outcome {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), injected: 0, lost: Vec::new(), skipped: None }
    }

    /// Counts a fault and the result of the check after it.
    fn count(&mut self, what: &str, result: Result<()>) {
        self.injected += 1;
        if let Err(error) = result {
            eprintln!("LOST after {what}: {error:#}");
            self.lost.push(format!("{what}: {error:#}"));
        }
    }
}

/// Injects all faults.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let target = workspace.metadata()?.target_directory;
    // With the features of the tests, so that nothing is built twice.
    let features = test::workspace_features(&workspace.metadata()?);
    let build = Call::cargo(workspace).env("PROTOC", protoc()?).args(["build", "--release", "--workspace"]);
    build.args(["--bin", "loc"]).args(features).run()?;
    let folder = target.join("faults");
    if folder.is_dir() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    // A copy, because the next build replaces the program.
    let program = folder.join("loc");
    fs::copy(target.join("release").join("loc"), &program)?;
    let bench = Bench::new(&folder, &program)?;
    let (stride, kills) = if options.quick { (6, options.kills.div_ceil(10)) } else { (1, options.kills) };

    let outcomes = [
        kills::at_points(&bench, stride)?,
        kills::in_resume(&bench, stride)?,
        kills::full_at_points(&bench, stride)?,
        kills::at_random(&bench, kills, options.seed)?,
        limits::full_disk(&bench)?,
        limits::file_size(&bench)?,
        limits::address_space(&bench, if options.quick { 4 } else { 1 })?,
    ];
    println!("\n{}", table(&outcomes));
    let lost: usize = outcomes.iter().map(|outcome| outcome.lost.len()).sum();
    if lost > 0 {
        // The folder is kept for inspection.
        bail!("after {lost} faults a check failed; see {}", folder.display());
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

fn table(outcomes: &[Outcome]) -> String {
    let width = outcomes.iter().map(|o| o.name.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}  injected  lost\n", "fault");
    for Outcome { name, injected, lost, skipped } in outcomes {
        let note = skipped.as_ref().map(|why| format!("  skipped: {why}")).unwrap_or_default();
        text += &format!("{name:width$}  {injected:8}  {:4}{note}\n", lost.len());
    }
    let sum = |of: fn(&Outcome) -> usize| outcomes.iter().map(of).sum::<usize>();
    text + &format!("{:width$}  {:8}  {:4}", "all", sum(|o| o.injected), sum(|o| o.lost.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_failed_checks_and_lists_skipped_faults() {
        let mut kill = Outcome::new("kill -9");
        kill.count("point 1", Ok(()));
        kill.count("point 2", Err(anyhow::anyhow!("other bytes")));
        let disk = Outcome { skipped: Some("needs root".into()), ..Outcome::new("full disk") };
        let text = table(&[kill, disk]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "kill -9           2     1");
        assert_eq!(lines[2], "full disk         0     0  skipped: needs root");
        assert_eq!(lines[3], "all               2     1");
    }
}
