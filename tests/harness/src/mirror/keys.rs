//! OpenPGP keys of archives: good ones, and the ones that must be refused.

use anyhow::{Context, Result};
use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedPublicKey,
    SignedSecretKey, SubkeyParamsBuilder,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{Duration, KeyDetails, Password, SigningKey, Tag, Timestamp};
use rand_for_openpgp::thread_rng;

const DAY_SECONDS: u32 = 24 * 60 * 60;
/// How old keys are: old enough to have expired.
const AGE_SECONDS: u32 = 10 * DAY_SECONDS;

/// The key of an archive.
#[derive(Debug, Clone)]
pub struct ArchiveKey {
    secret: SignedSecretKey,
    /// What stands in keyrings.
    public: SignedPublicKey,
    by_subkey: bool,
    hash: HashAlgorithm,
    signed_at: Option<Timestamp>,
}

impl ArchiveKey {
    /// A key that signs itself.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn generate() -> Result<Self> {
        Self::of(secret_key(KeyType::Ed25519Legacy, &[])?, false)
    }

    /// An RSA key of 2,048 bits, which takes a second.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn rsa() -> Result<Self> {
        Self::of(secret_key(KeyType::Rsa(2048), &[])?, false)
    }

    /// A key that signs with a subkey.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn with_subkey() -> Result<Self> {
        Self::of(secret_key(KeyType::Ed25519Legacy, &[signing_subkey()?])?, true)
    }

    /// A key that was valid for a day, long ago.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn expired() -> Result<Self> {
        let mut key = Self::generate()?;
        let user = key.public.details.users.first_mut().context("a key has a user")?;
        let day = SubpacketData::KeyExpirationTime(Duration::from_secs(DAY_SECONDS));
        let config = key.secret.config(SignatureType::CertPositive, vec![day])?;
        let primary = &key.secret.primary_key;
        let public = primary.public_key();
        user.signatures =
            vec![config.sign_certification(primary, public, &Password::empty(), Tag::UserId, &user.id)?];
        Ok(key)
    }

    /// A key whose owner took it back.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn revoked() -> Result<Self> {
        let mut key = Self::generate()?;
        let config = key.secret.config(SignatureType::KeyRevocation, Vec::new())?;
        let primary = &key.secret.primary_key;
        let revocation = config.sign_key(primary, &Password::empty(), primary.public_key())?;
        key.public.details.revocation_signatures.push(revocation);
        Ok(key)
    }

    /// A key whose signing subkey was taken back.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn with_revoked_subkey() -> Result<Self> {
        let mut key = Self::with_subkey()?;
        let revocation = key.bind(SignatureType::SubkeyRevocation, Vec::new())?;
        key.public.public_subkeys[0].signatures.push(revocation);
        Ok(key)
    }

    /// A key whose signing subkey was valid for a day, long ago.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn with_expired_subkey() -> Result<Self> {
        let mut key = Self::with_subkey()?;
        let back =
            key.secret.secret_subkeys[0].signatures[0].embedded_signature().cloned().context("a back signature")?;
        let day = SubpacketData::KeyExpirationTime(Duration::from_secs(DAY_SECONDS));
        let terms = vec![day, signing_flags(), SubpacketData::EmbeddedSignature(Box::new(back))];
        key.public.public_subkeys[0].signatures = vec![key.bind(SignatureType::SubkeyBinding, terms)?];
        Ok(key)
    }

    /// A key that claims a subkey whose owner never agreed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn with_unwilling_subkey() -> Result<Self> {
        let mut key = Self::with_subkey()?;
        key.public.public_subkeys[0].signatures = vec![key.bind(SignatureType::SubkeyBinding, vec![signing_flags()])?];
        Ok(key)
    }

    /// This key, with a subkey of somebody else slipped into its keyring. Signs with that one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn with_foreign_subkey(&self) -> Result<Self> {
        let foreign = Self::with_subkey()?;
        let mut public = self.public.clone();
        public.public_subkeys.clone_from(&foreign.public.public_subkeys);
        Ok(Self { public, ..foreign })
    }

    /// This key, signing with another hash.
    #[must_use]
    pub fn hashing_with(self, hash: HashAlgorithm) -> Self {
        Self { hash, ..self }
    }

    /// This key, signing as if it were another time.
    #[must_use]
    pub fn signing_at(self, unix_seconds: u32) -> Self {
        Self { signed_at: Some(Timestamp::from_secs(unix_seconds)), ..self }
    }

    /// Its fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.public.fingerprint().to_string().to_uppercase()
    }

    /// It as a keyring, armoured.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn armored(&self) -> Result<String> {
        Ok(self.public.to_armored_string(ArmorOptions::default())?)
    }

    /// It as a keyring, binary.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn binary(&self) -> Result<Vec<u8>> {
        Ok(self.public.to_bytes()?)
    }

    /// The text and its signature in one document.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign_inline(&self, text: &str) -> Result<String> {
        sign_inline(text, &[self])
    }

    /// The signature of a text, armoured.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign_detached(&self, text: &str) -> Result<String> {
        let signature = self.sign(SignatureType::Binary, text)?;
        Ok(DetachedSignature::new(signature).to_armored_string(ArmorOptions::default())?)
    }

    fn of(secret: SignedSecretKey, by_subkey: bool) -> Result<Self> {
        let public = secret.to_public_key();
        Ok(Self { secret, public, by_subkey, hash: HashAlgorithm::Sha512, signed_at: None })
    }

    fn sign(&self, kind: SignatureType, text: &str) -> Result<Signature> {
        match self.secret.secret_subkeys.first() {
            Some(subkey) if self.by_subkey => self.sign_with(&subkey.key, kind, text),
            _ => self.sign_with(&self.secret.primary_key, kind, text),
        }
    }

    fn sign_with(&self, key: &impl SigningKey, kind: SignatureType, text: &str) -> Result<Signature> {
        let mut config = SignatureConfig::v4(kind, key.algorithm(), self.hash);
        let signed_at = self.signed_at.unwrap_or_else(Timestamp::now);
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::SignatureCreationTime(signed_at))?,
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
        ];
        // apt's gpgv finds the key by this one.
        config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?];
        Ok(config.sign(key, &Password::empty(), text.as_bytes())?)
    }

    fn bind(&self, kind: SignatureType, terms: Vec<SubpacketData>) -> Result<Signature> {
        let config = self.secret.config(kind, terms)?;
        let primary = &self.secret.primary_key;
        let subkey = self.secret.secret_subkeys.first().context("a key with a subkey")?.key.public_key();
        Ok(config.sign_subkey_binding(primary, primary.public_key(), &Password::empty(), subkey)?)
    }
}

