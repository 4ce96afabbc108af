//! The question that a poll asks, and whether the site's answer may be believed.

use crate::agent::Agent;
use crate::clock::random;
use crate::floors::Floors;
use crate::hardware::Device;
use crate::repository::{Repository, digest_of_keys};
use crate::site::Site;
use anyhow::{Context as _, ensure};
use farrier_protocol::poll::{Nonce, Platform, PollReply, PollRequest, Statement, Tenant};
use farrier_protocol::state_message::bounded;
use farrier_protocol::{ClientId, Digest, UnixTime};
use farrier_trust::{AssignmentKeys, Expected, StatementError, verify_statement};
use std::env::consts::{ARCH, OS};

/// The answer to a poll, as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    nonce: Nonce,
    bytes: Vec<u8>,
}

/// Whose word this client takes on what it is to do.
#[derive(Debug, Clone)]
pub(crate) struct Director {
    tenant: Tenant,
    client: ClientId,
    keys: AssignmentKeys,
    floor: u64,
}

/// Asks the site how things stand, as a client that has the assignment with the digest `known`.
pub(crate) async fn ask(agent: &Agent, site: &Site, known: Option<Digest>) -> anyhow::Result<Reply> {
    let Device { boot, hardware } = Device::of(&agent.config);
    let engine = agent.engine().map(|engine| bounded(&engine.to_string()));
    let request = PollRequest { nonce: random()?, known, platform: platform(), engine, boot, hardware };
    Ok(Reply { nonce: request.nonce, bytes: site.poll(&request).await? })
}

impl Reply {
    /// The statement, if it answers what was asked, is signed by whom this client believes, and has not expired `now`.
    pub(crate) fn statement(&self, director: &Director, now: UnixTime) -> anyhow::Result<Statement> {
        director.verify(&self.bytes, Some(self.nonce), Some(now))
    }

    /// The encoded assignment that the statement names; `known` is the one the client has.
    pub(crate) fn assignment<'a>(&'a self, statement: &Statement, known: Option<&'a [u8]>) -> anyhow::Result<&'a [u8]> {
        let known = known.filter(|known| Digest::of(known) == statement.assignment);
        let words = "the site says that nothing changed to a client that does not have its assignment";
        decode(&self.bytes)?.assignment.or(known).context(words)
    }

    /// The reply with that assignment, to be kept.
    pub(crate) fn complete(&self, assignment: &[u8]) -> anyhow::Result<Vec<u8>> {
        let reply = PollReply { assignment: Some(assignment), ..decode(&self.bytes)? };
        Ok(farrier_protocol::encode(&reply)?)
    }
}

impl Director {
    /// Whoever signs assignments under the root of this repository, and no older ones than these floors.
    pub(crate) fn new(repository: &Repository, floors: &Floors) -> anyhow::Result<Self> {
        let Floors { tenant, client, .. } = *floors;
        ensure!(repository.tenant()? == tenant, "the root is of another site's repository");
        let keys = repository.assignment_keys()?;
        let floor = floors.of_assignments(digest_of_keys(&keys));
        Ok(Self { tenant, client, keys, floor })
    }

    /// The statement in an encoded reply, if it may be believed: of this nonce, unless it was believed before, and not
    /// expired at this time, if there is one.
    pub(crate) fn verify(
        &self,
        reply: &[u8],
        nonce: Option<Nonce>,
        now: Option<UnixTime>,
    ) -> anyhow::Result<Statement> {
        let platform = platform();
        let (tenant, client, floor) = (self.tenant, self.client, self.floor);
        let expected = Expected { tenant, client, nonce, floor, platform: &platform, now };
        Ok(verify_statement(&decode(reply)?, &self.keys, &expected)?)
    }
}

/// Whether a statement was refused because of who signed it: a newer root may name other keys.
pub(crate) fn is_of_other_keys(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StatementError::Threshold { .. }))
}

/// What this agent runs on.
pub(crate) fn platform() -> Platform {
    bounded(&format!("{ARCH}-{OS}"))
}

fn decode(reply: &[u8]) -> anyhow::Result<PollReply<'_>> {
    farrier_protocol::decode(reply).ok().context("the site's answer to the poll is not of this protocol version")
}
