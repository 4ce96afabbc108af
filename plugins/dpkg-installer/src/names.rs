//! Finding things by name: a hash table without the things.
//!
//! One kind of it serves all of this plugin, because a component should be small; and the names stay where they are.

use alloc::{vec, vec::Vec};

/// Things in a row, to be found by their names.
#[derive(Debug, Clone)]
pub struct Names {
    /// For each hash the latest thing, as its position plus one; zero if there is none.
    latest: Vec<u32>,
    /// For each thing the one before it of the same hash.
    earlier: Vec<u32>,
}

/// Hashes: about as many as a system has packages.
const HASHES: usize = 1 << 12;

impl Names {
    pub fn new() -> Self {
        Self { latest: vec![0; HASHES], earlier: Vec::new() }
    }

    /// Adds the next thing, and says where in the row it is.
    pub fn push(&mut self, name: &str) -> usize {
        let hash = hash(name);
        let position = self.earlier.len();
        self.earlier.push(self.latest[hash]);
        self.latest[hash] = u32::try_from(position + 1).unwrap_or(u32::MAX);
        position
    }

    /// Where things are that may have this name, the latest first.
    pub fn candidates(&self, name: &str) -> impl Iterator<Item = usize> {
        let mut at = self.latest[hash(name)];
        core::iter::from_fn(move || {
            let position = (at as usize).checked_sub(1)?;
            at = self.earlier[position];
            Some(position)
        })
    }
}

/// FNV-1a.
fn hash(name: &str) -> usize {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = name.bytes().fold(0x811c_9dc5, mix);
    (hash ^ hash >> 16) as usize % HASHES
}
