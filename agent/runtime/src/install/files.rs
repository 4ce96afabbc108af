//! Changes to the endpoint's files: below its root, where granted, and through no link.
//!
//! A folder in a guest's hands is its path, not what is there: whatever a guest names in it is compared with the grants as a
//! whole path and resolved anew from the root, link by link refused. So a folder that was moved elsewhere meanwhile takes
//! no grant along. A target is an open file or device, and what it may be was checked when it was opened.

mod change;
mod target;

pub(super) use change::enter;
pub use target::OpenTarget;

use super::content::{Content, ContentError, CopyError};
use super::error::InstallCall;
use super::time::Time;
use super::world::{State, files};
use crate::endpoint::{Endpoint, Root};
use crate::facts::{io_error, told};
use crate::grants::{Denial, Grants, normalize};
use crate::limits::Limits;
use crate::observe::HostCall;
use crate::world::types::Error;
use std::io;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{Resource, ResourceTable};

/// The permission bits a plugin may set: it makes no program that runs as somebody else.
const PERMISSION_BITS: u32 = 0o777;

/// Outside: what ends the guest. Inside: what the guest is told.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// A folder in a guest's hands.
pub struct OpenFolder {
    /// Its normalized path.
    path: String,
}

/// Renames or exchanges two paths. It asks the function, if that moves a folder with all that is in it.
type Rename = fn(&Root, [&str; 2], &dyn Fn() -> Result<(), ChangeError>) -> Result<(), ChangeError>;

/// What one guest may write.
pub(crate) struct Writer {
    endpoint: Endpoint,
    grants: Grants,
    call: InstallCall,
    open: ResourceTable,
    most_open: usize,
    read_bytes: usize,
}

/// What a file is replaced with.
pub(super) enum Source {
    Bytes(Vec<u8>),
    Content(Content),
}

/// Why a file was not changed.
pub(super) enum ChangeError {
    /// The guest is told.
    Io(io::Error),
    /// The content is not what it should be: that ends the guest.
    Content(ContentError),
    /// More would be changed than is granted.
    Denied(Denial),
}

impl From<io::Error> for ChangeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<CopyError> for ChangeError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Content(error) => Self::Content(error),
            CopyError::Target(error) => Self::Io(error),
        }
    }
}

impl Writer {
    pub(super) fn new(endpoint: &Endpoint, grants: Grants, call: InstallCall, limits: &Limits) -> Self {
        let mut open = ResourceTable::new();
        open.set_max_capacity(limits.open_targets);
        let (most_open, read_bytes) = (limits.open_targets, limits.read_bytes);
        Self { endpoint: endpoint.clone(), grants, call, open, most_open, read_bytes }
    }

    /// The path of this name in a folder, if it may be written.
    fn granted(&self, folder: &Resource<OpenFolder>, name: &str) -> Answer<String> {
        let folder = &self.open.get(folder)?.path;
        Ok(inside(folder, name).map_err(Error::Invalid).and_then(|path| {
            self.grants.check_logged(&path).map_err(|denial| Error::Denied(denial.to_string()))?;
            Ok(path)
        }))
    }

