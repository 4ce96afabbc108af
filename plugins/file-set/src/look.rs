//! What is found on the endpoint.

use crate::rule::{FileSet, WantedFile};
use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};
use core::{cell::RefCell, cmp::Ordering};
use farrier_plugin_sdk::{
    ComplianceState::{self, Installed, NotRequired, Required, Unknown},
    Error, Facts, Finding, Kind, SharedFacts, version,
};

/// Files whose digests one look keeps, at most.
const MAX_KNOWN_DIGESTS: usize = 4096;

/// Characters of a digest that people are shown.
const SHOWN_DIGITS: usize = 12;

/// One look at the endpoint's files.
pub struct Look {
    facts: SharedFacts,
    /// The versions of one application name the same files; each file is read once a scan.
    digests: RefCell<BTreeMap<String, String>>,
}

/// What there is of something, and what that means.
struct Found {
    state: ComplianceState,
    detail: String,
}

/// What the version file says.
enum Version {
    /// A newer version than the rule's: its files are none of this rule's business.
    Newer(Found),
    /// The rule's version, or what has to become it.
    Compared(Found),
}

impl Look {
    pub fn new(facts: SharedFacts) -> Self {
        Self { facts, digests: RefCell::default() }
    }

    /// The state of a rule. What is cheap to know is asked first, and the first thing that is missing decides.
    pub fn state(&self, rule: &FileSet<'_>) -> Result<ComplianceState, Error> {
        if !self.applies(rule)? {
            return Ok(NotRequired);
        }
        match self.version(rule)? {
            Some(Version::Newer(found)) => return Ok(found.state),
            Some(Version::Compared(found)) if found.state != Installed => return Ok(found.state),
            Some(Version::Compared(_)) | None => {}
        }
        for file in &rule.files {
            let state = self.file(file)?.state;
            if state != Installed {
                return Ok(state);
            }
        }
        Ok(Installed)
    }

    /// Why a rule has its state: each thing it names. What cannot be read is told among the others.
    pub fn findings(&self, rule: &FileSet<'_>) -> Result<Vec<Finding>, Error> {
        if !self.applies(rule)? {
            let subject = rule.applies_if.as_deref().unwrap_or_default().into();
            let detail = format!("it is not there, so {} does not concern this client", rule.name);
            return Ok(vec![Finding { subject, state: NotRequired, detail }]);
        }
        let mut findings = Vec::new();
        if let Some(path) = &rule.version_file {
            match self.version(rule) {
                Ok(Some(Version::Newer(found))) => return Ok(vec![finding(path, Ok(found))]),
                Ok(Some(Version::Compared(found))) => findings.push(finding(path, Ok(found))),
                Ok(None) => {}
                Err(error) => findings.push(finding(path, Err(error))),
            }
        }
        findings.extend(rule.files.iter().map(|file| finding(&file.path, self.file(file))));
        Ok(findings)
    }

    fn applies(&self, rule: &FileSet<'_>) -> Result<bool, Error> {
        rule.applies_if.as_deref().map_or(Ok(true), |path| self.facts.exists(path))
    }

    /// What the version file says; `None` if the rule has none.
    fn version(&self, rule: &FileSet<'_>) -> Result<Option<Version>, Error> {
        let Some(path) = rule.version_file.as_deref() else { return Ok(None) };
        let (name, offered) = (&rule.name, rule.version.trim());
        let text = match self.facts.read_text(path) {
            Ok(text) => text,
            Err(Error::NotFound(_)) => {
                let detail = format!("it is not there; {name} {offered} is offered");
                return Ok(Some(Version::Compared(Found { state: Required, detail })));
            }
            Err(error) => return Err(error),
        };
        let installed = text.trim();
        let (state, detail) = if installed == offered {
            (Installed, format!("{installed} is installed"))
        } else if is_newer(installed, offered) {
            let detail = format!("{installed} is installed, which is newer than {offered}");
            return Ok(Some(Version::Newer(Found { state: Installed, detail })));
        } else if installed.is_empty() {
            (Required, format!("it is empty; {offered} is offered"))
        } else {
            (Required, format!("{} is installed, {offered} is offered", installed.escape_debug()))
        };
        Ok(Some(Version::Compared(Found { state, detail })))
    }

    fn file(&self, file: &WantedFile<'_>) -> Result<Found, Error> {
        let required = |detail| Ok(Found { state: Required, detail });
        let status = match self.facts.stat(&file.path) {
            Ok(status) => status,
            Err(Error::NotFound(_)) => return required("it is not there".into()),
            Err(error) => return Err(error),
        };
        if !matches!(status.kind, Kind::File | Kind::Link) {
            return Err(Error::Invalid(format!("{} is not a file", file.path)));
        }
        let digest = match self.digest(&file.path) {
            Ok(digest) => digest,
            Err(Error::NotFound(_)) => return required("it is a link that leads nowhere".into()),
            Err(error) => return Err(error),
        };
        if !digest.eq_ignore_ascii_case(&file.sha256) {
            let (found, wanted) = (shown(&digest), shown(&file.sha256));
            return required(format!("its content is another: SHA-256 {found}..., not {wanted}..."));
        }
        match file.mode()? {
            // The mode of a link says nothing.
            Some(mode) if status.kind == Kind::File && status.mode & 0o7777 != mode => {
                required(format!("its mode is {:04o}, not {mode:04o}", status.mode & 0o7777))
            }
            _ => Ok(Found { state: Installed, detail: "it is as it should be".into() }),
        }
    }

    fn digest(&self, path: &str) -> Result<String, Error> {
        if let Some(digest) = self.digests.borrow().get(path) {
            return Ok(digest.clone());
        }
        let digest = self.facts.digest(path)?;
        let mut known = self.digests.borrow_mut();
        if known.len() < MAX_KNOWN_DIGESTS {
            known.insert(path.into(), digest.clone());
        }
        Ok(digest)
    }
}

fn finding(subject: &str, found: Result<Found, Error>) -> Finding {
    let Found { state, detail } =
        found.unwrap_or_else(|error| Found { state: Unknown, detail: error.message().into() });
    Finding { subject: subject.into(), state, detail }
}

/// Whether it is known to be newer.
fn is_newer(installed: &str, offered: &str) -> bool {
    let is_number = |version: &str| {
        version.starts_with(|first: char| first.is_ascii_digit()) && version.bytes().all(|byte| byte.is_ascii_graphic())
    };
    is_number(installed) && is_number(offered) && version::debian::compare(installed, offered) == Ordering::Greater
}

fn shown(digest: &str) -> &str {
    digest.get(..SHOWN_DIGITS).unwrap_or(digest)
}
