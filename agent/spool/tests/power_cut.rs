//! The power fails at every single write, and what was not synchronized is gone, wholly or in part.
#![allow(clippy::unwrap_used)]

mod site;

use farrier_spool::Spool;
use redb::StorageBackend;
use site::{FIRST_STREAM, OWNER, Random, Site, assert_nothing_is_lost, step};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

const STEPS: usize = 20;
/// The unit that a disk writes whole.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

#[derive(Debug, Default)]
struct Medium {
    /// What reading gives while the power is on.
    current: Vec<u8>,
    /// What a synchronization made durable.
    durable: Vec<u8>,
    /// What happened since.
    unsynchronized: Vec<Change>,
    /// Changes until the power fails; none: never.
    left: Option<usize>,
}

/// A disk whose power fails.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<Medium>>);

/// What of the unsynchronized changes reaches the medium nevertheless.
#[derive(Debug, Clone, Copy)]
enum Luck {
    None,
    All,
    /// Some, and of those some only up to a sector.
    Some(u64),
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Resize(length) => bytes.resize(*length, 0),
        Change::Write(offset, data) => {
            bytes.resize(bytes.len().max(offset + data.len()), 0);
            bytes[*offset..offset + data.len()].copy_from_slice(data);
        }
    }
}

impl Disk {
    fn with(bytes: Vec<u8>, left: Option<usize>) -> Self {
        Self(Arc::new(Mutex::new(Medium { current: bytes.clone(), durable: bytes, left, ..Medium::default() })))
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut medium = self.0.lock().unwrap();
        match &mut medium.left {
            Some(0) => return Err(io::Error::other("the power is out")),
            Some(left) => *left -= 1,
            None => {}
        }
        apply(&mut medium.current, &change);
        medium.unsynchronized.push(change);
        Ok(())
    }

    /// The disk as it is when the power is back.
    fn after_the_cut(&self, luck: Luck) -> Self {
        let medium = self.0.lock().unwrap();
        let mut bytes = medium.durable.clone();
        let mut random = Random(if let Luck::Some(seed) = luck { seed } else { 0 });
        for change in &medium.unsynchronized {
            match (luck, change) {
                (Luck::None, _) => break,
                (Luck::All, change) => apply(&mut bytes, change),
                (Luck::Some(_), change) => match (random.below(3), change) {
                    (0, _) => {}
                    (1, Change::Write(offset, data)) => {
                        let sectors = random.below(1 + (data.len() / SECTOR_BYTES) as u64) as usize;
                        apply(&mut bytes, &Change::Write(*offset, data[..sectors * SECTOR_BYTES].to_vec()));
                    }
                    _ => apply(&mut bytes, change),
                },
            }
        }
        Self::with(bytes, None)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let medium = self.0.lock().unwrap();
        let start = offset as usize;
        let bytes = medium.current.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Resize(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut medium = self.0.lock().unwrap();
        if medium.left == Some(0) {
            return Err(io::Error::other("the power is out"));
        }
        medium.durable = medium.current.clone();
        medium.unsynchronized.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset as usize, data.to_vec()))
    }
}

fn open(disk: &Disk) -> Result<Spool, farrier_spool::SpoolError> {
    Spool::open_on(disk.clone(), Path::new("disk"), OWNER, FIRST_STREAM)
}

/// Works on a disk until its power fails; what the site committed stays committed. True when nothing failed.
fn work(disk: &Disk, site: &mut Site) -> bool {
    let mut random = Random(5);
    let Ok(spool) = open(disk) else { return false };
    (0..STEPS).all(|_| step(&spool, &mut random, |body| site.take(body)).is_ok())
}

#[test]
fn a_power_cut_at_any_write_loses_no_message_and_no_step_of_an_installation() {
    let new = Disk::default();
    drop(open(&new).unwrap());
    let new = new.0.lock().unwrap().durable.clone();
    let mut cuts = 0;
    for changes in 0.. {
        let disk = Disk::with(new.clone(), Some(changes));
        let mut site = Site::default();
        if work(&disk, &mut site) {
            assert!(!site.states.is_empty() && !site.jobs.is_empty(), "the client did something");
            break;
        }
        for luck in [Luck::None, Luck::All, Luck::Some(changes as u64), Luck::Some(!changes as u64)] {
            let spool =
                open(&disk.after_the_cut(luck)).unwrap_or_else(|error| panic!("cut {changes}, {luck:?}: {error:?}"));
            assert_nothing_is_lost(&spool, &site);
            cuts += 1;
        }
    }
    assert!(cuts > 200, "{cuts} cuts");
}
