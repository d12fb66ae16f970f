//! Pixels to paint on: linear blending, blur, light, grain. Knows no shape and no class.
//!
//! Only additions, products and square roots: their results are the same on every processor, and so are the
//! photos' bytes. (Sines and powers come from the system's library and are not.)

use crate::random::Random;

/// Red, green, blue in 0..1.
pub(super) type Color = [f32; 3];

/// A picture being painted; pixel `(x, y)` covers `x..x+1` by `y..y+1`.
#[derive(Debug, Clone)]
pub(super) struct Canvas {
    pub(super) width: u16,
    pub(super) height: u16,
    pixels: Vec<Color>,
}

/// `a` at 0, `b` at 1.
pub(super) fn mix(a: Color, b: Color, t: f32) -> Color {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t]
}

/// A colour made lighter or darker.
pub(super) fn scale(color: Color, by: f32) -> Color {
    color.map(|c| c * by)
}

/// 0 up to `low`, 1 from `high` on, smooth between.
pub(super) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Hue, saturation and value, each in 0..1, as RGB.
pub(super) fn hsv(hue: f32, saturation: f32, value: f32) -> Color {
    let channel = |shift: f32| {
        let h = (hue + shift).fract() * 6.0;
        let wave = ((h - 3.0).abs() - 1.0).clamp(0.0, 1.0);
        value * (1.0 - saturation + saturation * wave)
    };
    [channel(0.0), channel(2.0 / 3.0), channel(1.0 / 3.0)]
}

/// How different two colours look, roughly: 0 for equal ones, about 1 between black and white.
pub(super) fn distance(a: Color, b: Color) -> f32 {
    let d = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    (0.3 * d[0] * d[0] + 0.5 * d[1] * d[1] + 0.2 * d[2] * d[2]).sqrt()
}

impl Canvas {
    pub(super) fn new(width: u16, height: u16) -> Self {
        Self { width, height, pixels: vec![[0.0; 3]; usize::from(width) * usize::from(height)] }
    }

    /// The shorter side.
    pub(super) fn side(&self) -> f32 {
        f32::from(self.width.min(self.height))
    }

    /// Replaces each pixel by what `paint` makes of its centre and its colour.
    pub(super) fn paint(&mut self, mut paint: impl FnMut(f32, f32, Color) -> Color) {
        let width = usize::from(self.width);
        for (y, row) in (0..self.height).zip(self.pixels.chunks_exact_mut(width)) {
            for (x, pixel) in (0..self.width).zip(row) {
                *pixel = paint(f32::from(x) + 0.5, f32::from(y) + 0.5, *pixel);
            }
        }
    }

    /// As [`Canvas::paint`], only the pixels that a rectangle (left, top, right, bottom) touches.
    pub(super) fn paint_within(
        &mut self,
        bounds: [f32; 4],
        mut paint: impl FnMut((f32, f32), Color) -> Color,
    ) {
        let width = usize::from(self.width);
        let touched =
            |low: f32, high: f32, pixel: u16| (low - 1.5..=high + 1.5).contains(&(f32::from(pixel) + 0.5));
        for (y, row) in (0..self.height).zip(self.pixels.chunks_exact_mut(width)) {
            if touched(bounds[1], bounds[3], y) {
                for (x, pixel) in (0..self.width).zip(row) {
                    if touched(bounds[0], bounds[2], x) {
                        *pixel = paint((f32::from(x) + 0.5, f32::from(y) + 0.5), *pixel);
                    }
                }
            }
        }
    }

