//! Real Debian.
fn main() {}
