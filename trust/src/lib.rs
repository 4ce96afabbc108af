//! The signed repository: what a site publishes and an agent verifies before it uses a byte of it.
//!
//! A repository is a set of *targets* (plugins, catalogs) and one signed *index* that names each with its digest and
//! length. An agent knows one thing beforehand, the [`RepositoryRoot`] out of its enrolment token, and keeps one thing,
//! the version floor: [`Repository::accept`] takes an index only if it is signed by that root, has not expired and is
//! not older than the floor. This crate does no I/O, knows no clock and never hands out unverified content.

#![no_std]
#![warn(missing_docs)]

extern crate alloc;

mod index;
#[cfg(feature = "sign")]
mod sign;

pub use index::{Index, MAX_INDEX_BYTES, Repository, RepositoryRoot, Target, TrustError};
#[cfg(feature = "sign")]
pub use sign::{InvalidKey, RepositoryKey};
