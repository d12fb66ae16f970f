//! The training loss: the weighted sum of a class loss and a box loss. The metrics are in loc-train.
//!
//! Each loss is a function in its own file ([`class`], [`boxes`], [`l1`], [`overlap`], …), with a line in `kinds` that
//! gives its name in configurations.

pub mod boxes;
pub mod class;
pub mod edges;
pub mod features;
mod kinds;
pub mod l1;
pub mod overlap;
pub mod presence;
mod reduce;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use candle_core::{DType, Error, Shape, Tensor};

pub use self::kinds::{BoxBatch, BoxLoss, ClassBatch, ClassLoss, OverlapLoss};
pub use self::reduce::Photos;
use loc_net::ops::SoftmaxExpectation;

use crate::layers::compose;
use crate::{ModelError, ModelOutput};

/// The losses that are summed, and their weights. If the predicted box is the mean of several boxes, the box loss is
/// the mean of their losses.
///
/// ```text
/// boxes = coordinates + overlap_weight · overlap + edges_weight · distribution focal loss
/// total = class_weight · class + box_weight · boxes + presence_weight · presence
/// ```
///
/// Class and box losses are means over the photos with an object; that of presence, of networks that have its logit, over
/// all photos.
#[derive(Debug, Clone, PartialEq)]
pub struct LossConfig {
    /// The loss of the class.
    pub class: ClassLoss,
    /// Label smoothing ε, 0 to 1: probability mass spread evenly over all classes; for
    /// [`ClassLoss::CrossEntropy`].
    pub label_smoothing: f64,
    /// A weight for each class, or empty; for [`ClassLoss::CrossEntropy`].
    pub class_weights: Vec<f64>,
    /// The loss of the box's coordinates.
    pub boxes: BoxLoss,
    /// The distance at which smooth L1 becomes linear.
    pub beta: f64,
    /// The loss of the overlap.
    pub overlap: OverlapLoss,
    /// Weight of the overlap loss in the box loss.
    pub overlap_weight: f64,
    /// Weight of [`edges::distribution_focal`] in the box loss; ignored if the box head has no distributions.
    pub edges_weight: f64,
    /// Weight of the class loss.
    pub class_weight: f64,
    /// Weight of the box loss.
    pub box_weight: f64,
    /// Weight of [`presence::binary_cross_entropy`]; ignored if the network has no logit of presence.
    pub presence_weight: f64,
}

impl Default for LossConfig {
    /// Cross-entropy of the logits plus mean squared error, each with weight 1.
    fn default() -> Self {
        Self {
            class: ClassLoss::default(),
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            boxes: BoxLoss::default(),
            beta: 0.05,
            overlap: OverlapLoss::None,
            overlap_weight: 1.0,
            edges_weight: 0.0,
            class_weight: 1.0,
            box_weight: 1.0,
            presence_weight: 1.0,
        }
    }
}

/// What the photos of a batch show.
#[derive(Debug, Clone, Copy)]
pub struct Truth<'a> {
    /// `[N]`, u32, each below the number of classes: the class; any where there is no object.
    pub labels: &'a Tensor,
    /// `[N, 4]`, x1, y1, x2, y2 in 0..1: the box; where there is no object any with an area.
    pub boxes: &'a Tensor,
    /// `[N]`, in the type of the outputs: 1 where there is an object, 0 where there is none. Without it every photo has one.
    pub present: Option<&'a Tensor>,
}

impl<'a> Truth<'a> {
    /// Photos that all show an object.
    #[must_use]
    pub fn all(labels: &'a Tensor, boxes: &'a Tensor) -> Self {
        Self { labels, boxes, present: None }
    }
}

/// The losses of a batch, scalars: means over its photos.
#[derive(Debug, Clone)]
pub struct Losses {
    /// The weighted sum, for the backward pass.
    pub total: Tensor,
    /// The class loss, unweighted.
    pub class: Tensor,
    /// The box loss, unweighted.
    pub boxes: Tensor,
    /// The loss of presence, unweighted, if the network has its logit.
    pub presence: Option<Tensor>,
}

