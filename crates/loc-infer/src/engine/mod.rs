//! Engines run networks. `native` (loc-net's kernels) is the default, `candle` and `onnx` are behind features, and
//! applications add other runtimes by implementing [`Engine`].

use crate::confidence::EdgeSpread;
use crate::preprocess::to_planar;
use crate::{Error, ModelMeta, OutputError};

#[cfg(feature = "candle")]
pub mod candle;
#[cfg(feature = "native")]
pub mod native;
#[cfg(feature = "onnx")]
pub mod onnx;

/// The output of a network for a batch of `n` photos.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RawOutput {
    /// `[n, classes]`, row-major: logits; an engine that computes probabilities returns their logarithms.
    pub logits: Vec<f32>,
    /// `[n, 4]`: x1, y1, x2, y2 of each photo's box, in 0..1 of the input.
    pub boxes: Vec<f32>,
    /// `[n, edges · bins]`: logits of the distribution of each edge of the box over
    /// [`EdgeSpread::BINS`](crate::confidence::EdgeSpread::BINS) equally spaced positions from 0 to 1; four edges (x1, y1, x2,
    /// y2), or a multiple of four where the box is the mean of several. Empty if the head or the engine does not give them.
    pub edges: Vec<f32>,
    /// `[n]`: the logit that an object is present. Empty if the network has none: it always answers.
    pub presence: Vec<f32>,
    /// `[n, features]`: features of the whole photo that the class is read from; empty unless the engine was made to return
    /// them.
    pub features: Vec<f32>,
}

impl RawOutput {
    /// Checks that there are as many values as `n` photos need.
    ///
    /// # Errors
    ///
    /// [`Error::Output`] with the part and both numbers.
    pub(crate) fn check(&self, meta: &ModelMeta, n: usize) -> Result<(), Error> {
        let novelty = meta.novelty.as_ref().filter(|_| !self.features.is_empty());
        let exact = [
            ("logits", self.logits.len(), meta.classes.len()),
            ("boxes", self.boxes.len(), 4),
            ("presence", self.presence.len(), usize::from(!self.presence.is_empty())),
            (
                "features",
                novelty.map_or(0, |_| self.features.len()),
                novelty.map_or(0, |model| model.features),
            ),
        ];
        let edges = (self.edges.len(), EdgeSpread::LOGITS);
        let wrong = exact.into_iter().find(|(_, found, each)| *found != n * each).or_else(|| {
            // Of one box or of several.
            (!edges.0.is_multiple_of(n * edges.1)).then_some(("edges", edges.0, edges.1))
        });
        match wrong {
            Some((what, found, each)) => {
                Err(Error::Output { what, error: OutputError::Length { found, photos: n, each } })
            }
            None => Ok(()),
        }
    }
}

/// Runs a network on photos of the input's size. Called from several threads at once, each time on the thread that
/// requested the prediction. A panic becomes [`Error::Panic`]; the engine must remain usable after it, or return
/// errors.
pub trait Engine: Send + Sync {
    /// Runs `n` photos: `images` is `[n, 3, height, width]`, RGB in 0..1, not normalised.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] with the engine's own error.
    fn run(&self, images: &[f32], n: usize) -> Result<RawOutput, Error>;

    /// Runs `n` photos given as bytes: `images` is `[n, height, width, 3]`, RGB, pixel by pixel; a byte `v` stands for
    /// `v / 255`. The default implementation converts them and calls [`Engine::run`].
    ///
    /// # Errors
    ///
    /// As [`Engine::run`].
    fn run_bytes(&self, images: &[u8], n: usize) -> Result<RawOutput, Error> {
        let mut planar = vec![0.0; images.len()];
        let each = (images.len() / n.max(1)).max(1);
        for (bytes, out) in images.chunks_exact(each).zip(planar.chunks_exact_mut(each)) {
            to_planar(bytes, out);
        }
        self.run(&planar, n)
    }
}

/// One engine can serve several localizers.
impl<E: Engine + ?Sized> Engine for std::sync::Arc<E> {
    fn run(&self, images: &[f32], n: usize) -> Result<RawOutput, Error> {
        (**self).run(images, n)
    }

    fn run_bytes(&self, images: &[u8], n: usize) -> Result<RawOutput, Error> {
        (**self).run_bytes(images, n)
    }
}

impl<E: Engine + ?Sized> Engine for Box<E> {
    fn run(&self, images: &[f32], n: usize) -> Result<RawOutput, Error> {
        (**self).run(images, n)
    }

    fn run_bytes(&self, images: &[u8], n: usize) -> Result<RawOutput, Error> {
        (**self).run_bytes(images, n)
    }
}
