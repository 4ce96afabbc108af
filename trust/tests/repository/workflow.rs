//! One update after the other (TUF 1.0.34, section 5).

use crate::site::{LATER, NOW, SNAPSHOT_KEY, Site, TENANT, held, named, role_of, versions};
use farrier_trust::{Answer, TrustError, limits};

#[test]
fn a_first_update_fetches_each_file_once_and_in_order() {
    let site = Site::new();
    let mut client = site.client();
    assert_eq!(
        site.update(&mut client).unwrap(),
        ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
    );
    assert_eq!(held(&client), versions(&[("root", 1), ("timestamp", 1), ("snapshot", 1), ("targets", 1)]));
    assert_eq!(client.root_version(), 1);
    assert_eq!(client.expires(), Some(LATER));
    assert_eq!(client.tenant(), Some(TENANT));
    let timestamp = farrier_protocol::Digest::of(&site.files["timestamp.json"]);
    assert_eq!(client.timestamp_digest(), Some(timestamp));
}

#[test]
fn an_unchanged_repository_costs_two_requests() {
    let site = Site::new();
    let mut client = site.fresh_client();
    assert_eq!(site.update(&mut client).unwrap(), ["2.root.json", "timestamp.json"]);
}

#[test]
fn only_what_changed_is_fetched() {
    let mut site = Site::new();
    let mut client = site.fresh_client();
    site.publish_timestamp();
    assert_eq!(site.update(&mut client).unwrap(), ["2.root.json", "timestamp.json"]);
    site.publish(&[]);
    assert_eq!(site.update(&mut client).unwrap(), ["2.root.json", "timestamp.json", "2.snapshot.json"]);
    site.publish(&["targets"]);
    assert_eq!(
        site.update(&mut client).unwrap(),
        ["2.root.json", "timestamp.json", "3.snapshot.json", "2.targets.json"]
    );
}

#[test]
fn metadata_are_held_byte_for_byte() {
    let mut site = Site::new();
    site.files.get_mut("timestamp.json").unwrap().extend(b" \n\t ");
    let client = site.fresh_client();
    let (_, timestamp) = client.metadata().find(|(role, _)| *role == "timestamp").unwrap();
    assert_eq!(timestamp, site.files["timestamp.json"]);
}

#[test]
fn a_missing_file_is_named_and_what_came_before_it_stays() {
    for (file, role, kept) in
        [("timestamp.json", "timestamp", 2), ("2.snapshot.json", "snapshot", 3), ("2.targets.json", "targets", 4)]
    {
        let mut site = Site::new();
        let mut client = site.fresh_client();
        site.publish_root();
        site.publish(&["targets"]);
        site.files.remove(file);
        assert_eq!(site.update(&mut client), Err(TrustError::MissingMetadata { role: role.into() }));
        let new = held(&client).iter().filter(|(_, version)| *version == 2).count();
        assert_eq!(new, kept - 1, "{file}");
    }
}

#[test]
fn an_update_goes_on_where_the_last_one_failed() {
    let mut site = Site::new();
    let mut client = site.fresh_client();
    site.publish(&["targets"]);
    let snapshot = site.files.remove("2.snapshot.json").unwrap();
    site.update(&mut client).unwrap_err();
    assert_eq!(client.target("whatever"), None);
    site.files.insert("2.snapshot.json".into(), snapshot);
    assert_eq!(
        site.update(&mut client).unwrap(),
        ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"]
    );
}

#[test]
fn an_update_that_failed_stays_failed() {
    let mut site = Site::new();
    site.files.remove("timestamp.json");
    let mut client = site.client();
    let mut refresh = client.refresh(NOW);
    refresh.receive(Answer::Missing).unwrap();
    let error = refresh.receive(Answer::Missing).unwrap_err();
    assert_eq!(refresh.next(), Err(error.clone()));
    assert_eq!(refresh.receive(Answer::Found(b"{}")), Err(error));
}

#[test]
fn nothing_is_taken_that_was_not_asked_for() {
    let site = Site::new();
    let mut client = site.fresh_client();
    let mut refresh = client.refresh(NOW);
    while let Some(request) = refresh.next().unwrap() {
        refresh.receive(site.answer(&request.file)).unwrap();
    }
    assert_eq!(refresh.receive(Answer::Missing), Err(TrustError::OutOfOrder));
}

#[test]
fn a_timestamp_of_the_same_version_is_discarded_whatever_it_says() {
    let mut site = Site::new();
    let mut client = site.fresh_client();
    let before = client.timestamp_digest();
    site.timestamp.version -= 1;
    site.timestamp.snapshot = named(100, None);
    site.publish_timestamp();
    assert_eq!(site.update(&mut client).unwrap(), ["2.root.json", "timestamp.json"]);
    assert_eq!(client.timestamp_digest(), before);
}

#[test]
fn versions_are_those_that_the_role_above_names() {
    let mut site = Site::new();
    site.hashed = false;
    site.snapshot.version = 4;
    site.publish_snapshot();
    site.files.insert("2.snapshot.json".into(), site.files["5.snapshot.json"].clone());
    site.timestamp.snapshot = named(2, None);
    site.publish_timestamp();
    let wrong = TrustError::WrongVersion { role: "snapshot".into(), offered: 5, expected: 2 };
    assert_eq!(site.update(&mut site.client()), Err(wrong));

    let mut site = Site::new();
    site.hashed = false;
    site.roles.get_mut("targets").unwrap().version = 6;
    site.publish_role("targets");
    site.files.insert("2.targets.json".into(), site.files["7.targets.json"].clone());
    site.snapshot.meta.insert("targets.json".into(), named(2, None));
    site.publish(&[]);
    let wrong = TrustError::WrongVersion { role: "targets".into(), offered: 7, expected: 2 };
    assert_eq!(site.update(&mut site.client()), Err(wrong));
}

