//! Files of keys: Ed25519, private ones in PKCS#8 (RFC 5958, RFC 8410), public ones as SubjectPublicKeyInfo, both as PEM.
//!
//! Above the PEM stand the key's role and id, as explanatory text (RFC 7468, section 5.2) that every reader skips. A key
//! that leaves the site is encrypted (PBES2 with scrypt and AES-256-CBC, RFC 8018 and RFC 7914): `openssl pkey` reads it.

use super::{KeyError, KeyRole};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, KeypairBytes,
    PublicKeyBytes,
};
use farrier_trust::{PublicKey, SigningKey};
use pkcs8::der::zeroize::Zeroizing;
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo, SecretDocument};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Bytes of a key file, at most.
const MAX_KEY_FILE_BYTES: u64 = 16 * 1024;
/// Characters of a passphrase, at least.
pub const MIN_PASSPHRASE_CHARACTERS: usize = 12;
/// scrypt: 2 to the power of this blocks. More would take more than the 32 MiB that OpenSSL allows it.
const SCRYPT_LOG_N: u8 = 14;
/// scrypt: the size of a block.
const SCRYPT_R: u32 = 8;
/// scrypt: how often; as slow with the 16 MiB above as once with the 128 MiB that are usually advised.
const SCRYPT_P: u32 = 5;

const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";
const ROLE: &str = "role: ";
const KEY: &str = "key: ";

/// What opens an encrypted key. It is wiped when it is dropped, and never shown.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// One to encrypt keys with.
    ///
    /// # Errors
    /// When it is too short.
    pub fn new(text: String) -> Result<Self, KeyError> {
        let text = Zeroizing::new(text);
        match text.chars().count() {
            MIN_PASSPHRASE_CHARACTERS.. => Ok(Self(text)),
            _ => Err(KeyError::ShortPassphrase),
        }
    }

    /// One that a key may have been encrypted with, anywhere and at any time.
    #[must_use]
    pub fn of_key(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// What was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase")
    }
}

/// A private key, with the role that its file says it has.
#[derive(Debug)]
pub struct PrivateKeyFile {
    /// The role; none if the file does not say, as when another program wrote it.
    pub role: Option<KeyRole>,
    /// The key.
    pub key: SigningKey,
}

/// A public key, with the role that its file says it has.
#[derive(Debug, Clone)]
pub struct PublicKeyFile {
    /// The role; none if the file does not say, as when another program wrote it.
    pub role: Option<KeyRole>,
    /// The key.
    pub key: PublicKey,
}

/// Whether the private key in this text is encrypted.
#[must_use]
pub fn is_encrypted(text: &str) -> bool {
    text.contains(ENCRYPTED_LABEL)
}

impl PrivateKeyFile {
    /// Reads a private key. `passphrase` is asked for only where the key is encrypted.
    ///
    /// # Errors
    /// When `text` is no Ed25519 key, the passphrase does not open it, or `passphrase` fails.
    pub fn parse<E: From<KeyError>>(
        file: &Path,
        text: &str,
        passphrase: impl FnOnce() -> Result<Passphrase, E>,
    ) -> Result<Self, E> {
        let damaged = || KeyError::damaged(file, "private Ed25519 key in PEM (PKCS#8)");
        let pair = if is_encrypted(text) {
            let (_, document) = SecretDocument::from_pem(text).map_err(|_| damaged())?;
            let encrypted = EncryptedPrivateKeyInfo::try_from(document.as_bytes()).map_err(|_| damaged())?;
            let opened = encrypted.decrypt(passphrase()?.0.as_bytes());
            let opened = opened.map_err(|_| KeyError::WrongPassphrase { file: file.to_owned() })?;
            // With a wrong passphrase the padding is right now and then, and what is in it nonsense.
            KeypairBytes::from_pkcs8_der(opened.as_bytes())
                .map_err(|_| KeyError::WrongPassphrase { file: file.to_owned() })?
        } else {
            KeypairBytes::from_pkcs8_pem(text).map_err(|_| damaged())?
        };
        let key = SigningKey::from_secret(&pair.secret_key).map_err(|_| damaged())?;
        Ok(Self { role: role_above(file, text)?, key })
    }

