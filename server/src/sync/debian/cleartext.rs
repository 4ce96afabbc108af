//! The framing of a signed text. Nothing but the text between the header and the signature ever leaves this module, and
//! a document with anything else in it, before, between or behind, is refused.

use pgp::composed::{Deserializable as _, DetachedSignature};
use pgp::packet::{Signature, SignatureType};

const BEGIN_MESSAGE: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &str = "-----END PGP SIGNATURE-----";
const MAX_ARMOR_BYTES: usize = 64 * 1024;

/// Why a document is not a signed text.
#[derive(Debug, thiserror::Error)]
pub enum FramingError {
    /// It does not begin as one.
    #[error("it is not signed")]
    Unsigned,
    /// Something is where nothing may be.
    #[error("line {0} is not part of the signed text and not part of its signature")]
    Outside(usize),
    /// It ends early.
    #[error("it ends before its signature does")]
    Truncated,
    /// The signature cannot be read.
    #[error("its signature cannot be read")]
    Signature(#[from] pgp::errors::Error),
    /// The signature is of another kind.
    #[error("its signature is not that of a text")]
    Kind,
}

/// A text and what claims to be its signatures. Not verified.
#[derive(Debug)]
pub struct SignedText {
    /// The text, its lines separated by `\n`.
    pub text: String,
    /// The signatures.
    pub signatures: Vec<Signature>,
}

impl SignedText {
    /// Takes an inline-signed document apart.
    ///
    /// # Errors
    /// When it is anything but one signed text.
    pub fn parse(document: &str) -> Result<Self, FramingError> {
        let mut lines = document.lines().map(str::trim_ascii_end).zip(1..);
        if lines.next().is_none_or(|(line, _)| line != BEGIN_MESSAGE) {
            return Err(FramingError::Unsigned);
        }
        for (line, number) in lines.by_ref().take_while(|(line, _)| !line.is_empty()) {
            if !line.starts_with("Hash: ") {
                return Err(FramingError::Outside(number));
            }
        }
        let text = signed_lines(lines.by_ref())?;
        let armor = armored_signature(lines.by_ref())?;
        match lines.find(|(line, _)| !line.is_empty()) {
            Some((_, number)) => Err(FramingError::Outside(number)),
            None => Ok(Self { text, signatures: signatures(&armor, &[SignatureType::Text])? }),
        }
    }

    /// Puts a text and its detached signature together.
    ///
    /// # Errors
    /// When the signature cannot be read.
    pub fn detached(text: String, armor: &str) -> Result<Self, FramingError> {
        let signatures = signatures(armor, &[SignatureType::Binary, SignatureType::Text])?;
        Ok(Self { text, signatures })
    }
}

/// The text up to the signature, with its dashes unescaped. The line break before the signature is not part of it.
fn signed_lines<'a>(lines: impl Iterator<Item = (&'a str, usize)>) -> Result<String, FramingError> {
    let mut text = String::new();
    for (line, number) in lines {
        if line == BEGIN_SIGNATURE {
            text.pop();
            return Ok(text);
        }
        let line = match line.strip_prefix("- ") {
            Some(escaped) => escaped,
            None if line.starts_with('-') => return Err(FramingError::Outside(number)),
            None => line,
        };
        text.push_str(line);
        text.push('\n');
    }
    Err(FramingError::Truncated)
}

fn armored_signature<'a>(lines: impl Iterator<Item = (&'a str, usize)>) -> Result<String, FramingError> {
    let mut armor = format!("{BEGIN_SIGNATURE}\n");
    for (line, number) in lines {
        armor.push_str(line);
        armor.push('\n');
        if line == END_SIGNATURE {
            return Ok(armor);
        }
        if armor.len() > MAX_ARMOR_BYTES {
            return Err(FramingError::Outside(number));
        }
    }
    Err(FramingError::Truncated)
}

fn signatures(armor: &str, kinds: &[SignatureType]) -> Result<Vec<Signature>, FramingError> {
    let (parsed, _) = DetachedSignature::from_string_many(armor)?;
    let signatures = parsed.map(|signature| Ok(signature?.signature)).collect::<Result<Vec<_>, FramingError>>()?;
    let is_expected = |signature: &Signature| signature.typ().is_some_and(|kind| kinds.contains(&kind));
    if signatures.iter().all(is_expected) { Ok(signatures) } else { Err(FramingError::Kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing_error(document: &str) -> FramingError {
        SignedText::parse(document).unwrap_err()
    }

    #[test]
    fn a_text_without_a_signature_is_unsigned() {
        for document in ["", "Suite: bookworm\n", "\n-----BEGIN PGP SIGNED MESSAGE-----\n\nA: b\n"] {
            assert!(matches!(framing_error(document), FramingError::Unsigned), "{document:?}");
        }
    }

    #[test]
    fn what_ends_early_is_truncated() {
        for end in ["", "\nA: b\n", "\nA: b\n-----BEGIN PGP SIGNATURE-----\n\nwsBz"] {
            let document = format!("{BEGIN_MESSAGE}\nHash: SHA256\n{end}");
            assert!(matches!(framing_error(&document), FramingError::Truncated), "{document:?}");
        }
    }

    #[test]
    fn lines_that_only_look_signed_are_refused() {
        let signature = format!("{BEGIN_SIGNATURE}\n\nAAAA\n{END_SIGNATURE}\n");
        for (document, line) in [
            (format!("{BEGIN_MESSAGE}\nSuite: evil\n\nA: b\n{signature}"), 2),
            (format!("{BEGIN_MESSAGE}\nHash: SHA256\n\nA: b\n-----BEGIN PGP MESSAGE-----\n{signature}"), 5),
            (format!("{BEGIN_MESSAGE}\nHash: SHA256\n\nA: b\n{signature}Suite: evil\n"), 9),
            (format!("{BEGIN_MESSAGE}\nHash: SHA256\n\nA: b\n{signature}\n{BEGIN_MESSAGE}\n\nB: c\n{signature}"), 10),
        ] {
            let error = framing_error(&document);
            assert!(matches!(error, FramingError::Outside(number) if number == line), "{error:?}: {document}");
        }
    }

    #[test]
    fn dashes_are_unescaped() {
        let lines = ["A: b", "- -----BEGIN PGP SIGNATURE-----", "", BEGIN_SIGNATURE].into_iter().zip(1..);
        assert_eq!(signed_lines(lines).unwrap(), format!("A: b\n{BEGIN_SIGNATURE}\n"));
    }
}
