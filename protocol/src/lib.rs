//! What site and agent say to each other: ids, compliance states, enrolment, polls, assignments, state messages and
//! catalogs.
//!
//! Everything is `no_std` and [postcard](https://postcard.jamesmunns.com/wire-format) on the wire. What a site decodes of its
//! clients' messages is bounded by its type; what holds a `Vec` has its limit in bytes beside it. This crate never does I/O and never verifies a signature (see `farrier-trust`).
//!
//! **The wire is append-only.** Postcard numbers enum variants and struct fields by their order: never reorder, never
//! remove, add variants at the end. `tests/golden/` holds the bytes of every message and fails when they move.

#![no_std]
#![warn(missing_docs)]

extern crate alloc;

pub mod assignment;
pub mod catalog;
pub mod deployment;
pub mod enforcement;
pub mod enrollment;
mod id;
pub mod poll;
mod state;
pub mod state_message;

pub use id::{ClientId, DeploymentId, Digest, ParseIdError, UpdateId};
pub use state::{ComplianceState, UnknownState};

use serde::{Deserialize, Serialize};

/// The paths of the management point and of the distribution point, relative to the site's address.
///
/// To a client that it keeps out, the management point answers 403 with a sentence for people and the header
/// [`EXCLUSION_HEADER`](crate::enrollment::EXCLUSION_HEADER) for its agent: `unknown`, `superseded`, `revoked` or `waiting`.
/// One that waits for approval may renew its certificate, and nothing else.
pub mod paths {
    /// `POST`: [`EnrollmentRequest`](crate::enrollment::EnrollmentRequest) ->
    /// [`EnrollmentReply`](crate::enrollment::EnrollmentReply). Needs no client certificate, but a token.
    pub const ENROLL: &str = "/v2/enroll";
    /// `POST`: [`RenewalRequest`](crate::enrollment::RenewalRequest) ->
    /// [`RenewalReply`](crate::enrollment::RenewalReply), with the certificate that is to be renewed.
    pub const RENEW: &str = "/v2/renew";
    /// `POST`: [`PollRequest`](crate::poll::PollRequest) -> [`PollReply`](crate::poll::PollReply).
    pub const POLL: &str = "/v4/poll";
    /// `POST`: [`StateBatch`](crate::state_message::StateBatch) -> [`StateReply`](crate::state_message::StateReply).
    pub const STATE_MESSAGES: &str = "/v1/state-messages";
    /// `GET` followed by `/` and the name of a file of signed metadata: `timestamp.json`, `3.root.json`.
    pub const METADATA: &str = "/repository/metadata";
    /// `GET` followed by `/` and either a lower-case hexadecimal SHA-256, or the path of a target with the digest in front
    /// of its last part (`plugins/dpkg/{sha256}.0.1.0`): the bytes with that digest, immutable.
    pub const TARGETS: &str = "/repository/targets";
    /// `GET` followed by `/` and a lower-case hexadecimal SHA-256: content of an update, with `Range`.
    pub const CONTENT: &str = "/content";
}

/// Encodes a message.
///
/// # Errors
/// Never for the types of this crate; postcard's signature has one.
pub fn encode<T: Serialize>(message: &T) -> Result<alloc::vec::Vec<u8>, postcard::Error> {
    postcard::to_allocvec(message)
}

/// Decodes a message and refuses trailing bytes.
///
/// # Errors
/// When `bytes` are not exactly one message of this type within its bounds.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(bytes)? {
        (message, []) => Ok(message),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
pub type UnixTime = i64;
