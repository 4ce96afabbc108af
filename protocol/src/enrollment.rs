//! Enrolment: how an endpoint becomes a client, by a one-time token and without trust on first use.

use crate::{ClientId, Digest};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Bytes of the one-time secret in a token.
pub const SECRET_BYTES: usize = 16;
/// Bytes of an encoded request or reply, at most.
pub const MAX_ENROLLMENT_BYTES: usize = 16 * 1024;

/// What the administrator hands to an endpoint; its text form is base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentToken {
    /// The site's address, `https://host:port`.
    pub site: String,
    /// SHA-256 of the DER of the certificate authority that signs the site's TLS certificate and the clients' ones.
    pub authority: Digest,
    /// The root of trust of the repository: SHA-256 of its public key.
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
}

/// The site's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentReply {
    /// The new client.
    pub client: ClientId,
    /// Its certificate, X.509 in DER.
    pub certificate: Vec<u8>,
    /// The certificate authority, X.509 in DER; its digest is the token's `authority`.
    pub authority: Vec<u8>,
}
