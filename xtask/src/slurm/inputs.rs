//! The inputs of the check: photos as files and in tar archives, a list of them, and two models.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;

use crate::command::Call;
use crate::workspace::Workspace;

/// Photos in all, a hundred of them in each archive.
pub(super) const PHOTOS: usize = 600;
const ARCHIVES: usize = 3;
const IN_ARCHIVE: usize = 100;

pub(super) struct Inputs<'a> {
    folder: &'a Path,
}

impl<'a> Inputs<'a> {
    /// Makes `photos/` with `list.txt`, `m.safetensors` and `other.safetensors` in the folder.
    pub(super) fn make(workspace: &Workspace, loc: &Path, folder: &'a Path) -> Result<Self> {
        let inputs = Self { folder };
        let run = |args: &[&str]| Call::new(workspace, loc).args(args).run_and_capture();
        run(&["data", "sample", &inputs.at("photos"), "--n", &PHOTOS.to_string()])?;
        let images = folder.join("photos/images");
        let mut names: Vec<PathBuf> =
            fs::read_dir(&images)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        names.sort();
        let mut lines: Vec<String> = Vec::new();
        let single = PHOTOS - ARCHIVES * IN_ARCHIVE;
        for name in &names[..single] {
            lines.push(name.strip_prefix(folder.join("photos"))?.to_string_lossy().into_owned());
        }
        for (number, photos) in names[single..].chunks(IN_ARCHIVE).enumerate() {
            let name = format!("{number}.tar");
            let mut archive = tar::Builder::new(fs::File::create(folder.join("photos").join(&name))?);
            for photo in photos {
                archive.append_path_with_name(photo, photo.file_name().unwrap_or_default())?;
                fs::remove_file(photo)?;
            }
            archive.finish()?;
            // Between the photos, so that several shards have one.
            lines.insert(single / ARCHIVES * (number + 1), name);
        }
        fs::write(inputs.at("photos/list.txt"), lines.join("\n"))?;
        for (model, seed) in [("m", "0"), ("other", "1")] {
            run(&["data", "sample", &inputs.at(&format!("set-{model}")), "--n", "16", "--seed", seed])?;
            let data = inputs.at(&format!("set-{model}"));
            let args = ["train", "--data", &data, "--recipe", "scratch", "--epochs", "1", "--name", model];
            let path = run(&[&args[..], &["--project", &inputs.at("runs")]].concat())?;
            let weights = Path::new(path.trim()).join("weights/last.safetensors");
            fs::copy(weights, inputs.at(model) + ".safetensors")?;
        }
        Ok(inputs)
    }

    /// A path in the folder.
    pub(super) fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}
