//! What the `dpkg` plugins and the publisher share: how rules are encoded, Debian's version order, which decides them,
//! the labels of packages, and the words in which dpkg states how far a package is installed.
//!
//! The publisher of a catalog encodes with [`RuleBuilder`], the plugin decodes with [`Rule`] without copying a byte.
//! This crate reads no file: what a rule means for an endpoint is the plugin's business.
#![no_std]

extern crate alloc;

mod decode;
mod encode;
mod label;
mod status;
mod version;

pub use decode::{Binaries, DecodeError, Rule};
pub use encode::{EncodeError, RuleBuilder, encode};
pub use label::{Label, LabelError};
pub use status::{Condition, Status, StatusError};
pub use version::compare;

/// Bytes of one encoded rule, at most: a rule and its length fit into a chunk of 64 KiB.
pub const MAX_RULE_BYTES: usize = 64 * 1024 - 2;
/// Bytes of a version, an architecture or a package name, at most.
pub const MAX_TEXT_BYTES: usize = u8::MAX as usize;

/// The flag of a binary of architecture `all`.
const FLAG_ALL: u8 = 1 << 0;
/// The flag of a binary whose own version follows.
const FLAG_VERSION: u8 = 1 << 1;
/// The flag of a binary whose [`Binary::above`] follows.
const FLAG_ABOVE: u8 = 1 << 2;
/// Every flag there is.
const FLAGS: u8 = FLAG_ALL | FLAG_VERSION | FLAG_ABOVE;

/// One binary package of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binary<'a> {
    /// The package's name: `libssl3`.
    pub name: &'a [u8],
    /// The version the update brings.
    pub version: &'a [u8],
    /// Whether its architecture is `all`, not the rule's.
    pub all: bool,
    /// For a suite that is not followed by itself (backports): the update concerns only an endpoint whose installed
    /// version is higher than this one, the highest any ordinary suite offers. Empty where none offers the package.
    pub above: Option<&'a [u8]>,
}
