//! One photo of the sample set as data: its class, its size, and the outline of its object. `paint` makes pixels of it.
//!
//! Only additions, products and square roots: their results are the same on every processor, and so are the annotations
//! and the photos. (Sines and powers come from the system's library and are not.)

use imageproc::point::Point;

use crate::random::Random;

/// The classes, in their order.
pub(super) const CLASSES: [&str; 3] = ["box", "disc", "star"];

/// Widths and heights of the photos.
const SIZES: [(u16, u16); 5] = [(256, 256), (288, 240), (240, 288), (300, 225), (270, 270)];

/// The object's side (the square root of its box's area) as a fraction of the photo's shorter side.
const SIDE: (f32, f32) = (0.22, 0.65);

/// The corners of a polygon: x to the right, y down.
pub(super) type Polygon = Vec<Point<f32>>;

/// What the annotation says about a photo, and the generator that the rest of the photo is drawn from.
pub(super) struct Scene {
    /// Width and height in pixels.
    pub(super) size: (u16, u16),
    /// Index into [`CLASSES`].
    pub(super) class: usize,
    /// The object's outline in pixels.
    pub(super) outline: Polygon,
    pub(super) random: Random,
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
        let mut outline = match class {
            0 => rectangle(1.0, random.range(0.65, 1.0)),
            1 => stretched(ring(64, |_| 1.0), random.range(0.65, 1.0)),
            _ => star(random.range(0.38, 0.5)),
        };
        turn(&mut outline, direction(&mut random));
        // The side is drawn for the box, not for the figure: sizes tell nothing about the class.
        let [x1, y1, x2, y2] = bounds(&outline);
        let (width, height) = (f32::from(size.0), f32::from(size.1));
        let side = random.range(SIDE.0, SIDE.1) * width.min(height);
        let scale = side / ((x2 - x1) * (y2 - y1)).sqrt();
        let mut offset = |low: f32, high: f32, room: f32| {
            let margin = 2.0;
            random.range(margin - low * scale, room - margin - high * scale)
        };
        let offset = Point::new(offset(x1, x2, width), offset(y1, y2, height));
        place(&mut outline, scale, offset);
        Self { size, class, outline, random }
    }

    /// The tight box of the object in pixels: left, top, right, bottom.
    pub(super) fn bounds(&self) -> [f32; 4] {
        bounds(&self.outline)
    }
}

/// The tight box of a polygon.
fn bounds(polygon: &[Point<f32>]) -> [f32; 4] {
    polygon.iter().fold([f32::MAX, f32::MAX, f32::MIN, f32::MIN], |b, p| {
        [b[0].min(p.x), b[1].min(p.y), b[2].max(p.x), b[3].max(p.y)]
    })
}

/// A rectangle around the origin from its half sides.
pub(super) fn rectangle(x: f32, y: f32) -> Polygon {
    [(-x, -y), (x, -y), (x, y), (-x, y)].map(|(x, y)| Point::new(x, y)).to_vec()
}

/// A star of five rays around the origin, the outer corners at distance 1, the inner ones at `inner`.
pub(super) fn star(inner: f32) -> Polygon {
    ring(10, |i| if i % 2 == 0 { 1.0 } else { inner })
}

/// `n` corners at equal angles around the origin (10 or 64), corner `i` at distance `radius(i)`; the first points up.
fn ring(n: u8, radius: impl Fn(u8) -> f32) -> Polygon {
    // Cosine and sine of a turn's tenth and of its sixty-fourth.
    let step =
        if n == 10 { Point::new(0.809_017, 0.587_785_25) } else { Point::new(0.995_184_7, 0.098_017_14) };
    let mut at = [Point::new(0.0, -1.0)];
    (0..n)
        .map(|i| {
            let corner = Point::new(at[0].x * radius(i), at[0].y * radius(i));
            turn(&mut at, step);
            corner
        })
        .collect()
}

fn stretched(mut polygon: Polygon, y: f32) -> Polygon {
    polygon.iter_mut().for_each(|p| p.y *= y);
    polygon
}

/// Turns a polygon around the origin by the angle with this cosine (`x`) and sine (`y`).
pub(super) fn turn(polygon: &mut [Point<f32>], angle: Point<f32>) {
    for p in polygon {
        *p = Point::new(p.x * angle.x - p.y * angle.y, p.x * angle.y + p.y * angle.x);
    }
}

/// Scales a polygon around the origin, then moves it.
pub(super) fn place(polygon: &mut [Point<f32>], scale: f32, offset: Point<f32>) {
    for p in polygon {
        *p = Point::new(p.x * scale + offset.x, p.y * scale + offset.y);
    }
}

/// A uniformly distributed direction of length 1: a point in the unit disc, moved to its rim.
pub(super) fn direction(random: &mut Random) -> Point<f32> {
    loop {
        let (x, y) = (random.range(-1.0, 1.0), random.range(-1.0, 1.0));
        let square = x * x + y * y;
        if (0.01..1.0).contains(&square) {
            return Point::new(x / square.sqrt(), y / square.sqrt());
        }
    }
}
