//! `cargo xtask pipeline`: from annotated photos to predictions on validation photos, with the commands of a user.
//!
//! Data → check → image of samples → train → validate → predict → export; then a table that compares the results with
//! the constant answer. The error of a failed stage names the stage and its command.

mod expect;
mod results;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use fs_err as fs;
use serde::Deserialize;

use self::expect::Expectation;
pub(crate) use self::expect::{ExpectedResult, expected_results};
use self::results::Validation;
use crate::command::Call;
use crate::dataset;
use crate::test::workspace_features;
use crate::workspace::{Workspace, protoc};

/// The flags of `cargo xtask pipeline`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  cargo xtask pipeline\n  cargo xtask pipeline --dataset cats-dogs\n  \
                        cargo xtask pipeline --dataset ~/my-photos --epochs 50\n\n\
                        It runs in the repository's root: the data set is in data/NAME, the run in runs/train.")]
pub(crate) struct Options {
    /// The generated data set `shapes`, a name from `cargo xtask dataset list`, or your own folder
    #[arg(long, default_value = "shapes", value_name = "NAME|DIR")]
    dataset: String,
    /// Read the named data set from this .tar.gz instead of downloading it
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// Two epochs; the recipe's expected results are reported, not enforced
    #[arg(long, conflicts_with = "epochs")]
    quick: bool,
    /// A built-in recipe or a .toml file
    #[arg(long, default_value = "scratch", value_name = "NAME|FILE")]
    recipe: String,
    /// Number of epochs instead of the recipe's; the recipe's expected results are then reported, not enforced
    #[arg(long)]
    epochs: Option<u32>,
    /// Seed of the split, the initial weights and the order of photos
    #[arg(long)]
    seed: Option<u64>,
}

impl Options {
    /// The options with only `--quick`.
    pub(crate) fn quick() -> Self {
        Self { quick: true, ..Self::for_recipe("scratch".into(), "shapes".into(), None) }
    }

    /// The options for an unchanged recipe on a data set of data/datasets.toml or `shapes`.
    pub(crate) fn for_recipe(recipe: String, dataset: String, archive: Option<PathBuf>) -> Self {
        Self { dataset, archive, quick: false, recipe, epochs: None, seed: None }
    }
}

/// Builds `loc` and runs the pipeline with it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let loc = stage("build", || build_loc(workspace))?;
    Pipeline { workspace, options, loc: &loc }.run()
}

struct Pipeline<'a> {
    workspace: &'a Workspace,
    options: &'a Options,
    loc: &'a Path,
}

/// Name and path of a data set, and the split file if loc does not make the split itself.
struct Data {
    name: String,
    path: PathBuf,
    split: Option<PathBuf>,
}

