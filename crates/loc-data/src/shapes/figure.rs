//! Outlines: discs, boxes, stars and the distractors' shapes, turned and scaled, with their exact tight boxes.

/// A point or a direction: x to the right, y down.
pub(super) type Point = (f32, f32);

/// The edge of a filled figure, in pixels.
#[derive(Debug, Clone)]
pub(super) enum Outline {
    /// A closed polygon.
    Polygon(Vec<Point>),
    /// An ellipse: its centre, its half-axes, and the direction of the first (of length 1).
    Ellipse { centre: Point, axes: Point, direction: Point },
}

/// `p` turned by the angle whose cosine and sine are `direction`.
pub(super) fn turn(p: Point, direction: Point) -> Point {
    (p.0 * direction.0 - p.1 * direction.1, p.0 * direction.1 + p.1 * direction.0)
}

/// The corners of a star of five rays around the origin, the outer at distance 1, the inner at `inner`.
pub(super) fn star(inner: f32) -> Vec<Point> {
    // Cosine and sine of 36°.
    let step = (0.809_017, 0.587_785_25);
    let mut direction = (0.0, -1.0);
    (0..10_u8)
        .map(|i| {
            let radius = if i % 2 == 0 { 1.0 } else { inner };
            let corner = (direction.0 * radius, direction.1 * radius);
            direction = turn(direction, step);
            corner
        })
        .collect()
}

/// The corners of a box around the origin, 2 wide and `2 · ratio` high.
pub(super) fn rectangle(ratio: f32) -> Vec<Point> {
    vec![(-1.0, -ratio), (1.0, -ratio), (1.0, ratio), (-1.0, ratio)]
}

/// The corners of a triangle around the origin.
pub(super) fn triangle() -> Vec<Point> {
    vec![(0.0, -1.0), (0.866, 0.5), (-0.866, 0.5)]
}

/// The corners of a plus sign around the origin, its arms `2 · arm` wide.
pub(super) fn cross(arm: f32) -> Vec<Point> {
    let a = arm;
    vec![
        (-a, -1.0),
        (a, -1.0),
        (a, -a),
        (1.0, -a),
        (1.0, a),
        (a, a),
        (a, 1.0),
        (-a, 1.0),
        (-a, a),
        (-1.0, a),
        (-1.0, -a),
        (-a, -a),
    ]
}

impl Outline {
    /// A polygon around the origin, turned.
    pub(super) fn polygon(corners: &[Point], direction: Point) -> Self {
        Self::Polygon(corners.iter().map(|c| turn(*c, direction)).collect())
    }

    /// An ellipse around the origin, its half-axes 1 and `ratio`, turned.
    pub(super) fn ellipse(ratio: f32, direction: Point) -> Self {
        Self::Ellipse { centre: (0.0, 0.0), axes: (1.0, ratio), direction }
    }

    /// The tight box: left, top, right, bottom.
    pub(super) fn bounds(&self) -> [f32; 4] {
        match self {
            Self::Polygon(corners) => corners
                .iter()
                .fold([f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY], |b, c| {
                    [b[0].min(c.0), b[1].min(c.1), b[2].max(c.0), b[3].max(c.1)]
                }),
            Self::Ellipse { centre, axes, direction } => {
                let half = |a: f32, b: f32| (a * a + b * b).sqrt();
                let w = half(axes.0 * direction.0, axes.1 * direction.1);
                let h = half(axes.0 * direction.1, axes.1 * direction.0);
                [centre.0 - w, centre.1 - h, centre.0 + w, centre.1 + h]
            }
        }
    }

    /// The same figure, `by` times as large, then moved.
    #[must_use]
    pub(super) fn placed(&self, by: f32, offset: Point) -> Self {
        let place = |p: Point| (p.0 * by + offset.0, p.1 * by + offset.1);
        match self {
            Self::Polygon(corners) => Self::Polygon(corners.iter().map(|c| place(*c)).collect()),
            Self::Ellipse { centre, axes, direction } => Self::Ellipse {
                centre: place(*centre),
                axes: (axes.0 * by, axes.1 * by),
                direction: *direction,
            },
        }
    }

    /// Distance to the edge in pixels, negative inside. Exact for polygons; for ellipses the first-order
    /// approximation `f / |∇f|`, good near the edge, where it is used.
    pub(super) fn distance(&self, p: Point) -> f32 {
        match self {
            Self::Polygon(corners) => polygon_distance(corners, p),
            Self::Ellipse { centre, axes, direction } => {
                let local = turn((p.0 - centre.0, p.1 - centre.1), (direction.0, -direction.1));
                let (u, v) = (local.0 / axes.0, local.1 / axes.1);
                let norm = (u * u + v * v).sqrt();
                let (gu, gv) = (u / axes.0, v / axes.1);
                let gradient = (gu * gu + gv * gv).sqrt();
                if gradient < 1e-6 { -axes.0.min(axes.1) } else { norm * (norm - 1.0) / gradient }
            }
        }
    }

