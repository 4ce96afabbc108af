//! OpenPGP: keyrings, and whether a text is signed by a key in them.
//!
//! A keyring is the administrator's word: what stands in it is believed, except for keys that have expired, were
//! revoked or are not bound to their owner. A signature is taken only with a hash that nobody can forge today.

use super::day;
use anyhow::{Context as _, anyhow, bail, ensure};
use pgp::composed::{Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{KeyFlags, PublicKey, Signature, SignatureType, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{Fingerprint, KeyDetails, Tag, Timestamp, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::io::Read as _;
use std::path::{Path, PathBuf};

const MAX_KEYRING_BYTES: u64 = 32 * 1024 * 1024;
const MAX_KEYS_OF_A_KEYRING: usize = 10_000;
const MAX_SIGNATURES: usize = 16;
/// How far in the future a signature may be made: clocks differ.
const MAX_CLOCK_SKEW_SECONDS: i64 = 60 * 60;
/// An RSA key is at least 2,048 bits long: so many bytes of modulus, exponent and their lengths.
const MIN_RSA_PARAMETER_BYTES: usize = 2 + 256 + 3;
const ARMOR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// The keys of one suite.
#[derive(Debug)]
pub struct Keyring {
    certificates: Vec<SignedPublicKey>,
    digest: farrier_protocol::Digest,
}

/// No signature is good. Says of each who made it and why it is not taken.
#[derive(Debug, thiserror::Error)]
#[error("no signature is good: {}", .0.join("; "))]
pub struct BadSignature(Vec<String>);

impl Keyring {
    /// Reads keyrings, binary or armoured.
    ///
    /// # Errors
    /// When one cannot be read or holds no key; the message names it.
    pub fn load(files: &[PathBuf]) -> anyhow::Result<Self> {
        let mut certificates = Vec::new();
        let mut digest = Sha256::new();
        for file in files {
            let bytes = read_bounded(file).with_context(|| format!("keyring {} cannot be read", file.display()))?;
            digest.update(Sha256::digest(&bytes));
            let keys = parse(&bytes).with_context(|| {
                format!("{} is no keyring; export one with `gpg --export KEY > FILE`", file.display())
            })?;
            certificates.extend(keys);
        }
        Ok(Self { certificates, digest: farrier_protocol::Digest(digest.finalize().into()) })
    }

    /// The SHA-256 of all its files.
    #[must_use]
    pub fn digest(&self) -> farrier_protocol::Digest {
        self.digest
    }

    /// The keys whose fingerprint, or whose subkey's fingerprint, is this one, armoured as a keyring of their own.
    #[must_use]
    pub fn armored(&self, fingerprint: &str) -> Option<String> {
        let is_it = |key: Fingerprint| key.to_string().eq_ignore_ascii_case(fingerprint);
        let certificate = self.certificates.iter().find(|certificate| {
            is_it(certificate.fingerprint())
                || certificate.public_subkeys.iter().any(|sub| is_it(sub.key.fingerprint()))
        })?;
        certificate.to_armored_string(pgp::composed::ArmorOptions::default()).ok()
    }

    /// Whether one of the signatures over `text` is good, and whose it is.
    ///
    /// # Errors
    /// When none is good.
    pub fn verify(&self, signatures: &[Signature], text: &[u8], now: i64) -> Result<Fingerprint, BadSignature> {
        let mut refusals = Vec::new();
        for signature in signatures.iter().take(MAX_SIGNATURES) {
            match self.verify_one(signature, text, now) {
                Ok(key) => return Ok(key),
                Err(reason) => refusals.push(format!("{} {reason:#}", issuer(signature))),
            }
        }
        if refusals.is_empty() {
            refusals.push("there is none".to_owned());
        }
        Err(BadSignature(refusals))
    }

    fn verify_one(&self, signature: &Signature, text: &[u8], now: i64) -> anyhow::Result<Fingerprint> {
        check_strength(signature)?;
        check_time(signature, now)?;
        for certificate in &self.certificates {
            if is_issuer(signature, &certificate.primary_key) {
                check_primary(certificate, now)?.check_may_sign()?;
                return check_signed_by(signature, &certificate.primary_key, text);
            }
            if let Some(subkey) = certificate.public_subkeys.iter().find(|sub| is_issuer(signature, &sub.key)) {
                check_primary(certificate, now).map_err(|reason| anyhow!("belongs to a key that {reason}"))?;
                check_subkey(subkey, &certificate.primary_key, now)?;
                return check_signed_by(signature, &subkey.key, text);
            }
        }
        bail!("is in none of the keyrings")
    }
}

/// What a key's newest self-signature says of it.
#[derive(Debug, Default)]
struct Terms {
    flags: Option<KeyFlags>,
    valid_seconds: Option<u32>,
}

impl Terms {
    fn of(signature: &Signature) -> Self {
        let hashed = || signature.config().into_iter().flat_map(|config| config.hashed_subpackets());
        let flags = hashed().find_map(|packet| match &packet.data {
            SubpacketData::KeyFlags(flags) => Some(flags.clone()),
            _ => None,
        });
        Self { flags, valid_seconds: signature.key_expiration_time().map(|time| time.as_secs()) }
    }

    /// A key without flags may do what its algorithm can.
    fn check_may_sign(&self) -> anyhow::Result<()> {
        ensure!(self.flags.as_ref().is_none_or(KeyFlags::sign), "is not a signing key");
        Ok(())
    }

    fn check_not_expired(&self, key: &impl KeyDetails, now: i64) -> anyhow::Result<()> {
        let Some(seconds) = self.valid_seconds.filter(|seconds| *seconds > 0) else { return Ok(()) };
        let until = i64::from(key.created_at().as_secs()) + i64::from(seconds);
        ensure!(now < until, "expired on {}", day(until));
        Ok(())
    }
}

/// The key's owner vouches for it, it has not expired and nobody revoked it.
///
/// Self-signatures may use SHA-1, as in many an old keyring: who could forge one can replace the keyring.
fn check_primary(certificate: &SignedPublicKey, now: i64) -> anyhow::Result<Terms> {
    let key = &certificate.primary_key;
    check_algorithm(key)?;
    let details = &certificate.details;
    ensure!(!details.revocation_signatures.iter().any(|revocation| revocation.verify_key(key).is_ok()), "was revoked");
    let direct = newest(details.direct_signatures.iter().filter(|signature| signature.verify_key(key).is_ok()));
    let by_user = newest(details.users.iter().flat_map(|user| {
        let good = |signature: &&Signature| signature.verify_certification(key, Tag::UserId, &user.id).is_ok();
        let is_revocation = |signature: &&Signature| signature.typ() == Some(SignatureType::CertRevocation);
        let revoked = user.signatures.iter().filter(is_revocation).any(|revocation| good(&revocation));
        user.signatures.iter().filter(move |signature| !revoked && !is_revocation(signature) && good(signature))
    }));
    ensure!(direct.is_some() || by_user.is_some(), "has no valid self-signature");
    let direct = direct.map(Terms::of).unwrap_or_default();
    let by_user = by_user.map(Terms::of).unwrap_or_default();
    let terms =
        Terms { flags: by_user.flags.or(direct.flags), valid_seconds: by_user.valid_seconds.or(direct.valid_seconds) };
    terms.check_not_expired(key, now)?;
    Ok(terms)
}

/// The subkey is bound to its owner and its owner to it, it has not expired and was not revoked.
fn check_subkey(subkey: &SignedPublicSubKey, primary: &PublicKey, now: i64) -> anyhow::Result<()> {
    check_algorithm(&subkey.key)?;
    let mut good =
        subkey.signatures.iter().filter(|signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok());
    let is_revocation = |signature: &Signature| signature.typ() == Some(SignatureType::SubkeyRevocation);
    ensure!(!good.clone().any(is_revocation), "was revoked");
    let binding = newest(&mut good).context("has no valid binding to its key")?;
    let terms = Terms::of(binding);
    ensure!(terms.flags.as_ref().is_some_and(KeyFlags::sign), "is not a signing key");
    let back = binding.embedded_signature().context("has no valid binding to its key")?;
    back.verify_primary_key_binding(&subkey.key, primary).context("has no valid binding to its key")?;
    terms.check_not_expired(&subkey.key, now)
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created().map(Timestamp::as_secs))
}

fn check_algorithm(key: &impl KeyDetails) -> anyhow::Result<()> {
    match key.algorithm() {
        PublicKeyAlgorithm::RSA | PublicKeyAlgorithm::RSASign => {
            ensure!(key.public_params().write_len() >= MIN_RSA_PARAMETER_BYTES, "is an RSA key of less than 2048 bits");
        }
        PublicKeyAlgorithm::ECDSA
        | PublicKeyAlgorithm::EdDSALegacy
        | PublicKeyAlgorithm::Ed25519
        | PublicKeyAlgorithm::Ed448 => {}
        other => bail!("is a {other:?} key, which is not strong enough"),
    }
    Ok(())
}

fn check_strength(signature: &Signature) -> anyhow::Result<()> {
    let config = signature.config().context("is of an unknown version")?;
    match config.hash_alg {
        HashAlgorithm::Sha224
        | HashAlgorithm::Sha256
        | HashAlgorithm::Sha384
        | HashAlgorithm::Sha512
        | HashAlgorithm::Sha3_256
        | HashAlgorithm::Sha3_512 => {}
        weak => bail!("used {weak}, which is not strong enough"),
    }
    let known = |data: &SubpacketData| {
        !matches!(data, SubpacketData::Other(..) | SubpacketData::Experimental(..) | SubpacketData::Notation(..))
    };
    let demands = config.hashed_subpackets().any(|packet| packet.is_critical && !known(&packet.data));
    ensure!(!demands, "demands something that is not known here");
    Ok(())
}

fn check_time(signature: &Signature, now: i64) -> anyhow::Result<()> {
    let created = i64::from(signature.created().context("does not say when it signed")?.as_secs());
    ensure!(
        created <= now + MAX_CLOCK_SKEW_SECONDS,
        "signed on {}, which is in the future; is this machine's clock right?",
        day(created)
    );
    let valid_seconds = signature.signature_expiration_time().map_or(0, |time| time.as_secs());
    ensure!(
        valid_seconds == 0 || now < created + i64::from(valid_seconds),
        "made a signature that expired on {}",
        day(created + i64::from(valid_seconds))
    );
    Ok(())
}

fn check_signed_by<K: VerifyingKey>(signature: &Signature, key: &K, text: &[u8]) -> anyhow::Result<Fingerprint> {
    let signed = signature.created().map(Timestamp::as_secs);
    ensure!(signed >= Some(key.created_at().as_secs()), "signed before it was made");
    ensure!(signature.verify(key, text).is_ok(), "did not sign this text: it was changed afterwards");
    Ok(key.fingerprint())
}

fn is_issuer(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if fingerprints.is_empty() {
        return signature.issuer_key_id().contains(&&key.legacy_key_id());
    }
    fingerprints.contains(&&key.fingerprint())
}

/// Who a signature claims to be of.
fn issuer(signature: &Signature) -> String {
    let fingerprints = signature.issuer_fingerprint();
    let name = fingerprints.first().map(|fingerprint| fingerprint.to_string());
    name.or_else(|| signature.issuer_key_id().first().map(|id| id.to_string()))
        .map_or_else(|| "a key without a name".to_owned(), |name| format!("key {}", name.to_uppercase()))
}

fn read_bounded(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_KEYRING_BYTES + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= MAX_KEYRING_BYTES, "it is longer than {MAX_KEYRING_BYTES} bytes");
    Ok(bytes)
}

/// A file's keys. One that cannot be read, of an old or a new kind, does not spoil the others.
fn parse(bytes: &[u8]) -> anyhow::Result<Vec<SignedPublicKey>> {
    let mut keys = Vec::new();
    let mut problem = None;
    let mut collect = |parsed: Box<dyn Iterator<Item = pgp::errors::Result<SignedPublicKey>> + '_>| {
        for key in parsed.take(MAX_KEYS_OF_A_KEYRING) {
            match key {
                Ok(key) => keys.push(key),
                Err(error) => problem = Some(error),
            }
        }
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            for (start, _) in text.match_indices(ARMOR) {
                let block = &text[start..];
                let end = block[ARMOR.len()..].find(ARMOR).map_or(block.len(), |next| next + ARMOR.len());
                collect(SignedPublicKey::from_string_many(&block[..end])?.0);
            }
        }
        Err(_) => collect(SignedPublicKey::from_bytes_many(bytes)?),
    }
    match (keys.is_empty(), problem) {
        (false, _) => Ok(keys),
        (true, Some(error)) => Err(error.into()),
        (true, None) => bail!("it holds no OpenPGP public key"),
    }
}
