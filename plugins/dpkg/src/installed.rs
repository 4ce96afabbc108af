//! The installed packages, to be found by name and architecture.

use crate::{
    architectures::{self, Architecture, Seen},
    status::{self, Stanza, StatusFile},
};
use alloc::{borrow::ToOwned, boxed::Box, format, vec, vec::Vec};
use farrier_dpkg_rules::Status;
use farrier_plugin_sdk::{Error, Facts};

/// An installed package.
#[derive(Debug)]
pub struct Package {
    pub name: Box<[u8]>,
    pub version: Box<[u8]>,
    /// The native one for a package of architecture `all`, as apt has it.
    pub architecture: Architecture,
    pub status: Status,
}

/// The installed packages of a client.
///
/// Nearly every question is about a package that is not installed, so a hash table of which three quarters are empty
/// answers it from one slot.
#[derive(Debug)]
pub struct Installed {
    packages: Vec<Package>,
    slots: Vec<Slot>,
    architectures: Seen,
    native: Architecture,
}

/// A place of the hash table: the hash of a package's name, and its index plus one; zero where it is empty.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: u32,
    package: u32,
}

/// Slots of the hash table for one package, at least.
const SLOTS_PER_PACKAGE: usize = 4;

impl Installed {
    pub fn read(facts: &dyn Facts) -> Result<Self, Error> {
        let (mut packages, mut architectures) = (Vec::new(), Seen::default());
        let mut status = StatusFile::open(facts)?;
        while let Some(stanza) = status.next()? {
            if stanza.is_installed() {
                let architecture = architectures.add(stanza);
                packages.push(Package::of(stanza, architecture));
            }
        }
        if packages.is_empty() {
            // A power cut leaves an empty file behind. Nothing would be required of nobody.
            return Err(Error::Invalid(format!("no package is installed according to {}", status::PATH)));
        }
        let listed = architectures::listed(facts)?;
        let native = architectures.native(&listed)?.to_owned();
        let native = architectures.intern(&native);
        let all = architectures.find(b"all");
        for package in packages.iter_mut().filter(|package| Some(package.architecture) == all) {
            package.architecture = native;
        }
        let slots = slots_of(&packages);
        Ok(Self { packages, slots, architectures, native })
    }

    /// The native architecture.
    pub fn native(&self) -> Architecture {
        self.native
    }

    /// The name of an architecture.
    pub fn architecture_name(&self, architecture: Architecture) -> &str {
        self.architectures.name(architecture)
    }

    /// The installed packages of this name, one for each architecture; the last of dpkg's file first.
    pub fn named(&self, name: &[u8]) -> impl Iterator<Item = &Package> {
        let hash = hash(name);
        let mut at = hash as usize;
        let chain = core::iter::from_fn(move || {
            let slot = self.slots[at & (self.slots.len() - 1)];
            at = at.wrapping_add(1);
            let index = (slot.package as usize).checked_sub(1)?;
            Some((slot, &self.packages[index]))
        });
        chain.filter(move |(slot, package)| slot.hash == hash && *package.name == *name).map(|(_, package)| package)
    }
}

impl Package {
    fn of(stanza: &Stanza, architecture: Architecture) -> Self {
        Self {
            name: stanza.package.as_slice().into(),
            version: stanza.version.as_slice().into(),
            architecture,
            status: stanza.status,
        }
    }
}

/// The hash table: a power of two of slots, a package in the first empty one from that of its hash.
fn slots_of(packages: &[Package]) -> Vec<Slot> {
    let mut slots = vec![Slot::default(); (packages.len() * SLOTS_PER_PACKAGE).next_power_of_two()];
    let mask = slots.len() - 1;
    // Backwards: of two stanzas of one package the last is found first.
    for (index, package) in packages.iter().enumerate().rev() {
        let hash = hash(&package.name);
        let mut at = hash as usize & mask;
        while slots[at].package != 0 {
            at = (at + 1) & mask;
        }
        slots[at] = Slot { hash, package: index as u32 + 1 };
    }
    slots
}

/// Eight bytes at a time: names are short, and this is asked for every binary of every rule.
fn hash(name: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    let (words, rest) = name.as_chunks::<8>();
    let hash = words.iter().fold(name.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    (mix(hash, last) >> 32) as u32
}
