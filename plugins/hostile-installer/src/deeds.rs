//! The deeds that are the same in every phase.

use crate::order::Deed;
use alloc::{string::String, vec, vec::Vec};
use core::hint;
use farrier_plugin_sdk::{Command, Error, Host, RestartKind, log};

/// Changes that no limit allows.
pub const HUGE_COUNT: usize = 20_000;
/// Notes that are more than an agent keeps.
pub const HUGE_NOTES: usize = 1_000;
/// Lines that no limit allows.
const FLOOD_LINES: usize = 100_000;
/// Bytes of one bite of memory.
const BITE_BYTES: usize = 1024 * 1024;

/// Does the deed. Returns only from what an agent survives without stopping the guest.
pub fn commit(deed: Option<Deed>, host: Option<&dyn Host>) -> Result<(), Error> {
    match (deed, host) {
        (Some(Deed::Loop), _) => loop {
            hint::spin_loop();
        },
        (Some(Deed::Trap), _) => trap(),
        (Some(Deed::Panic), _) => panic!("panicking as told"),
        (Some(Deed::Refuse), _) => return Err(Error::Other("it was told to refuse".into())),
        (Some(Deed::MemoryBomb), _) => bomb(),
        (Some(Deed::LogFlood), _) => (0..FLOOD_LINES).for_each(|_| log::info("one of many lines")),
        (Some(Deed::ProgressFlood), Some(host)) => (0..FLOOD_LINES).for_each(|_| host.report("one of many lines")),
        (Some(Deed::RestartFlood), Some(host)) => {
            (0..FLOOD_LINES).for_each(|number| {
                host.request_restart(RestartKind::Service, &alloc::format!("{number}.service"));
            });
            host.request_restart(RestartKind::Machine, "the last one");
        }
        (Some(Deed::PauseForever), Some(host)) => loop {
            host.pause(u32::MAX)?;
        },
        (Some(Deed::NeverGiveUp), Some(host)) => loop {
            // Whatever it is told.
            let _ = host.pause(u32::MAX);
        },
        (Some(Deed::SleepyProgram), Some(host)) => {
            let exit = host.run(&Command::new("/bin/sleep").argument("600"))?;
            let verdict = if exit.timed_out { "the program was killed" } else { "the program was not killed" };
            return Err(Error::Other(verdict.into()));
        }
        (Some(Deed::OutputFlood), Some(host)) => {
            let exit = host.run(&Command::new("/bin/yes"))?;
            let is_flood = exit.output.lines().skip(1).all(|line| line == "y");
            let verdict = if exit.timed_out && is_flood { "flooded, and killed" } else { "something else" };
            return Err(Error::Other(alloc::format!("{verdict} after {} bytes", exit.output.len())));
        }
        (Some(Deed::HugeInput), Some(host)) => {
            let _ = host.run(&Command::new("/bin/cat").input(vec![0; 8 * BITE_BYTES]));
        }
        _ => {}
    }
    Ok(())
}

/// Takes memory, and touches it, until there is none.
fn bomb() {
    let mut memory: Vec<Vec<u8>> = Vec::new();
    loop {
        memory.push(hint::black_box(vec![1; BITE_BYTES]));
    }
}

#[cfg(target_arch = "wasm32")]
pub fn trap() {
    core::arch::wasm32::unreachable()
}

/// Tests run natively, where nothing is to die.
#[cfg(not(target_arch = "wasm32"))]
pub fn trap() {}

/// A text that no limit allows.
pub fn huge_text() -> String {
    "x".repeat(BITE_BYTES / 2)
}
