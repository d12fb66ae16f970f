//! [`Localizer`]: a loaded model that predicts photos, from any number of threads.

use std::borrow::Cow;
use std::path::Path;

use image::RgbImage;

use crate::confidence::{EdgeSpread, LookBox};
use crate::error::catch_panic;
use crate::parallel::{Threads, build_threads, run_jobs};
use crate::postprocess::{Answer, Localization, PhotoOutput, answer, localize};
use crate::preprocess::{self, Frame, Limits, Window, decode, decode_path, prepare, prepare_path};
use crate::source::Source;
use crate::{Engine, Error, MetadataError, ModelMeta, RawOutput, SecondLook};

/// Maximum number of photos in one call of the engine, and maximum size of their inputs in bytes.
const MAX_BATCH: usize = 32;
const MAX_BATCH_BYTES: usize = 64 << 20;
/// Maximum number of photos of a model with two looks: they stay in memory until the first look has answered.
const MAX_BATCH_OF_TWO_LOOKS: usize = 8;

/// A model, ready to predict.
///
/// Any number of threads may share it. Each prediction is computed on the calling thread; idle threads help
/// (see [`LoadOptions::threads`](crate::LoadOptions::threads)); a call never waits for a busy thread.
pub struct Localizer {
    meta: ModelMeta,
    limits: Limits,
    threads: Threads,
    engine: Box<dyn Engine>,
    /// The second look and its engine, if there is one.
    second: Option<(SecondLook, Box<dyn Engine>)>,
}

/// Photos that are decoded and resized, ready for the engine.
#[derive(Default)]
struct Prepared<'a> {
    /// For each photo, in order, its error if it has one.
    errors: Vec<Option<Error>>,
    /// The photos without an error.
    valid: Inputs<'a>,
}

/// Photos as inputs of the engine.
#[derive(Default)]
struct Inputs<'a> {
    /// `[frames, height, width, 3]`.
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    /// The photos themselves, if a second look needs them.
    photos: Vec<Cow<'a, RgbImage>>,
}

/// A photo that is ready for the engine.
struct Ready<'a> {
    input: Cow<'a, RgbImage>,
    frame: Frame,
    /// The photo itself, if a second look needs it.
    photo: Option<Cow<'a, RgbImage>>,
}

