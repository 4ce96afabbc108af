//! The signed statement of a poll.

use crate::site::{ASSIGNMENT_KEY, NOW, Site, TENANT, key};
use farrier_protocol::assignment::MAX_ASSIGNMENT_BYTES;
use farrier_protocol::poll::{MAX_STATEMENT_BYTES, PollReply, Statement, Tenant};
use farrier_protocol::{ClientId, Digest};
use farrier_trust::{AssignmentKeys, Expected, SignedStatement, StatementError, sign_statement, verify_statement};

const ASSIGNMENT: &[u8] = b"what this client is to do";

fn statement() -> Statement {
    Statement {
        tenant: TENANT,
        client: ClientId([1; 16]),
        version: 7,
        issued_at: NOW,
        expires: NOW + 60,
        nonce: [9; 16],
        platform: "x86_64-linux".try_into().unwrap(),
        assignment: Digest::of(ASSIGNMENT),
        length: u32::try_from(ASSIGNMENT.len()).unwrap(),
        root: 3,
        timestamp: Digest::of(b"timestamp"),
    }
}

fn expected() -> Expected<'static> {
    Expected {
        tenant: TENANT,
        client: ClientId([1; 16]),
        nonce: Some([9; 16]),
        floor: 7,
        platform: "x86_64-linux",
        now: Some(NOW),
    }
}

fn keys(numbers: &[u8], threshold: u8) -> AssignmentKeys {
    AssignmentKeys { keys: numbers.iter().map(|number| *key(*number).public().as_bytes()).collect(), threshold }
}

fn verify(signed: &SignedStatement, expected: &Expected<'_>) -> Result<Statement, StatementError> {
    verify_statement(&signed.reply(Some(ASSIGNMENT)), &keys(&[ASSIGNMENT_KEY], 1), expected)
}

fn signed(statement: &Statement) -> SignedStatement {
    sign_statement(statement, &[key(ASSIGNMENT_KEY)])
}

#[test]
fn a_statement_that_was_asked_for_is_taken() {
    let signed = signed(&statement());
    assert_eq!(verify(&signed, &expected()), Ok(statement()));
    let without = verify_statement(&signed.reply(None), &keys(&[ASSIGNMENT_KEY], 1), &expected());
    assert_eq!(without, Ok(statement()));
}

#[test]
fn the_keys_are_those_that_the_root_names() {
    let client = Site::new().fresh_client();
    assert_eq!(client.assignment_keys(), Some(keys(&[ASSIGNMENT_KEY], 1)));
}

#[test]
fn every_check_refuses_what_it_is_there_for() {
    type Change = fn(&mut Statement);
    let other_platform = "riscv64-linux".try_into().unwrap();
    let cases: [(Change, StatementError); 8] = [
        (|s| s.tenant = Tenant([8; 16]), StatementError::OtherTenant { tenant: Tenant([8; 16]) }),
        (|s| s.client = ClientId([2; 16]), StatementError::OtherClient { client: ClientId([2; 16]) }),
        (
            |s| s.platform = "riscv64-linux".try_into().unwrap(),
            StatementError::OtherPlatform { platform: other_platform },
        ),
        (|s| s.nonce = [8; 16], StatementError::OtherNonce),
        (|s| s.version = 6, StatementError::Rollback { offered: 6, floor: 7 }),
        (|s| s.expires = NOW, StatementError::Expired { at: NOW }),
        (|s| s.assignment = Digest([0; 32]), StatementError::OtherAssignment { named: Digest([0; 32]) }),
        (|s| s.length += 1, StatementError::OtherAssignment { named: Digest::of(ASSIGNMENT) }),
    ];
    for (change, refused) in cases {
        let mut changed = statement();
        change(&mut changed);
        assert!(!refused.to_string().is_empty());
        assert_eq!(verify(&signed(&changed), &expected()), Err(refused));
    }
}

#[test]
fn an_assignment_longer_than_any_is_refused_before_it_is_fetched() {
    let mut long = statement();
    long.length = u32::try_from(MAX_ASSIGNMENT_BYTES).unwrap() + 1;
    let result = verify_statement(&signed(&long).reply(None), &keys(&[ASSIGNMENT_KEY], 1), &expected());
    assert_eq!(result, Err(StatementError::TooLong { length: long.length }));
}

#[test]
fn the_same_version_is_taken_again_and_a_higher_one_too() {
    for version in [7, 8, u64::MAX] {
        let mut newer = statement();
        newer.version = version;
        verify(&signed(&newer), &expected()).unwrap();
    }
}

#[test]
fn a_stored_statement_is_looked_at_without_nonce_and_time() {
    let stored = Expected { nonce: None, now: None, ..expected() };
    let mut old = statement();
    old.expires = 0;
    old.nonce = [0; 16];
    verify(&signed(&old), &stored).unwrap();
    old.client = ClientId([2; 16]);
    verify(&signed(&old), &stored).unwrap_err();
}

