//! Who this client is: its id, its key and certificate, and what it trusts. Written by enrolment and renewal, one file,
//! whole or not at all, readable by its owner only.

use crate::clock::random;
use anyhow::{Context as _, bail};
use farrier_protocol::{ClientId, Digest};
use farrier_runtime::KEY_BYTES;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// What distinguishes the file from any other, and its version from a later one.
const MAGIC: &[u8] = b"farrier identity 2\n";
/// What the file of an agent begins with whose sites signed their repositories in another way.
const OLD_MAGIC: &[u8] = b"farrier identity 1\n";

/// Who this client is.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Its id.
    pub(crate) client: ClientId,
    /// The site's address, `https://host:port`.
    pub(crate) site: String,
    /// The root metadata that the repository is trusted by, byte for byte.
    pub(crate) root: Vec<u8>,
    /// The site's certificate authority, X.509 in DER.
    pub(crate) authority: Vec<u8>,
    /// The client's certificate, X.509 in DER.
    pub(crate) certificate: Vec<u8>,
    /// Its private key, PKCS#8 in DER.
    pub(crate) key: Vec<u8>,
    /// Authenticates what the agent compiled itself; never leaves the device.
    pub(crate) device_key: [u8; KEY_BYTES],
}

impl fmt::Debug for Identity {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("client", &self.client).field("site", &self.site).finish_non_exhaustive()
    }
}

impl Identity {
    /// The identity in `file`, if this client is enrolled.
    pub(crate) fn load(file: &Path) -> anyhow::Result<Option<Self>> {
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let remedy = "run as the owner of the data folder";
                return Err(error).with_context(|| format!("{} cannot be read: {remedy}", file.display()));
            }
        };
        let Some(identity) = decode(&bytes) else {
            let what = if bytes.starts_with(OLD_MAGIC) { "was made by an older agent" } else { "is damaged" };
            bail!("{} {what}: enrol again with `farrier-agent enroll --force TOKEN`", file.display());
        };
        Ok(Some(identity))
    }

    /// Writes the identity, durably and whole.
    pub(crate) fn store(&self, file: &Path) -> anyhow::Result<()> {
        let content = farrier_protocol::encode(self)?;
        let bytes = [MAGIC, Digest::of(&content).as_bytes(), &content].concat();
        farrier_spool::replace_file(file, &bytes).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// A new device key.
    pub(crate) fn new_device_key() -> anyhow::Result<[u8; KEY_BYTES]> {
        random()
    }
}

fn decode(bytes: &[u8]) -> Option<Identity> {
    let (digest, content) = bytes.strip_prefix(MAGIC)?.split_at_checked(Digest::LENGTH)?;
    if Digest::of(content).as_bytes() != digest {
        return None;
    }
    farrier_protocol::decode(content).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn an_identity_is_kept_from_other_users_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("identity");
        assert!(Identity::load(&file).unwrap().is_none());
        let identity = Identity {
            client: ClientId([1; 16]),
            site: "https://site.example.org:8443".into(),
            root: vec![2],
            authority: vec![3],
            certificate: vec![4],
            key: vec![5],
            device_key: [6; KEY_BYTES],
        };
        identity.store(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Identity::load(&file).unwrap().unwrap().client, identity.client);
        assert!(!format!("{identity:?}").contains("key"));

        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert!(Identity::load(&file).unwrap_err().to_string().contains("enroll --force"));
    }

    #[test]
    fn the_identity_of_an_older_agent_is_no_damage_but_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("identity");
        fs::write(&file, [OLD_MAGIC, b"whatever it held"].concat()).unwrap();
        let error = Identity::load(&file).unwrap_err().to_string();
        assert!(error.contains("older agent") && error.contains("enroll --force"), "{error}");
    }
}
