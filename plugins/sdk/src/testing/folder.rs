//! Folders and open files of an endpoint that records what is done to it.

use super::{
    endpoint::{Shared, whole},
    piece, sha256,
    tree::{Node, Tree},
};
use crate::{Blob, Error, Folder, Kind, Target};
use alloc::{borrow::ToOwned, boxed::Box, format, string::String, vec::Vec};

/// A folder of a [`FakeEndpoint`](super::FakeEndpoint).
pub struct FakeFolder {
    state: Shared,
    path: String,
}

impl FakeFolder {
    pub fn open(state: Shared, path: &str) -> Result<Self, Error> {
        let guard = state.lock();
        guard.root.check(path)?;
        let path = guard.root.tree.resolve(path, true)?;
        if !guard.root.tree.is_folder(&path) {
            return Err(Error::NotFound(path));
        }
        drop(guard);
        Ok(Self { state, path })
    }

    /// The path of a name, its folder followed if a link leads to it.
    fn path(&self, tree: &Tree, name: &str) -> Result<String, Error> {
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !name.split('/').all(is_plain) {
            return Err(Error::Invalid(format!("{name:?} is no name inside {}", self.path)));
        }
        tree.resolve(&format!("{}/{name}", self.path), false)
    }

    /// Makes a change of what `names` lead to and notes it as `action`, the paths, and `detail`.
    fn change<const N: usize>(
        &self,
        action: &str,
        names: [&str; N],
        detail: &str,
        make: impl FnOnce(&mut Tree, [&str; N]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut state = self.state.lock();
        let mut paths = Vec::new();
        for name in names {
            let path = self.path(&state.root.tree, name)?;
            state.root.check(&path)?;
            paths.push(path);
        }
        let mut borrowed = [""; N];
        for (to, path) in borrowed.iter_mut().zip(&paths) {
            *to = path;
        }
        let words = [&[action], &borrowed[..], &[detail]].concat();
        state.change(words.join(" ").trim_end().to_owned(), |tree| make(tree, borrowed))
    }

    fn target(&self, name: &str) -> Result<Box<dyn Target>, Error> {
        let state = self.state.lock();
        let path = self.path(&state.root.tree, name)?;
        let path = state.root.tree.resolve(&path, true)?;
        state.root.check(&path)?;
        state.root.tree.bytes(&path)?;
        drop(state);
        Ok(Box::new(FakeTarget { state: self.state.clone(), path }))
    }
}

impl Folder for FakeFolder {
    fn replace(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Error> {
        self.change("replace", [name], &format!("{mode:o}"), |tree, [path]| {
            require_folder_of(tree, path)?;
            refuse_folder(tree, path)?;
            tree.put(path, Node::file(bytes, mode));
            Ok(())
        })
    }

    fn replace_with_blob(&self, name: &str, blob: &Blob<'_>, mode: u32) -> Result<(), Error> {
        self.replace(name, &whole(blob)?, mode)
    }

    fn rename(&self, old: &str, new: &str) -> Result<(), Error> {
        self.change("rename", [old, new], "", |tree, [old, new]| {
            require(tree, old)?;
            require_folder_of(tree, new)?;
            if tree.is_folder(new) && (!tree.is_folder(old) || !tree.list(new)?.is_empty()) {
                return Err(Error::Other(format!("{new} is a folder")));
            }
            tree.keep_folder_of(old);
            tree.take(new);
            tree.shift(old, new);
            Ok(())
        })
    }

    fn exchange(&self, one: &str, other: &str) -> Result<(), Error> {
        self.change("exchange", [one, other], "", |tree, [one, other]| {
            require(tree, one)?;
            require(tree, other)?;
            // A name that no path can have.
            let aside = "\0";
            tree.shift(one, aside);
            tree.shift(other, one);
            tree.shift(aside, other);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        self.change("remove", [name], "", |tree, [path]| {
            if tree.stat(path)?.kind == Kind::Folder && !tree.list(path)?.is_empty() {
                return Err(Error::Other(format!("{path} is not empty")));
            }
            tree.keep_folder_of(path);
            tree.take(path);
            Ok(())
        })
    }

    fn set_mode(&self, name: &str, mode: u32) -> Result<(), Error> {
        self.change("mode", [name], &format!("{mode:o}"), |tree, [path]| {
            require(tree, path)?;
            if tree.node_mut(path).is_none() {
                tree.put(path, Node::folder(mode));
            }
            if let Some(node) = tree.node_mut(path) {
                node.mode = mode;
            }
            Ok(())
        })
    }

    fn make_folder(&self, name: &str, mode: u32) -> Result<(), Error> {
        self.change("folder", [name], &format!("{mode:o}"), |tree, [path]| {
            if tree.is_folder(path) {
                return Ok(());
            }
            if tree.is_there(path) {
                return Err(Error::Other(format!("{path} is no folder")));
            }
            tree.put(path, Node::folder(mode));
            Ok(())
        })
    }

    fn open(&self, name: &str) -> Result<Box<dyn Target>, Error> {
        self.target(name)
    }

    fn create(&self, name: &str, mode: u32) -> Result<Box<dyn Target>, Error> {
        self.change("create", [name], &format!("{mode:o}"), |tree, [path]| {
            require_folder_of(tree, path)?;
            if tree.is_there(path) {
                return Err(Error::Other(format!("{path} is there already")));
            }
            tree.put(path, Node::file([], mode));
            Ok(())
        })?;
        self.target(name)
    }

    fn sync(&self) -> Result<(), Error> {
        self.state.lock().change(format!("sync {}", self.path), |_| Ok(()))
    }
}

/// An open file of a [`FakeEndpoint`](super::FakeEndpoint).
struct FakeTarget {
    state: Shared,
    path: String,
}

impl FakeTarget {
    fn bytes(&self) -> Result<Vec<u8>, Error> {
        self.state.lock().root.tree.bytes(&self.path).map(<[u8]>::to_vec)
    }
}

impl Target for FakeTarget {
    fn length(&self) -> Result<u64, Error> {
        self.bytes().map(|bytes| bytes.len() as u64)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let change = format!("write {} {offset} {}", self.path, bytes.len());
        self.state.lock().change(change, |tree| tree.write(&self.path, offset, bytes))
    }

    fn write_blob(&self, offset: u64, blob: &Blob<'_>, start: u64, length: u64) -> Result<(), Error> {
        let bytes = slice(&whole(blob)?, start, length)?.to_vec();
        self.write(offset, &bytes)
    }

    fn read(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
        self.bytes().map(|bytes| piece(&bytes, offset, max))
    }

    fn digest(&self, offset: u64, length: u64) -> Result<String, Error> {
        slice(&self.bytes()?, offset, length).map(sha256)
    }

    fn sync(&self) -> Result<(), Error> {
        self.state.lock().change(format!("sync {}", self.path), |_| Ok(()))
    }
}

fn slice(bytes: &[u8], start: u64, length: u64) -> Result<&[u8], Error> {
    let range = usize::try_from(start).ok().zip(start.checked_add(length).and_then(|end| usize::try_from(end).ok()));
    let slice = range.and_then(|(start, end)| bytes.get(start..end));
    slice.ok_or_else(|| Error::Invalid(format!("there are no {length} bytes from {start} on, only {}", bytes.len())))
}

fn require(tree: &Tree, path: &str) -> Result<(), Error> {
    if tree.is_there(path) { Ok(()) } else { Err(Error::NotFound(path.to_owned())) }
}

fn require_folder_of(tree: &Tree, path: &str) -> Result<(), Error> {
    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| if folder.is_empty() { "/" } else { folder });
    if tree.is_folder(folder) { Ok(()) } else { Err(Error::NotFound(folder.to_owned())) }
}

fn refuse_folder(tree: &Tree, path: &str) -> Result<(), Error> {
    if tree.is_folder(path) { Err(Error::Other(format!("{path} is a folder"))) } else { Ok(()) }
}
