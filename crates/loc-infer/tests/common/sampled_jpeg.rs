//! JPEGs whose colours have fewer samples than brightness, or with restart markers, which the encoder of `image` cannot write.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use image::RgbImage;

use super::jpeg::segment;

/// How a photo is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// The sampling factors of each component, horizontal and vertical: one component (grey) or three.
    pub(crate) factors: &'static [[usize; 2]],
    /// Minimal coded units between two restart markers; 0 for none.
    pub(crate) restart: usize,
}

/// The divisor of all coefficients: a fine one, so that little is lost.
const DIVISOR: u8 = 4;

/// Symbols with codes of two bits, of four bits; all others have thirteen.
const SHORT: [&[u8]; 2] = [&[0x00, 0x01], &[0x02, 0x11, 0x03, 0x21]];

/// A baseline JPEG of the photo (ITU-T T.81).
pub(crate) fn encode(photo: &RgbImage, layout: Layout) -> Vec<u8> {
    let Layout { factors, restart } = layout;
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let n = factors.len() as u8;
    let mut out = b"\xff\xd8".to_vec();
    segment(&mut out, 0xdb, &[&[0][..], &[DIVISOR; 64][..]].concat());
    let mut frame = vec![8];
    frame.extend((height as u16).to_be_bytes());
    frame.extend((width as u16).to_be_bytes());
    frame.push(n);
    frame.extend((1..).zip(factors).flat_map(|(id, [h, v])| [id, (h << 4 | v) as u8, 0]));
    segment(&mut out, 0xc0, &frame);
    let dc = [&[0x00, 0, 0, 0, 12][..], &[0; 12], &(0..12).collect::<Vec<u8>>()].concat();
    segment(&mut out, 0xc4, &dc);
    let symbols = symbols();
    let lengths = [0x10, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, symbols.len() as u8 - 6, 0, 0, 0];
    segment(&mut out, 0xc4, &[&lengths[..], &symbols].concat());
    segment(&mut out, 0xdd, &(restart as u16).to_be_bytes());
    let mut scan = vec![n];
    scan.extend((1..=n).flat_map(|id| [id, 0x00]));
    scan.extend([0, 63, 0]);
    segment(&mut out, 0xda, &scan);

    // A single component has its blocks in rows.
    let factors: &[[usize; 2]] = if n == 1 { &[[1, 1]] } else { factors };
    let most = [0, 1].map(|axis| factors.iter().map(|f| f[axis]).max().unwrap());
    let (columns, rows) = (width.div_ceil(8 * most[0]), height.div_ceil(8 * most[1]));
    let (mut bits, mut before, mut marker) = (String::new(), [0; 3], 0);
    for unit in 0..columns * rows {
        if restart > 0 && unit > 0 && unit % restart == 0 {
            pack(&mut out, &std::mem::take(&mut bits));
            out.extend([0xff, 0xd0 + marker % 8]);
            (before, marker) = ([0; 3], marker + 1);
        }
        for (component, [h, v]) in factors.iter().enumerate() {
            for (y, x) in (0..*v).flat_map(|y| (0..*h).map(move |x| (y, x))) {
                let corner = [(unit % columns) * h + x, (unit / columns) * v + y].map(|block| 8 * block);
                let scale = [most[0] / h, most[1] / v];
                let samples: [[f64; 8]; 8] = std::array::from_fn(|y| {
                    std::array::from_fn(|x| sample(photo, component, [corner[0] + x, corner[1] + y], scale))
                });
                let quotients = quotients(&samples);
                number(&mut bits, quotients[0] - before[component], |size| format!("{size:04b}"));
                before[component] = quotients[0];
                coefficients(&mut bits, &quotients, &symbols);
            }
        }
    }
    pack(&mut out, &bits);
    out.extend(b"\xff\xd9");
    out
}

