//! Windows: the part of a photo around a box, for the second look.

use std::borrow::Cow;

use image::{GenericImage, GenericImageView, RgbImage};

use super::frame::{Frame, PADDING, fit};
use crate::{BBox, ImageSize, InputSpec};

/// A part of a photo, in whole pixels. It may reach beyond the photo; what lies outside is grey 114.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its left edge, in pixels of the photo.
    pub left: i32,
    /// Its upper edge.
    pub top: i32,
    /// Its size, 1×1 or more.
    pub size: ImageSize,
}

/// The smallest side of a window around a box, in pixels.
const SMALLEST: f64 = 8.0;
/// The largest distance of a window's edge from the photo's upper left corner: photos have fewer pixels.
const LARGEST: f64 = 1e6;

impl Window {
    /// The window of a box whose sides are multiplied by `margin`, about its centre, rounded to whole pixels.
    #[must_use]
    pub fn around(bbox: BBox, margin: f32) -> Self {
        let axis = |from: f32, to: f32| {
            let (from, to) = (f64::from(from.min(to)), f64::from(from.max(to)));
            let half = (f64::from(margin) * (to - from)).max(SMALLEST) / 2.0;
            let centre = f64::midpoint(from, to);
            let start = (centre - half).round().clamp(-LARGEST, LARGEST);
            let end = (centre + half).round().clamp(start + 1.0, start + LARGEST);
            (whole(start), whole(end - start).unsigned_abs())
        };
        let ((left, width), (top, height)) = (axis(bbox.x1, bbox.x2), axis(bbox.y1, bbox.y2));
        Self { left, top, size: ImageSize { width, height } }
    }

    /// The pixels of the window.
    fn cut(self, photo: &RgbImage) -> RgbImage {
        let ImageSize { width, height } = self.size;
        let mut part = RgbImage::from_pixel(width, height, PADDING);
        // The range of the photo's pixels along one axis that lie in the window.
        let inside = |start: i32, len: u32, photo: u32| {
            let end = i64::from(start) + i64::from(len);
            let from = u32::try_from(start.max(0)).unwrap_or(0);
            let to = u32::try_from(end.clamp(0, i64::from(photo))).unwrap_or(photo);
            (from, to.saturating_sub(from))
        };
        let (x, columns) = inside(self.left, width, photo.width());
        let (y, rows) = inside(self.top, height, photo.height());
        if columns > 0 && rows > 0 {
            let at = |from: u32, start: i32| u32::try_from(i64::from(from) - i64::from(start)).unwrap_or(0);
            // It lies inside both by construction.
            let _ = part.copy_from(&*photo.view(x, y, columns, rows), at(x, self.left), at(y, self.top));
        }
        part
    }
}

/// Converts a whole number within ±10⁶.
#[expect(clippy::cast_possible_truncation, reason = "clamped by the caller")]
fn whole(value: f64) -> i32 {
    value as i32
}

/// Fits a window of a photo into the input, as [`fit`] does with a whole photo; the frame maps boxes of the photo.
#[must_use]
pub fn fit_window(photo: &RgbImage, window: Window, spec: &InputSpec) -> (RgbImage, Frame) {
    let part = window.cut(photo);
    let (input, _) = fit(Cow::Owned(part), spec);
    let original = ImageSize::of(photo);
    (input.into_owned(), Frame { original, input: spec.size, fit: spec.fit, window: Some(window) })
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::{Fit, NormBox};

    #[test]
    fn a_window_is_a_box_with_a_margin_in_whole_pixels() {
        let around = |bbox: [f32; 4], margin| {
            let Window { left, top, size } = Window::around(bbox.into(), margin);
            (left, top, size.width, size.height)
        };
        assert_eq!(around([10.0, 20.0, 110.0, 60.0], 1.2), (0, 16, 120, 48));
        assert_eq!(around([110.0, 60.0, 10.0, 20.0], 1.2), (0, 16, 120, 48));
        assert_eq!(around([10.5, 20.0, 110.0, 60.0], 1.0), (11, 20, 99, 40));
        assert_eq!(around([5.0, 5.0, 5.0, 5.0], 1.2), (1, 1, 8, 8), "no area");
        let far = around([-1e30, 0.0, 1e30, f32::MAX], 4.0);
        assert!(far.2 >= 1 && far.3 >= 1, "{far:?}");
    }

    #[test]
    fn pixels_and_boxes_of_a_window_agree() {
        let byte = |v: u32| u8::try_from(v).unwrap();
        let photo = RgbImage::from_fn(40, 30, |x, y| Rgb([byte(x), byte(y), 7]));
        let window = Window { left: -4, top: 10, size: ImageSize { width: 16, height: 32 } };
        let spec = InputSpec { size: ImageSize { width: 16, height: 32 }, ..InputSpec::default() };
        let (input, frame) = fit_window(&photo, window, &spec);
        for (x, y, pixel) in input.enumerate_pixels() {
            let inside = x >= 4 && y < 20;
            let expected = if inside { Rgb([byte(x - 4), byte(y + 10), 7]) } else { PADDING };
            assert_eq!(*pixel, expected, "at {x}, {y}");
        }
        let bbox = BBox::new(0.0, 12.0, 8.0, 30.0);
        assert_eq!(frame.to_input(bbox), NormBox::new(0.25, 0.0625, 0.75, 0.625));
        assert_eq!(frame.to_original(frame.to_input(bbox)), bbox);
        // A window outside of the photo is grey.
        let outside = Window { left: 90, top: -90, size: spec.size };
        assert!(fit_window(&photo, outside, &spec).0.pixels().all(|pixel| *pixel == PADDING));
        // Enlarged, and letterboxed.
        let spec = InputSpec { size: ImageSize { width: 64, height: 64 }, fit: Fit::Letterbox, ..spec };
        let (input, frame) = fit_window(&photo, window, &spec);
        assert_eq!((ImageSize::of(&input), input.get_pixel(0, 0)), (spec.size, &PADDING));
        assert_eq!(frame.to_input(bbox), NormBox::new(0.375, 0.0625, 0.625, 0.625));
    }
}