    /// The file's text, with the key as it is.
    ///
    /// # Errors
    /// Never for an Ed25519 key; the encoder's signature has one.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let pem = document(&self.key)?.to_pem("PRIVATE KEY", LineEnding::LF).map_err(encoding)?;
        Ok(self.with_head(&pem))
    }

    /// The file's text, with the key encrypted.
    ///
    /// # Errors
    /// Never for an Ed25519 key; the encoder's signature has one.
    pub fn to_encrypted_pem(&self, passphrase: &Passphrase) -> Result<Zeroizing<String>, KeyError> {
        let (salt, vector): ([u8; 16], [u8; 16]) = (rand::random(), rand::random());
        let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P, scrypt::Params::RECOMMENDED_LEN);
        let cost = cost.map_err(|error| KeyError::Encoding(error.to_string()))?;
        let scheme = pbes2::Parameters::scrypt_aes256cbc(cost, &salt, &vector)
            .map_err(|error| KeyError::Encoding(error.to_string()))?;
        let document = document(&self.key)?;
        let plain = PrivateKeyInfo::try_from(document.as_bytes()).map_err(encoding)?;
        let encrypted = plain.encrypt_with_params(scheme, passphrase.0.as_bytes()).map_err(encoding)?;
        Ok(self.with_head(&encrypted.to_pem(ENCRYPTED_LABEL, LineEnding::LF).map_err(encoding)?))
    }

    fn with_head(&self, pem: &str) -> Zeroizing<String> {
        Zeroizing::new(head(self.role, &self.key.public()) + pem)
    }
}

impl PublicKeyFile {
    /// Reads a public key.
    ///
    /// # Errors
    /// When `text` is no Ed25519 key.
    pub fn parse(file: &Path, text: &str) -> Result<Self, KeyError> {
        let damaged = || KeyError::damaged(file, "public Ed25519 key in PEM");
        let start = text.find("-----BEGIN").ok_or_else(damaged)?;
        let bytes = PublicKeyBytes::from_public_key_pem(text[start..].trim()).map_err(|_| damaged())?;
        let key = PublicKey::from_bytes(&bytes.0).map_err(|_| damaged())?;
        Ok(Self { role: role_above(file, text)?, key })
    }

    /// The file's text.
    ///
    /// # Errors
    /// Never for an Ed25519 key; the encoder's signature has one.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let pem = PublicKeyBytes(*self.key.as_bytes()).to_public_key_pem(LineEnding::LF);
        Ok(head(self.role, &self.key) + &pem.map_err(|error| KeyError::Encoding(error.to_string()))?)
    }
}

/// Without the public key in it: OpenSSL knows only this first version of the format.
fn document(key: &SigningKey) -> Result<SecretDocument, KeyError> {
    let pair = KeypairBytes { secret_key: *key.secret(), public_key: None };
    pair.to_pkcs8_der().map_err(encoding)
}

fn encoding(error: impl std::fmt::Display) -> KeyError {
    KeyError::Encoding(error.to_string())
}

fn head(role: Option<KeyRole>, key: &PublicKey) -> String {
    let role = role.map(|role| format!("{ROLE}{role}\n")).unwrap_or_default();
    format!("{role}{KEY}{}\n", key.key_id())
}

/// The role that stands above the key.
fn role_above(file: &Path, text: &str) -> Result<Option<KeyRole>, KeyError> {
    let head = text.split("-----BEGIN").next().unwrap_or_default();
    let Some(word) = head.lines().find_map(|line| line.strip_prefix(ROLE)) else { return Ok(None) };
    let role = word.trim().parse().map_err(|source| KeyError::Role { file: file.to_owned(), source })?;
    Ok(Some(role))
}