#[test]
fn enough_different_keys_must_sign() {
    for (signers, threshold, valid) in [
        (&[5][..], 1, None),
        (&[], 1, Some(0)),
        (&[9], 1, Some(0)),
        (&[5], 2, Some(1)),
        (&[5, 5], 2, Some(1)),
        (&[5, 9], 2, Some(1)),
        (&[6, 5], 2, None),
        (&[9, 8, 6, 5], 2, None),
        (&[5, 6, 7], 3, None),
        (&[5, 6, 6, 6], 3, Some(2)),
        (&[5], 0, Some(1)),
    ] {
        let signers: Vec<_> = signers.iter().map(|number| key(*number)).collect();
        let signed = sign_statement(&statement(), &signers);
        let result = verify_statement(&signed.reply(None), &keys(&[5, 6, 7], threshold), &expected());
        match valid {
            None => assert_eq!(result, Ok(statement())),
            Some(valid) => assert_eq!(result, Err(StatementError::Threshold { valid, needed: threshold })),
        }
    }
}

#[test]
fn a_key_that_is_listed_twice_counts_once() {
    let signed = sign_statement(&statement(), &[key(5), key(5)]);
    let result = verify_statement(&signed.reply(None), &keys(&[5, 5], 2), &expected());
    assert_eq!(result, Err(StatementError::Threshold { valid: 1, needed: 2 }));
}

#[test]
fn every_flipped_bit_is_refused() {
    let signed = signed(&statement());
    let reply = farrier_protocol::encode(&signed.reply(Some(ASSIGNMENT))).unwrap();
    for bit in 0..reply.len() * 8 {
        let mut flipped = reply.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(reply) = farrier_protocol::decode::<PollReply<'_>>(&flipped) else { continue };
        let result = verify_statement(&reply, &keys(&[ASSIGNMENT_KEY], 1), &expected());
        // The assignment may be left out: then the client asks for it, or has it.
        let is_left_out = reply.assignment.is_none();
        assert_eq!(result.is_ok(), is_left_out, "bit {bit}: {result:?}");
    }
}

#[test]
fn what_is_cut_off_or_appended_is_refused() {
    let signed = signed(&statement());
    for end in 0..signed.statement.len() {
        let cut = SignedStatement { statement: signed.statement[..end].to_vec(), ..signed.clone() };
        assert_eq!(verify(&cut, &expected()), Err(StatementError::Threshold { valid: 0, needed: 1 }));
    }
    for length in [1, MAX_STATEMENT_BYTES, 1_000_000] {
        let statement = [signed.statement.clone(), vec![0; length]].concat();
        assert!(verify(&SignedStatement { statement, ..signed.clone() }, &expected()).is_err());
    }
}

#[test]
fn bytes_that_are_signed_but_are_no_statement_are_refused() {
    let message = [farrier_protocol::poll::STATEMENT_CONTEXT, b"nonsense"].concat();
    let (r, s) = halves(key(ASSIGNMENT_KEY).sign(&message));
    let mut nonsense = signed(&statement());
    nonsense.statement = b"nonsense".to_vec();
    nonsense.signatures[0].signature = (r, s);
    assert_eq!(verify(&nonsense, &expected()), Err(StatementError::Malformed));
}

#[test]
fn a_signature_without_its_context_is_none() {
    let mut bare = signed(&statement());
    bare.signatures[0].signature = halves(key(ASSIGNMENT_KEY).sign(&bare.statement));
    assert_eq!(verify(&bare, &expected()), Err(StatementError::Threshold { valid: 0, needed: 1 }));
}

fn halves(signature: [u8; 64]) -> ([u8; 32], [u8; 32]) {
    (signature[..32].try_into().unwrap(), signature[32..].try_into().unwrap())
}

#[test]
fn a_weak_key_signs_nothing() {
    // The point of order one, whose signature of all zeros fits any message where nobody looks.
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut forged = signed(&statement());
    forged.signatures[0].key = identity;
    forged.signatures[0].signature = (identity, [0; 32]);
    let weak = AssignmentKeys { keys: [identity].into_iter().collect(), threshold: 1 };
    let result = verify_statement(&forged.reply(None), &weak, &expected());
    assert_eq!(result, Err(StatementError::Threshold { valid: 0, needed: 1 }));
}

#[test]
fn the_longest_statement_fits_its_bound() {
    let mut longest = statement();
    longest.platform = "p".repeat(32).as_str().try_into().unwrap();
    (longest.version, longest.root, longest.length) = (u64::MAX, u64::MAX, u32::MAX);
    (longest.issued_at, longest.expires) = (i64::MIN, i64::MIN);
    let signed = signed(&longest);
    assert!((1..=MAX_STATEMENT_BYTES).contains(&signed.statement.len()), "{}", signed.statement.len());
}
