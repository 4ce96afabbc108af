//! Power-fail-safe storage of the agent: what of a scan was recorded, how far each installation is, how plugins fared,
//! which state messages the site has not acknowledged yet, and the version floors.
//!
//! The [`Spool`] is one redb file; every change of it is one durable transaction, so a scan or a step of an
//! installation and its messages are kept together or not at all. The [`Floors`] are a small file of their own: they
//! outlive a damaged spool. This crate knows neither network nor clock, and what a record or a job means is the agent's
//! core to say.

#![warn(missing_docs)]

mod batch;
mod error;
mod floors;
mod replace;
mod spool;

pub use batch::Batch;
pub use error::SpoolError;
pub use floors::{Floors, FloorsError};
pub use replace::replace_file;
pub use spool::{Acknowledgement, Blob, Job, JobKey, MAX_OUTBOX_MESSAGES, Record, Recording, Shadow, Spool, Stream};