/// The text of a key file, which is small.
///
/// # Errors
/// When it cannot be read, is no text, or too large.
pub fn read(file: &Path) -> Result<Zeroizing<String>, KeyError> {
    let failed = |source| KeyError::File { file: file.to_owned(), source };
    let mut text = Zeroizing::new(String::new());
    let opened = fs::File::open(file).map_err(failed)?;
    opened.take(MAX_KEY_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    match text.len() as u64 {
        0..=MAX_KEY_FILE_BYTES => Ok(text),
        _ => Err(KeyError::damaged(file, "key file: it is too large")),
    }
}

/// Writes a file that only its owner reads, durably, and never over another one.
///
/// # Errors
/// When it cannot be written, or is there already.
pub fn write_new(file: &Path, text: &str) -> Result<(), KeyError> {
    let failed = |source| KeyError::File { file: file.to_owned(), source };
    persist(file, text).map_err(failed)
}

fn persist(file: &Path, text: &str) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o600))
        .make_in(folder, |path| fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))?;
    temporary.write_all(text.as_bytes())?;
    temporary.as_file().sync_all()?;
    temporary.persist_noclobber(file).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::new_key;
    use std::io::ErrorKind;
    use std::process::Command;

    fn private(role: Option<KeyRole>) -> PrivateKeyFile {
        PrivateKeyFile { role, key: new_key().unwrap() }
    }

    fn parse(text: &str, passphrase: &str) -> Result<PrivateKeyFile, KeyError> {
        PrivateKeyFile::parse(Path::new("x.pem"), text, || Ok::<_, KeyError>(Passphrase::of_key(passphrase.to_owned())))
    }

    /// What `openssl pkey` prints of a file, unless there is no openssl here.
    fn openssl(text: &str, arguments: &[&str]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        write_new(&file, text).unwrap();
        match Command::new("openssl").arg("pkey").arg("-in").arg(&file).args(arguments).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            output => {
                let output = output.unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                Some(String::from_utf8(output.stdout).unwrap())
            }
        }
    }

    #[test]
    fn a_key_comes_back_from_its_file_with_its_role() {
        let passphrase = Passphrase::new("correct horse battery".to_owned()).unwrap();
        for role in [Some(KeyRole::Plugins), None] {
            let written = private(role);
            for text in [written.to_pem().unwrap(), written.to_encrypted_pem(&passphrase).unwrap()] {
                let read = parse(&text, "correct horse battery").unwrap();
                assert_eq!((read.role, read.key.secret()), (role, written.key.secret()));
            }
            let public = PublicKeyFile { role, key: written.key.public() };
            let read = PublicKeyFile::parse(Path::new("x.pub"), &public.to_pem().unwrap()).unwrap();
            assert_eq!((read.role, read.key), (role, public.key));
        }
    }

    #[test]
    fn no_other_passphrase_opens_a_key_and_no_two_files_are_equal() {
        let passphrase = Passphrase::new("correct horse battery".to_owned()).unwrap();
        let key = private(None);
        let text = key.to_encrypted_pem(&passphrase).unwrap();
        assert_ne!(*text, *key.to_encrypted_pem(&passphrase).unwrap(), "salt and vector are made up every time");
        for wrong in ["", "correct horse batter", "correct horse battery "] {
            assert!(matches!(parse(&text, wrong), Err(KeyError::WrongPassphrase { .. })), "{wrong:?}");
        }
        assert!(matches!(Passphrase::new("elevenchars".to_owned()), Err(KeyError::ShortPassphrase)));
        assert!(Passphrase::new("twelvechars!".to_owned()).is_ok());
    }

    #[test]
    fn openssl_reads_what_leaves_the_site_and_what_it_writes_is_read() {
        let passphrase = Passphrase::new("correct horse battery".to_owned()).unwrap();
        let key = private(Some(KeyRole::Root));
        let opened = openssl(&key.to_encrypted_pem(&passphrase).unwrap(), &["-passin", "pass:correct horse battery"]);
        let Some(opened) = opened else { return };
        assert_eq!(parse(&opened, "").unwrap().key.secret(), key.key.secret());
        assert_eq!(openssl(&key.to_pem().unwrap(), &[]).unwrap(), opened);
        let public = openssl(&key.to_pem().unwrap(), &["-pubout"]).unwrap();
        assert_eq!(PublicKeyFile::parse(Path::new("x.pub"), &public).unwrap().key, key.key.public());
        let own = PublicKeyFile { role: key.role, key: key.key.public() }.to_pem().unwrap();
        assert_eq!(openssl(&own, &["-pubin", "-pubout"]).unwrap(), public);
        // As other programs encrypt: PBKDF2 instead of scrypt.
        let encrypted = openssl(&opened, &["-aes256", "-passout", "pass:another passphrase"]).unwrap();
        assert_eq!(parse(&encrypted, "another passphrase").unwrap().key.secret(), key.key.secret());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let pem = private(None).to_pem().unwrap();
        let cut = pem.lines().take(2).collect::<Vec<_>>().join("\n");
        for text in ["", "-----BEGIN", "nonsense", &cut, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
        {
            assert!(matches!(parse(text, "passphrase"), Err(KeyError::Damaged { .. })), "{text}");
            assert!(PublicKeyFile::parse(Path::new("x"), text).is_err(), "{text}");
        }
        let other = format!("role: king\n{}", *pem);
        assert!(matches!(parse(&other, ""), Err(KeyError::Role { .. })));
    }

    #[test]
    fn a_key_file_is_its_owners_and_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        write_new(&file, "one").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(write_new(&file, "two"), Err(KeyError::File { .. })));
        assert_eq!(*read(&file).unwrap(), "one");
        write_new(&folder.path().join("large"), &"x".repeat(20_000)).unwrap();
        assert!(read(&folder.path().join("large")).is_err());
    }
}
