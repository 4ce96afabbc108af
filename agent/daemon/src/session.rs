//! The data folder, open and locked: everything one poll or one scan works on.

use crate::accepted::Accepted;
use crate::agent::Agent;
use crate::clock::{now, random};
use crate::content::Content;
use crate::identity::Identity;
use crate::lock::Lock;
use crate::notes::{Notes, remark};
use crate::policy::Policy;
use crate::site::Site;
use anyhow::Context as _;
use farrier_spool::{Spool, SpoolError, set_aside};
use std::path::Path;
use std::rc::Rc;

/// The open data folder.
pub(crate) struct Session<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) identity: Identity,
    pub(crate) spool: Spool,
    pub(crate) content: Content,
    pub(crate) accepted: Accepted,
    _lock: Lock,
}

impl<'a> Session<'a> {
    /// Opens the folder of an enrolled client.
    pub(crate) fn open(agent: &'a Agent, lock: Lock) -> anyhow::Result<Self> {
        let identity = agent.identity()?;
        let (spool, spool_lost) = open_spool(&agent.layout.spool(), &identity)?;
        let (accepted, lost) = Accepted::load(&identity, &agent.layout.floors(), &spool, agent.engine())?;
        let content = Content::open(&agent.layout.content())?;
        // Whoever left it was killed: the lock is ours.
        let _ = std::fs::remove_file(agent.layout.at_work());
        let session = Self { agent, identity, spool, content, accepted, _lock: lock };
        let lost: Vec<_> = spool_lost.into_iter().chain(lost).collect();
        session.note_loss((!lost.is_empty()).then(|| lost.join("; ")));
        Ok(session)
    }

    /// The site, over TLS; nothing is sent yet.
    pub(crate) fn site(&self) -> anyhow::Result<Site> {
        self.agent.site(&self.identity, self.accepted.floors.accepted_time)
    }

    /// The policy that is followed, if there is one.
    pub(crate) fn policy(&self) -> Option<Rc<Policy>> {
        self.accepted.policy()
    }

    /// Something that the policy needs is missing on disk or damaged: the next poll fetches it.
    pub(crate) fn note_missing_content(&self) -> anyhow::Result<()> {
        Notes::change(&self.spool, |notes| notes.content_missing = true)
    }

    /// State was lost, for these reasons. Said once, and shown from then on.
    fn note_loss(&self, lost: Option<String>) {
        let Some(words) = lost else { return };
        let noted = Notes::change(&self.spool, |notes| {
            if remark(&mut notes.loss, Some(words.clone()), now()) {
                tracing::error!(reason = words, "State lost: what is missing is fetched and verified anew");
            }
        });
        if let Err(error) = noted {
            tracing::error!(reason = words, error = format!("{error:#}"), "State lost, and that could not be noted");
        }
    }
}

/// Opens the spool. A damaged one is set aside: its stream ends, and the site is told everything again in a new one. What
/// was lost with it is returned.
fn open_spool(file: &Path, identity: &Identity) -> anyhow::Result<(Spool, Option<String>)> {
    let stream = || Ok::<_, anyhow::Error>(u64::from_le_bytes(random()?));
    match Spool::open(file, identity.client, stream()?) {
        Err(error @ SpoolError::Damaged { .. }) => {
            let aside =
                set_aside(file).with_context(|| format!("the damaged spool {} cannot be set aside", file.display()))?;
            let error = format!("{:#}", anyhow::Error::new(error));
            let lost = format!("{error}; it is now {}, and everything is reported again", aside.display());
            Ok((Spool::open(file, identity.client, stream()?)?, Some(lost)))
        }
        opened => Ok((opened?, None)),
    }
}
