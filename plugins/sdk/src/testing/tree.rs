//! Files, folders, links and devices in memory.

use crate::{Error, Kind, Status};
use alloc::{
    borrow::ToOwned,
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};

/// Links that are followed for one path, at most.
const MAX_LINKS: usize = 40;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub content: Content,
    pub mode: u32,
    pub modified: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    File(Vec<u8>),
    Folder,
    Link(String),
    /// A block device, which has a size that stays.
    Device(Vec<u8>),
}

impl Node {
    pub fn file(content: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self { content: Content::File(content.into()), mode, modified: 0 }
    }

    pub fn folder(mode: u32) -> Self {
        Self { content: Content::Folder, mode, modified: 0 }
    }

    pub fn link(target: &str) -> Self {
        Self { content: Content::Link(target.to_owned()), mode: 0o777, modified: 0 }
    }

    pub fn device(content: impl Into<Vec<u8>>) -> Self {
        Self { content: Content::Device(content.into()), mode: 0o660, modified: 0 }
    }

    fn status(&self) -> Status {
        let (kind, size) = match &self.content {
            Content::File(bytes) => (Kind::File, bytes.len() as u64),
            Content::Folder => (Kind::Folder, 0),
            Content::Link(_) => (Kind::Link, 0),
            Content::Device(_) => (Kind::Other, 0),
        };
        Status { kind, size, mode: self.mode, modified: self.modified }
    }
}

/// A tree of them. The folders above what is there are there, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree(BTreeMap<String, Node>);

impl Tree {
    /// Puts something at a path, whatever is there.
    pub fn put(&mut self, path: &str, node: Node) {
        self.0.insert(path.to_owned(), node);
    }

    /// Takes away what is at a path, and all below it.
    pub fn take(&mut self, path: &str) {
        let below = below(path);
        self.0.retain(|other, _| other != path && !other.starts_with(&below));
    }

    /// What a test put at exactly this path.
    pub fn node_mut(&mut self, path: &str) -> Option<&mut Node> {
        self.0.get_mut(path)
    }

    /// What is at a path, its last part not followed if it is a link.
    pub fn stat(&self, path: &str) -> Result<Status, Error> {
        let path = self.resolve(path, false)?;
        match self.0.get(&path) {
            Some(node) => Ok(node.status()),
            None if self.is_folder(&path) => Ok(Node::folder(0o755).status()),
            None => Err(Error::NotFound(path)),
        }
    }

    /// The bytes of a file or a device.
    pub fn bytes(&self, path: &str) -> Result<&[u8], Error> {
        let resolved = self.resolve(path, true)?;
        match self.0.get(&resolved).map(|node| &node.content) {
            Some(Content::File(bytes) | Content::Device(bytes)) => Ok(bytes),
            _ if self.is_folder(&resolved) => Err(Error::Other(format!("{path} is a folder"))),
            _ => Err(Error::NotFound(path.to_owned())),
        }
    }

    /// Changes the bytes of a file or a device.
    pub fn write(&mut self, path: &str, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let start = usize::try_from(offset).map_err(|_| Error::TooLarge(path.to_owned()))?;
        let end = start.checked_add(bytes.len()).ok_or_else(|| Error::TooLarge(path.to_owned()))?;
        let content = match self.0.get_mut(path).map(|node| &mut node.content) {
            Some(Content::File(content)) => {
                content.resize(content.len().max(end), 0);
                content
            }
            Some(Content::Device(content)) if content.len() >= end => content,
            Some(Content::Device(_)) => return Err(Error::Other(format!("{path}: no space left on the device"))),
            _ => return Err(Error::NotFound(path.to_owned())),
        };
        content[start..end].copy_from_slice(bytes);
        Ok(())
    }

    /// The names in a folder, sorted.
    pub fn list(&self, path: &str) -> Result<Vec<String>, Error> {
        let folder = self.resolve(path, true)?;
        if !self.is_folder(&folder) {
            return Err(Error::NotFound(path.to_owned()));
        }
        let prefix = below(&folder);
        let inside = self.0.keys().filter_map(|path| path.strip_prefix(&prefix));
        let names: BTreeSet<_> = inside.filter_map(|path| path.split('/').next()).collect();
        Ok(names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// Whether there is a folder at exactly this path.
    pub fn is_folder(&self, path: &str) -> bool {
        let prefix = below(path);
        let is_said = self.0.get(path).is_some_and(|node| node.content == Content::Folder);
        is_said || path == "/" || self.0.keys().any(|other| other.starts_with(&prefix))
    }

    /// Whether there is anything at exactly this path.
    pub fn is_there(&self, path: &str) -> bool {
        self.0.contains_key(path) || self.is_folder(path)
    }

    /// The folder above stays when what is in it goes.
    pub fn keep_folder_of(&mut self, path: &str) {
        if let Some((folder, _)) = path.rsplit_once('/')
            && !folder.is_empty()
        {
            self.0.entry(folder.to_owned()).or_insert_with(|| Node::folder(0o755));
        }
    }

    /// Takes away what is at `old` and below it and puts it to `new`.
    pub fn shift(&mut self, old: &str, new: &str) {
        let prefix = below(old);
        let is_moved = |path: &String| path == old || path.starts_with(&prefix);
        let moved: Vec<_> = self.0.extract_if(.., |path, _| is_moved(path)).collect();
        for (path, node) in moved {
            self.0.insert(format!("{new}{}", &path[old.len()..]), node);
        }
    }

    /// Where a path leads to when links are followed. What is not there leads to itself.
    pub fn resolve(&self, path: &str, follow_last: bool) -> Result<String, Error> {
        if !path.starts_with('/') {
            return Err(Error::Invalid(format!("{path} is no absolute path")));
        }
        let mut ahead: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let (mut resolved, mut links) = (String::new(), 0);
        while let Some(part) = ahead.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    resolved.truncate(resolved.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let here = format!("{resolved}/{part}");
            let is_last = ahead.iter().all(String::is_empty);
            match self.0.get(&here).map(|node| &node.content) {
                Some(Content::Link(target)) if follow_last || !is_last => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Error::Other(format!("{path}: too many links")));
                    }
                    if target.starts_with('/') {
                        resolved.clear();
                    }
                    ahead.extend(target.split('/').rev().map(str::to_owned));
                }
                _ => resolved = here,
            }
        }
        Ok(if resolved.is_empty() { "/".to_owned() } else { resolved })
    }
}

fn below(path: &str) -> String {
    format!("{}/", path.trim_end_matches('/'))
}
