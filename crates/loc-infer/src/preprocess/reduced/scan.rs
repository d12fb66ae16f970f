//! From entropy-coded data to planes: one for each component, with `N`×`N` samples for each of its blocks, `A` in all.

use super::bits::{Bits, PADDING};
use super::header::{Component, Header, most_blocks};
use super::huffman::Table;
use super::idct::{add, basis, to_byte};
use crate::preprocess::jpeg::{END_OF_IMAGE, MARKER};

/// A component's samples.
pub(super) struct Plane {
    pub(super) samples: Vec<u8>,
    /// Samples in a row.
    pub(super) stride: usize,
}

/// Coefficient `k` of the zigzag is in row `ZIGZAG[k] / 8` and column `ZIGZAG[k] % 8` (ITU-T T.81, figure A.6).
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The place in the zigzag of the last coefficient that a block of `n`×`n` samples needs.
const fn last_of(n: usize) -> usize {
    let (mut last, mut k) = (0, 0);
    while k < 64 {
        let (v, u) = ((ZIGZAG[k] / 8) as usize, (ZIGZAG[k] % 8) as usize);
        if v < n && u < n {
            last = k;
        }
        k += 1;
    }
    last
}

/// Decodes the scan; `None` if anything in it is not as the standard says.
pub(super) fn planes<const N: usize, const A: usize>(header: &Header<'_>) -> Option<Vec<Plane>> {
    let components = &header.components;
    let [across, down] = most_blocks(components);
    let units = |side: u32, blocks: u32| side.div_ceil(8 * blocks) as usize;
    let (columns, rows) = (units(header.size.width, across), units(header.size.height, down));
    let mut planes: Vec<Plane> = components
        .iter()
        .map(|component| {
            let [across, down] = component.blocks.map(|blocks| blocks as usize);
            let stride = columns * across * N;
            Plane { samples: vec![0; rows * down * N * stride], stride }
        })
        .collect();
    let tables: Vec<Tables<'_, N, A>> =
        components.iter().map(|component| Tables::new(header, component)).collect::<Option<_>>()?;
    let interval = if header.restart == 0 { columns * rows } else { header.restart };
    let (mut rest, mut data, mut restarts) = (header.scan, Vec::new(), 0_u8);
    let mut unit = 0;
    while unit < columns * rows {
        if unit > 0 {
            // RST0 to RST7 in turn.
            rest = rest.strip_prefix(&[MARKER, 0xD0 + restarts % 8])?;
            restarts = restarts.wrapping_add(1);
        }
        data.reserve(if header.restart == 0 { rest.len() } else { 0 });
        rest = unstuff(rest, &mut data)?;
        let mut bits = Bits::new(&data);
        let mut before = [0; 3];
        let end = (unit + interval).min(columns * rows);
        for unit in unit..end {
            let place = [unit % columns, unit / columns];
            for ((tables, plane), before) in tables.iter().zip(&mut planes).zip(&mut before) {
                tables.decode(&mut bits, place, before, plane)?;
            }
            if bits.is_beyond() {
                return None;
            }
        }
        if !bits.is_used_up() {
            return None;
        }
        unit = end;
    }
    rest.starts_with(&[MARKER, END_OF_IMAGE]).then_some(planes)
}

/// What the blocks of a component are decoded with.
struct Tables<'a, const N: usize, const A: usize> {
    dc: &'a Table,
    ac: &'a Table,
    blocks: [usize; 2],
    /// For each coefficient of the zigzag what it adds to each sample if its quotient is 1.
    bases: [[f32; A]; 64],
}

impl<'a, const N: usize, const A: usize> Tables<'a, N, A> {
    fn new(header: &'a Header<'_>, component: &Component) -> Option<Self> {
        let of_quotient = |(place, divisor): (&u8, &f32)| {
            basis::<N, A>(usize::from(place / 8), usize::from(place % 8)).map(|share| share * divisor)
        };
        let mut bases = [[0.0; A]; 64];
        for (basis, of) in bases.iter_mut().zip(ZIGZAG.iter().zip(&component.quantization)) {
            *basis = of_quotient(of);
        }
        let (dc, ac) = (header.dc[component.dc].as_ref()?, header.ac[component.ac].as_ref()?);
        Some(Self { dc, ac, blocks: component.blocks.map(|blocks| blocks as usize), bases })
    }

    /// Decodes the component's blocks in a minimal coded unit, given by its column and row. `before` is the DC coefficient of the
    /// component's last block.
    #[inline(always)]
    fn decode(
        &self,
        bits: &mut Bits<'_>,
        [column, row]: [usize; 2],
        before: &mut i32,
        plane: &mut Plane,
    ) -> Option<()> {
        let [across, down] = self.blocks;
        for y in row * down..(row + 1) * down {
            for x in column * across..(column + 1) * across {
                *before += self.dc.difference(bits)?;
                // Those of 8-bit samples have 12 bits.
                if before.unsigned_abs() > 1 << 13 {
                    return None;
                }
                // Samples are stored less 128.
                let mut samples = [128.0; A];
                add(&mut samples, *before, &self.bases[0]);
                self.ac.coefficients(bits, const { last_of(N) }, |k, quotient| {
                    add(&mut samples, quotient, &self.bases[k & 63]);
                })?;
                let corner = y * N * plane.stride + x * N;
                let rows = plane.samples.get_mut(corner..)?.chunks_mut(plane.stride);
                for (row, samples) in rows.zip(samples.map(to_byte).as_chunks::<N>().0) {
                    *row.first_chunk_mut()? = *samples;
                }
            }
        }
        Some(())
    }
}

/// Copies entropy-coded data up to the next marker, without the zero that follows each FF, and with the padding of [`Bits`].
/// Returns what follows, which begins with the marker; `None` if there is none.
fn unstuff<'a>(mut bytes: &'a [u8], data: &mut Vec<u8>) -> Option<&'a [u8]> {
    data.clear();
    loop {
        let at = memchr::memchr(MARKER, bytes)?;
        let (before, rest) = bytes.split_at(at + 1);
        match rest.first()? {
            0 => data.extend_from_slice(before),
            _ => {
                data.extend_from_slice(&before[..at]);
                data.extend_from_slice(&[0; PADDING]);
                return Some(&bytes[at..]);
            }
        }
        bytes = &rest[1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coefficients_that_a_size_needs_come_first() {
        assert_eq!([1, 2, 4, 8].map(last_of), [0, 4, 24, 63]);
        let mut all = ZIGZAG;
        all.sort_unstable();
        assert!(all.into_iter().enumerate().all(|(i, k)| i == usize::from(k)));
    }

    #[test]
    fn stuffed_zeros_are_left_out() {
        let mut data = vec![9];
        let rest = unstuff(b"ab\xff\x00\xff\x00c\xff\xd9more", &mut data).unwrap();
        assert_eq!((rest, &data[..]), (&b"\xff\xd9more"[..], &b"ab\xff\xffc\0\0\0\0\0\0\0\0"[..]));
        assert!(unstuff(b"ab\xff\x00c", &mut data).is_none() && unstuff(b"ab\xff", &mut data).is_none());
    }
}
