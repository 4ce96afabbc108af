//! What a download survives, and what it refuses.

use super::fake_mirror::{Behaviour, FakeMirror};
use super::{World, wait};
use crate::download::{Downloads, Fetched, Obstacle, Wanted};
use farrier_protocol::Digest;
use farrier_protocol::deployment::ContentSource;
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

const PATH: &str = "pool/main/o/openssl/libssl3.deb";
const SITE: ContentSource = ContentSource::DistributionPoint;
const UPSTREAM: ContentSource = ContentSource::Upstream;

/// A file at a site and at a mirror.
struct Depot {
    world: World,
    mirror: FakeMirror,
    file: Vec<u8>,
}

impl Depot {
    fn new() -> Self {
        let (world, mirror) = (World::enrolled(), FakeMirror::start());
        let file: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        mirror.put(PATH, &file);
        world.site.shared().contents.insert(Digest::of(&file), file.clone());
        Self { world, mirror, file }
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.file)
    }

    fn wanted<'a>(&self, sources: &'a [ContentSource]) -> Wanted<'a> {
        let url = Some(format!("{}{PATH}", self.mirror.address));
        Wanted { digest: self.digest(), length: self.file.len() as u64, url, sources }
    }

    fn open(&self) -> Downloads {
        Downloads::open(&self.world.agent).unwrap()
    }

    /// A slice of a minute, which is never used up.
    fn advance(&self, downloads: &mut Downloads, sources: &[ContentSource]) -> (Fetched, u64) {
        self.slice(downloads, sources, Instant::now() + Duration::from_secs(60))
    }

    fn slice(&self, downloads: &mut Downloads, sources: &[ContentSource], until: Instant) -> (Fetched, u64) {
        let site = self.world.agent.session().unwrap().site().unwrap();
        wait(downloads.advance(&self.wanted(sources), &BTreeSet::new(), &site, until))
    }

    fn assert_whole(&self) {
        let file = self.world.agent.layout.updates().join(self.digest().to_string());
        assert!(fs::read(file).unwrap() == self.file);
    }
}

fn reason(outcome: &(Fetched, u64)) -> String {
    match &outcome.0 {
        Fetched::Blocked(obstacle) => obstacle.to_string(),
        fetched => panic!("this was to be refused: {fetched:?}"),
    }
}

#[test]
fn the_first_source_that_has_it_is_used() {
    let depot = Depot::new();
    let length = depot.file.len() as u64;
    assert_eq!(depot.advance(&mut depot.open(), &[SITE, UPSTREAM]), (Fetched::Complete, length));
    depot.assert_whole();
    assert!(depot.mirror.shared().requests.is_empty());
    assert_eq!(depot.advance(&mut depot.open(), &[UPSTREAM]), (Fetched::Complete, 0), "what is here is not asked for");
    assert!(depot.mirror.shared().requests.is_empty());
}

#[test]
fn a_mirror_that_dies_in_the_middle_is_asked_for_the_rest() {
    let depot = Depot::new();
    let mut downloads = depot.open();
    depot.mirror.shared().behaviour.cut_after = Some(150_000);
    let outcome = depot.advance(&mut downloads, &[UPSTREAM]);
    assert!(reason(&outcome).contains("stopped sending") && reason(&outcome).contains(PATH), "{outcome:?}");
    assert_eq!(outcome.1, 150_000);
    depot.mirror.shared().behaviour = Behaviour::default();
    assert_eq!(depot.advance(&mut depot.open(), &[UPSTREAM]), (Fetched::Complete, 250_000));
    depot.assert_whole();
    assert_eq!(depot.mirror.shared().requests[1], (PATH.to_owned(), Some("bytes=150000-".to_owned())));
}

#[test]
fn what_one_source_began_another_finishes() {
    let depot = Depot::new();
    depot.world.site.shared().content_behaviour.cut_after = Some(100_000);
    let outcome = depot.advance(&mut depot.open(), &[SITE, UPSTREAM]);
    assert_eq!(outcome, (Fetched::Complete, 400_000));
    assert_eq!(depot.mirror.shared().requests, [(PATH.to_owned(), Some("bytes=100000-".to_owned()))]);
    depot.assert_whole();
}

#[test]
fn a_mirror_without_ranges_sends_everything_again() {
    let depot = Depot::new();
    depot.mirror.shared().behaviour = Behaviour { no_ranges: true, cut_after: Some(100_000), ..Behaviour::default() };
    depot.advance(&mut depot.open(), &[UPSTREAM]);
    depot.mirror.shared().behaviour.cut_after = None;
    assert_eq!(depot.advance(&mut depot.open(), &[UPSTREAM]), (Fetched::Complete, 400_000));
    depot.assert_whole();
}

