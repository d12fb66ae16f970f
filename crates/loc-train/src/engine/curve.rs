//! The learning curve: heads on a quarter and on half of the training photos beside those of the run, on the same validation
//! photos.

use std::fmt;

use loc_data::{Dataset, Split, split};
use loc_model::Model;

use crate::config::Config;
use crate::engine::heads::{self, Answer};
use crate::engine::setup::Prepared;
use crate::error::{ConfigError, TrainError};
use crate::eval::{Gain, bootstrap};
use crate::event::{Event, Stop};
use crate::input::BatchSource;
use crate::run::Run;

/// The parts that the training photos are divided into: one of them is a quarter, two are half.
const PARTS: usize = 4;

/// What heads reach with a quarter, half, and all of the training photos.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LearningCurve {
    /// The three points, with increasing numbers of photos.
    pub points: Vec<CurvePoint>,
    /// The gain of accuracy from half to all photos: the mean paired difference on the validation photos, and its 95 %
    /// interval. It covers the choice of validation photos, not the randomness of training.
    pub accuracy_gain: (f64, [f64; 2]),
    /// Likewise of the mean IoU.
    pub iou_gain: (f64, [f64; 2]),
    /// Number of validation photos.
    pub val: usize,
}

/// What heads reach with so many training photos.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct CurvePoint {
    /// Training photos.
    pub photos: usize,
    /// Fraction of validation photos with the right class.
    pub accuracy: f64,
    /// Mean IoU on the validation photos.
    pub mean_iou: f64,
}

/// Whether more photos would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MorePhotos {
    /// The step from half to all photos gained, beyond chance.
    Help,
    /// It gained at most 0.01, beyond chance.
    HardlyHelp,
    /// The validation photos do not decide it.
    Open,
}

impl LearningCurve {
    /// Whether more photos would help, by the step from half to all.
    #[must_use]
    pub fn more_photos(&self) -> MorePhotos {
        match Gain::of(&[self.accuracy_gain.1, self.iou_gain.1]) {
            Gain::Certain => MorePhotos::Help,
            Gain::Hardly => MorePhotos::HardlyHelp,
            Gain::Open => MorePhotos::Open,
        }
    }
}

impl fmt::Display for LearningCurve {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "training photos   accuracy   mean IoU")?;
        for CurvePoint { photos, accuracy, mean_iou } in &self.points {
            writeln!(f, "{photos:>15} {accuracy:>10.3} {mean_iou:>10.3}")?;
        }
        let gain = |(mean, [low, high]): (f64, [f64; 2])| format!("{mean:+.3} ({low:+.3} to {high:+.3})");
        let verdict = match self.more_photos() {
            MorePhotos::Help => "more photos would help, each further doubling probably less than this one",
            MorePhotos::HardlyHelp => "more photos of this kind would hardly help",
            MorePhotos::Open => "whether more photos would help is open",
        };
        let [.., half, all] = &*self.points else { return Ok(()) };
        write!(
            f,
            "From {} to {} photos accuracy changed by {}, mean IoU by {}, with 95 % intervals over {} validation photos: {verdict}.",
            half.photos,
            all.photos,
            gain(self.accuracy_gain),
            gain(self.iou_gain),
            self.val
        )
    }
}

/// The points before the last, and what the last needs once the run is done.
pub(crate) struct Curve {
    /// For a quarter and for half: the number of photos, and the answers to the validation photos.
    parts: Vec<(usize, Vec<Answer>)>,
    train: usize,
    val: BatchSource,
    model: Model,
    /// Whether the model is the second look of the run's.
    is_second: bool,
    batch: usize,
}

impl Curve {
    /// Checks that a curve can be made of a configuration.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] if it trains the backbone.
    pub(crate) fn check(config: &Config) -> Result<(), TrainError> {
        match config.backbone_lr == 0.0 {
            true => Ok(()),
            false => Err(TrainError::config("curve", ConfigError::CurveNeedsFrozen)),
        }
    }

    /// Trains heads on a quarter and on half of the photos, as the run's are trained.
    pub(crate) fn begin(
        config: &Config,
        prepared: &Prepared,
        stop: &Stop,
        on: &mut dyn FnMut(Event),
    ) -> Result<Self, TrainError> {
        Self::check(config)?;
        let Prepared { dataset, split, model, train, val, .. } = prepared;
        let missing = || TrainError::config("curve", ConfigError::CurveNeedsFrozen);
        let mut parts = Vec::new();
        for count in [1, 2] {
            let photos = first_quarters(dataset, &split.train, count, config.seed)?;
            let feed = train.part(&photos).ok_or_else(missing)?;
            let mut tell = |_| if stop.is_requested() { Err(TrainError::Stopped) } else { Ok(()) };
            let heads = heads::train(config, dataset, model.copy()?, &feed, &mut tell)?;
            parts.push((photos.len(), heads::answers(&heads, val, config.batch)?));
            on(Event::Note(format!("learning curve: heads trained on {} photos", photos.len())));
        }
        Ok(Self {
            parts,
            train: split.train.len(),
            val: val.part(&split.val).ok_or_else(missing)?.alone(),
            model: model.copy()?,
            is_second: prepared.first.is_some(),
            batch: config.batch,
        })
    }

