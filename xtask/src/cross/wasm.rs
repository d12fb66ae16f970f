//! The example `examples/wasm` in Node.js: its boxes are those of `loc predict`, within a thousandth of a pixel.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fs_err as fs;
use serde::Deserialize;

use super::toolchain::Toolchain;
use crate::command::Call;
use crate::pipeline::build_loc;
use crate::skips::is_installed;
use crate::stages::Stages;
use crate::workspace::Workspace;

const TARGET: &str = "wasm32-unknown-unknown";
/// The linker of a toolchain that has none of its own for this target.
const LINKER: &str = "wasm-ld";
const EXAMPLE: &str = "examples/wasm";

/// The largest difference of an edge, in pixels. The two add up in another order.
const TOLERANCE: f64 = 0.001;
/// Photos whose predictions are compared.
const PHOTOS: usize = 8;

/// What is needed to build and run WebAssembly.
pub(super) struct Tools(Toolchain);

impl Tools {
    /// Finds the tools, or returns what is missing.
    pub(super) fn find(workspace: &Workspace) -> Result<Self, String> {
        let toolchain = Toolchain::find(workspace, TARGET, true)?;
        let linker = toolchain.builds_std().then_some(LINKER);
        for program in linker.into_iter().chain(["node"]) {
            if !is_installed(program) {
                return Err(format!("{program} is not installed (hint: `cargo xtask cross --help`)"));
            }
        }
        Ok(Self(toolchain))
    }
}

/// A line of the predictions, of loc or of the example.
#[derive(Deserialize)]
struct Prediction {
    path: String,
    name: String,
    #[serde(rename = "box")]
    bbox: BBox,
    /// The median time of a photo, from the encoded bytes to the box; only of the example.
    ms: Option<f64>,
}

#[derive(Deserialize)]
struct BBox {
    x1: f64,
    y1: f64,
    x2: f64,
    y2: f64,
}

impl BBox {
    fn edges(&self) -> [f64; 4] {
        [self.x1, self.y1, self.x2, self.y2]
    }

    fn difference(&self, other: &Self) -> f64 {
        self.edges().into_iter().zip(other.edges()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }
}

/// Adds the build and the comparison.
pub(super) fn add_stages(workspace: &Workspace, stages: &mut Stages, tools: &Tools) {
    let mut module = None;
    stages.run("WebAssembly: build", || {
        module = Some(build(workspace, tools)?);
        Ok(())
    });
    stages.run("WebAssembly: predictions in Node.js", || {
        compare(workspace, module.as_deref().context("the module was not built")?)
    });
}

/// Builds the example and returns the module.
fn build(workspace: &Workspace, Tools(toolchain): &Tools) -> Result<PathBuf> {
    let linker = if toolchain.builds_std() { format!(" -C linker={LINKER}") } else { String::new() };
    toolchain
        .cargo(workspace, "build")?
        .env("RUSTFLAGS", format!("-C target-feature=+simd128{linker}"))
        .arg("--manifest-path")
        .arg(workspace.root.join(EXAMPLE).join("Cargo.toml"))
        .run()?;
    let module = toolchain.folder(workspace)?.join(TARGET).join("release/loc_wasm.wasm");
    println!("{}: {} KB", workspace.relative(&module).display(), fs::metadata(&module)?.len() / 1000);
    Ok(module)
}

/// Trains a small model, predicts photos with `loc predict` and with the module, and compares.
fn compare(workspace: &Workspace, module: &Path) -> Result<()> {
    let loc = build_loc(workspace)?;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    let run = |args: &[&str]| Call::new(workspace, &loc).args(args).run_and_capture();
    run(&["data", "sample", &at("set"), "--n", "120"])?;
    let train = ["train", "--data", &at("set"), "--recipe", "scratch", "--epochs", "4", "--no-report"];
    let path = run(&[&train[..], &["--project", &at("runs")]].concat())?;
    let model = Path::new(path.trim()).join("weights/last.safetensors");
    let mut photos: Vec<PathBuf> = fs::read_dir(folder.path().join("set/images"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    photos.sort();
    photos.truncate(PHOTOS);

    let predict = Call::new(workspace, &loc).arg("predict").arg("-m").arg(&model).args(&photos);
    let ours = predictions(&predict.run_and_capture()?)?;
    let script = workspace.root.join(EXAMPLE).join("predict.mjs");
    let node = Call::new(workspace, "node").arg(script).arg(module).arg(&model).args(&photos);
    let theirs = predictions(&node.run_and_capture()?)?;
    let mut times: Vec<f64> = theirs.iter().filter_map(|prediction| prediction.ms).collect();
    let largest = largest_difference(&ours, &theirs)?;
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).context("the example prints its times")?;
    println!("{} photos, {median:.1} ms each, boxes within {largest:.6} pixels", theirs.len());
    ensure!(largest <= TOLERANCE, "a box differs by {largest} pixels, more than {TOLERANCE}");
    Ok(())
}

fn predictions(lines: &str) -> Result<Vec<Prediction>> {
    let parse = |line: &str| serde_json::from_str(line).with_context(|| format!("`{line}` is no prediction"));
    lines.lines().map(parse).collect()
}

/// The largest difference of an edge. The photos and classes must be the same, and the boxes not all the same.
fn largest_difference(ours: &[Prediction], theirs: &[Prediction]) -> Result<f64> {
    ensure!(ours.len() == PHOTOS && theirs.len() == PHOTOS, "{} and {} photos", ours.len(), theirs.len());
    let differ = ours.iter().any(|prediction| prediction.bbox.difference(&ours[0].bbox) > 10.0);
    ensure!(differ, "the model gives all photos the same box, so that their comparison says nothing");
    let mut largest = 0f64;
    for (a, b) in ours.iter().zip(theirs) {
        ensure!(a.path == b.path && a.name == b.name, "{} {}: {} {}", a.path, a.name, b.path, b.name);
        largest = largest.max(a.bbox.difference(&b.bbox));
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(shift: f64) -> Vec<Prediction> {
        let line = |i: usize| {
            let (x, y) = (10.0 * i as f64, 20.0 + shift);
            format!(r#"{{"path":"{i}","name":"cat","box":{{"x1":{x},"y1":{y},"x2":90,"y2":90}},"ms":2.5}}"#)
        };
        predictions(&(0..PHOTOS).map(line).collect::<Vec<_>>().join("\n")).unwrap()
    }

    #[test]
    fn boxes_are_compared_edge_by_edge_and_must_say_something() {
        assert_eq!(largest_difference(&lines(0.0), &lines(0.25)).unwrap(), 0.25);
        let mut other = lines(0.0);
        other[3].name = "dog".into();
        assert!(largest_difference(&lines(0.0), &other).is_err());
        assert!(largest_difference(&lines(0.0), &lines(0.0)[1..]).is_err());
        let mut same = lines(0.0);
        same.iter_mut().for_each(|prediction| prediction.bbox.x1 = 5.0);
        let error = largest_difference(&same, &lines(0.0)).unwrap_err().to_string();
        assert!(error.contains("the same box"), "{error}");
        assert!(predictions("no JSON").is_err());
    }
}
