//! The signed repository and the signed assignment: what a site publishes and an agent verifies before it uses a byte
//! of it.
//!
//! The repository follows TUF 1.0.34 (<https://theupdateframework.github.io/specification/latest/>): a [`Client`] knows one root beforehand, and
//! takes new metadata only as far as roots, thresholds, versions, digests and times allow. The assignment follows
//! Uptane's director: [`verify_statement`] says whether a poll's answer is what the site says to this very client. The
//! site's side of both is behind the feature `sign`.
//!
//! This crate does no I/O, knows no clock and never hands out unverified content. Without features it knows Ed25519 with
//! SHA-256 and SHA-512 and nothing else.

#![no_std]
#![warn(missing_docs)]

extern crate alloc;

mod assignment;
mod client;
mod error;
mod hex;
pub mod json;
mod keys;
pub mod limits;
pub mod metadata;
mod pattern;
#[cfg(feature = "sign")]
mod sign;
mod target;
mod time;

pub use assignment::{AssignmentKeys, Expected, StatementError, verify_statement};
pub use client::{Answer, Client, Floors, OnlineKeys, Refresh, Request, RoleKeySet, Search, percent_encoded};
pub use error::TrustError;
pub use keys::Key;
pub use metadata::{
    Delegation, Delegations, Draft, Hashes, MetaFile, Paths, RoleKeys, Root, Signed, SiteKeys, Snapshot, SuccinctRoles,
    TargetFile, Targets, Timestamp,
};
#[cfg(feature = "sign")]
pub use sign::{InvalidKey, PublicKey, SignedStatement, SigningKey, sign_statement};
pub use target::{Target, TargetVerifier};
