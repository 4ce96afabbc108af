//! A quick, fixed round of what `fuzz/` does at length: every parser that sees bytes before a signature is checked gets
//! mutated seeds.

#[path = "../../fuzz/entry_points.rs"]
mod entry_points;

use crate::random::Random;
use crate::site::{ASSIGNMENT_KEY, Site, key};
use farrier_protocol::enrollment::{EnrollmentReply, EnrollmentRequest, EnrollmentToken, SECRET_BYTES};
use farrier_protocol::poll::{PollRequest, Statement, Tenant};
use farrier_protocol::{ClientId, Digest};
use farrier_trust::sign_statement;

const ROUNDS: usize = 8_000;

/// What JSON is made of, to be put anywhere.
const PIECES: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e9",
    b"18446744073709551616",
    b"\"_type\":\"root\",",
    b"\"keyid\":",
    b"[[[[[[[[",
    b"{\"\":",
    b"\xff",
    b"\0",
    b"9999-12-31T23:59:59Z",
    b"-----BEGIN PUBLIC KEY-----\\n",
];

/// Up to four small changes.
fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let until = at + random.below(bytes.len() - at + 1).min(16);
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at),
            2 => _ = bytes.drain(at..until),
            3 => bytes.extend_from_within(at..until),
            _ => _ = bytes.splice(at..until.min(at + 1), random.pick(&PIECES).iter().copied()),
        }
    }
    bytes
}

fn put_through(name: &str, entry_point: fn(&[u8]), seeds: &[Vec<u8>]) {
    let mut random = Random(name.len() as u64);
    entry_point(b"");
    seeds.iter().for_each(|seed| entry_point(seed));
    for _ in 0..ROUNDS {
        let seed = random.pick(seeds);
        entry_point(&mutated(seed, &mut random));
    }
}

fn file_of_python_tuf(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/python-tuf/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn mutated_metadata_do_no_harm() {
    let mut site = Site::new();
    site.delegate("targets", "plugins", 9, &["plugins/*", "[!a-c]?/*"]);
    site.add_target("targets", "a", b"content");
    site.publish(&["plugins", "targets"]);
    let seeds = |ours: &str, theirs: &str| [site.files[ours].clone(), file_of_python_tuf(theirs)];
    put_through("root", entry_points::root, &seeds("1.root.json", "1.root.json"));
    put_through("timestamp", entry_points::timestamp, &seeds("timestamp.json", "timestamp.json"));
    put_through("snapshot", entry_points::snapshot, &seeds("2.snapshot.json", "1.snapshot.json"));
    put_through("targets", entry_points::targets, &seeds("2.targets.json", "1.targets.json"));
}

#[test]
fn mutated_keys_do_no_harm() {
    let root: serde_json::Value = serde_json::from_slice(&file_of_python_tuf("1.root.json")).unwrap();
    let keys = root["signed"]["keys"].as_object().unwrap();
    let seeds: Vec<_> = keys.values().map(|key| key.to_string().into_bytes()).collect();
    put_through("key", entry_points::key, &seeds);
}

#[test]
fn mutated_polls_do_no_harm() {
    let statement = Statement {
        tenant: Tenant([0; 16]),
        client: ClientId([0; 16]),
        version: 300,
        issued_at: 1,
        expires: 2,
        nonce: [9; 16],
        platform: "x86_64-linux".try_into().unwrap(),
        assignment: Digest::of(b"assignment"),
        length: 10,
        root: 3,
        timestamp: Digest::of(b"timestamp"),
    };
    let request = PollRequest {
        nonce: [9; 16],
        known: Some(Digest::of(b"assignment")),
        platform: "x86_64-linux".try_into().unwrap(),
        engine: Some("wasmtime-48.0.8/pulley64/settings-1".try_into().unwrap()),
        boot: Some([1; 16]),
        hardware: None,
    };
    let signed = sign_statement(&statement, &[key(ASSIGNMENT_KEY), key(9)]);
    let reply = farrier_protocol::encode(&signed.reply(Some(b"assignment"))).unwrap();
    put_through("reply", entry_points::reply, &[reply]);
    put_through("statement", entry_points::statement, &[signed.statement]);
    put_through("request", entry_points::request, &[farrier_protocol::encode(&request).unwrap()]);
}

#[test]
fn mutated_enrollments_do_no_harm() {
    let token = EnrollmentToken {
        site: "https://updates.example.org:8443".into(),
        authority: Digest::of(b"authority"),
        repository: Digest::of(b"root"),
        secret: [7; SECRET_BYTES],
    };
    let request = EnrollmentRequest {
        secret: [7; SECRET_BYTES],
        certificate_request: b"request".to_vec(),
        hostname: "web-1".try_into().unwrap(),
        hardware: Some(Digest::of(b"hardware")),
    };
    let reply = EnrollmentReply {
        client: ClientId([0; 16]),
        certificate: b"certificate".to_vec(),
        authority: b"authority".to_vec(),
        root: file_of_python_tuf("1.root.json"),
        waits_for_approval: true,
    };
    let seeds = [
        farrier_protocol::encode(&token).unwrap(),
        farrier_protocol::encode(&request).unwrap(),
        farrier_protocol::encode(&reply).unwrap(),
    ];
    put_through("enrollment", entry_points::enrollment, &seeds);
}
