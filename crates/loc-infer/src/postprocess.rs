//! From the network's output to a prediction: probabilities, the most probable class, the box in pixels of the photo, and how
//! far the box can be trusted.

use crate::bbox::narrow;
use crate::confidence::{Bounds, EdgeSpread, LookBox};
use crate::{BBox, Error, Frame, ImageSize, ModelMeta, NormBox, OutputError};

/// The output of the network for one photo.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PhotoOutput<'a> {
    /// A logit per class.
    pub logits: &'a [f32],
    /// x1, y1, x2, y2 in fractions of the input.
    pub bbox: [f32; 4],
    /// The logits of the edges' distributions, as in [`RawOutput::edges`](crate::RawOutput::edges); may be empty.
    pub edges: &'a [f32],
    /// The logit that there is an object; none if the model always answers.
    pub presence: Option<f32>,
    /// The first look's box, if this is the output of the second.
    pub first: Option<LookBox>,
}

/// The answer to a photo. Only a photo with an object has a class and a box.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// There is an object.
    Found(Localization),
    /// There is none: the probability is below the model's threshold ([`ModelMeta::presence_threshold`]).
    Absent(Absent),
}

/// The answer to a photo without an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Absent {
    /// The probability that there is an object after all, 0..=1.
    pub presence: f32,
    /// Width of the upright photo, in pixels.
    pub width: u32,
    /// Height of the upright photo, in pixels.
    pub height: u32,
}

impl Answer {
    /// The object, if there is one.
    #[must_use]
    pub fn found(self) -> Option<Localization> {
        match self {
            Self::Found(found) => Some(found),
            Self::Absent(_) => None,
        }
    }

    /// The probability that there is an object; none if the model always answers.
    #[must_use]
    pub fn presence(&self) -> Option<f32> {
        match self {
            Self::Found(found) => found.presence,
            Self::Absent(absent) => Some(absent.presence),
        }
    }
}

/// The object in a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Localization {
    /// Index of the most probable class; the first one on a tie.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// Its probability, 0..=1.
    pub confidence: f32,
    /// The probability that there is an object at all, 0..=1, at least the model's threshold; none if the model always
    /// answers.
    pub presence: Option<f32>,
    /// Box in pixels of the upright photo: x1 ≤ x2, y1 ≤ y2, inside the photo.
    pub bbox: BBox,
    /// The IoU that the box can be expected to have with the true one, 0..=1. None if the model has not been calibrated, or
    /// its head or the engine does not give distributions of the edges; so are `outer` and `inner`.
    pub expected_iou: Option<f32>,
    /// Contains the true box with the probability in [`ModelMeta::margins`], while `inner` lies in it. In pixels of the
    /// upright photo, inside the photo.
    pub outer: Option<BBox>,
    /// None also if the margins are so wide that no box is certain to lie in the true one.
    pub inner: Option<BBox>,
    /// How unlike the photos of the model's kind this one is, 0..=1; above the threshold in [`ModelMeta::novelty`] it should be
    /// rejected. Only with [`LoadOptions::novelty`](crate::LoadOptions::novelty).
    pub novelty: Option<f32>,
    /// Probability of each class, in the model's order; they add up to 1.
    pub probs: Vec<f32>,
    /// Width of the upright photo, in pixels.
    pub width: u32,
    /// Height of the upright photo, in pixels.
    pub height: u32,
}

/// Computes the answer to one photo from the network's output: the object, if the probability of presence reaches the model's
/// threshold, or [`ModelMeta::NEUTRAL`] if it has none.
///
/// # Errors
///
/// [`Error::Output`] if the logit of presence is not a number; where there is an object also as [`localize`].
pub fn answer(meta: &ModelMeta, frame: &Frame, output: PhotoOutput) -> Result<Answer, Error> {
    if output.presence.is_some_and(f32::is_nan) {
        return Err(Error::Output { what: "presence", error: OutputError::Presence });
    }
    let threshold = meta.presence_threshold.unwrap_or(ModelMeta::NEUTRAL);
    match output.presence.map(presence).filter(|presence| *presence < threshold) {
        Some(presence) => {
            let ImageSize { width, height } = frame.original;
            Ok(Answer::Absent(Absent { presence, width, height }))
        }
        None => localize(meta, frame, output).map(Answer::Found),
    }
}

