//! What an installer plugin may do, as far as its grants go.

use crate::{Blob, Error, Facts, File, Os, Status, bindings::installer::farrier::policy as host, facts::HostFacts};
use alloc::{boxed::Box, string::String, vec::Vec};

#[doc(inline)]
pub use host::process::Exit;
#[doc(inline)]
pub use host::restart::Subject as RestartSubject;

/// The endpoint as an installer plugin may change it: only through what its manifest asks for, the site grants and the
/// agent's own configuration allows.
///
/// Paths are absolute paths of the endpoint. It is [`Facts`], too: a `&dyn Host` can be passed where a `&dyn Facts` is
/// wanted.
pub trait Host: Facts {
    /// Runs a program and waits for it, but not for what it left running. What it writes is shown as progress
    /// meanwhile.
    ///
    /// A program that exits with another status than 0 is no error: see [`Exit::status`].
    ///
    /// # Errors
    /// [`Error::Denied`] where no grant covers the command, [`Error::NotFound`] where there is no such program, or why
    /// it could not be started.
    fn run(&self, command: &Command<'_>) -> Result<Exit, Error>;

    /// Waits, for example until somebody else is done with a lock.
    ///
    /// # Errors
    /// When the time of the installation is up: say now what you waited for.
    fn pause(&self, milliseconds: u32) -> Result<(), Error>;

    /// The folder at a path, in which something is granted.
    ///
    /// # Errors
    /// [`Error::Denied`] where no grant covers anything in it, [`Error::NotFound`], or what else the host says.
    fn folder(&self, path: &str) -> Result<Box<dyn Folder>, Error>;

    /// Says what is being done now, for whoever watches: `Configuring libssl3`.
    fn report(&self, text: &str);

    /// Asks for a restart and says why: `the kernel was replaced`. Asking is all a plugin can do; who asks for nothing
    /// needs no restart.
    fn request_restart(&self, subject: RestartSubject, reason: &str);
}

/// A folder of the endpoint in which something is granted.
///
/// Names are relative to it: `bin/kiosk`. What a name leads to has to be granted, too. Every method fails with
/// [`Error::Denied`] where it is not, with [`Error::NotFound`] where what is meant is not there, or with what else the
/// host says.
pub trait Folder {
    /// Puts a file with these bytes and this mode (`0o644`) in the place of whatever file is there, at once or not at
    /// all. When it returns, the file survives a power cut.
    ///
    /// # Errors
    /// See [`Folder`].
    fn replace(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Error>;

    /// The same with the bytes of a blob, none of which comes into the plugin's memory.
    ///
    /// # Errors
    /// See [`Folder`].
    fn replace_with_blob(&self, name: &str, blob: &Blob<'_>, mode: u32) -> Result<(), Error>;

    /// Renames a file or a folder, replacing a file that is at the new name.
    ///
    /// # Errors
    /// See [`Folder`].
    fn rename(&self, old: &str, new: &str) -> Result<(), Error>;

    /// Exchanges two files or folders, at once or not at all.
    ///
    /// # Errors
    /// See [`Folder`].
    fn exchange(&self, one: &str, other: &str) -> Result<(), Error>;

    /// Removes a file, a link itself, or an empty folder.
    ///
    /// # Errors
    /// See [`Folder`].
    fn remove(&self, name: &str) -> Result<(), Error>;

    /// Sets a file's permission bits.
    ///
    /// # Errors
    /// See [`Folder`].
    fn set_mode(&self, name: &str, mode: u32) -> Result<(), Error>;

    /// Makes a folder, and those above it inside the grant. One that is there already is left as it is.
    ///
    /// # Errors
    /// See [`Folder`].
    fn make_folder(&self, name: &str, mode: u32) -> Result<(), Error>;

    /// Opens a file or a block device that is there, to be written in place.
    ///
    /// # Errors
    /// See [`Folder`].
    fn open(&self, name: &str) -> Result<Box<dyn Target>, Error>;

    /// Makes a new, empty file with this mode and opens it.
    ///
    /// # Errors
    /// See [`Folder`]; and if there is one.
    fn create(&self, name: &str, mode: u32) -> Result<Box<dyn Target>, Error>;

    /// Makes what was done in the folder survive a power cut.
    ///
    /// # Errors
    /// See [`Folder`].
    fn sync(&self) -> Result<(), Error>;
}

/// A file or a block device that is open to be written in place, piece by piece: an image, a slot.
pub trait Target {
    /// Bytes it holds.
    ///
    /// # Errors
    /// What the host says.
    fn length(&self) -> Result<u64, Error>;

    /// Writes these bytes from `offset` on. A file grows as needed, a device does not.
    ///
    /// # Errors
    /// What the host says.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Writes `length` bytes of a blob, from `start` on, to `offset`. None of them comes into the plugin's memory.
    ///
    /// # Errors
    /// What the host says.
    fn write_blob(&self, offset: u64, blob: &Blob<'_>, start: u64, length: u64) -> Result<(), Error>;

    /// The bytes from `offset` on, at most `max`; empty at the end. The host may give fewer than asked for.
    ///
    /// # Errors
    /// What the host says.
    fn read(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error>;

    /// SHA-256 of `length` bytes from `offset` on, in lower-case hexadecimal. They are read back from the medium where
    /// the platform allows, after everything written was brought there.
    ///
    /// # Errors
    /// What the host says.
    fn digest(&self, offset: u64, length: u64) -> Result<String, Error>;

    /// Makes what was written survive a power cut.
    ///
    /// # Errors
    /// What the host says.
    fn sync(&self) -> Result<(), Error>;
}

/// A program with its arguments.
#[derive(Debug, Clone)]
pub struct Command<'a> {
    pub(crate) program: &'a str,
    pub(crate) arguments: Vec<Argument<'a>>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) input: Vec<u8>,
    pub(crate) milliseconds: Option<u32>,
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
        Self { program, arguments: Vec::new(), environment: Vec::new(), input: Vec::new(), milliseconds: None }
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

    /// The same, killed after so many milliseconds; see [`Exit::timed_out`]. Without one it may take as long as the
    /// installation.
    #[must_use]
    pub fn time_limit(mut self, milliseconds: u32) -> Self {
        self.milliseconds = Some(milliseconds);
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

/// The agent that runs the plugin.
pub(crate) struct HostEndpoint;

impl Facts for HostEndpoint {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        HostFacts.open_file(path)
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        HostFacts.list_folder(path)
    }

    fn stat(&self, path: &str) -> Result<Status, Error> {
        HostFacts.stat(path)
    }

    fn digest(&self, path: &str) -> Result<String, Error> {
        HostFacts.digest(path)
    }

    fn os(&self) -> Os {
        HostFacts.os()
    }

    fn query(&self, name: &str, argument: &str) -> Result<String, Error> {
        HostFacts.query(name, argument)
    }
}

impl Host for HostEndpoint {
    fn run(&self, command: &Command<'_>) -> Result<Exit, Error> {
        host::process::open_program(command.program)?.run(&host::process::Command {
            arguments: command.arguments.iter().map(Argument::as_host).collect::<Result<_, _>>()?,
            environment: command.environment.clone(),
            input: command.input.clone(),
            milliseconds: command.milliseconds,
        })
    }

    fn pause(&self, milliseconds: u32) -> Result<(), Error> {
        host::process::pause(milliseconds)
    }

    fn folder(&self, path: &str) -> Result<Box<dyn Folder>, Error> {
        Ok(Box::new(host::files::open_folder(path)?))
    }

    fn report(&self, text: &str) {
        host::progress::report(text);
    }

    fn request_restart(&self, subject: RestartSubject, reason: &str) {
        host::restart::request(&subject, reason);
    }
}

impl Folder for host::files::Folder {
    fn replace(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Error> {
        Self::replace(self, name, bytes, mode)
    }

    fn replace_with_blob(&self, name: &str, blob: &Blob<'_>, mode: u32) -> Result<(), Error> {
        Self::replace_with_blob(self, name, blob.as_host()?, mode)
    }

    fn rename(&self, old: &str, new: &str) -> Result<(), Error> {
        Self::rename(self, old, new)
    }

    fn exchange(&self, one: &str, other: &str) -> Result<(), Error> {
        Self::exchange(self, one, other)
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        Self::remove(self, name)
    }

    fn set_mode(&self, name: &str, mode: u32) -> Result<(), Error> {
        Self::set_mode(self, name, mode)
    }

    fn make_folder(&self, name: &str, mode: u32) -> Result<(), Error> {
        Self::make_folder(self, name, mode)
    }

    fn open(&self, name: &str) -> Result<Box<dyn Target>, Error> {
        Ok(Box::new(Self::open(self, name)?))
    }

    fn create(&self, name: &str, mode: u32) -> Result<Box<dyn Target>, Error> {
        Ok(Box::new(Self::create(self, name, mode)?))
    }

    fn sync(&self) -> Result<(), Error> {
        Self::sync(self)
    }
}

impl Target for host::files::Target {
    fn length(&self) -> Result<u64, Error> {
        Self::length(self)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        Self::write(self, offset, bytes)
    }

    fn write_blob(&self, offset: u64, blob: &Blob<'_>, start: u64, length: u64) -> Result<(), Error> {
        Self::write_blob(self, offset, blob.as_host()?, start, length)
    }

    fn read(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
        Self::read(self, offset, max)
    }

    fn digest(&self, offset: u64, length: u64) -> Result<String, Error> {
        Self::digest(self, offset, length)
    }

    fn sync(&self) -> Result<(), Error> {
        Self::sync(self)
    }
}
