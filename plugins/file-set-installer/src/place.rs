//! A file's place, with the siblings that it has while it changes.

use alloc::{borrow::ToOwned, boxed::Box, format, string::String};
use farrier_plugin_sdk::{Error, Facts, Folder, Host, Kind};

/// What will be put in its place.
const NEW: &str = ".farrier-new";
/// The digest of that.
const DIGEST: &str = ".farrier-digest";
/// What was in its place before.
const PREVIOUS: &str = ".farrier-previous";
/// Nothing was in its place before.
const ABSENT: &str = ".farrier-absent";
const SUFFIXES: [&str; 4] = [NEW, DIGEST, PREVIOUS, ABSENT];

/// Bytes of a file's name that Linux allows, less the longest suffix.
const MAX_NAME_BYTES: usize = 255 - PREVIOUS.len();

/// The mode of folders that have to be made.
const FOLDER_MODE: u32 = 0o755;
/// The mode of marks.
const MARK_MODE: u32 = 0o600;

/// A file's place.
#[derive(Debug, Clone)]
pub struct Place {
    folder: String,
    name: String,
}

/// What is wrong with a path, if anything is.
pub fn check_path(path: &str) -> Result<(), &'static str> {
    let Some(relative) = path.strip_prefix('/') else { return Err("is not absolute: begin it with `/`") };
    if relative.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("has an empty part, a `.` or a `..`");
    }
    if path.contains(char::is_control) {
        return Err("has a control character");
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.len() > MAX_NAME_BYTES {
        return Err("has a name that is too long");
    }
    if SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        return Err("has a suffix that this plugin needs for itself");
    }
    Ok(())
}

impl Place {
    /// The place of this path.
    pub fn of(path: &str) -> Result<Self, Error> {
        let (folder, name) = path.rsplit_once('/').ok_or_else(|| Error::Invalid(format!("{path} is not absolute")))?;
        let folder = if folder.is_empty() { "/" } else { folder };
        Ok(Self { folder: folder.to_owned(), name: name.to_owned() })
    }

    /// Its path.
    pub fn path(&self) -> String {
        self.with("")
    }

