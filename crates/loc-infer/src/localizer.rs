//! [`Localizer`]: a loaded model that predicts photos, from any number of threads.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::confidence::EdgeSpread;
use crate::error::catch_panic;
use crate::parallel::{Threads, run_jobs};
use crate::postprocess::{Localization, PhotoOutput, localize};
use crate::preprocess::{self, Frame, Limits, decode, decode_path};
use crate::{Engine, Error, ModelMeta, OutputError, RawOutput};

/// Maximum number of photos in one call of the engine, and maximum size of their inputs in bytes.
const MAX_BATCH: usize = 32;
const MAX_BATCH_BYTES: usize = 64 << 20;

/// A model, ready to predict.
///
/// Any number of threads may share it. Each prediction is computed on the calling thread; idle threads help
/// (see [`LoadOptions::threads`](crate::LoadOptions::threads)); a call never waits for a busy thread.
pub struct Localizer {
    meta: ModelMeta,
    limits: Limits,
    threads: Threads,
    engine: Box<dyn Engine>,
}

/// A photo to predict, in one of three forms.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Source<'a> {
    /// A file.
    Path(&'a Path),
    /// The content of a file.
    Encoded(&'a [u8]),
    /// Upright pixels.
    Photo(&'a RgbImage),
}

/// Photos that are decoded and resized, ready for the engine.
#[derive(Default)]
struct Prepared {
    /// The frame of each photo, or its error, in order.
    frames: Vec<Result<Frame, Error>>,
    /// `[valid, height, width, 3]`: the photos without an error.
    inputs: Vec<u8>,
    valid: usize,
}

// Checks at compile time that a localizer can be shared between threads.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Localizer>();
};

impl Localizer {
    /// A localizer with any engine; `meta` describes the classes and the input of the engine's network.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] if the metadata is not in its ranges.
    pub fn with_engine(meta: ModelMeta, engine: Box<dyn Engine>) -> Result<Self, Error> {
        Self::with_thread_pool(meta, engine, Threads::current())
    }

    pub(crate) fn with_thread_pool(
        meta: ModelMeta,
        engine: Box<dyn Engine>,
        threads: Threads,
    ) -> Result<Self, Error> {
        meta.check()?;
        Ok(Self { meta, limits: Limits::default(), threads, engine })
    }

    /// The same localizer with other limits for the photos it decodes.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same localizer with `n` threads of its own for decoding batches, as with
    /// [`LoadOptions::threads`](crate::LoadOptions::threads); for custom engines. The engine is called on the calling
    /// thread, and may use others.
    ///
    /// # Errors
    ///
    /// [`Error::Threads`] if the system cannot start them.
    pub fn with_threads(mut self, n: usize) -> Result<Self, Error> {
        self.threads = build_threads(n)?;
        Ok(self)
    }

    /// The model's classes and input.
    #[must_use]
    pub fn meta(&self) -> &ModelMeta {
        &self.meta
    }

    /// Decodes a file and predicts.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with the path for errors of the photo; errors of the engine without it.
    pub fn predict_path(&self, path: impl AsRef<Path>) -> Result<Localization, Error> {
        self.decode_and_predict(|| decode_path(path, &self.limits))
    }

    /// Decodes a file's content and predicts.
    ///
    /// # Errors
    ///
    /// As of [`decode`] and [`Localizer::predict`].
    pub fn predict_encoded(&self, bytes: &[u8]) -> Result<Localization, Error> {
        self.decode_and_predict(|| decode(bytes, &self.limits))
    }

    fn decode_and_predict(
        &self,
        decode: impl FnOnce() -> Result<preprocess::Photo, Error>,
    ) -> Result<Localization, Error> {
        self.threads.run(|| {
            let (fitted, frame) = self.fit(Cow::Owned(decode()?.rgb))?;
            self.predict_fitted(&fitted, &frame)
        })
    }

    fn predict_fitted(&self, fitted: &RgbImage, frame: &Frame) -> Result<Localization, Error> {
        let output = self.run(fitted.as_raw(), 1)?;
        self.localization(&output, 0, frame)
    }

    /// Predicts a photo that is decoded and upright.
    ///
    /// # Errors
    ///
    /// [`Error::ZeroSize`] for a photo without pixels, [`Error::Engine`], [`Error::Output`] and [`Error::Panic`] if the
    /// engine fails.
    pub fn predict(&self, photo: &RgbImage) -> Result<Localization, Error> {
        self.threads.run(|| {
            let (fitted, frame) = self.fit(Cow::Borrowed(photo))?;
            self.predict_fitted(&fitted, &frame)
        })
    }

    /// Predicts many photos, up to 32 per call of the engine. Results are in the photos' order; a failing photo does
    /// not affect the others.
    ///
    /// Takes a slice of anything that converts to a [`Source`]: paths, bytes, images. While the calling thread runs the
    /// engine, helping threads decode the next photos. Without the feature `native`, threads are started for each
    /// batch.
    ///
    /// If the engine panics, the photos of that call (up to 32) get [`Error::Panic`]; they are not tried again.
    pub fn predict_batch<'a, S>(&self, photos: &'a [S]) -> Vec<Result<Localization, Error>>
    where
        Source<'a>: From<&'a S>,
    {
        self.threads.run(|| self.predict_sources(photos.iter().map(Source::from).collect()))
    }

    fn predict_sources(&self, sources: Vec<Source<'_>>) -> Vec<Result<Localization, Error>> {
        let batch_size = (MAX_BATCH_BYTES / self.meta.input.values().max(1)).clamp(1, MAX_BATCH);
        let mut results = Vec::with_capacity(sources.len());
        let mut prepared = Prepared::default();
        // One more round than chunks: the first round only decodes, the last one only predicts.
        let chunks = sources.chunks(batch_size).chain([&[][..]]);
        for chunk in chunks {
            let (next, done) = self.prepare(chunk, || self.predict_prepared(prepared));
            results.extend(done);
            prepared = next;
        }
        results
    }

    /// Decodes and resizes all photos in parallel, while `meanwhile` runs on this thread.
    fn prepare<R>(&self, photos: &[Source<'_>], meanwhile: impl FnOnce() -> R) -> (Prepared, R) {
        let values = self.meta.input.values();
        let mut inputs = vec![0; photos.len() * values];
        let mut frames: Vec<Result<Frame, Error>> = photos.iter().map(|_| Err(Error::Empty)).collect();
        let jobs = photos.iter().zip(&mut frames).zip(inputs.chunks_exact_mut(values.max(1)));
        let prepare_one = |((photo, frame), input): ((&Source<'_>, &mut _), &mut [u8])| {
            *frame = self.prepare_one(*photo, input);
        };
        let result = run_jobs(jobs.collect(), prepare_one, meanwhile);
        // Remove the inputs of photos with errors.
        let mut valid = 0;
        for (i, frame) in frames.iter().enumerate() {
            if frame.is_ok() {
                inputs.copy_within(i * values..(i + 1) * values, valid * values);
                valid += 1;
            }
        }
        inputs.truncate(valid * values);
        (Prepared { frames, inputs, valid }, result)
    }

    /// Predicts prepared photos.
    fn predict_prepared(
        &self,
        Prepared { frames, inputs, valid }: Prepared,
    ) -> Vec<Result<Localization, Error>> {
        let values = self.meta.input.values();
        let output = if valid > 0 { Some(self.run(&inputs, valid)) } else { None };
        let mut row = 0;
        let localize_photo = |frame: Result<Frame, Error>| {
            let frame = frame?;
            let at = row;
            row += 1;
            match &output {
                Some(Ok(output)) => self.localization(output, at, &frame),
                // A panic is a bug in the engine: it is not called again.
                Some(Err(Error::Panic { what, message })) => {
                    Err(Error::Panic { what, message: message.clone() })
                }
                // Run each photo alone, so that only the photos that cause the error get it.
                _ => {
                    let output = self.run(&inputs[at * values..(at + 1) * values], 1)?;
                    self.localization(&output, 0, &frame)
                }
            }
        };
        frames.into_iter().map(localize_photo).collect()
    }

    /// Decodes one photo and writes its pixels to `input`.
    fn prepare_one(&self, photo: Source<'_>, input: &mut [u8]) -> Result<Frame, Error> {
        let (fitted, frame) = match photo {
            Source::Path(path) => self.fit(Cow::Owned(decode_path(path, &self.limits)?.rgb))?,
            Source::Encoded(bytes) => self.fit(Cow::Owned(decode(bytes, &self.limits)?.rgb))?,
            Source::Photo(photo) => self.fit(Cow::Borrowed(photo))?,
        };
        input.copy_from_slice(fitted.as_raw());
        Ok(frame)
    }

    fn fit<'a>(&self, photo: Cow<'a, RgbImage>) -> Result<(Cow<'a, RgbImage>, Frame), Error> {
        let (width, height) = photo.dimensions();
        if width == 0 || height == 0 {
            return Err(Error::ZeroSize { width, height });
        }
        Ok(preprocess::fit(photo, &self.meta.input))
    }

    /// Runs the engine and checks the lengths of its output.
    fn run(&self, images: &[u8], n: usize) -> Result<RawOutput, Error> {
        let output = catch_panic("the engine", || self.engine.run_bytes(images, n))?;
        let expected =
            [("logits", output.logits.len(), self.meta.classes.len()), ("boxes", output.boxes.len(), 4)];
        for (what, got, each) in expected {
            if got != n * each {
                let error = OutputError::Length { found: got, photos: n, each };
                return Err(Error::Output { what, error });
            }
        }
        let (found, each) = (output.edges.len(), EdgeSpread::LOGITS);
        if !found.is_multiple_of(n * each) {
            let error = OutputError::Length { found, photos: n, each };
            return Err(Error::Output { what: "edges", error });
        }
        Ok(output)
    }

    /// Makes the prediction from row `row` of the output.
    fn localization(&self, output: &RawOutput, row: usize, frame: &Frame) -> Result<Localization, Error> {
        let classes = self.meta.classes.len();
        let logits = &output.logits[row * classes..(row + 1) * classes];
        let b = &output.boxes[row * 4..(row + 1) * 4];
        let each = output.edges.len() / (output.boxes.len() / 4);
        let edges = &output.edges[row * each..(row + 1) * each];
        localize(&self.meta, frame, PhotoOutput { logits, bbox: [b[0], b[1], b[2], b[3]], edges })
    }
}

/// The threads for `LoadOptions::threads`.
pub(crate) fn build_threads(n: usize) -> Result<Threads, Error> {
    match n {
        0 => Ok(Threads::current()),
        n => Threads::new(n).map_err(|error| Error::Threads(error.into())),
    }
}

impl std::fmt::Debug for Localizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Localizer")
            .field("meta", &self.meta)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<'a> From<&'a PathBuf> for Source<'a> {
    fn from(path: &'a PathBuf) -> Self {
        Self::Path(path)
    }
}

impl<'a> From<&'a &Path> for Source<'a> {
    fn from(path: &'a &Path) -> Self {
        Self::Path(path)
    }
}

impl<'a> From<&'a Vec<u8>> for Source<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Encoded(bytes)
    }
}

impl<'a> From<&'a &[u8]> for Source<'a> {
    fn from(bytes: &'a &[u8]) -> Self {
        Self::Encoded(bytes)
    }
}

impl<'a> From<&'a RgbImage> for Source<'a> {
    fn from(photo: &'a RgbImage) -> Self {
        Self::Photo(photo)
    }
}

impl<'a> From<&'a Source<'_>> for Source<'a> {
    fn from(source: &'a Source<'_>) -> Self {
        *source
    }
}
