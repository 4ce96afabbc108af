//! What a client takes from a repository, and what it refuses: one file per part of the trust model.
#![allow(clippy::unwrap_used, missing_docs)]

mod random;
mod site;

mod delegations;
mod expiry;
mod floors;
mod history;
mod json;
mod keys;
mod mutated;
mod restore;
mod roots;
mod statement;
mod tampering;
mod targets;
mod thresholds;
mod workflow;
