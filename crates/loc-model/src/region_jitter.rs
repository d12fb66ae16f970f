//! Random shifts of the boxes in which training reads the class, as a function of a key.

use candle_core::{Result, Tensor};

/// Shifts of true boxes in one training step, so that the class is learned in boxes as inexact as predicted ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegionJitter {
    /// Standard deviation of each edge's shift, in sides of the box; at least 0.
    pub amount: f64,
    /// Seed, epoch and step; together with the index of box and edge they determine the shifts.
    pub key: [u64; 3],
}

impl RegionJitter {
    /// Returns boxes `[N, 4]` with their edges shifted.
    ///
    /// # Errors
    ///
    /// A Candle error if the boxes have another shape or type than `[N, 4]` in f32, or the device fails.
    pub fn apply(&self, boxes: &Tensor) -> Result<Tensor> {
        let [seed, epoch, step] = self.key;
        let stream = crate::init::Stream::new(seed, &format!("region {epoch} {step}"));
        let mut shifted = Vec::with_capacity(boxes.elem_count());
        for bbox in boxes.to_vec2::<f32>()? {
            let [x1, y1, x2, y2] = bbox[..] else {
                return Err(candle_core::Error::Msg("boxes have four edges".into()));
            };
            for (edge, side) in [(x1, x2 - x1), (y1, y2 - y1), (x2, x2 - x1), (y2, y2 - y1)] {
                let shift = self.amount * stream.normal(shifted.len() as u64);
                shifted.push(edge + shift as f32 * side);
            }
        }
        Tensor::from_vec(shifted, boxes.dims(), boxes.device())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn shifts_are_in_sides_of_the_box_and_depend_on_the_key_only() {
        let boxes = Tensor::new(&[[0.2f32, 0.4, 0.4, 0.8]; 500], &Device::Cpu).unwrap();
        let of = |amount, step| {
            RegionJitter { amount, key: [1, 2, step] }.apply(&boxes).unwrap().to_vec2::<f32>().unwrap()
        };
        assert_eq!(of(0.0, 3), boxes.to_vec2::<f32>().unwrap());
        let shifted = of(0.1, 3);
        assert_eq!(shifted, of(0.1, 3));
        assert_ne!(shifted, of(0.1, 4));
        let deviation = |edge: usize, at: f32| {
            let squares: f32 = shifted.iter().map(|bbox| (bbox[edge] - at).powi(2)).sum();
            (squares / 500.0).sqrt()
        };
        assert!((0.018..0.022).contains(&deviation(0, 0.2)) && (0.036..0.044).contains(&deviation(3, 0.8)));
    }
}
