//! Enrolment: how an endpoint becomes a client, by a one-time token and without trust on first use.

use crate::{ClientId, Digest};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Bytes of the one-time secret in a token.
pub const SECRET_BYTES: usize = 16;
/// Bytes of an encoded request, at most.
pub const MAX_ENROLLMENT_BYTES: usize = 16 * 1024;
/// Bytes of an encoded reply, at most: it carries the root metadata.
pub const MAX_ENROLLMENT_REPLY_BYTES: usize = 640 * 1024;
/// The header in which a site says why it keeps a client out: a word of [`Exclusion`], beside status 403 and a sentence.
pub const EXCLUSION_HEADER: &str = "farrier-exclusion";

/// What the administrator hands to an endpoint; its text form is base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentToken {
    /// The site's address, `https://host:port`.
    pub site: String,
    /// SHA-256 of the DER of the certificate authority that signs the site's TLS certificate and the clients' ones.
    pub authority: Digest,
    /// The root of trust of the repository: SHA-256 of its root metadata, byte for byte.
    pub repository: Digest,
    /// Proves once that the bearer may enrol.
    pub secret: [u8; SECRET_BYTES],
}

/// An endpoint asks to become a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentRequest {
    /// The token's secret.
    pub secret: [u8; SECRET_BYTES],
    /// PKCS#10 certificate signing request in DER; only its public key is used.
    pub certificate_request: Vec<u8>,
    /// The host's name, shown in the console until the first inventory arrives.
    pub hostname: heapless::String<{ crate::state_message::MAX_TEXT_BYTES }>,
    /// SHA-256 of what the hardware says of itself, where it does.
    pub hardware: Option<Digest>,
}

/// The site's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentReply {
    /// The client: a new one, or one that was there before and is this endpoint from now on.
    pub client: ClientId,
    /// Its certificate, X.509 in DER.
    pub certificate: Vec<u8>,
    /// The certificate authority, X.509 in DER; its digest is the token's `authority`.
    pub authority: Vec<u8>,
    /// The root metadata of the repository; its digest is the token's `repository`.
    pub root: Vec<u8>,
    /// Whether an administrator has to approve the client before it gets an assignment.
    pub waits_for_approval: bool,
}

/// A client asks for a new certificate, with the one it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalRequest {
    /// PKCS#10 certificate signing request in DER; only its public key is used.
    pub certificate_request: Vec<u8>,
}

/// The site's answer. Both certificates are good until the new one is used for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalReply {
    /// The new certificate, X.509 in DER.
    pub certificate: Vec<u8>,
}

/// Why a site keeps out a client that shows a certificate of the site's authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// The site does not know the client, or not any more: it has to enrol again.
    Unknown,
    /// The certificate is not the client's any more, because an endpoint enrolled as this client since, or because it was
    /// renewed and the new one was used: whoever shows it has to enrol again.
    Superseded,
    /// An administrator revoked the client, and may restore it.
    Revoked,
    /// An administrator has to approve the client first.
    WaitsForApproval,
}

impl Exclusion {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Superseded, Self::Revoked, Self::WaitsForApproval];

    /// Its word in the header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Superseded => "superseded",
            Self::Revoked => "revoked",
            Self::WaitsForApproval => "waiting",
        }
    }

    /// The reason with this word, if there is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|exclusion| exclusion.as_str() == word)
    }
}
