//! Boxes and sizes: pixels of the upright photo and fractions of it, and the operations on them.
//! [`Frame`](crate::Frame) maps a box through a resize.

use serde::{Deserialize, Serialize};

/// Width and height of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageSize {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl ImageSize {
    /// Returns whether the image has no pixels.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The size of an image in memory.
    #[must_use]
    pub fn of(image: &image::RgbImage) -> Self {
        Self { width: image.width(), height: image.height() }
    }
}

impl std::fmt::Display for ImageSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

/// A box in pixels of the upright photo: edges, not pixel indices, so that a box around the whole photo is
/// `0, 0, width, height`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BBox {
    /// Left edge.
    pub x1: f32,
    /// Upper edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Lower edge.
    pub y2: f32,
}

/// A box in fractions, 0..1, of an image's width and height.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NormBox {
    /// Left edge.
    pub x1: f32,
    /// Upper edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Lower edge.
    pub y2: f32,
}

impl BBox {
    /// The box with these left, upper, right and lower edges.
    #[must_use]
    pub fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// Left, upper, right and lower edge.
    #[must_use]
    pub fn xyxy(self) -> [f32; 4] {
        [self.x1, self.y1, self.x2, self.y2]
    }

    /// The same box with x1 ≤ x2 and y1 ≤ y2.
    #[must_use]
    pub fn ordered(self) -> Self {
        Self::from(ordered(self.xyxy()))
    }

    /// The part inside an image; a box outside becomes one without area on the image's edge.
    #[must_use]
    pub fn clip(self, size: ImageSize) -> Self {
        Self::from(clip(self.xyxy(), f64::from(size.width), f64::from(size.height)))
    }

    /// Area in square pixels; 0 if the edges are out of order.
    #[must_use]
    pub fn area(&self) -> f32 {
        narrow(area(self.xyxy()))
    }

    /// Intersection over union, in 0..1; 0 if neither box has an area.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        iou(self.xyxy(), other.xyxy())
    }

    /// Converts pixels to fractions of the image's width and height.
    #[must_use]
    pub fn to_norm(self, size: ImageSize) -> NormBox {
        let (w, h) = (f64::from(size.width.max(1)), f64::from(size.height.max(1)));
        NormBox::from(scale(self.xyxy(), 1.0 / w, 1.0 / h))
    }
}

impl NormBox {
    /// The box with these left, upper, right and lower edges.
    #[must_use]
    pub fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// Left, upper, right and lower edge.
    #[must_use]
    pub fn xyxy(self) -> [f32; 4] {
        [self.x1, self.y1, self.x2, self.y2]
    }

    /// The same box with x1 ≤ x2 and y1 ≤ y2.
    #[must_use]
    pub fn ordered(self) -> Self {
        Self::from(ordered(self.xyxy()))
    }

    /// The part inside 0..1.
    #[must_use]
    pub fn clip(self) -> Self {
        Self::from(clip(self.xyxy(), 1.0, 1.0))
    }

    /// Area as a fraction of the image; 0 if the edges are out of order.
    #[must_use]
    pub fn area(&self) -> f32 {
        narrow(area(self.xyxy()))
    }

    /// Intersection over union, in 0..1; 0 if neither box has an area. It equals the IoU in
    /// pixels, because scaling an axis scales all areas by the same factor.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        iou(self.xyxy(), other.xyxy())
    }

    /// Converts fractions to pixels of an image.
    #[must_use]
    pub fn to_pixels(self, size: ImageSize) -> BBox {
        BBox::from(scale(self.xyxy(), f64::from(size.width), f64::from(size.height)))
    }
}

impl From<[f32; 4]> for BBox {
    fn from([x1, y1, x2, y2]: [f32; 4]) -> Self {
        Self { x1, y1, x2, y2 }
    }
}

impl From<[f32; 4]> for NormBox {
    fn from([x1, y1, x2, y2]: [f32; 4]) -> Self {
        Self { x1, y1, x2, y2 }
    }
}

/// The nearest f32: geometry is computed in f64 and stored in f32.
#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is intended")]
pub(crate) fn narrow(value: f64) -> f32 {
    value as f32
}

