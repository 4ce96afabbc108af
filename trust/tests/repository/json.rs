//! JSON as signed metadata use it, and its canonical form.

use crate::site::{NOW, Site, key};
use farrier_trust::{Draft, RoleKeys, Root, Snapshot, Targets, Timestamp, TrustError, json::Value};

/// The canonical form of an object: what is signed when it is the signed part of metadata.
fn canonical(object: &str) -> Result<String, TrustError> {
    let metadata = format!("{{ \"signatures\": [], \"signed\": {object} }}");
    let draft = Draft::from_bytes("test", metadata.as_bytes())?;
    Ok(String::from_utf8(draft.signed_bytes()).unwrap())
}

/// What `encode_canonical` of securesystemslib 1.6.0 makes of the same objects.
#[test]
fn the_canonical_form_is_the_one_of_the_reference_implementation() {
    for (object, expected) in [
        ("{}", "{}"),
        (
            r#"{"b": 1, "a": [ ], "A": null, "": true, "ä": false, "aa": {}}"#,
            r#"{"":true,"A":null,"a":[],"aa":{},"b":1,"ä":false}"#,
        ),
        (
            r#"{"text": "quote \" backslash \\ slash \/ tab \t new line \n null \u0000 e \u00e9 clef \ud834\udd1e del \u007f"}"#,
            "{\"text\":\"quote \\\" backslash \\\\ slash / tab \t new line \n null \0 e é clef 𝄞 del \x7f\"}",
        ),
        (
            r#"{"numbers": [0, 1, -1, 9007199254740993, 18446744073709551615, -9223372036854775808]}"#,
            r#"{"numbers":[0,1,-1,9007199254740993,18446744073709551615,-9223372036854775808]}"#,
        ),
        (
            r#"{"\u20ac": 1, "\ud834\udd1e": 2, "\uffff": 3, "z": 4, "\"": 5, "\\": 6}"#,
            "{\"\\\"\":5,\"\\\\\":6,\"z\":4,\"€\":1,\"\u{ffff}\":3,\"𝄞\":2}",
        ),
        (
            r#"{"nested": {"b": [{"d": [], "c": {"f": 1, "e": 2}}, "x"], "a": " "}}"#,
            r#"{"nested":{"a":" ","b":[{"c":{"e":2,"f":1},"d":[]},"x"]}}"#,
        ),
    ] {
        assert_eq!(canonical(object).unwrap(), expected);
    }
}

#[test]
fn what_json_leaves_open_is_refused() {
    for value in [
        "1.0",
        "1.5",
        "1e3",
        "1E400",
        "-0",
        "18446744073709551616",
        "-9223372036854775809",
        "01",
        "+1",
        "0x1",
        "NaN",
        "Infinity",
        "-",
        "nul",
        "True",
        "'text'",
        "\"\n\"",
        "\"\t\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\udd1e\\ud834\"",
        "\"open",
        "[1,]",
        "[,]",
        "[1 2]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"b\":{\"a\":1,\"c\":2,\"a\":3}}",
        "/* */ 1",
        "\u{feff}1",
        "",
        "1 1",
        "\"\u{0}\"",
    ] {
        assert!(canonical(&format!("{{\"x\":{value}}}")).is_err(), "{value:?}");
    }
    assert!(Value::parse(b"\"\xff\"").is_err());
    assert!(Value::parse(b"\"\xed\xa0\x80\"").is_err());
    assert!(Value::parse(b"\"\xc0\xaf\"").is_err());
}

