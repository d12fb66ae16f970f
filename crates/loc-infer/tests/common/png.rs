//! PNGs that the encoder of `image` cannot write: palettes, few bits, headers that claim too many pixels.

use png::{BitDepth, ColorType};

/// A PNG of raw rows, in the form that the crate `png` expects.
pub(crate) fn raw(
    (width, height): (u32, u32),
    color: ColorType,
    depth: BitDepth,
    palette: Option<&[u8]>,
    transparency: Option<&[u8]>,
    rows: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if let Some(palette) = palette {
        encoder.set_palette(palette.to_vec());
    }
    if let Some(transparency) = transparency {
        encoder.set_trns(transparency.to_vec());
    }
    encoder.write_header().unwrap().write_image_data(rows).unwrap();
    bytes
}

/// A PNG of 69 bytes whose header claims this many pixels.
pub(crate) fn with_claimed_size(width: u32, height: u32) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut out, b"IHDR", &header);
    chunk(&mut out, b"IDAT", b"\x78\x9c\x63\x00\x00\x00\x01\x00\x01");
    chunk(&mut out, b"IEND", b"");
    out
}

/// The PNG with another chunk: before or after the pixels.
pub(crate) fn with_chunk(png: &[u8], name: &[u8; 4], content: &[u8], after_pixels: bool) -> Vec<u8> {
    // Signature and IHDR are 33 bytes, IEND is 12.
    let at = if after_pixels { png.len() - 12 } else { 33 };
    let mut out = png[..at].to_vec();
    chunk(&mut out, name, content);
    out.extend(&png[at..]);
    out
}

fn chunk(out: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    out.extend((content.len() as u32).to_be_bytes());
    let checked = out.len();
    out.extend(name);
    out.extend(content);
    let crc = crc32(&out[checked..]);
    out.extend(crc.to_be_bytes());
}

/// ISO 3309's CRC, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    })
}
