//! Reading a rule in place.

use crate::{Binary, FLAG_ABOVE, FLAG_ALL, FLAG_VERSION, FLAGS};
use core::fmt;

/// A rule, borrowed from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'a> {
    /// The source package's version, which most of its binaries share.
    pub version: &'a [u8],
    /// The architecture of the binaries that are not `all`.
    pub architecture: &'a [u8],
    binaries: &'a [u8],
}

/// Bytes that are no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The rule ends in the middle of something.
    Truncated,
    /// A binary has flags that this version does not know; what follows them cannot be read.
    UnknownFlags(u8),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the rule is cut off"),
            Self::UnknownFlags(flags) => write!(f, "the rule has a binary with unknown flags {flags:#04x}"),
        }
    }
}

impl core::error::Error for DecodeError {}

impl<'a> Rule<'a> {
    /// Reads the head of a rule; the binaries are read while they are iterated.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if the head is not there.
    pub fn decode(mut bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let version = take_text(&mut bytes)?;
        let architecture = take_text(&mut bytes)?;
        Ok(Self { version, architecture, binaries: bytes })
    }

    /// The binary packages, in order.
    #[must_use]
    pub fn binaries(&self) -> Binaries<'a> {
        Binaries { version: self.version, rest: self.binaries }
    }
}

/// The binary packages of a rule. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Binaries<'a> {
    version: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Binaries<'a> {
    #[inline]
    fn take(&mut self) -> Result<Binary<'a>, DecodeError> {
        let flags = self.rest[0];
        if flags & !FLAGS != 0 {
            return Err(DecodeError::UnknownFlags(flags));
        }
        let rest = &mut &self.rest[1..];
        let name = take_text(rest)?;
        let version = if flags & FLAG_VERSION != 0 { take_text(rest)? } else { self.version };
        let above = if flags & FLAG_ABOVE != 0 { Some(take_text(rest)?) } else { None };
        self.rest = rest;
        Ok(Binary { name, version, all: flags & FLAG_ALL != 0, above })
    }
}

impl<'a> Iterator for Binaries<'a> {
    type Item = Result<Binary<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let binary = self.take();
        if binary.is_err() {
            self.rest = &[];
        }
        Some(binary)
    }
}

/// Takes a text behind its length off the front of `bytes`.
#[inline]
fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let (length, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
    let (text, rest) = rest.split_at_checked(usize::from(*length)).ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(text)
}
