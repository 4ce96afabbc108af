//! Signing on another machine: a request goes there, signatures come back.
//!
//! A request holds drafts and what is in force. Whoever signs is shown what the drafts themselves say, compared with what
//! is in force only where one of the signer's own keys has signed that: nothing else in a request is believed.

use super::KeyError;
use super::changes::changes;
use super::context::{Context, SIGNED_ELSEWHERE};
use super::folder::short;
use super::pem::PrivateKeyFile;
use super::role::KeyRole;
use super::standing::waiting_standings;
use super::state::{State, Version, Waiting, waiting_roles};
use crate::deployment::words::time;
use farrier_protocol::{Digest, UnixTime};
use farrier_trust::{Draft, PublicKey, SigningKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const REQUEST: &str = "farrier signing request 1";
const SIGNATURES: &str = "farrier signatures 1";

/// What is to be signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    format: String,
    /// The metadata that are to come, by role.
    drafts: BTreeMap<String, Value>,
    /// The metadata that there are, by role.
    in_force: BTreeMap<String, Value>,
}

/// What was signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signatures {
    format: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    role: String,
    version: u64,
    /// SHA-256 of exactly what was signed, in hexadecimal digits.
    signed: String,
    keyid: String,
    /// The signature, in hexadecimal digits.
    sig: String,
}

/// What a signer is asked to sign, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The role.
    pub role: String,
    /// The version that is to come.
    pub version: u64,
    /// The version that it was compared with; none if no key of the signer has signed one.
    pub compared_with: Option<u64>,
    /// What it says, or what it says differently.
    pub lines: Vec<String>,
    /// The keys that would sign it: their roles and ids.
    pub keys: Vec<String>,
}

impl Request {
    /// Everything that waits.
    pub(super) fn of(state: &State) -> Result<Self, KeyError> {
        let value = |version: &Version| {
            serde_json::from_slice(&version.draft.to_bytes()).map_err(|error| KeyError::Encoding(error.to_string()))
        };
        let mut request = Self { format: REQUEST.to_owned(), drafts: BTreeMap::new(), in_force: BTreeMap::new() };
        for role in waiting_roles(state) {
            if let Some(waiting) = state.waiting.get(role) {
                request.drafts.insert(role.to_owned(), value(&waiting.version)?);
            }
        }
        for role in SIGNED_ELSEWHERE {
            if let Some(version) = state.in_force.get(role) {
                request.in_force.insert(role.to_owned(), value(version)?);
            }
        }
        Ok(request)
    }

