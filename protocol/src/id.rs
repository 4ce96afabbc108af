//! Ids, parsed at the edge: nothing inside Farrier passes a bare string or a bare array of bytes.

use core::fmt;
use sha2::{Digest as _, Sha256};

/// Text that is not a lower-case hexadecimal id of the expected length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseIdError {
    /// How many hexadecimal digits the id has.
    pub digits: usize,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} hexadecimal digits", self.digits)
    }
}

impl core::error::Error for ParseIdError {}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// Length in bytes; the text form has twice as many hexadecimal digits.
            pub const LENGTH: usize = $length;

            /// The bytes of the id.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// The id in these bytes, if they have its length.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::ParseIdError;

            fn from_str(text: &str) -> Result<Self, $crate::ParseIdError> {
                let mut bytes = [0; $length];
                $crate::id::parse_hex(text, &mut bytes).map(|()| Self(bytes))
            }
        }
    };
}

pub(crate) use id;

id!(
    /// One client. Given by the site at enrolment, the subject of the client's certificate.
    ClientId,
    16
);
id!(
    /// One software update, the same on every site: the first 128 bits of the SHA-256 of its name
    /// (`bookworm-security/openssl/3.0.17-1~deb12u2`).
    UpdateId,
    16
);
id!(
    /// One deployment. Random, made by the site.
    DeploymentId,
    16
);
id!(
    /// A SHA-256 digest.
    Digest,
    32
);

impl UpdateId {
    /// The id of the update with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let digest = Digest::of(name.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest.0[..16]);
        Self(id)
    }
}

impl Digest {
    /// The SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

pub(crate) fn parse_hex(text: &str, out: &mut [u8]) -> Result<(), ParseIdError> {
    let error = ParseIdError { digits: out.len() * 2 };
    let text = text.as_bytes();
    if text.len() != out.len() * 2 {
        return Err(error);
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(error),
    };
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn ids_survive_their_text_form() {
        let id = UpdateId::of_name("bookworm/openssl/3.0.17-1~deb12u2");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in [
            "",
            "0",
            "00112233445566778899aabbccddeef",
            "00112233445566778899aabbccddeeFF",
            "0011223344556677889xaabbccddeeff",
        ] {
            assert_eq!(text.parse::<ClientId>(), Err(ParseIdError { digits: 32 }), "{text}");
        }
    }
}
