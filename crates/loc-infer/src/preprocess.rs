//! From an encoded photo to a network's input. Training and prediction share this code, so both get the same pixels.
//!
//! [`prepare`] (bytes to the input's size, with the [`Frame`] that maps boxes), which is [`decode`] (bytes to an upright RGB
//! photo) and [`fit`] (to the input's size), or both at once for a large JPEG → [`to_planar`] (to f32 in 0..1, channel by channel). Mean and standard deviation are not applied here: the network's
//! first layer does that.

mod decode;
mod exif;
mod frame;
mod jpeg;
mod jpeg_decoder;
mod kind;
mod prepare;
mod reduced;
mod resize;
mod rgb;
mod window;

pub use decode::{Limits, Photo, decode, decode_path, upright_size};
pub use exif::{orient_box, orient_size};
pub use frame::{Frame, fit};
pub use kind::FileKind;
pub use prepare::{Prepared, prepare, prepare_path};
pub use rgb::to_rgb8;
pub use window::{Window, fit_window};

/// Converts RGB bytes in the order `[height, width, 3]` (the raw bytes of an image) to f32 in the order
/// `[3, height, width]`; the byte `v` becomes `v / 255`.
///
/// `out` should hold as many values as there are bytes. If it is shorter, the values that fit are written; if it is
/// longer, the rest is not changed.
pub fn to_planar(bytes: &[u8], out: &mut [f32]) {
    let pixels = bytes.chunks_exact(3);
    let plane = pixels.len();
    debug_assert_eq!(out.len(), 3 * plane, "one value for each byte of the image");
    let (red, rest) = out.split_at_mut(plane.min(out.len()));
    let (green, blue) = rest.split_at_mut(plane.min(rest.len()));
    for (i, channel) in [red, green, blue].into_iter().enumerate() {
        for (value, pixel) in channel.iter_mut().zip(pixels.clone()) {
            *value = f32::from(pixel[i]) / 255.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planar_is_rgb_by_channel() {
        let mut out = [9.0; 6];
        to_planar(&[0, 51, 102, 255, 204, 153], &mut out);
        assert_eq!(out, [0.0, 1.0, 0.2, 0.8, 0.4, 0.6]);
    }
}
