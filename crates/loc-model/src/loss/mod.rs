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
mod reduce;
#[cfg(test)]
mod testing;

use candle_core::{DType, Error, Shape, Tensor};

pub use self::kinds::{BoxBatch, BoxLoss, ClassBatch, ClassLoss, OverlapLoss};
use loc_net::ops::SoftmaxExpectation;

use crate::layers::compose;
use crate::{ModelError, ModelOutput};
use reduce::batch_mean;

/// The losses that are summed, and their weights. If the predicted box is the mean of several boxes, the box loss is
/// the mean of their losses.
///
/// ```text
/// boxes = coordinates + overlap_weight · overlap + edges_weight · distribution focal loss
/// total = class_weight · class + box_weight · boxes
/// ```
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
        }
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
}

impl LossConfig {
    /// Computes the losses of a batch against its labels.
    ///
    /// # Shapes
    ///
    /// - output: logits `[N, K]`, boxes `[N, 4]` (x1, y1, x2, y2 in 0..1)
    /// - labels: `[N]`, u32, each below K
    /// - boxes: `[N, 4]`, in the same format as the output's
    ///
    /// # Errors
    ///
    /// A Candle error that names both shapes if they do not fit, if the batch is empty, or if a label is not below K
    /// (checked on the CPU only: reading labels back from another device would block until it is idle).
    pub fn compute(
        &self,
        output: &ModelOutput,
        labels: &Tensor,
        boxes: &Tensor,
    ) -> Result<Losses, ModelError> {
        let class = self.class.compute(&ClassBatch { logits: &output.logits, labels }, self)?;
        let boxes = match &output.edges {
            Some(logits) if logits.dim(1)? > 4 => self.each_box_loss(logits, boxes)?,
            edges => self.box_loss(output.boxes.dim(0)?, &output.boxes, edges.as_ref(), boxes)?,
        };
        let total = ((&class * self.class_weight)? + (&boxes * self.box_weight)?)?;
        Ok(Losses { total, class, boxes })
    }

    /// Computes the mean of the losses of several boxes whose mean is the predicted box, from the logits of their
    /// edges, `[N, boxes·4, B]`.
    ///
    /// With a loss of the mean box only, the network would learn boxes whose errors cancel in the mean, each of them
    /// wrong.
    fn each_box_loss(&self, logits: &Tensor, boxes: &Tensor) -> Result<Tensor, ModelError> {
        let (n, edges, bins) = logits.dims3()?;
        let each = edges / 4;
        let predicted =
            compose(&SoftmaxExpectation { bins }.into(), &[&logits.reshape((n, edges * bins))?], &[])?
                .reshape((n * each, 4))?;
        let boxes = boxes.unsqueeze(1)?.broadcast_as((n, each, 4))?.reshape((n * each, 4))?;
        self.box_loss(n, &predicted, Some(&logits.reshape((n * each, 4, bins))?), &boxes)
    }

