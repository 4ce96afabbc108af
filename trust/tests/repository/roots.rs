//! The chain of roots (section 5.3).

use crate::site::{LATER, NOW, ROOT_KEY, Site, TENANT, held, key, versions};
use farrier_protocol::poll::Tenant;
use farrier_trust::{Client, Floors, RoleKeys, SiteKeys, TrustError, limits};

#[test]
fn every_next_root_is_fetched_until_there_is_none() {
    let mut site = Site::new();
    let mut client = site.client();
    (0..3).for_each(|_| site.publish_root());
    let asked = site.update(&mut client).unwrap();
    assert_eq!(asked[..4], ["2.root.json", "3.root.json", "4.root.json", "5.root.json"]);
    assert_eq!(client.root_version(), 4);
}

/// Keys and threshold of the next root, who signs it, and whether that is enough where two of the keys 1, 2, 3 are needed.
#[test]
fn a_new_root_needs_the_old_threshold_and_its_own() {
    for (keys, threshold, signers, is_fine) in [
        (vec![1, 2, 3], 2, vec![1, 2], true),
        (vec![1, 2, 3], 2, vec![2, 3], true),
        (vec![1, 2, 3], 2, vec![1], false),
        (vec![1, 2, 3], 2, vec![], false),
        (vec![1, 2, 3], 2, vec![8, 9], false),
        (vec![1, 2, 3], 1, vec![1], false),
        (vec![1, 2, 3], 1, vec![1, 3], true),
        (vec![1, 2, 3], 3, vec![1, 3], false),
        (vec![1, 2, 3], 3, vec![1, 2, 3], true),
        (vec![7, 8], 2, vec![7, 8], false),
        (vec![7, 8], 2, vec![1, 2], false),
        (vec![7, 8], 2, vec![1, 7, 8], false),
        (vec![7, 8], 2, vec![1, 2, 7], false),
        (vec![7, 8], 2, vec![1, 2, 7, 8], true),
        (vec![7, 8], 2, vec![9, 1, 2, 10, 7, 8, 11], true),
        (vec![1, 2, 7], 2, vec![1, 2], true),
        (vec![2, 3, 7, 8], 3, vec![2, 3], false),
        (vec![2, 3, 7, 8], 3, vec![2, 3, 8], true),
    ] {
        let mut site = Site::new();
        site.rekey("root", &[1, 2, 3], 2);
        site.root.version = 0;
        site.publish_root();
        let mut client = site.client();
        site.rekey("root", &keys, threshold);
        site.signers.insert("root".into(), signers.clone());
        site.publish_root();
        let result = site.update(&mut client);
        assert_eq!(result.is_ok(), is_fine, "{keys:?} {threshold} {signers:?}: {result:?}");
        assert_eq!(client.root_version(), if is_fine { 2 } else { 1 });
        if let Err(error) = result {
            assert!(matches!(&error, TrustError::Threshold { role, .. } if role == "root"), "{error}");
        }
    }
}

#[test]
fn roots_come_one_by_one() {
    for version in [1, 3, 7, u64::MAX] {
        let mut site = Site::new();
        let mut client = site.client();
        site.root.version = version - 1;
        site.publish_root();
        let bytes = site.files[&format!("{version}.root.json")].clone();
        site.files.insert("2.root.json".into(), bytes);
        let wrong = TrustError::WrongVersion { role: "root".into(), offered: version, expected: 2 };
        assert_eq!(site.update(&mut client), Err(wrong));
    }
}

#[test]
fn roots_on_the_way_may_have_expired_but_not_the_last_one() {
    let mut site = Site::new();
    let mut client = site.client();
    site.root.expires = NOW - 1000;
    site.publish_root();
    site.root.expires = LATER;
    site.publish_root();
    site.update(&mut client).unwrap();
    assert_eq!(client.root_version(), 3);

    site.root.expires = NOW;
    site.publish_root();
    site.publish(&["targets"]);
    assert_eq!(site.update(&mut client), Err(TrustError::Expired { role: "root".into(), at: NOW }));
    assert_eq!(held(&client), versions(&[("root", 4), ("timestamp", 1), ("snapshot", 1), ("targets", 1)]));
}

#[test]
fn a_first_root_may_have_expired_long_ago() {
    let mut site = Site::new();
    site.root.version = 0;
    site.root.expires = 1;
    site.publish_root();
    let mut client = site.client();
    site.root.expires = LATER;
    site.publish_root();
    site.update(&mut client).unwrap();
}

#[test]
fn a_first_root_must_be_signed_by_itself() {
    let site = Site::new();
    for signers in [vec![], vec![9]] {
        let mut other = site.clone();
        other.signers.insert("root".into(), signers);
        let bytes = other.signed("root", &other.root);
        let error = Client::new(&bytes, Floors::default()).unwrap_err();
        assert_eq!(error, TrustError::Threshold { role: "root".into(), valid: 0, needed: 1 });
    }
    for bytes in [&b""[..], b"{}", b"null", &site.files["timestamp.json"]] {
        assert!(matches!(Client::new(bytes, Floors::default()), Err(TrustError::Malformed { .. })));
    }
}

