//! What has to be in place: the files of a set, and its version file behind them.

use crate::{instructions::FileSet, place::Place};
use alloc::{format, string::String, vec::Vec};
use farrier_plugin_sdk::{Blob, Change, Entry, Error, Facts, Host, Kind, Update};

/// The mode of version files.
const VERSION_MODE: u32 = 0o644;

/// Something that has to be in place.
#[derive(Debug)]
pub struct Item<'a> {
    /// Where.
    pub place: Place,
    /// Its permission bits.
    pub mode: u32,
    /// What it is made of.
    pub source: Source<'a>,
}

/// What an item is made of.
#[derive(Debug)]
pub enum Source<'a> {
    /// A file of the update: its position there.
    Content(u32, &'a Entry),
    /// The version, as the only line.
    Version(String),
}

/// The items of a set, in the order in which they are put in place.
pub fn items<'a>(set: &FileSet<'_>, update: &'a Update) -> Result<Vec<Item<'a>>, Error> {
    set.check()?;
    let mut items = Vec::with_capacity(set.files.len() + 1);
    for file in &set.files {
        let mut entries = (0_u32..).zip(&update.contents);
        let (position, entry) = entries.find(|(_, entry)| entry.label == file.content).ok_or_else(|| {
            let (name, content, path) = (&set.name, &file.content, &file.path);
            Error::Invalid(format!(
                "the instructions of {name} want the content `{content}` for {path}, which the update does not have"
            ))
        })?;
        items.push(Item { place: file.place()?, mode: file.mode()?, source: Source::Content(position, entry) });
    }
    if let Some(path) = &set.version_file {
        let source = Source::Version(format!("{}\n", set.version));
        items.push(Item { place: Place::of(path)?, mode: VERSION_MODE, source });
    }
    Ok(items)
}

impl<'a> Item<'a> {
    /// The position of its content in the update; `None` for the version file.
    pub fn position(&self) -> Option<u32> {
        match self.source {
            Source::Content(position, _) => Some(position),
            Source::Version(_) => None,
        }
    }

    /// Whether the file in its place has its content.
    pub fn holds_what_it_should(&self, facts: &dyn Facts) -> Result<bool, Error> {
        let path = self.place.path();
        let holds = match &self.source {
            Source::Content(_, entry) => facts.digest(&path).map(|digest| digest.eq_ignore_ascii_case(&entry.digest)),
            Source::Version(text) => facts.read_file(&path).map(|bytes| bytes == text.as_bytes()),
        };
        match holds {
            Err(Error::NotFound(_)) => Ok(false),
            holds => holds,
        }
    }

    /// Whether nothing has to be done for it.
    pub fn is_current(&self, facts: &dyn Facts) -> Result<bool, Error> {
        Ok(self.holds_what_it_should(facts)? && self.has_its_mode(facts)?)
    }

    /// Whether the file in its place has its mode. That of a link is what the link leads to, and nobody's business
    /// here.
    fn has_its_mode(&self, facts: &dyn Facts) -> Result<bool, Error> {
        let status = facts.stat(&self.place.path())?;
        Ok(self.position().is_none() || status.kind != Kind::File || status.mode & 0o7777 == self.mode)
    }

    /// Its content among the files that were downloaded; `None` for the version file.
    pub fn find<'b>(&self, contents: &'b [Blob<'b>]) -> Result<Option<&'b Blob<'b>>, Error> {
        let Source::Content(_, entry) = self.source else { return Ok(None) };
        let found = contents.iter().find(|blob| blob.label() == entry.label);
        found.map(Some).ok_or_else(|| {
            let (path, label) = (self.place.path(), &entry.label);
            Error::Other(format!(
                "{path} has changed since the download, in which `{label}` was left out: the next attempt includes it"
            ))
        })
    }

    /// Writes it beside the file in its place.
    pub fn stage(&self, host: &dyn Host, contents: &[Blob<'_>]) -> Result<(), Error> {
        match (&self.source, self.find(contents)?) {
            (Source::Content(_, entry), Some(blob)) => self
                .place
                .stage(host, Some(&entry.digest), |folder, name| folder.replace_with_blob(name, blob, self.mode)),
            (Source::Version(text), _) => {
                self.place.stage(host, None, |folder, name| folder.replace(name, text.as_bytes(), self.mode))
            }
            (Source::Content(..), None) => Ok(()),
        }
    }

    /// Puts it in its place.
    pub fn put(&self, host: &dyn Host, keep: bool) -> Result<(), Error> {
        if self.place.is_staged(host)? { self.place.put(host, keep) } else { self.place.set_mode(host, self.mode) }
    }

    /// Bytes that it needs beside what is there.
    pub fn length(&self) -> u64 {
        match &self.source {
            Source::Content(_, entry) => entry.length,
            Source::Version(text) => text.len() as u64,
        }
    }

    /// What becomes of it, for people.
    pub fn change(&self, facts: &dyn Facts) -> Result<Change, Error> {
        let path = self.place.path();
        let action = match (facts.exists(&path)?, self.holds_what_it_should(facts)?) {
            (false, _) => "install",
            (true, false) => "replace",
            (true, true) => "set mode",
        };
        let detail = match &self.source {
            Source::Content(_, entry) => format!("{}, {} bytes, mode {:04o}", entry.label, entry.length, self.mode),
            Source::Version(text) => text.trim_end().into(),
        };
        Ok(Change { subject: path, action: action.into(), detail })
    }
}
