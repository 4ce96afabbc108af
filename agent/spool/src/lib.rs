//! Power-fail-safe storage of the agent: the policy that is followed, what of a scan was recorded, how far each
//! installation is, how plugins fared, which state messages the site has not acknowledged yet, and the version floors.
//!
//! The [`Spool`] is one redb file; every change of it is one durable transaction, so a policy with the metadata that it
//! was verified by, or a scan or a step of an installation and its messages, are kept together or not at all. The floors
//! are a [record](read_record) in a small file of its own: it outlives a damaged spool. This crate knows neither network
//! nor clock, and what a record or a job means is the agent's to say.

#![warn(missing_docs)]

mod batch;
mod error;
mod record;
mod replace;
mod spool;

pub use batch::Batch;
pub use error::SpoolError;
pub use record::{RecordError, read_record, store_record};
pub use replace::{replace_file, set_aside};
pub use spool::{Acknowledgement, Blob, Job, JobKey, MAX_OUTBOX_MESSAGES, Record, Recording, Shadow, Spool, Stream};
