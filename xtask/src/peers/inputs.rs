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
    /// Writes the photos and the models that all sides run: the tutorial's network, trained for one epoch, and Lite0.
    pub(super) fn prepare(&self) -> Result<()> {
        Call::new(self.workspace, &self.peer).arg("prepare").arg(&self.dir).arg(&self.data).run()?;
        let large = self
            .python
            .script("large.py", &["photo.jpg", "photo-12mp.jpg"].map(|name| self.dir.join(name).into()));
        Call::new(self.workspace, &large[0]).args(&large[1..]).run()?;
        self.train("model", "1").run()?;
        fs::copy(self.dir.join("runs/model/weights/last.safetensors"), self.dir.join("model.safetensors"))?;
        for model in ["model", "lite0"] {
            let path = self.dir.join(model);
            Call::new(self.workspace, &self.loc)
                .args(["export", "-m"])
                .arg(path.with_extension("safetensors"))
                .args(["--format", "onnx", "-o"])
                .arg(path.with_extension("onnx"))
                .run_and_capture()?;
        }
        Call::new(self.workspace, &self.peer).arg("expect").arg(&self.dir).run()
    }

    /// A training run like the tutorial's: with its recipe, with a checkpoint in each epoch and all records.
    pub(super) fn train(&self, name: &str, epochs: &str) -> Call {
        let _ = fs::remove_dir_all(self.dir.join("runs").join(name));
        Call::new(self.workspace, &self.loc)
            .args(["train", "--recipe", "tutorial", "--threads", "2", "--workers", "2", "--epochs", epochs])
            .arg("--data")
            .arg(&self.data)
            .arg("--split-file")
            .arg(self.dir.join("split.csv"))
            .arg("--project")
            .arg(self.dir.join("runs"))
            .args(["--name", name])
            .output(&self.dir.join("train.log"))
    }
}