fn ordered([x1, y1, x2, y2]: [f32; 4]) -> [f32; 4] {
    [x1.min(x2), y1.min(y2), x1.max(x2), y1.max(y2)]
}

fn clip([x1, y1, x2, y2]: [f32; 4], width: f64, height: f64) -> [f32; 4] {
    // Some sizes above 2^24 are not exact in f32: the next smaller f32 keeps the box inside.
    let inside = |size: f64| {
        let limit = narrow(size);
        if f64::from(limit) > size { limit.next_down() } else { limit }
    };
    let (w, h) = (inside(width), inside(height));
    [x1.clamp(0.0, w), y1.clamp(0.0, h), x2.clamp(0.0, w), y2.clamp(0.0, h)]
}

fn scale([x1, y1, x2, y2]: [f32; 4], sx: f64, sy: f64) -> [f32; 4] {
    let by = |v: f32, s: f64| narrow(f64::from(v) * s);
    [by(x1, sx), by(y1, sy), by(x2, sx), by(y2, sy)]
}

fn area([x1, y1, x2, y2]: [f32; 4]) -> f64 {
    (f64::from(x2) - f64::from(x1)).max(0.0) * (f64::from(y2) - f64::from(y1)).max(0.0)
}

/// Jaccard index of two boxes, |A ∩ B| / |A ∪ B|, in f64 so that the quotient stays in 0..1.
fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let intersection = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let union = area(a) + area(b) - intersection;
    if union > 0.0 { narrow((intersection / union).clamp(0.0, 1.0)) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ImageSize = ImageSize { width: 200, height: 100 };

    #[test]
    fn iou_of_known_pairs() {
        let unit = BBox::new(0.0, 0.0, 2.0, 2.0);
        for (other, expected) in [
            (unit, 1.0),
            (BBox::new(1.0, 1.0, 3.0, 3.0), 1.0 / 7.0),
            (BBox::new(0.0, 0.0, 1.0, 2.0), 0.5),
            (BBox::new(2.0, 0.0, 4.0, 2.0), 0.0),
            (BBox::new(9.0, 9.0, 9.0, 9.0), 0.0),
            (BBox::new(1.0, 1.0, 1.0, 1.0), 0.0),
        ] {
            assert_eq!(unit.iou(&other), expected, "{other:?}");
        }
        let point = BBox::new(1.0, 1.0, 1.0, 1.0);
        assert_eq!(point.iou(&point), 0.0, "no area, no overlap");
    }

    #[test]
    fn order_and_clip() {
        let unordered = BBox::new(250.0, -3.0, -10.0, 40.0);
        assert_eq!(unordered.ordered(), BBox::new(-10.0, -3.0, 250.0, 40.0));
        assert_eq!(unordered.ordered().clip(SIZE), BBox::new(0.0, 0.0, 200.0, 40.0));
        assert_eq!(NormBox::new(-0.5, 0.25, 1.5, 2.0).clip(), NormBox::new(0.0, 0.25, 1.0, 1.0));
        let outside = BBox::new(300.0, 0.0, 400.0, 50.0).clip(SIZE);
        assert_eq!((outside.x1, outside.x2, outside.area()), (200.0, 200.0, 0.0));
        let huge = ImageSize { width: u32::MAX, height: 1 };
        assert!(f64::from(BBox::new(0.0, 0.0, f32::MAX, 1.0).clip(huge).x2) <= f64::from(u32::MAX));
    }

    #[test]
    fn pixels_and_fractions() {
        let bbox = BBox::new(50.0, 25.0, 200.0, 100.0);
        assert_eq!(bbox.to_norm(SIZE), NormBox::new(0.25, 0.25, 1.0, 1.0));
        assert_eq!(bbox.to_norm(SIZE).to_pixels(SIZE), bbox);
        assert_eq!(bbox.area(), 150.0 * 75.0);
        assert_eq!(bbox.to_norm(SIZE).area(), 0.75 * 0.75);
        assert_eq!(SIZE.to_string(), "200×100");
    }
}