impl LossConfig {
    /// Computes the losses of a batch against what its photos show.
    ///
    /// A batch without any object has the class and box loss 0, with gradients 0.
    ///
    /// # Shapes
    ///
    /// - output: logits `[N, K]`, boxes `[N, 4]` (x1, y1, x2, y2 in 0..1), presence `[N]`
    /// - truth: as [`Truth`] says
    ///
    /// # Errors
    ///
    /// A Candle error that names both shapes if they do not fit, if the batch is empty, or if a label is not below K
    /// (checked on the CPU only: reading labels back from another device would block until it is idle).
    pub fn compute(&self, output: &ModelOutput, truth: &Truth) -> Result<Losses, ModelError> {
        let Truth { labels, boxes, present } = *truth;
        let photos = Photos { count: output.logits.dim(0)?, present };
        if let Some(present) = present {
            expect("present", present, &[photos.count], output.logits.dtype())?;
        }
        let class = self.class.compute(&ClassBatch { photos, logits: &output.logits, labels }, self)?;
        let boxes = match &output.edges {
            Some(logits) if logits.dim(1)? > 4 => self.each_box_loss(photos, logits, boxes)?,
            edges => self.box_loss(photos, &output.boxes, edges.as_ref(), boxes)?,
        };
        let mut total = ((&class * self.class_weight)? + (&boxes * self.box_weight)?)?;
        let presence = match &output.presence {
            Some(logits) => {
                let present = present.map_or_else(|| logits.ones_like(), |present| Ok(present.clone()))?;
                Some(presence::binary_cross_entropy(logits, &present)?)
            }
            None => None,
        };
        if let Some(presence) = &presence {
            total = (total + (presence * self.presence_weight)?)?;
        }
        Ok(Losses { total, class, boxes, presence })
    }

    /// Computes the mean of the losses of several boxes whose mean is the predicted box, from the logits of their
    /// edges, `[N, boxes·4, B]`.
    ///
    /// With a loss of the mean box only, the network would learn boxes whose errors cancel in the mean, each of them
    /// wrong.
    fn each_box_loss(&self, photos: Photos, logits: &Tensor, boxes: &Tensor) -> Result<Tensor, ModelError> {
        let (n, edges, bins) = logits.dims3()?;
        let each = edges / 4;
        let predicted =
            compose(&SoftmaxExpectation { bins }.into(), &[&logits.reshape((n, edges * bins))?], &[])?
                .reshape((n * each, 4))?;
        let boxes = boxes.unsqueeze(1)?.broadcast_as((n, each, 4))?.reshape((n * each, 4))?;
        self.box_loss(photos, &predicted, Some(&logits.reshape((n * each, 4, bins))?), &boxes)
    }

    /// Computes the loss of the boxes of some photos, with one or more boxes for each.
    fn box_loss(
        &self,
        photos: Photos,
        predicted: &Tensor,
        edges: Option<&Tensor>,
        boxes: &Tensor,
    ) -> Result<Tensor, ModelError> {
        let batch = BoxBatch { predicted, target: boxes, photos };
        let mut sum = self.boxes.compute(&batch, self)?;
        if self.overlap != OverlapLoss::None {
            sum = (sum + (self.overlap.compute(&batch, self)? * self.overlap_weight)?)?;
        }
        if let Some(logits) = edges.filter(|_| self.edges_weight > 0.0) {
            sum = (sum + (photos.mean(&edges::entropies(logits, boxes)?)? * self.edges_weight)?)?;
        }
        Ok(sum)
    }
}

/// Returns an error if the tensor does not have this shape and type.
fn expect(what: &str, tensor: &Tensor, dims: &[usize], dtype: DType) -> Result<(), Error> {
    if tensor.dims() != dims {
        let (expected, got) = (Shape::from(dims), tensor.shape().clone());
        return Err(Error::UnexpectedShape { msg: what.to_owned(), expected, got });
    }
    if tensor.dtype() != dtype {
        return Err(Error::UnexpectedDType { msg: "loss", expected: dtype, got: tensor.dtype() });
    }
    Ok(())
}

/// Returns the number of rows, at least one, and the number of columns.
fn rows(what: &str, tensor: &Tensor) -> Result<(usize, usize), Error> {
    match tensor.dims() {
        [n, k] if *n > 0 && *k > 0 => Ok((*n, *k)),
        dims => Err(Error::Msg(format!(
            "{what}: [N, K] with at least one sample and class is needed, got {dims:?}"
        ))),
    }
}
