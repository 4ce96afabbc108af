//! Random histories of a repository in the hands of an attacker: whoever has too few keys of every role gets nothing
//! accepted that its owners did not sign, and no version ever sinks. Whoever has all keys of timestamp and snapshot as
//! well can hold back what is new, but neither forge nor roll back anything else.

mod attacker;
mod world;

use farrier_trust::{Client, Floors, Root, Snapshot, Targets, Timestamp};
use std::collections::BTreeMap;
use world::{DELEGATED, ONLINE, TOP, World, read, signed_bytes};

const HISTORIES: u64 = 45;
const STEPS: usize = 40;

/// Everything that a client holds was signed by its owners, by enough of the keys that count under its root, and is one
/// consistent state.
fn check_authority(world: &World, client: &Client) {
    let held: BTreeMap<&str, &[u8]> = client.metadata().collect();
    let root: Root = read(held["root"]);
    for (role, bytes) in &held {
        if world.owns_online && ONLINE.contains(role) {
            continue;
        }
        let signers = world.signed.get(&((*role).into(), signed_bytes(bytes)));
        let signers = signers.unwrap_or_else(|| panic!("{role} was forged"));
        let role_keys = match root.role(role) {
            Some(role_keys) => role_keys.clone(),
            None => read::<Targets>(held["targets"]).delegations.unwrap().keys_of(role).unwrap().clone(),
        };
        let counts = |number: &&u8| role_keys.keyids.contains(&crate::site::key(**number).key_id());
        let valid = signers.iter().filter(counts).count();
        assert!(valid as u64 >= role_keys.threshold, "{role} is signed by {valid} of {role_keys:?}");
    }
    if let (Some(timestamp), Some(snapshot)) = (held.get("timestamp"), held.get("snapshot")) {
        let (timestamp, snapshot): (Timestamp, Snapshot) = (read(timestamp), read(snapshot));
        assert!(snapshot.version <= timestamp.snapshot.version);
        for (role, bytes) in held.iter().filter(|(role, _)| !TOP[..3].contains(role)) {
            assert_eq!(read::<Targets>(bytes).version, snapshot.meta[&format!("{role}.json")].version);
        }
    }
}

/// Nothing that is up to date has expired.
fn check_times(world: &World, client: &Client) {
    assert!(client.expires().unwrap() > world.now, "something expired was taken");
    let held: BTreeMap<&str, &[u8]> = client.metadata().collect();
    for role in DELEGATED.iter().filter_map(|role| held.get(role)) {
        assert!(read::<Targets>(role).expires > world.now);
    }
}

/// Whether the floors below the root's must have been kept from one root to another: no online key was taken away.
fn floors_must_hold(before: &Root, after: &Root) -> bool {
    ["timestamp", "snapshot"].iter().all(|role| {
        let (before, after) = (before.role(role).unwrap(), after.role(role).unwrap());
        before.keyids.iter().all(|keyid| after.keyids.contains(keyid))
    })
}

/// No version that was taken before an update has sunk in it: neither what the client remembers nor what it holds.
fn check_versions(before: &Floors, client: &Client, roots: (&Root, &Root)) {
    assert!(before.root <= client.floors().root && before.root <= client.root_version(), "the root's version sank");
    if !floors_must_hold(roots.0, roots.1) {
        return;
    }
    let held: BTreeMap<&str, &[u8]> = client.metadata().collect();
    let timestamp: Option<Timestamp> = held.get("timestamp").map(|bytes| read(bytes));
    let snapshot: Option<Snapshot> = held.get("snapshot").map(|bytes| read(bytes));
    let floors = client.floors();
    let named = timestamp.as_ref().map(|timestamp| timestamp.snapshot.version);
    for version in [Some(floors.timestamp), timestamp.map(|timestamp| timestamp.version)].into_iter().flatten() {
        assert!(before.timestamp <= version, "the timestamp's version sank");
    }
    for version in [Some(floors.snapshot), named].into_iter().flatten() {
        assert!(before.snapshot <= version, "the snapshot's version sank");
    }
    let remembered: BTreeMap<String, u64> = floors.roles.into_iter().collect();
    let listed =
        snapshot.map(|snapshot| snapshot.meta.iter().map(|(file, named)| (file.clone(), named.version)).collect());
    for versions in [Some(remembered), listed].into_iter().flatten() {
        for (file, version) in &before.roles {
            assert!(versions.get(file).is_some_and(|now| now >= version), "{file} sank or vanished");
        }
    }
}

/// A client as it is after a restart: with what it held, or, when that is lost, with the first root and its floors.
fn restarted(client: &Client, first_root: &[u8], is_lost: bool) -> Client {
    let floors = client.floors();
    if is_lost {
        return Client::new(first_root, floors).unwrap();
    }
    let mut metadata = client.metadata();
    let mut restarted = Client::new(metadata.next().unwrap().1, floors.clone()).unwrap();
    metadata.for_each(|(role, bytes)| restarted.restore(role, bytes).unwrap());
    // Where an update ended among the roots, they count under the further keys of the newest from now on.
    let online_keys = restarted.floors().online_keys;
    assert_eq!(restarted.floors(), Floors { online_keys, ..floors });
    restarted
}

fn root_of(client: &Client) -> Root {
    read(client.metadata().next().unwrap().1)
}

#[test]
fn nothing_unauthorised_is_ever_taken_and_no_floor_ever_falls() {
    let (mut refused, mut taken) = (0, 0);
    for seed in 0..HISTORIES {
        let mut world = World::new(seed);
        let first_root = world.site.files["1.root.json"].clone();
        let mut client = Client::new(&first_root, Floors::default()).unwrap();
        // The root under which the floors were raised last: an update that fails among the roots does not touch them.
        let mut floors_root = root_of(&client);
        for _ in 0..STEPS {
            if world.random.one_in(2) {
                world.go_on();
            }
            if world.random.one_in(6) {
                let is_lost = world.random.one_in(2);
                client = restarted(&client, &first_root, is_lost);
            }
            let before = client.floors();
            let is_attacked = !world.random.one_in(4);
            let result = world.update(&mut client, is_attacked);
            check_authority(&world, &client);
            let after = client.floors();
            if world.found_newest_root {
                let root = root_of(&client);
                check_versions(&before, &client, (&floors_root, &root));
                floors_root = root;
            } else {
                let root = after.root;
                assert!(before.root <= root, "the root's version sank");
                assert_eq!(Floors { root, ..before }, after, "floors changed under an old root");
            }
            match result {
                Ok(()) => {
                    check_times(&world, &client);
                    taken += 1;
                }
                Err(error) => {
                    assert!(
                        is_attacked || world.owns_online,
                        "seed {seed}: the owners' repository is refused: {error}"
                    );
                    refused += 1;
                }
            }
        }
        if world.owns_online {
            continue;
        }
        // However it was attacked, it finds back.
        world.update(&mut client, false).unwrap();
        assert_eq!(client.root_version(), world.site.root.version);
        let timestamp = &world.site.files["timestamp.json"];
        assert!(client.metadata().any(|held| held == ("timestamp", timestamp.as_slice())));
    }
    assert!(refused > HISTORIES * 10 && taken > HISTORIES * 5, "{refused} refused, {taken} taken");
}
