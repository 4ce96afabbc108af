//! The repository's folder: content by its digest, written once and never changed; and its roles.

pub mod roles;

use farrier_protocol::Digest;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// `{data}/repository`: publishing writes it, the distribution point serves it.
#[derive(Debug, Clone)]
pub struct RepositoryFolder {
    targets: PathBuf,
}

impl RepositoryFolder {
    /// Opens the folder below the site's data folder and makes it where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(data: &Path) -> io::Result<Self> {
        let targets = data.join("repository").join("targets");
        std::fs::create_dir_all(&targets)?;
        Ok(Self { targets })
    }

    /// Stores content under its digest. What is there already, and whole, is not written again.
    ///
    /// # Errors
    /// When the disk does not take it; then nothing is stored.
    pub fn put(&self, content: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(content);
        let path = self.path(&digest);
        if std::fs::read(&path).is_ok_and(|stored| stored == content) {
            return Ok(digest);
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.targets)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        std::fs::File::open(&self.targets)?.sync_all()?;
        Ok(digest)
    }

    /// Where the content with this digest is, or would be.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.targets.join(digest.to_string())
    }

    /// Removes everything that `keep` does not name; returns how many files went.
    ///
    /// # Errors
    /// When the folder cannot be read or a file cannot be removed.
    pub fn retain(&self, keep: impl Fn(&Digest) -> bool) -> io::Result<usize> {
        let mut removed = 0;
        for entry in std::fs::read_dir(&self.targets)? {
            let entry = entry?;
            let digest = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if digest.is_some_and(|digest| !keep(&digest)) {
                std::fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
