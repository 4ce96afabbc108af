//! What site and agent say to each other: ids, compliance states, enrolment, assignment, state messages and catalogs.
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
mod state;
pub mod state_message;

pub use id::{ClientId, DeploymentId, Digest, ParseIdError, UpdateId};
pub use state::{ComplianceState, UnknownState};

use serde::{Deserialize, Serialize};

/// The paths of the management point and of the distribution point, relative to the site's address.
pub mod paths {
    /// `POST`: [`EnrollmentRequest`](crate::enrollment::EnrollmentRequest) ->
    /// [`EnrollmentReply`](crate::enrollment::EnrollmentReply). Needs no client certificate, but a token.
    pub const ENROLL: &str = "/v1/enroll";
    /// `GET`: [`Assignment`](crate::assignment::Assignment), with `ETag` and `If-None-Match`.
    pub const ASSIGNMENT: &str = "/v3/assignment";
    /// `GET`: what agents knew of it before there were versions of plugins; the policies of deployments, which such an agent
    /// could not read, are left out.
    pub const ASSIGNMENT_2: &str = "/v2/assignment";
    /// `GET`: only the [`Assessment`](crate::assignment::Assessment) of it, for agents that cannot install.
    pub const ASSESSMENT: &str = "/v1/assignment";
    /// `POST`: [`StateBatch`](crate::state_message::StateBatch) -> [`StateReply`](crate::state_message::StateReply).
    pub const STATE_MESSAGES: &str = "/v1/state-messages";
    /// `GET`: the signed index of the repository, with `ETag` and `If-None-Match`.
    pub const INDEX: &str = "/repository/index";
    /// `GET` followed by `/` and a lower-case hexadecimal SHA-256: the bytes with that digest, immutable.
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
