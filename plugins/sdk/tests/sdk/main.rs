//! The SDK as a plugin's author meets it, natively.
#![allow(clippy::unwrap_used)] // In what the tests share, too.

mod endpoint;
mod reading;
mod rules;
