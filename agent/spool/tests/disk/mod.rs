//! A disk in memory whose power fails, or that becomes full.
#![allow(clippy::unwrap_used, dead_code)]

use crate::site::{FIRST_STREAM, OWNER, Random};
use farrier_spool::{Spool, SpoolError};
use redb::StorageBackend;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

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
    /// Changes until that ends; none: it never does.
    left: Option<usize>,
    /// What ends it.
    end: End,
}

/// What happens to a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// The power fails: nothing is written or synchronized any more.
    #[default]
    PowerCut,
    /// It is full: nothing new is written, and what is written is safe.
    Full,
}

/// The disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<Medium>>);

/// What of the unsynchronized changes reaches the medium nevertheless.
#[derive(Debug, Clone, Copy)]
pub enum Luck {
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
    /// A disk that holds these bytes and takes so many changes.
    pub fn with(bytes: Vec<u8>, left: Option<usize>, end: End) -> Self {
        Self(Arc::new(Mutex::new(Medium { current: bytes.clone(), durable: bytes, left, end, ..Medium::default() })))
    }

    /// What a synchronization made durable.
    pub fn durable(&self) -> Vec<u8> {
        self.0.lock().unwrap().durable.clone()
    }

    /// Somebody made room.
    pub fn make_room(&self) {
        self.0.lock().unwrap().left = None;
    }

    /// The spool on it.
    pub fn open(&self) -> Result<Spool, SpoolError> {
        Spool::open_on(self.clone(), Path::new("disk"), OWNER, FIRST_STREAM)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let medium = &mut *self.0.lock().unwrap();
        match &mut medium.left {
            Some(0) if medium.end == End::Full => return Err(io::ErrorKind::StorageFull.into()),
            Some(0) => return Err(io::Error::other("the power is out")),
            Some(left) => *left -= 1,
            None => {}
        }
        apply(&mut medium.current, &change);
        medium.unsynchronized.push(change);
        Ok(())
    }

    /// The disk as it is when the power is back.
    pub fn after_the_cut(&self, luck: Luck) -> Self {
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
        Self::with(bytes, None, End::default())
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
        if medium.left == Some(0) && medium.end == End::PowerCut {
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
