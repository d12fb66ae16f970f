//! A line of text laid out and turned into pixels. The fonts come out of a crate: none lies in this project.

use ab_glyph::{Font, FontRef, OutlinedGlyph, PxScale, ScaleFont, point};

/// The built-in fonts; a letter is taken from the first that has it.
pub(super) struct Fonts {
    fonts: [FontRef<'static>; 2],
}

/// A line, laid out with its upper left corner at 0, 0.
pub(super) struct Line {
    glyphs: Vec<OutlinedGlyph>,
    /// Height of the line, in pixels: from the highest to the lowest place a letter may take.
    pub(super) size: f32,
    /// Advance of all its letters, in pixels.
    pub(super) width: f32,
}

impl Fonts {
    /// Hack, upright and clear at small sizes, and Ubuntu for the letters it lacks. Both are free (see the crate
    /// `epaint_default_fonts` for their licences); nothing if that crate were to ship broken files.
    pub(super) fn new() -> Option<Self> {
        let font = |bytes: &'static [u8]| FontRef::try_from_slice(bytes).ok();
        let (hack, ubuntu) =
            (font(epaint_default_fonts::HACK_REGULAR)?, font(epaint_default_fonts::UBUNTU_LIGHT)?);
        Some(Self { fonts: [hack, ubuntu] })
    }

    /// Lays out a line of this height; one that is wider than `room` ends in `…`. Nothing if there is no letter, or no
    /// room for one.
    pub(super) fn line(&self, text: &str, size: f32, room: f32) -> Option<Line> {
        let ascent = self.fonts[0].as_scaled(PxScale::from(size)).ascent();
        let ellipsis = self.advance('…', size);
        let mut line = Line { glyphs: Vec::new(), size, width: 0.0 };
        // Where the line would be cut: its letters and its width up to there.
        let mut cut = (0, 0.0);
        let mut letters = 0;
        for letter in text.chars().filter(|c| !c.is_control()) {
            let width = line.width + self.advance(letter, size);
            if width > room {
                (letters, line.width) = cut;
                if letters == 0 {
                    return None;
                }
                line.glyphs.truncate(letters);
                self.push(&mut line, '…', ascent);
                return Some(line);
            }
            self.push(&mut line, letter, ascent);
            letters = line.glyphs.len();
            if line.width + ellipsis <= room {
                cut = (letters, line.width);
            }
        }
        (letters > 0).then_some(line)
    }

    fn push(&self, line: &mut Line, letter: char, ascent: f32) {
        let font = self.font_of(letter);
        let glyph = font
            .glyph_id(letter)
            .with_scale_and_position(PxScale::from(line.size), point(line.width, ascent));
        // A space has no outline.
        line.glyphs.extend(font.outline_glyph(glyph));
        line.width += self.advance(letter, line.size);
    }

    fn advance(&self, letter: char, size: f32) -> f32 {
        let font = self.font_of(letter);
        font.as_scaled(PxScale::from(size)).h_advance(font.glyph_id(letter))
    }

    fn font_of(&self, letter: char) -> &FontRef<'static> {
        self.fonts.iter().find(|font| font.glyph_id(letter).0 != 0).unwrap_or(&self.fonts[0])
    }
}

impl Line {
    /// Calls `paint(x, y, coverage in 0..=1)` for each pixel the letters touch, with the line's upper left corner at
    /// a whole pixel.
    pub(super) fn for_each_pixel(&self, left: i64, top: i64, mut paint: impl FnMut(i64, i64, f32)) {
        for glyph in &self.glyphs {
            let bounds = glyph.px_bounds();
            let (x0, y0) = (left + whole(bounds.min.x), top + whole(bounds.min.y));
            glyph.draw(|x, y, coverage| paint(x0 + i64::from(x), y0 + i64::from(y), coverage));
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, and is clipped to the image")]
pub(super) fn whole(length: f32) -> i64 {
    length.round() as i64
}