/// The text and the signatures of several keys in one document.
///
/// # Errors
/// When it cannot be signed.
pub fn sign_inline(text: &str, keys: &[&ArchiveKey]) -> Result<String> {
    let signatures = keys.iter().map(|key| key.sign(SignatureType::Text, text)).collect::<Result<Vec<_>>>()?;
    let message = CleartextSignedMessage::new_many(text, |_| Ok(signatures))?;
    Ok(message.to_armored_string(ArmorOptions::default())?)
}

trait Configure {
    fn config(&self, kind: SignatureType, terms: Vec<SubpacketData>) -> Result<SignatureConfig>;
}

impl Configure for SignedSecretKey {
    /// A signature of the primary key about itself or its subkeys, newer than those it was made with.
    fn config(&self, kind: SignatureType, terms: Vec<SubpacketData>) -> Result<SignatureConfig> {
        let primary = &self.primary_key;
        let mut config = SignatureConfig::v4(kind, primary.algorithm(), HashAlgorithm::Sha512);
        let always = [
            SubpacketData::SignatureCreationTime(Timestamp::now()),
            SubpacketData::IssuerFingerprint(primary.fingerprint()),
        ];
        config.hashed_subpackets =
            always.into_iter().chain(terms).map(Subpacket::regular).collect::<pgp::errors::Result<_>>()?;
        Ok(config)
    }
}

fn secret_key(kind: KeyType, subkeys: &[pgp::composed::SubkeyParams]) -> Result<SignedSecretKey> {
    let mut parameters = SecretKeyParamsBuilder::default();
    parameters
        .key_type(kind)
        .created_at(made_at())
        .can_certify(true)
        .can_sign(subkeys.is_empty())
        .primary_user_id("Archive <archive@example.org>".to_owned());
    for subkey in subkeys {
        parameters.subkey(subkey.clone());
    }
    Ok(parameters.build()?.generate(thread_rng())?)
}

fn signing_subkey() -> Result<pgp::composed::SubkeyParams> {
    let mut parameters = SubkeyParamsBuilder::default();
    parameters.key_type(KeyType::Ed25519Legacy).created_at(made_at()).can_sign(true);
    Ok(parameters.build()?)
}

fn signing_flags() -> SubpacketData {
    let mut flags = KeyFlags::default();
    flags.set_sign(true);
    SubpacketData::KeyFlags(flags)
}

fn made_at() -> Timestamp {
    Timestamp::from_secs(Timestamp::now().as_secs() - AGE_SECONDS)
}
