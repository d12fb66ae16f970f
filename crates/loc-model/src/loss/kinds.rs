//! The losses and their names in configurations. To add a loss, add a file and a line here.

use candle_core::{Error, Tensor};
use serde::{Deserialize, Serialize};

use super::{LossConfig, Photos, boxes, class, l1, overlap};

/// A batch's logits `[N, K]` and labels `[N]`, u32.
pub struct ClassBatch<'a> {
    /// The photos that count.
    pub photos: Photos<'a>,
    /// The predicted logits.
    pub logits: &'a Tensor,
    /// The true classes.
    pub labels: &'a Tensor,
}

/// A batch's boxes, both `[N, 4]`: x1, y1, x2, y2 in 0..1; one or more for each photo, photo by photo.
pub struct BoxBatch<'a> {
    /// The photos that count.
    pub photos: Photos<'a>,
    /// The predicted boxes.
    pub predicted: &'a Tensor,
    /// The true boxes.
    pub target: &'a Tensor,
}

/// Declares an enum of losses. Each variant has a function; its name in snake case is the loss's name.
macro_rules! losses {
    (
        $(#[doc = $about:literal])+
        $name:ident of $batch:ident { $($(#[$meta:meta])+ $variant:ident => $loss:path,)+ }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$meta])+ $variant,)+
        }

        impl $name {
            /// Computes the mean loss of a batch, a scalar.
            ///
            /// # Errors
            ///
            /// A Candle error that names the shapes or types that do not fit.
            pub fn compute(self, batch: &$batch, config: &LossConfig) -> Result<Tensor, Error> {
                match self {
                    $(Self::$variant => $loss(batch, config),)+
                }
            }
        }
    };
}

losses! {
    /// The loss of the class.
    ClassLoss of ClassBatch {
        /// [`class::weighted_cross_entropy`] of the logits.
        #[default]
        CrossEntropy => class::of_logits,
        /// [`class::cross_entropy_on_probabilities`]: the mistake of the tutorial, for reproducing it.
        CrossEntropyOnProbabilities => class::of_probabilities,
    }
}

losses! {
    /// The loss of the box's coordinates.
    BoxLoss of BoxBatch {
        /// [`boxes::mse`]: mean squared error.
        #[default]
        Mse => boxes::of_squares,
        /// [`boxes::smooth_l1`].
        SmoothL1 => boxes::of_smooth_l1,
        /// [`l1::l1`]: mean absolute error.
        L1 => l1::of_boxes,
        /// No loss of the coordinates.
        None => zero,
    }
}

losses! {
    /// The loss of the overlap of predicted and true box.
    OverlapLoss of BoxBatch {
        /// No loss of the overlap.
        #[default]
        None => zero,
        /// [`overlap::giou`].
        Giou => overlap::of_giou,
        /// [`overlap::diou`].
        Diou => overlap::of_diou,
        /// [`overlap::ciou`].
        Ciou => overlap::of_ciou,
    }
}

fn zero(batch: &BoxBatch, _: &LossConfig) -> Result<Tensor, Error> {
    Tensor::zeros((), batch.predicted.dtype(), batch.predicted.device())
}
