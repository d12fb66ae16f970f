//! Margins around a predicted box, between which the true box lies with a given probability: split conformal prediction (Vovk,
//! Gammerman, Shafer 2005, Algorithmic Learning in a Random World; for boxes de Grancey et al. 2022 and Timans et al. 2024).

use serde::{Deserialize, Serialize};

use super::EdgeSpread;
use crate::bbox::narrow;
use crate::{BBox, ImageSize};

/// The margins of a model: with probability `coverage` the true box of a photo contains the inner box and lies in the outer
/// one. This holds for all four edges at once, for photos of the same kind as those that the margins were fitted to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margins {
    /// The probability, above 0 and below 1.
    pub coverage: f64,
    /// Number of photos that they were fitted to.
    pub photos: usize,
    /// What the margins are measured in.
    pub unit: MarginUnit,
    /// The margin of each edge, in its unit; 0 or more.
    pub quantile: f64,
}

/// The unit that the margin of an edge is measured in; it differs from photo to photo and from edge to edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarginUnit {
    /// √(box · photo), where box and photo are the widths (for x) or heights (for y) of the predicted box and of the photo.
    Box,
    /// The standard deviation of the edge's predicted distribution, plus 0.06 of the unit `Box`, below which annotations
    /// differ anyway.
    Edges,
}

/// The part of the unit `Box` in the unit `Edges`.
const BOX_PART: f64 = 0.06;
/// The smallest side of a box that a unit is computed from, in sides of the photo.
const LEAST_SIDE: f64 = 0.01;

/// The boxes that enclose the true box with the probability of the margins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Contains the true box; inside the photo.
    pub outer: BBox,
    /// Lies in the true box; none if the margins are so wide that no such box is certain enough.
    pub inner: Option<BBox>,
}

impl MarginUnit {
    /// The unit of each edge, in pixels; above 0. None if the unit needs the edges' distributions and there are none.
    #[must_use]
    pub fn lengths(self, bbox: BBox, size: ImageSize, spread: Option<&EdgeSpread>) -> Option<[f64; 4]> {
        let [x1, y1, x2, y2] = bbox.xyxy().map(f64::from);
        let photo = [size.width, size.height].map(|side| f64::from(side.max(1)));
        let sides = [x2 - x1, y2 - y1];
        let side = |edge: usize| sides[edge % 2].max(LEAST_SIDE * photo[edge % 2]);
        let of_box = |edge: usize| (side(edge) * photo[edge % 2]).sqrt();
        match self {
            Self::Box => Some([0, 1, 2, 3].map(of_box)),
            Self::Edges => {
                let EdgeSpread(spread) = spread?;
                Some([0, 1, 2, 3].map(|edge| spread[edge] * side(edge) + BOX_PART * of_box(edge)))
            }
        }
    }

    /// How far the true box is from the predicted one: the largest distance of an edge from its prediction, in its unit.
    #[must_use]
    pub fn score(self, bbox: BBox, truth: BBox, size: ImageSize, spread: Option<&EdgeSpread>) -> Option<f64> {
        let lengths = self.lengths(bbox, size, spread)?;
        let distances = bbox.xyxy().into_iter().zip(truth.xyxy()).map(|(a, b)| f64::from(a) - f64::from(b));
        Some(distances.zip(lengths).map(|(distance, length)| distance.abs() / length).fold(0.0, f64::max))
    }
}

impl Margins {
    /// The outer and the inner box of a predicted box, in pixels of the upright photo. None if the unit needs the edges'
    /// distributions and there are none.
    #[must_use]
    pub fn bounds(&self, bbox: BBox, size: ImageSize, spread: Option<&EdgeSpread>) -> Option<Bounds> {
        let lengths = self.unit.lengths(bbox, size, spread)?;
        // The signs move the edges outwards.
        let moved =
            |direction: f64| {
                let edges = bbox.xyxy().map(f64::from);
                let outwards = [-1.0, -1.0, 1.0, 1.0];
                BBox::from([0, 1, 2, 3].map(|edge| {
                    narrow(edges[edge] + direction * outwards[edge] * self.quantile * lengths[edge])
                }))
            };
        let inner = moved(-1.0);
        let exists = inner.x1 < inner.x2 && inner.y1 < inner.y2;
        Some(Bounds { outer: moved(1.0).clip(size), inner: exists.then_some(inner) })
    }

    /// Whether all values are in their ranges.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let quantile = self.quantile.is_finite() && self.quantile >= 0.0;
        self.coverage > 0.0 && self.coverage < 1.0 && quantile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ImageSize = ImageSize { width: 400, height: 100 };
    /// 100 wide and 25 high: a quarter of the photo, so that the unit `Box` is half of the photo's sides: 200 and 50.
    const BOX: BBox = BBox { x1: 100.0, y1: 10.0, x2: 200.0, y2: 35.0 };

    fn margins(unit: MarginUnit, quantile: f64) -> Margins {
        Margins { coverage: 0.9, photos: 99, unit, quantile }
    }

    #[test]
    fn outer_and_inner_boxes_by_hand() {
        let bounds = margins(MarginUnit::Box, 0.125).bounds(BOX, SIZE, None).unwrap();
        assert_eq!(bounds.outer, BBox::new(75.0, 3.75, 225.0, 41.25));
        assert_eq!(bounds.inner, Some(BBox::new(125.0, 16.25, 175.0, 28.75)));
        let wide = margins(MarginUnit::Box, 0.25).bounds(BOX, SIZE, None).unwrap();
        assert_eq!((wide.outer, wide.inner), (BBox::new(50.0, 0.0, 250.0, 47.5), None), "clipped, and empty");
        let none = margins(MarginUnit::Box, 0.0).bounds(BOX, SIZE, None).unwrap();
        assert_eq!((none.outer, none.inner), (BOX, Some(BOX)));
    }

    #[test]
    fn uncertain_edges_have_wide_margins() {
        let spread = EdgeSpread([0.08, 0.0, 0.0, 0.0]);
        assert_eq!(MarginUnit::Edges.lengths(BOX, SIZE, Some(&spread)), Some([20.0, 3.0, 12.0, 3.0]));
        let bounds = margins(MarginUnit::Edges, 1.0).bounds(BOX, SIZE, Some(&spread)).unwrap();
        assert_eq!(bounds.outer, BBox::new(80.0, 7.0, 212.0, 38.0));
        assert_eq!(margins(MarginUnit::Edges, 1.0).bounds(BOX, SIZE, None), None);
    }

    #[test]
    fn the_score_is_the_smallest_margin_that_covers() {
        let truth = BBox::new(110.0, 10.0, 150.0, 40.0);
        let score = MarginUnit::Box.score(BOX, truth, SIZE, None).unwrap();
        assert_eq!(score, 0.25, "50 of 200 at the right, 5 of 50 at the bottom");
        let bounds = margins(MarginUnit::Box, score).bounds(BOX, SIZE, None).unwrap();
        assert!(bounds.outer.x2 >= truth.x2 && bounds.outer.y2 >= truth.y2);
        let flat = BBox::new(50.0, 50.0, 50.0, 50.0);
        assert!(MarginUnit::Box.score(flat, truth, SIZE, None).unwrap().is_finite(), "a box without area");
    }
}
