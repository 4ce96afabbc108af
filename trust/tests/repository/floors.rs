//! Versions never sink, whatever else is lost (sections 5.3.11, 5.4.3 and 5.5.5).

use crate::site::{SNAPSHOT_KEY, Site, TIMESTAMP_KEY, held, key, named, versions};
use farrier_trust::{Client, Floors, OnlineKeys, RoleKeys, TrustError};

/// A site at version 5 of everything, with a delegated role, and the floors of a client that has seen it.
fn seen() -> (Site, Floors) {
    let mut site = Site::new();
    site.delegate("targets", "plugins", 9, &["plugins/*"]);
    for _ in 0..4 {
        site.publish_root();
        site.publish(&["targets", "plugins"]);
    }
    let floors = site.fresh_client().floors();
    (site, floors)
}

/// What a client says that knows the first root and these floors, and has lost everything else.
fn update_after_loss(site: &Site, floors: &Floors) -> Result<Floors, TrustError> {
    let mut client = Client::new(&site.files["1.root.json"], floors.clone()).unwrap();
    let result = site.update(&mut client);
    for (role, (before, after)) in floors.roles.iter().zip(&client.floors().roles).map(|(a, b)| (&a.0, (a.1, b.1))) {
        assert!(before <= after, "the floor of {role} fell");
    }
    result.map(|_| client.floors())
}

#[test]
fn floors_are_what_was_taken() {
    let (_, floors) = seen();
    assert_eq!((floors.root, floors.timestamp, floors.snapshot), (5, 5, 5));
    assert_eq!(floors.roles, versions(&[("plugins.json", 4), ("targets.json", 5)]));
}

#[test]
fn floors_hold_when_all_metadata_are_lost() {
    let (site, floors) = seen();
    assert_eq!(update_after_loss(&site, &floors), Ok(floors.clone()));

    let mut rolled_back = site.clone();
    rolled_back.timestamp.version = 3;
    rolled_back.publish_timestamp();
    let refused = TrustError::Rollback { role: "timestamp".into(), offered: 4, floor: 5 };
    assert_eq!(update_after_loss(&rolled_back, &floors), Err(refused));

    let mut rolled_back = site.clone();
    rolled_back.snapshot.version = 3;
    rolled_back.publish(&[]);
    let refused = TrustError::Rollback { role: "snapshot".into(), offered: 4, floor: 5 };
    assert_eq!(update_after_loss(&rolled_back, &floors), Err(refused));

    for (role, floor) in [("targets", 5), ("plugins", 4)] {
        let mut rolled_back = site.clone();
        rolled_back.roles.get_mut(role).unwrap().version = 1;
        rolled_back.publish(&[role]);
        let refused = TrustError::Rollback { role: role.into(), offered: 2, floor };
        assert_eq!(update_after_loss(&rolled_back, &floors), Err(refused));

        let mut removed = site.clone();
        removed.snapshot.meta.remove(&format!("{role}.json"));
        removed.publish(&[]);
        let refused = TrustError::Vanished { role: role.into(), floor };
        assert_eq!(update_after_loss(&removed, &floors), Err(refused));
    }
}

#[test]
fn an_old_root_is_not_taken_for_the_newest_one() {
    let (mut site, floors) = seen();
    site.files.remove("4.root.json");
    let refused = TrustError::Rollback { role: "root".into(), offered: 3, floor: 5 };
    assert_eq!(update_after_loss(&site, &floors), Err(refused));
}

#[test]
fn floors_hold_for_a_client_that_holds_its_metadata_too() {
    let (site, _) = seen();
    let mut client = site.fresh_client();
    let mut rolled_back = site.clone();
    rolled_back.timestamp.snapshot = named(4, None);
    rolled_back.publish_timestamp();
    let refused = TrustError::Rollback { role: "snapshot".into(), offered: 4, floor: 5 };
    assert_eq!(rolled_back.update(&mut client), Err(refused));
    let all = [("root", 5), ("timestamp", 5), ("snapshot", 5), ("targets", 5)];
    assert_eq!(held(&client), versions(&all));
}

#[test]
fn a_taken_away_online_key_makes_versions_count_from_anew() {
    for (role, number) in [("timestamp", TIMESTAMP_KEY), ("snapshot", SNAPSHOT_KEY)] {
        let (mut site, floors) = seen();
        site.rekey(role, &[number + 10], 1);
        site.publish_root();
        site.timestamp.version = 0;
        site.snapshot.version = 0;
        site.snapshot.meta.remove("plugins.json");
        site.roles.get_mut("targets").unwrap().version = 0;
        site.publish(&["targets"]);
        let after = update_after_loss_of_versions(&site, &floors);
        assert_eq!((after.root, after.timestamp, after.snapshot), (6, 1, 1));
        assert_eq!(after.roles, versions(&[("targets.json", 1)]));
        // So does a client that held all of it.
        let (old, _) = seen();
        let mut client = old.fresh_client();
        site.update(&mut client).unwrap();
        assert_eq!(client.floors(), after);
    }
}

