//! Expiry: nothing new on the strength of what expired.

use crate::site::{LATER, NOW, Site, held, role_of, versions};
use farrier_trust::TrustError;

/// A second version of everything, in which one role has expired.
fn site_with_expired(role: &str) -> Site {
    let mut site = Site::new();
    match role {
        "timestamp" => site.timestamp.expires = NOW,
        "snapshot" => site.snapshot.expires = NOW,
        _ => site.roles.get_mut(role).unwrap().expires = NOW,
    }
    site.publish(&["targets"]);
    site
}

#[test]
fn an_expired_role_is_not_taken_but_those_before_it_are() {
    let all = [("root", 1), ("timestamp", 2), ("snapshot", 2), ("targets", 2)];
    for (role, taken) in [("timestamp", 1), ("snapshot", 2), ("targets", 3)] {
        let site = site_with_expired(role);
        let mut client = site.client();
        assert_eq!(site.update(&mut client), Err(TrustError::Expired { role: role.into(), at: NOW }));
        assert_eq!(held(&client), versions(&all[..taken]));
    }
}

#[test]
fn metadata_are_good_until_the_last_second() {
    for role in ["timestamp", "snapshot", "targets"] {
        let site = site_with_expired(role);
        site.update_at(&mut site.client(), NOW - 1).unwrap();
        site.update_at(&mut site.client(), NOW).unwrap_err();
    }
}

#[test]
fn an_expired_version_does_not_raise_the_floors() {
    let mut site = site_with_expired("timestamp");
    let mut client = site.client();
    site.update(&mut client).unwrap_err();
    assert_eq!(client.floors().timestamp, 0);

    site = site_with_expired("snapshot");
    client = site.client();
    site.update(&mut client).unwrap_err();
    assert_eq!(client.floors().roles, []);
}

#[test]
fn a_repository_that_nobody_signs_any_more_is_noticed() {
    let site = Site::new();
    let mut client = site.fresh_client();
    let error = site.update_at(&mut client, LATER).unwrap_err();
    assert_eq!(error, TrustError::Expired { role: "root".into(), at: LATER });
    let mut search = client.search("anything", LATER);
    assert_eq!(search.next(), Err(error.clone()));
    assert_eq!(search.finish(), Err(error));
}

#[test]
fn a_frozen_timestamp_is_noticed_though_its_version_is_the_same() {
    let mut site = Site::new();
    site.timestamp.expires = NOW + 10;
    site.publish_timestamp();
    let mut client = site.fresh_client();
    site.update_at(&mut client, NOW + 9).unwrap();
    let error = site.update_at(&mut client, NOW + 10).unwrap_err();
    assert_eq!(error, TrustError::Expired { role: "timestamp".into(), at: NOW + 10 });
}

#[test]
fn what_is_held_and_expired_is_asked_for_again() {
    for role in ["snapshot", "targets"] {
        let mut site = Site::new();
        site.hashed = false;
        site.snapshot.expires = if role == "snapshot" { NOW + 10 } else { LATER };
        site.roles.get_mut("targets").unwrap().expires = if role == "targets" { NOW + 10 } else { LATER };
        site.publish(&["targets"]);
        let mut client = site.fresh_client();
        let error = site.update_at(&mut client, NOW + 10).unwrap_err();
        assert_eq!(error, TrustError::Expired { role: role.into(), at: NOW + 10 });

        site.snapshot.expires = LATER;
        site.roles.get_mut("targets").unwrap().expires = LATER;
        site.publish(&["targets"]);
        site.update_at(&mut client, NOW + 10).unwrap();
    }
}

#[test]
fn the_time_stays_the_same_all_through_an_update() {
    let mut site = Site::new();
    site.timestamp.expires = NOW + 1;
    site.publish_timestamp();
    let mut client = site.client();
    // However long it takes to fetch, the update goes by the time at which it began.
    site.update_at(&mut client, NOW).unwrap();
    assert_eq!(client.expires(), Some(NOW + 1));
}

#[test]
fn searches_look_at_the_time_again() {
    let mut site = Site::new();
    site.add_target("targets", "a", b"");
    site.timestamp.expires = NOW + 1;
    site.publish(&["targets"]);
    let mut client = site.fresh_client();
    let mut search = client.search("a", NOW + 1);
    assert_eq!(role_of(&search.next().unwrap_err()), "timestamp");
    assert!(client.target("a").is_some());
}
