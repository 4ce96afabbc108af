//! What an installer plugin may do, as far as its grants go.

use crate::{Error, Facts, File, bindings::installer::farrier::policy as host, facts::HostFacts};
use alloc::{boxed::Box, string::String, vec::Vec};

#[doc(inline)]
pub use host::process::Exit;
#[doc(inline)]
pub use host::restart::Kind as RestartKind;

/// The endpoint as an installer plugin may change it: only through what its manifest asks for, the site grants and the
/// agent's own configuration allows.
///
/// Paths are absolute paths of the endpoint. It is [`Facts`], too: a `&dyn Host` can be passed where a `&dyn Facts` is
/// wanted.
pub trait Host: Facts {
    /// Runs a program and waits for it, but not for what it left running. What it writes is shown as progress meanwhile.
    ///
    /// A program that exits with another status than 0 is no error: see [`Exit::status`].
    ///
    /// # Errors
    /// [`Error::Denied`] where no grant covers the command, [`Error::NotFound`] where there is no such program, or why it
    /// could not be started.
    fn run(&self, command: &Command<'_>) -> Result<Exit, Error>;

    /// Waits, for example until somebody else is done with a lock.
    ///
    /// # Errors
    /// When the time of the installation is up: say now what you waited for.
    fn pause(&self, milliseconds: u32) -> Result<(), Error>;

    /// Puts a file with these bytes and this mode (`0o644`) in the place of whatever file is there, at once or not at all.
    ///
    /// # Errors
    /// [`Error::Denied`] where no grant covers the path, or what else the host says.
    fn replace_file(&self, path: &str, bytes: &[u8], mode: u32) -> Result<(), Error>;

    /// The same with the bytes of a blob.
    ///
    /// # Errors
    /// As [`replace_file`](Self::replace_file).
    fn replace_file_with_blob(&self, path: &str, blob: &Blob<'_>, mode: u32) -> Result<(), Error>;

    /// Renames a file, replacing what is at the new path. Both need a grant.
    ///
    /// # Errors
    /// As [`replace_file`](Self::replace_file).
    fn rename_file(&self, old: &str, new: &str) -> Result<(), Error>;

    /// Removes a file, or a link itself.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not there; else as [`replace_file`](Self::replace_file).
    fn remove_file(&self, path: &str) -> Result<(), Error>;

    /// Sets a file's permission bits.
    ///
    /// # Errors
    /// As [`replace_file`](Self::replace_file).
    fn set_mode(&self, path: &str, mode: u32) -> Result<(), Error>;

    /// Makes a folder, and those above it inside the grant. One that is there already is left as it is.
    ///
    /// # Errors
    /// As [`replace_file`](Self::replace_file).
    fn make_folder(&self, path: &str, mode: u32) -> Result<(), Error>;

    /// Says what is being done now, for whoever watches: `Configuring libssl3`.
    fn report(&self, text: &str);

    /// Asks for a restart of the service that `reason` names, or of the machine because of it. Asking is all a plugin can
    /// do.
    fn request_restart(&self, kind: RestartKind, reason: &str);
}

/// A program with its arguments.
#[derive(Debug, Clone)]
pub struct Command<'a> {
    pub(crate) program: &'a str,
    pub(crate) arguments: Vec<Argument<'a>>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) input: Vec<u8>,
}

/// One argument of a [`Command`].
#[derive(Debug, Clone)]
pub(crate) enum Argument<'a> {
    Text(String),
    Blob(&'a Blob<'a>),
}

impl<'a> Argument<'a> {
    fn as_host(&self) -> Result<host::process::Argument<'a>, Error> {
        Ok(match self {
            Self::Text(text) => host::process::Argument::Text(text.clone()),
            Self::Blob(blob) => host::process::Argument::Blob(blob.as_host()?),
        })
    }
}

impl<'a> Command<'a> {
    /// This program, by its absolute path, without arguments.
    #[must_use]
    pub fn new(program: &'a str) -> Self {
        Self { program, arguments: Vec::new(), environment: Vec::new(), input: Vec::new() }
    }

    /// The same with an argument more.
    #[must_use]
    pub fn argument(mut self, text: impl Into<String>) -> Self {
        self.arguments.push(Argument::Text(text.into()));
        self
    }