fn update_after_loss_of_versions(site: &Site, floors: &Floors) -> Floors {
    let mut client = Client::new(&site.files["1.root.json"], floors.clone()).unwrap();
    site.update(&mut client).unwrap();
    client.floors()
}

#[test]
fn a_new_targets_key_does_not_make_versions_count_from_anew() {
    let (mut site, floors) = seen();
    site.rekey("targets", &[14], 1);
    site.publish_root();
    site.timestamp.version = 2;
    site.publish(&["targets"]);
    let refused = TrustError::Rollback { role: "timestamp".into(), offered: 3, floor: 5 };
    assert_eq!(update_after_loss(&site, &floors), Err(refused));
}

#[test]
fn a_further_online_key_does_not_make_old_versions_good_again() {
    for role in ["timestamp", "snapshot"] {
        let (site, floors) = seen();
        let old_timestamp = {
            let mut old = site.clone();
            old.timestamp.version = 2;
            old.publish_timestamp();
            old.files["timestamp.json"].clone()
        };
        let mut site = site;
        let number = if role == "timestamp" { TIMESTAMP_KEY } else { SNAPSHOT_KEY };
        site.rekey(role, &[number, number + 10], 1);
        site.publish_root();
        site.files.insert("timestamp.json".into(), old_timestamp);
        let refused = TrustError::Rollback { role: "timestamp".into(), offered: 3, floor: 5 };
        assert_eq!(update_after_loss(&site, &floors), Err(refused), "{role}");
    }
}

#[test]
fn a_higher_threshold_does_not_make_old_versions_good_again() {
    for (role, number) in [("timestamp", TIMESTAMP_KEY), ("snapshot", SNAPSHOT_KEY)] {
        let mut site = Site::new();
        site.rekey(role, &[number, number + 10], 1);
        site.publish_root();
        site.publish(&["targets"]);
        let old = site.clone();
        site.publish(&["targets"]);
        let client = site.fresh_client();
        site.rekey(role, &[number, number + 10], 2);
        site.publish_root();
        for (file, bytes) in old.files.iter().filter(|(file, _)| !file.ends_with("root.json")) {
            site.files.insert(file.clone(), bytes.clone());
        }
        let refused = site.update(&mut client.clone());
        assert!(matches!(refused, Err(TrustError::Rollback { .. })), "{role}: {refused:?}");
        assert!(matches!(update_after_loss(&site, &client.floors()), Err(TrustError::Rollback { .. })), "{role}");
    }
}

/// What one of the keys that were taken away has signed is signed well by the others, and must not come back.
#[test]
fn a_recovery_that_was_interrupted_goes_on() {
    for (role, number) in [("timestamp", TIMESTAMP_KEY), ("snapshot", SNAPSHOT_KEY)] {
        let mut site = Site::new();
        site.rekey(role, &[number, number + 10], 1);
        site.publish_root();
        (0..4).for_each(|_| site.publish(&["targets"]));
        let client = site.fresh_client();
        let old: Vec<(&str, &[u8])> = client.metadata().collect();
        site.rekey(role, &[number], 1);
        site.publish_root();
        (site.timestamp.version, site.snapshot.version) = (0, 0);
        site.roles.get_mut("targets").unwrap().version = 0;
        site.publish(&["targets"]);
        for missing in ["timestamp.json", "1.snapshot.json", "1.targets.json"] {
            let mut interrupted = site.clone();
            interrupted.files.remove(missing);
            let mut recovering = client.clone();
            assert!(interrupted.update(&mut recovering).is_err(), "{missing}");
            assert_eq!(recovering.floors().since_root, recovering.root_version());
            let stored: Vec<(&str, &[u8])> = recovering.metadata().collect();
            let mut again = Client::new(stored[0].1, recovering.floors()).unwrap();
            stored[1..].iter().for_each(|(role, bytes)| again.restore(role, bytes).unwrap());
            site.update(&mut again).unwrap_or_else(|error| panic!("{role}, {missing}: {error}"));
            assert_eq!((again.floors().timestamp, again.floors().snapshot), (1, 1));
        }
        // Under its own root, what was followed before is still there.
        let mut recovering = client.clone();
        site.update(&mut recovering).unwrap();
        let mut before = Client::new(old[0].1, recovering.floors()).unwrap();
        old[1..].iter().for_each(|(role, bytes)| before.restore(role, bytes).unwrap());
        let floors = recovering.floors();
        assert_eq!(floors.clone().raised(&before.floors()), floors);
    }
}

