//! JPEGs that the encoder of `image` cannot write: flat colours in any number of components, and EXIF segments.

/// A baseline JPEG whose components have one value everywhere (ITU-T T.81). `adobe` is the transform of an APP14
/// segment: 0 none, 1 YCbCr, 2 YCCK.
pub(crate) fn flat(width: u16, height: u16, components: &[u8], adobe: Option<u8>) -> Vec<u8> {
    let n = components.len() as u8;
    let mut out = b"\xff\xd8".to_vec();
    if let Some(transform) = adobe {
        segment(&mut out, 0xee, &[&b"Adobe\x00\x64\x00\x00\x00\x00"[..], &[transform][..]].concat());
    }
    // Quantisation 8 everywhere: the DC coefficient is then value − 128.
    segment(&mut out, 0xdb, &[&[0][..], &[8; 64][..]].concat());
    let mut frame = vec![8];
    frame.extend(height.to_be_bytes());
    frame.extend(width.to_be_bytes());
    frame.push(n);
    frame.extend((1..=n).flat_map(|id| [id, 0x11, 0]));
    segment(&mut out, 0xc0, &frame);
    // DC: twelve categories of four bits each. AC: one code of one bit, end of block.
    let dc = [&[0x00, 0, 0, 0, 12][..], &[0; 12], &(0..12).collect::<Vec<u8>>()].concat();
    segment(&mut out, 0xc4, &dc);
    segment(&mut out, 0xc4, &[&[0x10, 1][..], &[0; 15], &[0]].concat());
    let mut scan = vec![n];
    scan.extend((1..=n).flat_map(|id| [id, 0x00]));
    scan.extend([0, 63, 0]);
    segment(&mut out, 0xda, &scan);

    let mut bits = String::new();
    let blocks = u32::from(width).div_ceil(8) * u32::from(height).div_ceil(8);
    for block in 0..blocks {
        for value in components {
            let difference = if block == 0 { i32::from(*value) - 128 } else { 0 };
            let category = 32 - difference.unsigned_abs().leading_zeros();
            bits += &format!("{category:04b}");
            if category > 0 {
                // Negative numbers are written as one less, in as many bits.
                let code = if difference < 0 { difference + (1 << category) - 1 } else { difference };
                bits += &format!("{code:0width$b}", width = category as usize);
            }
            bits.push('0');
        }
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    for byte in bits.as_bytes().chunks(8) {
        let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
        out.push(byte);
        if byte == 0xff {
            out.push(0);
        }
    }
    out.extend(b"\xff\xd9");
    out
}

/// Appends a segment: marker, length, content.
pub(crate) fn segment(out: &mut Vec<u8>, marker: u8, content: &[u8]) {
    out.extend([0xff, marker]);
    out.extend((content.len() as u16 + 2).to_be_bytes());
    out.extend(content);
}

/// The JPEG with an EXIF segment inserted at the front: this orientation, followed by this content (for example a
/// thumbnail).
pub(crate) fn with_exif(jpeg: &[u8], orientation: u8, rest: &[u8]) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08".to_vec();
    // One entry: tag 0x0112, type 3 (short), one value.
    exif.extend([0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]);
    exif.extend(rest);
    with_app1(jpeg, &exif)
}

/// The JPEG with this APP1 segment inserted at the front.
pub(crate) fn with_app1(jpeg: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = b"\xff\xd8".to_vec();
    segment(&mut out, 0xe1, content);
    out.extend(&jpeg[2..]);
    out
}

/// The JPEG with another size in its frame header.
pub(crate) fn with_size(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let at = jpeg.windows(2).position(|w| w == b"\xff\xc0").unwrap();
    let mut out = jpeg.to_vec();
    out[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    out[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    out
}
