//! Blending shapes onto an RGB image: rectangles, frames, rounded rectangles, text. Everything is clipped.

use image::RgbImage;

use super::text::{self, Line};

/// Edges in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
}

impl Rect {
    /// The rectangle with each edge moved outwards.
    pub(super) fn grown(self, by: f32) -> Self {
        let Self { left, top, right, bottom } = self;
        Self { left: left - by, top: top - by, right: right + by, bottom: bottom + by }
    }
}

/// An image that shapes are blended onto.
pub(super) struct Canvas<'a> {
    image: &'a mut RgbImage,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(image: &'a mut RgbImage) -> Self {
        Self { image }
    }

    /// Fills a rectangle with whole-pixel edges.
    fn rect(&mut self, rect: Rect, color: [u8; 3], alpha: f32) {
        let (columns, rows) = (self.columns(rect), self.rows(rect));
        for y in rows {
            for x in columns.clone() {
                self.blend(x, y, color, alpha);
            }
        }
    }

    /// Draws the frame of this width that lies just inside a rectangle; no pixel twice.
    pub(super) fn frame(&mut self, outer: Rect, width: f32, color: [u8; 3], alpha: f32) {
        let Rect { left, top, right, bottom } = outer;
        let (inner_left, inner_right) = (left + width, right - width);
        let (inner_top, inner_bottom) = (top + width, bottom - width);
        if inner_left >= inner_right || inner_top >= inner_bottom {
            return self.rect(outer, color, alpha);
        }
        self.rect(Rect { bottom: inner_top, ..outer }, color, alpha);
        self.rect(Rect { top: inner_bottom, ..outer }, color, alpha);
        let sides = Rect { top: inner_top, bottom: inner_bottom, ..outer };
        self.rect(Rect { right: inner_left, ..sides }, color, alpha);
        self.rect(Rect { left: inner_right, ..sides }, color, alpha);
    }

    /// Fills a rectangle with rounded, smooth corners.
    pub(super) fn round_rect(&mut self, rect: Rect, radius: f32, color: [u8; 3]) {
        for y in self.rows(rect) {
            for x in self.columns(rect) {
                // Distance of the pixel's centre to the rectangle shrunk by the radius.
                let (cx, cy) = (length(x) + 0.5, length(y) + 0.5);
                let dx = (rect.left + radius - cx).max(cx - rect.right + radius).max(0.0);
                let dy = (rect.top + radius - cy).max(cy - rect.bottom + radius).max(0.0);
                let coverage = (radius + 0.5 - dx.hypot(dy)).clamp(0.0, 1.0);
                self.blend(x, y, color, coverage);
            }
        }
    }

    /// Draws a line of text with its upper left corner at a point.
    pub(super) fn text(&mut self, line: &Line, left: f32, top: f32, color: [u8; 3]) {
        line.for_each_pixel(text::whole(left), text::whole(top), |x, y, coverage| {
            if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) {
                self.blend(x, y, color, coverage);
            }
        });
    }

    fn blend(&mut self, x: u32, y: u32, color: [u8; 3], alpha: f32) {
        let Some(pixel) = self.image.get_pixel_mut_checked(x, y) else { return };
        for (under, over) in pixel.0.iter_mut().zip(color) {
            let mixed = f32::from(*under) + (f32::from(over) - f32::from(*under)) * alpha.clamp(0.0, 1.0);
            *under = to_byte(mixed);
        }
    }

    fn columns(&self, rect: Rect) -> std::ops::Range<u32> {
        whole(rect.left)..whole(rect.right).min(self.image.width())
    }

    fn rows(&self, rect: Rect) -> std::ops::Range<u32> {
        whole(rect.top)..whole(rect.bottom).min(self.image.height())
    }
}

/// A count of pixels as a length.
#[expect(clippy::cast_precision_loss, reason = "images are far below 2^24 pixels wide")]
pub(super) fn length(pixels: u32) -> f32 {
    pixels as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates: left of the image is 0, far right is clipped to the image"
)]
fn whole(edge: f32) -> u32 {
    edge.round() as u32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of two bytes is one")]
fn to_byte(value: f32) -> u8 {
    value.round() as u8
}