    /// Reads a request.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let request: Self = serde_json::from_slice(text)
            .map_err(|error| KeyError::Invalid(format!("this is no request of `farrier keys request`: {error}")))?;
        check_format(&request.format, REQUEST)?;
        Ok(request)
    }

    /// The roles of what is to be signed, with their versions.
    ///
    /// # Errors
    /// When the request holds something else than metadata.
    pub fn drafts(&self) -> Result<Vec<(String, u64)>, KeyError> {
        let standings = waiting_standings(&self.state()?)?.into_iter().filter(|waiting| !waiting.is_signed);
        Ok(standings.map(|waiting| (waiting.role, waiting.version)).collect())
    }

    /// What these keys are asked to sign.
    ///
    /// # Errors
    /// When the request holds something else than metadata, what has expired, or nothing for these keys.
    pub fn review(&self, keys: &[PrivateKeyFile], now: UnixTime) -> Result<Vec<Review>, KeyError> {
        let state = self.state()?;
        if let Some((role, waiting)) = state.waiting.iter().find(|(_, waiting)| waiting.version.expires <= now) {
            return Err(KeyError::Invalid(format!(
                "by the clock of this machine, what is to be signed of {role} expired on {}: have it made again on the \
                 site with `farrier keys renew {role}` and `farrier keys request`",
                time(waiting.version.expires)
            )));
        }
        let mut reviews = Vec::new();
        for role in waiting_roles(&state) {
            let signers = signers(&state, role, keys)?;
            let Some(waiting) = state.waiting.get(role).filter(|_| !signers.is_empty()) else { continue };
            let known = known(&state, role, keys)?;
            reviews.push(Review {
                role: role.to_owned(),
                version: waiting.version.version,
                compared_with: known.map(|known| known.version),
                lines: changes(role, known.map(|known| &known.draft), &waiting.version.draft)?,
                keys: signers.iter().map(|(id, _)| (*id).to_owned()).collect(),
            });
        }
        match reviews.is_empty() {
            true => Err(KeyError::Invalid(nothing_for(&state, keys)?)),
            false => Ok(reviews),
        }
    }

    /// Signs what is for these keys.
    ///
    /// # Errors
    /// When the request holds something else than metadata.
    pub fn sign(&self, keys: &[PrivateKeyFile]) -> Result<Signatures, KeyError> {
        let state = self.state()?;
        let mut signatures = Vec::new();
        for role in waiting_roles(&state) {
            let Some(Waiting { version, .. }) = state.waiting.get(role) else { continue };
            let message = version.draft.signed_bytes();
            for (id, key) in signers(&state, role, keys)? {
                signatures.push(Signature {
                    role: role.to_owned(),
                    version: version.version,
                    signed: Digest::of(&message).to_string(),
                    keyid: id,
                    sig: hexadecimal(&key.sign(&message)),
                });
            }
        }
        Ok(Signatures { format: SIGNATURES.to_owned(), signatures })
    }

    fn state(&self) -> Result<State, KeyError> {
        let mut state = State::default();
        for (role, value) in &self.in_force {
            state.in_force.insert(role.clone(), version(role, value)?);
        }
        for (role, value) in &self.drafts {
            if !SIGNED_ELSEWHERE.contains(&role.as_str()) {
                return Err(KeyError::Invalid(format!(
                    "the request asks for a signature of {role:?}, which the site signs itself"
                )));
            }
            let waiting = Waiting { version: version(role, value)?, created_at: 0, reason: String::new() };
            state.waiting.insert(role.clone(), waiting);
        }
        Ok(state)
    }
}

fn version(role: &str, value: &Value) -> Result<Version, KeyError> {
    Ok(Version::read(role, value.to_string().as_bytes())?)
}

fn check_format(format: &str, expected: &str) -> Result<(), KeyError> {
    match format == expected {
        true => Ok(()),
        false => Err(KeyError::Invalid(format!("the file is of the format {format:?}, not {expected:?}"))),
    }
}

/// Says that keys sign nothing of what waits, and which do.
fn nothing_for(state: &State, keys: &[PrivateKeyFile]) -> Result<String, KeyError> {
    let named = |PrivateKeyFile { role, key }: &PrivateKeyFile| {
        let role = role.map(|role| format!("{role} ")).unwrap_or_default();
        format!("the {role}key {}", short(&key.key_id()))
    };
    let named: Vec<String> = keys.iter().map(named).collect();
    let mut asked = Vec::new();
    for role in waiting_roles(state) {
        let contexts = state.signing(role)?;
        let ids =
            contexts.iter().filter_map(|context| context.of_metadata(role)).flat_map(|signers| &signers.role.keyids);
        let ids: BTreeSet<&str> = ids.map(|id| short(id)).collect();
        asked.push(format!("{role} asks for {}", ids.into_iter().collect::<Vec<_>>().join(", ")));
    }
    Ok(format!("nothing in the request is for {}: {}", named.join(" and "), asked.join("; ")))
}

/// The keys that may sign what waits of a role, under the ids that it names them by. One whose file says that it is for
/// another role signs nothing else.
fn signers<'a>(
    state: &State,
    role: &str,
    keys: &'a [PrivateKeyFile],
) -> Result<Vec<(String, &'a SigningKey)>, KeyError> {
    let contexts = state.signing(role)?;
    let mut signers: Vec<(String, &SigningKey)> = Vec::new();
    for PrivateKeyFile { role: said, key } in keys {
        if said.is_some_and(|said| KeyRole::of_metadata(role) != Some(said)) {
            continue;
        }
        for id in ids_of(&contexts, role, &key.public()) {
            if signers.iter().all(|(known, _)| *known != id) {
                signers.push((id, key));
            }
        }
    }
    Ok(signers)
}

