//! The floor record: what must never go below what it was.

use crate::replace_file;
use farrier_protocol::{ClientId, Digest, UnixTime};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The versions below which nothing is accepted any more, of one enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floors {
    /// The root of trust whose index the floor is of.
    pub repository: Digest,
    /// The version of the last accepted repository index.
    pub index_version: u64,
    /// The client whose assignment the floor is of.
    pub client: ClientId,
    /// The version of the last accepted assignment.
    pub assignment_version: u64,
    /// The latest time that an accepted assignment proves to have passed.
    pub accepted_time: UnixTime,
}

/// Why there are no floors.
#[derive(Debug, thiserror::Error)]
pub enum FloorsError {
    /// The file is not what was written.
    #[error("the floor record {file} is damaged: enrol this client again with `farrier-agent enroll --force TOKEN`")]
    Damaged {
        /// Which file.
        file: PathBuf,
    },
    /// The disk does not give or take it.
    #[error("the floor record {file} cannot be read or written")]
    Storage {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Floors {
    /// The floors of a client that has accepted nothing yet.
    #[must_use]
    pub fn new(repository: Digest, client: ClientId) -> Self {
        Self { repository, index_version: 0, client, assignment_version: 0, accepted_time: UnixTime::MIN }
    }

    /// Reads the floors of this enrolment. Those of an earlier one count as far as they are of the same repository.
    ///
    /// # Errors
    /// When the file is damaged or cannot be read. A missing file is no error: nothing was accepted yet.
    pub fn load(file: &Path, repository: Digest, client: ClientId) -> Result<Self, FloorsError> {
        Ok(Self::read(file)?.map_or(Self::new(repository, client), |floors| floors.of_enrollment(repository, client)))
    }

    /// Reads the floors of whichever enrolment the file is of, if there are any.
    ///
    /// # Errors
    /// When the file is damaged or cannot be read.
    pub fn read(file: &Path) -> Result<Option<Self>, FloorsError> {
        match fs::read(file) {
            Ok(bytes) => Self::decode(&bytes).map(Some).ok_or_else(|| FloorsError::Damaged { file: file.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FloorsError::Storage { file: file.to_owned(), source }),
        }
    }

    /// What of these floors counts for this enrolment.
    #[must_use]
    pub fn of_enrollment(self, repository: Digest, client: ClientId) -> Self {
        match self {
            floors if floors.repository != repository => Self::new(repository, client),
            floors if floors.client != client => Self { client, assignment_version: 0, ..floors },
            floors => floors,
        }
    }

    /// The floors raised to what was accepted; none of them ever sinks.
    #[must_use]
    pub fn raised(self, index_version: u64, assignment_version: u64, accepted_time: UnixTime) -> Self {
        Self {
            index_version: self.index_version.max(index_version),
            assignment_version: self.assignment_version.max(assignment_version),
            accepted_time: self.accepted_time.max(accepted_time),
            ..self
        }
    }

    /// Writes the floors, durably and whole.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn store(&self, file: &Path) -> Result<(), FloorsError> {
        let failed = |source| FloorsError::Storage { file: file.to_owned(), source };
        let content = farrier_protocol::encode(self).map_err(|error| failed(io::Error::other(error)))?;
        replace_file(file, &[&Digest::of(&content).0[..], &content].concat()).map_err(failed)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (digest, content) = bytes.split_at_checked(Digest::LENGTH)?;
        let intact = Digest::of(content).as_bytes() == digest;
        intact.then(|| farrier_protocol::decode(content).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPOSITORY: Digest = Digest([1; 32]);
    const CLIENT: ClientId = ClientId([2; 16]);

    fn stored(folder: &tempfile::TempDir) -> PathBuf {
        let file = folder.path().join("floors");
        Floors::new(REPOSITORY, CLIENT).raised(7, 9, 1_000).store(&file).unwrap();
        file
    }

    #[test]
    fn floors_survive_and_never_sink() {
        let folder = tempfile::tempdir().unwrap();
        let file = stored(&folder);
        let floors = Floors::load(&file, REPOSITORY, CLIENT).unwrap();
        assert_eq!((floors.index_version, floors.assignment_version, floors.accepted_time), (7, 9, 1_000));
        assert_eq!(floors.raised(1, 1, 1), floors);
    }

    #[test]
    fn a_new_client_of_the_same_repository_keeps_its_index_floor() {
        let folder = tempfile::tempdir().unwrap();
        let floors = Floors::load(&stored(&folder), REPOSITORY, ClientId([3; 16])).unwrap();
        assert_eq!((floors.index_version, floors.assignment_version), (7, 0));
    }

    #[test]
    fn another_repository_starts_from_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let other = Digest([9; 32]);
        assert_eq!(Floors::load(&stored(&folder), other, CLIENT).unwrap(), Floors::new(other, CLIENT));
    }

    #[test]
    fn every_damaged_byte_is_noticed_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = stored(&folder);
        let good = fs::read(&file).unwrap();
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&file, &bad).unwrap();
            let error = Floors::load(&file, REPOSITORY, CLIENT).unwrap_err().to_string();
            assert!(error.contains("floors") && error.contains("enroll --force"), "{error}");
        }
    }
}
