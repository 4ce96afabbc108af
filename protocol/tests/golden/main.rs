//! The wire, photographed: the bytes of every message, and of every variant with every field distinct.
//!
//! `golden.txt` is never edited, only added to. A message that encodes to other bytes than it did is a break of the
//! protocol: agents in the field speak the old form. To add one, list it in `messages.rs`, `deployments.rs` or
//! `plugins.rs`, run the test and append the lines it shows.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bounds;
mod chunks;
mod deployments;
mod messages;
mod plugins;

use messages::Golden;
use std::collections::BTreeMap;

/// `name hex` per message; lines with `#` say in words what the bytes below mean.
const PHOTOGRAPHS: &str = include_str!("golden.txt");

fn photographs() -> BTreeMap<&'static str, Vec<u8>> {
    let lines = PHOTOGRAPHS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, bytes) = line.split_once(' ').unwrap_or((line, ""));
            (name, unhex(bytes))
        })
        .collect()
}

#[test]
fn every_message_encodes_to_the_bytes_it_always_had() {
    let photographs = photographs();
    let mut missing = String::new();
    for Golden { name, words, bytes, .. } in messages::all() {
        match photographs.get(name) {
            Some(photograph) => assert_eq!(hex(&bytes), hex(photograph), "{name} changed on the wire"),
            None => missing += &format!("# {words}\n{name} {}\n", hex(&bytes)),
        }
    }
    assert!(missing.is_empty(), "append to protocol/tests/golden/golden.txt:\n{missing}");
}

#[test]
fn every_photograph_decodes_to_the_message_it_is_of() {
    let photographs = photographs();
    let messages = messages::all();
    assert_eq!(photographs.len(), messages.len(), "a photograph without a message: nothing is ever removed");
    for message in messages {
        assert!((message.is_decoded_from)(&photographs[message.name]), "{} is decoded to something else", message.name);
    }
}

#[test]
fn no_prefix_of_a_message_is_a_message() {
    for message in messages::all() {
        for end in 0..message.bytes.len() {
            assert!(!(message.decodes)(&message.bytes[..end]), "the first {end} bytes of {}", message.name);
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for message in messages::all() {
        assert!(!(message.decodes)(&[message.bytes.as_slice(), &[0]].concat()), "{}", message.name);
    }
}

#[test]
fn no_damage_makes_a_decoder_panic() {
    for message in messages::all() {
        for position in 0..message.bytes.len() {
            for byte in 0..=u8::MAX {
                let mut damaged = message.bytes.clone();
                damaged[position] = byte;
                (message.decodes)(&damaged);
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).expect("a hexadecimal digit") as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
