//! `farrier-agent` for the tests.

fn main() {}
