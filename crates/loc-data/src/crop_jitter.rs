//! Windows around the objects of training photos, for the second look: as inexact as those around predicted boxes.

use loc_infer::Window;

use crate::BBox;
use crate::random::Random;

/// How a window around an object differs from that around its true box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CropJitter {
    /// The sides of the window, in sides of the box.
    pub margin: f32,
    /// Standard deviation of the shift of its centre, in sides of the box.
    pub shift: f32,
    /// Standard deviation of the logarithm of its sides.
    pub scale: f32,
}

/// Domain separation: the first part of the random keys.
const CROP: u64 = 0x6372_6F70_0000_0001;

impl CropJitter {
    /// Draws the window for (`seed`, `pass`, the sample's index in the data set).
    #[must_use]
    pub fn draw(&self, seed: u64, pass: u64, sample: usize, bbox: BBox) -> Window {
        let mut random = Random::keyed(&[CROP, seed, pass, sample as u64]);
        let mut axis = |from: f32, to: f32| {
            let (centre, side) = (f32::midpoint(from, to), to - from);
            let centre = centre + self.shift * side * normal(&mut random);
            let half = side * (self.scale * normal(&mut random)).exp() / 2.0;
            (centre - half, centre + half)
        };
        let ((x1, x2), (y1, y2)) = (axis(bbox.x1, bbox.x2), axis(bbox.y1, bbox.y2));
        Window::around(BBox::new(x1, y1, x2, y2), self.margin)
    }
}

/// A number with mean 0 and standard deviation 1, nearly normal, within ±3.
fn normal(random: &mut Random) -> f32 {
    (0..3).map(|_| random.range(-1.0, 1.0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_vary_as_stated_and_depend_on_the_key_only() {
        let jitter = CropJitter { margin: 1.2, shift: 0.1, scale: 0.2 };
        let bbox = BBox::new(2000.0, 1000.0, 3000.0, 1500.0);
        let windows: Vec<Window> = (0..1000).map(|sample| jitter.draw(1, 2, sample, bbox)).collect();
        assert_eq!(windows[7], jitter.draw(1, 2, 7, bbox));
        assert_ne!(windows[7], jitter.draw(1, 3, 7, bbox));
        assert_ne!(windows[7], jitter.draw(2, 2, 7, bbox));
        let spread = |values: Vec<f64>| {
            let mean = values.iter().sum::<f64>() / 1000.0;
            (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1000.0).sqrt())
        };
        let (centre, shift) =
            spread(windows.iter().map(|w| f64::from(w.left) + f64::from(w.size.width) / 2.0).collect());
        assert!((centre - 2500.0).abs() < 15.0 && (90.0..110.0).contains(&shift), "{centre} {shift}");
        let (log, scale) = spread(windows.iter().map(|w| (f64::from(w.size.height) / 600.0).ln()).collect());
        assert!(log.abs() < 0.03 && (0.18..0.22).contains(&scale), "{log} {scale}");
        let exact = CropJitter { shift: 0.0, scale: 0.0, ..jitter };
        assert_eq!(exact.draw(1, 2, 3, bbox), Window::around(bbox, 1.2));
    }
}
