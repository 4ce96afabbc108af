#![no_main]

#[path = "../entry_points.rs"]
#[allow(dead_code, reason = "the other targets have the rest")]
mod entry_points;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entry_points::reply(bytes));
