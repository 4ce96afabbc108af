//! Counting signatures: different keys, each once (sections 4.2.1 and 5.3.4).

use crate::site::{SNAPSHOT_KEY, Site, key};
use farrier_trust::{Draft, Key, RoleKeys, TrustError, json::Value};
use std::collections::BTreeMap;

/// A snapshot that two of the keys 3, 13 and 23 must sign, signed by these.
fn update_with(signers: &[u8]) -> Result<Vec<String>, TrustError> {
    let mut site = Site::new();
    site.rekey("snapshot", &[SNAPSHOT_KEY, 13, 23], 2);
    site.root.version = 0;
    site.publish_root();
    site.signers.insert("snapshot".into(), signers.to_vec());
    site.publish(&[]);
    site.update(&mut site.client())
}

#[test]
fn enough_different_keys_of_the_role_must_sign() {
    for signers in [&[3, 13][..], &[13, 23], &[3, 13, 23], &[99, 3, 98, 23]] {
        update_with(signers).unwrap();
    }
    for (signers, valid) in [(&[][..], 0), (&[3], 1), (&[23], 1), (&[98, 99], 0), (&[3, 99], 1)] {
        let refused = TrustError::Threshold { role: "snapshot".into(), valid, needed: 2 };
        assert_eq!(update_with(signers), Err(refused), "{signers:?}");
    }
}

#[test]
fn more_signatures_than_keys_can_never_be_there() {
    let mut site = Site::new();
    site.rekey("timestamp", &[2, 12], 3);
    site.root.version = 0;
    site.publish_root();
    site.publish(&[]);
    let refused = TrustError::Threshold { role: "timestamp".into(), valid: 2, needed: 3 };
    assert_eq!(site.update(&mut site.client()), Err(refused));
}

/// The public key of the snapshot under a second id, with what `change` makes of its object.
fn twins(id: &str, change: impl Fn(&mut serde_json::Value)) -> TrustError {
    let mut site = Site::new();
    let signer = key(SNAPSHOT_KEY);
    let mut object = serde_json::json!({
        "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": signer.public().to_string() },
    });
    change(&mut object);
    let twin = Key::read(Value::parse(object.to_string().as_bytes()).unwrap()).unwrap();
    site.root.keys.insert(id.into(), twin);
    site.root.roles.insert("snapshot".into(), RoleKeys::new(vec![signer.key_id(), id.into()], 2));
    site.root.version = 0;
    site.publish_root();
    let mut draft = Draft::new(&site.snapshot);
    draft.sign(&signer);
    draft.add_signature(id, &signer.sign(&draft.signed_bytes()));
    site.timestamp.snapshot = farrier_trust::MetaFile::of(1, &draft.to_bytes());
    site.files.insert("1.snapshot.json".into(), draft.to_bytes());
    site.publish_timestamp();
    site.update(&mut site.client()).unwrap_err()
}

#[test]
fn one_key_counts_once_whatever_it_is_called() {
    let once = TrustError::Threshold { role: "snapshot".into(), valid: 1, needed: 2 };
    assert_eq!(twins("another id", |_| {}), once);
    assert_eq!(twins(&"0".repeat(64), |key| key["x-owner"] = "somebody else".into()), once);
    assert_eq!(twins("2", |key| key["keyval"]["private"] = "".into()), once);
    assert_eq!(twins("3", |key| key["keyid_hash_algorithms"] = serde_json::json!(["md5"])), once);
    let upper_case = |key: &mut serde_json::Value| {
        let public = key["keyval"]["public"].as_str().unwrap().to_uppercase();
        key["keyval"]["public"] = public.into();
    };
    assert_eq!(twins("4", upper_case), once);
}

/// The timestamp's metadata with what `change` makes of their JSON.
fn changed_timestamp(change: impl Fn(&mut serde_json::Value)) -> Result<Vec<String>, TrustError> {
    let mut site = Site::new();
    let mut json = serde_json::from_slice(&site.files["timestamp.json"]).unwrap();
    change(&mut json);
    site.files.insert("timestamp.json".into(), json.to_string().into_bytes());
    site.update(&mut site.client())
}

