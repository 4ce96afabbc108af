//! What administrators do with keys. Console and command line call nothing else.

use super::ceremony::{Ceremony, check_present};
use super::drafts::{Rotation, check_on_site, complete, renew, rotate};
use super::exchange::{Request, Signatures};
use super::folder::{KeysLock, file_name, new_key, short};
use super::pem::{self, Passphrase, PrivateKeyFile};
use super::settle::settle;
use super::standing::{Standing, WaitingStanding, waiting_standings};
use super::state::State;
use super::{KeyError, KeyRole, Keys};
use crate::database::{Database, now};
use crate::repository::roles;
use farrier_protocol::UnixTime;
use farrier_trust::{PublicKey, SigningKey};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How often to begin again when somebody else has signed meanwhile.
const TRIES: usize = 5;

/// The keys of a site, and what they have signed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SiteKeys {
    /// The site database.
    pub database: Database,
    /// The keys that are here.
    pub keys: Keys,
}

/// How far something is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// What came into force: roles and versions.
    pub in_force: Vec<(String, u64)>,
    /// What waits for signatures.
    pub waiting: Vec<WaitingStanding>,
    /// Drafts that had these ids' signatures, and say something else now: those have to sign again.
    pub to_sign_again: BTreeMap<String, Vec<String>>,
}

/// What became of signatures that were brought.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Applied {
    /// How many were taken.
    pub taken: usize,
    /// Why others were not.
    pub refused: Vec<String>,
    /// How far what they signed is.
    pub outcome: Outcome,
}

/// A key that was written to another place.
#[derive(Debug, Clone, Serialize)]
pub struct Exported {
    /// What it is for.
    #[serde(serialize_with = "super::standing::as_text")]
    pub role: KeyRole,
    /// Its id.
    pub id: String,
    /// Where it is.
    pub file: PathBuf,
}

