//! Attacks on the line, made with real bytes against the real programs. Each states its claim, and what keeps it true.
//!
//! Most begin alike: a client follows a policy, somebody stole the server that it talks to, and does what he can with what
//! he found there. The client has to go on with what it had, say what happened, and take what is new once the thief is
//! gone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clock;
mod disk;
mod lite;
mod scene;
mod tools;

mod absent_entry;
mod arbitrary_installation;
mod compression_bomb;
mod cut_connection;
mod endless_data;
mod fast_forward;
mod flipped_byte;
mod freeze;
mod full_disk;
mod key_subset;
mod mix_and_match;
mod native_by_plugins_role;
mod native_without_wasm;
mod no_certificate;
mod other_clients_assignment;
mod other_sites_repository;
mod oversized_body;
mod redirect;
mod replayed_assignment;
mod rollback;
mod slow_retrieval;
mod swapped_cache_file;
mod swapped_content;
mod tampered_mirror;
mod torn_write;
mod wrong_authority;
mod wrong_clock;
mod wrong_target;
