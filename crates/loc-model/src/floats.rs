//! The float types of weights from other programs, and their conversion to f32. The readers of the file formats locate
//! the values.

use half::{bf16, f16};
use loc_net::Number;

/// All float types, f32 first. f16 and bf16 are widened, f64 is rounded.
pub(crate) const FLOATS: [Number; 4] = [
    Number::F32,
    Number {
        name: "F16",
        bytes: 2,
        read: |bytes| Ok(each(bytes).map(|b| f16::from_le_bytes(b).to_f32()).collect()),
    },
    Number {
        name: "BF16",
        bytes: 2,
        read: |bytes| Ok(each(bytes).map(|b| bf16::from_le_bytes(b).to_f32()).collect()),
    },
    Number { name: "F64", bytes: 8, read: |bytes| each(bytes).map(rounded).collect() },
];

/// Returns the float type with this name.
pub(crate) fn named(name: &str) -> Option<Number> {
    FLOATS.into_iter().find(|number| number.name == name)
}

/// Rounds an f64. A finite value that is too large for f32 is an error; infinities and NaN are kept.
fn rounded(bytes: [u8; 8]) -> Result<f32, String> {
    let value = f64::from_le_bytes(bytes);
    let rounded = value as f32;
    if value.is_finite() && !rounded.is_finite() {
        return Err(format!("holds {value}, which is too large for f32"));
    }
    Ok(rounded)
}

fn each<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.chunks_exact(N).map(|chunk| {
        let mut value = [0; N];
        value.copy_from_slice(chunk);
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float_becomes_the_nearest_f32() {
        let read = |name: &str, bytes: &[u8]| (named(name).unwrap().read)(bytes);
        assert_eq!(read("F16", &[0x00, 0x3c, 0x00, 0xc1, 0xff, 0x7b]).unwrap(), [1.0, -2.5, 65504.0]);
        assert_eq!(read("BF16", &[0x80, 0x3f, 0x20, 0xc0]).unwrap(), [1.0, -2.5]);
        let f64s = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        assert_eq!(read("F64", &f64s(&[0.1, -2.5, 1e-60])).unwrap(), [0.1, -2.5, 0.0]);
        let values = read("F64", &f64s(&[f64::INFINITY, f64::NAN])).unwrap();
        assert!(values[0].is_infinite() && values[1].is_nan(), "infinity and NaN are kept: {values:?}");
        let message = read("F64", &f64s(&[1.0, 1e39])).unwrap_err();
        assert!(message.contains("which is too large for f32"), "{message}");
    }
}
