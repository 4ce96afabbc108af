//! Publishers' keys and their signatures of components.
//!
//! A publisher signs what it built; a site takes a plugin of publishers it knows only. The signature stands beside the
//! component, in `x.wasm.sig`:
//!
//! ```toml
//! publisher = "…"   # the public key, Ed25519, 64 hexadecimal digits
//! signature = "…"   # over `farrier-plugin-v1\0` and the SHA-256 of the component, 128 hexadecimal digits
//! ```

use anyhow::{Context as _, Result, anyhow, ensure};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What is in front of the digest that is signed: no signature of anything else is one of a plugin.
const PREFIX: &[u8] = b"farrier-plugin-v1\0";
/// Bytes of a key file or a signature file, at most.
const MAX_FILE_BYTES: u64 = 4 << 10;

/// A publisher's key pair.
pub struct PublisherKey {
    name: String,
    key: SigningKey,
}

/// The file of a key pair.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    name: String,
    public: String,
    secret: String,
}

/// The file of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    publisher: String,
    signature: String,
}

/// The signature of a component, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The publisher's public key.
    pub publisher: [u8; 32],
    /// The signature.
    pub signature: [u8; 64],
}

/// The files of a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// The key pair, which only its owner reads.
    pub secret: PathBuf,
    /// The public key, in hexadecimal: what a site is told.
    pub public: String,
}

impl PublisherKey {
    /// Makes a key pair and writes it to `NAME.key` in this folder, mode 0600.
    ///
    /// # Errors
    /// When the name is none, or there is such a file already: a key is never overwritten.
    pub fn make(folder: &Path, name: &str) -> Result<KeyFiles> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        ensure!(
            !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.chars().all(plain),
            "`{}` is no name of a key: write letters, digits, `-`, `_` and `.`",
            name.escape_default()
        );
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| anyhow!("the system gives no random numbers ({error})"))?;
        let key = SigningKey::from_bytes(&secret);
        let public = hex(key.verifying_key().as_bytes());
        let file = KeyFile { name: name.to_owned(), public: public.clone(), secret: hex(&secret) };
        let path = folder.join(name).with_added_extension("key");
        let mut options = fs::OpenOptions::new();
        let mut opened = options.write(true).create_new(true).mode(0o600).open(&path).with_context(|| {
            format!("{} cannot be made: a key is never overwritten; choose another name", path.display())
        })?;
        let head = "# A key pair that signs plugins: `farrier plugin sign FILE --key THIS`. Whoever has this\n\
                    # file can publish plugins in its name: keep it where only its owner can read it, and keep a copy.\n\n";
        opened.write_all((head.to_owned() + &toml::to_string(&file)?).as_bytes())?;
        opened.sync_all()?;
        Ok(KeyFiles { secret: path, public })
    }

    /// Reads the file of a key pair.
    ///
    /// # Errors
    /// When it is not there, or no key pair.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_small(path).with_context(|| {
            format!("the key {} cannot be read; `farrier plugin key NAME` makes one", path.display())
        })?;
        let what = || format!("{} is no key pair of `farrier plugin key`", path.display());
        let file: KeyFile = toml::from_str(&text).with_context(what)?;
        let key = SigningKey::from_bytes(&unhex(&file.secret).with_context(what)?);
        let public: [u8; 32] = unhex(&file.public).with_context(what)?;
        ensure!(key.verifying_key().as_bytes() == &public, "{}: the two halves do not belong together", path.display());
        Ok(Self { name: file.name, key })
    }

    /// What its owner calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Signs a component.
    #[must_use]
    pub fn sign(&self, component: &[u8]) -> Signature {
        let signature = self.key.sign(&message(component)).to_bytes();
        Signature { publisher: self.key.verifying_key().to_bytes(), signature }
    }
}

impl Signature {
    /// Where the signature of a component is: beside it, `x.wasm.sig`.
    #[must_use]
    pub fn path_of(component: &Path) -> PathBuf {
        component.with_added_extension("sig")
    }

