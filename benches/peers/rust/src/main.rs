//! One peer of the speed comparison in a process of its own: `peers PEER`.
//!
//! Says which works it can do (a line of JSON), then answers each line `WORK COUNT` with the wall times of COUNT runs in
//! milliseconds. Everything in f32 on two threads: the caller sets `RAYON_NUM_THREADS`. `PEERS_DIR` names the folder
//! with the model and the photos ([`inputs`]). A package outside the workspace: nobody who builds `loc` should wait for
//! three frameworks.

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

/// Both cores of the machine the comparison is made on; for the libraries that do not read `RAYON_NUM_THREADS`.
const THREADS: usize = 2;

/// A work: its name, and a closure that does it once.
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

/// Answers until standard input ends.
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

/// One line `WORK COUNT`: the milliseconds of each run, after one uncounted run of a work that is still cold.
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