#[test]
fn members_that_occur_twice_are_named() {
    let error = canonical(r#"{"version": 1, "version": 2}"#).unwrap_err();
    assert!(error.to_string().contains("the member \"version\" occurs twice"), "{error}");
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    canonical(&nested(100)).unwrap();
    for levels in [200, 1_000_000] {
        assert!(canonical(&nested(levels)).is_err());
        assert!(Value::parse("{\"a\":".repeat(levels).as_bytes()).is_err());
        assert!(Value::parse("[".repeat(levels).as_bytes()).is_err());
    }
}

#[test]
fn members_that_nobody_knows_are_signed_and_kept() {
    let mut site = Site::new();
    let extra = || [("x-more".to_string(), Value::parse(br#"{"b":[1,"\u0001"],"a":null}"#).unwrap())].into();
    site.root.other = extra();
    site.root.roles.get_mut("targets").unwrap().other = extra();
    site.timestamp.other = extra();
    site.timestamp.snapshot.other = extra();
    site.snapshot.other = extra();
    site.snapshot.meta.get_mut("targets.json").unwrap().other = extra();
    site.delegate("targets", "plugins", 9, &["plugins/*"]).keys.other = extra();
    site.add_target("targets", "a", b"");
    let targets = site.roles.get_mut("targets").unwrap();
    targets.other = extra();
    targets.targets.get_mut("a").unwrap().other = extra();
    targets.delegations.as_mut().unwrap().other = extra();
    site.publish_root();
    site.publish(&["targets"]);
    site.fresh_client();

    let read = |file: &str| Draft::from_bytes("test", &site.files[file]).unwrap();
    assert_eq!(read("2.root.json").content::<Root>().unwrap(), site.root);
    assert_eq!(read("timestamp.json").content::<Timestamp>().unwrap(), site.timestamp);
    assert_eq!(read("2.snapshot.json").content::<Snapshot>().unwrap(), site.snapshot);
    assert_eq!(read("2.targets.json").content::<Targets>().unwrap(), site.roles["targets"]);

    // They are signed: without one of them, the signature does not fit.
    for file in ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"] {
        let mut site = site.clone();
        site.hashed = false;
        let without = String::from_utf8(site.files[file].clone()).unwrap().replacen("x-more", "x-less", 1);
        site.files.insert(file.into(), without.into_bytes());
        site.update(&mut site.client()).unwrap_err();
    }
}

#[test]
fn members_around_the_signed_part_do_not_matter_and_are_kept() {
    let mut site = Site::new();
    let text = String::from_utf8(site.files["timestamp.json"].clone()).unwrap();
    let more = text.replacen('{', "{\"x-more\":[\"\u{1f600}\"],", 1).replacen("\"keyid\"", "\"x-y\":1,\"keyid\"", 1);
    site.files.insert("timestamp.json".into(), more.clone().into_bytes());
    site.fresh_client();
    let draft = Draft::from_bytes("timestamp", more.as_bytes()).unwrap();
    assert_eq!(Draft::from_bytes("timestamp", &draft.to_bytes()).unwrap(), draft);
    assert!(String::from_utf8(draft.to_bytes()).unwrap().contains("\"x-more\":[\"\u{1f600}\"]"));
}

/// The timestamp with what `change` makes of its signed part, well signed.
fn resigned(change: impl Fn(&mut serde_json::Value)) -> Result<Vec<String>, TrustError> {
    let mut site = Site::new();
    let mut json: serde_json::Value = serde_json::from_slice(&site.files["timestamp.json"]).unwrap();
    change(&mut json["signed"]);
    let mut draft = Draft::from_bytes("timestamp", json.to_string().as_bytes()).unwrap();
    draft.sign(&key(crate::site::TIMESTAMP_KEY));
    site.files.insert("timestamp.json".into(), draft.to_bytes());
    site.update(&mut site.client())
}

#[test]
fn well_signed_metadata_must_have_their_form_too() {
    use serde_json::json;
    resigned(|_| {}).unwrap();
    for (member, values) in [
        ("_type", vec![json!("root"), json!("Timestamp"), json!(1), json!(null)]),
        ("version", vec![json!(0), json!(-1), json!("1"), json!(null), json!(true), json!([1])]),
        (
            "expires",
            vec![json!("2040-01-01"), json!("2040-01-01T00:00:00"), json!("tomorrow"), json!(4_000_000_000_u64)],
        ),
        (
            "spec_version",
            vec![
                json!("2.0.0"),
                json!("0.9"),
                json!("1"),
                json!("1.0.0.0"),
                json!("1.x"),
                json!("1..0"),
                json!("01.0"),
                json!(1),
            ],
        ),
        ("meta", vec![json!({}), json!([]), json!(null), json!({"snapshot.json": 1}), json!({"snapshot.json": {}})]),
    ] {
        for value in values {
            let error = resigned(|signed| signed[member] = value.clone()).unwrap_err();
            assert!(
                matches!(&error, TrustError::Malformed { role, .. } if role == "timestamp"),
                "{member} {value}: {error}"
            );
        }
        let error = resigned(|signed| _ = signed.as_object_mut().unwrap().remove(member)).unwrap_err();
        assert_eq!(error.to_string(), format!("the metadata of timestamp is malformed: {member:?} is missing"));
    }
    for spec_version in ["1.0", "1.0.0", "1.0.34", "1.99.99"] {
        resigned(|signed| signed["spec_version"] = json!(spec_version)).unwrap();
    }
}

#[test]
fn well_signed_files_must_be_named_as_they_should() {
    use serde_json::json;
    for (member, value) in [
        ("version", json!(0)),
        ("version", json!("1")),
        ("length", json!(-1)),
        ("length", json!("1")),
        ("length", json!(null)),
        ("hashes", json!({})),
        ("hashes", json!([])),
        ("hashes", json!(null)),
        ("hashes", json!({"sha256": 1})),
    ] {
        let error = resigned(|signed| signed["meta"]["snapshot.json"][member] = value.clone()).unwrap_err();
        assert!(matches!(error, TrustError::Malformed { .. }), "{member} {value}");
    }
    let error = resigned(|signed| signed["meta"]["root.json"] = json!({"version": 1})).unwrap_err();
    assert!(error.to_string().contains("names nothing but the snapshot"), "{error}");
}

#[test]
fn delegations_must_have_their_form() {
    use serde_json::json;
    let mut site = Site::new();
    site.delegate("targets", "plugins", 9, &["plugins/*"]);
    site.publish(&["plugins", "targets"]);
    let read = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json: serde_json::Value = serde_json::from_slice(&site.files["2.targets.json"]).unwrap();
        change(&mut json["signed"]["delegations"]["roles"]);
        Draft::from_bytes("targets", json.to_string().as_bytes()).unwrap().content::<Targets>()
    };
    read(&|_| {}).unwrap();
    for name in ["", "root", "timestamp", "snapshot", "targets"] {
        read(&|roles| roles[0]["name"] = json!(name)).unwrap_err();
    }
    for (member, value) in [
        ("terminating", json!("true")),
        ("terminating", json!(1)),
        ("threshold", json!(0)),
        ("keyids", json!("text")),
        ("keyids", json!(["a", "a"])),
        ("paths", json!("plugins/*")),
        ("paths", json!([1])),
        ("path_hash_prefixes", json!(["0"])),
        ("name", json!(1)),
    ] {
        read(&|roles| roles[0][member] = value.clone()).unwrap_err();
    }
    for member in ["name", "keyids", "threshold", "terminating", "paths"] {
        read(&|roles| _ = roles[0].as_object_mut().unwrap().remove(member)).unwrap_err();
    }
    let twice = read(&|roles| {
        let again = roles[0].clone();
        roles.as_array_mut().unwrap().push(again);
    });
    assert!(twice.unwrap_err().to_string().contains("delegates to \"plugins\" twice"));
}

#[test]
fn control_characters_are_escaped_in_files_but_not_in_what_is_signed() {
    let mut site = Site::new();
    site.add_target("targets", "a\u{1}\n\"\\b", b"");
    site.publish(&["targets"]);
    let file = &site.files["2.targets.json"];
    assert!(file.windows(14).any(|bytes| bytes == b"a\\u0001\\u000a\\"));
    let client = site.fresh_client();
    assert!(client.target("a\u{1}\n\"\\b").is_some());
    assert!(client.expires().unwrap() > NOW);
    let signed = Draft::from_bytes("targets", file).unwrap().signed_bytes();
    assert!(signed.windows(3).any(|bytes| bytes == b"a\x01\n"));
}

#[test]
fn roles_of_a_root_are_read_back_as_they_were_written() {
    let site = Site::new();
    let draft = Draft::new(&site.root);
    let role = draft.content::<Root>().unwrap().role("targets").cloned();
    assert_eq!(role, Some(RoleKeys::new(vec![key(crate::site::TARGETS_KEY).key_id()], 1)));
}
