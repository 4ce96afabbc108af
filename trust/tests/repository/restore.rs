//! What was stored is taken again, without the time, and nothing else is.

use crate::site::{LATER, NOW, Site, held, role_of, versions};
use farrier_trust::{Client, Floors, TrustError};

/// A site with delegations two levels deep, and a client that has searched them.
fn stored() -> (Site, Client) {
    let mut site = Site::new();
    site.delegate("targets", "plugins", 9, &["plugins/*/*"]);
    site.delegate("plugins", "drivers", 10, &["plugins/drivers/*"]);
    // The roles' names are not in the order in which they delegate.
    site.delegate("drivers", "a", 11, &["plugins/drivers/*"]);
    site.add_target("a", "plugins/drivers/printer", b"content");
    site.publish(&["a", "drivers", "plugins", "targets"]);
    let mut client = site.fresh_client();
    assert_eq!(site.found_in(&mut client, "plugins/drivers/printer"), Ok(Some("a".into())));
    (site, client)
}

fn restored(client: &Client, floors: Floors) -> Result<Client, TrustError> {
    let mut metadata = client.metadata();
    let (_, root) = metadata.next().unwrap();
    let mut restored = Client::new(root, floors)?;
    metadata.try_for_each(|(role, bytes)| restored.restore(role, bytes))?;
    Ok(restored)
}

#[test]
fn what_is_held_can_be_stored_and_restored() {
    let (site, client) = stored();
    let all =
        [("root", 1), ("timestamp", 2), ("snapshot", 2), ("targets", 2), ("plugins", 1), ("drivers", 1), ("a", 1)];
    assert_eq!(held(&client), versions(&all));
    let mut again = restored(&client, client.floors()).unwrap();
    assert_eq!(held(&again), held(&client));
    assert_eq!(again.floors(), client.floors());
    assert_eq!(again.target("plugins/drivers/printer"), client.target("plugins/drivers/printer"));
    assert_eq!(again.expires(), Some(LATER));
    // Nothing is fetched again.
    assert_eq!(site.update(&mut again).unwrap(), ["2.root.json", "timestamp.json"]);
    assert_eq!(site.search(&mut again, "plugins/drivers/printer").1, [""; 0]);
}

#[test]
fn what_expired_can_be_restored_but_brings_nothing_new() {
    let (site, client) = stored();
    let mut again = restored(&client, client.floors()).unwrap();
    assert!(again.target("plugins/drivers/printer").is_some());
    assert_eq!(role_of(&site.update_at(&mut again, LATER).unwrap_err()), "root");
    assert!(again.target("plugins/drivers/printer").is_some());
}

#[test]
fn every_flipped_bit_of_what_is_stored_is_noticed() {
    let (_, client) = stored();
    let metadata: Vec<(String, Vec<u8>)> =
        client.metadata().map(|(role, bytes)| (role.into(), bytes.to_vec())).collect();
    let floors = client.floors();
    for position in 1..metadata.len() {
        let (role, bytes) = &metadata[position];
        let mut before = Client::new(&metadata[0].1, floors.clone()).unwrap();
        for (role, bytes) in &metadata[1..position] {
            before.restore(role, bytes).unwrap();
        }
        // A few bits of each byte; `tampering` flips them all.
        for bit in (0..bytes.len() * 8).step_by(5) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let result = before.clone().restore(role, &flipped);
            let is_same = role == "timestamp" && says_the_same(bytes, &flipped);
            assert_eq!(result.is_ok(), is_same, "{role}, bit {bit}");
        }
    }
}

/// Whether only the case of a signature's digits differs, which no digest covers.
fn says_the_same(bytes: &[u8], flipped: &[u8]) -> bool {
    bytes.eq_ignore_ascii_case(flipped)
        && farrier_trust::Draft::from_bytes("", flipped).is_ok_and(|draft| {
            let original = farrier_trust::Draft::from_bytes("", bytes).unwrap();
            draft.signed_bytes() == original.signed_bytes() && draft.signers().eq(original.signers())
        })
}

#[test]
fn nothing_below_the_floors_is_restored() {
    let (mut site, old) = stored();
    site.publish(&["plugins", "targets"]);
    let floors = site.fresh_client().floors();
    let refused = TrustError::Rollback { role: "timestamp".into(), offered: 2, floor: 3 };
    assert_eq!(restored(&old, floors).map(|_| ()), Err(refused));
    let low = Floors { timestamp: 2, snapshot: 2, roles: versions(&[("plugins.json", 2)]), ..Floors::default() };
    let refused = TrustError::Rollback { role: "plugins".into(), offered: 1, floor: 2 };
    assert_eq!(restored(&old, low).map(|_| ()), Err(refused));
}

#[test]
fn a_set_is_restored_under_its_own_root_while_a_newer_root_is_known() {
    let (mut site, client) = stored();
    site.publish_root();
    let mut floors = client.floors();
    floors.root = 2;
    let mut again = restored(&client, floors).unwrap();
    assert!(again.target("plugins/drivers/printer").is_some());
    assert_eq!(again.floors().root, 2);
    // But nothing new is taken under the old root.
    let newest = site.files.remove("2.root.json").unwrap();
    let refused = TrustError::Rollback { role: "root".into(), offered: 1, floor: 2 };
    assert_eq!(site.update(&mut again.clone()), Err(refused));
    site.files.insert("2.root.json".into(), newest);
    site.update(&mut again).unwrap();
}

