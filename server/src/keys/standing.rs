//! How it stands with the keys of a site, for people and programs.

use super::context::Context;
use super::folder::short;
use super::settle::missing;
use super::state::{State, waiting_roles};
use super::{KeyError, KeyRole, Keys};
use crate::deployment::words::counted;
use crate::repository::roles::Validity;
use farrier_protocol::UnixTime;
use serde::{Serialize, Serializer};
use std::fmt;

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// With so much left, metadata that people sign ask for it.
const SOON_DAYS: i64 = 60;
/// With so much left, they ask loudly.
const URGENT_DAYS: i64 = 14;

/// How it stands with the keys of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The roles of the metadata in force; none before the first root.
    pub roles: Vec<RoleStanding>,
    /// What waits for signatures.
    pub waiting: Vec<WaitingStanding>,
    /// Keys on the site that nothing names.
    pub unused: Vec<UnusedKey>,
    /// What asks for an administrator, the most urgent first.
    pub notices: Vec<Notice>,
}

/// A role, its keys, and what they have signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleStanding {
    /// The role.
    #[serde(serialize_with = "as_text")]
    pub role: KeyRole,
    /// Its keys.
    pub keys: Vec<KeyStanding>,
    /// How many of them must sign.
    pub threshold: u64,
    /// What they have signed.
    pub metadata: Vec<MetadataStanding>,
}

/// A key of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyStanding {
    /// Its id.
    pub id: String,
    /// Whether its private half is on the site.
    pub on_site: bool,
}

/// Signed metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetadataStanding {
    /// Its role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    pub expires_at: UnixTime,
    /// How urgent it is to sign it again; nothing if it is not.
    pub urgency: Option<Urgency>,
}

/// A draft that waits for signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingStanding {
    /// Its role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// Since when it waits.
    pub created_at: UnixTime,
    /// What it is for.
    pub reason: String,
    /// What it waits for.
    pub missing: Vec<String>,
    /// Whether it waits only for others, with which it comes into force.
    pub is_signed: bool,
}

/// A key on the site that neither the metadata in force nor those that wait name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnusedKey {
    /// What it was for.
    #[serde(serialize_with = "as_text")]
    pub role: KeyRole,
    /// Its id.
    pub id: String,
    /// Its file.
    pub file: String,
}

/// How urgent something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// Within weeks.
    Warning,
    /// Now.
    Urgent,
}

/// Something that asks for an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// How urgent it is.
    pub urgency: Urgency,
    /// What it is and what to do.
    pub text: String,
    /// The command that does it, if one does.
    pub command: Option<String>,
}

impl Notice {
    /// Whether it cannot wait.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.urgency == Urgency::Urgent
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.command {
            Some(command) => write!(f, "{}: `{command}`", self.text),
            None => f.write_str(&self.text),
        }
    }
}

pub(super) fn as_text<S: Serializer>(role: &KeyRole, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(role.as_str())
}

impl Standing {
    pub(super) fn of(state: &State, keys: &Keys, now: UnixTime) -> Result<Self, KeyError> {
        let (present, future) = (state.present()?, state.future()?);
        let mut standing = Self { waiting: waiting_standings(state)?, ..Self::default() };
        for role in KeyRole::ALL {
            let here: Vec<_> = keys.signers(role)?.iter().map(farrier_trust::SigningKey::public).collect();
            if let Some(signers) = present.of_role(role) {
                let on_site = |id: &String| here.iter().any(|key| signers.ids_of(key).any(|known| known == id));
                let key = |id: &String| KeyStanding { id: id.clone(), on_site: on_site(id) };
                standing.roles.push(RoleStanding {
                    role,
                    keys: signers.role.keyids.iter().map(key).collect(),
                    threshold: signers.role.threshold,
                    metadata: metadata_of(role, state, now),
                });
            }
            let names = |context: &Context, key| {
                context.of_role(role).is_some_and(|signers| signers.ids_of(key).next().is_some())
            };
            for key in here.iter().filter(|key| !names(&present, key) && !names(&future, key)) {
                let id = key.key_id();
                standing.unused.push(UnusedKey { role, file: keys.file_of(role, &id).display().to_string(), id });
            }
        }
        standing.notices = standing.notices(now);
        Ok(standing)
    }

    fn notices(&self, now: UnixTime) -> Vec<Notice> {
        let others = self.lacking().chain(self.demonstration()).chain(self.signatures());
        let mut notices: Vec<Notice> = self.expiries(now).chain(others).collect();
        notices.sort_by_key(|notice| std::cmp::Reverse(notice.urgency));
        notices
    }

    fn expiries(&self, now: UnixTime) -> impl Iterator<Item = Notice> {
        let all = self.roles.iter().flat_map(|role| role.metadata.iter().map(|metadata| (role.role, metadata)));
        all.filter_map(move |(role, metadata)| expiry(role, metadata, now))
    }