    /// How much of the pixel centred at `p` the figure covers, 0 to 1.
    pub(super) fn coverage(&self, p: Point) -> f32 {
        (0.5 - self.distance(p)).clamp(0.0, 1.0)
    }
}

/// The nearest edge's distance; the sign by counting edges crossed to the right of the point.
fn polygon_distance(corners: &[Point], p: Point) -> f32 {
    let mut nearest = f32::INFINITY;
    let mut inside = false;
    for (i, a) in corners.iter().enumerate() {
        let b = corners[(i + 1) % corners.len()];
        let (edge, to) = ((b.0 - a.0, b.1 - a.1), (p.0 - a.0, p.1 - a.1));
        let along = (to.0 * edge.0 + to.1 * edge.1) / (edge.0 * edge.0 + edge.1 * edge.1);
        let t = along.clamp(0.0, 1.0);
        let off = (to.0 - edge.0 * t, to.1 - edge.1 * t);
        nearest = nearest.min(off.0 * off.0 + off.1 * off.1);
        if (a.1 > p.1) != (b.1 > p.1) && p.0 < a.0 + edge.0 * (p.1 - a.1) / edge.1 {
            inside = !inside;
        }
    }
    let distance = nearest.sqrt();
    if inside { -distance } else { distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The box of the pixels that are at least half covered.
    fn painted(outline: &Outline, size: u16) -> [f32; 4] {
        let mut b = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
        for y in 0..size {
            for x in 0..size {
                let (x, y) = (f32::from(x), f32::from(y));
                if outline.coverage((x + 0.5, y + 0.5)) >= 0.5 {
                    b = [b[0].min(x), b[1].min(y), b[2].max(x + 1.0), b[3].max(y + 1.0)];
                }
            }
        }
        b
    }

    fn turned(outline: impl Fn(Point) -> Outline) {
        for direction in [(1.0, 0.0), (0.6, 0.8), (-0.8, 0.6), (0.96, -0.28)] {
            let unit = outline(direction);
            let placed = unit.placed(70.0, (100.0, 90.0));
            let (exact, drawn) = (placed.bounds(), painted(&placed, 200));
            for (e, d) in exact.iter().zip(drawn) {
                // A thin ray's tip covers less than half of its last pixels.
                assert!((e - d).abs() <= 2.0, "{direction:?}: {exact:?} but drawn {drawn:?}");
            }
        }
    }

    #[test]
    fn the_box_is_that_of_the_painted_pixels() {
        turned(|d| Outline::ellipse(0.7, d));
        turned(|d| Outline::polygon(&rectangle(0.8), d));
        turned(|d| Outline::polygon(&star(0.45), d));
        turned(|d| Outline::polygon(&triangle(), d));
        turned(|d| Outline::polygon(&cross(0.3), d));
    }

    #[test]
    fn distances_of_a_disc_and_a_box() {
        let disc = Outline::ellipse(1.0, (1.0, 0.0)).placed(10.0, (20.0, 20.0));
        for (p, expected) in [((20.0, 20.0), -10.0), ((35.0, 20.0), 5.0), ((20.0, 12.0), -2.0)] {
            assert!((disc.distance(p) - expected).abs() < 1e-4, "{p:?}: {}", disc.distance(p));
        }
        let square = Outline::polygon(&rectangle(1.0), (1.0, 0.0)).placed(10.0, (20.0, 20.0));
        for (p, expected) in [((20.0, 20.0), -10.0), ((33.0, 34.0), 5.0), ((29.0, 20.0), -1.0)] {
            assert!((square.distance(p) - expected).abs() < 1e-4, "{p:?}: {}", square.distance(p));
        }
    }

    #[test]
    fn a_star_has_five_rays() {
        let corners = star(0.4);
        let radius = |p: &Point| (p.0 * p.0 + p.1 * p.1).sqrt();
        for (i, corner) in corners.iter().enumerate() {
            let expected = if i % 2 == 0 { 1.0 } else { 0.4 };
            assert!((radius(corner) - expected).abs() < 1e-5);
        }
        assert!((corners[0].0, corners[0].1) == (0.0, -1.0));
    }
}
