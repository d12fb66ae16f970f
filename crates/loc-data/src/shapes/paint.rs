//! The pixels of a [`Scene`]: surface, clutter, shadow, object, light, grain. Polygons, lines, filters and noise are
//! imageproc's, scaling is image's; what is mixed of them, and how strongly, is decided here.
//!
//! The bytes are the same on every machine. Blurs have fixed kernels (a Gaussian's comes from the system's `exp`).
//! imageproc's noise depends on the generator of its `rand`, whose version `Cargo.lock` pins; a test holds the digest.

use image::imageops::{FilterType, crop_imm, replace, resize, thumbnail};
use image::{GrayImage, Luma, Pixel, Rgb, RgbImage};
use imageproc::drawing::{
    draw_antialiased_line_segment_mut, draw_filled_circle_mut, draw_filled_rect_mut, draw_polygon_mut,
};
use imageproc::filter::{box_filter, separable_filter_equal};
use imageproc::noise::gaussian_noise_mut;
use imageproc::pixelops::interpolate;
use imageproc::point::Point;
use imageproc::rect::Rect;

use super::scene::{self, Polygon, Scene, direction, place, rectangle, star};
use crate::random::Random;

/// Pairs of colours of surfaces: plaster, sand, grass, slate, brick, oak, walnut, linen, denim, moss, concrete, sea.
const SURFACES: [[[u8; 3]; 2]; 12] = [
    [[209, 201, 186], [178, 168, 153]],
    [[194, 173, 133], [158, 135, 99]],
    [[92, 128, 59], [51, 82, 33]],
    [[107, 117, 130], [69, 77, 89]],
    [[153, 84, 66], [112, 59, 46]],
    [[184, 138, 87], [140, 97, 56]],
    [[110, 74, 51], [71, 46, 31]],
    [[224, 219, 204], [194, 186, 171]],
    [[77, 97, 140], [51, 66, 102]],
    [[117, 122, 77], [77, 84, 48]],
    [[158, 156, 150], [125, 122, 120]],
    [[115, 153, 168], [69, 110, 133]],
];
/// The middle of each class's usual hues, in turns of the colour circle. As in life a colour suggests the class; the
/// shape decides it.
const HUES: [f32; 3] = [0.06, 0.60, 0.33];
/// How often an object has one of its class's usual hues, and not just any.
const USUAL: f32 = 0.85;
/// Edges that stay sharp are drawn at this many times the photo's size.
const SUPERSAMPLING: u8 = 4;

/// Paints the photo.
pub(super) fn paint(scene: &Scene) -> RgbImage {
    let mut random = scene.random.clone();
    let mut photo = background(scene.size, &mut random);
    object(&mut photo, scene, &mut random);
    // Light that falls unevenly over all of it.
    let light = texture(scene.size, (150.0, 150.0), &mut random);
    shade(&mut photo, &light, random.range(0.0, 0.5));
    let mut photo = blurred(photo, random.below(3));
    gaussian_noise_mut(&mut photo, 0.0, f64::from(random.range(1.5, 7.0)), random.bits());
    photo
}

/// One surface, or a wall above a floor, with clutter, more or less out of focus.
fn background(size: (u16, u16), random: &mut Random) -> RgbImage {
    let mut photo = surface(size, random);
    if random.chance(0.3) {
        let floor = surface(size, random);
        let horizon = f32::from(size.1) * random.range(0.35, 0.75);
        replace(&mut photo, &floor, 0, i64::from(pixel(horizon)));
    }
    let (width, height) = (f32::from(size.0), f32::from(size.1));
    let anywhere = |random: &mut Random| Point::new(random.range(0.0, width), random.range(0.0, height));
    for _ in 0..random.below(4) {
        let mut outline = if random.chance(0.5) {
            star(random.range(0.6, 1.0))
        } else {
            rectangle(1.0, random.range(0.1, 0.3))
        };
        scene::turn(&mut outline, direction(random));
        place(&mut outline, width.min(height) * random.range(0.04, 0.1), anywhere(random));
        let soft = box_filter(&filled(size, &[outline], 1), 2, 2);
        blend(&mut photo, &plain(size, muted(random)), &soft, random.range(0.25, 0.6));
    }
    for _ in 0..random.below(6) {
        let [from, to] = [anywhere(random), anywhere(random)].map(|p| (pixel(p.x), pixel(p.y)));
        draw_antialiased_line_segment_mut(&mut photo, from, to, muted(random), interpolate);
    }
    for _ in 0..random.below(14) {
        let at = anywhere(random);
        draw_filled_circle_mut(
            &mut photo,
            (pixel(at.x), pixel(at.y)),
            pixel(random.range(0.0, 3.0)),
            muted(random),
        );
    }
    blurred(photo, random.below(5))
}

