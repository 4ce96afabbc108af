//! Everything that sees bytes before a signature is checked, one function each. None of them may panic, hang or take
//! memory without bound, whatever the bytes are; what is read must be the same when it is written and read again.

use farrier_protocol::enrollment::{EnrollmentReply, EnrollmentRequest, EnrollmentToken, RenewalReply, RenewalRequest};
use farrier_protocol::poll::{PollReply, PollRequest, Statement};
use farrier_trust::json::Value;
use farrier_trust::{
    AssignmentKeys, Client, Draft, Expected, Floors, Key, RoleKeys, Root, Signed, Snapshot, Targets, Timestamp,
    verify_statement,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The metadata of a root.
pub fn root(bytes: &[u8]) {
    metadata::<Root>(bytes);
    if let Ok(client) = Client::new(bytes, Floors::default()) {
        _ = (client.tenant(), client.assignment_keys(), client.target("path"));
    }
}

/// The metadata of a timestamp.
pub fn timestamp(bytes: &[u8]) {
    metadata::<Timestamp>(bytes);
}

/// The metadata of a snapshot.
pub fn snapshot(bytes: &[u8]) {
    metadata::<Snapshot>(bytes);
}

/// The metadata of a targets role.
pub fn targets(bytes: &[u8]) {
    metadata::<Targets>(bytes);
    let targets = Draft::from_bytes("fuzz", bytes).and_then(|draft| draft.content::<Targets>());
    for delegation in targets.iter().flat_map(|targets| &targets.delegations).flat_map(|delegations| &delegations.roles)
    {
        _ = delegation.paths.contain("plugins/dpkg/0.1.0");
    }
}

/// A key, and a signature of it.
pub fn key(bytes: &[u8]) {
    let Ok(key) = Value::parse(bytes).and_then(Key::read) else { return };
    _ = key.to_ed25519();
    let draft = Draft::from_bytes("fuzz", br#"{"signed":{},"signatures":[{"keyid":"id","sig":"00"}]}"#);
    let role = RoleKeys::new(vec!["id".into()], 1);
    let signed = draft.is_ok_and(|draft| draft.valid_signatures(&role, &[("id".into(), key)].into()) > 0);
    assert!(!signed, "a signature of one byte was good");
}

/// The answer to a poll.
pub fn reply(bytes: &[u8]) {
    let Ok(reply) = farrier_protocol::decode::<PollReply<'_>>(bytes) else { return };
    let keys = reply.signatures.iter().map(|signature| signature.key).collect();
    let expected = Expected {
        tenant: farrier_protocol::poll::Tenant([0; 16]),
        client: farrier_protocol::ClientId([0; 16]),
        nonce: None,
        floor: 0,
        platform: "",
        now: None,
    };
    _ = verify_statement(&reply, &AssignmentKeys { keys, threshold: 1 }, &expected);
}

/// The statement in the answer to a poll.
pub fn statement(bytes: &[u8]) {
    message::<Statement>(bytes);
}

/// A poll, as the site gets it.
pub fn request(bytes: &[u8]) {
    message::<PollRequest>(bytes);
}

/// What is exchanged to enrol and to renew a certificate, and the token before it.
pub fn enrollment(bytes: &[u8]) {
    message::<EnrollmentToken>(bytes);
    message::<EnrollmentRequest>(bytes);
    message::<EnrollmentReply>(bytes);
    message::<RenewalRequest>(bytes);
    message::<RenewalReply>(bytes);
}

fn message<M: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(message) = farrier_protocol::decode::<M>(bytes) {
        let encoded = farrier_protocol::encode(&message).unwrap_or_default();
        assert_eq!(farrier_protocol::decode(&encoded), Ok(message));
    }
}

fn metadata<S: Signed + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(draft) = Draft::from_bytes("fuzz", bytes) else { return };
    assert_eq!(Draft::from_bytes("fuzz", &draft.to_bytes()).as_ref(), Ok(&draft));
    let Ok(content) = draft.content::<S>() else { return };
    assert_eq!(Draft::new(&content).content::<S>(), Ok(content));
}
