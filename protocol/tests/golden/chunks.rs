//! Chunks: what a plugin is handed must fit together.

use farrier_protocol::catalog::{Chunk, MAX_CHUNK_RULE_BYTES, MAX_CHUNK_RULES};
use farrier_protocol::{UpdateId, decode, encode};

struct Parts {
    ids: Vec<u8>,
    rules: Vec<u8>,
    names: String,
}

impl Parts {
    fn of(rules: &[&[u8]]) -> Self {
        Self {
            ids: (0..rules.len()).flat_map(|index| [index as u8; UpdateId::LENGTH]).collect(),
            rules: rules.iter().flat_map(|rule| [&(rule.len() as u16).to_le_bytes(), *rule].concat()).collect(),
            names: (0..rules.len()).map(|index| format!("suite/source/{index}\n")).collect(),
        }
    }

    fn chunk(&self) -> Chunk<'_> {
        Chunk { ids: &self.ids, rules: &self.rules, names: &self.names }
    }
}

#[test]
fn a_chunk_hands_out_its_rules_in_order() {
    let parts = Parts::of(&[b"first", b"", b"third"]);
    let chunk = parts.chunk();
    assert!(chunk.is_consistent());
    assert_eq!(chunk.rules().collect::<Vec<_>>(), [b"first".as_slice(), b"", b"third"]);
    assert_eq!(chunk.updates().collect::<Vec<_>>(), [0, 1, 2].map(|id| UpdateId([id; 16])));
    assert!(Parts::of(&[]).chunk().is_consistent());
}

#[test]
fn a_chunk_whose_parts_differ_in_number_is_inconsistent() {
    let damage: [fn(&mut Parts); 8] = [
        |parts| parts.ids.truncate(31),
        |parts| parts.ids.truncate(16),
        |parts| parts.ids.extend([9; 16]),
        |parts| parts.rules.truncate(parts.rules.len() - 1),
        |parts| parts.rules.push(0),
        |parts| parts.rules.extend([0, 0]),
        |parts| parts.names.push_str("one more\n"),
        |parts| parts.names = parts.names.replacen('\n', " ", 1),
    ];
    for (number, damage) in damage.into_iter().enumerate() {
        let mut parts = Parts::of(&[b"first", b"second"]);
        damage(&mut parts);
        assert!(!parts.chunk().is_consistent(), "damage {number}");
    }
}

#[test]
fn a_chunk_beyond_the_limits_is_inconsistent() {
    let most = vec![b"".as_slice(); MAX_CHUNK_RULES];
    assert!(Parts::of(&most).chunk().is_consistent());
    assert!(!Parts::of(&[most.as_slice(), &[b""]].concat()).chunk().is_consistent());

    let largest = vec![0; MAX_CHUNK_RULE_BYTES - 2];
    assert!(Parts::of(&[&largest]).chunk().is_consistent());
    assert!(!Parts::of(&[&largest, b""]).chunk().is_consistent());
}

#[test]
fn no_damage_makes_reading_a_chunk_panic() {
    let parts = Parts::of(&[b"first", b"second", b""]);
    let bytes = encode(&parts.chunk()).unwrap();
    for position in 0..bytes.len() {
        for byte in 0..=u8::MAX {
            let mut damaged = bytes.clone();
            damaged[position] = byte;
            let Ok(chunk) = decode::<Chunk<'_>>(&damaged) else { continue };
            if chunk.is_consistent() {
                assert_eq!(chunk.updates().count(), chunk.rules().count());
            }
        }
    }
}
