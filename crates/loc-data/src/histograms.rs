//! Histograms of the boxes of a data set: size, shape, position. Of fixed length, whatever the number of photos.

use serde::{Deserialize, Serialize};

use crate::Sample;

/// Bins of [`Histograms::side`].
pub const SIDE_BINS: usize = 20;
/// Bins of [`Histograms::aspect`]: four for each doubling.
pub const ASPECT_BINS: usize = 16;
/// Cells of [`Histograms::position`] along each side.
pub const CELLS: usize = 16;

/// Numbers of objects by size, shape and position of their boxes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histograms {
    /// By relative side, the square root of (box area / photo area): 20 equal parts of 0..1.
    pub side: Vec<usize>,
    /// By aspect ratio, width over height in pixels, on a logarithmic scale: 16 equal parts from 1/4 to 4; more extreme
    /// boxes are in the first and in the last.
    pub aspect: Vec<usize>,
    /// How many boxes cover the centre of each cell of a 16×16 grid over the photo, row by row from the top left.
    pub position: Vec<usize>,
}

impl Histograms {
    /// The histograms of these samples' boxes.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bins are few, and values within them"
    )]
    pub fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        let mut all =
            Self { side: vec![0; SIDE_BINS], aspect: vec![0; ASPECT_BINS], position: vec![0; CELLS * CELLS] };
        // The bin of a fraction; what is outside of 0..1 is in the outer bins.
        let bin = |fraction: f64, bins: usize| ((fraction * bins as f64).max(0.0) as usize).min(bins - 1);
        for (bbox, size) in samples.into_iter().filter_map(|s| Some((s.object?.bbox, s.size))) {
            let b = bbox.to_norm(size);
            all.side[bin(f64::from(b.area()).sqrt(), SIDE_BINS)] += 1;
            let aspect = f64::from(bbox.x2 - bbox.x1) / f64::from(bbox.y2 - bbox.y1);
            all.aspect[bin((aspect.log2() + 2.0) / 4.0, ASPECT_BINS)] += 1;
            let centre = |cell: usize| (cell as f32 + 0.5) / CELLS as f32;
            for row in (0..CELLS).filter(|row| (b.y1..b.y2).contains(&centre(*row))) {
                for column in (0..CELLS).filter(|column| (b.x1..b.x2).contains(&centre(*column))) {
                    all.position[row * CELLS + column] += 1;
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BBox, ImageSize, LabelledObject};

    #[test]
    fn boxes_are_counted_where_they_are() {
        let sample = |[x1, y1, x2, y2]: [f32; 4]| Sample {
            image: "a.jpg".into(),
            file: "a.jpg".into(),
            size: ImageSize { width: 160, height: 160 },
            object: Some(LabelledObject { class: 0, bbox: BBox { x1, y1, x2, y2 } }),
            subset: None,
            digest: [0; 32],
            group: None,
        };
        // A quarter of the photo at the top left, half a side; and the whole photo.
        let samples = [sample([0.0, 0.0, 80.0, 80.0]), sample([0.0, 0.0, 160.0, 160.0])];
        let h = Histograms::of(&samples);
        assert_eq!((h.side[10], h.side[19], h.side.iter().sum::<usize>()), (1, 1, 2));
        assert_eq!(h.aspect[8], 2, "square boxes are in the first bin above 1");
        assert_eq!((h.position[0], h.position[7], h.position[8], h.position[255]), (2, 2, 1, 1));
        assert_eq!(h.position.iter().sum::<usize>(), 64 + 256);
        // Long and thin: width over height 16, and 1/16.
        let h = Histograms::of(&[sample([0.0, 0.0, 160.0, 10.0]), sample([0.0, 0.0, 10.0, 160.0])]);
        assert_eq!((h.aspect[0], h.aspect[15]), (1, 1));
        assert_eq!(Histograms::of(&[]).side, [0; SIDE_BINS]);
    }
}
