//! Fits a photo into the input, and maps boxes from the photo to the input and back.

use std::borrow::Cow;

use image::{Rgb, RgbImage};

use super::resize::resize;
use super::window::Window;
use crate::bbox::narrow;
use crate::{BBox, Fit, ImageSize, InputSpec, NormBox};

/// The colour around a letterboxed photo.
pub(super) const PADDING: Rgb<u8> = Rgb([114; 3]);

/// The position and scale of a photo in the input. Maps boxes to the input and back; each is the exact inverse of the
/// other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Size of the upright photo.
    pub original: ImageSize,
    /// Size of the input.
    pub input: ImageSize,
    /// How the photo was fitted.
    pub fit: Fit,
    /// The part of the photo that was fitted; none for the whole photo.
    pub window: Option<Window>,
}

/// The position of the photo in the input along one axis: `input = offset + scale · original`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    scale: f64,
    offset: f64,
    /// Length of the whole input.
    input: f64,
}

impl Axis {
    fn to_input(self, x: f32) -> f32 {
        narrow((f64::from(x) * self.scale + self.offset) / self.input)
    }

    fn to_original(self, x: f32) -> f32 {
        narrow((f64::from(x) * self.input - self.offset) / self.scale)
    }
}

impl Frame {
    /// The frame of a whole photo.
    #[must_use]
    pub fn of(original: ImageSize, spec: &InputSpec) -> Self {
        Self { original, input: spec.size, fit: spec.fit, window: None }
    }

    /// The size of the part that was fitted.
    fn part(&self) -> ImageSize {
        self.window.map_or(self.original, |window| window.size)
    }

    /// Maps a box in pixels of the photo to fractions of the input.
    #[must_use]
    pub fn to_input(&self, bbox: BBox) -> NormBox {
        let (x, y) = self.axes();
        NormBox::new(x.to_input(bbox.x1), y.to_input(bbox.y1), x.to_input(bbox.x2), y.to_input(bbox.y2))
    }

    /// Maps a box in fractions of the input to pixels of the photo; the result is neither ordered nor clipped.
    #[must_use]
    pub fn to_original(&self, bbox: NormBox) -> BBox {
        let (x, y) = self.axes();
        BBox::new(
            x.to_original(bbox.x1),
            y.to_original(bbox.y1),
            x.to_original(bbox.x2),
            y.to_original(bbox.y2),
        )
    }

    /// The fitted part's size within the input and the position of its upper left corner, in whole pixels of the input.
    #[must_use]
    pub fn content(&self) -> (ImageSize, (u32, u32)) {
        let (original, input) = (self.part(), self.input);
        if self.fit == Fit::Stretch || original.is_empty() {
            return (input, (0, 0));
        }
        // The side that needs the smaller scale fills the input; the other is rounded to whole pixels.
        let wide = u64::from(input.width) * u64::from(original.height)
            <= u64::from(input.height) * u64::from(original.width);
        let size = if wide {
            let height = rounded(input.width, original.height, original.width).min(input.height);
            ImageSize { width: input.width, height }
        } else {
            let width = rounded(input.height, original.width, original.height).min(input.width);
            ImageSize { width, height: input.height }
        };
        (size, ((input.width - size.width) / 2, (input.height - size.height) / 2))
    }

    fn axes(&self) -> (Axis, Axis) {
        let (size, (left, top)) = self.content();
        let axis = |content: u32, (start, part): (i32, u32), offset: u32, input: u32| {
            let scale = f64::from(content.max(1)) / f64::from(part.max(1));
            let offset = f64::from(offset) - scale * f64::from(start);
            Axis { scale, offset, input: f64::from(input.max(1)) }
        };
        let (x, y) = self.window.map_or((0, 0), |window| (window.left, window.top));
        let part = self.part();
        (
            axis(size.width, (x, part.width), left, self.input.width),
            axis(size.height, (y, part.height), top, self.input.height),
        )
    }
}

/// `side · numerator / denominator`, rounded to nearest, at least 1.
fn rounded(side: u32, numerator: u32, denominator: u32) -> u32 {
    let (n, d) = (u64::from(side) * u64::from(numerator), u64::from(denominator));
    u32::try_from((n + d / 2) / d).unwrap_or(u32::MAX).max(1)
}

/// Fits a photo into the input. A photo of the input's size is returned unchanged, without a copy; a photo without
/// pixels gives an input of padding.
#[must_use]
pub fn fit<'a>(photo: Cow<'a, RgbImage>, spec: &InputSpec) -> (Cow<'a, RgbImage>, Frame) {
    let frame = Frame::of(ImageSize::of(&photo), spec);
    if frame.original == spec.size {
        return (photo, frame);
    }
    let content = resize(&photo, frame.content().0, spec.filter);
    (Cow::Owned(pad(content, &frame)), frame)
}

/// The input with this content; what it does not cover is padding.
pub(super) fn pad(content: RgbImage, frame: &Frame) -> RgbImage {
    let (size, (left, top)) = frame.content();
    if size == frame.input {
        return content;
    }
    let mut padded = RgbImage::from_pixel(frame.input.width, frame.input.height, PADDING);
    image::imageops::replace(&mut padded, &content, i64::from(left), i64::from(top));
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u32, height: u32) -> ImageSize {
        ImageSize { width, height }
    }

    fn frame(original: ImageSize, input: ImageSize, fit: Fit) -> Frame {
        Frame::of(original, &InputSpec { size: input, fit, ..InputSpec::default() })
    }

    #[test]
    fn letterbox_centres_the_photo() {
        for (original, content, corner) in [
            (size(200, 100), size(256, 128), (0, 64)),
            (size(100, 200), size(128, 256), (64, 0)),
            (size(256, 256), size(256, 256), (0, 0)),
            (size(3, 2), size(256, 171), (0, 42)),
            (size(20000, 1), size(256, 1), (0, 127)),
            (size(1, 20000), size(1, 256), (127, 0)),
        ] {
            let placed = frame(original, size(256, 256), Fit::Letterbox).content();
            assert_eq!(placed, (content, corner), "{original}");
        }
        assert_eq!(frame(size(9, 5), size(64, 32), Fit::Stretch).content(), (size(64, 32), (0, 0)));
    }

    #[test]
    fn boxes_follow_the_pixels() {
        let stretch = frame(size(200, 100), size(64, 32), Fit::Stretch);
        assert_eq!(stretch.to_input(BBox::new(0.0, 25.0, 200.0, 100.0)), NormBox::new(0.0, 0.25, 1.0, 1.0));
        let letterbox = frame(size(200, 100), size(256, 256), Fit::Letterbox);
        let whole = BBox::new(0.0, 0.0, 200.0, 100.0);
        assert_eq!(letterbox.to_input(whole), NormBox::new(0.0, 0.25, 1.0, 0.75));
        assert_eq!(letterbox.to_original(NormBox::new(0.0, 0.25, 1.0, 0.75)), whole);
    }

    #[test]
    fn padding_is_grey_and_outside_only() {
        let photo = RgbImage::from_pixel(20, 10, Rgb([255, 0, 0]));
        let spec = InputSpec { size: size(16, 16), fit: Fit::Letterbox, ..InputSpec::default() };
        let (input, frame) = fit(Cow::Owned(photo), &spec);
        assert_eq!(ImageSize::of(&input), spec.size);
        assert_eq!(frame.content(), (size(16, 8), (0, 4)));
        for (x, y, pixel) in input.enumerate_pixels() {
            let expected = if (4..12).contains(&y) { Rgb([255, 0, 0]) } else { PADDING };
            assert_eq!(*pixel, expected, "at {x}, {y}");
        }
    }
}
