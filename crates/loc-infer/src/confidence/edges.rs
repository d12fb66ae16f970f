//! How far the distributions of a box's edges are spread out.

/// How uncertain each edge of a box is, by its predicted distribution: the standard deviation of x1, y1, x2 and y2, as a
/// fraction of the box's width (x) or height (y). Fractions, so that they are the same in every crop and scale.
///
/// If the box is the mean of several boxes, the deviation is that of the mixture of their distributions: it includes how far
/// the boxes disagree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EdgeSpread(pub [f64; 4]);

/// Distances between neighbouring positions: one less than [`EdgeSpread::BINS`].
const STEPS: f64 = 16.0;
/// The smallest side that deviations are divided by, in sides of the input.
const LEAST_SIDE: f64 = 0.02;

impl EdgeSpread {
    /// Number of positions of a distribution, equally spaced from 0 to 1.
    pub const BINS: usize = 17;
    /// Number of logits of a box: four edges.
    pub const LOGITS: usize = 4 * Self::BINS;

    /// The spread of one photo's distributions, given as their logits: those of x1, y1, x2 and y2 of one box or of several.
    ///
    /// None without logits, if their number is not a multiple of [`EdgeSpread::LOGITS`], or if the logits of an edge are not
    /// those of a distribution: one is NaN or +∞, or all are −∞.
    #[must_use]
    pub fn of(logits: &[f32]) -> Option<Self> {
        if logits.is_empty() || !logits.len().is_multiple_of(Self::LOGITS) {
            return None;
        }
        // Means over the boxes, as the distributions are mixed with equal weights.
        let mut first = [0.0; 4];
        let mut second = [0.0; 4];
        let mut boxes = 0.0;
        for of_box in logits.chunks_exact(Self::LOGITS) {
            boxes += 1.0;
            for (edge, logits) in of_box.chunks_exact(Self::BINS).enumerate() {
                let [mean, square] = moments(logits);
                first[edge] += mean;
                second[edge] += square;
            }
        }
        let mean = first.map(|sum| sum / boxes);
        let sides = [mean[2] - mean[0], mean[3] - mean[1]];
        let spread = [0, 1, 2, 3].map(|edge| {
            let variance = (second[edge] / boxes - mean[edge] * mean[edge]).max(0.0);
            variance.sqrt() / sides[edge % 2].max(LEAST_SIDE)
        });
        // `max` turns a NaN into a number: the moments tell.
        mean.iter().chain(&second).all(|v| v.is_finite()).then_some(Self(spread))
    }
}

/// The first two moments of the distribution over positions from 0 to 1.
fn moments(logits: &[f32]) -> [f64; 2] {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut first, mut second, mut position) = (0.0, 0.0, 0.0, 0.0);
    let step = 1.0 / STEPS;
    for logit in logits {
        let power = (f64::from(*logit) - f64::from(highest)).exp();
        sum += power;
        first += power * position;
        second += power * position * position;
        position += step;
    }
    [first / sum, second / sum]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distributions with equal probabilities at two positions each.
    fn between(edges: [(usize, usize); 4]) -> Vec<f32> {
        let mut logits = vec![-1000.0; EdgeSpread::LOGITS];
        for (edge, (a, b)) in edges.into_iter().enumerate() {
            logits[edge * EdgeSpread::BINS + a] = 3.0;
            logits[edge * EdgeSpread::BINS + b] = 3.0;
        }
        logits
    }

    fn close(spread: EdgeSpread, expected: [f64; 4]) {
        assert!(spread.0.iter().zip(expected).all(|(s, e)| (s - e).abs() < 1e-9), "{spread:?} {expected:?}");
    }

    #[test]
    fn the_deviation_in_sides_of_the_box_by_hand() {
        // Edges at 1/16, 4/16, 9/16 and 12/16: 8/16 wide and high. ±1/16 is 1/8 of that.
        let one = between([(0, 2), (4, 4), (8, 10), (12, 12)]);
        close(EdgeSpread::of(&one).unwrap(), [0.125, 0.0, 0.125, 0.0]);
        // A second box that differs by 2/16 at the top: the mean is 3/16 and the deviation 1/16 of 9/16.
        let two = between([(0, 2), (2, 2), (8, 10), (12, 12)]);
        close(EdgeSpread::of(&[one, two].concat()).unwrap(), [0.125, 1.0 / 9.0, 0.125, 0.0]);
    }

    #[test]
    fn a_box_without_sides_has_a_finite_spread() {
        let spread = EdgeSpread::of(&between([(8, 8), (0, 16), (8, 8), (0, 16)])).unwrap();
        close(spread, [0.0, 0.5 / LEAST_SIDE, 0.0, 0.5 / LEAST_SIDE]);
    }

    #[test]
    fn what_is_no_distribution_has_no_spread() {
        let good = between([(0, 2), (4, 4), (8, 10), (12, 12)]);
        assert_eq!(EdgeSpread::of(&[]), None);
        assert_eq!(EdgeSpread::of(&good[1..]), None);
        for bad in [f32::NAN, f32::INFINITY] {
            let mut logits = good.clone();
            logits[40] = bad;
            assert_eq!(EdgeSpread::of(&logits), None, "{bad}");
        }
        assert_eq!(EdgeSpread::of(&[f32::NEG_INFINITY; EdgeSpread::LOGITS]), None);
    }
}
