//! An endpoint in memory.

use super::{
    FakeFile, os_of, sha256,
    tree::{Node, Tree},
};
use crate::{Error, Facts, File, Os, Status, glob};
use alloc::{
    borrow::ToOwned,
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

/// An endpoint in memory: only what a test gives it.
///
/// The folders above a file are there by themselves. What [`os`](Facts::os) says comes from the os-release(5) of the
/// files and from [`with_os`](Self::with_os).
#[derive(Debug, Clone, Default)]
pub struct FakeRoot {
    pub(super) tree: Tree,
    os: Vec<(String, String)>,
    answers: BTreeMap<(String, String), String>,
    denied: Vec<String>,
}

impl FakeRoot {
    /// An endpoint without a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a file more, or another content of it. Its mode is `0o644`, and it changed last in 1970.
    #[must_use]
    pub fn with_file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.tree.put(path, Node::file(content, 0o644));
        self
    }

    /// The same with this mode of a file or folder that is there.
    #[must_use]
    pub fn with_mode(mut self, path: &str, mode: u32) -> Self {
        if self.tree.node_mut(path).is_none() {
            self.tree.put(path, Node::folder(mode));
        }
        if let Some(node) = self.tree.node_mut(path) {
            node.mode = mode;
        }
        self
    }

    /// The same where a file changed last so many seconds after the beginning of 1970.
    #[must_use]
    pub fn with_modified(mut self, path: &str, seconds: i64) -> Self {
        if let Some(node) = self.tree.node_mut(path) {
            node.modified = seconds;
        }
        self
    }

    /// The same with a folder that may be empty.
    #[must_use]
    pub fn with_folder(mut self, path: &str) -> Self {
        self.tree.put(path, Node::folder(0o755));
        self
    }

    /// The same with a symbolic link.
    #[must_use]
    pub fn with_link(mut self, path: &str, target: &str) -> Self {
        self.tree.put(path, Node::link(target));
        self
    }

    /// The same with a block device of this content, whose size stays.
    #[must_use]
    pub fn with_device(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.tree.put(path, Node::device(content));
        self
    }

    /// The same without what is at a path, and all below it.
    #[must_use]
    pub fn without_file(mut self, path: &str) -> Self {
        self.tree.take(path);
        self
    }

    /// The same where this is known of the endpoint: `with_os("machine", "x86_64")`.
    #[must_use]
    pub fn with_os(mut self, name: &str, value: &str) -> Self {
        self.os.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with an answer, in JSON, to a [query](Facts::query).
    #[must_use]
    pub fn with_answer(mut self, name: &str, argument: &str, json: &str) -> Self {
        self.answers.insert((name.to_owned(), argument.to_owned()), json.to_owned());
        self
    }

    /// The same where nothing that the glob matches may be read. Without this, everything may be.
    #[must_use]
    pub fn with_denied(mut self, glob: &str) -> Self {
        self.denied.push(glob.to_owned());
        self
    }

    pub(super) fn check(&self, path: &str) -> Result<(), Error> {
        let is_denied = self.denied.iter().any(|pattern| glob::is_match(pattern, path));
        if is_denied { Err(Error::Denied(path.to_owned())) } else { Ok(()) }
    }
}

impl Facts for FakeRoot {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        self.check(path)?;
        Ok(Box::new(FakeFile::new(self.tree.bytes(path)?.to_vec())))
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        self.check(path)?;
        self.tree.list(path)
    }

    fn stat(&self, path: &str) -> Result<Status, Error> {
        self.check(path)?;
        self.tree.stat(path)
    }

    fn digest(&self, path: &str) -> Result<String, Error> {
        self.check(path)?;
        self.tree.bytes(path).map(sha256)
    }

    fn os(&self) -> Os {
        os_of(self, &self.os)
    }

    fn query(&self, name: &str, argument: &str) -> Result<String, Error> {
        self.check(name)?;
        let answer = self.answers.get(&(name.to_owned(), argument.to_owned())).map(ToString::to_string);
        answer.ok_or_else(|| Error::NotFound(format!("a test gave no answer for {name} of {argument:?}")))
    }
}
