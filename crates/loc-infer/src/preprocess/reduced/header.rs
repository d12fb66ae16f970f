//! What a JPEG says before its pixels: size, components, tables. Only kinds that can be decoded at a reduced size are read.

use super::huffman::Table;
use crate::ImageSize;
use crate::preprocess::jpeg::{Segment, segments};

/// A component: brightness, or one of the two colour differences.
pub(super) struct Component {
    id: u8,
    /// Its blocks in a minimal coded unit, horizontally and vertically.
    pub(super) blocks: [u32; 2],
    /// Its divisors of coefficients, in zigzag order.
    pub(super) quantization: [f32; 64],
    /// The numbers of its Huffman tables in [`Header::dc`] and [`Header::ac`].
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// A header, and the entropy-coded data that follow.
pub(super) struct Header<'a> {
    pub(super) size: ImageSize,
    /// One, or three: Y, Cb, Cr.
    pub(super) components: Vec<Component>,
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    /// Minimal coded units between two restarts; 0 for none.
    pub(super) restart: usize,
    /// Everything after the header of the scan.
    pub(super) scan: &'a [u8],
}

/// Reads a header; `None` if it is damaged, or of a kind that is decoded in full only: not baseline or sequential with 8 bits,
/// not grey or YCbCr, more than one scan.
pub(super) fn read(bytes: &[u8]) -> Option<Header<'_>> {
    let mut quantization: [Option<[f32; 64]>; 4] = [None; 4];
    let (mut dc, mut ac) = ([const { None }; 4], [const { None }; 4]);
    let mut restart = 0;
    let mut frame = None;
    for Segment { marker, content, rest } in segments(bytes)? {
        // None of the markers without a segment may come before the pixels.
        let content = content?;
        match marker {
            0xDB => quantization_tables(content, &mut quantization)?,
            0xC4 => huffman_tables(content, &mut dc, &mut ac)?,
            0xC0 | 0xC1 if frame.is_none() => frame = Some(frame_of(content)?),
            // A photo of another kind, or arithmetic coding.
            0xC0..=0xCF => return None,
            0xDD => restart = usize::from(u16::from_be_bytes(content.try_into().ok()?)),
            // Adobe's segment says how colours are coded, in its last byte: 1 is YCbCr.
            0xEE if content.starts_with(b"Adobe") && *content.get(11)? != 1 => return None,
            0xDA => {
                let (size, mut components) = frame?;
                tables_of_scan(content, &mut components, &quantization)?;
                // The letters of RGB say that colours are not YCbCr.
                if components.iter().map(|component| component.id).eq(*b"RGB") {
                    return None;
                }
                let header = Header { size, components, dc, ac, restart, scan: rest };
                let has_tables = |c: &Component| header.dc[c.dc].is_some() && header.ac[c.ac].is_some();
                return header.components.iter().all(has_tables).then_some(header);
            }
            _ => {}
        }
    }
    None
}

/// The blocks of the finest component in a minimal coded unit, horizontally and vertically.
pub(super) fn most_blocks(components: &[Component]) -> [u32; 2] {
    [0, 1].map(|axis| components.iter().map(|component| component.blocks[axis]).max().unwrap_or(1))
}

/// DQT: tables of 8-bit numbers.
fn quantization_tables(mut content: &[u8], tables: &mut [Option<[f32; 64]>; 4]) -> Option<()> {
    while let Some((number, rest)) = content.split_first() {
        let (values, rest) = rest.split_first_chunk::<64>()?;
        // The upper half of the byte is 1 for 16-bit numbers.
        *tables.get_mut(usize::from(*number))? = Some(values.map(f32::from));
        content = rest;
    }
    Some(())
}

/// DHT.
fn huffman_tables(
    mut content: &[u8],
    dc: &mut [Option<Table>; 4],
    ac: &mut [Option<Table>; 4],
) -> Option<()> {
    while let Some((kind, rest)) = content.split_first() {
        let (counts, rest) = rest.split_first_chunk::<16>()?;
        let symbols = counts.iter().map(|count| usize::from(*count)).sum();
        let (symbols, rest) = rest.split_at_checked(symbols)?;
        let table = Table::new(counts, symbols)?;
        let (tables, table) = match kind >> 4 {
            0 => (&mut *dc, table),
            1 => (&mut *ac, table.for_coefficients()),
            _ => return None,
        };
        *tables.get_mut(usize::from(kind & 15))? = Some(table);
        content = rest;
    }
    Some(())
}

/// SOF0 and SOF1: 8 bits, one or three components.
fn frame_of(content: &[u8]) -> Option<(ImageSize, Vec<Component>)> {
    let (&[8, h1, h0, w1, w0, count], rest) = content.split_first_chunk()? else { return None };
    let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
    let size = ImageSize { width: side(w1, w0), height: side(h1, h0) };
    let (components, []) = rest.as_chunks::<3>() else { return None };
    if size.is_empty() || components.len() != usize::from(count) || !matches!(count, 1 | 3) {
        return None;
    }
    let component = |&[id, factors, table]: &[u8; 3]| {
        let blocks = [factors >> 4, factors & 15].map(u32::from);
        let quantization = [0.0; 64];
        let valid = blocks.iter().all(|n| (1..=4).contains(n)) && table < 4;
        // Until the scan is read, `dc` is the number of the table of divisors.
        valid.then_some(Component { id, blocks, quantization, dc: table.into(), ac: 0 })
    };
    let mut components: Vec<Component> = components.iter().map(component).collect::<Option<_>>()?;
    if let [only] = &mut components[..] {
        // A scan of one component has its blocks in rows, whatever its factors.
        only.blocks = [1, 1];
    }
    Some((size, components))
}

/// SOS: one scan with all components, and all coefficients of each.
fn tables_of_scan(
    content: &[u8],
    components: &mut [Component],
    quantization: &[Option<[f32; 64]>; 4],
) -> Option<()> {
    let (count, rest) = content.split_first()?;
    let (tables, [0, 63, 0]) = rest.split_at_checked(2 * components.len())? else { return None };
    if usize::from(*count) != components.len() {
        return None;
    }
    for (component, tables) in components.iter_mut().zip(tables.as_chunks::<2>().0) {
        let &[id, tables] = tables;
        if id != component.id || tables >> 4 > 3 || tables & 15 > 3 {
            return None;
        }
        component.quantization = quantization[component.dc]?;
        (component.dc, component.ac) = (usize::from(tables >> 4), usize::from(tables & 15));
    }
    Some(())
}
