//! Converts all kinds of pixels (grey, alpha, 16 bits, palette) to RGB8.

use image::{DynamicImage, Rgb, RgbImage};

/// Converts any decoded image to RGB8:
///
/// - grey `g` becomes `(g, g, g)`; a palette's entry becomes its colour (the decoder has done that already);
/// - alpha is composited over white: `c·a + white·(1 − a)`, in the image's own depth, rounded to nearest. Pictures with
///   transparency are mostly meant for white pages, and the colour of transparent pixels is often garbage;
/// - 16 bits `v` become `round(v / 257)`, so that 65535 becomes 255.
#[must_use]
pub fn to_rgb8(image: DynamicImage) -> RgbImage {
    match image {
        DynamicImage::ImageRgb8(rgb) => rgb,
        DynamicImage::ImageLuma8(grey) => map(&grey, |p| [p.0[0]; 3]),
        DynamicImage::ImageLumaA8(grey) => map(&grey, |p| [over_white_8(p.0[0], p.0[1]); 3]),
        DynamicImage::ImageRgba8(rgba) => map(&rgba, |p| {
            let [r, g, b, a] = p.0;
            [r, g, b].map(|c| over_white_8(c, a))
        }),
        DynamicImage::ImageLuma16(grey) => map(&grey, |p| [narrow(p.0[0]); 3]),
        DynamicImage::ImageLumaA16(grey) => map(&grey, |p| [narrow(over_white_16(p.0[0], p.0[1])); 3]),
        DynamicImage::ImageRgb16(rgb) => map(&rgb, |p| p.0.map(narrow)),
        // Floats are only in formats that this crate does not decode; 16 bits are more than RGB8 can hold.
        other => map(&other.into_rgba16(), |p| {
            let [r, g, b, a] = p.0;
            [r, g, b].map(|c| narrow(over_white_16(c, a)))
        }),
    }
}

fn map<P, C>(image: &image::ImageBuffer<P, C>, convert: impl Fn(&P) -> [u8; 3]) -> RgbImage
where
    P: image::Pixel,
    C: std::ops::Deref<Target = [P::Subpixel]>,
{
    let mut rgb = RgbImage::new(image.width(), image.height());
    for (to, from) in rgb.pixels_mut().zip(image.pixels()) {
        *to = Rgb(convert(from));
    }
    rgb
}

#[expect(clippy::cast_possible_truncation, reason = "a mean of two numbers of 0..=255 is one of them")]
fn over_white_8(colour: u8, alpha: u8) -> u8 {
    let (c, a) = (u32::from(colour), u32::from(alpha));
    ((c * a + 255 * (255 - a) + 127) / 255) as u8
}

#[expect(clippy::cast_possible_truncation, reason = "a mean of two numbers of 0..=65535 is one of them")]
fn over_white_16(colour: u16, alpha: u16) -> u16 {
    let (c, a) = (u64::from(colour), u64::from(alpha));
    ((c * a + 65535 * (65535 - a) + 32767) / 65535) as u16
}

#[expect(clippy::cast_possible_truncation, reason = "65535 / 257 is 255")]
fn narrow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_over_white() {
        for (colour, alpha, expected) in
            [(0, 255, 0), (200, 255, 200), (0, 0, 255), (0, 128, 127), (100, 51, 224), (255, 7, 255)]
        {
            assert_eq!(over_white_8(colour, alpha), expected, "{colour} at {alpha}");
            let wide = |v: u8| u16::from(v) * 257;
            assert_eq!(
                narrow(over_white_16(wide(colour), wide(alpha))),
                expected,
                "16-bit {colour} at {alpha}"
            );
        }
    }

    #[test]
    fn sixteen_bits_to_the_nearest_eight() {
        for v in 0..=u16::MAX {
            let exact = f64::from(v) / 257.0;
            assert!((f64::from(narrow(v)) - exact).abs() <= 0.5, "{v}");
        }
    }
}