    /// Computes the loss of the boxes of `n` photos, with one or more boxes for each.
    fn box_loss(
        &self,
        n: usize,
        predicted: &Tensor,
        edges: Option<&Tensor>,
        boxes: &Tensor,
    ) -> Result<Tensor, ModelError> {
        let batch = BoxBatch { predicted, target: boxes, photos: n };
        let mut sum = self.boxes.compute(&batch, self)?;
        if self.overlap != OverlapLoss::None {
            sum = (sum + (self.overlap.compute(&batch, self)? * self.overlap_weight)?)?;
        }
        if let Some(logits) = edges.filter(|_| self.edges_weight > 0.0) {
            sum = (sum + (batch_mean(&edges::entropies(logits, boxes)?, n)? * self.edges_weight)?)?;
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

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn output(logits: &[[f64; 3]], boxes: &[[f64; 4]]) -> ModelOutput {
        ModelOutput {
            edges: None,
            logits: Tensor::from_slice(logits.as_flattened(), (logits.len(), 3), &Device::Cpu).unwrap(),
            boxes: Tensor::from_slice(boxes.as_flattened(), (boxes.len(), 4), &Device::Cpu).unwrap(),
        }
    }

    #[test]
    fn total_is_the_weighted_sum() {
        let out = output(&[[0.1, 0.2, -0.3], [1.0, 0.0, 0.5]], &[[0.1, 0.2, 0.6, 0.7], [0.0, 0.1, 0.5, 1.0]]);
        let labels = Tensor::new(&[2u32, 0], &Device::Cpu).unwrap();
        let boxes = Tensor::new(&[[0.2, 0.2, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0]], &Device::Cpu).unwrap();
        for class in [ClassLoss::CrossEntropy, ClassLoss::CrossEntropyOnProbabilities] {
            let config = LossConfig { class, class_weight: 0.5, box_weight: 3.0, ..LossConfig::default() };
            let losses = config.compute(&out, &labels, &boxes).unwrap();
            let [total, class, boxes] =
                [losses.total, losses.class, losses.boxes].map(|t| t.to_scalar::<f64>().unwrap());
            assert!((total - (0.5 * class + 3.0 * boxes)).abs() < 1e-12);
        }
    }

    #[test]
    fn each_of_several_boxes_has_its_own_loss() {
        let logits = Tensor::randn(0.0f64, 2.0, (3, 8, 5), &Device::Cpu).unwrap();
        let each = compose(&SoftmaxExpectation { bins: 5 }.into(), &[&logits.reshape((3, 40)).unwrap()], &[])
            .unwrap();
        let labels = Tensor::new(&[0u32, 1, 0], &Device::Cpu).unwrap();
        let boxes = Tensor::rand(0.0f64, 1.0, (3, 4), &Device::Cpu).unwrap();
        let config = LossConfig {
            boxes: BoxLoss::SmoothL1,
            overlap: OverlapLoss::Giou,
            edges_weight: 0.5,
            ..LossConfig::default()
        };
        let loss = |boxes_of: Tensor, edges: Tensor| {
            let logits = Tensor::zeros((3, 2), DType::F64, &Device::Cpu).unwrap();
            let out = ModelOutput { logits, boxes: boxes_of, edges: Some(edges) };
            config.compute(&out, &labels, &boxes).unwrap().boxes.to_scalar::<f64>().unwrap()
        };
        let of = |i: usize| {
            loss(each.narrow(1, 4 * i, 4).unwrap(), logits.narrow(1, 4 * i, 4).unwrap().contiguous().unwrap())
        };
        let together = loss(
            compose(&loc_net::ops::GroupMean { parts: 2 }.into(), &[&each], &[]).unwrap(),
            logits.clone(),
        );
        assert!((together - (of(0) + of(1)) / 2.0).abs() < 1e-12, "{together}, {} and {}", of(0), of(1));
    }

    #[test]
    fn gradient_reaches_both_heads() {
        let logits = Var::new(&[[0.3f64, -0.2]], &Device::Cpu).unwrap();
        let predicted = Var::new(&[[0.3f64, 0.2, 0.9, 0.8]], &Device::Cpu).unwrap();
        let out = ModelOutput {
            logits: logits.as_tensor().clone(),
            boxes: predicted.as_tensor().clone(),
            edges: None,
        };
        let labels = Tensor::new(&[1u32], &Device::Cpu).unwrap();
        let boxes = Tensor::new(&[[0.0f64, 0.0, 1.0, 1.0]], &Device::Cpu).unwrap();
        let grads = LossConfig::default().compute(&out, &labels, &boxes).unwrap().total.backward().unwrap();
        assert!(grads.get(&logits).is_some() && grads.get(&predicted).is_some());
    }

    #[test]
    fn unsuitable_shapes_are_rejected_and_named() {
        let out = output(&[[0.1, 0.2, -0.3], [1.0, 0.0, 0.5]], &[[0.1, 0.2, 0.6, 0.7], [0.0, 0.1, 0.5, 1.0]]);
        let labels = |v: &[u32]| Tensor::new(v, &Device::Cpu).unwrap();
        let boxes = |n: usize, k: usize| Tensor::zeros((n, k), DType::F64, &Device::Cpu).unwrap();
        let floats = Tensor::zeros(2, DType::F64, &Device::Cpu).unwrap();
        let cases = [
            (labels(&[0]), boxes(2, 4), "[2]"),
            (labels(&[0, 3]), boxes(2, 4), "label 3 of sample 1"),
            (floats, boxes(2, 4), "U32"),
            (labels(&[0, 1]), boxes(2, 5), "[2, 5]"),
            (labels(&[0, 1]), boxes(1, 4), "[1, 4]"),
        ];
        for (labels, boxes, part) in cases {
            let error = LossConfig::default().compute(&out, &labels, &boxes).unwrap_err().to_string();
            assert!(error.contains(part), "`{part}` is missing in: {error}");
        }
        let empty = ModelOutput { logits: boxes(0, 3), boxes: boxes(0, 4), edges: None };
        let error =
            LossConfig::default().compute(&empty, &labels(&[]), &boxes(0, 4)).unwrap_err().to_string();
        assert!(error.contains("at least one sample"), "{error}");
    }
}
