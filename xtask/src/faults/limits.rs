//! Limits of the machine: a small disk, a limit on file sizes, a limit on the address space.

use std::process::Command;

use anyhow::{Result, ensure};
use fs_err as fs;

use super::Outcome;
use super::bench::{Bench, check_no_temporary_files, stderr};

/// A separate file system of a given size in megabytes; unmounted when dropped.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn mount(at: &std::path::Path, options: &str) -> bool {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at);
        command.output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

/// Trains with the run folder on a disk of 1 to 4 MB; then the disk grows, and the run is resumed.
pub(super) fn full_disk(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::new("a disk of 1 to 4 MB");
    let run = bench.run("small-disk");
    for size in ["1m", "2m", "3m", "4m"] {
        fs::create_dir_all(&run)?;
        if !Tmpfs::mount(&run, &format!("size={size}")) {
            outcome.skipped = Some("`mount -t tmpfs` needs root".into());
            return Ok(outcome);
        }
        let disk = Tmpfs(run.clone());
        let output = bench.train("small-disk", &[])?;
        if output.status.success() {
            continue;
        }
        let check = || -> Result<()> {
            let message = stderr(&output);
            ensure!(output.status.code() == Some(1), "exit {:?}: {message}", output.status);
            ensure!(
                message.contains("No space left on device") && message.contains("small-disk/"),
                "another message: {message}"
            );
            check_no_temporary_files(&run)?;
            bench.check_models_load("small-disk")?;
            ensure!(Tmpfs::mount(&run, "remount,size=64m"), "the disk cannot be enlarged");
            bench.check_recovery("small-disk")
        };
        outcome.count(&format!("a disk of {size}"), check());
        drop(disk);
    }
    ensure!(outcome.injected > 0, "no disk was small enough to fail");
    Ok(outcome)
}

/// Trains with a limit on file sizes (EFBIG), then resumes without the limit.
pub(super) fn file_size(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::new("a limit on the size of files");
    // Blocks of 512 bytes, or of 1,024 if sh is bash: in both cases too small for a training state.
    for blocks in [1, 8, 64, 256, 512, 1024, 2048] {
        let output = bench.train_limited("small-files", &format!("-f {blocks}"))?;
        if output.status.success() {
            continue;
        }
        let check = || -> Result<()> {
            let message = stderr(&output);
            ensure!(output.status.code() == Some(1), "exit {:?}: {message}", output.status);
            ensure!(message.contains("File too large"), "another message: {message}");
            check_no_temporary_files(&bench.run("small-files"))?;
            bench.check_recovery("small-files")
        };
        outcome.count(&format!("files of {blocks} blocks"), check());
    }
    ensure!(outcome.injected > 0, "no limit was low enough to fail");
    Ok(outcome)
}

/// Trains with a limited address space, from far too small to almost enough; no checkpoint may be lost.
pub(super) fn address_space(bench: &Bench, stride: usize) -> Result<Outcome> {
    let mut outcome = Outcome::new("a limit on the address space");
    for megabytes in (80..=1600).step_by(10 * stride) {
        let output = bench.train_limited("small-memory", &format!("-v {}", megabytes * 1024))?;
        if output.status.success() {
            break;
        }
        outcome.count(&format!("{megabytes} MB"), bench.check_recovery("small-memory"));
    }
    Ok(outcome)
}
