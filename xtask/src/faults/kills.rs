//! Kills at each failpoint of a save, in a resume, and at random moments; and a full disk at each failpoint.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use fs_err as fs;

use super::Outcome;
use super::bench::{Bench, check_no_temporary_files, stderr};

/// Kills a run at every failpoint of its saves, or at every `stride`-th, and resumes it.
pub(super) fn at_points(bench: &Bench, stride: usize) -> Result<Outcome> {
    let mut outcome = Outcome::new("kill -9 at a failpoint of a save");
    for (index, point) in bench.points.iter().enumerate().step_by(stride) {
        let output = bench.train("point", &[("LOC_FAULT", &format!("kill@{}", index + 1))])?;
        ensure!(output.status.code().is_none(), "it was not killed at {point}: {}", stderr(&output));
        outcome.count(&format!("{point} ({})", index + 1), bench.check_recovery("point"));
    }
    Ok(outcome)
}

/// Kills a run, then resumes it and kills the resumed run while it completes the interrupted save.
pub(super) fn in_resume(bench: &Bench, stride: usize) -> Result<Outcome> {
    let mut outcome = Outcome::new("kill -9 in the resume after a kill");
    for (index, point) in bench.points.iter().enumerate().step_by(stride) {
        bench.train("twice", &[("LOC_FAULT", &format!("kill@{}", index + 1))])?;
        let second = 1 + index % 12;
        let output = bench.resume("twice", &[("LOC_FAULT", &format!("kill@{second}"))])?;
        if output.status.code().is_none() {
            outcome.count(
                &format!("{point} ({}), then point {second}", index + 1),
                bench.check_recovery("twice"),
            );
        }
    }
    Ok(outcome)
}

/// Simulates a full disk at every failpoint.
pub(super) fn full_at_points(bench: &Bench, stride: usize) -> Result<Outcome> {
    let mut outcome = Outcome::new("no space at a failpoint of a save");
    for (index, point) in bench.points.iter().enumerate().step_by(stride) {
        let output = bench.train("full", &[("LOC_FAULT", &format!("full@{}", index + 1))])?;
        let file = point.split(' ').next().unwrap_or_default();
        let check = || -> Result<()> {
            ensure!(
                output.status.code() == Some(1),
                "exit {:?} at {point}: {}",
                output.status,
                stderr(&output)
            );
            ensure!(
                stderr(&output).contains(file),
                "the message does not contain {file}: {}",
                stderr(&output)
            );
            check_no_temporary_files(&bench.run("full"))?;
            bench.check_recovery("full")
        };
        outcome.count(&format!("{point} ({})", index + 1), check());
    }
    Ok(outcome)
}

/// Kills runs at random moments until `kills` runs have been killed. Each run is resumed until it ends.
pub(super) fn at_random(bench: &Bench, kills: usize, seed: u64) -> Result<Outcome> {
    let mut outcome = Outcome::new("kill -9 at a random moment");
    let (mut random, mut attempts) = (seed, 0);
    while outcome.injected < kills {
        let moment = bench.time.mul_f64(uniform(&mut random));
        let mut child = bench.start("random")?;
        sleep(moment.max(Duration::from_millis(1)));
        child.kill()?;
        let output = child.wait_with_output()?;
        attempts += 1;
        if output.status.code().is_none() {
            outcome.count(&format!("attempt {attempts}"), bench.check_models_load("random"));
            // Let every twelfth killed run finish: otherwise no run would reach its end and be checked.
            if !outcome.injected.is_multiple_of(12) && outcome.injected < kills {
                continue;
            }
        } else if !output.status.success() && !stderr(&output).contains("epochs are done") {
            outcome.count(
                &format!("attempt {attempts}"),
                Err(anyhow::anyhow!("it cannot be resumed: {}", stderr(&output))),
            );
        }
        let recovered = bench.check_recovery("random");
        if recovered.is_err() {
            outcome.injected -= 1;
            outcome.count(&format!("attempt {attempts}"), recovered);
        }
        fs::remove_dir_all(bench.run("random"))?;
    }
    Ok(outcome)
}

/// Returns the next random number in 0..1 (splitmix64).
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}
