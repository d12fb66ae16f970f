//! Smooth random fields: the grain of wood, the mottling of stone, the unevenness of light.

use crate::random::Random;

/// A number in 0..1 for each pixel.
pub(super) struct Field {
    width: u16,
    values: Vec<f32>,
}

impl Field {
    /// Value noise of `octaves` scales, each half as coarse and half as strong as the one before: random numbers at
    /// the corners of a grid of `cell` pixels (horizontal, vertical; at least 1), blended between.
    pub(super) fn noise(size: (u16, u16), cell: (f32, f32), octaves: u16, random: &mut Random) -> Self {
        let (width, height) = size;
        let mut values = vec![0.0; usize::from(width) * usize::from(height)];
        let (mut weight, mut total) = (1.0, 0.0);
        let mut cell = (cell.0.max(1.0), cell.1.max(1.0));
        for _ in 0..octaves {
            let columns = spans(width, cell.0);
            let rows = spans(height, cell.1);
            let across = columns.last().map_or(0, |c| c.0) + 2;
            let down = rows.last().map_or(0, |r| r.0) + 2;
            let grid: Vec<f32> = (0..across * down).map(|_| random.unit()).collect();
            for (row, line) in rows.iter().zip(values.chunks_exact_mut(usize::from(width))) {
                let (top, bottom) = (&grid[row.0 * across..], &grid[(row.0 + 1) * across..]);
                for ((i, t), value) in columns.iter().zip(line) {
                    let above = top[*i] + (top[i + 1] - top[*i]) * t;
                    let below = bottom[*i] + (bottom[i + 1] - bottom[*i]) * t;
                    *value += weight * (above + (below - above) * row.1);
                }
            }
            total += weight;
            weight *= 0.5;
            cell = ((cell.0 * 0.5).max(1.0), (cell.1 * 0.5).max(1.0));
        }
        for value in &mut values {
            *value /= total;
        }
        Self { width, values }
    }

    /// The value at the pixel that holds the point; the nearest one for points outside.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float-to-integer cast saturates, which is the clamping wanted here"
    )]
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let width = usize::from(self.width);
        let column = (x as usize).min(width - 1);
        let row = (y as usize).min(self.values.len() / width - 1);
        self.values[row * width + column]
    }
}

/// For each pixel of a line: the grid cell it lies in, and how far through it (smoothed), from 0 to 1.
fn spans(length: u16, cell: f32) -> Vec<(usize, f32)> {
    let span = |pixel: u16| {
        let at = (f32::from(pixel) + 0.5) / cell;
        let t = at.fract();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 65,535")]
        let index = at as usize;
        (index, t * t * (3.0 - 2.0 * t))
    };
    (0..length).map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_smooth_and_within_bounds() {
        let field = Field::noise((60, 40), (20.0, 20.0), 1, &mut Random::keyed(&[1]));
        let mut steps: Vec<f32> = Vec::new();
        for y in 0..40_u8 {
            for x in 0..59_u8 {
                let (a, b) =
                    (field.at(f32::from(x), f32::from(y)), field.at(f32::from(x) + 1.0, f32::from(y)));
                assert!((0.0..=1.0).contains(&a));
                steps.push((a - b).abs());
            }
        }
        // A cell of 20 pixels rises by at most 1; smoothstep's steepest slope is 1.5.
        assert!(steps.iter().all(|s| *s <= 1.5 / 20.0 + 1e-5));
        assert!(steps.iter().any(|s| *s > 0.005));
    }

    #[test]
    fn octaves_add_detail_and_points_outside_are_clamped() {
        // The second difference: what a coarse scale lacks and a fine one has.
        let roughness = |octaves| {
            let field = Field::noise((64, 64), (32.0, 32.0), octaves, &mut Random::keyed(&[2]));
            let at = |x: u8| field.at(f32::from(x), 5.0);
            (1..63).map(|x| (at(x - 1) - 2.0 * at(x) + at(x + 1)).abs()).sum::<f32>()
        };
        assert!(roughness(5) > 3.0 * roughness(1));
        let field = Field::noise((8, 4), (0.0, 3.0), 2, &mut Random::keyed(&[3]));
        assert_eq!(field.at(-5.0, -5.0), field.at(0.0, 0.0));
        assert_eq!(field.at(1e9, 1e9), field.at(7.0, 3.0));
    }
}
