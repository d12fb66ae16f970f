//! Reads numbers, lengths and lines from the bytes of a pickle, each checked against the end. `pickle` interprets them.

/// A result whose error is the reason; the interpreter adds the position.
pub(super) type Step<T> = Result<T, String>;

/// Reads bytes from front to end.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let taken = self.rest().get(..n).ok_or("it ends in the middle")?;
        self.at += n;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Step<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Reads a little-endian number of up to eight bytes.
    pub(super) fn unsigned(&mut self, width: usize) -> Step<u64> {
        Ok(self.take(width)?.iter().rev().fold(0, |n, &byte| (n << 8) | u64::from(byte)))
    }

    /// Reads a length of `width` bytes, then that many bytes.
    pub(super) fn sized(&mut self, width: usize) -> Step<&'a [u8]> {
        let length = usize::try_from(self.unsigned(width)?).map_err(|e| e.to_string())?;
        self.take(length)
    }

    /// Reads text up to the end of the line.
    pub(super) fn line(&mut self) -> Step<&'a str> {
        let end = self.rest().iter().position(|&b| b == b'\n').ok_or("it ends in the middle of a line")?;
        let line = std::str::from_utf8(self.take(end + 1)?).map_err(|_| "text that is not UTF-8")?;
        Ok(line.trim_end_matches(['\n', '\r']))
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}