impl Pipeline<'_> {
    fn run(&self) -> Result<()> {
        let expectation = stage("recipe", || Expectation::of_recipe(self.workspace, &self.options.recipe))?;
        let data = stage("data", || self.data())?;
        let picture = self.workspace.data().join(format!("{}-mosaic.jpg", data.name));
        // Exit code 4 means errors in the data; `loc train` decides whether too many photos are invalid.
        stage("check", || self.loc(["data", "check"]).arg(&data.path).accept(4).run())?;
        // The pipeline owns this image, so it may be overwritten even if another version of loc wrote it.
        let show = || self.loc(["data", "show"]).arg(&data.path).arg("-o").arg(&picture);
        stage("picture", || show().arg("--force").run())?;
        let run = stage("train", || self.train(&data))?;
        let model = run.join("weights/last.safetensors");
        let validation = stage("validate", || self.validate(&data, &run, &model))?;
        let drawings = run.join("samples");
        stage("predict", || self.predict(&data, &run, &model, &drawings, validation.samples))?;
        let onnx = run.join("weights/last.onnx");
        stage("export", || {
            let export = self.loc(["export", "-m"]).arg(&model);
            export.args(["--format", "onnx", "-o"]).arg(&onnx).arg("--check").run()
        })?;

        println!("\n{} on {}, {} validation photos", self.options.recipe, data.name, validation.samples);
        print!("{}", validation.table());
        let missed = expectation.report(&data.name, &validation);
        println!("photos with their boxes  {}", self.shown(&picture));
        println!("predictions, drawn       {}", self.shown(&drawings));
        println!("model                    {}, {}", self.shown(&model), self.shown(&onnx));
        println!("run folder               {}", self.shown(&run));
        if self.options.quick || self.options.epochs.is_some() {
            return Ok(());
        }
        ensure!(
            missed.is_empty(),
            "stage `results`: recipe {} misses its expected results on {}: {}",
            self.options.recipe,
            data.name,
            missed.join(", ")
        );
        Ok(())
    }

    /// Finds, generates or downloads the data.
    fn data(&self) -> Result<Data> {
        let name = self.options.dataset.as_str();
        let folder = self.workspace.data().join(name);
        if name == "shapes" {
            ensure!(
                self.options.archive.is_none(),
                "`shapes` is generated, not unpacked: --archive does not apply"
            );
            if folder.exists() {
                eprintln!("{} already exists", self.shown(&folder));
            } else {
                self.loc(["data", "sample"]).arg(&folder).run()?;
            }
            return Ok(Data { name: name.to_owned(), path: folder, split: None });
        }
        let sets = dataset::registry(self.workspace)?;
        if sets.contains_key(name) {
            let source = dataset::Source::new(self.options.archive.clone(), None);
            let path = dataset::fetch(self.workspace, name, &source)?;
            return Ok(Data { name: name.to_owned(), path, split: self.known_split(name) });
        }
        ensure!(
            self.options.archive.is_none(),
            "--archive is only for data sets of data/datasets.toml; `{name}` is not one"
        );
        let path = std::path::absolute(name)?;
        if !path.exists() {
            let known: Vec<&str> = sets.keys().map(String::as_str).collect();
            bail!("`{name}` is neither a folder nor a known set (hint: shapes, {})", known.join(", "));
        }
        let name =
            path.file_stem().map_or_else(|| "data".to_owned(), |stem| stem.to_string_lossy().into_owned());
        Ok(Data { name, path, split: None })
    }

    /// The split that the published results of a data set used, if the shared files exist.
    fn known_split(&self, name: &str) -> Option<PathBuf> {
        let path = self.workspace.shared().join(format!("splits/{name}-seed43.csv"));
        if path.exists() {
            eprintln!("split: the published one, {}", path.display());
            Some(path)
        } else {
            eprintln!("split: made by loc, because {} does not exist", path.display());
            None
        }
    }

    /// Trains; returns the run folder, which `loc train` prints as its last line.
    fn train(&self, data: &Data) -> Result<PathBuf> {
        let mut train =
            self.loc(["train", "--data"]).arg(&data.path).args(["--recipe", &self.options.recipe]);
        if let Some(split) = &data.split {
            train = train.arg("--split-file").arg(split);
        }
        if let Some(epochs) = if self.options.quick { Some(2) } else { self.options.epochs } {
            train = train.args(["--epochs", &epochs.to_string()]);
        }
        if let Some(seed) = self.options.seed {
            train = train.args(["--seed", &seed.to_string()]);
        }
        let printed = train.run_and_capture()?;
        let last = printed.lines().last().context("`loc train` printed no run folder")?;
        let run = self.workspace.root.join(last.trim());
        ensure!(run.is_dir(), "`loc train` printed `{last}`, which is not a folder");
        Ok(run)
    }

    fn validate(&self, data: &Data, run: &Path, model: &Path) -> Result<Validation> {
        let val = self.loc(["val", "-m"]).arg(model).arg("--data").arg(&data.path);
        let printed = val
            .arg("--split-file")
            .arg(run.join("split.csv"))
            .args(["--format", "json"])
            .run_and_capture()?;
        Validation::parse(&printed)
    }

    /// Predicts all photos of the validation split: reads a list of paths, writes one record and one drawing per photo.
    fn predict(&self, data: &Data, run: &Path, model: &Path, drawings: &Path, samples: usize) -> Result<()> {
        let photos = validation_photos(&data.path, &run.join("split.csv"))?;
        ensure!(photos.len() == samples, "split.csv names {} photos, `loc val` used {samples}", photos.len());
        let list = run.join("val.txt");
        let lines: Vec<String> = photos.iter().map(|path| self.shown(path) + "\n").collect();
        fs::write(&list, lines.concat())?;
        let records = run.join("val.jsonl");
        let predict = self.loc(["predict", "-m"]).arg(model).arg("-").args(["--format", "jsonl", "--save"]);
        predict.arg(drawings).input(&list).output(&records).run()?;
        let records = fs::read_to_string(&records)?.lines().count();
        ensure!(records == samples, "{records} predictions for {samples} photos");
        let drawn = fs::read_dir(drawings)?.count();
        ensure!(drawn >= samples, "{drawn} drawings for {samples} photos");
        Ok(())
    }

    fn loc<const N: usize>(&self, args: [&str; N]) -> Call {
        Call::new(self.workspace, self.loc).args(args)
    }

    fn shown(&self, path: &Path) -> String {
        self.workspace.relative(path).display().to_string()
    }
}

/// Runs one stage; an error names it.
fn stage<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("\n-- {name}");
    run().with_context(|| format!("stage `{name}` of the pipeline"))
}

/// The validation photos of `split.csv` (`filename,split`), as files in the data folder.
fn validation_photos(data: &Path, split: &Path) -> Result<Vec<PathBuf>> {
    let folder = if data.is_dir() { data } else { data.parent().unwrap_or(data) };
    let mut files = Vec::new();
    add_files(folder, &mut files)?;
    let text = fs::read_to_string(split)?;
    let names = text.lines().skip(1).filter_map(|line| line.strip_suffix(",val"));
    let find = |name: &str| {
        let name = name.trim_matches('"');
        let file = files.iter().find(|path| path.ends_with(name));
        file.cloned()
            .with_context(|| format!("{}: `{name}` is not under {}", split.display(), folder.display()))
    };
    names.map(find).collect()
}

fn add_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            add_files(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Builds the release binary with ONNX (for `export --check`), and returns its path, which cargo reports.
///
/// The features are those of the workspace's tests, so that the two commands of the README build Candle only once.
pub(crate) fn build_loc(workspace: &Workspace) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let build = Call::cargo(workspace).env("PROTOC", protoc()?).args(["build", "--release", "--workspace"]);
    let messages = build
        .args(["--bin", "loc"])
        .args(workspace_features(&workspace.metadata()?))
        .args(["--message-format", "json-render-diagnostics"])
        .run_and_capture()?;
    for line in messages.lines() {
        let message: Message = serde_json::from_str(line).context("reading the output of cargo")?;
        if let Some(path) = message.executable {
            return Ok(path);
        }
    }
    bail!("cargo built no binary for loc-cli")
}
