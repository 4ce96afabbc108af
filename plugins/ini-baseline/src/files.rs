//! Files of the endpoint, each read once.

use alloc::{
    borrow::ToOwned,
    collections::BTreeMap,
    format,
    rc::Rc,
    string::{String, ToString},
    vec::Vec,
};
use core::cell::RefCell;
use farrier_plugin_sdk::{Error, Facts, Kind, SharedFacts};

/// Bytes of one file, at most.
const MAX_FILE_BYTES: usize = 1 << 20;

/// Bytes of all files together, at most: the plugin's memory is bounded.
const MAX_BYTES: usize = 8 << 20;

/// Bytes asked of the host in one read.
const READ_BYTES: u32 = 64 * 1024;

/// Files of the endpoint as texts. They stay as they were read first, so that every rule of a scan sees the same.
pub struct Files {
    facts: SharedFacts,
    texts: RefCell<BTreeMap<String, Option<Rc<str>>>>,
    folders: RefCell<BTreeMap<String, Rc<[String]>>>,
}

impl Files {
    /// The files of this endpoint.
    pub fn new(facts: SharedFacts) -> Self {
        Self { facts, texts: RefCell::default(), folders: RefCell::default() }
    }

    /// The text of a file; none, if there is no such file. What is not UTF-8 in it is replaced.
    ///
    /// # Errors
    /// If it cannot be read, or is too large.
    pub fn text(&self, path: &str) -> Result<Option<Rc<str>>, Error> {
        if let Some(known) = self.texts.borrow().get(path) {
            return Ok(known.clone());
        }
        let text = match self.read(path) {
            Ok(bytes) => Some(Rc::from(String::from_utf8_lossy(&bytes))),
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        self.texts.borrow_mut().insert(path.to_owned(), text.clone());
        Ok(text)
    }

    /// The lines of a file with their numbers; none, if there is no such file.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn lines(&self, path: &str) -> Result<Vec<(usize, String)>, Error> {
        let text = self.text(path)?.unwrap_or_else(|| "".into());
        Ok((1..).zip(text.lines().map(ToOwned::to_owned)).collect())
    }

    /// Whether there is such a file.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn exists(&self, path: &str) -> Result<bool, Error> {
        self.text(path).map(|text| text.is_some())
    }

    /// The names in a folder, sorted and without hidden ones; none, if there is no such folder.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub fn names(&self, folder: &str) -> Result<Rc<[String]>, Error> {
        if let Some(known) = self.folders.borrow().get(folder) {
            return Ok(known.clone());
        }
        let names: Rc<[String]> = match self.facts.list_folder(folder) {
            Ok(mut names) => {
                names.retain(|name| !name.starts_with('.'));
                names.sort();
                names.into()
            }
            Err(Error::NotFound(_)) => Rc::default(),
            Err(error) => return Err(error),
        };
        self.folders.borrow_mut().insert(folder.to_owned(), names.clone());
        Ok(names)
    }

    /// The `*.conf` of these folders in the order of their names, as systemd has it: of two with the same name, that in
    /// the earlier folder is in place of the other. One that is masked, a link to `/dev/null`, is left out.
    ///
    /// # Errors
    /// As [`names`](Self::names).
    pub fn drop_ins(&self, folders: &[String]) -> Result<Vec<String>, Error> {
        let mut paths = BTreeMap::new();
        for folder in folders {
            for name in self.names(folder)?.iter().filter(|name| name.ends_with(".conf")) {
                paths.entry(name.clone()).or_insert_with(|| format!("{folder}/{name}"));
            }
        }
        let mut unmasked = Vec::new();
        for path in paths.into_values() {
            if !self.is_masked(&path)? {
                unmasked.push(path);
            }
        }
        Ok(unmasked)
    }

    /// Whether a file is a link to what is no regular file.
    fn is_masked(&self, path: &str) -> Result<bool, Error> {
        match self.text(path) {
            Ok(text) => Ok(text.is_none()),
            Err(Error::Invalid(_)) if self.facts.stat(path)?.kind == Kind::Link => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let kept: usize = self.texts.borrow().values().flatten().map(|text| text.len()).sum();
        let mut file = self.facts.open_file(path)?;
        let mut bytes = Vec::new();
        loop {
            match file.read(READ_BYTES)? {
                end if end.is_empty() => return Ok(bytes),
                piece => bytes.extend_from_slice(&piece),
            }
            if bytes.len() > MAX_FILE_BYTES {
                return Err(Error::TooLarge(format!(
                    "{path}: more than {MAX_FILE_BYTES} bytes for a file of settings"
                )));
            }
            if kept + bytes.len() > MAX_BYTES {
                return Err(Error::TooLarge(format!("{path}: more than {MAX_BYTES} bytes of settings in all files")));
            }
        }
    }
}

/// What is said where a file does not set something.
pub fn nothing_in(files: &Files, path: &str) -> Result<String, Error> {
    let problem = if files.exists(path)? { "does not set it" } else { "is not there" };
    Ok([path, problem].join(" ").to_string())
}