    /// Its folder.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    fn with(&self, suffix: &str) -> String {
        format!("{}/{}{suffix}", self.folder.trim_end_matches('/'), self.name)
    }

    fn name_with(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.name)
    }

    fn has(&self, facts: &dyn Facts, suffix: &str) -> Result<bool, Error> {
        facts.exists(&self.with(suffix))
    }

    /// Whether something is kept that was, or was not, in its place before.
    fn is_kept(&self, facts: &dyn Facts) -> Result<bool, Error> {
        Ok(self.has(facts, PREVIOUS)? || self.has(facts, ABSENT)?)
    }

    /// The digest of what is at the place, or at a sibling of it.
    fn digest(&self, facts: &dyn Facts, suffix: &str) -> Result<Option<String>, Error> {
        match facts.digest(&self.with(suffix)) {
            Ok(digest) => Ok(Some(digest)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An error if something is in its place that is no file.
    pub fn check(&self, facts: &dyn Facts) -> Result<(), Error> {
        match facts.stat(&self.path()) {
            Ok(status) if matches!(status.kind, Kind::File | Kind::Link) => Ok(()),
            Ok(_) => Err(Error::Other(format!("{} is there and is no file: move it out of the way", self.path()))),
            Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts in order what an interrupted call left: afterwards it has neither a new file nor its digest beside it.
    /// Whether there was something.
    pub fn settle(&self, host: &dyn Host) -> Result<bool, Error> {
        let (is_staged, has_digest) = (self.has(host, NEW)?, self.has(host, DIGEST)?);
        if !is_staged && !has_digest {
            return Ok(false);
        }
        let folder = host.folder(&self.folder)?;
        if is_staged {
            if has_digest && self.was_exchanged(host)? && !self.is_kept(host)? {
                folder.rename(&self.name_with(NEW), &self.name_with(PREVIOUS))?;
            } else {
                folder.remove(&self.name_with(NEW))?;
            }
            folder.sync()?;
        }
        if has_digest {
            folder.remove(&self.name_with(DIGEST))?;
        }
        folder.sync()?;
        Ok(true)
    }

    /// Whether what stands beside it as new is what was in its place before.
    fn was_exchanged(&self, facts: &dyn Facts) -> Result<bool, Error> {
        let digest = facts.read_text(&self.with(DIGEST))?;
        let is_it = |found: Option<String>| found.as_deref() == Some(digest.trim_end());
        Ok(is_it(self.digest(facts, "")?) && !is_it(self.digest(facts, NEW)?))
    }

    /// Lets `write` write the new file beside the one in place; `digest` is what it has to be, where that is known.
    pub fn stage(
        &self,
        host: &dyn Host,
        digest: Option<&str>,
        write: impl FnOnce(&dyn Folder, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let folder = self.make_folder(host)?;
        write(&*folder, &self.name_with(NEW))?;
        let written = host.digest(&self.with(NEW))?;
        if digest.is_some_and(|digest| digest != written) {
            return Err(Error::Other(format!(
                "{} was written, but another content is read back: the disk may be failing",
                self.with(NEW)
            )));
        }
        folder.replace(&self.name_with(DIGEST), written.as_bytes(), MARK_MODE)
    }

    /// Whether a new file stands beside it.
    pub fn is_staged(&self, facts: &dyn Facts) -> Result<bool, Error> {
        self.has(facts, NEW)
    }

    /// Puts the new file in its place. What was there is kept if it shall be, unless something older is kept already.
    pub fn put(&self, host: &dyn Host, keep: bool) -> Result<(), Error> {
        let folder = host.folder(&self.folder)?;
        let (new, keep) = (self.name_with(NEW), keep && !self.is_kept(host)?);
        if self.has(host, "")? && keep {
            folder.exchange(&self.name, &new)?;
            folder.sync()?;
            folder.rename(&new, &self.name_with(PREVIOUS))?;
        } else {
            if keep {
                folder.replace(&self.name_with(ABSENT), b"", MARK_MODE)?;
            }
            folder.rename(&new, &self.name)?;
        }
        folder.sync()?;
        folder.remove(&self.name_with(DIGEST))?;
        folder.sync()
    }

    /// Sets the permission bits of the file in place.
    pub fn set_mode(&self, host: &dyn Host, mode: u32) -> Result<(), Error> {
        let folder = host.folder(&self.folder)?;
        folder.set_mode(&self.name, mode)?;
        folder.sync()
    }

    /// Brings back what was in its place before. Whether there was something to do.
    pub fn restore(&self, host: &dyn Host) -> Result<bool, Error> {
        let (has_previous, was_absent) = (self.has(host, PREVIOUS)?, self.has(host, ABSENT)?);
        if !has_previous && !was_absent {
            return Ok(false);
        }
        let folder = host.folder(&self.folder)?;
        if has_previous {
            folder.rename(&self.name_with(PREVIOUS), &self.name)?;
        } else if self.has(host, "")? {
            folder.remove(&self.name)?;
        }
        folder.sync()?;
        if was_absent {
            folder.remove(&self.name_with(ABSENT))?;
            folder.sync()?;
        }
        Ok(true)
    }

    /// Removes what was kept.
    pub fn forget(&self, host: &dyn Host) -> Result<(), Error> {
        for suffix in [PREVIOUS, ABSENT] {
            if self.has(host, suffix)? {
                let folder = host.folder(&self.folder)?;
                folder.remove(&self.name_with(suffix))?;
                folder.sync()?;
            }
        }
        Ok(())
    }

    /// Its folder, made if it is not there: below the nearest one that is.
    fn make_folder(&self, host: &dyn Host) -> Result<Box<dyn Folder>, Error> {
        let mut above = self.folder.as_str();
        loop {
            match host.folder(above) {
                Ok(folder) if above == self.folder => return Ok(folder),
                Ok(folder) => {
                    folder.make_folder(self.folder[above.len()..].trim_start_matches('/'), FOLDER_MODE)?;
                    return host.folder(&self.folder);
                }
                Err(Error::NotFound(text)) => match above.rsplit_once('/') {
                    Some((parent, _)) if !parent.is_empty() => above = parent,
                    _ => return Err(Error::NotFound(text)),
                },
                Err(error) => return Err(error),
            }
        }
    }
}