/// The frame of a photo whose input is written, and the photo itself if a second look needs it.
type Written<'a> = (Frame, Option<Cow<'a, RgbImage>>);

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
        Self::with_engines(meta, vec![engine])
    }

    /// As [`Localizer::with_engine`], with an engine for each look: two if the metadata has a second look, else one.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] if the metadata is not in its ranges, or there is another number of engines.
    pub fn with_engines(meta: ModelMeta, engines: Vec<Box<dyn Engine>>) -> Result<Self, Error> {
        Self::with_thread_pool(meta, engines, Threads::current())
    }

    pub(crate) fn with_thread_pool(
        meta: ModelMeta,
        engines: Vec<Box<dyn Engine>>,
        threads: Threads,
    ) -> Result<Self, Error> {
        meta.check()?;
        let count = engines.len();
        let mut engines = engines.into_iter();
        let (engine, second) = match (engines.next(), meta.second_look, engines.next(), engines.next()) {
            (Some(engine), None, None, None) => (engine, None),
            (Some(engine), Some(look), Some(second), None) => (engine, Some((look, second))),
            _ => {
                let second = meta.second_look.is_some();
                return Err(Error::Metadata(MetadataError::Looks { second, engines: count }));
            }
        };
        Ok(Self { meta, limits: Limits::default(), threads, engine, second })
    }

    /// The same localizer with other limits for the photos it decodes.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same localizer, with another threshold of presence, 0..=1: an object is taken to be there from this probability on.
    /// It has no effect on a model that always answers.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] if it is out of range.
    pub fn with_presence_threshold(mut self, threshold: f32) -> Result<Self, Error> {
        self.meta.presence_threshold = Some(threshold);
        self.meta.check()?;
        Ok(self)
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
    pub fn predict_path(&self, path: impl AsRef<Path>) -> Result<Answer, Error> {
        let path = path.as_ref();
        self.predict_source(Source::Path(path))
    }

    /// Decodes a file's content and predicts.
    ///
    /// # Errors
    ///
    /// As of [`decode`] and [`Localizer::predict`].
    pub fn predict_encoded(&self, bytes: &[u8]) -> Result<Answer, Error> {
        self.predict_source(Source::Encoded(bytes))
    }

    fn predict_source(&self, source: Source<'_>) -> Result<Answer, Error> {
        let predict = || {
            let Ready { input, frame, photo } = self.ready(source)?;
            let answers = self.answers(input.as_raw(), &[frame], photo.as_slice())?;
            answers.into_iter().next().unwrap_or(Err(Error::Empty))
        };
        self.threads.run(predict)
    }

    /// Predicts a photo that is decoded and upright.
    ///
    /// # Errors
    ///
    /// [`Error::ZeroSize`] for a photo without pixels, [`Error::Engine`], [`Error::Output`] and [`Error::Panic`] if the
    /// engine fails.
    pub fn predict(&self, photo: &RgbImage) -> Result<Answer, Error> {
        self.predict_source(Source::Photo(photo))
    }

    /// Predicts many photos, up to 32 per call of the engine, or 8 with a second look. Results are in the photos' order; a failing photo does
    /// not affect the others.
    ///
    /// Takes a slice of anything that converts to a [`Source`]: paths, bytes, images. While the calling thread runs the
    /// engine, helping threads decode the next photos. Without the feature `native`, threads are started for each
    /// batch.
    ///
    /// If the engine panics, the photos of that call (up to 32) get [`Error::Panic`]; they are not tried again.
    pub fn predict_batch<'a, S>(&self, photos: &'a [S]) -> Vec<Result<Answer, Error>>
    where
        Source<'a>: From<&'a S>,
    {
        self.threads.run(|| self.predict_sources(photos.iter().map(Source::from).collect()))
    }

    fn predict_sources(&self, sources: Vec<Source<'_>>) -> Vec<Result<Answer, Error>> {
        let most = if self.second.is_some() { MAX_BATCH_OF_TWO_LOOKS } else { MAX_BATCH };
        let batch_size = (MAX_BATCH_BYTES / self.meta.input.values().max(1)).clamp(1, most);
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
    fn prepare<'a, R>(&self, photos: &[Source<'a>], meanwhile: impl FnOnce() -> R) -> (Prepared<'a>, R) {
        let values = self.meta.input.values();
        let mut bytes = vec![0; photos.len() * values];
        let mut ready: Vec<Result<Written<'a>, Error>> = photos.iter().map(|_| Err(Error::Empty)).collect();
        let jobs = photos.iter().zip(&mut ready).zip(bytes.chunks_exact_mut(values.max(1)));
        let prepare_one = |((photo, ready), input): ((&Source<'a>, &mut _), &mut [u8])| {
            *ready = self.ready(*photo).map(|ready| {
                input.copy_from_slice(ready.input.as_raw());
                (ready.frame, ready.photo)
            });
        };
        let result = run_jobs(jobs.collect(), prepare_one, meanwhile);
        // Remove the inputs of photos with errors.
        let (mut errors, mut valid) = (Vec::with_capacity(ready.len()), Inputs::default());
        for (i, ready) in ready.into_iter().enumerate() {
            match ready {
                Ok((frame, photo)) => {
                    bytes.copy_within(i * values..(i + 1) * values, valid.frames.len() * values);
                    valid.frames.push(frame);
                    valid.photos.extend(photo);
                    errors.push(None);
                }
                Err(error) => errors.push(Some(error)),
            }
        }
        bytes.truncate(valid.frames.len() * values);
        valid.bytes = bytes;
        (Prepared { errors, valid }, result)
    }

    /// Predicts prepared photos.
    fn predict_prepared(&self, Prepared { errors, valid }: Prepared<'_>) -> Vec<Result<Answer, Error>> {
        let Inputs { bytes, frames, photos } = valid;
        let answers = match frames.len() {
            0 => Vec::new(),
            _ => match self.answers(&bytes, &frames, &photos) {
                Ok(answers) => answers,
                // A panic is a bug in the engine: it is not called again.
                Err(Error::Panic { what, message }) => {
                    frames.iter().map(|_| Err(Error::Panic { what, message: message.clone() })).collect()
                }
                // Run each photo alone, so that only the photos that cause the error get it.
                Err(_) => {
                    let values = self.meta.input.values();
                    let alone = |(i, frame): (usize, &Frame)| {
                        let photo = photos.get(i..=i).unwrap_or_default();
                        let answers = self.answers(&bytes[i * values..(i + 1) * values], &[*frame], photo)?;
                        answers.into_iter().next().unwrap_or(Err(Error::Empty))
                    };
                    frames.iter().enumerate().map(alone).collect()
                }
            },
        };
        let mut answers = answers.into_iter();
        let answer = |error| match error {
            Some(error) => Err(error),
            None => answers.next().unwrap_or(Err(Error::Empty)),
        };
        errors.into_iter().map(answer).collect()
    }

    /// Decodes one photo and fits it into the input.
    fn ready<'a>(&self, source: Source<'a>) -> Result<Ready<'a>, Error> {
        let (spec, limits) = (&self.meta.input, &self.limits);
        let photo = match (source, &self.second) {
            (Source::Photo(photo), _) => Cow::Borrowed(photo),
            (Source::Path(path), Some(_)) => Cow::Owned(decode_path(path, limits)?.rgb),
            (Source::Encoded(bytes), Some(_)) => Cow::Owned(decode(bytes, limits)?.rgb),
            (Source::Path(path), None) => return Ok(Ready::of(prepare_path(path, limits, spec)?)),
            (Source::Encoded(bytes), None) => return Ok(Ready::of(prepare(bytes, limits, spec)?)),
        };
        let (width, height) = photo.dimensions();
        if width == 0 || height == 0 {
            return Err(Error::ZeroSize { width, height });
        }
        if self.second.is_none() {
            let (input, frame) = preprocess::fit(photo, spec);
            return Ok(Ready { input, frame, photo: None });
        }
        let (input, frame) = preprocess::fit(Cow::Borrowed(&photo), spec);
        let input = Cow::Owned(input.into_owned());
        Ok(Ready { input, frame, photo: Some(photo) })
    }

    /// Predicts photos that are ready for the engine; `photos` is read by a second look only.
    ///
    /// # Errors
    ///
    /// Errors of an engine. An output that is not finite is the error of its photo alone.
    fn answers(
        &self,
        bytes: &[u8],
        frames: &[Frame],
        photos: &[Cow<'_, RgbImage>],
    ) -> Result<Vec<Result<Answer, Error>>, Error> {
        let first = self.run(self.engine.as_ref(), bytes, frames.len())?;
        let first_answer = |(i, frame): (usize, &Frame)| {
            let answer = answer(&self.meta, frame, self.row(&first, i))?;
            let Answer::Found(found) = answer else { return Ok(answer) };
            Ok(Answer::Found(Localization { novelty: self.novelty(&first, i), ..found }))
        };
        let of_first: Vec<Result<Answer, Error>> = frames.iter().enumerate().map(first_answer).collect();
        let Some((look, engine)) = &self.second else { return Ok(of_first) };
        let spec = look.input(&self.meta.input);
        let window = |answer: &Result<Answer, Error>| match answer {
            Ok(Answer::Found(found)) => Some(Window::around(found.bbox, look.margin)),
            _ => None,
        };
        let windows: Vec<Option<Window>> = of_first.iter().map(window).collect();
        let valid: Vec<(&Cow<'_, RgbImage>, Window)> =
            photos.iter().zip(&windows).filter_map(|(photo, window)| Some((photo, (*window)?))).collect();
        let mut inputs = vec![0; valid.len() * spec.values()];
        let mut frames: Vec<Option<Frame>> = vec![None; valid.len()];
        let jobs = valid.iter().zip(&mut frames).zip(inputs.chunks_exact_mut(spec.values().max(1)));
        let fit_one = |((photo, frame), input): ((&(&Cow<'_, RgbImage>, Window), &mut _), &mut [u8])| {
            let (fitted, of_window) = preprocess::fit_window(photo.0, photo.1, &spec);
            input.copy_from_slice(fitted.as_raw());
            *frame = Some(of_window);
        };
        run_jobs(jobs.collect(), fit_one, || ());
        let second = match valid.len() {
            0 => RawOutput::default(),
            n => self.run(engine.as_ref(), &inputs, n)?,
        };
        let mut frames = frames.into_iter().flatten().enumerate();
        let second_answer = |(i, answer): (usize, Result<Answer, Error>)| {
            let answer = answer?;
            let Answer::Found(Localization { bbox, novelty, .. }) = answer else { return Ok(answer) };
            let first_box = Some(LookBox { bbox, spread: EdgeSpread::of(edges_of(&first, i)) });
            let (row, frame) = frames.next().ok_or(Error::Empty)?;
            // Whether there is an object is said by the first look, which sees the whole photo.
            let presence = first.presence.get(i).copied();
            let output = PhotoOutput { first: first_box, presence, ..self.row(&second, row) };
            Ok(Answer::Found(Localization { novelty, ..localize(&self.meta, &frame, output)? }))
        };
        Ok(of_first.into_iter().enumerate().map(second_answer).collect())
    }

    /// Runs an engine and checks the lengths of its output.
    fn run(&self, engine: &dyn Engine, images: &[u8], n: usize) -> Result<RawOutput, Error> {
        let output = catch_panic("the engine", || engine.run_bytes(images, n))?;
        output.check(&self.meta, n)?;
        Ok(output)
    }

    /// The novelty of the photo in row `row` of the first look's output, if its engine returns features.
    fn novelty(&self, first: &RawOutput, row: usize) -> Option<f32> {
        let model = self.meta.novelty.as_ref()?;
        Some(model.of(first.features.chunks_exact(model.features).nth(row)?))
    }

    /// Row `row` of an output.
    fn row<'o>(&self, output: &'o RawOutput, row: usize) -> PhotoOutput<'o> {
        let classes = self.meta.classes.len();
        let logits = &output.logits[row * classes..(row + 1) * classes];
        let b = &output.boxes[row * 4..(row + 1) * 4];
        let (bbox, edges) = ([b[0], b[1], b[2], b[3]], edges_of(output, row));
        PhotoOutput { logits, bbox, edges, presence: output.presence.get(row).copied(), first: None }
    }
}

impl Ready<'_> {
    fn of(prepared: preprocess::Prepared) -> Self {
        Self { input: Cow::Owned(prepared.input), frame: prepared.frame, photo: None }
    }
}

/// The logits of the edges of row `row`; empty if there are none.
fn edges_of(output: &RawOutput, row: usize) -> &[f32] {
    let each = output.edges.len() / (output.boxes.len() / 4);
    &output.edges[row * each..(row + 1) * each]
}

impl std::fmt::Debug for Localizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Localizer")
            .field("meta", &self.meta)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
