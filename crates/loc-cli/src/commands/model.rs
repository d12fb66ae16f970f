//! The model argument of commands: a model file, or a run, whose best model is used. Other files are refused with their type
//! and the command that makes a model of them.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use loc_net::{METADATA_KEY, Network, Weights};
use loc_train::{ModelFile, Run};
use serde_json::Value;

/// Number of bytes that determine a file's type.
const START: u64 = 4096;
/// Longest header of a safetensors file that is examined; loc reads no longer ones.
const HEADER: u64 = 4 << 20;

/// Largest protobuf message, and so the largest ONNX file.
const PROTOBUF: u64 = i32::MAX as u64;

/// A parsed and checked model file.
pub(super) struct Model {
    pub(super) file: ModelFile,
    pub(super) network: Network,
    pub(super) weights: Weights,
    /// The second look, if there is one.
    pub(super) second: Option<(Network, Weights)>,
    /// The metadata as stored in the file.
    pub(super) json: String,
}

impl Model {
    /// Loads the file that [`locate`] returned.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let found = loc_model::weights::load(path)?;
        let at = || path.display().to_string();
        let json = found.metadata.ok_or_else(|| anyhow!("{}: {}", at(), plain(path)))?;
        let file = ModelFile::from_json(&json).with_context(at)?;
        let network = file.build().with_context(at)?;
        let (weights, second) = match file.build_second().with_context(at)? {
            None => (found.weights, None),
            Some(second) => {
                let (weights, of_second) = found.weights.split_looks(&second);
                of_second.check(&second).with_context(at)?;
                (weights, Some((second, of_second)))
            }
        };
        weights.check(&network).with_context(at)?;
        Ok(Self { file, network, weights, second, json })
    }
}

/// The model file of a path: the file itself, or the best model of a run.
///
/// # Errors
///
/// The type of another file, with a hint. A file that may be a model is accepted here and checked when it is loaded.
pub(super) fn locate(path: &Path) -> Result<PathBuf> {
    match locate_weights(path) {
        Ok(path) if matches!(OtherFile::of(&path), Some(OtherFile::Plain)) => {
            bail!("{}: {}", path.display(), plain(&path))
        }
        other => other,
    }
}

/// As [`locate`], but weights without classes and input size are accepted.
pub(super) fn locate_weights(path: &Path) -> Result<PathBuf> {
    let at = path.display();
    if path.is_dir() {
        return of_run(path);
    }
    match OtherFile::of(path) {
        Some(OtherFile::Onnx) => bail!(
            "{at}: is an ONNX file, which cannot be turned back into a model (hint: name the .safetensors file that it \
             was exported from; `loc info` reads ONNX, and `loc predict` runs it in a build with the feature `onnx`)"
        ),
        Some(OtherFile::PyTorch) => bail!("{at}: {}", pytorch(path)),
        Some(OtherFile::State) => bail!(
            "{at}: is the saved state of a run, not a model (hint: the model is last.safetensors in the same folder; `loc \
             train --resume` continues the run)"
        ),
        Some(OtherFile::Zip) => bail!("{at}: is a ZIP archive where a model is needed (hint: unpack it)"),
        Some(OtherFile::Other(what)) => {
            bail!("{at}: is {what} where a model is needed (hint: name a .safetensors file of loc, or a run)")
        }
        Some(OtherFile::Plain) | None => Ok(path.to_owned()),
    }
}

/// Refuses files that are known not to be importable.
pub(super) fn check_importable(path: &Path) -> Result<()> {
    let what = match OtherFile::of(path) {
        Some(OtherFile::Onnx) => "an ONNX file, which cannot be imported",
        Some(OtherFile::State) => "the saved state of a run, not a model",
        Some(OtherFile::Other(what)) => what,
        _ => return Ok(()),
    };
    bail!("{}: is {what} (hint: PyTorch's .pth and .safetensors files can be imported)", path.display())
}

/// Refuses files that are known not to be weights of a backbone.
pub(super) fn check_backbone(path: &Path) -> Result<()> {
    let at = path.display();
    match OtherFile::of(path) {
        Some(OtherFile::PyTorch) => bail!(
            "{at}: is a PyTorch file (hint: `loc weights add {at}` converts it to the cache, where it is found \
             without --backbone-weights)"
        ),
        Some(OtherFile::Onnx | OtherFile::State | OtherFile::Other(_)) => {
            bail!("{at}: contains no weights of a backbone (hint: `loc weights list` shows the known ones)")
        }
        _ => Ok(()),
    }
}

