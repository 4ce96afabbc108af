//! The endpoint: a root below which everything is read, written and run.

use crate::observe::{HostCall, Observer, Programs};
use crate::reader::{Reader, TimeIsUp};
use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a path is resolved again when the tree changed underneath.
#[cfg(target_os = "linux")]
const MAX_RESOLVE_ATTEMPTS: usize = 16;

/// With these neither a pipe nor a device blocks whoever opens it.
const HARMLESS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// How much longer than its deadline something may take.
const GRACE: Duration = Duration::from_millis(20);

/// What is scanned and changed: this machine (`/`), or whatever has its root in a folder.
///
/// Make one for the life of the process: it owns the thread that reads, and knows when that is stuck.
#[derive(Clone)]
pub struct Endpoint {
    root: Arc<Root>,
    observer: Option<Arc<dyn Observer>>,
    programs: Option<Arc<dyn Programs>>,
    os: Option<Arc<[(String, String)]>>,
    queries: Arc<[(String, String, String)]>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("root", &self.root.path).finish_non_exhaustive()
    }
}

/// The root of an endpoint.
#[derive(Debug)]
pub(crate) struct Root {
    folder: Dir,
    /// Where it is, for the program that changes the root.
    path: PathBuf,
    reader: Reader,
}

/// A root that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the endpoint's root `{}` cannot be opened", root.display())]
pub struct EndpointError {
    root: PathBuf,
    source: io::Error,
}

impl Endpoint {
    /// The endpoint with this root.
    ///
    /// # Errors
    /// When the root is no folder that can be opened.
    pub fn open(root: &Path) -> Result<Self, EndpointError> {
        let open = || {
            let path = root.canonicalize()?;
            // Open for reading, not as a mere path: what is done in it has to survive a power cut, too.
            let flags = (OFlags::DIRECTORY | OFlags::CLOEXEC).bits().cast_signed();
            let folder = Dir::from_std_file(File::options().read(true).custom_flags(flags).open(&path)?);
            Ok(Root { folder, path, reader: Reader::default() })
        };
        match open() {
            Ok(root) => {
                let root = Arc::new(root);
                Ok(Self { root, observer: None, programs: None, os: None, queries: Arc::default() })
            }
            Err(source) => Err(EndpointError { root: root.to_owned(), source }),
        }
    }

    /// The same endpoint, and whoever sees every host call of its plugins.
    #[must_use]
    pub fn observed(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// The same endpoint, but no program is started on it: this is asked instead. Grants are checked before, as always.
    #[must_use]
    pub fn with_programs(self, programs: Arc<dyn Programs>) -> Self {
        Self { programs: Some(programs), ..self }
    }

    /// The same endpoint, but what `facts.os` says of it is this, not what is found below its root.
    #[must_use]
    pub fn with_os(self, os: Vec<(String, String)>) -> Self {
        Self { os: Some(os.into()), ..self }
    }

    /// The same endpoint, but these queries (name, argument, answer) have these answers. Grants are checked before, as
    /// always.
    #[must_use]
    pub fn with_queries(self, queries: Vec<(String, String, String)>) -> Self {
        Self { queries: queries.into(), ..self }
    }

    /// Shows a host call to whoever watches.
    pub(crate) fn observe<'a>(&self, call: impl FnOnce() -> HostCall<'a>) {
        if let Some(observer) = &self.observer {
            observer.observe(&call());
        }
    }

    /// Whether anybody watches.
    pub(crate) fn is_observed(&self) -> bool {
        self.observer.is_some()
    }

    /// Who stands in for programs.
    pub(crate) fn programs(&self) -> Option<&dyn Programs> {
        self.programs.as_deref()
    }

    /// What `facts.os` is told to say.
    pub(crate) fn os(&self) -> Option<&[(String, String)]> {
        self.os.as_deref()
    }

    /// The answer that this query is told to have.
    pub(crate) fn query(&self, name: &str, argument: &str) -> Option<&str> {
        let known = self.queries.iter().find(|(known, with, _)| known == name && with == argument);
        known.map(|(_, _, answer)| answer.as_str())
    }

    /// The folder that programs have to run in as their root; `None`, if it is this machine's.
    pub(crate) fn other_root(&self) -> Option<&Path> {
        Some(self.root.path.as_path()).filter(|_| !self.root.is_this_machines())
    }

    /// Does this with the root, in the thread that may block, until the deadline. What began in time and ends hardly later is
    /// no failure of the endpoint's files: the guest learns with its next call that its time is up.
    pub(crate) fn within<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&Root) -> io::Result<T> + Send + 'static,
    ) -> wasmtime::Result<io::Result<T>> {
        if Instant::now() >= deadline {
            return Err(TimeIsUp.into());
        }
        let root = Arc::clone(&self.root);
        Ok(self.root.reader.run(deadline + GRACE, move || work(&root))?)
    }
}

