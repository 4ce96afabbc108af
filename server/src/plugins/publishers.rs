//! Whose plugins may be pushed.

use super::{PluginError, Plugins};
use crate::plugins::FARRIER;
use farrier_protocol::UnixTime;
use serde::Serialize;

/// Bytes of a publisher's name, at most.
const MAX_NAME_BYTES: usize = 64;

/// A publisher as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublisherRow {
    /// The name.
    pub name: String,
    /// The Ed25519 public key, 64 hexadecimal digits.
    pub public_key: String,
    /// Since when.
    pub added_at: UnixTime,
}

impl Plugins {
    /// The publishers whose signatures are accepted, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publishers(&self) -> Result<Vec<PublisherRow>, PluginError> {
        let row = |publisher: crate::database::Publisher| PublisherRow {
            name: publisher.name,
            public_key: hex(&publisher.public_key),
            added_at: publisher.added_at,
        };
        Ok(self.database.plugin_publishers().await?.into_iter().map(row).collect())
    }

    /// Accepts a publisher's signatures from now on.
    ///
    /// # Errors
    /// When the name or the key is none, or taken.
    pub async fn add_publisher(&self, name: &str, key: &str, now: UnixTime) -> Result<(), PluginError> {
        let name = name.trim();
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(PluginError::Invalid(format!(
                "write a name of at most {MAX_NAME_BYTES} bytes for the publisher"
            )));
        }
        if name.eq_ignore_ascii_case(FARRIER) {
            return Err(PluginError::Invalid(format!(
                "{FARRIER} is the publisher of the plugins in the box: choose another name"
            )));
        }
        let key = parse_key(key).ok_or_else(|| {
            PluginError::Invalid(
                "that is no public key: it has 64 hexadecimal digits, as `farrier plugin key` shows it".to_owned(),
            )
        })?;
        if !self.database.add_plugin_publisher(name, &key, now).await? {
            return Err(PluginError::Refused(format!(
                "the name {name} or the key is taken: `farrier plugin publisher list` shows by whom"
            )));
        }
        Ok(())
    }

    /// Accepts a publisher's signatures no longer. What was pushed stays.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn remove_publisher(&self, name: &str) -> Result<(), PluginError> {
        if !self.database.remove_plugin_publisher(name).await? {
            let hint = "`farrier plugin publisher list` shows them";
            return Err(PluginError::Unknown(format!("publisher {name:?}: {hint}")));
        }
        Ok(())
    }
}

/// The public key of these hexadecimal digits.
#[must_use]
pub fn parse_key(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    let mut key = [0; 32];
    if text.len() != 2 * key.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        let key = parse_key(&format!(" 00ff{}\n", "1a".repeat(30))).unwrap();
        assert_eq!((key[0], key[1], key[31]), (0, 255, 0x1a));
        assert_eq!(hex(&key), format!("00ff{}", "1a".repeat(30)));
        for text in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(parse_key(text), None, "{text}");
        }
    }
}
