//! What a program without an operating system must bring along: an allocator, and what happens on a panic.

use crate::log;
use core::{
    fmt::{self, Write},
    panic::PanicInfo,
};

/// Gives memory back: a plugin's memory is bounded.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// Bytes of a panic's line in the log, at most.
const MAX_PANIC_LINE_BYTES: usize = 1024;

/// Tells the agent's log what happened and where, then traps.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut line = Line { bytes: [0; MAX_PANIC_LINE_BYTES], length: 0 };
    // What does not fit is cut off; there is nobody left to tell.
    let _ = write!(line, "{info}");
    log::error(line.as_str());
    core::arch::wasm32::unreachable()
}

/// A line without an allocation: memory may be what ran out.
struct Line {
    bytes: [u8; MAX_PANIC_LINE_BYTES],
    length: usize,
}

impl Line {
    fn as_str(&self) -> &str {
        match str::from_utf8(&self.bytes[..self.length]) {
            Ok(text) => text,
            Err(_) => "a panic with an unreadable message",
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.floor_char_boundary(MAX_PANIC_LINE_BYTES - self.length);
        self.bytes[self.length..self.length + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}
