//! Kills at each failpoint of a save, in a resume, and at random moments; and a full disk at each failpoint.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use fs_err as fs;

use super::Outcome;
use super::bench::{Bench, temporaries_are_gone, text};

/// Kills a run at every failpoint of its saves, or at every `stride`-th, and resumes it.
pub(super) fn at_points(bench: &Bench, stride: usize) -> Result<Outcome> {
    let mut outcome = Outcome::new("kill -9 at a failpoint of a save");
    for (index, point) in bench.points.iter().enumerate().step_by(stride) {
        let ran = bench.train("point", &[("LOC_FAULT", &format!("kill@{}", index + 1))])?;
        ensure!(ran.status.code().is_none(), "it was not killed at {point}: {}", text(&ran));
        outcome.count(&format!("{point} ({})", index + 1), bench.survived("point"));
    }
    Ok(outcome)
}

/// Kills a run, and then kills the resume while it completes the interrupted save.
pub(super) fn in_resume(bench: &Bench, stride: usize) -> Result<Outcome> {
    let mut outcome = Outcome::new("kill -9 in the resume after such a kill");
    for (index, point) in bench.points.iter().enumerate().step_by(stride) {
        bench.train("twice", &[("LOC_FAULT", &format!("kill@{}", index + 1))])?;
        let second = 1 + index % 12;
        let ran = bench.go_on("twice", &[("LOC_FAULT", &format!("kill@{second}"))])?;
        if ran.status.code().is_none() {
            outcome.count(&format!("{point} ({}), then point {second}", index + 1), bench.survived("twice"));
        }
    }
    Ok(outcome)
}

/// Simulates a full disk at every failpoint.
pub(super) fn full_at_points(bench: &Bench, stride: usize) -> Result<Outcome> {
    let mut outcome = Outcome::new("no space at a failpoint of a save");
    for (index, point) in bench.points.iter().enumerate().step_by(stride) {
        let ran = bench.train("full", &[("LOC_FAULT", &format!("full@{}", index + 1))])?;
        let file = point.split(' ').next().unwrap_or_default();
        let said = || -> Result<()> {
            ensure!(ran.status.code() == Some(1), "exit {:?} at {point}: {}", ran.status, text(&ran));
            ensure!(text(&ran).contains(file), "{file} is not named: {}", text(&ran));
            temporaries_are_gone(&bench.run("full"))?;
            bench.survived("full")
        };
        outcome.count(&format!("{point} ({})", index + 1), said());
    }
    Ok(outcome)
}

/// Kills runs at random moments until the given number of kills has hit one. Each run is resumed until it ends.
pub(super) fn at_random(bench: &Bench, kills: usize, seed: u64) -> Result<Outcome> {
    let mut outcome = Outcome::new("kill -9 at a random moment");
    let (mut random, mut lives) = (seed, 0);
    while outcome.injected < kills {
        let moment = bench.time.mul_f64(uniform(&mut random));
        let mut child = bench.start("random")?;
        sleep(moment.max(Duration::from_millis(1)));
        child.kill()?;
        let ran = child.wait_with_output()?;
        lives += 1;
        if ran.status.code().is_none() {
            outcome.count(&format!("life {lives}"), bench.loads("random"));
            // If a run is always killed too early, nothing is tested.
            if !outcome.injected.is_multiple_of(12) && outcome.injected < kills {
                continue;
            }
        } else if !ran.status.success() && !text(&ran).contains("epochs are done") {
            outcome.count(
                &format!("life {lives}"),
                Err(anyhow::anyhow!("it cannot be resumed: {}", text(&ran))),
            );
        }
        let ended = bench.survived("random");
        if ended.is_err() {
            outcome.injected -= 1;
            outcome.count(&format!("life {lives}"), ended);
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