fn ids_of(contexts: &[Context], role: &str, key: &PublicKey) -> Vec<String> {
    let of = contexts.iter().filter_map(|context| context.of_metadata(role));
    of.flat_map(|signers| signers.ids_of(key)).map(str::to_owned).collect()
}

/// What is in force of a role, if one of these keys has signed it.
fn known<'a>(state: &'a State, role: &str, keys: &[PrivateKeyFile]) -> Result<Option<&'a Version>, KeyError> {
    let Some(version) = state.in_force.get(role) else { return Ok(None) };
    let own = keys.iter().map(|file| file.key.public());
    Ok(own.into_iter().any(|key| has_signed(&version.draft, &key)).then_some(version))
}

/// Whether a key has signed this, under whatever id.
fn has_signed(draft: &Draft, key: &PublicKey) -> bool {
    let mut ids = draft.signers();
    ids.any(|id| {
        let role = farrier_trust::RoleKeys::new(vec![id.to_owned()], 1);
        draft.valid_signatures(&role, &[(id.to_owned(), key.to_key())].into()) == 1
    })
}

impl Signatures {
    /// Reads signatures.
    ///
    /// # Errors
    /// When there are none.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let signatures: Self = serde_json::from_slice(text)
            .map_err(|error| KeyError::Invalid(format!("these are no signatures of `farrier keys sign`: {error}")))?;
        check_format(&signatures.format, SIGNATURES)?;
        Ok(signatures)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.signatures.len()
    }
}

/// Adds what is good to what waits; returns how many that were, and why others were not taken.
pub(super) fn apply(state: &mut State, files: &[Signatures]) -> Result<(usize, Vec<String>), KeyError> {
    let (mut taken, mut refused) = (0, Vec::new());
    for signature in files.iter().flat_map(|file| &file.signatures) {
        match take(state, signature)? {
            Ok(()) => taken += 1,
            Err(reason) => refused.push(reason),
        }
    }
    Ok((taken, refused))
}

fn take(state: &mut State, signature: &Signature) -> Result<Result<(), String>, KeyError> {
    let Signature { role, version, signed, keyid, sig } = signature;
    let contexts = state.signing(role)?;
    let is_in_force = state.in_force.get(role).is_some_and(|version| digest(&version.draft) == *signed);
    let Some(waiting) = state.waiting.get_mut(role) else {
        return Ok(Err(match is_in_force {
            true => format!("{role} version {version} is in force already"),
            false => format!(
                "nothing of {role} waits for this signature: what was signed was replaced, was discarded or expired since \
                 the request was made, or it is of another site; `farrier keys show` says what waits"
            ),
        }));
    };
    let draft = &mut waiting.version.draft;
    if digest(draft) != *signed {
        return Ok(Err(format!(
            "what waits of {role} is not what was signed: it changed since the request was made, or the request is of \
             another site; make a new one with `farrier keys request`"
        )));
    }
    let mut whose = contexts.iter().filter_map(|context| context.of_metadata(role));
    let Some(signers) = whose.find(|signers| signers.role.keyids.contains(keyid)) else {
        return Ok(Err(format!("{} is no key of {role}", short(keyid))));
    };
    let Some(bytes) = from_hexadecimal(sig).filter(|bytes| signers.accept(draft, keyid, bytes)) else {
        return Ok(Err(format!(
            "the signature of {role} by {} does not fit: the file is damaged or forged",
            short(keyid)
        )));
    };
    draft.add_signature(keyid, &bytes);
    Ok(Ok(()))
}

fn digest(draft: &Draft) -> String {
    Digest::of(&draft.signed_bytes()).to_string()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}
