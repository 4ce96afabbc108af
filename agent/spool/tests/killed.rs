//! A client that is killed at any moment loses no message and no step of an installation.
#![allow(clippy::unwrap_used)]

mod site;

use site::{FIRST_STREAM, OWNER, Random, Site, assert_nothing_is_lost, step};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Set in the child: the folder to work in.
const CHILD: &str = "FARRIER_SPOOL_TEST_CHILD";
const KILLS: u64 = 60;
/// On a machine with much else to do a child may not even have begun when it is killed.
const MAX_KILLS: u64 = 600;

/// The site as it is after the batches it committed; a batch that the kill cut off was never acknowledged, and is cut off
/// the log.
fn committed(log: &Path) -> Site {
    let bytes = fs::read(log).unwrap_or_default();
    let (mut rest, mut site) = (bytes.as_slice(), Site::default());
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let Some((body, tail)) = tail.split_at_checked(u32::from_le_bytes(*length) as usize) else { break };
        site.take(body);
        rest = tail;
    }
    if !rest.is_empty() {
        let log = OpenOptions::new().write(true).open(log).unwrap();
        log.set_len((bytes.len() - rest.len()) as u64).unwrap();
    }
    site
}

/// The child: scans, sends and restarts until it is killed. Not a test of its own.
#[test]
fn child_that_works_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let folder = Path::new(&folder);
    let log = folder.join("site");
    let mut site = committed(&log);
    let mut file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
    let mut random = Random(u64::from(std::process::id()));
    let spool = farrier_spool::Spool::open(&folder.join("spool.redb"), OWNER, FIRST_STREAM).unwrap();
    println!("ready");
    loop {
        let send = |body: &[u8]| {
            file.write_all(&[&(body.len() as u32).to_le_bytes(), body].concat()).unwrap();
            site.take(body)
        };
        step(&spool, &mut random, send).unwrap();
    }
}

#[test]
fn a_killed_client_loses_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(11);
    let did_something = |site: &Site| site.states.len() > 1 && site.jobs.len() > 1 && !site.shadows.is_empty();
    let mut reached = Site::default();
    for kills in 0..MAX_KILLS {
        if kills >= KILLS && did_something(&reached) {
            break;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_works_until_it_is_killed"])
            .env(CHILD, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(random.below(60_000)));
        child.kill().unwrap();
        child.wait().unwrap();

        let site = committed(&folder.path().join("site"));
        let spool = farrier_spool::Spool::open(&folder.path().join("spool.redb"), OWNER, FIRST_STREAM).unwrap();
        assert_nothing_is_lost(&spool, &site);
        reached = site;
    }
    assert!(did_something(&reached), "the child did something");
}
