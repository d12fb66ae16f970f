//! What training minimises: a class loss and a box loss, and their weighted sum. The formulas lie in [`class`]
//! and [`boxes`]; metrics, which nothing is trained on, do not live here.

pub mod boxes;
pub mod class;
pub mod edges;
pub mod features;
pub mod overlap;
#[cfg(test)]
mod testing;

use candle_core::{DType, Error, Shape, Tensor};

pub use self::overlap::Overlap;
use loc_net::ops::SoftmaxExpectation;

use crate::layers::compose;
use crate::{ModelError, ModelOutput};

/// How wrong the class is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ClassLoss {
    /// [`class::cross_entropy`] of the logits.
    #[default]
    CrossEntropy,
    /// [`class::cross_entropy_on_probabilities`]: the tutorial's mistake, kept to reproduce it.
    CrossEntropyOnProbabilities,
}

/// How wrong the box is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum BoxLoss {
    /// [`boxes::mse`]: mean squared error of the four coordinates.
    #[default]
    Mse,
    /// [`boxes::smooth_l1`] of the four coordinates.
    SmoothL1,
    /// Nothing: the overlap or the distributions say it all.
    None,
}

/// Which losses, and how much each counts. Where the answer is the mean of several boxes, theirs is the mean of the
/// losses of each.
///
/// ```text
/// boxes = coordinates + overlap_weight · overlap + edges_weight · distribution focal loss
/// total = class_weight · class + box_weight · boxes
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LossConfig {
    /// The loss of the class.
    pub class: ClassLoss,
    /// What the true class gives up to all, 0 to 1; of [`ClassLoss::CrossEntropy`] alone.
    pub label_smoothing: f64,
    /// A weight for each class, or none; of [`ClassLoss::CrossEntropy`] alone.
    pub class_weights: Vec<f64>,
    /// The loss of the box's coordinates.
    pub boxes: BoxLoss,
    /// Where smooth L1 becomes linear.
    pub beta: f64,
    /// The loss of the overlap.
    pub overlap: Option<Overlap>,
    /// Factor of the loss of the overlap.
    pub overlap_weight: f64,
    /// Factor of [`edges::distribution_focal`]; nothing where the box head has no distributions.
    pub edges_weight: f64,
    /// Factor of the class loss.
    pub class_weight: f64,
    /// Factor of the box loss.
    pub box_weight: f64,
}

impl Default for LossConfig {
    /// Cross-entropy of the logits plus mean squared error, each counting once.
    fn default() -> Self {
        Self {
            class: ClassLoss::default(),
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            boxes: BoxLoss::default(),
            beta: 0.05,
            overlap: None,
            overlap_weight: 1.0,
            edges_weight: 0.0,
            class_weight: 1.0,
            box_weight: 1.0,
        }
    }
}

/// The losses of a batch, scalars: means over its samples.
#[derive(Debug, Clone)]
pub struct Losses {
    /// The weighted sum: call `backward` on this one.
    pub total: Tensor,
    /// The class loss, unweighted.
    pub class: Tensor,
    /// The box loss, unweighted.
    pub boxes: Tensor,
}

impl LossConfig {
    /// The losses of a batch against its labels.
    ///
    /// # Shapes
    ///
    /// - output: logits `[N, K]`, boxes `[N, 4]` (x1, y1, x2, y2 in 0..1)
    /// - labels: `[N]`, u32, each below K
    /// - boxes: `[N, 4]`, in the same form as the output's
    ///
    /// # Errors
    ///
    /// A Candle error that names both shapes if they do not fit, if the batch is empty, or if a label is not
    /// below K (found on the CPU only: reading labels back from another device would halt it).
    pub fn compute(
        &self,
        output: &ModelOutput,
        labels: &Tensor,
        boxes: &Tensor,
    ) -> Result<Losses, ModelError> {
        let class = match self.class {
            ClassLoss::CrossEntropy => {
                let (smoothing, weights) = (self.label_smoothing, &self.class_weights);
                class::weighted_cross_entropy(&output.logits, labels, smoothing, weights)?
            }
            ClassLoss::CrossEntropyOnProbabilities => {
                class::cross_entropy_on_probabilities(&output.logits, labels)?
            }
        };
        let boxes = match &output.edges {
            Some(logits) if logits.dim(1)? > 4 => self.each_box_loss(logits, boxes)?,
            edges => self.box_loss(&output.boxes, edges.as_ref(), boxes)?,
        };
        let total = ((&class * self.class_weight)? + (&boxes * self.box_weight)?)?;
        Ok(Losses { total, class, boxes })
    }

    /// The mean of the losses of boxes whose mean the answer is: from the logits of their edges, `[N, boxes·4, B]`.
    ///
    /// Had only the mean a loss, they would learn to make up for each other, and not each to be right.
    fn each_box_loss(&self, logits: &Tensor, boxes: &Tensor) -> Result<Tensor, ModelError> {
        let (n, edges, bins) = logits.dims3()?;
        let each = edges / 4;
        let predicted =
            compose(&SoftmaxExpectation { bins }.into(), &[&logits.reshape((n, edges * bins))?], &[])?
                .reshape((n * each, 4))?;
        let boxes = boxes.unsqueeze(1)?.broadcast_as((n, each, 4))?.reshape((n * each, 4))?;
        self.box_loss(&predicted, Some(&logits.reshape((n * each, 4, bins))?), &boxes)
    }

    fn box_loss(
        &self,
        predicted: &Tensor,
        edges: Option<&Tensor>,
        boxes: &Tensor,
    ) -> Result<Tensor, ModelError> {
        let mut sum = match self.boxes {
            BoxLoss::Mse => boxes::mse(predicted, boxes)?,
            BoxLoss::SmoothL1 => boxes::smooth_l1(predicted, boxes, self.beta)?,
            BoxLoss::None => Tensor::zeros((), predicted.dtype(), predicted.device())?,
        };
        if let Some(kind) = self.overlap {
            sum = (sum + (overlap::overlap(predicted, boxes, kind)? * self.overlap_weight)?)?;
        }
        if let Some(logits) = edges.filter(|_| self.edges_weight > 0.0) {
            sum = (sum + (edges::distribution_focal(logits, boxes)? * self.edges_weight)?)?;
        }
        Ok(sum)
    }
}

/// Refuses a tensor whose shape or type is another.
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

/// The number of rows of `[N, columns]`, at least one.
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
    fn boxes_whose_mean_the_answer_is_have_losses_of_their_own() {
        let logits = Tensor::randn(0.0f64, 2.0, (3, 8, 5), &Device::Cpu).unwrap();
        let each = compose(&SoftmaxExpectation { bins: 5 }.into(), &[&logits.reshape((3, 40)).unwrap()], &[])
            .unwrap();
        let labels = Tensor::new(&[0u32, 1, 0], &Device::Cpu).unwrap();
        let boxes = Tensor::rand(0.0f64, 1.0, (3, 4), &Device::Cpu).unwrap();
        let config = LossConfig {
            boxes: BoxLoss::SmoothL1,
            overlap: Some(Overlap::Giou),
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
    fn what_does_not_fit_is_refused_with_both_shapes() {
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
            assert!(error.contains(part), "{error} does not say {part}");
        }
        let empty = ModelOutput { logits: boxes(0, 3), boxes: boxes(0, 4), edges: None };
        let error =
            LossConfig::default().compute(&empty, &labels(&[]), &boxes(0, 4)).unwrap_err().to_string();
        assert!(error.contains("at least one sample"), "{error}");
    }
}