#[test]
fn lengths_and_digests_are_those_that_the_role_above_names() {
    for change in [
        (|named: &mut farrier_trust::MetaFile| named.length = named.length.map(|length| length + 1)) as fn(&mut _),
        |named| named.length = named.length.map(|length| length - 1),
        |named| named.hashes = Some([("sha256".into(), "0".repeat(64))].into()),
        |named| named.hashes = Some([("md5".into(), "0".repeat(32))].into()),
        |named| _ = named.hashes.as_mut().unwrap().insert("sha3-256".into(), "0".repeat(64)),
        |named| _ = named.hashes.as_mut().unwrap().insert("sha512".into(), "0".repeat(128)),
    ] {
        let mut site = Site::new();
        change(&mut site.timestamp.snapshot);
        site.publish_timestamp();
        let mut client = site.client();
        assert_eq!(role_of(&site.update(&mut client).unwrap_err()), "snapshot");
        assert_eq!(held(&client), versions(&[("root", 1), ("timestamp", 2)]));

        let mut site = Site::new();
        change(site.snapshot.meta.get_mut("targets.json").unwrap());
        site.publish(&[]);
        let mut client = site.client();
        assert_eq!(role_of(&site.update(&mut client).unwrap_err()), "targets");
        assert_eq!(held(&client), versions(&[("root", 1), ("timestamp", 2), ("snapshot", 2)]));
    }
}

#[test]
fn lengths_and_digests_may_be_left_out() {
    let mut site = Site::new();
    site.hashed = false;
    site.publish(&["targets"]);
    site.fresh_client();
}

#[test]
fn a_snapshot_without_targets_is_of_no_use() {
    let mut site = Site::new();
    site.snapshot.meta.clear();
    site.publish(&[]);
    let mut client = site.client();
    assert_eq!(site.update(&mut client), Err(TrustError::NotInSnapshot { role: "targets".into() }));
}

#[test]
fn metadata_of_one_role_are_not_taken_for_another() {
    let mut site = Site::new();
    site.signers.insert("snapshot".into(), vec![SNAPSHOT_KEY, crate::site::TIMESTAMP_KEY]);
    site.snapshot.meta = [("snapshot.json".into(), named(1, None))].into();
    site.publish_snapshot();
    site.files.insert("timestamp.json".into(), site.files["2.snapshot.json"].clone());
    let error = site.update(&mut site.client()).unwrap_err();
    assert!(matches!(&error, TrustError::Malformed { role, .. } if role == "timestamp"), "{error}");
}

#[test]
fn without_consistent_snapshots_files_have_no_versions_in_their_names() {
    let mut site = Site::new();
    site.root.consistent_snapshot = false;
    site.files.clear();
    site.root.version = 0;
    site.publish_root();
    site.add_target("targets", "a/b", b"content");
    site.publish(&["targets"]);
    let mut client = site.client();
    assert_eq!(site.update(&mut client).unwrap(), ["2.root.json", "timestamp.json", "snapshot.json", "targets.json"]);
    let target = site.search(&mut client, "a/b").0.unwrap().unwrap();
    assert_eq!(target.file(), "a/b");

    site.publish(&["targets"]);
    site.files.insert(
        "snapshot.json".into(),
        site.signed("snapshot", &{
            let mut stale = site.snapshot.clone();
            stale.version -= 1;
            stale
        }),
    );
    assert_eq!(role_of(&site.update(&mut client).unwrap_err()), "snapshot");
}

#[test]
fn requests_are_bounded_by_what_is_known_and_else_by_the_limits() {
    let mut site = Site::new();
    let length = |file: &str| site.files[file].len() as u64;
    let (snapshot, targets) = (length("1.snapshot.json"), length("1.targets.json"));
    let bounds = |site: &Site| {
        let mut client = site.client();
        let mut refresh = client.refresh(NOW);
        let mut bounds = Vec::new();
        while let Some(request) = refresh.next().unwrap() {
            refresh.receive(site.answer(&request.file)).unwrap();
            bounds.push(request.max_bytes);
        }
        bounds
    };
    assert_eq!(bounds(&site), [limits::MAX_ROOT_BYTES, limits::MAX_TIMESTAMP_BYTES, snapshot, targets]);
    site.hashed = false;
    site.publish(&["targets"]);
    assert_eq!(
        bounds(&site),
        [limits::MAX_ROOT_BYTES, limits::MAX_TIMESTAMP_BYTES, limits::MAX_SNAPSHOT_BYTES, limits::MAX_TARGETS_BYTES]
    );
    site.timestamp.snapshot.length = Some(limits::MAX_SNAPSHOT_BYTES + 1);
    site.publish_timestamp();
    let too_long = TrustError::TooLong { role: "snapshot".into(), limit: limits::MAX_SNAPSHOT_BYTES };
    assert_eq!(site.update(&mut site.client()), Err(too_long));
}

#[test]
fn endless_data_are_refused_before_they_are_read() {
    let site = Site::new();
    let endless = vec![b' '; usize::try_from(limits::MAX_TARGETS_BYTES).unwrap() + 1];
    for file in ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"] {
        let mut site = site.clone();
        site.files.insert(file.into(), endless.clone());
        let error = site.update(&mut site.client()).unwrap_err();
        assert!(matches!(error, TrustError::TooLong { .. }), "{file}: {error}");
    }
}

#[test]
fn errors_say_whose_metadata_and_what_to_do() {
    let mut site = Site::new();
    site.timestamp.expires = NOW;
    site.publish_timestamp();
    let error = site.update(&mut site.client()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the metadata of timestamp expired at 2023-11-14T22:13:20Z: the site has to sign it again, or this clock is wrong"
    );
}
