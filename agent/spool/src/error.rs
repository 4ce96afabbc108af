//! Why the spool cannot be used.

use std::io;
use std::path::PathBuf;

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Its content is lost.
    #[error("the spool {file} is damaged: set it aside, the site is then told everything again")]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        source: Box<redb::Error>,
    },
    /// Another process has it open.
    #[error("the spool {file} is in use by another process: wait for it or stop it")]
    InUse {
        /// Which file.
        file: PathBuf,
    },
    /// The disk does not give or take it.
    #[error("the spool {file} cannot be read or written: check the disk's space and the folder's permissions")]
    Storage {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
}

impl SpoolError {
    pub(crate) fn new(file: PathBuf, error: redb::Error) -> Self {
        let source = Box::new(error);
        match &*source {
            redb::Error::DatabaseAlreadyOpen => Self::InUse { file },
            redb::Error::Io(error) if !is_content(error) => Self::Storage { file, source },
            redb::Error::PreviousIo => Self::Storage { file, source },
            _ => Self::Damaged { file, source },
        }
    }
}

/// Whether an error is about what is in the file, not about the disk.
fn is_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}
