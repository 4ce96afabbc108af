use super::*;
use alloc::vec;
use farrier_protocol::ClientId;
use farrier_protocol::assignment::{Assessment, Schedule};

const NOW: UnixTime = 1_800_000_000;
const HOUR: UnixTime = 3_600;
const DAY: UnixTime = 24 * HOUR;

fn plugin(version: &str) -> AssignedPlugin {
    AssignedPlugin {
        name: bounded("dpkg"),
        version: bounded(version),
        target: bounded("plugins/dpkg"),
        digest: Digest::of(version.as_bytes()),
        read: heapless(),
    }
}

fn installer(version: &str) -> AssignedInstaller {
    AssignedInstaller {
        name: bounded("dpkg"),
        version: bounded(version),
        target: bounded("plugins/dpkg-installer"),
        digest: Digest::of(&[b"installer ", version.as_bytes()].concat()),
        read: heapless(),
        write: heapless(),
        run: heapless(),
    }
}

/// An empty list of whatever bound.
fn heapless<T: Default>() -> T {
    T::default()
}

/// The plugin in this version, with this one to fall back to; an installer of the same name in the same versions.
fn assigned(version: &str, fallback: Option<&str>) -> Box<Assignment> {
    let mut assignment = Box::new(Assignment::from(Assessment {
        client: ClientId([7; 16]),
        version: 1,
        issued_at: NOW,
        schedule: Schedule { poll_seconds: 900, scan_seconds: 21_600 },
        plugins: [plugin(version)].into_iter().collect(),
        catalogs: heapless(),
    }));
    assignment.installers.push(installer(version)).unwrap();
    if let Some(fallback) = fallback {
        assignment.fallbacks.push(Box::new(plugin(fallback))).unwrap();
        assignment.installer_fallbacks.push(Box::new(installer(fallback))).unwrap();
    }
    assignment
}

/// The version that is used, or nothing.
fn used(health: &Health, assignment: &Assignment, now: UnixTime) -> Option<String> {
    let choice = health.choose(&assignment.assessment.plugins[0], &assignment.fallbacks, now);
    choice.version().ok().map(|plugin| plugin.version.as_str().into())
}

/// What is said, in words.
fn said(fall_backs: &[FallBack]) -> Vec<String> {
    let word =
        |it: &FallBack| format!("{} for {} since {}: {}", it.version, it.failed_version, it.since - NOW, it.reason);
    fall_backs.iter().map(word).collect()
}

struct Client {
    health: Health,
    assignment: Box<Assignment>,
    now: UnixTime,
}

impl Client {
    fn new(version: &str, fallback: Option<&str>) -> Self {
        Self { health: Health::default(), assignment: assigned(version, fallback), now: NOW }
    }

    /// A scan with whatever version is used, an hour after the one before; and a power cut.
    fn scan(&mut self, conduct: Conduct) -> Vec<String> {
        let plugin = &self.assignment.assessment.plugins[0];
        let used = self.health.choose(plugin, &self.assignment.fallbacks, self.now).version().ok();
        let conducts = used.map(|used| (used.digest, conduct));
        let said = said(&self.health.note(&self.assignment, conducts, self.now));
        self.health = Health::decode(&self.health.encode()).unwrap();
        self.now += HOUR;
        said
    }

    fn traps(&mut self) -> Vec<String> {
        self.scan(Conduct::AtFault(bounded("it panicked at src/lib.rs:1:2: no version")))
    }

    fn used(&self) -> Option<String> {
        used(&self.health, &self.assignment, self.now)
    }
}

#[test]
fn three_failures_in_a_row_through_its_own_fault_and_another_version_is_used() {
    let mut client = Client::new("2", Some("1"));
    for _ in 0..2 {
        assert!(client.traps().is_empty());
        assert_eq!(client.used().as_deref(), Some("2"));
    }
    assert_eq!(client.traps(), ["1 for 2 since 7200: it panicked at src/lib.rs:1:2: no version"]);
    assert_eq!(client.used().as_deref(), Some("1"));
    for _ in 0..50 {
        assert!(client.scan(Conduct::Sound).is_empty(), "the site knows");
    }
    assert_eq!(client.used().as_deref(), Some("1"), "what one version does well says nothing of the other");
    assert_eq!(client.health.told().count(), 1);
}

#[test]
fn only_failures_in_a_row_and_only_its_own_count() {
    let mut client = Client::new("2", Some("1"));
    for _ in 0..10 {
        client.traps();
        client.traps();
        client.scan(Conduct::Sound);
        client.scan(Conduct::Unproven);
    }
    client.traps();
    client.scan(Conduct::Unproven);
    client.traps();
    assert_eq!(client.used().as_deref(), Some("2"));
    client.scan(Conduct::Unproven);
    client.traps();
    assert_eq!(client.used().as_deref(), Some("1"), "what proves nothing does not end a row either");
}

