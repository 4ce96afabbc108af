//! Keys and their kinds (section 4.2.2), and a repository that the reference implementation made with all of them.

use crate::site::key;
use farrier_trust::{
    Answer, Client, Floors, InvalidKey, Key, PublicKey, SigningKey, TrustError, json::Value, percent_encoded,
};

fn read(object: &serde_json::Value) -> Result<Key, String> {
    Key::read(Value::parse(object.to_string().as_bytes()).unwrap())
}

/// What securesystemslib 1.6.0 makes of the same keys.
#[test]
fn ids_of_keys_are_those_of_the_reference_implementation() {
    assert_eq!(key(1).public().to_string(), "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c");
    assert_eq!(key(1).key_id(), "7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12");
    assert_eq!(key(2).key_id(), "c3f860ca5da4454d33496ca33bb48f0cdcd5b731be7316b67ca191db0185aa26");
    let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWRiGr5+j+3J5SsH+Ztr5nE2H2wO7\nBV+nO3s93gLca18qTOzHY1oWyAGDykMSsGTUBSt9D+An0KfKsD2mfSM42Q==\n-----END PUBLIC KEY-----\n";
    let ecdsa = serde_json::json!({
        "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": { "public": pem },
    });
    assert_eq!(read(&ecdsa).unwrap().id(), "c22dd57a38a4b3839dae9b11709221bf4a97ff6932302c4bccde0b1fd5b8a139");
    let owned = serde_json::json!({
        "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": "ab".repeat(32) }, "x-owner": "\n\"é",
    });
    assert_eq!(read(&owned).unwrap().id(), "26b6d4e9f4ce5401e2b76246d0602acf8879dbc17fef7b6a2855fb4cd483da7e");
}

#[test]
fn key_objects_have_their_form() {
    use serde_json::json;
    let fine = json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": "ab" } });
    read(&fine).unwrap();
    for (member, value) in
        [("keytype", json!(1)), ("scheme", json!(null)), ("keyval", json!("ab")), ("keyval", json!({}))]
    {
        let mut object = fine.clone();
        object[member] = value;
        read(&object).unwrap_err();
        object.as_object_mut().unwrap().remove(member);
        read(&object).unwrap_err();
    }
    for value in [json!(null), json!("key"), json!([fine])] {
        read(&value).unwrap_err();
    }
    // A kind that nobody here knows may have another form.
    read(&json!({ "keytype": "quantum", "scheme": "dead-cat", "keyval": { "box": "closed" } })).unwrap();
}

#[test]
fn only_ed25519_keys_are_read_as_such() {
    use serde_json::json;
    let public = key(1).public();
    let object = |keytype: &str, scheme: &str, public: &str| {
        read(&json!({ "keytype": keytype, "scheme": scheme, "keyval": { "public": public } })).unwrap()
    };
    assert_eq!(object("ed25519", "ed25519", &public.to_string()).to_ed25519(), Some(*public.as_bytes()));
    assert_eq!(object("ed25519", "ed25519", "ab").to_ed25519(), None);
    assert_eq!(object("ed25519", "ed25519", &"zz".repeat(32)).to_ed25519(), None);
    assert_eq!(object("ed25519", "ed25519ph", &public.to_string()).to_ed25519(), None);
    assert_eq!(object("ecdsa", "ed25519", &public.to_string()).to_ed25519(), None);
}

#[test]
fn keys_survive_their_text_and_their_secret() {
    let text = key(1).public().to_string();
    assert_eq!(text.parse(), Ok(key(1).public()));
    assert_eq!(PublicKey::from_bytes(key(1).public().as_bytes()), Ok(key(1).public()));
    for text in ["", "ab", &text[1..], &format!("{text}0"), &text.replace('8', "x")] {
        assert_eq!(text.parse::<PublicKey>(), Err(InvalidKey), "{text}");
    }
    assert_eq!(SigningKey::from_secret(key(1).secret()).unwrap().public(), key(1).public());
    for length in [0, 31, 33, 64] {
        assert!(SigningKey::from_secret(&vec![1; length]).is_err());
    }
    assert!(!format!("{:?}", key(1)).contains("0101"), "a secret is shown");
}

/// `tests/data/python-tuf`, with one file replaced.
fn made_by_python(replaced: Option<(&str, Vec<u8>)>) -> Result<Client, TrustError> {
    let read = |file: &str| match &replaced {
        Some((name, bytes)) if *name == file => Some(bytes.clone()),
        _ => std::fs::read(format!("{}/tests/data/python-tuf/{file}", env!("CARGO_MANIFEST_DIR"))).ok(),
    };
    let mut client = Client::new(&read("1.root.json").unwrap(), Floors::default())?;
    let now = 1_800_000_000;
    let mut refresh = client.refresh(now);
    while let Some(request) = refresh.next()? {
        refresh.receive(read(&request.file).as_deref().map_or(Answer::Missing, Answer::Found))?;
    }
    for (path, content) in [("text.txt", &b"text"[..]), ("books/a/b", b"book"), ("deep/in/a/bin", b"bin")] {
        let mut search = client.search(path, now);
        while let Some(request) = search.next()? {
            search.receive(read(&request.file).as_deref().map_or(Answer::Missing, Answer::Found))?;
        }
        let target = search.finish()?.unwrap();
        let mut verifier = target.verifier();
        verifier.update(content)?;
        verifier.finish()?;
    }
    Ok(client)
}

#[test]
fn a_repository_of_the_reference_implementation_is_read_whatever_its_keys() {
    let client = made_by_python(None).unwrap();
    let roles: Vec<_> = client.metadata().map(|(role, _)| role).collect();
    assert_eq!(roles, ["root", "timestamp", "snapshot", "targets", "bins", "bücher/?"]);
}

#[test]
fn a_changed_digit_of_any_kind_of_signature_is_refused() {
    // The digits of a DER length and of a modulus' top are hit as well.
    for role in ["1.root", "timestamp", "1.snapshot", "1.targets", "1.bins", "1.b%C3%BCcher%2F%3F"] {
        let file = format!("{role}.json");
        let path = format!("{}/tests/data/python-tuf/{file}", env!("CARGO_MANIFEST_DIR"));
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for signature in 0..json["signatures"].as_array().unwrap().len() {
            let sig = json["signatures"][signature]["sig"].as_str().unwrap();
            for position in (0..sig.len()).step_by(sig.len() / 12) {
                let digit = if sig.as_bytes()[position] == b'0' { "1" } else { "0" };
                let mut changed = sig.to_string();
                changed.replace_range(position..=position, digit);
                let mut tampered = json.clone();
                tampered["signatures"][signature]["sig"] = changed.into();
                let bytes = tampered.to_string().into_bytes();
                assert!(made_by_python(Some((&file, bytes))).is_err(), "{role}, {signature}, {position}");
            }
        }
    }
}

#[test]
fn names_of_roles_become_names_of_files_that_stay_in_their_folder() {
    for (role, file) in [
        ("plugins", "plugins"),
        ("a-b_c.d~e0", "a-b_c.d~e0"),
        ("../root", "..%2Froot"),
        ("?#%", "%3F%23%25"),
        ("bücher/?", "b%C3%BCcher%2F%3F"),
        ("a b\0\n", "a%20b%00%0A"),
    ] {
        assert_eq!(percent_encoded(role), file);
    }
}