fn of_run(path: &Path) -> Result<PathBuf> {
    let at = path.display();
    match Run::open(path) {
        Ok(run) if run.best().is_file() => Ok(run.best()),
        Ok(run) if run.last().is_file() => bail!(
            "{at}: no epoch of this run is finished, so it has no best model (hint: {} is its last one)",
            run.last().display()
        ),
        Ok(_) => bail!("{at}: this run has no model yet (hint: `loc train --resume {at}` continues it)"),
        Err(_) => {
            let hint = match Run::containing(path) {
                Ok(run) => format!("name the run, {}, or a file in {at}", run.path().display()),
                Err(_) => "name a file MODEL.safetensors, or a run such as runs/train/exp".into(),
            };
            bail!("{at}: is a folder where a file is needed, and not a run folder (hint: {hint})")
        }
    }
}

fn pytorch(path: &Path) -> String {
    format!(
        "is a PyTorch file, not a loc model (hint: convert it: `loc import {} -o {} --classes A,B,…`)",
        path.display(),
        path.with_extension("safetensors").display()
    )
}

fn plain(path: &Path) -> String {
    format!(
        "is plain weights, without class names and input size (hint: convert them: `loc import {} -o \
         model.safetensors --classes A,B,…`)",
        path.display()
    )
}

/// The type of a file that is not a model of loc.
enum OtherFile {
    Onnx,
    PyTorch,
    /// Safetensors without loc's metadata.
    Plain,
    /// The saved state of a run.
    State,
    /// A ZIP archive, such as a wheel.
    Zip,
    Other(&'static str),
}

impl OtherFile {
    /// Detects the type by content; `None` if the file may be a model, or cannot be read.
    fn of(path: &Path) -> Option<Self> {
        if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return None;
        }
        let mut file = fs_err::File::open(path).ok()?;
        let mut start = Vec::new();
        file.by_ref().take(START).read_to_end(&mut start).ok()?;
        let starts = |with: &[u8]| start.starts_with(with);
        let holds = |what: &[u8]| start.windows(what.len()).any(|window| window == what);
        let ending = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
        if starts(b"PK\x03\x04") {
            let pytorch = holds(b"data.pkl") || ["pth", "pt", "ckpt", "bin"].iter().any(|e| ending(e));
            return Some(if pytorch { Self::PyTorch } else { Self::Zip });
        }
        if matches!(*start, [0x80, 2..=5, ..]) {
            return Some(Self::PyTorch);
        }
        if starts(b"\x89HDF\r\n\x1a\n") {
            return Some(Self::Other("an HDF5 file, as Keras writes them,"));
        }
        if start.get(4..8) == Some(b"TFL3") {
            return Some(Self::Other("a TensorFlow Lite file"));
        }
        if starts(b"GGUF") {
            return Some(Self::Other("a GGUF file"));
        }
        if image::guess_format(&start).is_ok() {
            return Some(Self::Other("a photo"));
        }
        if start.get(8) == Some(&b'{') {
            return Self::of_safetensors(&start, file);
        }
        let onnx = (ending("onnx") || starts(&[8])) && file.metadata().is_ok_and(|m| m.len() <= PROTOBUF);
        let summary = || loc_model::export::summary(&fs_err::read(path).ok()?).ok();
        (onnx && summary().is_some()).then_some(Self::Onnx)
    }

    fn of_safetensors(start: &[u8], file: impl Read) -> Option<Self> {
        let length = u64::from_le_bytes(*start.first_chunk()?);
        let mut header = start.get(8..)?.to_vec();
        if length > HEADER {
            return None;
        }
        file.take(length.saturating_sub(header.len() as u64)).read_to_end(&mut header).ok()?;
        header.truncate(usize::try_from(length).ok()?);
        let header: Value = serde_json::from_slice(&header).ok()?;
        let Some(json) = header["__metadata__"][METADATA_KEY].as_str() else { return Some(Self::Plain) };
        let json: Value = serde_json::from_str(json).ok()?;
        json.get("saved").map(|_| Self::State)
    }
}
