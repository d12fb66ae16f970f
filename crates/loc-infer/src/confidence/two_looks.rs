//! The box of two looks.

use super::EdgeSpread;
use crate::BBox;
use crate::bbox::narrow;

/// A look's box in pixels of the photo, and the spread of its edges; none if its head or its engine gives no distributions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LookBox {
    /// The box.
    pub bbox: BBox,
    /// The spread of its edges.
    pub spread: Option<EdgeSpread>,
}

impl LookBox {
    /// The mean variance of the edges, in square pixels.
    fn variance(&self) -> Option<f64> {
        let EdgeSpread(spread) = self.spread?;
        let sides =
            [self.bbox.x2 - self.bbox.x1, self.bbox.y2 - self.bbox.y1].map(|side| f64::from(side.max(1.0)));
        let squares = spread.iter().enumerate().map(|(edge, s)| (s * sides[edge % 2]).powi(2));
        Some(squares.sum::<f64>() / 4.0).filter(|variance| *variance > 0.0 && variance.is_finite())
    }

    /// The box of a first and a second look: their mean, weighted by the inverse of their variances, as independent
    /// measurements are. The second box if a variance is unknown.
    #[must_use]
    pub fn combine(first: &Self, second: &Self) -> BBox {
        let (Some(of_first), Some(of_second)) = (first.variance(), second.variance()) else {
            return second.bbox;
        };
        let share = of_second / (of_first + of_second);
        let ([a, b], mut edges) = ([first.bbox, second.bbox].map(BBox::xyxy), [0.0; 4]);
        for (edge, (a, b)) in edges.iter_mut().zip(a.into_iter().zip(b)) {
            *edge = narrow(share * f64::from(a) + (1.0 - share) * f64::from(b));
        }
        BBox::from(edges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_certain_look_counts_more() {
        let look = |x1: f32, spread: f64| LookBox {
            bbox: BBox::new(x1, 0.0, x1 + 100.0, 50.0),
            spread: Some(EdgeSpread([spread; 4])),
        };
        let combined = |first, second| LookBox::combine(&first, &second).xyxy();
        assert_eq!(combined(look(0.0, 0.1), look(10.0, 0.1)), [5.0, 0.0, 105.0, 50.0]);
        // Three times the deviation: a tenth of the weight.
        assert_eq!(combined(look(0.0, 0.3), look(10.0, 0.1)), [9.0, 0.0, 109.0, 50.0]);
        assert_eq!(combined(look(0.0, 0.1), look(10.0, 0.3)), [1.0, 0.0, 101.0, 50.0]);
        let unknown = LookBox { spread: None, ..look(0.0, 0.1) };
        assert_eq!(combined(unknown, look(10.0, 0.1)), [10.0, 0.0, 110.0, 50.0]);
        assert_eq!(combined(look(10.0, 0.1), unknown), unknown.bbox.xyxy());
        assert_eq!(combined(look(0.0, 0.1), look(10.0, f64::NAN)), [10.0, 0.0, 110.0, 50.0]);
    }
}
