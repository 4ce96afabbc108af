//! Attacks on the line, made with real bytes against the real programs. Each states its claim.

#![allow(clippy::unwrap_used)]

mod no_certificate;
mod oversized_body;
mod rolled_back_site;
mod swapped_content;
mod tampered_mirror;
mod wrong_authority;