    /// Mean colour of the pixels whose centre lies in the rectangle.
    pub(super) fn mean(&self, x1: f32, y1: f32, x2: f32, y2: f32) -> Color {
        let mut sum = [0.0; 3];
        let mut count = 0.0_f32;
        for (y, row) in (0..self.height).zip(self.pixels.chunks_exact(usize::from(self.width))) {
            if (y1..y2).contains(&(f32::from(y) + 0.5)) {
                for (x, pixel) in (0..self.width).zip(row) {
                    if (x1..x2).contains(&(f32::from(x) + 0.5)) {
                        sum = [sum[0] + pixel[0], sum[1] + pixel[1], sum[2] + pixel[2]];
                        count += 1.0;
                    }
                }
            }
        }
        scale(sum, 1.0 / count.max(1.0))
    }

    /// Blurs: each pass averages a pixel with its neighbours, 1:2:1 in both directions.
    pub(super) fn blur(&mut self, passes: usize) {
        let (w, h) = (usize::from(self.width), usize::from(self.height));
        for _ in 0..passes {
            for (step, inner, outer) in [(1, w, h), (w, h, w)] {
                let outer_step = if step == 1 { w } else { 1 };
                for line in 0..outer {
                    let at = |i: usize| line * outer_step + i * step;
                    let mut before = self.pixels[at(0)];
                    for i in 0..inner {
                        let here = self.pixels[at(i)];
                        let after = self.pixels[at((i + 1).min(inner - 1))];
                        self.pixels[at(i)] = mix(here, mix(before, after, 0.5), 0.5);
                        before = here;
                    }
                }
            }
        }
    }

    /// Adds the grain of a sensor: noise of about the given deviation, mostly grey.
    pub(super) fn grain(&mut self, deviation: f32, random: &mut Random) {
        // The sum of three even numbers in −1..1 has the deviation 1.
        let mut noise = || random.range(-1.0, 1.0) + random.range(-1.0, 1.0) + random.range(-1.0, 1.0);
        self.paint(|_, _, color| {
            let grey = noise();
            color.map(|c| c + deviation * (0.8 * grey + 0.6 * noise()))
        });
    }

    /// The picture in bytes.
    pub(super) fn to_rgb(&self) -> Vec<u8> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0..255 the line before"
        )]
        let byte = |c: &f32| (c.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
        self.pixels.iter().flatten().map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hsv_gives_the_six_corners() {
        let corners = [[1., 0., 0.], [1., 1., 0.], [0., 1., 0.], [0., 1., 1.], [0., 0., 1.], [1., 0., 1.]];
        for (i, corner) in (0_u8..6).zip(corners) {
            let got = hsv(f32::from(i) / 6.0, 1.0, 1.0);
            assert!(distance(got, corner) < 1e-5, "{i}: {got:?}");
        }
        assert_eq!(hsv(0.3, 0.0, 0.5), [0.5; 3]);
    }

    #[test]
    fn blur_keeps_a_flat_picture_and_the_mean() {
        let mut canvas = Canvas::new(20, 10);
        canvas.paint(|_, _, _| [0.25, 0.5, 0.75]);
        canvas.blur(3);
        assert_eq!(canvas.mean(0.0, 0.0, 20.0, 10.0), [0.25, 0.5, 0.75]);
        canvas.paint(|x, y, _| if (x, y) == (10.5, 5.5) { [1.0; 3] } else { [0.0; 3] });
        canvas.blur(2);
        let mean = canvas.mean(0.0, 0.0, 20.0, 10.0)[0];
        assert!((mean - 1.0 / 200.0).abs() < 1e-6, "{mean}");
        assert!(canvas.mean(10.0, 5.0, 11.0, 6.0)[0] < 0.2);
    }

    #[test]
    fn grain_has_its_deviation() {
        let mut canvas = Canvas::new(100, 100);
        canvas.paint(|_, _, _| [0.5; 3]);
        canvas.grain(0.05, &mut Random::keyed(&[1]));
        let mut sum = 0.0;
        canvas.paint(|_, _, c| {
            sum += (c[0] - 0.5) * (c[0] - 0.5);
            c
        });
        let deviation = (sum / 10_000.0).sqrt();
        assert!((deviation - 0.05).abs() < 0.003, "{deviation}");
    }
}
