//! A poll: what a client asks with, and the signed statement that answers it.
//!
//! The statement is small and made anew for every poll, because it repeats the nonce. It says which assignment is the
//! client's, by its digest, and how the repository stands: a client that has both already fetches nothing else. The
//! assignment itself comes along only where the client does not have it.
//!
//! What a partial verifier needs of it is bounded by its types, and decoding it allocates nothing.

use crate::{ClientId, Digest, UnixTime};
use serde::{Deserialize, Serialize};

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 16;
/// Signatures of one statement, at most.
pub const MAX_STATEMENT_SIGNATURES: usize = 4;
/// Bytes of an encoded statement, at most.
pub const MAX_STATEMENT_BYTES: usize = 256;
/// Bytes of an encoded request, at most.
pub const MAX_POLL_BYTES: usize = 512;
/// Bytes of an encoded reply, at most.
pub const MAX_POLL_REPLY_BYTES: usize = crate::assignment::MAX_ASSIGNMENT_BYTES + 1024;
/// Goes in front of what is signed, so that no other signature of the same key can be taken for one of a statement.
pub const STATEMENT_CONTEXT: &[u8] = b"farrier assignment 1\0";

/// A number that a client makes up for one poll.
pub type Nonce = [u8; NONCE_BYTES];
/// A processor architecture and an operating system as Rust names them: `x86_64-linux`.
pub type Platform = heapless::String<32>;
/// The id of an engine: `wasmtime-48.0.8/pulley64/settings-1`.
pub type EngineId = heapless::String<48>;

/// What a client asks with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollRequest {
    /// Made up for this poll.
    pub nonce: Nonce,
    /// The digest of the encoded assignment that it follows.
    pub known: Option<Digest>,
    /// What it runs on.
    pub platform: Platform,
    /// The engine that it needs precompiled artefacts for; none if it compiles components itself.
    pub engine: Option<EngineId>,
    /// The id that the kernel gave this boot, where there is one. It never comes back: one that does is of two devices.
    pub boot: Option<[u8; 16]>,
    /// SHA-256 of what the hardware says of itself, where it does.
    pub hardware: Option<Digest>,
}

/// What is signed for one poll of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Whose repository the assignment selects from, as the repository's root says it.
    pub tenant: Tenant,
    /// Whose the assignment is.
    pub client: ClientId,
    /// Its version; it grows with every change, and the client takes no lower one.
    pub version: u64,
    /// When the statement was made.
    pub issued_at: UnixTime,
    /// From then on nobody takes it any more.
    pub expires: UnixTime,
    /// The nonce of the poll.
    pub nonce: Nonce,
    /// The platform that the assignment is for.
    pub platform: Platform,
    /// SHA-256 of the encoded [`Assignment`](crate::assignment::Assignment).
    pub assignment: Digest,
    /// Its bytes.
    pub length: u32,
    /// The version of the repository's root.
    pub root: u64,
    /// SHA-256 of the repository's `timestamp.json`.
    pub timestamp: Digest,
}

crate::id::id!(
    /// Whose a repository is. Random, made with its first root, and the same in every later one.
    Tenant,
    16
);

/// An Ed25519 signature over [`STATEMENT_CONTEXT`] and the encoded statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementSignature {
    /// The public key.
    pub key: [u8; 32],
    /// R and s of the signature (RFC 8032, section 5.1.6).
    pub signature: ([u8; 32], [u8; 32]),
}

/// The answer to a poll, as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollReply<'a> {
    /// The encoded [`Statement`].
    pub statement: &'a [u8],
    /// Its signatures.
    pub signatures: heapless::Vec<StatementSignature, MAX_STATEMENT_SIGNATURES>,
    /// The encoded assignment that it names, unless the client has it.
    pub assignment: Option<&'a [u8]>,
}