/// Computes the prediction for one photo from the network's output, as if there were an object.
///
/// # Errors
///
/// [`Error::Output`] if the number of logits is not the number of classes, or a value is not finite. A logit of −∞
/// means probability 0 and is allowed, unless all logits are −∞.
pub fn localize(meta: &ModelMeta, frame: &Frame, output: PhotoOutput) -> Result<Localization, Error> {
    let PhotoOutput { logits, bbox, edges, presence: presence_logit, first } = output;
    if logits.len() != meta.classes.len() {
        let error = OutputError::ClassCount { found: logits.len(), classes: meta.classes.len() };
        return Err(Error::Output { what: "logits", error });
    }
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !highest.is_finite() || logits.iter().any(|l| l.is_nan()) {
        return Err(Error::Output { what: "logits", error: OutputError::Logits(logits.to_vec()) });
    }
    if bbox.iter().any(|v| !v.is_finite()) {
        return Err(Error::Output { what: "box", error: OutputError::Box(bbox) });
    }
    let spread = EdgeSpread::of(edges);
    if spread.is_none() && !edges.is_empty() {
        return Err(Error::Output { what: "edges", error: OutputError::Edges });
    }
    let probs = probabilities(logits, meta.temperature);
    let class = argmax(&probs);
    let bbox = frame.to_original(NormBox::from(bbox)).ordered().clip(frame.original);
    let bbox = first.map_or(bbox, |first| LookBox::combine(&first, &LookBox { bbox, spread }));
    let bounds = meta.margins.and_then(|margins| margins.bounds(bbox, frame.original, spread.as_ref()));
    Ok(Localization {
        class,
        name: meta.classes[class].clone(),
        confidence: probs[class],
        presence: presence_logit.map(presence),
        bbox,
        expected_iou: meta.expected_iou.zip(spread).map(|(model, spread)| model.of(&spread)),
        outer: bounds.map(|Bounds { outer, .. }| outer),
        inner: bounds.and_then(|Bounds { inner, .. }| inner),
        novelty: None,
        probs,
        width: frame.original.width,
        height: frame.original.height,
    })
}

/// The softmax of the logits divided by a temperature above 0.
#[must_use]
pub fn probabilities(logits: &[f32], temperature: f32) -> Vec<f32> {
    // The class on a tie, and every bit of a model without a temperature, stay as they are.
    if temperature == 1.0 {
        return softmax(logits);
    }
    softmax(&logits.iter().map(|logit| logit / temperature).collect::<Vec<f32>>())
}

/// The probability of presence of a logit, `1 / (1 + exp(−logit))`.
#[must_use]
pub fn presence(logit: f32) -> f32 {
    narrow(1.0 / (1.0 + (-f64::from(logit)).exp()))
}

/// `exp(xᵢ) / Σⱼ exp(xⱼ)`, in f64 and relative to the largest value, so that nothing overflows.
///
/// If the logits are logarithms of probabilities, the result is these probabilities.
#[must_use]
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|l| (f64::from(*l) - f64::from(highest)).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|e| narrow(e / sum)).collect()
}

