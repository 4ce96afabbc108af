//! The signed statement of a poll: what a client's assignment is now (design after Uptane's director).
//!
//! Everything here is bounded by its types and allocates nothing, so that a device too small for the whole repository
//! can still verify what it is told.

use crate::limits::MAX_ASSIGNMENT_KEYS;
use crate::time;
use core::fmt;
use ed25519_dalek::{Signature, VerifyingKey};
use farrier_protocol::assignment::MAX_ASSIGNMENT_BYTES;
use farrier_protocol::poll::{
    MAX_STATEMENT_BYTES, Nonce, PollReply, STATEMENT_CONTEXT, Statement, StatementSignature, Tenant,
};
use farrier_protocol::{ClientId, Digest, UnixTime};

const MAX_SIGNED_BYTES: usize = STATEMENT_CONTEXT.len() + MAX_STATEMENT_BYTES;

/// The keys that sign assignments, as a root names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentKeys {
    /// Ed25519 public keys.
    pub keys: heapless::Vec<[u8; 32], MAX_ASSIGNMENT_KEYS>,
    /// How many different ones must sign.
    pub threshold: u8,
}

/// What a client knows about the statement that it asked for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Whose the repository is.
    pub tenant: Tenant,
    /// Who asked.
    pub client: ClientId,
    /// The nonce of the poll; none for a statement that is stored and was verified with its nonce before.
    pub nonce: Option<Nonce>,
    /// The lowest version that is taken.
    pub floor: u64,
    /// What the client runs on.
    pub platform: &'a str,
    /// The time; none where it does not matter whether the statement expired, because nothing new comes from it.
    pub now: Option<UnixTime>,
}

/// Why a statement is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementError {
    /// The bytes are no statement.
    Malformed,
    /// Too few of the keys have signed it.
    Threshold {
        /// Different keys that have.
        valid: u8,
        /// Keys that must.
        needed: u8,
    },
    /// It is of another site.
    OtherTenant {
        /// Which one.
        tenant: Tenant,
    },
    /// It is for another client.
    OtherClient {
        /// Which one.
        client: ClientId,
    },
    /// It answers another poll than this one.
    OtherNonce,
    /// It is for another platform.
    OtherPlatform {
        /// Which one.
        platform: farrier_protocol::poll::Platform,
    },
    /// It is older than one taken before.
    Rollback {
        /// The version offered.
        offered: u64,
        /// The version taken before.
        floor: u64,
    },
    /// It expired.
    Expired {
        /// When.
        at: UnixTime,
    },
    /// The assignment that came along is not the one that it names.
    OtherAssignment {
        /// The one that it names.
        named: Digest,
    },
    /// It names an assignment that is longer than any may be.
    TooLong {
        /// Its bytes.
        length: u32,
    },
}

impl fmt::Display for StatementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the assignment's statement is malformed"),
            Self::Threshold { valid, needed } => write!(
                f,
                "the assignment's statement is signed by {valid} of the assignment keys that the root names, but {needed} must sign it"
            ),
            Self::OtherTenant { tenant } => write!(f, "the assignment is of another site, tenant {tenant}"),
            Self::OtherClient { client } => write!(f, "the assignment is for another client, {client}"),
            Self::OtherNonce => f.write_str("the assignment's statement answers another poll: it was replayed"),
            Self::OtherPlatform { platform } => write!(f, "the assignment is for another platform, {platform}"),
            Self::Rollback { offered, floor } => {
                write!(f, "the assignment goes back to version {offered}, but version {floor} was taken before")
            }
            Self::Expired { at } => {
                write!(
                    f,
                    "the assignment's statement expired at {}: it was held back, or this clock is wrong",
                    time::format(*at)
                )
            }
            Self::OtherAssignment { named } => {
                write!(f, "the assignment that came is not the one that the statement names, {named}")
            }
            Self::TooLong { length } => {
                write!(f, "the assignment would have {length} bytes, which is more than {MAX_ASSIGNMENT_BYTES}")
            }
        }
    }
}

impl core::error::Error for StatementError {}

/// Verifies the statement of a reply, and that the assignment in the reply, if there is one, is the one that it names.
///
/// # Errors
/// When it must not be taken.
pub fn verify_statement(
    reply: &PollReply<'_>,
    keys: &AssignmentKeys,
    expected: &Expected<'_>,
) -> Result<Statement, StatementError> {
    let valid = count_signatures(reply, keys).ok_or(StatementError::Malformed)?;
    if valid < keys.threshold || keys.threshold == 0 {
        return Err(StatementError::Threshold { valid, needed: keys.threshold });
    }
    let statement: Statement = farrier_protocol::decode(reply.statement).map_err(|_| StatementError::Malformed)?;
    check_address(&statement, expected)?;
    check_age(&statement, expected)?;
    check_assignment(&statement, reply.assignment)?;
    Ok(statement)
}

/// How many different keys have signed, unless the statement is longer than any.
fn count_signatures(reply: &PollReply<'_>, keys: &AssignmentKeys) -> Option<u8> {
    let message = signed_bytes(reply.statement)?;
    let signed_by = |key: &[u8; 32]| {
        reply.signatures.iter().any(|signature| signature.key == *key && verifies(signature, &message))
    };
    let is_first = |position: usize| !keys.keys[..position].contains(&keys.keys[position]);
    let valid = keys.keys.iter().enumerate().filter(|(position, key)| is_first(*position) && signed_by(key)).count();
    u8::try_from(valid).ok()
}

fn verifies(signature: &StatementSignature, message: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(&signature.key) else { return false };
    let (r, s) = signature.signature;
    key.verify_strict(message, &Signature::from_components(r, s)).is_ok()
}

fn check_address(statement: &Statement, expected: &Expected<'_>) -> Result<(), StatementError> {
    if statement.tenant != expected.tenant {
        return Err(StatementError::OtherTenant { tenant: statement.tenant });
    }
    if statement.client != expected.client {
        return Err(StatementError::OtherClient { client: statement.client });
    }
    if statement.platform.as_str() != expected.platform {
        return Err(StatementError::OtherPlatform { platform: statement.platform.clone() });
    }
    Ok(())
}

fn check_age(statement: &Statement, expected: &Expected<'_>) -> Result<(), StatementError> {
    if expected.nonce.is_some_and(|nonce| nonce != statement.nonce) {
        return Err(StatementError::OtherNonce);
    }
    if statement.version < expected.floor {
        return Err(StatementError::Rollback { offered: statement.version, floor: expected.floor });
    }
    match expected.now {
        Some(now) if statement.expires <= now => Err(StatementError::Expired { at: statement.expires }),
        _ => Ok(()),
    }
}

fn check_assignment(statement: &Statement, assignment: Option<&[u8]>) -> Result<(), StatementError> {
    if statement.length as usize > MAX_ASSIGNMENT_BYTES {
        return Err(StatementError::TooLong { length: statement.length });
    }
    match assignment {
        Some(bytes) if bytes.len() != statement.length as usize || Digest::of(bytes) != statement.assignment => {
            Err(StatementError::OtherAssignment { named: statement.assignment })
        }
        _ => Ok(()),
    }
}

/// The exact bytes that are signed for an encoded statement, unless it is longer than any.
pub(crate) fn signed_bytes(statement: &[u8]) -> Option<heapless::Vec<u8, MAX_SIGNED_BYTES>> {
    let mut bytes = heapless::Vec::from_slice(STATEMENT_CONTEXT).ok()?;
    bytes.extend_from_slice(statement).ok()?;
    Some(bytes)
}