/// The symbols of AC coefficients, those with short codes first.
fn symbols() -> Vec<u8> {
    let mut all: Vec<u8> = SHORT.concat();
    let others = (0..16).flat_map(|run| (1..=10).map(move |size| run << 4 | size)).chain([0xf0]);
    all.extend(others.filter(|symbol| !SHORT.concat().contains(symbol)));
    all
}

/// A component's sample less 128: the mean of the pixels that it covers. The photo's edges are repeated.
fn sample(photo: &RgbImage, component: usize, at: [usize; 2], scale: [usize; 2]) -> f64 {
    let mut sum = 0.0;
    for (dy, dx) in (0..scale[1]).flat_map(|dy| (0..scale[0]).map(move |dx| (dy, dx))) {
        let x = (at[0] * scale[0] + dx).min(photo.width() as usize - 1);
        let y = (at[1] * scale[1] + dy).min(photo.height() as usize - 1);
        let [r, g, b] = photo.get_pixel(x as u32, y as u32).0.map(f64::from);
        sum += match component {
            0 => 0.299 * r + 0.587 * g + 0.114 * b - 128.0,
            1 => -0.168_736 * r - 0.331_264 * g + 0.5 * b,
            _ => 0.5 * r - 0.418_688 * g - 0.081_312 * b,
        };
    }
    sum / (scale[0] * scale[1]) as f64
}

/// The quotients of a block's coefficients, in zigzag order.
fn quotients(samples: &[[f64; 8]; 8]) -> [i32; 64] {
    let basis = |u: usize, x: usize| {
        let c = if u == 0 { FRAC_1_SQRT_2 } else { 1.0 };
        0.5 * c * ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos()
    };
    let rows: [[f64; 8]; 8] = samples.map(|row| {
        std::array::from_fn(|u| row.iter().enumerate().map(|(x, s)| s * basis(u, x)).sum::<f64>())
    });
    let coefficient = |v: usize, u: usize| (0..8).map(|y| rows[y][u] * basis(v, y)).sum::<f64>();
    // Diagonal by diagonal, every other one upwards.
    let mut places: Vec<(usize, usize)> = (0..64).map(|i| (i / 8, i % 8)).collect();
    places.sort_by_key(|(v, u)| (v + u, if (v + u) % 2 == 0 { *u } else { *v }));
    std::array::from_fn(|k| (coefficient(places[k].0, places[k].1) / f64::from(DIVISOR)).round() as i32)
}

/// Appends a number: the code of its size, then the number in as many bits, a negative one as one less.
fn number(bits: &mut String, value: i32, code: impl Fn(u32) -> String) {
    let size = 32 - value.unsigned_abs().leading_zeros();
    *bits += &code(size);
    if size > 0 {
        let value = if value < 0 { value + (1 << size) - 1 } else { value };
        *bits += &format!("{value:0width$b}", width = size as usize);
    }
}

/// Appends the AC coefficients of a block.
fn coefficients(bits: &mut String, quotients: &[i32; 64], symbols: &[u8]) {
    let code = |symbol: u8| match symbols.iter().position(|s| *s == symbol).unwrap() {
        place @ 0..2 => format!("{place:02b}"),
        place @ 2..6 => format!("{:04b}", 0b1000 + place - 2),
        place => format!("{:013b}", 0b1_1000_0000_0000 + place - 6),
    };
    let mut run = 0;
    for value in &quotients[1..] {
        if *value == 0 {
            run += 1;
            continue;
        }
        while run > 15 {
            *bits += &code(0xf0);
            run -= 16;
        }
        number(bits, *value, |size| code(run << 4 | size as u8));
        run = 0;
    }
    if run > 0 {
        *bits += &code(0);
    }
}

/// Appends bits as bytes, filled up with ones; a zero follows each FF.
fn pack(out: &mut Vec<u8>, bits: &str) {
    for byte in bits.as_bytes().chunks(8) {
        let byte = format!("{:1<8}", std::str::from_utf8(byte).unwrap());
        let byte = u8::from_str_radix(&byte, 2).unwrap();
        out.push(byte);
        if byte == 0xff {
            out.push(0);
        }
    }
}
