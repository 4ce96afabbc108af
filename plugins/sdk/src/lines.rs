//! Reading a large file line by line in little memory.

use crate::{Error, File, facts::READ_BYTES};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt;

/// Bytes of one line, at most.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// The lines of a file, without their ends. Holds one piece of the file at a time.
pub struct Lines {
    path: String,
    file: Box<dyn File>,
    piece: Vec<u8>,
    /// Where in `piece` the next line begins.
    at: usize,
    /// The beginning of a line that goes on in the next piece.
    begun: Vec<u8>,
    number: usize,
}

impl Lines {
    pub(crate) fn new(path: &str, file: Box<dyn File>) -> Self {
        Self { path: path.into(), file, piece: Vec::new(), at: 0, begun: Vec::new(), number: 0 }
    }

    /// The next line; `None` at the end of the file.
    ///
    /// # Errors
    /// What the host says, and [`Error::TooLarge`] for a line longer than [`MAX_LINE_BYTES`].
    #[allow(clippy::should_implement_trait)] // It lends the line, which an iterator cannot.
    pub fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        self.begun.clear();
        self.number += 1;
        loop {
            let rest = &self.piece[self.at..];
            if let Some(length) = find_newline(rest) {
                let start = self.at;
                self.at += length + 1;
                let line = &self.piece[start..start + length];
                if self.begun.is_empty() {
                    return Ok(Some(line));
                }
                self.begun.extend_from_slice(line);
                return Ok(Some(&self.begun));
            }
            self.begun.extend_from_slice(rest);
            if self.begun.len() > MAX_LINE_BYTES {
                return Err(Error::TooLarge(format!("{self} is longer than {MAX_LINE_BYTES} bytes")));
            }
            self.at = 0;
            self.piece = self.file.read(READ_BYTES)?;
            if self.piece.is_empty() {
                return Ok((!self.begun.is_empty()).then_some(&self.begun));
            }
        }
    }
}

/// Where it is, for messages: `line 12 of /var/lib/dpkg/status`.
impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of {}", self.number, self.path)
    }
}

/// Where the first newline is. Eight bytes at a time: this is most of the work of reading a large file.
fn find_newline(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const NEWLINES: u64 = u64::from_ne_bytes([b'\n'; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        // A byte that is zero now was a newline; of those that look like zero below, the lowest is one.
        let differences = u64::from_le_bytes(*word) ^ NEWLINES;
        let zeros = differences.wrapping_sub(ONES) & !differences & (ONES << 7);
        if zeros != 0 {
            return Some(index * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|byte| *byte == b'\n').map(|position| words.len() * 8 + position)
}

#[cfg(test)]
mod tests {
    use super::find_newline;

    #[test]
    fn the_first_newline_is_found_wherever_it_is_and_whatever_is_around() {
        for filler in [0, 9, 11, b'x', 0x8a, 0xff] {
            for length in 0..40 {
                assert_eq!(find_newline(&[filler].repeat(length)), None);
                for first in 0..length {
                    let mut bytes = [filler].repeat(length);
                    (bytes[first], bytes[length - 1]) = (b'\n', b'\n');
                    assert_eq!(find_newline(&bytes), Some(first), "{filler} {length}");
                }
            }
        }
    }
}
