//! The bits of entropy-coded data.

/// Zeros that must follow the data of [`Bits`].
pub(super) const PADDING: usize = 8;

/// Reads bits, the highest of each byte first. Beyond the end it reads zeros; [`Bits::is_used_up`] tells.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The byte that the next refill begins with.
    at: usize,
    /// The next bits, from the highest on.
    buffer: u64,
    /// The number of them that count; those below are from the same data.
    count: u32,
}

impl<'a> Bits<'a> {
    /// The bits of these bytes, of which the last [`PADDING`] are zeros that do not belong to them.
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, buffer: 0, count: 0 }
    }

    /// These 64 bits.
    pub(super) fn of(buffer: u64) -> Self {
        Self { data: &[], at: 0, buffer, count: 64 }
    }

    /// Makes at least 56 bits ready (Giesen 2018, Reading bits in far too many ways, variant 4).
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let next = self.data.get(self.at..).and_then(|rest| rest.first_chunk());
        self.buffer |= next.map_or(0, |bytes| u64::from_be_bytes(*bytes)) >> self.count;
        self.at += ((63 - self.count) >> 3) as usize;
        self.count |= 56;
    }

    /// The next `N` bits (1 to 16) that are ready, as a number.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "16 bits at most")]
    pub(super) fn peek<const N: u32>(&self) -> usize {
        (self.buffer >> (64 - N)) as usize
    }

    /// Passes over `n` bits that are ready.
    #[inline(always)]
    pub(super) fn consume(&mut self, n: u32) {
        self.buffer <<= n & 63;
        self.count = self.count.wrapping_sub(n);
    }

    /// Passes over `n` bits (at most 16) that are ready, and returns them as a number in the code of DC differences and AC
    /// coefficients: half of the numbers
    /// are negative (ITU-T T.81, table F.1 and F.2.2.1).
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "16 bits at most")]
    pub(super) fn number(&mut self, n: u32) -> i32 {
        // In two steps: for n = 0 the shift is 64.
        let value = (self.buffer >> 1 >> (63 - n)) as i32;
        self.consume(n);
        if value < (1 << n) >> 1 { value + 1 - (1 << n) } else { value }
    }

    /// Whether more was read than there is.
    pub(super) fn is_beyond(&self) -> bool {
        self.at > self.data.len()
    }

    /// Whether all bits of the data but those that fill its last byte were read, and none beyond.
    pub(super) fn is_used_up(&self) -> bool {
        let (read, all) = (8 * self.at, 8 * (self.data.len() - PADDING));
        let unread = (all + self.count as usize).checked_sub(read);
        unread.is_some_and(|bits| bits < 8)
    }
}