#[test]
fn roles_are_restored_from_the_top() {
    let (site, client) = stored();
    let bytes: std::collections::BTreeMap<_, _> = client.metadata().collect();
    let mut again = Client::new(bytes["root"], Floors::default()).unwrap();
    let missing = |role: &str| Err(TrustError::MissingMetadata { role: role.into() });
    assert_eq!(again.restore("root", bytes["root"]), Err(TrustError::OutOfOrder));
    assert_eq!(again.restore("snapshot", bytes["snapshot"]), missing("timestamp"));
    assert_eq!(again.restore("targets", bytes["targets"]), missing("snapshot"));
    again.restore("timestamp", bytes["timestamp"]).unwrap();
    again.restore("snapshot", bytes["snapshot"]).unwrap();
    assert_eq!(again.restore("plugins", bytes["plugins"]), Err(TrustError::NotDelegated { role: "plugins".into() }));
    again.restore("targets", bytes["targets"]).unwrap();
    assert_eq!(again.restore("drivers", bytes["drivers"]), Err(TrustError::NotDelegated { role: "drivers".into() }));
    again.restore("plugins", bytes["plugins"]).unwrap();
    again.restore("drivers", bytes["drivers"]).unwrap();
    // What is not there is fetched.
    assert_eq!(again.target("plugins/drivers/printer"), None);
    assert_eq!(site.search(&mut again, "plugins/drivers/printer").1, ["1.a.json"]);
}

#[test]
fn what_could_not_be_restored_is_tried_before_it_is_fetched() {
    let (mut site, client) = stored();
    for lost in ["timestamp", "snapshot", "targets", "plugins", "drivers"] {
        let mut again = restored_without(&client, lost);
        // Root and timestamp are always asked for.
        let mut asked = site.update(&mut again).unwrap().split_off(2);
        asked.extend(site.search(&mut again, "plugins/drivers/printer").1);
        assert_eq!(asked.len(), usize::from(lost != "timestamp"), "{lost}: {asked:?}");
        assert_eq!(held(&again), held(&client));
    }
    // What is outdated by now is of no use.
    site.publish(&["a", "targets"]);
    let mut again = restored_without(&client, "timestamp");
    let asked = site.update(&mut again).unwrap();
    assert_eq!(asked, ["2.root.json", "timestamp.json", "3.snapshot.json", "3.targets.json"]);
    assert_eq!(site.search(&mut again, "plugins/drivers/printer").1, ["2.a.json"]);
}

/// A client that is offered all that another one holds but this role.
fn restored_without(client: &Client, lost: &str) -> Client {
    let mut metadata = client.metadata();
    let mut again = Client::new(metadata.next().unwrap().1, client.floors()).unwrap();
    for (role, bytes) in metadata.filter(|(role, _)| *role != lost) {
        _ = again.restore(role, bytes);
    }
    again
}

#[test]
fn metadata_of_one_role_are_not_restored_as_another() {
    let (_, client) = stored();
    let metadata: Vec<_> = client.metadata().collect();
    let again = restored(&client, client.floors()).unwrap();
    for (role, _) in &metadata[1..] {
        for (other, bytes) in metadata.iter().filter(|(other, _)| other != role) {
            assert!(again.clone().restore(role, bytes).is_err(), "{other} as {role}");
        }
    }
}

#[test]
fn an_older_snapshot_is_of_use_until_the_new_one_is_there() {
    let (mut site, client) = stored();
    site.publish_timestamp();
    site.publish(&[]);
    site.publish(&["targets"]);
    // Somebody was interrupted between timestamp and snapshot.
    let mut interrupted = client.clone();
    let snapshot = site.files.remove("4.snapshot.json").unwrap();
    site.update(&mut interrupted).unwrap_err();
    site.files.insert("4.snapshot.json".into(), snapshot);
    let mut again = restored(&interrupted, interrupted.floors()).unwrap();
    assert_eq!(again.target("plugins/drivers/printer"), None);
    let asked = site.update(&mut again).unwrap();
    assert_eq!(asked, ["2.root.json", "timestamp.json", "4.snapshot.json", "3.targets.json"]);
    assert_eq!(site.search(&mut again, "plugins/drivers/printer").1, [""; 0]);
    let mut newer = Client::new(&site.files["1.root.json"], Floors::default()).unwrap();
    newer.restore("timestamp", client.metadata().nth(1).unwrap().1).unwrap();
    let wrong = newer.restore("snapshot", &site.files["4.snapshot.json"]);
    assert_eq!(role_of(&wrong.unwrap_err()), "snapshot");
}

#[test]
fn what_was_restored_is_searched_without_a_refresh() {
    let (site, client) = stored();
    let mut again = restored(&client, Floors::default()).unwrap();
    assert_eq!(site.found_in(&mut again, "plugins/drivers/printer"), Ok(Some("a".into())));
    let mut search = again.search("plugins/drivers/printer", NOW);
    assert_eq!(search.next(), Ok(None));
    assert!(search.finish().unwrap().is_some());
}
