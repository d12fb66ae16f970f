//! The inputs of the comparison: photos, and the models that all sides run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;

use super::Bench;
use crate::command::Call;
use crate::dataset;
use crate::workspace::Workspace;

/// The number of photos to generate.
const PHOTOS: &str = "1200";

/// Returns the folder of photos: that of `--data`, else the tutorial's if available, else generated photos.
pub(super) fn data(workspace: &Workspace, given: Option<&Path>, dir: &Path, loc: &Path) -> Result<PathBuf> {
    if let Some(data) = given {
        return Ok(fs::canonicalize(data)?);
    }
    let archive = workspace.shared().join("datasets/cats-dogs.tar.gz");
    let unpacked = workspace.data().join("cats-dogs");
    if unpacked.exists() || archive.exists() {
        let archive = (!unpacked.exists()).then_some(archive);
        return dataset::fetch(workspace, "cats-dogs", &dataset::Source::new(archive, None));
    }
    let generated = dir.join("shapes");
    if !generated.exists() {
        Call::new(workspace, loc).args(["data", "sample"]).arg(&generated).args(["--n", PHOTOS]).run()?;
    }
    Ok(generated)
}

impl Bench<'_> {
    /// Writes the photos, and trains the models that all sides run for one epoch: the tutorial's network, and Lite0 from random
    /// weights, since only its speed counts.
    pub(super) fn prepare(&self) -> Result<()> {
        Call::new(self.workspace, &self.peer).arg("prepare").arg(&self.dir).arg(&self.data).run()?;
        let large = self
            .python
            .script("large.py", &["photo.jpg", "photo-12mp.jpg"].map(|name| self.dir.join(name).into()));
        Call::new(self.workspace, &large[0]).args(&large[1..]).run()?;
        self.train("model", "1").run()?;
        self.export("model")?;
        let few = self.dir.join("few");
        if !few.exists() {
            Call::new(self.workspace, &self.loc)
                .args(["data", "sample"])
                .arg(&few)
                .args(["--n", "64"])
                .run()?;
        }
        let recipe =
            ["--recipe", "scratch", "--set", "backbone=lite0", "--set", "head=edges", "--imgsz", "224"];
        let lite0 = self.run_of("lite0").args(recipe).args(["--epochs", "1", "--threads", "2", "--data"]);
        lite0.arg(few).run()?;
        self.export("lite0")?;
        Call::new(self.workspace, &self.peer).arg("expect").arg(&self.dir).run()
    }

    /// Copies the last model of a run, and exports it.
    fn export(&self, name: &str) -> Result<()> {
        let model = self.dir.join("runs").join(name).join("weights/last.safetensors");
        fs::copy(&model, self.dir.join(name).with_extension("safetensors"))?;
        Call::new(self.workspace, &self.loc)
            .args(["export", "-m"])
            .arg(&model)
            .args(["--format", "onnx", "-o"])
            .arg(self.dir.join(name).with_extension("onnx"))
            .run_and_capture()?;
        Ok(())
    }

    /// A training run with this name, which does not exist yet.
    fn run_of(&self, name: &str) -> Call {
        let _ = fs::remove_dir_all(self.dir.join("runs").join(name));
        Call::new(self.workspace, &self.loc)
            .args(["train", "--name", name, "--project"])
            .arg(self.dir.join("runs"))
            .output(&self.dir.join("train.log"))
    }

    /// A training run like the tutorial's: with its recipe, with a checkpoint in each epoch and all records.
    pub(super) fn train(&self, name: &str, epochs: &str) -> Call {
        self.run_of(name)
            .args(["--recipe", "tutorial", "--threads", "2", "--workers", "2", "--epochs", epochs])
            .arg("--data")
            .arg(&self.data)
            .arg("--split-file")
            .arg(self.dir.join("split.csv"))
    }
}
