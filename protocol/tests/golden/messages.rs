//! One message of each kind, with fields that cannot be mistaken for each other.

use crate::{deployments, plugins};
use farrier_protocol::assignment::{Assessment, AssignedCatalog, AssignedPlugin, Schedule};
use farrier_protocol::catalog::{Catalog, Chunk, ChunkEntry};
use farrier_protocol::enrollment::{EnrollmentReply, EnrollmentRequest, EnrollmentToken, RenewalReply, RenewalRequest};
use farrier_protocol::poll::{PollRequest, Statement, StatementSignature, Tenant};
use farrier_protocol::state_message::{
    Compliance, Finding, Inventory, PluginResult, ScanResult, StateBatch, StateMessage, StateReply, bounded,
};
use farrier_protocol::{ClientId, ComplianceState, Digest, UpdateId};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// A question about bytes.
type Check = Box<dyn Fn(&[u8]) -> bool>;

/// A message and what can be asked of it.
pub struct Golden {
    pub name: &'static str,
    /// The message for people.
    pub words: String,
    pub bytes: Vec<u8>,
    /// Whether these bytes are a message of its type.
    pub decodes: Check,
    /// Whether these bytes are this very message.
    pub is_decoded_from: Check,
}

pub fn golden<T>(name: &'static str, message: T) -> Golden
where
    T: Serialize + for<'a> Deserialize<'a> + PartialEq + Debug + 'static,
{
    Golden {
        name,
        words: format!("{message:?}"),
        bytes: farrier_protocol::encode(&message).unwrap(),
        decodes: Box::new(|bytes| farrier_protocol::decode::<T>(bytes).is_ok()),
        is_decoded_from: Box::new(move |bytes| farrier_protocol::decode::<T>(bytes).is_ok_and(|read| read == message)),
    }
}

pub fn all() -> Vec<Golden> {
    let groups = [
        enrollment(),
        polls(),
        assignment(),
        states(),
        state_messages(),
        catalogs(),
        deployments::all(),
        plugins::all(),
    ];
    groups.into_iter().flatten().collect()
}

/// Bytes that count up from `first`: each field its own.
pub fn bytes<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|index| first.wrapping_add(index as u8))
}

fn enrollment() -> Vec<Golden> {
    vec![
        golden(
            "EnrollmentToken",
            EnrollmentToken {
                site: "https://updates.example.org:8443".into(),
                authority: Digest(bytes(0x20)),
                repository: Digest(bytes(0x40)),
                secret: bytes(0x60),
            },
        ),
        golden(
            "EnrollmentRequest.2",
            EnrollmentRequest {
                secret: bytes(0x60),
                certificate_request: vec![0x30, 0x82, 0x01],
                hostname: bounded("web-1.example.org"),
                hardware: Some(Digest(bytes(0xd0))),
            },
        ),
        golden(
            "EnrollmentReply.2",
            EnrollmentReply {
                client: ClientId(bytes(0x80)),
                certificate: vec![0x30, 1, 2],
                authority: vec![0x30, 3, 4, 5],
                root: b"{}".to_vec(),
                waits_for_approval: true,
            },
        ),
        golden("RenewalRequest", RenewalRequest { certificate_request: vec![0x30, 0x82, 0x02] }),
        golden("RenewalReply", RenewalReply { certificate: vec![0x30, 6, 7] }),
    ]
}

fn polls() -> Vec<Golden> {
    let request = PollRequest {
        nonce: bytes(0x10),
        known: Some(Digest(bytes(0x30))),
        platform: bounded("x86_64-linux"),
        engine: Some(bounded("wasmtime-48.0.8/pulley64/settings-1")),
        boot: Some(bytes(0x50)),
        hardware: Some(Digest(bytes(0x70))),
    };
    let statement = Statement {
        tenant: Tenant(bytes(0x90)),
        client: ClientId(bytes(0x80)),
        version: 300,
        issued_at: 1_800_000_000,
        expires: 1_800_086_400,
        nonce: bytes(0x10),
        platform: bounded("x86_64-linux"),
        assignment: Digest(bytes(0x30)),
        length: 70_000,
        root: 3,
        timestamp: Digest(bytes(0xb0)),
    };
    let signature = StatementSignature { key: bytes(0xc0), signature: (bytes(0xd0), bytes(0xe0)) };
    vec![
        golden("PollRequest", request),
        golden("Statement", statement),
        golden("StatementSignature", signature),
        // A reply: a statement of two bytes, one signature, no assignment.
        golden("PollReply.unchanged", (vec![1_u8, 2], vec![signature], None::<Vec<u8>>)),
        golden("PollReply", (vec![1_u8, 2], vec![signature], Some(vec![3_u8]))),
    ]
}