/// A surface of two colours in one of five patterns, with a fine grain.
fn surface(size: (u16, u16), random: &mut Random) -> RgbImage {
    let colors = SURFACES[random.below(SURFACES.len())];
    let tint = [(); 3].map(|()| random.range(0.92, 1.08));
    let [a, b] = colors.map(|color| Rgb(std::array::from_fn(|i| byte(f32::from(color[i]) * tint[i]))));
    let pattern = match random.below(5) {
        // Plain, mottled as grass or stone, striped, bricks, wood.
        0 => texture(size, (90.0, 70.0), random),
        1 => texture(size, (random.range(12.0, 60.0), random.range(12.0, 50.0)), random),
        2 => stripes(size, random),
        3 => bricks(size, random),
        _ => texture(size, (random.range(120.0, 260.0), random.range(3.0, 9.0)), random),
    };
    let mut surface = plain(size, a);
    blend(&mut surface, &plain(size, b), &pattern, 1.0);
    shade(&mut surface, &texture(size, (5.0, 5.0), random), random.range(0.05, 0.25));
    surface
}

/// Parallel bars in any direction.
fn stripes(size: (u16, u16), random: &mut Random) -> GrayImage {
    let (period, across) = (random.range(9.0, 40.0), direction(random));
    let width = period * random.range(0.15, 0.3);
    let bars: Vec<Polygon> = (-25_i8..=25)
        .map(|i| {
            let mut bar = rectangle(width, 400.0);
            let offset = f32::from(i) * period;
            bar.iter_mut().for_each(|p| p.x += offset);
            scene::turn(&mut bar, across);
            place(&mut bar, 1.0, Point::new(f32::from(size.0) * 0.5, f32::from(size.1) * 0.5));
            bar
        })
        .collect();
    filled(size, &bars, SUPERSAMPLING)
}

/// Tiles or bricks, each of its own tone, the joints dark.
fn bricks(size: (u16, u16), random: &mut Random) -> GrayImage {
    let mut wall = GrayImage::from_pixel(size.0.into(), size.1.into(), Luma([255]));
    let (width, height) = (24 + random.below(50), 16 + random.below(40));
    let (joint, shift) = (1 + random.below(3), if random.chance(0.5) { width / 2 } else { 0 });
    for (row, top) in (0..usize::from(size.1)).step_by(height).enumerate() {
        for left in (0..usize::from(size.0) + width).step_by(width) {
            let at = |v: usize| i32::try_from(v).unwrap_or(i32::MAX);
            let side = |v: usize| u32::try_from(v - joint).unwrap_or(u32::MAX);
            let brick = Rect::at(at(left) - at(row % 2 * shift), at(top)).of_size(side(width), side(height));
            draw_filled_rect_mut(&mut wall, brick, Luma([byte(random.range(0.0, 130.0))]));
        }
    }
    wall
}

/// The object with its shadow: a colour that stands out, lit unevenly, darker or lighter towards its edge, with a glint.
fn object(photo: &mut RgbImage, scene: &Scene, random: &mut Random) {
    let (size, [x1, y1, x2, y2]) = (scene.size, scene.bounds());
    let mask = filled(size, std::slice::from_ref(&scene.outline), SUPERSAMPLING);
    let away = direction(random);

    let mut shadow = GrayImage::new(size.0.into(), size.1.into());
    let reach = random.range(1.0, 7.0);
    replace(&mut shadow, &mask, pixel(away.x * reach).into(), pixel(away.y * reach).into());
    let soft = if random.chance(0.5) { 1 } else { 3 };
    let shadow = box_filter(&box_filter(&shadow, soft, soft), soft, soft);
    blend(photo, &plain(size, Rgb([0; 3])), &shadow, random.range(0.15, 0.5));

    let [left, top, width, height] = [x1, y1, x2 - x1, y2 - y1].map(|v| pixel(v).unsigned_abs());
    let behind = *thumbnail(&*crop_imm(photo, left, top, width, height), 1, 1).get_pixel(0, 0);
    let mut body = plain(size, standing_out(scene.class, behind, random));
    let uneven = texture(size, (random.range(6.0, 60.0), random.range(6.0, 60.0)), random);
    shade(&mut body, &uneven, random.range(0.1, 0.6));
    shade(&mut body, &box_filter(&mask, 2, 2), random.range(-0.15, 0.4));
    let radius = (x2 - x1).min(y2 - y1) * 0.12;
    let at = |low: f32, high: f32, away: f32| pixel((low + high) * 0.5 - away * radius * 1.5);
    let mut glint = GrayImage::new(size.0.into(), size.1.into());
    draw_filled_circle_mut(&mut glint, (at(x1, x2, away.x), at(y1, y2, away.y)), pixel(radius), Luma([255]));
    blend(&mut body, &plain(size, Rgb([255; 3])), &box_filter(&glint, 3, 3), random.range(0.0, 0.3));
    blend(photo, &body, &mask, 1.0);
}

