//! The cache of compiled components, authenticated with the device's key.
//!
//! The engine trusts an artefact blindly, and a folder is no safe place: whatever is read from it is believed only with
//! a MAC under a key that never leaves the device. What does not verify is compiled again, never an error.

use crate::KEY_BYTES;
use crate::artefact::Artefact;
use crate::engine::Profile;
use crate::limits::Limits;
use farrier_protocol::Digest;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// Bytes of the MAC in front of the artefact.
const MAC_BYTES: usize = 32;
/// Separates this use of the device's key from any other.
const MAC_LABEL: &[u8] = b"farrier artefact 1";

/// A folder of artefacts: one file for each component and profile, its MAC in front.
pub struct ArtefactCache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
}

impl ArtefactCache {
    /// The cache in this folder, which is made if it is not there, under the device's key.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>, key: [u8; KEY_BYTES]) -> io::Result<Self> {
        let folder = folder.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { folder, key })
    }

    /// Removes the artefacts of all components but these. A folder among them (`lost+found`) is not the cache's.
    ///
    /// # Errors
    /// When the folder cannot be read or a file not be removed.
    pub fn retain(&self, components: &[Digest]) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let kept = components.iter().any(|digest| name.to_string_lossy().starts_with(&digest.to_string()));
            if !kept && !entry.file_type()?.is_dir() {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The artefact of this component, if it is there, whole, and ours.
    pub(crate) fn load(&self, profile: Profile, component: &Digest, limits: &Limits) -> Option<Artefact> {
        let file = File::open(self.path(profile, component)).ok()?;
        let mut bytes =
            Vec::with_capacity(usize::try_from(file.metadata().ok()?.len()).ok()?.min(limits.artefact_bytes));
        file.take((limits.artefact_bytes + MAC_BYTES) as u64).read_to_end(&mut bytes).ok()?;
        let (mac, artefact) = bytes.split_at_checked(MAC_BYTES)?;
        if self.mac(profile, component, artefact)?.verify_slice(mac).is_err() {
            tracing::warn!(component.digest = %component, "A cached artefact is not authentic; it is compiled again.");
            return None;
        }
        Some(Artefact::authenticated(bytes, MAC_BYTES))
    }

    /// Keeps the artefact. A cache that cannot be written costs time, not correctness.
    pub(crate) fn store(&self, profile: Profile, component: &Digest, artefact: &Artefact) {
        if let Err(error) = self.write(profile, component, artefact.bytes()) {
            tracing::warn!(folder = %self.folder.display(), %error, "A compiled component could not be cached.");
        }
    }

    fn write(&self, profile: Profile, component: &Digest, artefact: &[u8]) -> io::Result<()> {
        let mac = self.mac(profile, component, artefact).ok_or(io::ErrorKind::InvalidInput)?.finalize().into_bytes();
        let path = self.path(profile, component);
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(&mac)?;
        file.write_all(artefact)?;
        std::fs::rename(partial, path)
    }

    fn path(&self, profile: Profile, component: &Digest) -> PathBuf {
        let profile = Digest::of(profile.id().as_bytes()).to_string();
        self.folder.join(format!("{component}.{}", &profile[..16]))
    }

    fn mac(&self, profile: Profile, component: &Digest, artefact: &[u8]) -> Option<Hmac<Sha256>> {
        let id = profile.id();
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(MAC_LABEL);
        mac.update(&(id.len() as u64).to_le_bytes());
        mac.update(id.as_bytes());
        mac.update(component.as_bytes());
        mac.update(artefact);
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: Digest = Digest([7; 32]);

    fn cache(key: u8) -> (tempfile::TempDir, ArtefactCache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = ArtefactCache::open(folder.path().join("artefacts"), [key; KEY_BYTES]).unwrap();
        cache.store(Profile::Native, &COMPONENT, &Artefact::authenticated(b"MACcode".to_vec(), 3));
        (folder, cache)
    }

    fn load(cache: &ArtefactCache) -> Option<Vec<u8>> {
        let artefact = cache.load(Profile::Native, &COMPONENT, &Limits::default())?;
        Some(artefact.bytes().to_vec())
    }

    #[test]
    fn an_artefact_comes_back_as_it_went() {
        let (_folder, cache) = cache(1);
        assert_eq!(load(&cache), Some(b"code".to_vec()));
    }

    #[test]
    fn no_flipped_bit_survives() {
        let (_folder, cache) = cache(1);
        let path = cache.path(Profile::Native, &COMPONENT);
        let whole = std::fs::read(&path).unwrap();
        for position in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            std::fs::write(&path, flipped).unwrap();
            assert_eq!(load(&cache), None, "bit {position}");
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(load(&cache), None, "cut to {length}");
        }
    }

    #[test]
    fn an_artefact_is_bound_to_device_component_and_profile() {
        let (_folder, cache) = cache(1);
        let other = ArtefactCache { folder: cache.folder.clone(), key: [2; KEY_BYTES] };
        assert_eq!(load(&other), None);
        let path = cache.path(Profile::Native, &COMPONENT);
        std::fs::copy(&path, cache.path(Profile::Pulley, &COMPONENT)).unwrap();
        assert!(cache.load(Profile::Pulley, &COMPONENT, &Limits::default()).is_none());
        std::fs::copy(&path, cache.path(Profile::Native, &Digest([8; 32]))).unwrap();
        assert!(cache.load(Profile::Native, &Digest([8; 32]), &Limits::default()).is_none());
    }

    #[test]
    fn only_what_is_still_assigned_is_kept() {
        let (_folder, cache) = cache(1);
        std::fs::create_dir(cache.folder.join("lost+found")).unwrap();
        cache.retain(&[COMPONENT]).unwrap();
        assert!(load(&cache).is_some());
        cache.retain(&[]).unwrap();
        assert!(load(&cache).is_none());
    }
}
