//! The deeds that are the same in every phase.

use crate::{attempts, order::Deed};
use alloc::{string::String, vec, vec::Vec};
use core::{hint, mem};
use farrier_plugin_sdk::{Error, Facts, log};

/// Scopes or findings that no limit allows.
pub const HUGE_COUNT: usize = 200_000;
/// Bytes of a text, or states, that no limit allows.
pub const HUGE_BYTES: usize = 8 * 1024 * 1024;
/// Lines that no limit allows.
const FLOOD_LINES: usize = 1_000_000;
/// Bytes of one bite of memory.
const BITE_BYTES: usize = 1024 * 1024;

/// A text that no limit allows.
pub fn huge_text() -> String {
    "x".repeat(HUGE_BYTES)
}

/// Does the deed. Returns only from what an agent survives without stopping the guest.
pub fn commit(deed: Option<Deed>, facts: &dyn Facts) -> Result<(), Error> {
    match deed {
        Some(Deed::Loop) => loop {
            hint::spin_loop();
        },
        Some(Deed::Recursion) => {
            recurse(0);
        }
        Some(Deed::MemoryBomb) => bomb(),
        Some(Deed::Trap) => trap(),
        Some(Deed::Panic) => panic!("panicking as told"),
        Some(Deed::LogFlood) => (0..FLOOD_LINES).for_each(|_| log::info("one of a million lines")),
        Some(Deed::ReadForever) => loop {
            facts.read_file("/etc/hostile")?;
        },
        Some(Deed::ResourceFlood) => loop {
            mem::forget(facts.open_file("/etc/hostile")?);
        },
        Some(Deed::DigestForever) => loop {
            facts.digest("/etc/hostile")?;
        },
        Some(Deed::QueryForever) => loop {
            facts.query("disk-space", "/")?;
        },
        Some(Deed::LookAround) => attempts::look_around(facts)?,
        Some(Deed::ReadAtEdges) => attempts::read_at_edges(facts)?,
        Some(Deed::HugePath) => drop(facts.stat(&huge_text())?),
        Some(Deed::OtherScope) => {}
        Some(Deed::Nothing | Deed::WrongCount | Deed::HugeExplanation | Deed::HugeAnswer) | None => {}
    }
    Ok(())
}

#[allow(unconditional_recursion)] // It is the deed.
fn recurse(depth: u64) -> u64 {
    hint::black_box(recurse(hint::black_box(depth + 1))) + 1
}

/// Takes memory, and touches it, until there is none.
fn bomb() {
    let mut memory: Vec<Vec<u8>> = Vec::new();
    loop {
        memory.push(hint::black_box(vec![1; BITE_BYTES]));
    }
}

#[cfg(target_arch = "wasm32")]
fn trap() {
    core::arch::wasm32::unreachable()
}

/// Tests run natively, where nothing is to die.
#[cfg(not(target_arch = "wasm32"))]
fn trap() {}