#[test]
fn a_newly_assigned_component_begins_with_nothing_against_it() {
    let mut client = Client::new("2", Some("1"));
    (0..3).for_each(|_| drop(client.traps()));
    client.assignment = assigned("3", Some("1"));
    assert_eq!(client.used().as_deref(), Some("3"));
    assert_eq!(client.scan(Conduct::Sound), [" for  since -1800000000: "], "the site hears that it is over");
    assert_eq!(client.health.told().count(), 0);
    client.assignment = assigned("2", Some("1"));
    assert_eq!(client.used().as_deref(), Some("2"), "also one that was there before, assigned again");
}

#[test]
fn a_fallback_that_fails_too_is_not_used_either() {
    let mut client = Client::new("2", Some("1"));
    (0..5).for_each(|_| drop(client.traps()));
    assert_eq!(client.used().as_deref(), Some("1"));
    assert_eq!(client.traps(), [" for 2 since 7200: it panicked at src/lib.rs:1:2: no version"]);
    assert_eq!(client.used(), None);
    let choice =
        client.health.choose(&client.assignment.assessment.plugins[0], &client.assignment.fallbacks, client.now);
    let reason = choice.version().unwrap_err();
    assert!(reason.contains("version 2 failed 3 times") && reason.contains("no version"), "{reason}");
}

#[test]
fn without_a_fallback_there_is_one_more_try_a_day() {
    let mut client = Client::new("2", None);
    (0..3).for_each(|_| drop(client.traps()));
    assert_eq!(client.used(), None);
    let hours = |client: &mut Client| {
        let begun = client.now;
        while client.used().is_none() {
            assert!(client.scan(Conduct::Unproven).is_empty());
        }
        (client.now - begun) / HOUR
    };
    assert_eq!(hours(&mut client), 23);
    assert!(client.traps().is_empty(), "nothing new to say");
    assert_eq!(hours(&mut client), 23, "one failure is enough to wait again");
    assert_eq!(client.scan(Conduct::Sound), [" for  since -1800000000: "]);
    assert_eq!(client.used().as_deref(), Some("2"));
    // A clock that is set back does not keep it from being tried.
    (0..3).for_each(|_| drop(client.traps()));
    client.now -= 1_000 * DAY;
    assert_eq!(client.used().as_deref(), Some("2"));
}

#[test]
fn an_installer_falls_back_by_itself() {
    let assignment = assigned("2", Some("1"));
    let mut health = Health::default();
    for _ in 0..3 {
        let conduct = Conduct::AtFault(bounded("trapped"));
        health.note(&assignment, [(assignment.installers[0].digest, conduct)], NOW);
    }
    let installer = health.choose(&assignment.installers[0], &assignment.installer_fallbacks, NOW);
    assert_eq!(installer.version().unwrap().version, "1");
    assert_eq!(used(&health, &assignment, NOW).as_deref(), Some("2"));
    let told: Vec<_> = health.told().collect();
    assert!(told[0].installer && told[0].plugin == "dpkg", "{told:?}");
}

#[test]
fn a_plugin_that_is_not_assigned_any_more_is_forgotten_and_the_site_told() {
    let mut client = Client::new("2", Some("1"));
    (0..3).for_each(|_| drop(client.traps()));
    client.assignment.assessment.plugins.clear();
    client.assignment.fallbacks.clear();
    let said = client.health.note(&client.assignment, [], client.now);
    assert_eq!((said.len(), said[0].failed_version.as_str()), (1, ""));
    assert_eq!(client.health, Health::default());
}

#[test]
fn what_is_stored_survives_and_what_cannot_be_understood_is_not_guessed() {
    let mut client = Client::new("2", None);
    (0..3).for_each(|_| drop(client.traps()));
    let good = client.health.encode();
    assert_eq!(Health::decode(&good).as_ref(), Ok(&client.health));
    assert_eq!(good[0], FORM);
    for end in 0..good.len() {
        assert_eq!(Health::decode(&good[..end]), Err(DamagedHealth), "the first {end} bytes");
    }
    assert_eq!(Health::decode(&[good.as_slice(), &[0]].concat()), Err(DamagedHealth));
    assert_eq!(Health::decode(&[&[FORM + 1], &good[1..]].concat()), Err(DamagedHealth));
    for position in 0..good.len() {
        for byte in 0..=u8::MAX {
            let mut bad = good.clone();
            bad[position] = byte;
            let _ = Health::decode(&bad);
        }
    }
}

#[test]
fn after_a_loss_the_site_is_told_afresh_of_every_plugin() {
    let mut client = Client::new("2", None);
    client.health = Health::lost(&client.assignment);
    assert_eq!(client.used().as_deref(), Some("2"));
    assert_eq!(client.health.told().count(), 0);
    let said = client.health.note(&client.assignment, [], client.now);
    let kinds: Vec<_> = said.iter().map(|it| (it.installer, it.failed_version.as_str())).collect();
    assert_eq!(kinds, vec![(false, ""), (true, "")]);
    assert!(client.health.note(&client.assignment, [], client.now).is_empty());
}
