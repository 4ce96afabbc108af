//! Writing a rule.

use crate::{Binary, FLAG_ABOVE, FLAG_ALL, FLAG_VERSION, MAX_RULE_BYTES, MAX_TEXT_BYTES};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// Encodes the rule of one update.
///
/// # Errors
/// As [`RuleBuilder`].
pub fn encode<'a>(
    version: &str,
    architecture: &str,
    binaries: impl IntoIterator<Item = Binary<'a>>,
) -> Result<Vec<u8>, EncodeError> {
    let mut rule = RuleBuilder::new(version, architecture)?;
    for binary in binaries {
        rule.push(&binary)?;
    }
    Ok(rule.finish())
}

/// Writes a rule, binary by binary.
#[derive(Debug, Clone)]
pub struct RuleBuilder {
    bytes: Vec<u8>,
}

/// Why an update has no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodeError {
    /// A version, an architecture or a name, its beginning given here, is longer than [`MAX_TEXT_BYTES`].
    TextTooLong(String),
    /// The rule would be larger than [`MAX_RULE_BYTES`] with the binary of this name.
    RuleTooLarge(String),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TextTooLong(start) => write!(f, "`{start}...` is longer than {MAX_TEXT_BYTES} bytes"),
            Self::RuleTooLarge(name) => {
                write!(f, "the rule is larger than {MAX_RULE_BYTES} bytes with binary package {name}")
            }
        }
    }
}

impl core::error::Error for EncodeError {}

impl RuleBuilder {
    /// Begins the rule of an update of this version; `architecture` is that of its binaries that are not `all`.
    ///
    /// # Errors
    /// [`EncodeError::TextTooLong`].
    pub fn new(version: &str, architecture: &str) -> Result<Self, EncodeError> {
        let mut rule = Self { bytes: Vec::new() };
        rule.push_text(version.as_bytes())?;
        rule.push_text(architecture.as_bytes())?;
        Ok(rule)
    }

    /// Adds a binary package. After an error the rule is as it was.
    ///
    /// # Errors
    /// [`EncodeError::TextTooLong`], [`EncodeError::RuleTooLarge`].
    pub fn push(&mut self, binary: &Binary<'_>) -> Result<(), EncodeError> {
        let start = self.bytes.len();
        let pushed = self.try_push(binary);
        if pushed.is_err() {
            self.bytes.truncate(start);
        }
        pushed
    }

    /// The encoded rule.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn try_push(&mut self, binary: &Binary<'_>) -> Result<(), EncodeError> {
        let version = (binary.version != self.version()).then_some(binary.version);
        let flags = [(FLAG_ALL, binary.all), (FLAG_VERSION, version.is_some()), (FLAG_ABOVE, binary.above.is_some())];
        self.bytes.push(flags.iter().filter(|(_, set)| *set).map(|(flag, _)| flag).sum());
        self.push_text(binary.name)?;
        for text in [version, binary.above].into_iter().flatten() {
            self.push_text(text)?;
        }
        if self.bytes.len() > MAX_RULE_BYTES {
            return Err(EncodeError::RuleTooLarge(String::from_utf8_lossy(binary.name).into_owned()));
        }
        Ok(())
    }

    fn push_text(&mut self, text: &[u8]) -> Result<(), EncodeError> {
        let length = u8::try_from(text.len())
            .map_err(|_| EncodeError::TextTooLong(String::from_utf8_lossy(&text[..40]).into_owned()))?;
        self.bytes.push(length);
        self.bytes.extend_from_slice(text);
        Ok(())
    }

    /// The rule's version, as it stands at the front of the bytes.
    fn version(&self) -> &[u8] {
        &self.bytes[1..=usize::from(self.bytes[0])]
    }
}
