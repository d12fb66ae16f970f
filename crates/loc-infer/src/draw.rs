//! Draws predictions onto a photo: box, class, confidence. Line width and text size grow with the photo.
//!
//! This file computes sizes, positions and colours; imageproc draws. It opens no window and writes no file.

use ab_glyph::{FontRef, PxScale};
use image::{Rgb, RgbImage};
use imageproc::drawing::{draw_filled_rect_mut, draw_hollow_rect_mut, draw_text_mut, text_size};
use imageproc::rect::Rect;

use crate::{Absent, BBox, ImageSize, Localization};

/// One box to draw, with its label.
#[derive(Debug, Clone, PartialEq)]
pub struct LabeledBox {
    /// Box in pixels of the photo; the part outside is not drawn.
    pub bbox: BBox,
    /// Text on a background of the box's colour; no background if it is empty. Letters that the built-in font lacks
    /// (Chinese, for example) become empty rectangles.
    pub label: String,
    /// Red, green, blue.
    pub color: [u8; 3],
}

/// Colours that differ clearly from each other and from most photos.
const PALETTE: [[u8; 3]; 10] = [
    [230, 57, 70],
    [30, 121, 219],
    [38, 154, 84],
    [246, 173, 34],
    [134, 78, 211],
    [0, 170, 180],
    [236, 84, 156],
    [150, 196, 40],
    [242, 116, 44],
    [88, 108, 138],
];

/// Colour of the note on a photo without an object.
const NOTE: [u8; 3] = [96, 96, 96];

/// The colour of a class, which never changes; colours repeat after ten classes.
#[must_use]
pub fn color(class: usize) -> [u8; 3] {
    PALETTE[class % PALETTE.len()]
}

impl LabeledBox {
    /// The labelled box of a prediction: with a label like `cat 0.93`, in the colour of its class.
    #[must_use]
    pub fn of(found: &Localization) -> Self {
        Self {
            bbox: found.bbox,
            label: format!("{} {:.2}", found.name, found.confidence),
            color: color(found.class),
        }
    }

    /// A note in the lower corner of a photo without an object, in place of a box.
    #[must_use]
    pub fn of_absent(absent: &Absent) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "sides of photos are far below 2^24 pixels")]
        let bottom = absent.height as f32;
        let label = format!("no object ({:.2})", absent.presence);
        Self { bbox: BBox::new(0.0, bottom, 0.0, bottom), label, color: NOTE }
    }
}

/// Draws labelled boxes onto a photo of any size: first all boxes, then all labels.
///
/// A label is directly above its box, or inside the box if there is no space above. It is always inside the photo: a
/// label that is too wide is made smaller, then shortened. On photos too small for letters only the boxes are drawn. A
/// box with a coordinate that is not finite is skipped.
///
/// ```no_run
/// use loc_infer::Localizer;
/// use loc_infer::draw::{LabeledBox, draw};
/// use loc_infer::preprocess::decode_path;
///
/// let localizer = Localizer::load("model.safetensors")?;
/// let mut photo = decode_path("photo.jpg", &Default::default())?.rgb;
/// if let Some(found) = localizer.predict(&photo)?.found() {
///     draw(&mut photo, &[LabeledBox::of(&found)]);
/// }
/// photo.save("found.png")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn draw(photo: &mut RgbImage, boxes: &[LabeledBox]) {
    let size = ImageSize::of(photo);
    if size.is_empty() {
        return;
    }
    let style = Style::of(size);
    let outlines: Vec<(&LabeledBox, Rect)> =
        boxes.iter().filter_map(|labeled| Some((labeled, style.outline(labeled.bbox, size)?))).collect();
    for (labeled, outer) in &outlines {
        style.draw_box(photo, *outer, labeled.color);
    }
    // The font Hack is legible at small sizes and has a free licence, which is in the crate that contains it.
    let Ok(font) = FontRef::try_from_slice(epaint_default_fonts::HACK_REGULAR) else { return };
    for (labeled, outer) in &outlines {
        style.draw_label(photo, &font, *outer, labeled);
    }
}

/// Draws the outline of a box thinly and without a label: for the margins of a prediction. A box with a coordinate that is not
/// finite is skipped.
pub fn draw_outline(photo: &mut RgbImage, bbox: BBox, color: [u8; 3]) {
    let size = ImageSize::of(photo);
    if size.is_empty() {
        return;
    }
    let style = Style::of(size);
    let thin = Style { stroke: (style.stroke / 3).max(1), ..style };
    if let Some(outer) = thin.outline(bbox, size) {
        thin.draw_box(photo, outer, color);
    }
}

/// Lengths for one photo, in its pixels.
#[derive(Debug, Clone, Copy)]
struct Style {
    /// Width of the box's line.
    stroke: i32,
    /// Width of the dark rim on both sides of the line, which keeps it visible on a background of the same colour.
    rim: i32,
    /// Height of the text.
    text: i32,
    width: i32,
    height: i32,
}

/// The smallest text that can be read.
const SMALLEST_TEXT: i32 = 9;