#[test]
fn a_key_id_signs_once() {
    let error = changed_timestamp(|json| {
        let signatures = json["signatures"].as_array_mut().unwrap();
        signatures.push(signatures[0].clone());
    })
    .unwrap_err();
    assert!(matches!(&error, TrustError::Malformed { reason, .. } if reason.contains("two signatures")), "{error}");
}

#[test]
fn signatures_that_are_no_good_do_no_harm() {
    for sig in ["", "00", "xyz", "0", &"ab".repeat(64), &"ab".repeat(5000), "é"] {
        for position in [0, 1] {
            changed_timestamp(|json| {
                let more = serde_json::json!({ "keyid": "of somebody else", "sig": sig, "x": 1 });
                json["signatures"].as_array_mut().unwrap().insert(position, more);
            })
            .unwrap();
        }
    }
}

#[test]
fn signatures_must_be_there_and_have_their_form() {
    for change in [
        (|json| json["signatures"] = serde_json::json!([])) as fn(&mut serde_json::Value),
        |json| _ = json.as_object_mut().unwrap().remove("signatures"),
        |json| json["signatures"] = serde_json::json!({}),
        |json| json["signatures"][0] = serde_json::json!("text"),
        |json| json["signatures"][0]["sig"] = serde_json::json!(1),
        |json| _ = json["signatures"][0].as_object_mut().unwrap().remove("keyid"),
        |json| json["signatures"][0]["keyid"] = serde_json::json!("of somebody else"),
    ] {
        changed_timestamp(change).unwrap_err();
    }
}

#[test]
fn a_role_lists_a_key_id_once_and_needs_at_least_one() {
    for (keyids, threshold) in
        [(vec![key(2).key_id(); 2], 1), (vec![key(2).key_id(); 2], 2), (vec![key(2).key_id()], 0)]
    {
        let mut site = Site::new();
        site.root.roles.insert("timestamp".into(), RoleKeys::new(keyids, threshold));
        site.publish_root();
        let error = site.update(&mut site.client()).unwrap_err();
        assert!(matches!(error, TrustError::Malformed { .. }), "{error}");
    }
}

#[test]
fn keys_that_a_role_lists_but_nobody_has_do_not_count() {
    let mut site = Site::new();
    let keyids = vec![key(2).key_id(), "lost".into()];
    site.root.roles.insert("timestamp".into(), RoleKeys::new(keyids.clone(), 1));
    site.publish_root();
    site.update(&mut site.client()).unwrap();
    site.root.roles.insert("timestamp".into(), RoleKeys::new(keyids, 2));
    site.publish_root();
    let refused = TrustError::Threshold { role: "timestamp".into(), valid: 1, needed: 2 };
    assert_eq!(site.update(&mut site.client()), Err(refused));
}

#[test]
fn a_draft_says_who_signed_it_and_how_many_did_well() {
    let site = Site::new();
    let keys: BTreeMap<_, _> = [1, 2, 3].map(|number| (key(number).key_id(), key(number).public().to_key())).into();
    let role = RoleKeys::new(keys.keys().cloned().collect(), 2);
    let mut draft = Draft::new(&site.timestamp);
    assert_eq!(draft.valid_signatures(&role, &keys), 0);
    draft.sign(&key(1));
    draft.sign(&key(1));
    draft.add_signature(&key(2).key_id(), &[0; 64]);
    draft.sign(&key(9));
    assert_eq!(draft.valid_signatures(&role, &keys), 1);
    draft.sign(&key(2));
    assert_eq!(draft.valid_signatures(&role, &keys), 2);
    let signers: Vec<_> = draft.signers().collect();
    assert_eq!(signers, [key(1).key_id(), key(2).key_id(), key(9).key_id()]);

    // It travels to another machine and back.
    let mut travelled = Draft::from_bytes("timestamp", &draft.to_bytes()).unwrap();
    assert_eq!(travelled, draft);
    travelled.sign(&key(3));
    assert_eq!(travelled.valid_signatures(&role, &keys), 3);
    assert_eq!(travelled.kind(), "timestamp");
}