impl Root {
    /// The regular file with this normalized path, and its size.
    pub(crate) fn open_regular(&self, path: &str) -> io::Result<(File, u64)> {
        // Looked at before it is opened: opening some devices does something.
        let seen = self.open(path, OFlags::PATH)?;
        let metadata = regular(&seen)?;
        let through_itself = format!("/proc/self/fd/{}", seen.as_raw_fd());
        let file = match rustix::fs::open(through_itself, HARMLESS | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => return Ok((file.into(), metadata.len())),
            // No proc is mounted here.
            Err(Errno::NOENT) => self.open(path, OFlags::empty())?,
            Err(error) => return Err(error.into()),
        };
        let found = regular(&file)?;
        if (found.dev(), found.ino()) != (metadata.dev(), metadata.ino()) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it was exchanged while it was opened"));
        }
        Ok((file, found.len()))
    }

    /// Whether it is this machine's own.
    pub(crate) fn is_this_machines(&self) -> bool {
        self.path == Path::new("/")
    }

    /// The sorted names in this folder, unless they are more than `most`, or more than so many bytes.
    pub(crate) fn list(&self, path: &str, most: usize, most_bytes: usize) -> io::Result<Option<Vec<String>>> {
        let folder = Dir::from_std_file(self.open(path, OFlags::DIRECTORY)?);
        let (mut names, mut bytes) = (Vec::new(), 0_usize);
        for entry in folder.entries()? {
            // A name that is not UTF-8 cannot be granted either.
            if let Ok(name) = entry?.file_name().into_string() {
                bytes = bytes.saturating_add(name.len());
                names.push(name);
            }
            if names.len() > most || bytes > most_bytes {
                return Ok(None);
            }
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    /// Opens what this normalized path names. Links are followed as they would be by a program whose root is the
    /// endpoint's, so also absolute ones; nothing leads out of it.
    pub(crate) fn open(&self, path: &str, kind: OFlags) -> io::Result<File> {
        // What is only named and not opened does nothing anyway, and takes no such flags.
        let flags = kind | OFlags::CLOEXEC | if kind.contains(OFlags::PATH) { OFlags::empty() } else { HARMLESS };
        #[cfg(target_os = "linux")]
        for _ in 0..MAX_RESOLVE_ATTEMPTS {
            use rustix::fs::{ResolveFlags, openat2};
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            match openat2(&self.folder, path, flags, Mode::empty(), resolve) {
                Ok(file) => return Ok(file.into()),
                Err(Errno::AGAIN) => {}
                // Kernels before 5.6, and containers that forbid what they do not know.
                Err(Errno::NOSYS | Errno::PERM) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.open_beneath(path, flags)
    }

    /// What is at this normalized path: a link itself, not what it leads to.
    pub(crate) fn metadata(&self, path: &str) -> io::Result<std::fs::Metadata> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() {
            return self.open("/", OFlags::DIRECTORY)?.metadata();
        }
        // The folders on the way are the endpoint's own affair, as for reading; only the last name is looked at itself.
        let folder = self.open(if above.is_empty() { "/" } else { above }, OFlags::DIRECTORY)?;
        let found =
            rustix::fs::openat(&folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        File::from(found).metadata()
    }

    /// The root itself, to go down from without following links.
    pub(crate) fn folder(&self) -> &Dir {
        &self.folder
    }

    /// The same where the kernel does not help; here absolute links are refused.
    fn open_beneath(&self, path: &str, flags: OFlags) -> io::Result<File> {
        use cap_std::fs::{OpenOptions, OpenOptionsExt as _};
        let relative = match path.trim_start_matches('/') {
            "" => ".",
            relative => relative,
        };
        let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
        Ok(self.folder.open_with(relative, OpenOptions::new().read(true).custom_flags(flags))?.into_std())
    }
}

/// What is known of it, and an error if it is no regular file.
fn regular(file: &File) -> io::Result<std::fs::Metadata> {
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok(metadata) } else { Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, inotify, mknodat};
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_no_regular_file_is_not_even_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "12345").unwrap();
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        for name in ["file", "pipe"] {
            inotify::add_watch(&watch, path(name), inotify::WatchFlags::OPEN).unwrap();
        }
        let mut buffer = [std::mem::MaybeUninit::uninit(); 512];
        let mut was_opened = || inotify::Reader::new(&watch, &mut buffer).next().is_ok();
        let root = Endpoint::open(folder.path()).unwrap().root;
        assert_eq!(root.open_regular("/pipe").unwrap_err().to_string(), "not a regular file");
        assert!(!was_opened());
        assert_eq!(root.open_regular("/file").unwrap().1, 5);
        assert!(was_opened());
    }

    #[test]
    fn without_the_kernels_help_nothing_leads_out_either() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("os-release"), "ID=debian\n").unwrap();
        std::fs::write(outside.path().join("secret"), "").unwrap();
        symlink("../os-release", root.path().join("etc/relative")).unwrap();
        symlink(outside.path().join("secret"), root.path().join("etc/escape")).unwrap();
        let endpoint = Endpoint::open(root.path()).unwrap();
        for flags in [OFlags::NONBLOCK, OFlags::PATH] {
            assert!(regular(&endpoint.root.open_beneath("/etc/relative", flags).unwrap()).is_ok());
            let escaped = endpoint.root.open_beneath("/etc/escape", flags);
            assert!(escaped.is_err() || regular(&escaped.unwrap()).is_err());
        }
        assert!(endpoint.root.open_beneath("/", OFlags::DIRECTORY).is_ok());
    }

    #[test]
    fn this_machine_needs_no_other_root() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Endpoint::open(Path::new("/")).unwrap().other_root(), None);
        let other = folder.path().canonicalize().unwrap();
        assert_eq!(Endpoint::open(folder.path()).unwrap().other_root(), Some(other.as_path()));
    }
}
