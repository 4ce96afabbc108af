//! Statements that the thief signs.

use anyhow::Context as _;
pub use farrier_protocol::assignment::Assignment;
use farrier_protocol::poll::PollReply;
pub use farrier_protocol::poll::Statement;
use farrier_protocol::{Digest, decode, encode};
use farrier_trust::{SigningKey, sign_statement};

/// A reply with an assignment, changed and signed again by these keys. What the statement says of the assignment fits it,
/// and both have the next version, unless the change has the last word.
///
/// # Errors
/// When it is no such reply, or of the change.
pub fn resigned(
    reply: &[u8],
    keys: &[SigningKey],
    change: impl FnOnce(&mut Statement, &mut Assignment) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<u8>> {
    let reply: PollReply<'_> = decode(reply).context("no reply to a poll")?;
    let mut statement: Statement = decode(reply.statement).context("no statement")?;
    let mut assignment: Box<Assignment> = decode(reply.assignment.context("it came without an assignment")?)?;
    statement.version += 1;
    assignment.assessment.version = statement.version;
    change(&mut statement, &mut assignment)?;
    let bytes = encode(&assignment)?;
    statement.assignment = Digest::of(&bytes);
    statement.length = u32::try_from(bytes.len())?;
    signed(&statement, keys, Some(&bytes))
}

/// The reply with this statement, signed by these keys, and with these bytes as the assignment.
///
/// # Errors
/// Never; the encoding has one.
pub fn signed(statement: &Statement, keys: &[SigningKey], assignment: Option<&[u8]>) -> anyhow::Result<Vec<u8>> {
    Ok(encode(&sign_statement(statement, keys).reply(assignment))?)
}