impl Style {
    fn of(size: ImageSize) -> Self {
        let [width, height] = [size.width, size.height].map(|side| i32::try_from(side).unwrap_or(i32::MAX));
        let side = width.min(height);
        let stroke = (side + 290) / 170;
        Self { stroke, rim: (stroke / 4).max(1), text: (9 + side / 36).min(height / 3), width, height }
    }

    /// The outer edge of a box's line: centred on the box's edge, moved inside the photo. `None` for a box with a
    /// coordinate that is not finite.
    fn outline(&self, bbox: BBox, size: ImageSize) -> Option<Rect> {
        if bbox.xyxy().iter().any(|v| !v.is_finite()) {
            return None;
        }
        let b = bbox.ordered().clip(size);
        let first =
            |edge: f32, end: i32| (round(edge) - self.stroke / 2).clamp(0, (end - self.stroke).max(0));
        let (left, top) = (first(b.x1, self.width), first(b.y1, self.height));
        let (right, bottom) = (first(b.x2, self.width), first(b.y2, self.height));
        let side = |first: i32, last: i32| (last - first + self.stroke).unsigned_abs().max(1);
        Some(Rect::at(left, top).of_size(side(left, right), side(top, bottom)))
    }

    /// Draws the line of a box and its rim as nested rectangles, one pixel wide each.
    fn draw_box(&self, photo: &mut RgbImage, outer: Rect, color: [u8; 3]) {
        for inset in -self.rim..self.stroke + self.rim {
            let side = |length: u32| u32::try_from(i64::from(length) - 2 * i64::from(inset)).unwrap_or(0);
            let (width, height) = (side(outer.width()), side(outer.height()));
            if width > 0 && height > 0 {
                let ring = Rect::at(outer.left() + inset, outer.top() + inset).of_size(width, height);
                let on_line = (0..self.stroke).contains(&inset);
                draw_hollow_rect_mut(photo, ring, Rgb(if on_line { color } else { color.map(|c| c / 2) }));
            }
        }
    }

    /// Draws the label above its box, or inside the box if there is no space above. It also covers the box's line, so
    /// that line and label form one shape.
    fn draw_label(&self, photo: &mut RgbImage, font: &FontRef<'_>, outer: Rect, labeled: &LabeledBox) {
        let Some(Label { text, size, width: text_width }) = self.fit(font, &labeled.label) else { return };
        let pad = padding(size);
        let (width, height) = (text_width + 2 * pad, size + 2);
        let left = outer.left().min(self.width - width).max(0);
        let above = outer.top() - height;
        let top = if above >= 0 { above } else { outer.top().min(self.height - height).max(0) };
        let bottom = if above >= 0 { outer.top() + self.stroke } else { top + height };
        let background = Rect::at(left, top).of_size(width.unsigned_abs(), (bottom - top).unsigned_abs());
        draw_filled_rect_mut(photo, background, Rgb(labeled.color));
        draw_text_mut(photo, Rgb(text_color(labeled.color)), left + pad, top + 1, scale(size), font, &text);
    }

    /// The label at the size of this photo, smaller or shorter if it would not fit; `None` if no letter fits.
    fn fit(&self, font: &FontRef<'_>, label: &str) -> Option<Label> {
        let width =
            |text: &str, size: i32| i32::try_from(text_size(scale(size), font, text).0).unwrap_or(i32::MAX);
        let available = |size: i32| self.width - 2 * padding(size);
        // No letter is narrower than a pixel.
        let letters = label.trim().chars().filter(|c| !c.is_control());
        let mut text: String = letters.take(usize::try_from(self.width).unwrap_or(0)).collect();
        let mut size = self.text;
        if text.is_empty() || size < SMALLEST_TEXT || available(SMALLEST_TEXT) < SMALLEST_TEXT {
            return None;
        }
        if width(&text, size) > available(size) {
            size = (size * available(size) / width(&text, size)).clamp(SMALLEST_TEXT, size);
        }
        // All letters are equally wide.
        let (count, text_width) = (text.chars().count(), width(&text, size));
        if text_width > available(size) {
            let fitting =
                count * available(size).unsigned_abs() as usize / text_width.unsigned_abs() as usize;
            text = text.chars().take(fitting.saturating_sub(1)).chain(['…']).collect();
        }
        Some(Label { width: width(&text, size), text, size })
    }
}

/// A label that fits its photo, with its height and width in pixels.
struct Label {
    text: String,
    size: i32,
    width: i32,
}

/// Space left and right of a text of this size.
fn padding(size: i32) -> i32 {
    (size / 3).max(1)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^24")]
fn scale(size: i32) -> PxScale {
    PxScale::from(size as f32)
}

#[expect(clippy::cast_possible_truncation, reason = "rounds; the length is clipped to a photo")]
fn round(length: f32) -> i32 {
    length.round() as i32
}

/// White on dark colours, near-black on light ones, by luma (ITU-R BT.601).
fn text_color(color: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = color.map(u32::from);
    if 299 * r + 587 * g + 114 * b < 140_000 { [255; 3] } else { [20; 3] }
}