/// Index of the largest value, the first one on a tie; 0 for an empty slice.
#[must_use]
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InputSpec;
    use crate::confidence::{ExpectedIou, MarginUnit, Margins};

    fn close(got: &[f32], expected: &[f32]) {
        assert_eq!(got.len(), expected.len());
        for (g, e) in got.iter().zip(expected) {
            assert!((g - e).abs() < 1e-6, "{got:?}, expected {expected:?}");
        }
    }

    #[test]
    fn softmax_of_known_logits() {
        close(&softmax(&[0.0, 0.0]), &[0.5, 0.5]);
        close(&softmax(&[1.0, 2.0, 3.0]), &[0.090_030_57, 0.244_728_47, 0.665_240_96]);
        close(&softmax(&[1e4, -1e4]), &[1.0, 0.0]);
        close(&softmax(&[f32::NEG_INFINITY, 5.0]), &[0.0, 1.0]);
        close(&softmax(&[0.2_f32.ln(), 0.7_f32.ln(), 0.1_f32.ln()]), &[0.2, 0.7, 0.1]);
        close(&softmax(&[-3.0]), &[1.0]);
        assert!(softmax(&[]).is_empty());
    }

    #[test]
    fn argmax_is_the_first_of_equal_values() {
        assert_eq!(argmax(&[0.3, 0.4, 0.4]), 1);
        assert_eq!(argmax(&[0.5, 0.5]), 0);
        assert_eq!(argmax(&[]), 0);
    }

    fn meta() -> ModelMeta {
        ModelMeta::new(vec!["cat".into(), "dog".into()], InputSpec::default()).unwrap()
    }

    fn output(logits: &[f32], bbox: [f32; 4]) -> PhotoOutput<'_> {
        PhotoOutput { logits, bbox, ..PhotoOutput::default() }
    }

    fn frame() -> Frame {
        let original = ImageSize { width: 500, height: 375 };
        Frame::of(original, &InputSpec::default())
    }

    #[test]
    fn a_prediction_has_an_ordered_clipped_box_and_a_class_name() {
        let found = localize(&meta(), &frame(), output(&[0.0, 3.0_f32.ln()], [0.8, -0.1, 0.2, 1.5])).unwrap();
        assert_eq!((found.class, found.name.as_str()), (1, "dog"));
        close(&found.probs, &[0.25, 0.75]);
        assert_eq!(found.confidence, found.probs[1]);
        close(&found.bbox.xyxy(), &[100.0, 0.0, 400.0, 375.0]);
        assert_eq!((found.width, found.height), (500, 375));
    }

    #[test]
    fn a_temperature_changes_probabilities_only() {
        // Logits of (0, ln 9) at temperature 2: odds of √9 to 1.
        let logits = [0.0, 9.0_f32.ln()];
        let warm = ModelMeta { temperature: 2.0, ..meta() };
        let unit = [0.0, 0.0, 1.0, 1.0];
        let [cold, warm] =
            [meta(), warm].map(|meta| localize(&meta, &frame(), output(&logits, unit)).unwrap());
        close(&cold.probs, &[0.1, 0.9]);
        close(&warm.probs, &[0.25, 0.75]);
        assert_eq!((warm.class, warm.bbox), (cold.class, cold.bbox));
    }

    #[test]
    fn invalid_output_is_refused() {
        let inf = f32::INFINITY;
        let unit = [0.0, 0.0, 1.0, 1.0];
        for (logits, bbox, expected) in [
            (&[0.0][..], unit, "logits: 1 values, but the model has 2 classes"),
            (&[f32::NAN, 0.0], unit, "not finite"),
            (&[inf, 0.0], unit, "not finite"),
            (&[-inf, -inf], unit, "not finite"),
            (&[0.0, 0.0], [0.0, f32::NAN, 1.0, 1.0], "box"),
            (&[0.0, 0.0], [0.0, 0.0, inf, 1.0], "box"),
        ] {
            let message = localize(&meta(), &frame(), output(logits, bbox)).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        assert!(localize(&meta(), &frame(), output(&[-inf, 0.0], unit)).is_ok(), "a probability of 0");
    }

    #[test]
    fn a_calibrated_model_says_how_far_its_box_can_be_trusted() {
        let margins = Margins { coverage: 0.9, photos: 9, unit: MarginUnit::Edges, quantile: 1.0 };
        let expected_iou = ExpectedIou { intercept: 0.0, slope: -1.0 };
        let calibrated = ModelMeta { margins: Some(margins), expected_iou: Some(expected_iou), ..meta() };
        let edges = vec![0.0; EdgeSpread::LOGITS];
        let given = PhotoOutput { edges: &edges, ..output(&[0.0, 1.0], [0.25, 0.25, 0.75, 0.75]) };
        let found = localize(&calibrated, &frame(), given).unwrap();
        let size = frame().original;
        let spread = EdgeSpread::of(&edges);
        assert_eq!(found.expected_iou, spread.map(|spread| expected_iou.of(&spread)));
        let bounds = margins.bounds(found.bbox, size, spread.as_ref()).unwrap();
        assert_eq!((found.outer, found.inner), (Some(bounds.outer), bounds.inner));
        // An engine without distributions: what needs them is left out.
        let plain = localize(&calibrated, &frame(), PhotoOutput { edges: &[], ..given }).unwrap();
        assert_eq!((plain.expected_iou, plain.outer, plain.inner), (None, None, None));
        let of_box = Margins { unit: MarginUnit::Box, ..margins };
        let of_box = ModelMeta { margins: Some(of_box), ..calibrated.clone() };
        assert!(localize(&of_box, &frame(), PhotoOutput { edges: &[], ..given }).unwrap().outer.is_some());
        for edges in [&edges[1..], &[f32::NAN; EdgeSpread::LOGITS]] {
            let error = localize(&calibrated, &frame(), PhotoOutput { edges, ..given }).unwrap_err();
            assert!(error.to_string().contains("edges"), "{error}");
        }
    }
}
