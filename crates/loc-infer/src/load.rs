//! From a model file to the engine that runs it: which kind of file it is, and what to say of every other kind.

use std::io::Read;
use std::path::Path;

use crate::error::{Remedy, start_of};
use crate::{Error, Localizer, file};

/// Largest model file that is read: 4 GiB.
const LIMIT: u64 = 4 << 30;

/// Bytes that tell the kinds of files apart.
const START: u64 = 16;

/// Rules for loading a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Load a model although some of its weights are infinite or no number. A photo whose answer comes out no number
    /// is then an error of its own.
    pub allow_nonfinite: bool,
    /// How many threads the localizer has for itself, the caller's own one of them; 0 for rayon's current pool. See
    /// [`LoadOptions::threads`].
    pub threads: usize,
}

impl LoadOptions {
    /// The same with non-finite weights allowed or refused.
    #[must_use]
    pub fn allow_nonfinite(mut self, allow: bool) -> Self {
        self.allow_nonfinite = allow;
        self
    }

    /// The same with threads of the localizer's own.
    ///
    /// The calling thread always computes; `n - 1` threads with names that begin with `loc-` help it, or whoever else
    /// shares the localizer, serve nothing else, and end with it. With 1 everything is done on the calling thread and no
    /// pool is touched: for a program whose callers fill the cores. With 0, the default, the threads of rayon's current
    /// pool help: that of the calling thread, else the global one.
    ///
    /// The answers are the same, bit for bit. An engine that computes on threads of its own (`onnx`, yours) goes on to do
    /// so.
    #[must_use]
    pub fn threads(mut self, n: usize) -> Self {
        self.threads = n;
        self
    }
}

/// What a file is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A length of eight bytes, then JSON.
    Safetensors,
    /// A protobuf message whose first field is the version number.
    Onnx,
    /// A zip archive or a bare pickle, as `torch.save` writes.
    PyTorch,
    Other,
}

impl Kind {
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
    /// Loads a model: loc's `.safetensors` with the engine `native`, or an exported ONNX file with the engine
    /// `onnx`, where these features are built in. Which it is, the content says.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with the path: the file cannot be read, is no model, needs a newer loc or an engine that is not
    /// built in, or its parts (classes, input, network, weights) do not fit together.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::load_with(path, &LoadOptions::default())
    }

    /// Loads a model as [`Localizer::load`] does, with other rules.
    ///
    /// # Errors
    ///
    /// As of [`Localizer::load`].
    pub fn load_with(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let (mut file, length) = file::open(path, LIMIT)?;
        let read = || {
            let mut start = Vec::new();
            file.by_ref().take(START).read_to_end(&mut start).map_err(Error::Read)?;
            match Kind::of(&start) {
                // Its header says how long it must be: nothing more is read of a file that is not.
                Kind::Safetensors => native(start.chain(file), length, options),
                _ => parse(&file::read_rest(start, file, length, LIMIT)?, options),
            }
        };
        read().map_err(|error| error.at(path))
    }

    /// Loads a model from the content of its file, as [`Localizer::load`] does.
    ///
    /// # Errors
    ///
    /// As of [`Localizer::load`], without a path.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        parse(bytes, &LoadOptions::default())
    }

    /// Loads loc's `.safetensors` with the engine `candle` on a device, for CUDA.
    ///
    /// # Errors
    ///
    /// As of [`Localizer::load`]; [`Error::Engine`] if the device fails.
    #[cfg(feature = "candle")]
    pub fn load_candle(path: impl AsRef<Path>, device: &candle_core::Device) -> Result<Self, Error> {
        let path = path.as_ref();
        let read = || {
            let (meta, engine) = crate::engine::candle::Candle::read(&file::read_file(path, LIMIT)?, device)?;
            Self::with_engine(meta, Box::new(engine))
        };
        read().map_err(|error| error.at(path))
    }
}

fn parse(bytes: &[u8], options: &LoadOptions) -> Result<Localizer, Error> {
    match Kind::of(bytes) {
        Kind::Safetensors => native(bytes, bytes.len() as u64, options),
        Kind::Onnx => onnx(bytes, options),
        Kind::PyTorch => Err(Error::NotAModel {
            reason: "looks like PyTorch's own format".into(),
            remedy: Remedy::ImportWeights,
        }),
        // Too short for a header, too: the reader of safetensors knows the numbers.
        Kind::Other if bytes.len() < 9 => native(bytes, bytes.len() as u64, options),
        Kind::Other => Err(Error::NotAModel {
            reason: format!("starts with \"{}\"", start_of(bytes)),
            remedy: Remedy::UseModelFile,
        }),
    }
}

#[cfg(feature = "native")]
fn native(source: impl Read, length: u64, options: &LoadOptions) -> Result<Localizer, Error> {
    use crate::engine::native::{ModelFile, Native};
    use crate::localizer::begin_threads;
    let ModelFile { meta, network, weights } = ModelFile::read(source, length)?;
    let threads = begin_threads(options.threads)?;
    let engine = threads.run(|| match options.allow_nonfinite {
        true => Native::with_nonfinite(network, weights),
        false => Native::new(network, weights),
    });
    Localizer::helped(meta, Box::new(engine?), threads)
}

#[cfg(not(feature = "native"))]
fn native(_source: impl Read, _length: u64, _options: &LoadOptions) -> Result<Localizer, Error> {
    Err(Error::NoEngine {
        what: "a .safetensors model",
        hint: "build it with the feature `native`, or give `Localizer::with_engine` an engine of your own",
    })
}

#[cfg(feature = "onnx")]
fn onnx(bytes: &[u8], options: &LoadOptions) -> Result<Localizer, Error> {
    let (meta, engine) = crate::engine::onnx::Onnx::read_with(bytes, options)?;
    Localizer::with_engine(meta, Box::new(engine))?.with_threads(options.threads)
}

#[cfg(not(feature = "onnx"))]
fn onnx(_bytes: &[u8], _options: &LoadOptions) -> Result<Localizer, Error> {
    Err(Error::NoEngine {
        what: "an ONNX model",
        hint: "build it with the feature `onnx`, which needs `protoc`; or use the .safetensors it was exported from",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_content() {
        for (bytes, kind) in [
            (&b"\x40\0\0\0\0\0\0\0{\"a\":{}}"[..], Kind::Safetensors),
            (b"\x08\x08\0\0\0\0\0\0{\"a\":{}}", Kind::Safetensors),
            (b"\x08\x07\x12\x03loc", Kind::Onnx),
            (b"\x08\x08:\xb6", Kind::Onnx),
            (b"PK\x03\x04", Kind::PyTorch),
            (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", Kind::PyTorch),
            (b"<html><body>", Kind::Other),
            (b"", Kind::Other),
        ] {
            assert_eq!(Kind::of(bytes), kind, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn every_other_kind_of_file_is_told_apart() {
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
