//! Draws what was found onto the photo: box, class, confidence. Line width and text grow with the photo.
//!
//! Where things go is decided here; pixels are blended in `canvas`, letters laid out in `text`. No window, no file.

mod canvas;
mod text;

use image::RgbImage;

use crate::{BBox, ImageSize, Localization};
use canvas::{Canvas, Rect};
use text::{Fonts, Line};

/// One box to draw, with its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Box in pixels of the photo; what lies outside is not drawn.
    pub bbox: BBox,
    /// Text on a background of the box's colour; without one where it is empty. Letters that the built-in fonts lack
    /// (Chinese, for example) become empty rectangles.
    pub label: String,
    /// Red, green, blue.
    pub color: [u8; 3],
}

/// Colours that stay apart from each other and from most photos.
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

/// The colour of a class: always the same; they repeat after ten.
#[must_use]
pub fn color(class: usize) -> [u8; 3] {
    PALETTE[class % PALETTE.len()]
}

impl Mark {
    /// The mark of an answer: its box, labelled like `cat 0.93`, in the colour of its class.
    #[must_use]
    pub fn of(found: &Localization) -> Self {
        Self {
            bbox: found.bbox,
            label: format!("{} {:.2}", found.name, found.confidence),
            color: color(found.class),
        }
    }
}

/// Draws marks onto a photo of any size: all boxes, then all labels above them.
///
/// A label stands on its box; where there is no room above, inside it. It is never outside the photo: too wide, it is
/// made smaller, then shortened. On photos too small for letters only the boxes are drawn. A box with a coordinate
/// that is not finite is left out.
///
/// ```no_run
/// use loc_infer::Localizer;
/// use loc_infer::draw::{Mark, draw};
/// use loc_infer::preprocess::decode_path;
///
/// let localizer = Localizer::load("model.safetensors")?;
/// let mut photo = decode_path("photo.jpg", &Default::default())?.rgb;
/// let found = localizer.predict(&photo)?;
/// draw(&mut photo, &[Mark::of(&found)]);
/// photo.save("found.png")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn draw(photo: &mut RgbImage, marks: &[Mark]) {
    let size = ImageSize::of(photo);
    if size.is_empty() {
        return;
    }
    let style = Style::of(size);
    let fonts = Fonts::new();
    let mut canvas = Canvas::new(photo);
    let boxes: Vec<(&Mark, Rect)> =
        marks.iter().filter_map(|mark| Some((mark, style.outline(mark.bbox, size)?))).collect();
    for (mark, outer) in &boxes {
        style.draw_box(&mut canvas, *outer, mark.color);
    }
    for (mark, outer) in &boxes {
        if let Some(fonts) = &fonts {
            style.draw_label(&mut canvas, fonts, *outer, mark);
        }
    }
}

/// Widths and heights for one photo, in its pixels.
#[derive(Debug, Clone, Copy)]
struct Style {
    /// Width of the box's line, whole pixels.
    stroke: f32,
    /// Width of the dark rim on both sides of the line, which sets it off from a background of its own colour.
    rim: f32,
    /// Height of the text's line.
    text: f32,
    width: f32,
    height: f32,
}

/// How dark the rim is.
const RIM: ([u8; 3], f32) = ([0, 0, 0], 0.25);
/// The smallest text that can be read.
const SMALLEST_TEXT: f32 = 9.0;

impl Style {
    fn of(size: ImageSize) -> Self {
        let (width, height) = (canvas::length(size.width), canvas::length(size.height));
        let side = width.min(height);
        let stroke = (1.2 + side / 170.0).round();
        Self {
            stroke,
            rim: (stroke / 4.0).round().max(1.0),
            text: (9.0 + side / 36.0).round(),
            width,
            height,
        }
    }

    /// The outer edge of a box's line, on whole pixels, inside the photo; nothing for a box that is no box.
    fn outline(&self, bbox: BBox, size: ImageSize) -> Option<Rect> {
        if bbox.xyxy().iter().any(|v| !v.is_finite()) {
            return None;
        }
        let b = bbox.ordered().clip(size);
        // Centred on the box's edge; at the photo's edge moved inside, so that the whole line is seen.
        let first =
            |edge: f32, end: f32| (edge - self.stroke / 2.0).round().clamp(0.0, (end - self.stroke).max(0.0));
        let (left, top) = (first(b.x1, self.width), first(b.y1, self.height));
        let (right, bottom) = (first(b.x2, self.width) + self.stroke, first(b.y2, self.height) + self.stroke);
        Some(Rect { left, top, right, bottom })
    }

    fn draw_box(&self, canvas: &mut Canvas<'_>, outer: Rect, color: [u8; 3]) {
        canvas.frame(outer.grown(self.rim), self.rim, RIM.0, RIM.1);
        canvas.frame(outer, self.stroke, color, 1.0);
        canvas.frame(outer.grown(-self.stroke), self.rim, RIM.0, RIM.1);
    }

    fn draw_label(&self, canvas: &mut Canvas<'_>, fonts: &Fonts, outer: Rect, mark: &Mark) {
        let Some(line) = self.fitting_line(fonts, &mark.label) else { return };
        let (pad, width, height) = (padding(line.size), line.width, line.size);
        let (w, h) = ((width + 2.0 * pad.0).ceil(), (height + 2.0 * pad.1).ceil());
        let left = outer.left.min(self.width - w).max(0.0);
        let above = outer.top - h;
        // No room above: inside. Both reach over the line, so that line and label are one shape.
        let top = if above >= 0.0 { above } else { outer.top.min(self.height - h).max(0.0) };
        let bottom = if above >= 0.0 { outer.top + self.stroke } else { top + h };
        canvas.round_rect(
            Rect { left, top, right: left + w, bottom },
            (line.size * 0.18).min(h / 2.0),
            mark.color,
        );
        canvas.text(&line, left + (w - width) / 2.0, top + (h - height) / 2.0, ink_on(mark.color));
    }

    /// The label at the size of this photo, smaller or shorter where it would not fit; nothing if no letter fits.
    fn fitting_line(&self, fonts: &Fonts, label: &str) -> Option<Line> {
        // At most a third of the photo's height for text.
        let mut size = self.text.min((self.height / 3.0).floor());
        let room = |size: f32| self.width - 2.0 * padding(size).0;
        let line = fonts.line(label, size, f32::INFINITY)?;
        if line.width > room(size) {
            size = (size * room(size) / line.width).max(SMALLEST_TEXT).floor().min(size);
        }
        if size < SMALLEST_TEXT {
            return None;
        }
        fonts.line(label, size, room(size))
    }
}

/// Space left and right, above and below a text of this size.
fn padding(size: f32) -> (f32, f32) {
    ((size * 0.35).round().max(1.0), (size * 0.12).round().max(1.0))
}

/// White or near-black, whichever stands out more from a colour (WCAG 2.1's contrast ratio, with its relative
/// luminance approximated by a gamma of 2.2).
fn ink_on(color: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = color.map(|c| (f32::from(c) / 255.0).powf(2.2));
    let luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let (on_white, on_black) = (1.05 / (luminance + 0.05), (luminance + 0.05) / 0.055);
    // White looks clearer than its ratio says on saturated colours.
    if on_white * 1.8 >= on_black { [255; 3] } else { [20; 3] }
}