    /// Does this in the thread that may block. `path` is what errors are about.
    pub(super) fn within<T: Send + 'static>(
        &self,
        path: &str,
        time: &Time,
        work: impl FnOnce(&Root, Instant) -> Result<T, ChangeError> + Send + 'static,
    ) -> Answer<T> {
        let until = time.end();
        let done = self.endpoint.within(time.last_end(), move |root| Ok(work(root, until)))?;
        match done.unwrap_or_else(|error| Err(error.into())) {
            Ok(done) => Ok(Ok(done)),
            Err(ChangeError::Content(error)) => Err(error.into()),
            Err(ChangeError::Denied(denial)) => Ok(Err(Error::Denied(denial.to_string()))),
            Err(ChangeError::Io(error)) => Ok(Err(io_error(path, &error))),
        }
    }

    /// Changes what has this name in a folder, if that may be written.
    fn change<T: Send + 'static>(
        &self,
        folder: &Resource<OpenFolder>,
        name: &str,
        time: &Time,
        work: impl FnOnce(&Root, &str) -> Result<T, ChangeError> + Send + 'static,
    ) -> Answer<T> {
        match self.call.check_changes() {
            Ok(()) => self.at(folder, name, time, work),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Does this to what has this name in a folder, if that may be written.
    fn at<T: Send + 'static>(
        &self,
        folder: &Resource<OpenFolder>,
        name: &str,
        time: &Time,
        work: impl FnOnce(&Root, &str) -> Result<T, ChangeError> + Send + 'static,
    ) -> Answer<T> {
        let path = match self.granted(folder, name)? {
            Ok(path) => path,
            Err(error) => return Ok(Err(error)),
        };
        let name = path.clone();
        self.within(&path, time, move |root, _| work(root, &name))
    }

    fn open_folder(&mut self, path: &str, time: &Time) -> Answer<Resource<OpenFolder>> {
        let granted = self.call.check_opens().and_then(|()| normalize(path).map_err(Error::Invalid)).and_then(|path| {
            self.grants.check_folder(&path).map_err(|denial| Error::Denied(denial.to_string()))?;
            Ok(path)
        });
        let path = match granted {
            Ok(path) => path,
            Err(error) => return Ok(Err(error)),
        };
        let name = path.clone();
        match self.within(&path, time, move |root, _| Ok(change::folder(root, &name).map(drop)?))? {
            Ok(()) => Ok(self.keep(OpenFolder { path: path.clone() }, &path)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Puts something into the guest's hands.
    fn keep<T: Send + 'static>(&mut self, thing: T, path: &str) -> Result<Resource<T>, Error> {
        let most = self.most_open;
        self.open.push(thing).map_err(|_| Error::TooLarge(format!("{path}: more than {most} files and folders open")))
    }

    fn replace(&self, folder: &Resource<OpenFolder>, name: &str, source: Source, mode: u32, time: &Time) -> Answer<()> {
        if let Err(error) = check_mode(mode) {
            return Ok(Err(error));
        }
        let until = *time;
        self.change(folder, name, time, move |root, path| change::replace(root, path, &source, mode, &until))
    }

    /// Renames or exchanges. A folder takes what is in it along: so all of it has to be granted, wherever it comes to.
    fn rename(&self, folder: &Resource<OpenFolder>, [old, new]: [&str; 2], time: &Time, rename: Rename) -> Answer<()> {
        if let Err(error) = self.call.check_changes() {
            return Ok(Err(error));
        }
        let (old, new) = match (self.granted(folder, old)?, self.granted(folder, new)?) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        let (names, grants) = ([old.clone(), new], self.grants.clone());
        self.within(&old, time, move |root, _| {
            let [old, new] = names.each_ref().map(String::as_str);
            let whole =
                || [old, new].into_iter().try_for_each(|name| grants.check_tree(name)).map_err(ChangeError::Denied);
            rename(root, [old, new], &whole)
        })
    }

    fn set_mode(&self, folder: &Resource<OpenFolder>, name: &str, mode: u32, time: &Time) -> Answer<()> {
        if let Err(error) = check_mode(mode) {
            return Ok(Err(error));
        }
        self.change(folder, name, time, move |root, path| Ok(change::set_mode(root, path, mode)?))
    }

    fn make_folder(&self, folder: &Resource<OpenFolder>, name: &str, mode: u32, time: &Time) -> Answer<()> {
        if let Err(error) = check_mode(mode) {
            return Ok(Err(error));
        }
        let grants = self.grants.clone();
        self.change(folder, name, time, move |root, path| {
            let may_make = |above: &str| grants.check_logged(above).map_err(ChangeError::Denied);
            change::make_folders(root, path, mode, &may_make)
        })
    }

    fn open(&mut self, folder: &Resource<OpenFolder>, name: &str, time: &Time) -> Answer<Resource<OpenTarget>> {
        let opened = self.at(folder, name, time, |root, path| Ok(target::open(root, path)?))?;
        Ok(opened.and_then(|target| self.keep_target(target)))
    }

    fn create(
        &mut self,
        folder: &Resource<OpenFolder>,
        name: &str,
        mode: u32,
        time: &Time,
    ) -> Answer<Resource<OpenTarget>> {
        if let Err(error) = check_mode(mode) {
            return Ok(Err(error));
        }
        let made = self.change(folder, name, time, move |root, path| Ok(target::create(root, path, mode)?))?;
        Ok(made.and_then(|target| self.keep_target(target)))
    }

    fn keep_target(&mut self, target: OpenTarget) -> Result<Resource<OpenTarget>, Error> {
        let path = target.path().to_owned();
        self.keep(target, &path)
    }

    /// Does this with an open file, in the thread that may block.
    fn with_target<T: Send + 'static>(
        &self,
        target: &Resource<OpenTarget>,
        time: &Time,
        work: impl FnOnce(&OpenTarget, Instant) -> Result<T, ChangeError> + Send + 'static,
    ) -> Answer<T> {
        let target = self.open.get(target)?.clone();
        let path = Arc::clone(target.path());
        self.within(&path, time, move |_, until| work(&target, until))
    }

    /// Writes to an open file, in the thread that may block.
    fn write(
        &self,
        target: &Resource<OpenTarget>,
        time: &Time,
        work: impl FnOnce(&OpenTarget, Instant) -> Result<(), ChangeError> + Send + 'static,
    ) -> Answer<()> {
        match self.call.check_changes() {
            Ok(()) => self.with_target(target, time, work),
            Err(error) => Ok(Err(error)),
        }
    }

    fn path_of(&self, folder: &Resource<OpenFolder>, name: &str) -> wasmtime::Result<String> {
        let folder = self.open.get(folder)?.path.trim_end_matches('/');
        Ok(format!("{folder}/{name}"))
    }
}

/// The normalized path of a name in a folder, which is in it and not the folder itself.
fn inside(folder: &str, name: &str) -> Result<String, String> {
    // First of all, whether it is short: only then it is shown.
    let path = normalize(&format!("{folder}/{name}"))?;
    if name.starts_with('/') || path == folder {
        return Err(format!("`{}` is no name in a folder: write it relative to {folder}", name.escape_default()));
    }
    Ok(path)
}

fn check_mode(mode: u32) -> Result<(), Error> {
    if mode & !PERMISSION_BITS == 0 {
        return Ok(());
    }
    Err(Error::Invalid(format!("the mode 0o{mode:o} has more than permission bits (0o{PERMISSION_BITS:o})")))
}

impl State {
    /// The guest is back from a change; whoever watches is told of what it was: a path, and more of it.
    fn changed<T>(
        &mut self,
        action: &'static str,
        answer: Answer<T>,
        shown: impl FnOnce(&Writer) -> wasmtime::Result<(String, String)>,
    ) -> Answer<T> {
        self.time.returned();
        let answer = answer?;
        if self.writer.endpoint.is_observed() {
            let ((path, detail), told) = (shown(&self.writer)?, told(&answer, |_| ()));
            let result = told.as_ref().copied().map_err(String::as_str);
            self.writer.endpoint.observe(|| HostCall::Changed { action, path: &path, detail: &detail, result });
        }
        Ok(answer)
    }

    /// The same for a change of what has this name in a folder.
    fn changed_in<T>(
        &mut self,
        (action, folder, name): (&'static str, &Resource<OpenFolder>, &str),
        answer: Answer<T>,
        detail: impl FnOnce() -> String,
    ) -> Answer<T> {
        self.changed(action, answer, |writer| Ok((writer.path_of(folder, name)?, detail())))
    }

    /// The same for an open file.
    fn changed_at<T>(
        &mut self,
        (action, target): (&'static str, &Resource<OpenTarget>),
        answer: Answer<T>,
        detail: impl FnOnce() -> String,
    ) -> Answer<T> {
        self.changed(action, answer, |writer| Ok((writer.open.get(target)?.path().to_string(), detail())))
    }
}

impl files::Host for State {
    fn open_folder(&mut self, path: String) -> Answer<Resource<OpenFolder>> {
        let answer = self.writer.open_folder(&path, &self.time);
        self.changed("open-folder", answer, |_| Ok((path, String::new())))
    }
}

impl files::HostFolder for State {
    fn replace(&mut self, folder: Resource<OpenFolder>, name: String, bytes: Vec<u8>, mode: u32) -> Answer<()> {
        let length = bytes.len();
        let answer = self.writer.replace(&folder, &name, Source::Bytes(bytes), mode, &self.time);
        self.changed_in(("replace", &folder, &name), answer, || format!("{length} bytes, mode {mode:04o}"))
    }

    fn replace_with_blob(
        &mut self,
        folder: Resource<OpenFolder>,
        name: String,
        blob: Resource<Content>,
        mode: u32,
    ) -> Answer<()> {
        let content = self.contents.get(&blob)?.clone();
        let answer = self.writer.replace(&folder, &name, Source::Content(content.clone()), mode, &self.time);
        let detail = || format!("{{{}}}, mode {mode:04o}", content.label());
        self.changed_in(("replace-with-blob", &folder, &name), answer, detail)
    }

    fn rename(&mut self, folder: Resource<OpenFolder>, old: String, new: String) -> Answer<()> {
        let answer = self.writer.rename(&folder, [&old, &new], &self.time, change::rename);
        self.changed("rename", answer, |writer| Ok((writer.path_of(&folder, &old)?, writer.path_of(&folder, &new)?)))
    }

    fn exchange(&mut self, folder: Resource<OpenFolder>, one: String, other: String) -> Answer<()> {
        let answer = self.writer.rename(&folder, [&one, &other], &self.time, change::exchange);
        self.changed("exchange", answer, |writer| {
            Ok((writer.path_of(&folder, &one)?, writer.path_of(&folder, &other)?))
        })
    }

    fn remove(&mut self, folder: Resource<OpenFolder>, name: String) -> Answer<()> {
        let answer = self.writer.change(&folder, &name, &self.time, |root, path| Ok(change::remove(root, path)?));
        self.changed_in(("remove", &folder, &name), answer, String::new)
    }

    fn set_mode(&mut self, folder: Resource<OpenFolder>, name: String, mode: u32) -> Answer<()> {
        let answer = self.writer.set_mode(&folder, &name, mode, &self.time);
        self.changed_in(("set-mode", &folder, &name), answer, || format!("mode {mode:04o}"))
    }

    fn make_folder(&mut self, folder: Resource<OpenFolder>, name: String, mode: u32) -> Answer<()> {
        let answer = self.writer.make_folder(&folder, &name, mode, &self.time);
        self.changed_in(("make-folder", &folder, &name), answer, || format!("mode {mode:04o}"))
    }

    fn open(&mut self, folder: Resource<OpenFolder>, name: String) -> Answer<Resource<OpenTarget>> {
        let answer = self.writer.open(&folder, &name, &self.time);
        self.changed_in(("open", &folder, &name), answer, String::new)
    }

    fn create(&mut self, folder: Resource<OpenFolder>, name: String, mode: u32) -> Answer<Resource<OpenTarget>> {
        let answer = self.writer.create(&folder, &name, mode, &self.time);
        self.changed_in(("create", &folder, &name), answer, || format!("mode {mode:04o}"))
    }

    fn sync(&mut self, folder: Resource<OpenFolder>) -> Answer<()> {
        let path = self.writer.open.get(&folder)?.path.clone();
        let name = path.clone();
        let answer =
            self.writer.within(&path, &self.time, move |root, _| Ok(change::sync(&change::folder(root, &name)?)?));
        self.changed("sync", answer, |_| Ok((path, String::new())))
    }

    fn drop(&mut self, folder: Resource<OpenFolder>) -> wasmtime::Result<()> {
        self.writer.open.delete(folder)?;
        Ok(())
    }
}

impl files::HostTarget for State {
    fn length(&mut self, target: Resource<OpenTarget>) -> Answer<u64> {
        let answer = self.writer.with_target(&target, &self.time, |target, _| Ok(target.length()?));
        self.changed_at(("length", &target), answer, String::new)
    }

    fn write(&mut self, target: Resource<OpenTarget>, offset: u64, bytes: Vec<u8>) -> Answer<()> {
        let length = bytes.len();
        let answer = self.writer.write(&target, &self.time, move |target, _| Ok(target.write(offset, &bytes)?));
        self.changed_at(("write", &target), answer, || format!("{length} bytes at {offset}"))
    }

    fn write_blob(
        &mut self,
        target: Resource<OpenTarget>,
        offset: u64,
        blob: Resource<Content>,
        start: u64,
        length: u64,
    ) -> Answer<()> {
        let content = self.contents.get(&blob)?.clone();
        let part = content.clone();
        let answer = self
            .writer
            .write(&target, &self.time, move |target, until| target.write_content(offset, &part, start, length, until));
        let detail = || format!("{length} bytes of {{{}}} from {start} at {offset}", content.label());
        self.changed_at(("write-blob", &target), answer, detail)
    }

    fn read(&mut self, target: Resource<OpenTarget>, offset: u64, max: u32) -> Answer<Vec<u8>> {
        let most = self.writer.read_bytes.min(max as usize);
        let answer = self.writer.with_target(&target, &self.time, move |target, _| Ok(target.read(offset, most)?));
        self.changed_at(("read", &target), answer, || format!("at most {max} bytes at {offset}"))
    }

    fn digest(&mut self, target: Resource<OpenTarget>, offset: u64, length: u64) -> Answer<String> {
        let answer = self
            .writer
            .with_target(&target, &self.time, move |target, until| Ok(target.digest(offset, length, until)?));
        self.changed_at(("digest", &target), answer, || format!("{length} bytes at {offset}"))
    }

    fn sync(&mut self, target: Resource<OpenTarget>) -> Answer<()> {
        let answer = self.writer.with_target(&target, &self.time, |target, _| Ok(target.sync()?));
        self.changed_at(("sync", &target), answer, String::new)
    }

    fn drop(&mut self, target: Resource<OpenTarget>) -> wasmtime::Result<()> {
        let target = self.writer.open.delete(target)?;
        // Closing a device brings to it what is still on the way.
        let closed = self.writer.within("", &self.time, move |_, _| {
            drop(target);
            Ok(())
        });
        self.time.returned();
        closed.map(drop)
    }
}

#[cfg(test)]
mod tests;