    /// Keys that the site needs every day.
    fn lacking(&self) -> impl Iterator<Item = Notice> {
        self.roles.iter().filter(|role| role.lacks_keys()).map(|role| Notice {
            urgency: Urgency::Urgent,
            text: format!(
                "The site cannot sign for {0}: its key is missing or damaged; restore it (`farrier keys import`), or \
                 replace it",
                role.role
            ),
            command: Some(format!("farrier keys rotate {}", role.role)),
        })
    }

    /// Keys that belong elsewhere.
    fn demonstration(&self) -> Option<Notice> {
        let is_here = |role: &&RoleStanding| role.role.is_offline() && role.keys.iter().any(|key| key.on_site);
        let here: Vec<&str> = self.roles.iter().filter(is_here).map(|role| role.role.as_str()).collect();
        let (last, others) = here.split_last()?;
        let names = if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) };
        Some(Notice {
            urgency: Urgency::Warning,
            text: format!("Demonstration keys: {names} keys are still on this site: export them"),
            command: Some("farrier keys export --offline --to DIR".to_owned()),
        })
    }

    fn signatures(&self) -> Option<Notice> {
        let unsigned = self.waiting.iter().filter(|waiting| !waiting.is_signed);
        let drafts: Vec<&str> = unsigned.map(|waiting| waiting.role.as_str()).collect();
        (!drafts.is_empty()).then(|| Notice {
            urgency: Urgency::Warning,
            text: format!("Waiting for signatures of keys that are elsewhere: {}", drafts.join(", ")),
            command: Some("farrier keys request --out FILE".to_owned()),
        })
    }
}

/// What waits, and what for.
pub(super) fn waiting_standings(state: &State) -> Result<Vec<WaitingStanding>, KeyError> {
    let mut standings = Vec::new();
    for role in waiting_roles(state) {
        if let Some(waiting) = state.waiting.get(role) {
            let (missing, is_signed) = missing(state, role)?;
            standings.push(WaitingStanding {
                role: role.to_owned(),
                version: waiting.version.version,
                created_at: waiting.created_at,
                reason: waiting.reason.clone(),
                missing,
                is_signed,
            });
        }
    }
    Ok(standings)
}

fn metadata_of(role: KeyRole, state: &State, now: UnixTime) -> Vec<MetadataStanding> {
    let standing = |name: &&str| {
        let version = state.in_force.get(*name)?;
        Some(MetadataStanding {
            role: (*name).to_owned(),
            version: version.version,
            expires_at: version.expires,
            urgency: urgency(role, name, version.expires - now),
        })
    };
    role.metadata().iter().filter_map(standing).collect()
}

/// What people sign asks for it in time. What the site signs should have been signed again long before half of what it
/// then had left is over.
fn urgency(role: KeyRole, metadata: &str, left_seconds: i64) -> Option<Urgency> {
    let renewed = Validity::of(metadata).renewed_with_seconds;
    let (soon, urgent) = match role.is_offline() {
        true => (SOON_DAYS * DAY_SECONDS, URGENT_DAYS * DAY_SECONDS),
        false => (renewed / 2, renewed / 4),
    };
    match left_seconds {
        left if left < urgent => Some(Urgency::Urgent),
        left if left < soon => Some(Urgency::Warning),
        _ => None,
    }
}

fn expiry(role: KeyRole, metadata: &MetadataStanding, now: UnixTime) -> Option<Notice> {
    let urgency = metadata.urgency?;
    let left = metadata.expires_at - now;
    let when = match left {
        ..=0 => "expired, so clients take nothing new of it".to_owned(),
        1..DAY_SECONDS => "expires within a day".to_owned(),
        _ => format!("expires in {}", counted(left / DAY_SECONDS, "day")),
    };
    let (remedy, command) = match role.is_offline() {
        true => ("sign it again", Some(format!("farrier keys renew {role}"))),
        false => ("the site signs it while `farrier serve` runs, whose log says what is wrong", None),
    };
    Some(Notice { urgency, text: format!("The {} metadata {when}; {remedy}", metadata.role), command })
}

impl RoleStanding {
    /// Whether the site should have more of its keys than it has.
    #[must_use]
    pub fn lacks_keys(&self) -> bool {
        let here = self.keys.iter().filter(|key| key.on_site).count() as u64;
        !self.role.is_offline() && here < self.threshold
    }

    /// Where one of its keys is.
    #[must_use]
    pub fn place(&self, key: &KeyStanding) -> &'static str {
        match key.on_site {
            true => "on the site",
            false if self.lacks_keys() => "missing",
            false => "elsewhere",
        }
    }
}

impl KeyStanding {
    /// As much of its id as people compare.
    #[must_use]
    pub fn short(&self) -> &str {
        short(&self.id)
    }
}
