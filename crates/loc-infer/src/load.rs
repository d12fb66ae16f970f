//! Loading a model: detects the type of the file, and builds the engine that runs it.

use std::io::Read;
use std::path::Path;

#[cfg(feature = "native")]
use crate::MetadataError;
use crate::error::start_of;
use crate::{Error, Localizer, NotAModelError, file};

/// Largest model file that is read: 4 GiB.
const MAX_BYTES: u64 = 4 << 30;

/// Number of bytes that determine the type of a file.
const HEAD_BYTES: u64 = 16;

/// The extension of the ONNX file of a second look, beside that of the first, which ends in `.onnx`.
pub const SECOND_LOOK_EXTENSION: &str = "look2.onnx";

/// Options for loading a model.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Load a model even if some of its weights are infinite or NaN. A photo whose prediction is then not finite is an
    /// error.
    pub allow_nonfinite: bool,
    /// Compute the novelty of each photo; the model must have been calibrated for it.
    pub novelty: bool,
    /// Number of threads of the localizer, including the calling one; 0 for rayon's current pool. See
    /// [`LoadOptions::threads`].
    pub threads: usize,
    /// The threshold of presence in place of the model's own ([`Localizer::with_presence_threshold`]).
    pub presence: Option<f32>,
}

impl LoadOptions {
    /// Sets whether non-finite weights are allowed.
    #[must_use]
    pub fn allow_nonfinite(mut self, allow: bool) -> Self {
        self.allow_nonfinite = allow;
        self
    }

    /// Sets the threshold of presence, 0..=1.
    #[must_use]
    pub fn presence(mut self, threshold: f32) -> Self {
        self.presence = Some(threshold);
        self
    }

    /// Sets whether the novelty of each photo is computed: [`Localization::novelty`](crate::Localization::novelty).
    #[must_use]
    pub fn novelty(mut self, novelty: bool) -> Self {
        self.novelty = novelty;
        self
    }

    /// Sets the number of threads.
    ///
    /// The calling thread always computes. `n - 1` further threads, named `loc-…`, help all callers of this localizer,
    /// do nothing else, and end with it. With 1 everything runs on the calling thread and no pool is used: for programs
    /// whose own threads fill the cores. With 0, the default, rayon's current pool helps: that of the calling thread,
    /// or else the global one.
    ///
    /// The results are the same, bit for bit. Engines with their own threads (`onnx`, yours) keep using them.
    #[must_use]
    pub fn threads(mut self, n: usize) -> Self {
        self.threads = n;
        self
    }
}

/// The type of a file, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileType {
    /// An eight-byte length, then JSON.
    Safetensors,
    /// A protobuf message whose first field is the version number.
    Onnx,
    /// A zip archive or a bare pickle, as `torch.save` writes.
    PyTorch,
    Other,
}

impl FileType {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [_, _, _, _, _, _, _, _, b'{', ..] => Self::Safetensors,
            [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..] => Self::PyTorch,
            // Field 1 as varint; versions are small numbers, and a field follows.
            [0x08, 1..=0x20, tag, ..] if tag & 7 <= 2 => Self::Onnx,
            _ => Self::Other,
        }
    }
}

impl Localizer {
    /// Loads a model: loc's `.safetensors` with the engine `native`, or an exported ONNX file with the engine `onnx`,
    /// if the feature is enabled. The type is detected from the content. The second look of an ONNX model is in a second
    /// file beside it ([`SECOND_LOOK_EXTENSION`]).
    ///
    /// # Errors
    ///
    /// [`Error::At`] with the path: the file cannot be read, is not a model, needs a newer loc or an engine that this
    /// build lacks, or its parts (classes, input, network, weights) do not fit together.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::load_with(path, &LoadOptions::default())
    }

    /// As [`Localizer::load`], with options.
    ///
    /// # Errors
    ///
    /// As [`Localizer::load`].
    pub fn load_with(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let (mut file, length) = file::open(path, MAX_BYTES)?;
        let read = || {
            let mut start = Vec::new();
            file.by_ref().take(HEAD_BYTES).read_to_end(&mut start).map_err(Error::Read)?;
            match FileType::of(&start) {
                // The header gives the length of the file; a file with another length is not read further.
                FileType::Safetensors => native(start.chain(file), length, options),
                FileType::Onnx => {
                    let first = file::read_rest(start, file, length, MAX_BYTES)?;
                    onnx(&first, Some(&path.with_extension(SECOND_LOOK_EXTENSION)), options)
                }
                _ => parse(&file::read_rest(start, file, length, MAX_BYTES)?, options),
            }
        };
        read().and_then(|localizer| with_threshold(localizer, options)).map_err(|error| error.at(path))
    }

    /// Loads a model from the content of its file, as [`Localizer::load`] does.
    ///
    /// # Errors
    ///
    /// As [`Localizer::load`], without a path.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_bytes_with(bytes, &LoadOptions::default())
    }

    /// As [`Localizer::from_bytes`], with options.
    ///
    /// # Errors
    ///
    /// As [`Localizer::load`], without a path.
    pub fn from_bytes_with(bytes: &[u8], options: &LoadOptions) -> Result<Self, Error> {
        with_threshold(parse(bytes, options)?, options)
    }

    /// Loads loc's `.safetensors` with the engine `candle` on a device, for CUDA.
    ///
    /// # Errors
    ///
    /// As [`Localizer::load`]; [`Error::Engine`] if the device fails.
    #[cfg(feature = "candle")]
    pub fn load_candle(path: impl AsRef<Path>, device: &candle_core::Device) -> Result<Self, Error> {
        let path = path.as_ref();
        let read = || {
            let (meta, engines) =
                crate::engine::candle::Candle::read(&file::read_file(path, MAX_BYTES)?, device)?;
            Self::with_engines(meta, engines.into_iter().map(|engine| Box::new(engine) as _).collect())
        };
        read().map_err(|error| error.at(path))
    }
}