impl SiteKeys {
    /// The keys in this data folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(database: Database, data: &Path) -> Result<Self, KeyError> {
        Ok(Self { database, keys: Keys::open(data)? })
    }

    /// Makes the keys of a new site; of any other, checks that those which it needs are here.
    ///
    /// # Errors
    /// When a key is missing, the first root waits for its signatures, or something cannot be read or written.
    pub async fn ensure(&self, now: UnixTime) -> Result<(), KeyError> {
        let _lock = self.lock().await?;
        let state = State::read(&self.database).await?;
        if state.in_force.contains_key(roles::ROOT) {
            return check_present(&state, &self.keys);
        }
        if state.waiting.contains_key(roles::ROOT) {
            return Err(KeyError::FirstRootWaits);
        }
        self.hold(&Ceremony::default(), now).await.map(|_| ())
    }

    /// Makes the keys of a new site in this way.
    ///
    /// # Errors
    /// When it has keys, or cannot have these.
    pub async fn init(&self, ceremony: &Ceremony, now: UnixTime) -> Result<Outcome, KeyError> {
        let _lock = self.lock().await?;
        if State::read(&self.database).await?.newest(roles::ROOT).is_some() {
            return Err(KeyError::Invalid(
                "the site has its keys already: `farrier keys show` shows them, `farrier keys rotate ROLE` changes them"
                    .to_owned(),
            ));
        }
        self.hold(ceremony, now).await
    }

    /// Keeps other processes from making keys; waiting for it is not for a thread that answers clients.
    async fn lock(&self) -> Result<KeysLock, KeyError> {
        let keys = self.keys.clone();
        let locked = tokio::task::spawn_blocking(move || keys.lock()).await;
        locked.unwrap_or_else(|error| Err(KeyError::Invalid(format!("the keys cannot be locked: {error}"))))
    }

    async fn hold(&self, ceremony: &Ceremony, now: UnixTime) -> Result<Outcome, KeyError> {
        let mut state = ceremony.hold(&self.keys, now)?;
        let outcome = self.advance(&mut state, now)?;
        state.write(&State::default(), &self.database).await?;
        Ok(outcome)
    }

    /// How it stands with the keys.
    ///
    /// # Errors
    /// When something cannot be read.
    pub async fn standing(&self, now: UnixTime) -> Result<Standing, KeyError> {
        let mut state = State::read(&self.database).await?;
        state.drop_expired(now);
        Standing::of(&state, &self.keys, now)
    }

    /// Gives a role other keys. Where the draft of that needs signatures of keys that are elsewhere, it waits for them.
    ///
    /// # Errors
    /// When the role cannot have these keys, or something cannot be read or written.
    pub async fn rotate(&self, rotation: &Rotation, now: UnixTime) -> Result<Outcome, KeyError> {
        self.update(now, |state| {
            rotate(state, rotation, now)?;
            let future = state.future()?;
            let here: Vec<PublicKey> = self.keys.signers(rotation.role)?.iter().map(SigningKey::public).collect();
            check_on_site(rotation.role, future.of_role(rotation.role).ok_or(KeyError::NoRoot)?, &here)
        })
        .await
        .map(|((), outcome)| outcome)
    }

    /// The same, with one more key that is made here.
    ///
    /// # Errors
    /// As [`rotate`](Self::rotate).
    pub async fn rotate_to_own(&self, mut rotation: Rotation, now: UnixTime) -> Result<Outcome, KeyError> {
        let key = new_key()?;
        rotation.new.push(key.public());
        // What cannot be leaves no key behind.
        rotate(&mut State::read(&self.database).await?, &rotation, now)?;
        self.keys.add(rotation.role, key)?;
        self.rotate(&rotation, now).await
    }

    /// Has what a role says signed again, for longer.
    ///
    /// # Errors
    /// When the site does that by itself, the role has signed nothing, or something cannot be read or written.
    pub async fn renew(&self, role: KeyRole, now: UnixTime) -> Result<Outcome, KeyError> {
        if !role.is_offline() {
            return Err(KeyError::Invalid(format!(
                "the site signs for {role} by itself, as long as it runs: root, targets, plugins and native can be renewed"
            )));
        }
        self.update(now, |state| {
            role.metadata().iter().try_for_each(|metadata| renew(state, metadata, "the same for longer", now))
        })
        .await
        .map(|((), outcome)| outcome)
    }

    /// Forgets what waits for signatures of this role.
    ///
    /// # Errors
    /// When nothing waits, or the database fails.
    pub async fn discard(&self, role: KeyRole) -> Result<Outcome, KeyError> {
        self.update(now(), |state| {
            let waits = role.metadata().iter().filter(|metadata| state.waiting.remove(**metadata).is_some()).count();
            match waits {
                0 => Err(KeyError::Invalid(format!("nothing of {role} waits for a signature"))),
                _ => Ok(()),
            }
        })
        .await
        .map(|((), outcome)| outcome)
    }

    /// Everything that waits for signatures, to be carried to the keys.
    ///
    /// # Errors
    /// When nothing waits, or something cannot be read.
    pub async fn request(&self) -> Result<Request, KeyError> {
        self.update(now(), |_| Ok(())).await?;
        let state = State::read(&self.database).await?;
        match state.waiting.is_empty() {
            true => Err(KeyError::Invalid("nothing waits for a signature".to_owned())),
            false => Request::of(&state),
        }
    }

    /// Takes signatures that were made elsewhere. Each is taken or refused by itself.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub async fn apply(&self, signatures: &[Signatures]) -> Result<Applied, KeyError> {
        let ((taken, refused), outcome) = self.update(now(), |state| super::exchange::apply(state, signatures)).await?;
        Ok(Applied { taken, refused, outcome })
    }

    /// Writes the keys of these roles to another folder, encrypted, and reads them back; then removes them here, unless
    /// they are to be kept.
    ///
    /// # Errors
    /// When one of them is not here or cannot be written; then all are still here.
    pub fn export(
        &self,
        roles: &[KeyRole],
        passphrase: &Passphrase,
        to: &Path,
        keep: bool,
    ) -> Result<Vec<Exported>, KeyError> {
        if let Some(role) = roles.iter().find(|role| !keep && !role.is_offline()) {
            return Err(KeyError::Invalid(format!(
                "the site signs for {role} every day, so the key stays here: --keep writes a copy"
            )));
        }
        if self.keys.is_on_site(to)? {
            return Err(KeyError::Invalid(format!(
                "{} is in the site's own data folder: choose one that is not on the site",
                to.display()
            )));
        }
        let mut exported = Vec::new();
        for role in roles.iter().collect::<BTreeSet<_>>() {
            for key in self.keys.signers(*role)? {
                exported.push(export_one(*role, key, passphrase, to)?);
            }
        }
        if exported.is_empty() {
            let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            return Err(KeyError::Invalid(format!("no key of {} is on the site", roles.join(", "))));
        }
        if !keep {
            exported.iter().try_for_each(|key| self.keys.remove(key.role, &key.id))?;
        }
        Ok(exported)
    }

    /// Brings keys to the site, and signs what waits for them.
    ///
    /// # Errors
    /// When no role has one of them and its file names none, or something cannot be read or written.
    pub async fn import(&self, files: Vec<PrivateKeyFile>) -> Result<(Vec<Exported>, Outcome), KeyError> {
        let state = State::read(&self.database).await?;
        let mut imported = Vec::new();
        for PrivateKeyFile { role, key } in files {
            let roles = roles_of(&state, role, &key.public())?;
            for role in roles {
                let file = self.keys.add(role, key.clone())?;
                imported.push(Exported { role, id: key.key_id(), file });
            }
        }
        let ((), outcome) = self.update(now(), |_| Ok(())).await?;
        Ok((imported, outcome))
    }

    /// Changes what waits, signs it with the keys that are here, and brings into force what fits together.
    async fn update<T>(
        &self,
        now: UnixTime,
        change: impl Fn(&mut State) -> Result<T, KeyError>,
    ) -> Result<(T, Outcome), KeyError> {
        let mut tries = 1..=TRIES;
        loop {
            let before = State::read(&self.database).await?;
            let mut state = before.clone();
            let result = change(&mut state)?;
            let mut outcome = self.advance(&mut state, now)?;
            outcome.to_sign_again = state.signatures_lost_since(&before);
            match state.write(&before, &self.database).await {
                Err(KeyError::Database(error)) if is_taken(&error) && tries.next().is_some() => {}
                written => return written.map(|()| (result, outcome)),
            }
        }
    }

    fn advance(&self, state: &mut State, now: UnixTime) -> Result<Outcome, KeyError> {
        state.drop_expired(now);
        complete(state, now)?;
        state.sign_with(&self.keys)?;
        let settled = settle(state)?;
        state.bring_into_force(&settled);
        let in_force = settled.into_iter().map(|role| (role.to_owned(), state.last_version(role))).collect();
        Ok(Outcome { in_force, waiting: waiting_standings(state)?, ..Outcome::default() })
    }
}

