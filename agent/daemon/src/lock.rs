//! One process at a time works on a data folder.

use crate::progress::Progress;
use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

/// How often a waiting process looks again.
pub(crate) const RETRY: Duration = Duration::from_millis(100);
/// Bytes of the holder's name in the file.
const MAX_HOLDER_BYTES: u64 = 32;

/// The lock, until it is dropped or its process ends in any way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Whether the lock could be had.
pub(crate) enum Attempt {
    /// It is ours.
    Locked(Lock),
    /// This process has it.
    HeldBy(String),
}

impl Lock {
    /// Takes the lock if it is free.
    pub(crate) fn attempt(path: &Path) -> anyhow::Result<Attempt> {
        let failed = || format!("the lock {} cannot be used: check the folder's owner", path.display());
        let mut options = File::options();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).with_context(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Only for the message: a file that cannot be read names nobody.
                let _ = file.take(MAX_HOLDER_BYTES).read_to_string(&mut holder);
                return Ok(Attempt::HeldBy(holder.trim().to_owned()));
            }
            Err(error) => return Err(error).with_context(failed),
        }
        file.set_len(0).and_then(|()| file.rewind()).with_context(failed)?;
        writeln!(file, "process {}", std::process::id()).with_context(failed)?;
        Ok(Attempt::Locked(Self { _file: file }))
    }

    /// Waits for the lock and says for whom.
    pub(crate) fn wait(path: &Path, progress: &Progress) -> anyhow::Result<Self> {
        loop {
            match Self::attempt(path)? {
                Attempt::Locked(lock) => {
                    progress.clear();
                    return Ok(lock);
                }
                Attempt::HeldBy(holder) => {
                    progress.show(format_args!("Waiting for another farrier-agent ({holder})"));
                    std::thread::sleep(RETRY);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_has_the_lock_and_the_other_learns_who() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let Attempt::Locked(held) = Lock::attempt(&path).unwrap() else { panic!("it was free") };
        let Attempt::HeldBy(holder) = Lock::attempt(&path).unwrap() else { panic!("it is held") };
        assert_eq!(holder, format!("process {}", std::process::id()));
        drop(held);
        assert!(matches!(Lock::attempt(&path).unwrap(), Attempt::Locked(_)));
    }
}