fn with_threshold(localizer: Localizer, options: &LoadOptions) -> Result<Localizer, Error> {
    match options.presence {
        Some(threshold) => localizer.with_presence_threshold(threshold),
        None => Ok(localizer),
    }
}

fn parse(bytes: &[u8], options: &LoadOptions) -> Result<Localizer, Error> {
    match FileType::of(bytes) {
        FileType::Safetensors => native(bytes, bytes.len() as u64, options),
        FileType::Onnx => onnx(bytes, None, options),
        FileType::PyTorch => Err(Error::NotAModel(NotAModelError::PyTorch)),
        // Too short for a header: the error of the safetensors reader contains the length.
        FileType::Other if bytes.len() < 9 => native(bytes, bytes.len() as u64, options),
        FileType::Other => Err(Error::NotAModel(NotAModelError::Unknown { start: start_of(bytes) })),
    }
}

#[cfg(feature = "native")]
fn native(source: impl Read, length: u64, options: &LoadOptions) -> Result<Localizer, Error> {
    use crate::engine::native::{ModelFile, Native};
    use crate::parallel::build_threads;
    let ModelFile { meta, looks } = ModelFile::read(source, length)?;
    let threads = build_threads(options.threads)?;
    if options.novelty {
        let model = meta.novelty.as_ref().ok_or(Error::NoNovelty)?;
        let network = looks.first().map(|(network, _)| network.class_feature_count());
        if network != Some(model.features) {
            return Err(Error::Metadata(MetadataError::Novelty));
        }
    }
    let engine = |(look, (network, weights))| -> Result<Box<dyn crate::Engine>, Error> {
        let native = match options.allow_nonfinite {
            true => Native::with_nonfinite(network, weights)?,
            false => Native::new(network, weights)?,
        };
        // The first look sees the whole photo.
        Ok(Box::new(if options.novelty && look == 0 { native.with_features()? } else { native }))
    };
    let engines = threads.run(|| looks.into_iter().enumerate().map(engine).collect::<Result<_, _>>())?;
    Localizer::with_thread_pool(meta, engines, threads)
}

#[cfg(not(feature = "native"))]
fn native(_source: impl Read, _length: u64, _options: &LoadOptions) -> Result<Localizer, Error> {
    Err(Error::NoEngine {
        what: "a .safetensors model",
        hint: "build it with the feature `native`, or give `Localizer::with_engine` an engine of your own",
    })
}

#[cfg(feature = "onnx")]
fn onnx(bytes: &[u8], second: Option<&Path>, options: &LoadOptions) -> Result<Localizer, Error> {
    use crate::engine::onnx::Onnx;
    let (meta, engine) = Onnx::read_with(bytes, options)?;
    if options.novelty {
        return Err(Error::NoNovelty);
    }
    let mut engines: Vec<Box<dyn crate::Engine>> = vec![Box::new(engine)];
    if let (Some(look), Some(path)) = (meta.second_look, second) {
        let read = || {
            let (second, engine) = Onnx::read_with(&file::read_file(path, MAX_BYTES)?, options)?;
            let (expected, found) = (look.input(&meta.input), second.input);
            if expected != found || second.classes != meta.classes {
                return Err(Error::Metadata(crate::MetadataError::OtherSecondLook));
            }
            Ok(engine)
        };
        engines.push(Box::new(read().map_err(|error| error.at(path))?));
    }
    Localizer::with_engines(meta, engines)?.with_threads(options.threads)
}

#[cfg(not(feature = "onnx"))]
fn onnx(_bytes: &[u8], _second: Option<&Path>, _options: &LoadOptions) -> Result<Localizer, Error> {
    Err(Error::NoEngine {
        what: "an ONNX model",
        hint: "build it with the feature `onnx`, which needs `protoc`; or use the .safetensors it was exported from",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_types_are_detected_by_content() {
        for (bytes, kind) in [
            (&b"\x40\0\0\0\0\0\0\0{\"a\":{}}"[..], FileType::Safetensors),
            (b"\x08\x08\0\0\0\0\0\0{\"a\":{}}", FileType::Safetensors),
            (b"\x08\x07\x12\x03loc", FileType::Onnx),
            (b"\x08\x08:\xb6", FileType::Onnx),
            (b"PK\x03\x04", FileType::PyTorch),
            (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", FileType::PyTorch),
            (b"<html><body>", FileType::Other),
            (b"", FileType::Other),
        ] {
            assert_eq!(FileType::of(bytes), kind, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn other_files_are_refused() {
        for (bytes, expected) in [
            (&b"PK\x03\x04 and so on"[..], "PyTorch's own format"),
            (b"<html><body>not found", "starts with \"<html><body>not found\""),
            #[cfg(not(feature = "onnx"))]
            (b"\x08\x07\x12\x03loc", "feature `onnx`"),
            #[cfg(feature = "native")]
            (b"short", "not a safetensors file"),
            #[cfg(feature = "native")]
            (b"", "not a safetensors file"),
            #[cfg(not(feature = "native"))]
            (b"\x40\0\0\0\0\0\0\0{\"a\":{}}", "feature `native`"),
        ] {
            let message = Localizer::from_bytes(bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{}: {message}", bytes.escape_ascii());
        }
    }
}
