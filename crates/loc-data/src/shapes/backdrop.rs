//! What lies behind the object: walls, cloth, tiles, wood, grass, and the clutter on them.

use super::canvas::{Canvas, Color, mix, scale, smoothstep};
use super::figure::{Outline, Point, cross, triangle};
use super::noise::Field;
use crate::random::Random;

/// Pairs of colours that surfaces are made of: plaster, sand, grass, slate, brick, oak, walnut, linen, denim, moss,
/// concrete, sea.
const SURFACES: [[Color; 2]; 12] = [
    [[0.82, 0.79, 0.73], [0.70, 0.66, 0.60]],
    [[0.76, 0.68, 0.52], [0.62, 0.53, 0.39]],
    [[0.36, 0.50, 0.23], [0.20, 0.32, 0.13]],
    [[0.42, 0.46, 0.51], [0.27, 0.30, 0.35]],
    [[0.60, 0.33, 0.26], [0.44, 0.23, 0.18]],
    [[0.72, 0.54, 0.34], [0.55, 0.38, 0.22]],
    [[0.43, 0.29, 0.20], [0.28, 0.18, 0.12]],
    [[0.88, 0.86, 0.80], [0.76, 0.73, 0.67]],
    [[0.30, 0.38, 0.55], [0.20, 0.26, 0.40]],
    [[0.46, 0.48, 0.30], [0.30, 0.33, 0.19]],
    [[0.62, 0.61, 0.59], [0.49, 0.48, 0.47]],
    [[0.45, 0.60, 0.66], [0.27, 0.43, 0.52]],
];

/// Covers the canvas: one surface, or a wall above a floor; then clutter, then light.
pub(super) fn paint(canvas: &mut Canvas, random: &mut Random) {
    surface(canvas, 0.0, random);
    if random.chance(0.3) {
        let horizon = f32::from(canvas.height) * random.range(0.35, 0.75);
        surface(canvas, horizon, random);
        let (dark, soft) = (random.range(0.5, 0.8), random.range(2.0, 6.0));
        canvas.paint(|_, y, c| {
            scale(c, 1.0 - (1.0 - dark) * (1.0 - smoothstep(0.0, soft, (y - horizon).abs())))
        });
    }
    clutter(canvas, random);
    canvas.blur(random.below(5));
    light(canvas, random);
}

/// One textured surface over the rows from `top` down.
fn surface(canvas: &mut Canvas, top: f32, random: &mut Random) {
    let pair = SURFACES[random.below(SURFACES.len())];
    let tint = [random.range(0.92, 1.08), random.range(0.92, 1.08), random.range(0.92, 1.08)];
    let [a, b] = pair.map(|c| [c[0] * tint[0], c[1] * tint[1], c[2] * tint[2]]);
    let size = (canvas.width, canvas.height);
    let direction = unit_vector(random);
    let fine = Field::noise(size, (5.0, 5.0), 2, random);
    let broad = Field::noise(size, (90.0, 70.0), 3, random);
    let grain = random.range(0.05, 0.2);
    let kind = random.below(5);
    let period = random.range(9.0, 44.0);
    let (warp, share, edge) = (random.range(0.0, 14.0), random.range(0.35, 0.65), random.range(0.03, 0.2));
    let (columns, rows) = (random.range(24.0, 80.0), random.range(16.0, 60.0));
    let (joint, offset) = (random.range(1.0, 3.0), if random.chance(0.5) { 0.5 } else { 0.0 });
    let long = Field::noise(size, (random.range(120.0, 260.0), random.range(3.0, 9.0)), 3, random);
    let mottled = Field::noise(size, (random.range(12.0, 70.0), random.range(12.0, 50.0)), 5, random);
    let tile_seed = random.bits();
    canvas.paint(|x, y, under| {
        if y < top {
            return under;
        }
        let along = x * direction.0 + y * direction.1;
        let t = match kind {
            // Plain, unevenly lit.
            0 => broad.at(x, y),
            // Mottled: grass, stone, carpet.
            1 => smoothstep(0.25, 0.75, mottled.at(x, y)),
            // Striped, the stripes a little wavy.
            2 => {
                let phase = ((along + warp * broad.at(x, y)) / period).rem_euclid(1.0);
                smoothstep(0.0, edge, phase) - smoothstep(share, share + edge, phase)
            }
            // Tiles or bricks: each its own tone, the joints dark.
            3 => {
                let row = (y / rows).floor();
                let shifted = x / columns + offset * (row * 0.5).fract() * 2.0;
                let (u, v) = (shifted.fract() * columns, (y / rows).fract() * rows);
                let from_joint = u.min(columns - u).min(v.min(rows - v));
                let cell = [tile_seed, u64::from(shifted.floor().to_bits()), u64::from(row.to_bits())];
                let tone = Random::keyed(&cell).range(0.0, 0.55);
                1.3 - (1.3 - tone) * smoothstep(joint * 0.5, joint, from_joint)
            }
            // Wood: long fibres.
            _ => smoothstep(0.2, 0.8, long.at(x, y)),
        };
        scale(mix(a, b, t), 1.0 - grain * 0.5 + grain * fine.at(x, y))
    });
}

