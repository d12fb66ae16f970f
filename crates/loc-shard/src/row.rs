//! The row of a photo: its answer or its error.

use loc_infer::{Answer, Error};

/// One row of the results. What an answer does not have is `None`; boxes are in pixels of the upright photo.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// The path, as it is in the manifest.
    pub path: String,
    /// Width of the upright photo.
    pub width: Option<i32>,
    /// Height of the upright photo.
    pub height: Option<i32>,
    /// Index of the class.
    pub class: Option<i32>,
    /// Name of the class.
    pub name: Option<String>,
    /// Probability of the class, 0..=1.
    pub confidence: Option<f32>,
    /// Probability that there is an object, 0..=1; of models that were trained with photos without one.
    pub presence: Option<f32>,
    /// Left edge.
    pub x1: Option<f32>,
    /// Upper edge.
    pub y1: Option<f32>,
    /// Right edge.
    pub x2: Option<f32>,
    /// Lower edge.
    pub y2: Option<f32>,
    /// The IoU that the box can be expected to have, 0..=1; of calibrated models.
    pub expected_iou: Option<f32>,
    /// Why there is no answer.
    pub error: Option<String>,
}

impl Row {
    /// The row of a photo.
    pub(crate) fn of(path: String, result: Result<Answer, Error>) -> Self {
        // Photos are at most some ten thousand pixels wide, and classes fewer.
        let int = |n: u32| i32::try_from(n).ok();
        match result {
            Ok(Answer::Found(found)) => Self {
                path,
                width: int(found.width),
                height: int(found.height),
                class: i32::try_from(found.class).ok(),
                name: Some(found.name),
                confidence: Some(found.confidence),
                presence: found.presence,
                x1: Some(found.bbox.x1),
                y1: Some(found.bbox.y1),
                x2: Some(found.bbox.x2),
                y2: Some(found.bbox.y2),
                expected_iou: found.expected_iou,
                error: None,
            },
            Ok(Answer::Absent(absent)) => Self {
                path,
                width: int(absent.width),
                height: int(absent.height),
                presence: Some(absent.presence),
                ..Self::default()
            },
            Err(error) => Self { path, error: Some(error.reason().to_string()), ..Self::default() },
        }
    }
}
