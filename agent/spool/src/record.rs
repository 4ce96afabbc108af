//! A small record in a file of its own. It outlives a damaged spool, and it is there as it was written, or known to be
//! damaged: never a piece of it, and never something else.

use crate::replace_file;
use farrier_protocol::Digest;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file is not what was written.
    #[error("{file} is damaged: set it aside")]
    Damaged {
        /// Which file.
        file: PathBuf,
    },
    /// The disk does not give or take it.
    #[error("{file} cannot be read or written: check the disk's space and the folder's permissions")]
    Storage {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The record in `file`, if there is one.
///
/// # Errors
/// When it is damaged or cannot be read.
pub fn read_record(file: &Path) -> Result<Option<Vec<u8>>, RecordError> {
    match fs::read(file) {
        Ok(bytes) => intact(&bytes).map(Some).ok_or_else(|| RecordError::Damaged { file: file.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RecordError::Storage { file: file.to_owned(), source }),
    }
}

/// Puts `content` in the place of the record in `file`, durably and whole.
///
/// # Errors
/// When the disk does not take it; then the old record is still there.
pub fn store_record(file: &Path, content: &[u8]) -> Result<(), RecordError> {
    let bytes = [Digest::of(content).as_bytes(), content].concat();
    replace_file(file, &bytes).map_err(|source| RecordError::Storage { file: file.to_owned(), source })
}

fn intact(bytes: &[u8]) -> Option<Vec<u8>> {
    let (digest, content) = bytes.split_at_checked(Digest::LENGTH)?;
    (Digest::of(content).as_bytes() == digest).then(|| content.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(folder: &tempfile::TempDir) -> PathBuf {
        let file = folder.path().join("floors");
        store_record(&file, b"version 6").unwrap();
        store_record(&file, b"version 7").unwrap();
        file
    }

    #[test]
    fn the_last_record_survives() {
        let folder = tempfile::tempdir().unwrap();
        let file = stored(&folder);
        assert_eq!(read_record(&file).unwrap().unwrap(), b"version 7");
        assert_eq!(read_record(&folder.path().join("none")).unwrap(), None);
    }

    #[test]
    fn every_damaged_byte_and_every_missing_one_is_noticed_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = stored(&folder);
        let good = fs::read(&file).unwrap();
        let mut bad: Vec<_> = (0..good.len()).map(|length| good[..length].to_vec()).collect();
        bad.extend((0..good.len()).map(|position| {
            let mut bad = good.clone();
            bad[position] ^= 1;
            bad
        }));
        bad.push([&good[..], b"8"].concat());
        for bytes in bad {
            fs::write(&file, &bytes).unwrap();
            let error = read_record(&file).unwrap_err();
            assert!(matches!(error, RecordError::Damaged { .. }) && error.to_string().contains("floors"), "{error}");
        }
    }

    #[test]
    fn what_a_power_cut_left_of_the_next_record_harms_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = stored(&folder);
        let next = fs::read(&file).unwrap();
        for length in 0..=next.len() {
            fs::write(folder.path().join("floors.new"), &next[..length]).unwrap();
            assert_eq!(read_record(&file).unwrap().unwrap(), b"version 7");
            store_record(&file, b"version 7").unwrap();
        }
    }
}
