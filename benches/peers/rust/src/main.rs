//! Runs one peer of the speed comparison in a separate process: `peers PEER`.
//!
//! Prints the tasks that it supports (a line of JSON), then responds to each line `WORK COUNT` with the wall times of
//! COUNT runs of the task in milliseconds. Everything runs in f32 on two threads: the caller sets `RAYON_NUM_THREADS`.
//! `PEERS_DIR` is the folder with the model and the photos ([`inputs`]). The package is outside the workspace, so that
//! building `loc` does not build three frameworks.

mod burn;
mod candle;
mod inputs;
mod tract;

use std::collections::HashSet;
use std::io::{self, BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::json;

use inputs::Inputs;

/// The number of threads for libraries that do not read `RAYON_NUM_THREADS`.
const THREADS: usize = 2;

/// A task: its name, and a closure that runs it once.
type Work = (&'static str, Box<dyn FnMut() -> Result<()>>);
type Works = Vec<Work>;

fn main() -> Result<()> {
    let peer = std::env::args().nth(1).context("usage: peers tract|candle|burn")?;
    let folder = std::env::var_os("PEERS_DIR").context("PEERS_DIR names no folder")?;
    let inputs = Inputs::load(folder.into())?;
    let works = match peer.as_str() {
        "tract" => tract::works(&inputs),
        "candle" => candle::works(&inputs),
        "burn" => burn::works(&inputs),
        _ => bail!("no peer {peer}: tract, candle or burn"),
    };
    serve(works.with_context(|| format!("{peer} is not ready"))?)
}

/// Responds to requests until standard input ends.
fn serve(mut works: Works) -> Result<()> {
    let mut out = io::stdout().lock();
    let names: Vec<_> = works.iter().map(|(name, _)| *name).collect();
    writeln!(out, "{}", json!({ "ready": names }))?;
    let mut warm = HashSet::new();
    for line in io::stdin().lock().lines() {
        let answer = match answer(&mut works, &mut warm, &line?) {
            Ok(ms) => json!({ "ms": ms }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

/// Handles one line `WORK COUNT`: returns the milliseconds of each run, after one warm-up run when a task is run first.
fn answer(works: &mut Works, warm: &mut HashSet<&'static str>, line: &str) -> Result<Vec<f64>> {
    let (name, count) = line.split_once(' ').context("a line is WORK COUNT")?;
    let count: usize = count.trim().parse().with_context(|| format!("{count:?} is no count"))?;
    let (name, run) =
        works.iter_mut().find(|(known, _)| *known == name).with_context(|| format!("no work {name}"))?;
    if !warm.contains(name) {
        run()?;
        warm.insert(name);
    }
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        run()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}