/// A colour for an object of a class that stands out from what is behind it; the best of 40 if none stands out far.
fn standing_out(class: usize, behind: Rgb<u8>, random: &mut Random) -> Rgb<u8> {
    let usual = random.chance(USUAL);
    let mut best = (0, behind);
    for _ in 0..40 {
        let hue = if usual { HUES[class] + random.range(-0.13, 0.13) } else { random.unit() };
        let color = hsv(hue.rem_euclid(1.0), random.range(0.4, 0.95), random.range(0.25, 1.0));
        let distance = (0..3).map(|i| u32::from(color[i].abs_diff(behind[i]))).sum();
        if distance > best.0 {
            best = (distance, color);
        }
        if distance > 200 {
            break;
        }
    }
    best.1
}

/// A muted colour for things that are not the object.
fn muted(random: &mut Random) -> Rgb<u8> {
    hsv(random.unit(), random.range(0.0, 0.5), random.range(0.1, 0.9))
}

/// Hue, saturation and value, each in 0..1, as RGB.
fn hsv(hue: f32, saturation: f32, value: f32) -> Rgb<u8> {
    Rgb([0.0, 2.0 / 3.0, 1.0 / 3.0].map(|shift: f32| {
        let wave = (((hue + shift).fract() * 6.0 - 3.0).abs() - 1.0).clamp(0.0, 1.0);
        byte(255.0 * value * (1.0 - saturation + saturation * wave))
    }))
}

/// Value noise of two scales: random grey values about `cell` pixels apart (horizontal, vertical), scaled up.
fn texture(size: (u16, u16), cell: (f32, f32), random: &mut Random) -> GrayImage {
    let mut noise = GrayImage::from_pixel(1, 1, Luma([128]));
    for octave in [1.0, 4.0] {
        let side =
            |side: u16, cell: f32| pixel(f32::from(side) * octave / cell).unsigned_abs().min(side.into()) + 2;
        noise = resize(&noise, side(size.0, cell.0), side(size.1, cell.1), FilterType::Triangle);
        gaussian_noise_mut(&mut noise, 0.0, f64::from(60.0 / octave), random.bits());
    }
    resize(&noise, size.0.into(), size.1.into(), FilterType::Triangle)
}

/// The part of each pixel that polygons cover, 0 to 255; filled at `fineness` times the size, then averaged.
fn filled(size: (u16, u16), polygons: &[Polygon], fineness: u8) -> GrayImage {
    let [width, height] = [size.0, size.1].map(u32::from);
    let mut large = GrayImage::new(width * u32::from(fineness), height * u32::from(fineness));
    for polygon in polygons {
        // An integer point is the centre of a pixel: half a pixel inwards of its edges.
        let scaled = |v: f32| pixel(v * f32::from(fineness) - 0.5);
        let corners: Vec<_> = polygon.iter().map(|p| Point::new(scaled(p.x), scaled(p.y))).collect();
        draw_polygon_mut(&mut large, &corners, Luma([255]));
    }
    thumbnail(&large, width, height)
}

fn plain(size: (u16, u16), color: Rgb<u8>) -> RgbImage {
    RgbImage::from_pixel(size.0.into(), size.1.into(), color)
}

/// Lays `over` onto a photo as strongly as the mask says (255: `strength`).
fn blend(photo: &mut RgbImage, over: &RgbImage, mask: &GrayImage, strength: f32) {
    for ((under, over), mask) in photo.pixels_mut().zip(over.pixels()).zip(mask.pixels()) {
        *under = interpolate(*over, *under, strength * f32::from(mask[0]) / 255.0);
    }
}

/// Makes a photo lighter where `light` is above 128 and darker where it is below.
fn shade(photo: &mut RgbImage, light: &GrayImage, strength: f32) {
    for (color, light) in photo.pixels_mut().zip(light.pixels()) {
        let factor = 1.0 + strength * (f32::from(light[0]) / 128.0 - 1.0);
        color.apply(|c| byte(f32::from(c) * factor));
    }
}

/// Averages each pixel with its neighbours, 1:2:1 in both directions, `passes` times.
fn blurred(photo: RgbImage, passes: usize) -> RgbImage {
    (0..passes).fold(photo, |photo, _| separable_filter_equal(&photo, &[0.25_f32, 0.5, 0.25]))
}

#[expect(clippy::cast_possible_truncation, reason = "rounds; photos are a few hundred pixels wide")]
fn pixel(length: f32) -> i32 {
    length.round() as i32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn byte(value: f32) -> u8 {
    value.round() as u8
}