#[test]
fn the_same_key_under_another_id_is_no_other_key() {
    let (mut site, floors) = seen();
    let online = key(TIMESTAMP_KEY).public().to_key();
    site.root.keys.insert("renamed".into(), online);
    site.root.roles.insert("timestamp".into(), RoleKeys::new(vec!["renamed".into(), key(TIMESTAMP_KEY).key_id()], 1));
    site.publish_root();
    site.timestamp.version = 2;
    site.publish_timestamp();
    let refused = TrustError::Rollback { role: "timestamp".into(), offered: 3, floor: 5 };
    assert_eq!(update_after_loss(&site, &floors), Err(refused));
}

#[test]
fn floors_survive_their_encoding() {
    let (_, floors) = seen();
    let bytes = farrier_protocol::encode(&floors).unwrap();
    assert_eq!(farrier_protocol::decode::<Floors>(&bytes), Ok(floors.clone()));
    let json = serde_json::to_string(&floors).unwrap();
    assert_eq!(serde_json::from_str::<Floors>(&json).unwrap(), floors);
}

fn floors(root: u64, online_key: Option<u8>, timestamp: u64, snapshot: u64, roles: &[(&str, u64)]) -> Floors {
    let set = |number: u8| vec![farrier_protocol::Digest([number; 32])];
    let online_keys = online_key.map(|number| OnlineKeys { timestamp: set(number), snapshot: set(0) });
    Floors {
        online_keys,
        since_root: online_key.unwrap_or(1).into(),
        root,
        timestamp,
        snapshot,
        roles: versions(roles),
    }
}

#[test]
fn raising_takes_the_higher_version_of_each() {
    let one = floors(3, Some(1), 5, 9, &[("plugins.json", 2), ("targets.json", 7)]);
    let other = floors(4, Some(1), 6, 8, &[("policies.json", 1), ("targets.json", 6)]);
    let both = floors(4, Some(1), 6, 9, &[("plugins.json", 2), ("policies.json", 1), ("targets.json", 7)]);
    assert_eq!(one.clone().raised(&other), both);
    assert_eq!(other.clone().raised(&one), both);
    assert_eq!(both.clone().raised(&one), both);
    assert_eq!(both.clone().raised(&both), both);
}

#[test]
fn raising_begins_anew_with_new_online_keys_but_not_with_old_ones() {
    let old = floors(3, Some(1), 5, 9, &[("targets.json", 7)]);
    let new = floors(4, Some(2), 1, 1, &[("targets.json", 1)]);
    assert_eq!(old.clone().raised(&new), new);
    assert_eq!(new.clone().raised(&old), new);
}

#[test]
fn raising_the_root_alone_keeps_the_rest() {
    let old = floors(3, Some(1), 5, 9, &[("targets.json", 7)]);
    let root = floors(8, None, 0, 0, &[]);
    let both = floors(8, Some(1), 5, 9, &[("targets.json", 7)]);
    assert_eq!(old.clone().raised(&root), both);
    assert_eq!(root.clone().raised(&old), both);
    assert_eq!(Floors::default().raised(&old), old);
    assert_eq!(old.clone().raised(&Floors::default()), old);
}

#[test]
fn raising_knows_a_further_key_from_a_new_one() {
    let set = |keys: &[u8]| keys.iter().map(|number| farrier_protocol::Digest([*number; 32])).collect();
    let with = |root, keys: &[u8], timestamp| Floors {
        online_keys: Some(OnlineKeys { timestamp: set(keys), snapshot: set(&[0]) }),
        root,
        timestamp,
        ..Floors::default()
    };
    let before = with(1, &[1], 9);
    assert_eq!(before.clone().raised(&with(2, &[1, 2], 3)).timestamp, 9);
    assert_eq!(before.clone().raised(&with(2, &[2], 3)).timestamp, 3);
    assert_eq!(with(2, &[1, 2], 3).raised(&before).timestamp, 9);
    // With fewer they began anew, whichever is raised to whichever, and whatever root was seen since.
    let (more, fewer) = (with(1, &[1, 2], 9), Floors { since_root: 2, ..with(2, &[1], 3) });
    let later = Floors { root: 8, ..more.clone() };
    for both in [more.clone().raised(&fewer), fewer.clone().raised(&more), later.clone().raised(&fewer)] {
        assert_eq!(both.timestamp, 3);
    }
    assert_eq!(fewer.raised(&later).root, 8);
}