    /// The same with several arguments more.
    #[must_use]
    pub fn arguments<T: Into<String>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(texts.into_iter().map(|text| Argument::Text(text.into())));
        self
    }

    /// The same with the path of a private copy of the blob as one argument more. The copy's file name is the blob's
    /// label; it is gone when the program has ended.
    #[must_use]
    pub fn blob(mut self, blob: &'a Blob<'a>) -> Self {
        self.arguments.push(Argument::Blob(blob));
        self
    }

    /// The same with a blob more for each of these.
    #[must_use]
    pub fn blobs(mut self, blobs: &'a [Blob<'a>]) -> Self {
        self.arguments.extend(blobs.iter().map(Argument::Blob));
        self
    }

    /// The same with a variable, beside `PATH` and `LC_ALL`. The grant has to name it with its value.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The same with these bytes on its standard input. The grant has to end in `<`.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }
}

impl Exit {
    /// Whether the program ended by itself, with status 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status == Some(0) && !self.timed_out
    }
}

/// A file of the update: read only, verified, and exactly what was signed.
#[derive(Debug)]
pub struct Blob<'a>(Source<'a>);

#[derive(Debug)]
enum Source<'a> {
    Host(&'a host::content::Blob),
    #[cfg(not(target_arch = "wasm32"))]
    Fake(&'a crate::testing::FakeBlob),
}

impl<'a> Blob<'a> {
    pub(crate) fn of_host(blob: &'a host::content::Blob) -> Self {
        Self(Source::Host(blob))
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn of_fake(blob: &'a crate::testing::FakeBlob) -> Self {
        Self(Source::Fake(blob))
    }

    /// What the policy calls it: `libssl3_3.0.17-1~deb12u2_amd64.deb`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.0 {
            Source::Host(blob) => blob.label(),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Fake(blob) => blob.label().into(),
        }
    }

    /// SHA-256, in lower-case hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        match &self.0 {
            Source::Host(blob) => blob.digest(),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Fake(blob) => blob.digest().into(),
        }
    }

    /// Bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match &self.0 {
            Source::Host(blob) => blob.length(),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Fake(blob) => blob.bytes().len() as u64,
        }
    }

    /// The bytes from `offset` on, at most `max`; empty at the end. The host may give fewer than asked for.
    ///
    /// # Errors
    /// What the host says.
    pub fn read(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
        match &self.0 {
            Source::Host(blob) => blob.read(offset, max),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Fake(blob) => Ok(blob.read(offset, max)),
        }
    }

    /// The host's own.
    fn as_host(&self) -> Result<&'a host::content::Blob, Error> {
        match self.0 {
            Source::Host(blob) => Ok(blob),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Fake(_) => Err(Error::Invalid("a fake blob was passed to a real host".into())),
        }
    }
}

/// The agent that runs the plugin.
pub(crate) struct HostEndpoint;

impl Facts for HostEndpoint {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        HostFacts.open_file(path)
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        HostFacts.list_folder(path)
    }
}

impl Host for HostEndpoint {
    fn run(&self, command: &Command<'_>) -> Result<Exit, Error> {
        host::process::run(&host::process::Command {
            program: command.program.into(),
            arguments: command.arguments.iter().map(Argument::as_host).collect::<Result<_, _>>()?,
            environment: command.environment.clone(),
            input: command.input.clone(),
        })
    }

    fn pause(&self, milliseconds: u32) -> Result<(), Error> {
        host::process::pause(milliseconds)
    }

    fn replace_file(&self, path: &str, bytes: &[u8], mode: u32) -> Result<(), Error> {
        host::files::replace(path, bytes, mode)
    }

    fn replace_file_with_blob(&self, path: &str, blob: &Blob<'_>, mode: u32) -> Result<(), Error> {
        host::files::replace_with_blob(path, blob.as_host()?, mode)
    }

    fn rename_file(&self, old: &str, new: &str) -> Result<(), Error> {
        host::files::rename(old, new)
    }

    fn remove_file(&self, path: &str) -> Result<(), Error> {
        host::files::remove(path)
    }

    fn set_mode(&self, path: &str, mode: u32) -> Result<(), Error> {
        host::files::set_mode(path, mode)
    }

    fn make_folder(&self, path: &str, mode: u32) -> Result<(), Error> {
        host::files::make_folder(path, mode)
    }

    fn report(&self, text: &str) {
        host::progress::report(text);
    }

    fn request_restart(&self, kind: RestartKind, reason: &str) {
        host::restart::request(kind, reason);
    }
}