#[test]
fn a_root_names_every_top_role_and_no_other() {
    for role in ["root", "timestamp", "snapshot", "targets"] {
        let mut site = Site::new();
        site.root.roles.remove(role);
        let bytes = site.signed("root", &site.root);
        assert!(matches!(Client::new(&bytes, Floors::default()), Err(TrustError::Malformed { .. })), "{role}");
    }
    for (role, is_fine) in [("mirrors", true), ("plugins", false), ("", false)] {
        let mut site = Site::new();
        site.root.roles.insert(role.into(), RoleKeys::new(vec![], 1));
        let bytes = site.signed("root", &site.root);
        assert_eq!(Client::new(&bytes, Floors::default()).is_ok(), is_fine, "{role}");
    }
}

#[test]
fn one_update_takes_a_bounded_number_of_roots_and_the_next_one_goes_on() {
    let mut site = Site::new();
    let mut client = site.client();
    let more = u64::from(limits::MAX_ROOT_ROTATIONS) + 3;
    (0..more).for_each(|_| site.publish_root());
    site.update(&mut client).unwrap();
    assert_eq!(client.root_version(), 1 + u64::from(limits::MAX_ROOT_ROTATIONS));
    site.update(&mut client).unwrap();
    assert_eq!(client.root_version(), 1 + more);
}

#[test]
fn a_new_root_takes_away_what_its_keys_did_not_sign() {
    for role in ["timestamp", "snapshot", "targets"] {
        let mut site = Site::new();
        site.hashed = false;
        site.publish(&["targets"]);
        let before = site.fresh_client();
        site.rekey(role, &[9], 1);
        site.publish_root();
        let error = site.update(&mut before.clone()).unwrap_err();
        assert!(matches!(&error, TrustError::Threshold { role: refused, .. } if refused == role), "{error}");

        // The same version, signed by the new key.
        let bytes = match role {
            "timestamp" => site.signed(role, &site.timestamp),
            "snapshot" => site.signed(role, &site.snapshot),
            _ => site.signed(role, &site.roles["targets"]),
        };
        let file = if role == "timestamp" { "timestamp.json".into() } else { format!("2.{role}.json") };
        site.files.insert(file, bytes.clone());
        let mut client = before;
        site.update(&mut client).unwrap();
        assert!(client.metadata().any(|held| held == (role, bytes.as_slice())), "{role}");
    }
}

#[test]
fn the_tenant_never_changes() {
    let other = Tenant([8; 16]);
    for (to, tenant) in [(Some(other), Some(other)), (None, None)] {
        let mut site = Site::new();
        let mut client = site.client();
        let assignment = site.root.site.clone().unwrap().assignment;
        site.root.site = tenant.map(|tenant| SiteKeys { tenant, assignment });
        site.publish_root();
        assert_eq!(site.update(&mut client), Err(TrustError::TenantChanged { from: TENANT, to }));
        assert_eq!(client.root_version(), 1);
    }
}

#[test]
fn a_repository_without_a_tenant_is_read_all_the_same() {
    let mut site = Site::new();
    site.root.site = None;
    site.root.version = 0;
    site.publish_root();
    let client = site.fresh_client();
    assert_eq!((client.tenant(), client.assignment_keys()), (None, None));
}

#[test]
fn assignment_keys_must_be_able_to_sign() {
    let ids = |numbers: &[u8]| numbers.iter().map(|number| key(*number).key_id()).collect::<Vec<_>>();
    for (keyids, threshold, is_fine) in [
        (ids(&[ROOT_KEY]), 1, true),
        (ids(&[1, 2, 3, 4]), 4, true),
        (ids(&[1]), 2, false),
        (ids(&[]), 1, false),
        (ids(&[99]), 1, false),
        (ids(&[1, 2, 3, 4, 11, 12, 13, 14]), 8, true),
        (ids(&[1, 2, 3, 4, 11, 12, 13, 14, 15]), 1, false),
    ] {
        let mut site = Site::new();
        (11..16).for_each(|number| _ = site.root.keys.insert(key(number).key_id(), key(number).public().to_key()));
        site.root.site.as_mut().unwrap().assignment = RoleKeys::new(keyids.clone(), threshold);
        let client = Client::new(&site.signed("root", &site.root), Floors::default());
        assert_eq!(client.is_ok(), is_fine, "{} {threshold}", keyids.len());
        if let Ok(client) = client {
            let keys = client.assignment_keys().unwrap();
            assert_eq!((keys.keys.len(), u64::from(keys.threshold)), (keyids.len(), threshold));
        }
    }
}
