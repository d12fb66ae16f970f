//! Huffman tables that read several codes at once.

use super::bits::Bits;

/// Bits that a look-up of a code covers, and one of coefficients with their values.
const PEEK: u32 = 12;
const PEEK_VALUES: u32 = 10;

/// A Huffman table.
pub(super) struct Table {
    /// For the next [`PEEK`] bits: the length of the code that they begin with, and its symbol in the upper byte; 0 if it is
    /// longer.
    codes: Box<[u16; 1 << PEEK]>,
    /// For the next [`PEEK`] bits of AC coefficients: all codes that end within them, at least one, as [`Skip`]; 0 if none
    /// does.
    skips: Box<[u16; 1 << PEEK]>,
    /// For the next [`PEEK_VALUES`] bits of AC coefficients: up to two that end within them.
    values: Box<[Values; 1 << PEEK_VALUES]>,
    /// For each length: the end of its codes, aligned to 16 bits.
    ends: [u32; 17],
    /// For each length: what a code's 16 bits, shifted, are above its symbol's place.
    bases: [u32; 17],
    symbols: [u8; 256],
}

/// Several AC coefficients: the bits that they take, how far they advance in the zigzag, whether the block ends then.
#[derive(Default, Clone, Copy)]
struct Skip {
    bits: u16,
    advance: u16,
    ends: bool,
}

/// Up to two AC coefficients that are not zero, and the end of the block if it follows. Without bits: none is known.
#[derive(Default, Clone, Copy)]
struct Values {
    /// The bits that they take.
    bits: u8,
    /// How far they advance in the zigzag.
    advance: u8,
    /// Whether the block ends then.
    ends: bool,
    /// How far the second is after the first.
    distance: u8,
    /// How far the first is after the next place.
    run: u8,
    /// Their values; 0 for none.
    values: [i16; 2],
}

impl Skip {
    fn pack(self) -> u16 {
        self.bits | self.advance << 6 | u16::from(self.ends) << 15
    }

    #[inline(always)]
    fn unpack(packed: u16) -> Self {
        Self { bits: packed & 63, advance: packed >> 6 & 127, ends: packed >> 15 == 1 }
    }
}