    /// The curve with the finished run's last model as its last point.
    pub(crate) fn end(self, run: &Run) -> Result<Option<LearningCurve>, TrainError> {
        let weights = loc_model::weights::load(&run.last())?.weights;
        let weights = if self.is_second { weights.split_looks(self.model.network()).1 } else { weights };
        self.model.set_weights(&weights)?;
        let mut parts = self.parts;
        parts.push((self.train, heads::answers(&self.model, &self.val, self.batch)?));
        Ok(curve_of(&parts))
    }
}

/// Returns the samples in the first `count` of four parts: copies of a photo stay together, classes keep their proportions.
///
/// # Errors
///
/// [`TrainError::Data`] if there are too few photos.
pub fn first_quarters(
    dataset: &Dataset,
    train: &[usize],
    count: usize,
    seed: u64,
) -> Result<Vec<usize>, TrainError> {
    let whole = Split { train: train.to_vec(), ..Split::default() };
    let mut photos = Vec::new();
    for index in 1..=count {
        let fold = split::Fold { index, count: PARTS };
        photos.extend(split::fold(dataset, &whole, fold, seed)?.val);
    }
    photos.sort_unstable();
    Ok(photos)
}

/// The curve of these answers to the same photos; none without photos.
fn curve_of(parts: &[(usize, Vec<Answer>)]) -> Option<LearningCurve> {
    let right = |answer: &Answer| f64::from(u8::from(answer.is_right()));
    let iou = |answer: &Answer| answer.iou;
    let mean = |answers: &[Answer], of: &dyn Fn(&Answer) -> f64| {
        answers.iter().map(of).sum::<f64>() / answers.len() as f64
    };
    let [.., (_, half), (_, all)] = parts else { return None };
    let differences: Vec<[f64; 2]> =
        half.iter().zip(all).map(|(half, all)| [right(all) - right(half), all.iou - half.iou]).collect();
    let [accuracy, overlap] = bootstrap(&differences)?;
    let gain = |of: &dyn Fn(&Answer) -> f64, interval| (mean(all, of) - mean(half, of), interval);
    Some(LearningCurve {
        points: parts
            .iter()
            .map(|(photos, answers)| CurvePoint {
                photos: *photos,
                accuracy: mean(answers, &right),
                mean_iou: mean(answers, &iou),
            })
            .collect(),
        accuracy_gain: gain(&right, accuracy),
        iou_gain: gain(&iou, overlap),
        val: all.len(),
    })
}

#[cfg(test)]
mod tests {
    use loc_infer::NormBox;

    use super::*;

    /// Answers to `n` photos, of which this share has the right class, with boxes of this height.
    fn answers(n: usize, right: f64, height: f32) -> Vec<Answer> {
        (0..n)
            .map(|i| {
                let is_right = (i * 7919 % n) as f64 / (n as f64) < right;
                let height = height + 0.001 * (i % 7) as f32;
                Answer {
                    sample: i,
                    label: 0,
                    probabilities: if is_right { vec![0.9, 0.1] } else { vec![0.1, 0.9] },
                    bbox: NormBox::new(0.0, 0.0, 1.0, height),
                    iou: f64::from(height),
                    deviation: None,
                }
            })
            .collect()
    }

    #[test]
    fn the_step_from_half_to_all_decides_with_its_uncertainty() {
        for (what, n, half, all, expected) in [
            ("a clear gain", 240, (0.80, 0.7), (0.95, 0.8), MorePhotos::Help),
            ("of the box alone", 240, (0.90, 0.7), (0.90, 0.75), MorePhotos::Help),
            ("none", 240, (0.97, 0.9), (0.97, 0.9), MorePhotos::HardlyHelp),
            ("a gain that chance may have made", 20, (0.80, 0.7), (0.85, 0.7), MorePhotos::Open),
        ] {
            let parts = [
                (240, answers(n, 0.5, 0.5)),
                (480, answers(n, half.0, half.1)),
                (960, answers(n, all.0, all.1)),
            ];
            let curve = curve_of(&parts).unwrap();
            assert_eq!(curve.more_photos(), expected, "{what}: {curve:?}");
            let text = curve.to_string();
            assert!(text.contains("From 480 to 960 photos") && text.lines().count() == 5, "{text}");
            assert!((curve.accuracy_gain.0 - (all.0 - half.0)).abs() < 0.02, "{what}: {curve:?}");
        }
        assert_eq!(curve_of(&[(1, Vec::new()), (2, Vec::new())]), None);
    }
}