/// Whether another process has recorded this version meanwhile.
fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

fn export_one(role: KeyRole, key: SigningKey, passphrase: &Passphrase, to: &Path) -> Result<Exported, KeyError> {
    let id = key.key_id();
    let file = to.join(file_name(role, &id));
    let written = PrivateKeyFile { role: Some(role), key };
    // A copy from before is as good, if it is one.
    if !file.exists() {
        pem::write_new(&file, &written.to_encrypted_pem(passphrase)?)?;
    }
    let text = pem::read(&file)?;
    let read = PrivateKeyFile::parse(&file, &text, || Ok::<_, KeyError>(passphrase.clone()))?;
    if !pem::is_encrypted(&text) || read.key.secret() != written.key.secret() || read.role != Some(role) {
        return Err(KeyError::Invalid(format!(
            "{} is there already, and is no encrypted copy of this key: nothing was removed. Choose another folder",
            file.display()
        )));
    }
    Ok(Exported { role, id, file })
}

/// The roles that name a key, now or when what waits is in force; else the one that its file says.
fn roles_of(state: &State, said: Option<KeyRole>, key: &PublicKey) -> Result<Vec<KeyRole>, KeyError> {
    let contexts = [state.present()?, state.future()?];
    let has_it = |role: &KeyRole| {
        let signers = contexts.iter().filter_map(|context| context.of_role(*role));
        signers.flat_map(|signers| signers.ids_of(key)).next().is_some()
    };
    let roles: Vec<KeyRole> = KeyRole::ALL.into_iter().filter(has_it).collect();
    match (roles.is_empty(), said) {
        (false, _) => Ok(roles),
        (true, Some(said)) => Ok(vec![said]),
        (true, None) => {
            let id = key.key_id();
            Err(KeyError::Invalid(format!(
                "no role of this site has the key {}, and its file does not say one",
                short(&id)
            )))
        }
    }
}