/// Lines, specks and blurred things that are none of the classes.
fn clutter(canvas: &mut Canvas, random: &mut Random) {
    let (w, h) = (f32::from(canvas.width), f32::from(canvas.height));
    for _ in 0..random.below(4) {
        let centre = (random.range(0.0, w), random.range(0.0, h));
        let color = thing_color(random);
        let strength = random.range(0.25, 0.6);
        distractor(canvas, centre, color, strength, random);
    }
    for _ in 0..random.below(5) {
        line(canvas, random);
    }
    for _ in 0..random.below(14) {
        let centre = (random.range(0.0, w), random.range(0.0, h));
        let speck = Outline::ellipse(random.range(0.4, 1.0), unit_vector(random));
        let speck = speck.placed(random.range(1.0, 4.0), centre);
        let (color, strength) = (thing_color(random), random.range(0.3, 0.8));
        canvas.paint_within(speck.bounds(), |p, c| mix(c, color, strength * speck.coverage(p)));
    }
}

/// A cross, a ring or a triangle with a soft edge.
fn distractor(canvas: &mut Canvas, centre: Point, color: Color, strength: f32, random: &mut Random) {
    let direction = unit_vector(random);
    let size = canvas.side() * random.range(0.04, 0.1);
    let soft = random.range(1.0, 5.0);
    let kind = random.below(3);
    let outline = match kind {
        0 => Outline::polygon(&cross(random.range(0.2, 0.35)), direction),
        1 => Outline::polygon(&triangle(), direction),
        _ => Outline::ellipse(random.range(0.6, 1.0), direction),
    };
    let outline = outline.placed(size, centre);
    let rim = size * 0.22;
    let [x1, y1, x2, y2] = outline.bounds();
    let margin = soft + rim;
    canvas.paint_within([x1 - margin, y1 - margin, x2 + margin, y2 + margin], |p, c| {
        let d = outline.distance(p);
        let d = if kind == 2 { d.abs() - rim } else { d };
        mix(c, color, strength * (1.0 - smoothstep(-soft, soft, d)))
    });
}

/// A straight line or a slightly bent one, from side to side: a crack, a wire, a blade of grass.
fn line(canvas: &mut Canvas, random: &mut Random) {
    let (w, h) = (f32::from(canvas.width), f32::from(canvas.height));
    let through = (random.range(0.0, w), random.range(0.0, h));
    let direction = unit_vector(random);
    let (bend, width) = (random.range(-0.0015, 0.0015), random.range(0.6, 3.0));
    let (color, strength) = (thing_color(random), random.range(0.25, 0.7));
    let reach = random.range(30.0, 300.0);
    canvas.paint(|x, y, c| {
        let (dx, dy) = (x - through.0, y - through.1);
        let along = dx * direction.0 + dy * direction.1;
        let across = dy * direction.0 - dx * direction.1 - bend * along * along;
        let cover = (width + 0.5 - across.abs()).clamp(0.0, 1.0) * (reach - along.abs()).clamp(0.0, 1.0);
        mix(c, color, strength * cover)
    });
}

/// Brighter on one side, darker in the corners.
fn light(canvas: &mut Canvas, random: &mut Random) {
    let direction = unit_vector(random);
    let (slope, corners) = (random.range(0.0, 0.3), random.range(0.0, 0.35));
    let (w, h) = (f32::from(canvas.width), f32::from(canvas.height));
    let exposure = random.range(0.85, 1.12);
    canvas.paint(|x, y, c| {
        let (u, v) = (x / w * 2.0 - 1.0, y / h * 2.0 - 1.0);
        let lit = 1.0 + slope * 0.5 * (u * direction.0 + v * direction.1);
        scale(c, exposure * lit * (1.0 - corners * 0.25 * (u * u + v * v)))
    });
}

/// A muted colour for things that are not the object.
fn thing_color(random: &mut Random) -> Color {
    super::canvas::hsv(random.unit(), random.range(0.0, 0.5), random.range(0.1, 0.9))
}

/// An even direction: a point in the disc, brought to its rim.
pub(super) fn unit_vector(random: &mut Random) -> Point {
    loop {
        let (x, y) = (random.range(-1.0, 1.0), random.range(-1.0, 1.0));
        let square = x * x + y * y;
        if (0.01..1.0).contains(&square) {
            let length = square.sqrt();
            return (x / length, y / length);
        }
    }
}
