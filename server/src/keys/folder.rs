//! The keys that are on the site: `{data}/keys/{role}-{start of the key id}.pem`.

use super::pem::{self, PrivateKeyFile};
use super::{KeyError, KeyRole};
use crate::identity;
use farrier_trust::SigningKey;
use std::fs;
use std::path::{Path, PathBuf};

/// Digits of a key id in the name of its file.
const NAME_DIGITS: usize = 16;
/// Held by who makes the first keys of a site.
const LOCK_FILE: &str = ".lock";

/// The folder of the site's keys. It is read at every call, so that what is exported or imported counts at once.
#[derive(Debug, Clone)]
pub struct Keys {
    folder: PathBuf,
}

/// Keeps other processes from making keys, until it is dropped.
#[derive(Debug)]
pub struct KeysLock {
    _file: fs::File,
}

impl Keys {
    /// The keys in `{data}/keys`; the folder is made where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(data: &Path) -> Result<Self, KeyError> {
        let folder = data.join("keys");
        identity::make_folder(&folder)?;
        Ok(Self { folder })
    }

    /// The keys of a role that are on the site, in the order of their ids. A file that cannot be used is passed over: its
    /// key is missing then, which is told where it is needed.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn signers(&self, role: KeyRole) -> Result<Vec<SigningKey>, KeyError> {
        let mut signers = Vec::new();
        for file in self.files(role)? {
            match self.read(role, &file) {
                Ok(key) => signers.push(key),
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::new(error));
                    tracing::warn!(%role, error, "A file among the keys is not used");
                }
            }
        }
        Ok(signers)
    }

    /// Makes a key and stores it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn make(&self, role: KeyRole) -> Result<SigningKey, KeyError> {
        let key = new_key()?;
        self.add(role, key.clone())?;
        Ok(key)
    }

    /// Stores a key. One that is there already stays.
    ///
    /// # Errors
    /// When it cannot be written, or something else is in its place.
    pub fn add(&self, role: KeyRole, key: SigningKey) -> Result<PathBuf, KeyError> {
        let file = self.file_of(role, &key.key_id());
        match file.exists() {
            true => _ = self.read(role, &file)?,
            false => pem::write_new(&file, &PrivateKeyFile { role: Some(role), key }.to_pem()?)?,
        }
        Ok(file)
    }

    /// Removes a key from the site.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, role: KeyRole, id: &str) -> Result<(), KeyError> {
        let file = self.file_of(role, id);
        let removed = fs::remove_file(&file).and_then(|()| fs::File::open(&self.folder)?.sync_all());
        removed.map_err(|source| KeyError::File { file, source })
    }

    /// Where the key with this id is, or would be.
    #[must_use]
    pub fn file_of(&self, role: KeyRole, id: &str) -> PathBuf {
        self.folder.join(file_name(role, id))
    }

    /// Whether a folder is the site's data folder, or in it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn is_on_site(&self, folder: &Path) -> Result<bool, KeyError> {
        let real =
            |path: &Path| fs::canonicalize(path).map_err(|source| KeyError::File { file: path.to_owned(), source });
        let data = real(self.folder.parent().unwrap_or(&self.folder))?;
        Ok(real(folder)?.starts_with(data))
    }

    /// Waits until no other process makes keys, and keeps others from it.
    ///
    /// # Errors
    /// When the folder takes no lock.
    pub fn lock(&self) -> Result<KeysLock, KeyError> {
        let path = self.folder.join(LOCK_FILE);
        let locked = fs::File::create(&path).and_then(|file| file.lock().map(|()| file));
        locked.map(|file| KeysLock { _file: file }).map_err(|source| KeyError::File { file: path, source })
    }

    fn files(&self, role: KeyRole) -> Result<Vec<PathBuf>, KeyError> {
        let failed = |source| KeyError::File { file: self.folder.clone(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let id = name.strip_suffix(".pem").and_then(|name| name.strip_prefix(role.as_str())?.strip_prefix('-'));
            if id.is_some_and(|id| id.bytes().all(|digit| digit.is_ascii_hexdigit())) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// The key in a file, if it is the one that its name says.
    fn read(&self, role: KeyRole, file: &Path) -> Result<SigningKey, KeyError> {
        let text = pem::read(file)?;
        let is_encrypted = || {
            KeyError::Invalid(format!(
                "{} is encrypted: take it out of the site's folder, and bring it back with `farrier keys import FILE`",
                file.display()
            ))
        };
        let key = PrivateKeyFile::parse(file, &text, || Err::<_, KeyError>(is_encrypted()))?.key;
        match self.file_of(role, &key.key_id()) == file {
            true => Ok(key),
            false => Err(KeyError::Invalid(format!(
                "{} holds another key than its name says, {}: take it out of the site's folder, and bring it back with \
                 `farrier keys import FILE`",
                file.display(),
                short(&key.key_id())
            ))),
        }
    }
}

/// A key that nobody has.
///
/// # Errors
/// Never: 32 bytes are a key.
pub fn new_key() -> Result<SigningKey, KeyError> {
    SigningKey::from_secret(&rand::random::<[u8; 32]>()).map_err(|error| KeyError::Encoding(error.to_string()))
}

/// The name of a key's file.
#[must_use]
pub fn file_name(role: KeyRole, id: &str) -> String {
    format!("{role}-{}.pem", short(id))
}

/// As much of a key id as its file's name has, and as people compare.
#[must_use]
pub fn short(id: &str) -> &str {
    id.get(..NAME_DIGITS).unwrap_or(id)
}