    /// Reads a signature's text.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self> {
        let file: SignatureFile = toml::from_str(text)?;
        let publisher = unhex(&file.publisher).context("`publisher` is no key of 64 hexadecimal digits")?;
        let signature = unhex(&file.signature).context("`signature` is not of 128 hexadecimal digits")?;
        Ok(Self { publisher, signature })
    }

    /// Reads the signature that stands beside a component; `None`, if there is none.
    ///
    /// # Errors
    /// When there is something that is no signature.
    pub fn beside(component: &Path) -> Result<Option<Self>> {
        let path = Self::path_of(component);
        if !path.exists() {
            return Ok(None);
        }
        let read = || Self::parse(&read_small(&path)?);
        read().map(Some).with_context(|| format!("{} is no signature of `farrier plugin sign`", path.display()))
    }

    /// Its text.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "# Made by `farrier plugin sign`.\npublisher = \"{}\"\nsignature = \"{}\"\n",
            self.publisher_hex(),
            hex(&self.signature)
        )
    }

    /// The publisher's public key, in hexadecimal.
    #[must_use]
    pub fn publisher_hex(&self) -> String {
        hex(&self.publisher)
    }

    /// Whether it is the publisher's signature of this component. Whether the publisher may be trusted is another
    /// question.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify(&self, component: &[u8]) -> Result<()> {
        let key = VerifyingKey::from_bytes(&self.publisher).map_err(|_| anyhow!("the publisher's key is no key"))?;
        let signature = ed25519_dalek::Signature::from_bytes(&self.signature);
        key.verify_strict(&message(component), &signature)
            .map_err(|_| anyhow!("the signature is not of this component: sign it again with `farrier plugin sign`"))
    }
}

fn message(component: &[u8]) -> Vec<u8> {
    [PREFIX, Sha256::digest(component).as_slice()].concat()
}

fn read_small(path: &Path) -> Result<String> {
    let length = fs::metadata(path)?.len();
    ensure!(length <= MAX_FILE_BYTES, "it has {length} bytes, more than {MAX_FILE_BYTES}");
    Ok(fs::read_to_string(path)?)
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of hexadecimal digits.
pub(crate) fn from_hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect::<Option<Vec<_>>>();
    bytes.filter(|_| rest.is_empty()).context("it is not pairs of hexadecimal digits")
}

fn unhex<const N: usize>(text: &str) -> Result<[u8; N]> {
    let bytes = from_hex(text)?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| anyhow!("it has {length} bytes, not {N}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_signature_is_of_one_component_and_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let files = PublisherKey::make(folder.path(), "example.org").unwrap();
        assert_eq!(files.secret.file_name().unwrap(), "example.org.key");
        assert_eq!(fs::metadata(&files.secret).unwrap().permissions().mode() & 0o777, 0o600);
        let key = PublisherKey::read(&files.secret).unwrap();
        let signature = Signature::parse(&key.sign(b"component").to_text()).unwrap();
        assert_eq!((key.name(), signature.publisher_hex()), ("example.org", files.public));
        assert!(signature.verify(b"component").is_ok());
        assert!(signature.verify(b"Component").unwrap_err().to_string().contains("not of this component"));
        let other = PublisherKey::make(folder.path(), "other").unwrap();
        let other = PublisherKey::read(&other.secret).unwrap().sign(b"component");
        assert!(Signature { publisher: other.publisher, ..signature }.verify(b"component").is_err());
    }

    #[test]
    fn what_is_signed_is_prefix_and_digest() {
        let key = PublisherKey { name: String::new(), key: SigningKey::from_bytes(&[7; 32]) };
        let mut message = b"farrier-plugin-v1\0".to_vec();
        message.extend_from_slice(Sha256::digest(b"x").as_slice());
        assert_eq!(key.sign(b"x").signature, key.key.sign(&message).to_bytes());
    }

    #[test]
    fn a_key_is_never_overwritten_and_its_name_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        PublisherKey::make(folder.path(), "a").unwrap();
        let again = format!("{:#}", PublisherKey::make(folder.path(), "a").unwrap_err());
        assert!(again.contains("never overwritten"), "{again}");
        for name in ["", "../a", "a/b", ".a"] {
            assert!(PublisherKey::make(folder.path(), name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_no_key_and_no_signature_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let missing = format!("{:#}", PublisherKey::read(&folder.path().join("x.key")).err().unwrap());
        assert!(missing.contains("`farrier plugin key NAME` makes one"), "{missing}");
        for text in ["", "publisher = \"00\"\nsignature = \"00\"", "publisher = 1"] {
            assert!(Signature::parse(text).is_err(), "{text}");
        }
        let component = folder.path().join("x.wasm");
        assert_eq!(Signature::beside(&component).unwrap(), None);
        fs::write(Signature::path_of(&component), "nonsense").unwrap();
        assert!(Signature::beside(&component).unwrap_err().to_string().contains("x.wasm.sig is no signature"));
    }

    #[test]
    fn hexadecimal_digits_are_pairs() {
        assert_eq!(from_hex("00 fF\n10").unwrap(), [0, 255, 16]);
        for text in ["0", "zz", "0 00"] {
            assert!(from_hex(text).is_err(), "{text}");
        }
    }
}
