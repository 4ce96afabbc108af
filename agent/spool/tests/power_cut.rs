//! The power fails, or the disk is full, at every single write; and after a power cut what was not synchronized is gone,
//! wholly or in part.
#![allow(clippy::unwrap_used)]

mod disk;
mod site;

use disk::{Disk, End, Luck};
use site::{Random, Site, adopt, assert_nothing_is_lost, policy, step};

const STEPS: usize = 20;
/// Policies that a client adopts one after the other.
const POLICIES: u8 = 4;

/// A disk with a new spool.
fn new_spool() -> Vec<u8> {
    let new = Disk::default();
    drop(new.open().unwrap());
    new.durable()
}

/// Works on a disk until its power fails; what the site committed stays committed. True when nothing failed.
fn work(disk: &Disk, site: &mut Site) -> bool {
    let mut random = Random(5);
    let Ok(spool) = disk.open() else { return false };
    (0..STEPS).all(|_| step(&spool, &mut random, |body| site.take(body)).is_ok())
}

#[test]
fn a_power_cut_at_any_write_loses_no_message_and_no_step_of_an_installation() {
    let new = new_spool();
    let mut cuts = 0;
    for changes in 0.. {
        let disk = Disk::with(new.clone(), Some(changes), End::PowerCut);
        let mut site = Site::default();
        if work(&disk, &mut site) {
            assert!(!site.states.is_empty() && !site.jobs.is_empty(), "the client did something");
            break;
        }
        for luck in luck(changes) {
            let spool =
                disk.after_the_cut(luck).open().unwrap_or_else(|error| panic!("cut {changes}, {luck:?}: {error:?}"));
            assert_nothing_is_lost(&spool, &site);
            cuts += 1;
        }
    }
    assert!(cuts > 200, "{cuts} cuts");
}

fn luck(changes: usize) -> [Luck; 4] {
    [Luck::None, Luck::All, Luck::Some(changes as u64), Luck::Some(!changes as u64)]
}

/// Adopts one policy after the other until that fails. Returns the last one that was taken.
fn adopt_all(disk: &Disk) -> u8 {
    let Ok(spool) = disk.open() else { return 0 };
    (1..=POLICIES).take_while(|number| adopt(&spool, *number).is_ok()).last().unwrap_or_default()
}

#[test]
fn a_power_cut_at_any_write_leaves_the_last_policy_or_the_next_one() {
    let new = new_spool();
    let mut torn = 0;
    for changes in 0.. {
        let disk = Disk::with(new.clone(), Some(changes), End::PowerCut);
        let adopted = adopt_all(&disk);
        if adopted == POLICIES {
            break;
        }
        for luck in luck(changes) {
            let spool = disk.after_the_cut(luck).open().unwrap();
            let found = policy(&spool);
            assert!(found == adopted || found == adopted + 1, "cut {changes}, {luck:?}: {found} after {adopted}");
            adopt(&spool, found + 1).unwrap();
            assert_eq!(policy(&spool), found + 1);
            torn += 1;
        }
    }
    assert!(torn > 40, "{torn} cuts");
}

#[test]
fn a_disk_that_is_full_at_any_write_leaves_the_last_policy_and_takes_the_next_one_when_there_is_room() {
    let new = new_spool();
    let mut refused = 0;
    for changes in 0.. {
        let disk = Disk::with(new.clone(), Some(changes), End::Full);
        let adopted = adopt_all(&disk);
        if adopted == POLICIES {
            break;
        }
        disk.make_room();
        let spool = disk.open().unwrap();
        let found = policy(&spool);
        assert!(found == adopted || found == adopted + 1, "full at {changes}: {found} after {adopted}");
        adopt(&spool, found + 1).unwrap();
        assert_eq!(policy(&spool), found + 1);
        refused += 1;
    }
    assert!(refused > 10, "{refused} full disks");
}