#[test]
fn tampered_content_is_refused_and_the_next_source_asked() {
    let depot = Depot::new();
    let mut tampered = depot.file.clone();
    tampered[7] ^= 1;
    depot.mirror.put(PATH, &tampered);
    let outcome = depot.advance(&mut depot.open(), &[UPSTREAM]);
    assert!(reason(&outcome).contains("tampered"), "{outcome:?}");
    assert_eq!(fs::read_dir(depot.world.agent.layout.updates()).unwrap().count(), 0, "nothing of it stays");
    assert_eq!(depot.advance(&mut depot.open(), &[UPSTREAM, SITE]).0, Fetched::Complete);
    depot.assert_whole();
}

#[test]
fn a_beginning_that_rotted_on_disk_is_not_blamed_on_the_source() {
    let depot = Depot::new();
    depot.mirror.shared().behaviour.cut_after = Some(100_000);
    depot.advance(&mut depot.open(), &[UPSTREAM]);
    let partial = depot.world.agent.layout.updates().join(format!("{}.partial", depot.digest()));
    fs::write(&partial, vec![0; 100_000]).unwrap();
    depot.mirror.shared().behaviour.cut_after = None;
    assert_eq!(depot.advance(&mut depot.open(), &[UPSTREAM]), (Fetched::Complete, 300_000 + 400_000));
    depot.assert_whole();
}

#[test]
fn a_file_of_another_length_is_not_even_downloaded() {
    let depot = Depot::new();
    for length in [depot.file.len() - 1, depot.file.len() + 1] {
        let mut other = depot.file.clone();
        other.resize(length, 0);
        depot.mirror.put(PATH, &other);
        let outcome = depot.advance(&mut depot.open(), &[UPSTREAM]);
        assert!(reason(&outcome).contains("another length"), "{outcome:?}");
        assert_eq!(outcome.1, 0);
    }
}

#[test]
fn a_site_that_does_not_have_it_yet_says_when_to_ask_again() {
    let depot = Depot::new();
    depot.world.site.shared().content_behaviour.refusal = Some("503 Service Unavailable");
    let (fetched, _) = depot.advance(&mut depot.open(), &[SITE]);
    let Fetched::Blocked(Obstacle::NoSource { reason, retry_after_seconds }) = fetched else { panic!("{fetched:?}") };
    assert_eq!((reason.as_str(), retry_after_seconds), ("the site does not have it yet", Some(120)));
    depot.mirror.shared().files.clear();
    let outcome = depot.advance(&mut depot.open(), &[SITE, UPSTREAM]);
    assert!(reason.contains("the site") && self::reason(&outcome).contains("does not have it"), "{outcome:?}");
}

#[test]
fn a_download_goes_on_from_slice_to_slice_over_one_connection() {
    let depot = Depot::new();
    let mut downloads = depot.open();
    let (mut slices, mut received) = (1, 0);
    while let (Fetched::More, bytes) = depot.slice(&mut downloads, &[UPSTREAM], Instant::now()) {
        (slices, received) = (slices + 1, received + bytes);
    }
    assert!(slices > 2 && received > 0, "{slices} slices");
    assert_eq!(depot.mirror.shared().requests.len(), 1);
    depot.assert_whole();
}

#[test]
fn a_days_quota_ends_a_download_and_the_next_day_goes_on() {
    let mut depot = Depot::new();
    depot.world.agent.config.downloads.bytes_per_day = Some(100_000);
    let outcome = depot.advance(&mut depot.open(), &[UPSTREAM]);
    assert!(matches!(outcome.0, Fetched::Blocked(Obstacle::QuotaUsed { .. })), "{outcome:?}");
    assert!((100_000..400_000).contains(&outcome.1), "{outcome:?}");
    let again = depot.advance(&mut depot.open(), &[UPSTREAM]);
    assert!(matches!(again, (Fetched::Blocked(Obstacle::QuotaUsed { .. }), 0)), "a restart is no new day: {again:?}");
    fs::remove_file(depot.world.agent.layout.download_quota()).unwrap();
    depot.world.agent.config.downloads.bytes_per_day = None;
    assert_eq!(depot.advance(&mut depot.open(), &[UPSTREAM]), (Fetched::Complete, 400_000 - outcome.1));
}

#[test]
fn what_does_not_fit_the_cache_is_not_begun() {
    let mut depot = Depot::new();
    depot.world.agent.config.downloads.cache_bytes = 399_999;
    let outcome = depot.advance(&mut depot.open(), &[UPSTREAM]);
    assert!(matches!(outcome.0, Fetched::Blocked(Obstacle::CacheFull { .. })), "{outcome:?}");
    assert!(depot.mirror.shared().requests.is_empty());
}
