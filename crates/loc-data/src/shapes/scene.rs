//! One photo of the sample set: which object, where, how large, and how it is painted.

use super::backdrop::{self, unit_vector};
use super::canvas::{Canvas, Color, distance, hsv, mix, scale, smoothstep};
use super::figure::{Outline, Point, rectangle, star};
use super::noise::Field;
use crate::random::Random;

/// The classes, in their order.
pub(super) const CLASSES: [&str; 3] = ["box", "disc", "star"];

/// Widths and heights of the photos.
const SIZES: [(u16, u16); 5] = [(256, 256), (288, 240), (240, 288), (300, 225), (270, 270)];

/// The object's side (the square root of its box's area) as a share of the photo's shorter side.
const SIDE: (f32, f32) = (0.22, 0.65);

/// The middle of each class's usual hues, in turns of the colour circle, and how far they reach to either side. As in
/// life a colour suggests the class; the shape decides it.
const HUES: [f32; 3] = [0.06, 0.60, 0.33];
const HUE_REACH: f32 = 0.13;
/// How often an object has one of its class's usual hues, and not just any.
const USUAL: f32 = 0.85;

/// Everything about a photo that its annotation tells, and where to go on drawing random numbers for the rest.
pub(super) struct Scene {
    pub(super) size: (u16, u16),
    /// Index into [`CLASSES`].
    pub(super) class: usize,
    pub(super) outline: Outline,
    random: Random,
}

impl Scene {
    /// Photo `index` of the set with this seed.
    pub(super) fn new(seed: u64, index: u64) -> Self {
        // Each three photos hold each class once: no class is more frequent.
        let mut three = [0, 1, 2];
        Random::keyed(&[seed, index / 3, 0]).shuffle(&mut three);
        let class = three.into_iter().cycle().nth((index % 3) as usize).unwrap_or(0);

        let mut random = Random::keyed(&[seed, index, 1]);
        let size = SIZES[random.below(SIZES.len())];
        let direction = unit_vector(&mut random);
        let figure = match class {
            0 => Outline::polygon(&rectangle(random.range(0.65, 1.0)), direction),
            1 => Outline::ellipse(random.range(0.65, 1.0), direction),
            _ => Outline::polygon(&star(random.range(0.38, 0.5)), direction),
        };
        // The side is drawn for the box, not for the figure: sizes tell nothing about the class.
        let [x1, y1, x2, y2] = figure.bounds();
        let (w, h) = (f32::from(size.0), f32::from(size.1));
        let side = random.range(SIDE.0, SIDE.1) * w.min(h);
        let by = side / ((x2 - x1) * (y2 - y1)).sqrt();
        let margin = 2.0;
        let at = |random: &mut Random, low: f32, high: f32, room: f32| {
            let first = margin - low * by;
            let last = room - margin - high * by;
            random.range(first, last)
        };
        let offset = (at(&mut random, x1, x2, w), at(&mut random, y1, y2, h));
        Self { size, class, outline: figure.placed(by, offset), random }
    }

    /// Paints the photo.
    pub(super) fn paint(&self) -> Canvas {
        let mut random = self.random.clone();
        let mut canvas = Canvas::new(self.size.0, self.size.1);
        backdrop::paint(&mut canvas, &mut random);
        let body = self.color(&canvas, &mut random);
        self.shadow(&mut canvas, &mut random);
        self.body(&mut canvas, body, &mut random);
        canvas.blur(random.below(3));
        canvas.grain(random.range(0.005, 0.03), &mut random);
        canvas
    }

    /// A colour that stands out from what lies under and around the object.
    fn color(&self, canvas: &Canvas, random: &mut Random) -> Color {
        let [x1, y1, x2, y2] = self.outline.bounds();
        let behind = canvas.mean(x1 - 8.0, y1 - 8.0, x2 + 8.0, y2 + 8.0);
        let usual = random.chance(USUAL);
        let mut farthest: Option<Color> = None;
        for _ in 0..40 {
            let hue = match usual {
                true => HUES[self.class] + random.range(-HUE_REACH, HUE_REACH),
                false => random.unit(),
            };
            let color = hsv(hue.rem_euclid(1.0), random.range(0.4, 0.95), random.range(0.25, 1.0));
            if distance(color, behind) >= 0.28 {
                return color;
            }
            if farthest.is_none_or(|f| distance(color, behind) > distance(f, behind)) {
                farthest = Some(color);
            }
        }
        farthest.unwrap_or([1.0; 3])
    }

    /// A soft dark copy, a little aside.
    fn shadow(&self, canvas: &mut Canvas, random: &mut Random) {
        let direction = unit_vector(random);
        let reach = random.range(1.0, 7.0);
        let (soft, dark) = (random.range(2.0, 9.0), random.range(0.15, 0.5));
        let shadow = self.outline.placed(1.0, (direction.0 * reach, direction.1 * reach));
        let [x1, y1, x2, y2] = shadow.bounds();
        canvas.paint_within([x1 - soft, y1 - soft, x2 + soft, y2 + soft], |p, c| {
            scale(c, 1.0 - dark * (1.0 - smoothstep(-soft, soft, shadow.distance(p))))
        });
    }

    /// The object itself: its colour, lit from one side, its surface a little uneven, its rim darker or lighter.
    fn body(&self, canvas: &mut Canvas, color: Color, random: &mut Random) {
        let bounds = self.outline.bounds();
        let [x1, y1, x2, y2] = bounds;
        let (centre, half) = (((x1 + x2) * 0.5, (y1 + y2) * 0.5), (x2 - x1).max(y2 - y1) * 0.5);
        let light = unit_vector(random);
        let (slope, round) = (random.range(0.05, 0.25), random.range(0.0, 0.3));
        let uneven = Field::noise(self.size, (random.range(4.0, 30.0), random.range(4.0, 30.0)), 3, random);
        let roughness = random.range(0.0, 0.3);
        let rim = if random.chance(0.7) { random.range(0.55, 1.35) } else { 1.0 };
        let rim_width = random.range(1.0, 3.5);
        let glint = (centre.0 - light.0 * half * 0.35, centre.1 - light.1 * half * 0.35);
        let shine = random.range(0.0, 0.25);
        canvas.paint_within(bounds, |p, under| {
            let covered = self.outline.coverage(p);
            if covered == 0.0 {
                return under;
            }
            let (u, v) = ((p.0 - centre.0) / half, (p.1 - centre.1) / half);
            let lit = 1.0 - slope * (u * light.0 + v * light.1) - round * 0.4 * (u * u + v * v);
            let texture = 1.0 + roughness * (uneven.at(p.0, p.1) - 0.5);
            let edge = 1.0 - smoothstep(rim_width - 0.7, rim_width + 0.7, -self.outline.distance(p));
            let shaded = scale(color, lit * texture * (1.0 + (rim - 1.0) * edge));
            let from_glint = square_distance(p, glint) / (half * half);
            let bright = shine * (1.0 - smoothstep(0.0, 0.2, from_glint));
            mix(under, mix(shaded, [1.0; 3], bright), covered)
        });
    }
}

fn square_distance(a: Point, b: Point) -> f32 {
    (a.0 - b.0) * (a.0 - b.0) + (a.1 - b.1) * (a.1 - b.1)
}
