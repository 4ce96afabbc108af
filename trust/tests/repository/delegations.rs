//! Who may say something about which target (sections 4.5 and 5.6.7).

use crate::site::{LATER, NOW, Site, held, key, named, role_of, versions};
use farrier_trust::{Paths, RoleKeys, SuccinctRoles, TrustError, limits};

/// A site with these delegations, all to roles with keys of their own. A `!` in front of a role makes its delegation
/// terminating.
fn site_with(delegations: &[(&str, &str, &[&str])]) -> Site {
    let mut site = Site::new();
    for (delegator, role, paths) in delegations {
        let name = role.trim_start_matches('!');
        let number = 20 + u8::try_from(name.bytes().map(usize::from).sum::<usize>() % 200).unwrap();
        site.delegate(delegator, name, number, paths).terminating = role.starts_with('!');
    }
    publish_all(&mut site);
    site
}

fn publish_all(site: &mut Site) {
    let roles: Vec<String> = site.roles.keys().cloned().collect();
    site.publish(&roles.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The roles that are asked, in their order, for a target that nobody has.
fn asked(site: &Site, path: &str) -> Vec<String> {
    let (found, asked) = site.search(&mut site.fresh_client(), path);
    assert_eq!(found, Ok(None), "{path}");
    asked.iter().map(|file| file.split('.').nth(1).unwrap().to_string()).collect()
}

#[test]
fn delegations_are_asked_in_their_order_and_each_before_the_next() {
    let all = &["*"][..];
    let first_level = &[("targets", "a", all), ("targets", "b", all)][..];
    for (more, expected) in [
        (&[][..], "a b"),
        (&[("a", "c", all), ("a", "d", all)], "a c d b"),
        (&[("a", "c", all), ("c", "d", all)], "a c d b"),
        (&[("b", "c", all)], "a b c"),
        (&[("a", "!c", all), ("a", "d", all)], "a c"),
        (&[("a", "!c", all), ("c", "d", all)], "a c d"),
        (&[("a", "d", all), ("a", "!c", all), ("a", "e", all)], "a d c"),
        (&[("a", "!c", &["other"]), ("a", "d", all)], "a d b"),
        (&[("b", "c", all), ("c", "d", all), ("d", "b", all)], "a b c d"),
        (&[("a", "a2", all), ("a2", "a", all)], "a a2 b"),
        (&[("a", "c", all), ("b", "c", all)], "a c b"),
        (&[("a", "c", &["*.py"]), ("b", "c", all)], "a b c"),
        (&[("a", "b", all), ("b", "!c", all), ("b", "d", all)], "a b c"),
    ] {
        let site = site_with(&[first_level, more].concat());
        assert_eq!(asked(&site, "path").join(" "), expected, "{more:?}");
    }
}

#[test]
fn a_target_is_what_the_first_role_on_the_way_says() {
    let mut site = site_with(&[("targets", "a", &["*/*"]), ("targets", "b", &["*/*"]), ("a", "c", &["x/*"])]);
    site.add_target("b", "x/1", b"of b");
    site.add_target("b", "x/2", b"of b");
    site.add_target("c", "x/1", b"of c");
    site.add_target("c", "y/1", b"c has no say in this");
    site.add_target("b", "y/1", b"of b");
    site.add_target("a", "top", b"a has no say in this");
    site.add_target("targets", "z/1", b"of targets");
    site.add_target("a", "z/1", b"of a");
    publish_all(&mut site);
    let mut client = site.fresh_client();
    for (path, role) in
        [("x/1", Some("c")), ("x/2", Some("b")), ("y/1", Some("b")), ("top", None), ("z/1", Some("targets"))]
    {
        assert_eq!(site.found_in(&mut client, path), Ok(role.map(Into::into)), "{path}");
        // What the search held answers without one.
        assert_eq!(client.target(path).map(|target| target.role).as_deref(), role);
    }
}

#[test]
fn every_delegation_on_the_way_must_be_about_the_target() {
    let mut site = site_with(&[("targets", "a", &["a/*"]), ("a", "b", &["*/*"])]);
    site.add_target("b", "a/1", b"");
    site.add_target("b", "b/1", b"");
    publish_all(&mut site);
    let mut client = site.fresh_client();
    assert_eq!(site.found_in(&mut client, "a/1"), Ok(Some("b".into())));
    assert_eq!(site.found_in(&mut client, "b/1"), Ok(None));
}

#[test]
fn a_terminating_delegation_keeps_others_from_answering() {
    let mut site = site_with(&[("targets", "!native", &["native/*/*"]), ("targets", "plugins", &["*/*/*"])]);
    site.add_target("plugins", "native/engine/1", b"of the wrong role");
    site.add_target("plugins", "plugins/dpkg/1", b"");
    publish_all(&mut site);
    let mut client = site.fresh_client();
    assert_eq!(site.found_in(&mut client, "native/engine/1"), Ok(None));
    assert_eq!(site.found_in(&mut client, "plugins/dpkg/1"), Ok(Some("plugins".into())));
}

#[test]
fn paths_can_be_delegated_by_the_beginning_of_their_digest() {
    // SHA-256 of "path" begins with a0af9f86.
    for (prefixes, is_asked) in [
        (&["a"][..], true),
        (&["a0af9f86"], true),
        (&["0", "a0a"], true),
        (&[""], true),
        (&["A0"], false),
        (&["b"], false),
        (&["a0af9f87"], false),
        (&[], false),
    ] {
        let mut site = site_with(&[("targets", "bin", &[])]);
        let delegations = site.roles.get_mut("targets").unwrap().delegations.as_mut().unwrap();
        delegations.roles[0].paths = Paths::HashPrefixes(prefixes.iter().map(|prefix| (*prefix).into()).collect());
        publish_all(&mut site);
        assert_eq!(!asked(&site, "path").is_empty(), is_asked, "{prefixes:?}");
    }
}

/// A way for the role `bad` to be of no use.
struct Defect {
    before_publication: fn(&mut Site),
    after_publication: fn(&mut Site),
    is_noticed: fn(&TrustError) -> bool,
}

const DEFECTS: [Defect; 7] = [
    Defect {
        before_publication: |_| {},
        after_publication: |site| _ = site.files.remove("2.bad.json"),
        is_noticed: |error| matches!(error, TrustError::MissingMetadata { .. }),
    },
    Defect {
        before_publication: |site| site.roles.get_mut("bad").unwrap().expires = NOW,
        after_publication: |_| {},
        is_noticed: |error| matches!(error, TrustError::Expired { .. }),
    },
    Defect {
        before_publication: |site| _ = site.signers.insert("bad".into(), vec![99]),
        after_publication: |_| {},
        is_noticed: |error| matches!(error, TrustError::Threshold { .. }),
    },
    Defect {
        before_publication: |_| {},
        after_publication: |site| _ = site.files.insert("2.bad.json".into(), b"{}".to_vec()),
        is_noticed: |error| matches!(error, TrustError::Malformed { .. }),
    },
    Defect {
        before_publication: |_| {},
        after_publication: |site| {
            site.snapshot.meta.remove("bad.json");
            site.publish(&[]);
        },
        is_noticed: |error| matches!(error, TrustError::NotInSnapshot { .. }),
    },
    Defect {
        before_publication: |_| {},
        after_publication: |site| {
            site.snapshot.meta.insert("bad.json".into(), named(9, None));
            site.publish(&[]);
        },
        is_noticed: |error| matches!(error, TrustError::MissingMetadata { .. }),
    },
    Defect {
        before_publication: |_| {},
        after_publication: |site| {
            site.snapshot.meta.get_mut("bad.json").unwrap().length = Some(u64::MAX);
            site.publish(&[]);
        },
        is_noticed: |error| matches!(error, TrustError::TooLong { .. }),
    },
];

#[test]
fn a_bad_role_touches_nothing_but_its_own_targets() {
    for (number, defect) in DEFECTS.iter().enumerate() {
        let mut site = site_with(&[("targets", "bad", &["bad/*"]), ("targets", "good", &["*/*"])]);
        site.hashed = false;
        site.add_target("good", "good/1", b"");
        site.add_target("good", "bad/1", b"the role before might have had something to say about this");
        (defect.before_publication)(&mut site);
        publish_all(&mut site);
        (defect.after_publication)(&mut site);
        let mut client = site.fresh_client();
        assert_eq!(site.found_in(&mut client, "good/1"), Ok(Some("good".into())), "{number}");
        let error = site.found_in(&mut client, "bad/1").unwrap_err();
        assert!((defect.is_noticed)(&error) && role_of(&error) == "bad", "{number}: {error}");
        assert_eq!(client.target("bad/1"), None);
        assert_eq!(site.found_in(&mut client, "good/1"), Ok(Some("good".into())), "{number}");
    }
}

#[test]
fn a_role_that_the_snapshot_does_not_list_is_not_asked_for() {
    let mut site = site_with(&[("targets", "new", &["new/*"])]);
    site.snapshot.meta.remove("new.json");
    site.publish(&[]);
    let (found, asked) = site.search(&mut site.fresh_client(), "new/1");
    assert_eq!(found, Err(TrustError::NotInSnapshot { role: "new".into() }));
    assert_eq!(asked, [""; 0]);
}

/// TAP 15: the first bits of a path's digest say who is asked, and nobody is after them.
#[test]
fn succinct_roles_share_out_everything() {
    for bit_length in [1, 3, 4, 7, 8, 9, 16, 32] {
        let mut site = Site::new();
        site.delegate("targets", "after", 30, &["*"]);
        let delegations = site.roles.get_mut("targets").unwrap().delegations.as_mut().unwrap();
        delegations.keys.insert(key(31).key_id(), key(31).public().to_key());
        let keys = RoleKeys::new(vec![key(31).key_id()], 1);
        delegations.roles.clear();
        let roles = SuccinctRoles { bit_length, name_prefix: "bin".into(), keys };
        let digits = bit_length.div_ceil(4) as usize;
        let digest = format!("{}", farrier_protocol::Digest::of(b"a/path"));
        let number = u64::from_str_radix(&digest[..8], 16).unwrap() >> (32 - bit_length);
        let name = format!("bin-{number:0digits$x}");
        assert_eq!(roles.role_of("a/path"), name);
        for (name, is_one) in [
            (name.as_str(), true),
            (&*format!("bin-{:0digits$x}", (1_u64 << bit_length) - 1), true),
            (&*format!("bin-{:x}", 1_u64 << bit_length), false),
            (&*format!("bin-0{number:0digits$x}"), false),
            (&*format!("bin-+{number:0$x}", digits - 1), false),
            ("bin", false),
            ("bin-", false),
            ("after", false),
        ] {
            assert_eq!(roles.has(name), is_one, "{bit_length} {name}");
        }
        delegations.succinct = Some(roles);
        site.roles.insert(name.clone(), site.roles["after"].clone());
        site.signers.insert(name.clone(), vec![31]);
        site.add_target(&name, "a/path", b"content");
        publish_all(&mut site);
        let mut client = site.fresh_client();
        assert_eq!(site.found_in(&mut client, "a/path"), Ok(Some(name.clone())), "{bit_length}");
        // What is stored of it is of use again.
        let stored: Vec<(String, Vec<u8>)> =
            client.metadata().map(|(role, bytes)| (role.to_string(), bytes.to_vec())).collect();
        let mut again = farrier_trust::Client::new(&stored[0].1, client.floors()).unwrap();
        stored[1..].iter().for_each(|(role, bytes)| again.restore(role, bytes).unwrap());
        assert!(again.target("a/path").is_some());
        site.signers.insert(name.clone(), vec![30]);
        publish_all(&mut site);
        let (found, _) = site.search(&mut site.fresh_client(), "a/path");
        assert!(matches!(found, Err(TrustError::Threshold { .. })), "{found:?}");
    }
}

#[test]
fn searches_are_bounded() {
    let names: Vec<String> = (0..=limits::MAX_DELEGATED_ROLES).map(|number| format!("r{number}")).collect();
    let mut site = Site::new();
    let mut delegator = "targets".to_string();
    for name in &names {
        site.delegate(&delegator, name, 9, &["*"]);
        delegator.clone_from(name);
    }
    let most = limits::MAX_DELEGATED_ROLES as usize;
    site.add_target(&names[most - 1], "reached", b"");
    site.add_target(&names[most], "too far", b"");
    publish_all(&mut site);
    let mut client = site.fresh_client();
    assert_eq!(site.found_in(&mut client, "reached"), Ok(Some(names[most - 1].clone())));
    let refused = TrustError::TooManyDelegations { path: "too far".into(), limit: limits::MAX_DELEGATED_ROLES };
    assert_eq!(site.found_in(&mut client, "too far"), Err(refused));
    let (_, asked) = site.search(&mut site.fresh_client(), "too far");
    assert_eq!(asked.len(), most);
}

#[test]
fn a_role_is_fetched_once_while_its_version_stays() {
    let mut site = site_with(&[("targets", "a", &["a/*"]), ("targets", "b", &["b/*"])]);
    let mut client = site.fresh_client();
    assert_eq!(site.search(&mut client, "a/1").1, ["1.a.json"]);
    assert_eq!(site.search(&mut client, "a/2").1, [""; 0]);
    site.publish(&["b", "targets"]);
    site.update(&mut client).unwrap();
    assert_eq!(site.search(&mut client, "a/1").1, [""; 0]);
    site.publish(&["a"]);
    site.update(&mut client).unwrap();
    assert_eq!(site.search(&mut client, "a/1").1, ["2.a.json"]);
    let all = [("root", 1), ("timestamp", 4), ("snapshot", 4), ("targets", 3), ("a", 2)];
    assert_eq!(held(&client), versions(&all));
}

#[test]
fn a_role_is_good_only_for_the_delegations_that_its_signatures_fit() {
    let mut site = site_with(&[("targets", "a", &["a/*"]), ("targets", "b", &["b/*"])]);
    site.delegate("a", "shared", 9, &["a/*"]);
    site.delegate("b", "shared", 10, &["b/*"]);
    site.signers.insert("shared".into(), vec![9]);
    site.add_target("shared", "a/1", b"");
    site.add_target("shared", "b/1", b"");
    publish_all(&mut site);
    let mut client = site.fresh_client();
    assert_eq!(site.found_in(&mut client, "a/1"), Ok(Some("shared".into())));
    let refused = TrustError::Threshold { role: "shared".into(), valid: 0, needed: 1 };
    assert_eq!(site.found_in(&mut client, "b/1"), Err(refused.clone()));
    assert_eq!(client.target("b/1"), None);
    // Also for a client that never went the other way.
    assert_eq!(site.found_in(&mut site.fresh_client(), "b/1"), Err(refused));
    assert_eq!(site.found_in(&mut client, "a/1"), Ok(Some("shared".into())));

    site.signers.insert("shared".into(), vec![9, 10]);
    site.publish(&["shared"]);
    site.update(&mut client).unwrap();
    assert_eq!(site.search(&mut client, "a/1").1, ["2.shared.json"]);
    assert_eq!(site.search(&mut client, "b/1").1, [""; 0]);
    assert!(client.target("a/1").is_some() && client.target("b/1").is_some());
}

#[test]
fn a_taken_away_key_takes_away_the_role_that_it_signed() {
    let mut site = site_with(&[]);
    site.hashed = false;
    site.delegate("targets", "a", 9, &["a/*"]);
    site.add_target("a", "a/1", b"");
    publish_all(&mut site);
    let mut client = site.fresh_client();
    assert_eq!(site.found_in(&mut client, "a/1"), Ok(Some("a".into())));

    let delegations = site.roles.get_mut("targets").unwrap().delegations.as_mut().unwrap();
    delegations.keys = [(key(10).key_id(), key(10).public().to_key())].into();
    delegations.roles[0].keys = RoleKeys::new(vec![key(10).key_id()], 1);
    site.publish(&["targets"]);
    site.update(&mut client).unwrap();
    assert_eq!(client.target("a/1"), None);
    assert_eq!(role_of(&site.found_in(&mut client, "a/1").unwrap_err()), "a");

    // The same version, signed by the new key.
    site.signers.insert("a".into(), vec![10]);
    site.roles.get_mut("a").unwrap().version -= 1;
    site.publish_role("a");
    assert_eq!(site.found_in(&mut client, "a/1"), Ok(Some("a".into())));
}

#[test]
fn a_role_that_is_no_longer_delegated_to_says_nothing() {
    let mut site = site_with(&[("targets", "a", &["a/*"])]);
    site.add_target("a", "a/1", b"");
    site.publish(&["a"]);
    let mut client = site.fresh_client();
    assert!(site.found_in(&mut client, "a/1").unwrap().is_some());
    site.roles.get_mut("targets").unwrap().delegations = None;
    site.publish(&["targets"]);
    site.update(&mut client).unwrap();
    assert_eq!(site.found_in(&mut client, "a/1"), Ok(None));
    assert_eq!(client.target("a/1"), None);
    assert_eq!(client.metadata().count(), 4);
}

#[test]
fn thresholds_of_delegations_hold() {
    let mut site = site_with(&[]);
    site.delegate("targets", "a", 9, &["*"]);
    let delegations = site.roles.get_mut("targets").unwrap().delegations.as_mut().unwrap();
    delegations.keys.insert(key(10).key_id(), key(10).public().to_key());
    delegations.roles[0].keys = RoleKeys::new(vec![key(9).key_id(), key(10).key_id()], 2);
    for (signers, is_fine) in
        [(&[9][..], false), (&[10], false), (&[9, 11], false), (&[9, 10], true), (&[10, 11, 9], true)]
    {
        site.signers.insert("a".into(), signers.to_vec());
        publish_all(&mut site);
        let found = site.found_in(&mut site.fresh_client(), "anything");
        assert_eq!(found.is_ok(), is_fine, "{signers:?}");
    }
}

#[test]
fn names_of_roles_are_encoded_in_requests() {
    for (role, file) in [
        ("?", "1.%3F.json"),
        ("#", "1.%23.json"),
        ("/role", "1.%2Frole.json"),
        ("../role", "1...%2Frole.json"),
        ("1.root", "1.1.root.json"),
        ("ä b", "1.%C3%A4%20b.json"),
    ] {
        let site = site_with(&[("targets", role, &["*"])]);
        let (found, asked) = site.search(&mut site.fresh_client(), "path");
        assert_eq!((found, asked), (Ok(None), vec![file.to_string()]));
    }
}

#[test]
fn a_search_needs_a_refresh_and_its_own_answers() {
    let site = site_with(&[("targets", "a", &["*"])]);
    let mut client = site.client();
    let mut search = client.search("path", NOW);
    assert_eq!(search.next(), Err(TrustError::MissingMetadata { role: "timestamp".into() }));

    let mut client = site.fresh_client();
    let mut search = client.search("path", NOW);
    assert_eq!(search.receive(site.answer("1.a.json")), Err(TrustError::OutOfOrder));
    let mut search = client.search("path", NOW);
    search.next().unwrap();
    assert_eq!(search.finish(), Err(TrustError::OutOfOrder));

    // Asked twice, it asks for the same.
    let mut search = client.search("path", NOW);
    assert_eq!(search.next(), search.next());
    search.receive(site.answer("1.a.json")).unwrap();
    assert_eq!(search.next(), Ok(None));
    assert_eq!(search.next(), Ok(None));
    assert_eq!(search.finish(), Ok(None));
}

#[test]
fn a_role_that_expires_while_it_is_held_is_asked_for_again() {
    let mut site = site_with(&[("targets", "a", &["*"])]);
    site.hashed = false;
    site.roles.get_mut("a").unwrap().expires = NOW + 1;
    site.publish(&["a"]);
    let mut client = site.fresh_client();
    site.search(&mut client, "path").0.unwrap();
    let mut search = client.search("path", NOW + 1);
    assert_eq!(search.next().unwrap().unwrap().file, "2.a.json");
    site.roles.get_mut("a").unwrap().expires = LATER;
    site.roles.get_mut("a").unwrap().version = 1;
    site.publish_role("a");
    search.receive(site.answer("2.a.json")).unwrap();
    assert_eq!(search.next(), Ok(None));
}
