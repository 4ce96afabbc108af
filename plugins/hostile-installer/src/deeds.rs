//! The deeds that are the same in every phase.

use crate::order::Deed;
use alloc::{string::String, vec, vec::Vec};
use core::hint;
use farrier_plugin_sdk::{Command, Error, Exit, Host, RestartSubject, log};

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
                host.request_restart(RestartSubject::Service(alloc::format!("{number}.service")), "one of many");
            });
            host.request_restart(RestartSubject::Machine, "the last one");
        }
        (Some(Deed::PauseForever), Some(host)) => loop {
            host.pause(u32::MAX)?;
        },
        (Some(Deed::NeverGiveUp), Some(host)) => loop {
            // Whatever it is told.
            let _ = host.pause(u32::MAX);
        },
        (Some(Deed::SleepyProgram), Some(host)) => {
            return Err(fate(&host.run(&Command::new("/bin/sleep").argument("600"))?));
        }
        (Some(Deed::StubbornProgram), Some(host)) => {
            return Err(fate(&host.run(&Command::new("/bin/sh").argument("/bin/stubborn"))?));
        }
        (Some(Deed::LeaveBehind), Some(host)) => {
            host.run(&Command::new("/bin/sh").argument("/bin/leave-behind"))?;
            loop {
                hint::spin_loop();
            }
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

/// What became of a program that should have been killed.
fn fate(exit: &Exit) -> Error {
    let verdict = if exit.timed_out { "the program was killed" } else { "the program was not killed" };
    Error::Other(verdict.into())
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