impl Table {
    /// The table with so many codes of each length, 1 to 16, for these symbols; `None` if there are more codes than a
    /// length has, or another number of symbols.
    pub(super) fn new(counts: &[u8; 16], of_codes: &[u8]) -> Option<Self> {
        let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
        if total != of_codes.len() || total > 256 {
            return None;
        }
        let mut symbols = [0; 256];
        symbols[..total].copy_from_slice(of_codes);
        let values = Box::new([Values::default(); 1 << PEEK_VALUES]);
        let mut table =
            Self { codes: zeros(), skips: zeros(), values, ends: [0; 17], bases: [0; 17], symbols };
        let (mut code, mut place) = (0_u32, 0_u32);
        for (length, count) in (1..=16_u8).zip(counts) {
            let slot = usize::from(length);
            table.bases[slot] = code.wrapping_sub(place);
            for _ in 0..*count {
                if code >> length != 0 {
                    return None;
                }
                if let Some(free) = PEEK.checked_sub(length.into()) {
                    let entry = u16::from_le_bytes([length, symbols[place as usize]]);
                    let first = (code << free) as usize;
                    table.codes[first..first + (1 << free)].fill(entry);
                }
                code += 1;
                place += 1;
            }
            table.ends[slot] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    /// The same table, ready for AC coefficients.
    pub(super) fn for_coefficients(mut self) -> Self {
        for next in 0..1 << PEEK {
            self.skips[next] = self.skip_of(next).pack();
        }
        for next in 0..1 << PEEK_VALUES {
            self.values[next] = self.values_of(next);
        }
        self
    }

    /// The AC coefficients that end within these bits.
    fn values_of(&self, next: usize) -> Values {
        let mut all = Values::default();
        let next = (next as u64) << (64 - PEEK_VALUES);
        for count in 0..=2 {
            let rest = next << all.bits;
            let entry = self.codes[(rest >> (64 - PEEK)) as usize];
            let [length, symbol] = entry.to_le_bytes();
            let (run, size) = (symbol >> 4, symbol & 15);
            let bits = all.bits + length + size;
            if length == 0 || u32::from(bits) > PEEK_VALUES {
                break;
            }
            if size == 0 {
                all.ends = run == 0;
                all.bits += if all.ends { length } else { 0 };
                break;
            }
            if count == 2 {
                break;
            }
            let value = Bits::of(rest << length).number(size.into());
            all.values[count] = i16::try_from(value).unwrap_or(0);
            match count {
                0 => all.run = run,
                _ => all.distance = run + 1,
            }
            all.advance += run + 1;
            all.bits = bits;
        }
        all
    }

    /// The AC coefficients whose codes end within these bits.
    fn skip_of(&self, next: usize) -> Skip {
        let mut all = Skip::default();
        while u32::from(all.bits) < PEEK {
            let entry = self.codes[next << all.bits & ((1 << PEEK) - 1)];
            let [length, symbol] = entry.to_le_bytes().map(u16::from);
            // Bits beyond the end were taken as zeros.
            if length == 0 || u32::from(all.bits + length) > PEEK {
                break;
            }
            let (run, size) = (symbol >> 4, symbol & 15);
            let advance = all.advance + run + 1;
            match (size, run) {
                (0, 0) => return Skip { bits: all.bits + length, ends: true, ..all },
                (0, 1..=14) => break,
                _ if advance > 63 => break,
                _ => all = Skip { bits: all.bits + length + size, advance, ends: false },
            }
        }
        all
    }

    /// Reads a code; `None` if the bits begin with none. 40 bits are left at least.
    #[inline(always)]
    fn read(&self, bits: &mut Bits) -> Option<u8> {
        bits.refill();
        let entry = self.codes[bits.peek::<PEEK>()];
        let [length, symbol] =
            if entry == 0 { self.read_long(bits.peek::<16>())? } else { entry.to_le_bytes() };
        bits.consume(length.into());
        Some(symbol)
    }

    #[cold]
    fn read_long(&self, next: usize) -> Option<[u8; 2]> {
        let next = u32::try_from(next).ok()?;
        let length = (1..=16_u8).find(|length| next < self.ends[usize::from(*length)])?;
        let place = (next >> (16 - length)).wrapping_sub(self.bases[usize::from(length)]);
        Some([length, *self.symbols.get(place as usize)?])
    }

    /// Reads the difference of a DC coefficient from the last one; `None` if it is no code, or one of more than 8-bit
    /// samples.
    #[inline(always)]
    pub(super) fn difference(&self, bits: &mut Bits) -> Option<i32> {
        let size = self.read(bits)?;
        (size <= 11).then(|| bits.number(size.into()))
    }

    /// Reads the AC coefficients of a block with a table that is [ready](Table::for_coefficients): gives place in the zigzag, 1 to 63, and value of those up to `last` that are not zero,
    /// and maybe of the next ones; passes over the others. `None` if they are not such coefficients.
    #[inline(always)]
    pub(super) fn coefficients(
        &self,
        bits: &mut Bits,
        last: usize,
        mut take: impl FnMut(usize, i32),
    ) -> Option<()> {
        let mut next = 1;
        while next <= last {
            bits.refill();
            let known = &self.values[bits.peek::<PEEK_VALUES>()];
            if known.bits > 0 {
                let first = next + usize::from(known.run);
                take(first, known.values[0].into());
                take(first + usize::from(known.distance), known.values[1].into());
                bits.consume(known.bits.into());
                if known.ends {
                    return Some(());
                }
                next += usize::from(known.advance);
                continue;
            }
            let symbol = self.read(bits)?;
            let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 {
                match run {
                    0 => return Some(()),
                    15 => next += 16,
                    _ => return None,
                }
                continue;
            }
            let place = next + run;
            next = place + 1;
            if place > last {
                bits.consume(size);
                break;
            }
            take(place, bits.number(size));
        }
        while next < 64 {
            bits.refill();
            let skip = Skip::unpack(self.skips[bits.peek::<PEEK>()]);
            let advanced = next + usize::from(skip.advance);
            if skip.bits == 0 || advanced > 63 {
                // A long code, or one near the end of the block.
                let symbol = self.read(bits)?;
                match (symbol & 15, symbol >> 4) {
                    (0, 0) => return Some(()),
                    (0, 1..=14) => return None,
                    (size, run) => {
                        bits.consume(size.into());
                        next += usize::from(run) + 1;
                    }
                }
                continue;
            }
            bits.consume(skip.bits.into());
            if skip.ends {
                return Some(());
            }
            next = advanced;
        }
        (next == 64).then_some(())
    }
}

fn zeros() -> Box<[u16; 1 << PEEK]> {
    Box::new([0; 1 << PEEK])
}
