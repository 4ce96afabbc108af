//! The keys that sign the repository and what clients are told: where they are, whom the metadata name, and how that
//! changes.
//!
//! What is signed is in the database, the keys are files ([`Keys`]). Both the command line and the console work through
//! [`SiteKeys`]. What happens is always the same: drafts of a new root or new targets are made ([`drafts`]), signed by
//! the keys that are here, and wait for those that are not ([`exchange`]); as soon as a set of drafts fits together it
//! comes into force as one ([`settle`]), and the publish role publishes with it.

mod actions;
mod ceremony;
mod changes;
mod context;
mod drafts;
mod exchange;
mod folder;
mod pem;
mod role;
mod settle;
mod standing;
mod state;

pub use actions::{Applied, Exported, Outcome, SiteKeys};
pub use ceremony::Ceremony;
pub use drafts::{Dropped, Rotation};
pub use exchange::{Request, Review, Signatures};
pub use folder::{Keys, file_name, new_key, short};
pub use pem::{MIN_PASSPHRASE_CHARACTERS, Passphrase, PrivateKeyFile, PublicKeyFile};
pub use role::{KeyRole, UnknownRole};
pub use standing::{
    KeyStanding, MetadataStanding, Notice, RoleStanding, Standing, UnusedKey, Urgency, WaitingStanding,
};

pub(crate) use pem::{read as read_key_file, write_new};

use crate::identity::IdentityError;
use farrier_trust::TrustError;
use std::io;
use std::path::{Path, PathBuf};

/// Why something about keys cannot be done. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read or written.
    #[error("{} cannot be read or written", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder of the keys cannot be made.
    #[error("the folder of the site's keys cannot be made")]
    Folder(#[from] IdentityError),
    /// A file holds something else.
    #[error("{} is no {what}: move it away, and bring the right file or restore it from a backup", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What it should be.
        what: &'static str,
    },
    /// A file says that its key has a role that there is not.
    #[error("{} says what its key is for, but", file.display())]
    Role {
        /// Which file.
        file: PathBuf,
        /// What it says.
        source: UnknownRole,
    },
    /// Keys that the site needs are not there, although the metadata in force name them.
    #[error(
        "{} is missing or damaged, and the {role} metadata in force name its key: restore it from a backup (`farrier keys import` \
         for an encrypted copy), or replace the key with `farrier keys rotate {role}`", file.display()
    )]
    Missing {
        /// The file of one of the keys.
        file: PathBuf,
        /// What it is for.
        role: KeyRole,
    },
    /// The first root has not come into force.
    #[error(
        "the site's first root waits for signatures: `farrier keys request` writes what is to be signed, `farrier keys \
         apply` brings the signatures back"
    )]
    FirstRootWaits,
    /// There are no keys yet.
    #[error("the site has no keys yet: `farrier serve` makes them when it starts, or `farrier keys init`")]
    NoRoot,
    /// Not long enough to encrypt with.
    #[error(
        "the passphrase has fewer than {MIN_PASSPHRASE_CHARACTERS} characters: whoever finds the file can guess those"
    )]
    ShortPassphrase,
    /// It does not open the key.
    #[error("{} cannot be opened with this passphrase", file.display())]
    WrongPassphrase {
        /// The file.
        file: PathBuf,
    },
    /// What was asked for cannot be done, with the remedy.
    #[error("{0}")]
    Invalid(String),
    /// Something could not be encoded.
    #[error("a key cannot be encoded: {0}")]
    Encoding(String),
    /// Metadata in the database are damaged.
    #[error("the site's metadata cannot be read")]
    Metadata(#[from] TrustError),
    /// The database failed.
    #[error("the site database failed")]
    Database(#[from] sqlx::Error),
}

impl KeyError {
    fn damaged(file: &Path, what: &'static str) -> Self {
        Self::Damaged { file: file.to_owned(), what }
    }
}
