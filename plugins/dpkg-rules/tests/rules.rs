//! What the publisher encodes is what the plugin decodes, and what is no rule is refused.

use farrier_dpkg_rules::{Binary, DecodeError, EncodeError, MAX_RULE_BYTES, Rule, RuleBuilder, encode};

const OPENSSL: Binary<'_> = Binary { name: b"openssl", version: b"3.0.17-1", all: false, above: None };

fn binaries() -> [Binary<'static>; 5] {
    [
        OPENSSL,
        Binary { name: b"libssl-doc", all: true, ..OPENSSL },
        Binary { name: b"libssl3", version: b"3.0.17-1+b1", ..OPENSSL },
        Binary { name: b"backported", version: b"4~bpo12+1", all: true, above: Some(b"3.0") },
        Binary { name: b"nowhere-else", above: Some(b""), ..OPENSSL },
    ]
}

#[test]
fn a_rule_survives_the_round_trip() {
    let bytes = encode("3.0.17-1", "amd64", binaries()).unwrap();
    let rule = Rule::decode(&bytes).unwrap();
    assert_eq!((rule.version, rule.architecture), (&b"3.0.17-1"[..], &b"amd64"[..]));
    assert_eq!(rule.binaries().collect::<Result<Vec<_>, _>>().unwrap(), binaries());
}

#[test]
fn the_encoding_is_photographed() {
    let bytes = encode("1-2", "i386", binaries()[2..4].iter().copied()).unwrap();
    assert_eq!(
        bytes,
        b"\x031-2\x04i386\
          \x02\x07libssl3\x0b3.0.17-1+b1\
          \x07\x0abackported\x094~bpo12+1\x033.0"
    );
}

#[test]
fn a_version_like_the_rules_costs_nothing() {
    let bytes = encode("3.0.17-1", "amd64", [OPENSSL]).unwrap();
    assert_eq!(bytes, b"\x083.0.17-1\x05amd64\x00\x07openssl");
}

#[test]
fn every_cut_of_a_rule_is_refused_or_a_shorter_rule() {
    let bytes = encode("3.0.17-1", "amd64", binaries()).unwrap();
    for end in 0..bytes.len() {
        let decoded = Rule::decode(&bytes[..end]).and_then(|rule| rule.binaries().collect::<Result<Vec<_>, _>>());
        match decoded {
            Ok(some) => assert_eq!(some, binaries()[..some.len()]),
            Err(error) => assert_eq!(error, DecodeError::Truncated),
        }
    }
}

#[test]
fn unknown_flags_are_refused() {
    let mut bytes = encode("1", "amd64", [OPENSSL]).unwrap();
    bytes[8] = 0x80;
    let binaries: Vec<_> = Rule::decode(&bytes).unwrap().binaries().collect();
    assert_eq!(binaries, [Err(DecodeError::UnknownFlags(0x80))]);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let name = [b'n'; 256];
    let mut rule = RuleBuilder::new("1", "amd64").unwrap();
    let error = rule.push(&Binary { name: &name, ..OPENSSL }).unwrap_err();
    assert!(matches!(&error, EncodeError::TextTooLong(start) if name.starts_with(start.as_bytes())), "{error}");
    assert_eq!(rule.clone().finish(), RuleBuilder::new("1", "amd64").unwrap().finish());

    let full = (0..).find_map(|_| rule.push(&OPENSSL).err()).unwrap();
    assert_eq!(full, EncodeError::RuleTooLarge("openssl".to_owned()));
    assert!(rule.finish().len() <= MAX_RULE_BYTES);
}
