//! How the polls went: to ask by, and for whoever asks. Nothing here makes anything believed, so what is damaged is
//! begun anew.

use farrier_agent_core::clock::Refreshed;
use farrier_protocol::UnixTime;
use farrier_spool::{Blob, Spool};
use serde::{Deserialize, Serialize};

/// How the polls went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notes {
    /// When all of the repository was verified last.
    pub(crate) refreshed: Option<Refreshed>,
    /// For which engine artefacts were looked for then.
    pub(crate) engine: Option<String>,
    /// Something that the policy needs is not on the disk: the next poll fetches it.
    pub(crate) content_missing: bool,
    /// Why a poll failed last, other than for want of a network: what was refused.
    pub(crate) refusal: Option<Remark>,
    /// Which part of the repository is not used, although the rest is.
    pub(crate) doubt: Option<Remark>,
    /// What was lost last.
    pub(crate) loss: Option<Remark>,
}

/// Something that is worth telling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remark {
    /// Since when, by the client's clock.
    pub(crate) since: UnixTime,
    /// What, in words.
    pub(crate) words: String,
    /// Whether it is still so.
    pub(crate) stands: bool,
}

impl Notes {
    /// The notes in the spool.
    pub(crate) fn load(spool: &Spool) -> anyhow::Result<Self> {
        let bytes = spool.blob(Blob::Polls)?;
        Ok(bytes.and_then(|bytes| farrier_protocol::decode(&bytes).ok()).unwrap_or_default())
    }

    /// Changes the notes in the spool. What is as it was costs no write.
    pub(crate) fn change(spool: &Spool, change: impl FnOnce(&mut Self)) -> anyhow::Result<()> {
        let mut notes = Self::load(spool)?;
        let before = notes.clone();
        change(&mut notes);
        if notes == before {
            return Ok(());
        }
        Ok(spool.store(&[(Blob::Polls, &notes.encode()?)])?)
    }

    /// The notes as they are stored.
    pub(crate) fn encode(&self) -> anyhow::Result<Vec<u8>> {
        Ok(farrier_protocol::encode(self)?)
    }
}

/// The remark once this is so, or nothing is any more. True if that is news.
pub(crate) fn remark(before: &mut Option<Remark>, words: Option<String>, now: UnixTime) -> bool {
    match (before.as_mut(), words) {
        (Some(same), Some(words)) if same.stands && same.words == words => false,
        (_, Some(words)) => {
            *before = Some(Remark { since: now, words, stands: true });
            true
        }
        (Some(gone), None) => std::mem::take(&mut gone.stands),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_itself_is_news_once() {
        let (mut noted, said) = (None, |words: &str| Some(words.to_owned()));
        assert!(!remark(&mut noted, None, 1));
        assert!(remark(&mut noted, said("expired"), 2));
        assert!(!remark(&mut noted, said("expired"), 3));
        assert!(remark(&mut noted, said("another digest"), 4));
        assert!(remark(&mut noted, None, 5));
        assert!(!remark(&mut noted, None, 6));
        assert_eq!(noted, Some(Remark { since: 4, words: "another digest".into(), stands: false }));
        assert!(remark(&mut noted, said("another digest"), 7));
    }
}
