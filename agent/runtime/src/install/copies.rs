//! Private copies of contents for one program, in a folder of the endpoint that only the agent's user can enter.
//!
//! A program has to read a file by its path. So that nobody changes it between the check and the use, the program gets a
//! copy that was hashed while it was written, in a folder that nobody else can write to.

use super::content::{Content, CopyError};
use super::files::enter;
use crate::endpoint::Root;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

/// Where the endpoint keeps what can be had again.
const CACHE: &str = "/var/cache";
/// The agent's folder in it.
const FOLDER: &str = "farrier-agent";
/// Folders that are tried before it is given up to make one.
const MAX_FOLDERS: usize = 1_000;

/// The copies for one program. They are removed with this.
#[derive(Debug)]
pub(super) struct Copies {
    base: Dir,
    name: String,
    /// Held and locked as long as the copies are used: what is not locked was left behind by an agent that was killed.
    folder: Dir,
}

impl Copies {
    /// Copies these contents until the time is up. Two of one label are one content, so it is copied once.
    pub(super) fn make(root: &Root, contents: &[Content], until: Instant) -> Result<Self, CopyError> {
        let base = base(root).map_err(CopyError::Target)?;
        remove_abandoned(&base);
        let copies = Self::in_folder(base).map_err(CopyError::Target)?;
        let mut copied = Vec::new();
        for content in contents {
            if !copied.contains(&content.label()) {
                copies.copy(content, until)?;
                copied.push(content.label());
            }
        }
        Ok(copies)
    }

    /// The path of a copy, as a program of the endpoint names it.
    pub(super) fn path(&self, content: &Content) -> String {
        format!("{CACHE}/{FOLDER}/{}/{}", self.name, content.label())
    }

    fn in_folder(base: Dir) -> io::Result<Self> {
        for number in 0..MAX_FOLDERS {
            let name = format!("run-{number}");
            match base.create_dir_with(&name, DirBuilder::new().mode(0o700)) {
                Ok(()) => {
                    let folder = enter(&base, &name)?;
                    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
                    return Ok(Self { base, name, folder });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("{CACHE}/{FOLDER} is full of folders that are in use")))
    }

    fn copy(&self, content: &Content, until: Instant) -> Result<(), CopyError> {
        let options = OpenOptions::new().write(true).create_new(true).mode(0o600).to_owned();
        let mut file = self.folder.open_with(content.label(), &options).map_err(CopyError::Target)?.into_std();
        content.copy_to(&mut file, until)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        if let Err(error) = self.base.remove_dir_all(&self.name) {
            tracing::warn!(folder = self.name, %error, "The copies for a program could not be removed.");
        }
    }
}

/// The agent's folder, which nobody else can enter.
fn base(root: &Root) -> io::Result<Dir> {
    let cache = match root.open(CACHE, OFlags::DIRECTORY) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let var = Dir::from_std_file(root.open("/var", OFlags::DIRECTORY)?);
            var.create_dir_with("cache", DirBuilder::new().mode(0o755))?;
            enter(&var, "cache")?
        }
        opened => Dir::from_std_file(opened?),
    };
    match cache.create_dir_with(FOLDER, DirBuilder::new().mode(0o700)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let folder = enter(&cache, FOLDER)?;
    let metadata = folder.try_clone()?.into_std_file().metadata()?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let owner = metadata.uid();
        return Err(io::Error::other(format!("{CACHE}/{FOLDER} belongs to user {owner}, not to the agent: remove it")));
    }
    rustix::fs::fchmod(&folder, Mode::RWXU)?;
    Ok(folder)
}

/// Removes what agents left that were killed. What cannot be removed is in nobody's way.
fn remove_abandoned(base: &Dir) {
    let names = base.entries().into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    for name in names.collect::<Vec<_>>() {
        let is_abandoned =
            enter(base, &name).is_ok_and(|folder| flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok());
        if is_abandoned {
            let _ = base.remove_dir_all(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::tests::{blob, contents};
    use super::*;
    use crate::endpoint::Endpoint;
    use std::time::Duration;

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/cache")).unwrap();
        root
    }

    fn make(root: &tempfile::TempDir, contents: Vec<Content>) -> Result<Copies, CopyError> {
        let endpoint = Endpoint::open(root.path()).unwrap();
        let until = Instant::now() + Duration::from_secs(600);
        endpoint.within(until, move |root| Ok(Copies::make(root, &contents, until))).unwrap().unwrap()
    }

    #[test]
    fn copies_are_private_and_gone_afterwards() {
        let (root, folder) = (root(), tempfile::tempdir().unwrap());
        let contents = contents(&[blob(&folder, "a.deb", b"one"), blob(&folder, "b.deb", b"two")]);
        let copies = make(&root, contents.clone()).unwrap();
        for (content, bytes) in contents.iter().zip([b"one", b"two"]) {
            let path = root.path().join(copies.path(content).trim_start_matches('/'));
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
            assert!(path.ends_with(content.label()));
            let mode = |path: &std::path::Path| path.metadata().unwrap().mode() & 0o777;
            let run = path.parent().unwrap();
            assert_eq!([mode(&path), mode(run), mode(run.parent().unwrap())], [0o600, 0o700, 0o700]);
        }
        drop(copies);
        assert_eq!(std::fs::read_dir(root.path().join("var/cache/farrier-agent")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_agent_left_is_removed_and_what_another_uses_is_not() {
        let root = root();
        let agent = root.path().join("var/cache/farrier-agent");
        std::fs::create_dir_all(agent.join("run-0/deep")).unwrap();
        let first = make(&root, Vec::new()).unwrap();
        assert!(!agent.join("run-0/deep").exists());
        let second = make(&root, Vec::new()).unwrap();
        assert_ne!(first.name, second.name);
        assert!(agent.join(&first.name).exists());
    }

    #[test]
    fn a_link_in_the_folders_place_is_refused() {
        let (root, outside) = (root(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), root.path().join("var/cache/farrier-agent")).unwrap();
        assert!(matches!(make(&root, Vec::new()), Err(CopyError::Target(error)) if error.to_string().contains("link")));
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn altered_content_leaves_no_copy() {
        let (root, folder) = (root(), tempfile::tempdir().unwrap());
        let file = blob(&folder, "a.deb", b"one");
        let contents = contents(std::slice::from_ref(&file));
        std::fs::write(&file.path, b"two").unwrap();
        assert!(matches!(make(&root, contents), Err(CopyError::Content(_))));
        assert_eq!(std::fs::read_dir(root.path().join("var/cache/farrier-agent")).unwrap().count(), 0);
    }
}
