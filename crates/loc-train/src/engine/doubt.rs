//! How much answers doubt the annotations: of the class by confident learning, of the box by its distance.

use crate::engine::heads::Answer;

/// What is doubted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoubtReason {
    /// The annotated class.
    Class,
    /// The annotated box.
    Box,
}

/// The doubt about an annotation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Doubt {
    pub(crate) reason: DoubtReason,
    /// 0..1
    pub(crate) score: f64,
    pub(crate) is_suspect: bool,
}

/// The doubts about the annotations of these answers.
///
/// A class is suspect by confident learning (Northcutt et al. 2021): another class has at least the mean probability that it
/// has for photos annotated with it, and a larger one than the annotated class. The score is 1 minus the probability of the
/// annotated class.
///
/// A box is suspect if its distance from the predicted one is an outlier by Tukey's rule: above the third quartile by more
/// than 1.5 times the distance of the quartiles, d. The distance is counted in the standard deviations that the heads predict
/// for each edge, so a photo that is hard for them is not suspect for that alone; without such predictions it is 1 − IoU. The
/// score is z / (1 + z), where z is the excess over the quartile in units of d.
pub(crate) fn of(answers: &[Answer], classes: usize) -> Vec<Doubt> {
    let thresholds = class_thresholds(answers, classes);
    let distance = |answer: &Answer| answer.deviation.unwrap_or(1.0 - answer.iou);
    let mut distances: Vec<f64> = answers.iter().map(distance).collect();
    distances.sort_by(f64::total_cmp);
    let quartile = |k: usize| distances.get(distances.len() * k / 4).copied().unwrap_or_default();
    let (q3, spread) = (quartile(3), (quartile(3) - quartile(1)).max(1e-3));
    let doubt = |answer: &Answer| {
        let class = class_doubt(answer, &thresholds);
        let z = ((distance(answer) - q3) / spread).max(0.0);
        let bbox = Doubt { reason: DoubtReason::Box, score: z / (1.0 + z), is_suspect: z > 1.5 };
        // What is suspect is named, and of two the stronger.
        let order = |doubt: &Doubt| (doubt.is_suspect, doubt.score);
        if order(&class) >= order(&bbox) { class } else { bbox }
    };
    answers.iter().map(doubt).collect()
}

/// For each class the mean probability of photos annotated with it.
fn class_thresholds(answers: &[Answer], classes: usize) -> Vec<f64> {
    let mut sums = vec![(0.0, 0_u32); classes];
    for answer in answers {
        if let (Some((sum, n)), Some(p)) =
            (sums.get_mut(answer.label), answer.probabilities.get(answer.label))
        {
            *sum += f64::from(*p);
            *n += 1;
        }
    }
    // A class without photos is never suspected.
    sums.into_iter().map(|(sum, n)| if n > 0 { sum / f64::from(n) } else { 2.0 }).collect()
}

fn class_doubt(answer: &Answer, thresholds: &[f64]) -> Doubt {
    let own = answer.probabilities.get(answer.label).copied().unwrap_or_default();
    let other = |(class, p): (usize, &f32)| {
        class != answer.label && *p > own && f64::from(*p) >= thresholds.get(class).copied().unwrap_or(2.0)
    };
    let is_suspect = answer.probabilities.iter().enumerate().any(other);
    Doubt { reason: DoubtReason::Class, score: 1.0 - f64::from(own), is_suspect }
}

#[cfg(test)]
mod tests {
    use loc_infer::NormBox;

    use super::*;

    fn answer(sample: usize, label: usize, cat: f32, bbox: NormBox) -> Answer {
        let iou = f64::from(bbox.iou(&NormBox::new(0.2, 0.2, 0.8, 0.8)));
        Answer { sample, label, probabilities: vec![cat, 1.0 - cat], bbox, iou, deviation: None }
    }

    #[test]
    fn a_wrong_class_and_a_shifted_box_are_suspect_and_the_others_are_not() {
        let near = |i: usize| NormBox::new(0.2, 0.2, 0.8, 0.72 + 0.01 * (i % 8) as f32);
        let mut all: Vec<Answer> =
            (0..40).map(|i| answer(i, i % 2, if i % 2 == 0 { 0.9 } else { 0.15 }, near(i))).collect();
        all.push(answer(40, 1, 0.97, near(0)));
        all.push(answer(41, 0, 0.9, NormBox::new(0.35, 0.35, 0.95, 0.95)));
        // Less sure than usual of the other class: no suspicion.
        all.push(answer(42, 1, 0.6, near(0)));
        let doubts = of(&all, 2);
        let suspects: Vec<(usize, DoubtReason)> =
            doubts.iter().enumerate().filter(|(_, d)| d.is_suspect).map(|(i, d)| (i, d.reason)).collect();
        assert_eq!(suspects, [(40, DoubtReason::Class), (41, DoubtReason::Box)], "{doubts:?}");
        assert!(doubts.iter().all(|doubt| (0.0..=1.0).contains(&doubt.score)));
        assert!(of(&[], 2).is_empty());
    }

    #[test]
    fn one_class_leaves_only_boxes_to_doubt() {
        let truth = NormBox::new(0.2, 0.2, 0.8, 0.8);
        let one = |bbox: NormBox| {
            let iou = f64::from(bbox.iou(&truth));
            Answer { sample: 0, label: 0, probabilities: vec![1.0], bbox, iou, deviation: None }
        };
        let mut all = vec![one(truth); 9];
        all.push(one(NormBox::new(0.0, 0.0, 0.3, 0.3)));
        let doubts = of(&all, 1);
        assert!(doubts[..9].iter().all(|doubt| !doubt.is_suspect));
        assert!(doubts[9].is_suspect && doubts[9].reason == DoubtReason::Box, "{:?}", doubts[9]);
    }
}
