//! Runs one peer of the speed comparison in a separate process: `peers PEER`.
//!
//! Prints the tasks that it supports (a line of JSON), then responds to each line `TASK COUNT` with the wall times of
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
type Task = (&'static str, Box<dyn FnMut() -> Result<()>>);
type Tasks = Vec<Task>;

fn main() -> Result<()> {
    let peer = std::env::args().nth(1).context("usage: peers tract|candle|burn")?;
    let folder = std::env::var_os("PEERS_DIR").context("PEERS_DIR is not set")?;
    let inputs = Inputs::load(folder.into())?;
    let tasks = match peer.as_str() {
        "tract" => tract::tasks(&inputs),
        "candle" => candle::tasks(&inputs),
        "burn" => burn::tasks(&inputs),
        _ => bail!("no peer {peer}: tract, candle or burn"),
    };
    serve(tasks.with_context(|| format!("{peer} could not be prepared"))?)
}

/// Responds to requests until standard input ends.
fn serve(mut tasks: Tasks) -> Result<()> {
    let mut out = io::stdout().lock();
    let names: Vec<_> = tasks.iter().map(|(name, _)| *name).collect();
    writeln!(out, "{}", json!({ "ready": names }))?;
    let mut warm = HashSet::new();
    for line in io::stdin().lock().lines() {
        let answer = match respond(&mut tasks, &mut warm, &line?) {
            Ok(ms) => json!({ "ms": ms }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

/// Handles one line `TASK COUNT`: returns the milliseconds of each run, after one warm-up run when a task is run first.
fn respond(tasks: &mut Tasks, warm: &mut HashSet<&'static str>, line: &str) -> Result<Vec<f64>> {
    let (name, count) = line.split_once(' ').context("a line must be TASK COUNT")?;
    let count: usize = count.trim().parse().with_context(|| format!("{count:?} is not a count"))?;
    let (name, run) =
        tasks.iter_mut().find(|(known, _)| *known == name).with_context(|| format!("no task {name}"))?;
    if !warm.contains(name) {
        run()?;
        warm.insert(name);
    }
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}