fn assignment() -> Vec<Golden> {
    let plugin = AssignedPlugin {
        name: bounded("dpkg"),
        version: bounded("0.1.0"),
        target: bounded("plugins/dpkg"),
        digest: Digest(bytes(0xa0)),
        read: [bounded("/etc/os-release"), bounded("/var/lib/dpkg/*")].into_iter().collect(),
    };
    let catalog = AssignedCatalog {
        plugin: bounded("dpkg"),
        scope: bounded("debian/bookworm/amd64"),
        target: bounded("catalogs/bookworm-security/amd64"),
        digest: Digest(bytes(0xc0)),
    };
    let assessment = Assessment {
        client: ClientId(bytes(0x80)),
        version: 300,
        issued_at: 1_800_000_000,
        schedule: Schedule { poll_seconds: 900, scan_seconds: 21_600 },
        plugins: [plugin].into_iter().collect(),
        catalogs: [catalog].into_iter().collect(),
    };
    let empty = Assessment {
        client: ClientId(bytes(0)),
        version: u64::MAX,
        issued_at: i64::MIN,
        schedule: Schedule { poll_seconds: 0, scan_seconds: u32::MAX },
        plugins: heapless::Vec::new(),
        catalogs: heapless::Vec::new(),
    };
    // By the name they had before there was more to an assignment.
    vec![golden("Assignment", assessment), golden("Assignment.empty", empty)]
}

fn states() -> Vec<Golden> {
    vec![
        golden("ComplianceState.NotRequired", ComplianceState::NotRequired),
        golden("ComplianceState.Installed", ComplianceState::Installed),
        golden("ComplianceState.Required", ComplianceState::Required),
        golden("ComplianceState.Unknown", ComplianceState::Unknown),
    ]
}

fn state_messages() -> Vec<Golden> {
    let batch = StateBatch {
        stream: 0x1122_3344_5566_7788,
        first_serial: 128,
        messages: [StateMessage::Reset, inventory(), compliance(), finding(), scan()].into_iter().collect(),
    };
    vec![
        golden("StateMessage.Reset", StateMessage::Reset),
        golden("StateMessage.Inventory", inventory()),
        golden("StateMessage.Compliance", compliance()),
        golden("StateMessage.Finding", finding()),
        golden("StateMessage.Scan", scan()),
        golden("StateBatch", batch),
        golden("StateReply.Acknowledged", StateReply::Acknowledged { through: 16_384 }),
        golden("StateReply.Resend", StateReply::Resend),
    ]
}

fn inventory() -> StateMessage {
    StateMessage::Inventory(Box::new(Inventory {
        hostname: bounded("web-1"),
        operating_system: bounded("Debian GNU/Linux 12 (bookworm)"),
        machine: bounded("x86_64"),
        agent_version: bounded("0.1.0"),
    }))
}

fn compliance() -> StateMessage {
    StateMessage::Compliance(Compliance { update: UpdateId(bytes(0x10)), state: ComplianceState::Required })
}

fn finding() -> StateMessage {
    StateMessage::Finding(Finding {
        update: UpdateId(bytes(0x10)),
        subject: bounded("libssl3"),
        state: ComplianceState::Required,
        detail: bounded("3.0.15-1 is older than 3.0.17-1~deb12u2"),
    })
}

fn scan() -> StateMessage {
    let plugin = |name: &str, version: &str, error: &str| PluginResult {
        name: bounded(name),
        version: bounded(version),
        error: bounded(error),
    };
    StateMessage::Scan(Box::new(ScanResult {
        scanned_at: -2,
        assignment_version: 300,
        evaluated: 66_494,
        plugins: [plugin("dpkg", "0.1.0", ""), plugin("rpm", "0.2.0", "trapped")].into_iter().collect(),
    }))
}

fn catalogs() -> Vec<Golden> {
    let entry = |first, length, rules| ChunkEntry { digest: Digest(bytes(first)), length, rules };
    vec![
        golden("Catalog", Catalog { chunks: vec![entry(0xe0, 5_000, 200), entry(0x01, 70_000, 4096)] }),
        golden("Catalog.empty", Catalog { chunks: Vec::new() }),
        chunk(),
    ]
}

/// A chunk borrows from its bytes, so it cannot be compared after they are gone.
fn chunk() -> Golden {
    let ids: Vec<u8> = bytes::<32>(0x10).into();
    let chunk = move |bytes: &[u8]| {
        let chunk = Chunk { ids: &ids, rules: &[3, 0, 7, 8, 9, 0, 0], names: "a/b/1\na/c/2" };
        farrier_protocol::decode::<Chunk<'_>>(bytes).is_ok_and(|read| read == chunk)
    };
    let ids: [u8; 32] = bytes(0x10);
    let message = Chunk { ids: &ids, rules: &[3, 0, 7, 8, 9, 0, 0], names: "a/b/1\na/c/2" };
    Golden {
        name: "Chunk",
        words: format!("{message:?}"),
        bytes: farrier_protocol::encode(&message).unwrap(),
        decodes: Box::new(|bytes| farrier_protocol::decode::<Chunk<'_>>(bytes).is_ok()),
        is_decoded_from: Box::new(chunk),
    }
}
