//! `farrier`.
fn main() {}
