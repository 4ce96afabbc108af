//! Grants: which files a plugin may read and write, which programs it may run. Three have to agree, and whoever is silent
//! refuses.

mod file;
mod glob;
mod program;
mod run;

pub use file::Grants;
pub(crate) use file::{is_fact, normalize};
pub(crate) use glob::Glob;
pub(crate) use program::{Call, matches_part};
pub use program::{RunGrant, RunGrantError};
pub use run::RunGrants;

use crate::manifest::{Manifest, Request};
use crate::text::printable;
use farrier_protocol::assignment::{AssignedInstaller, Name};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Denials of one scan or installation that are logged, at most.
const MAX_LOGGED_DENIALS: usize = 32;
/// Bytes of what is denied and of its remedy, each: the longest path, escaped, with the words around it.
const MAX_DENIAL_BYTES: usize = 4 << 10;

/// What somebody lets an installer plugin do: the site, or the client's own configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantLists {
    /// What it may read: globs over the endpoint's root, and names of facts.
    pub read: Vec<String>,
    /// The files it may write: globs over the endpoint's root.
    pub write: Vec<String>,
    /// The programs it may run, see [`RunGrant`].
    pub run: Vec<String>,
}

impl From<&Manifest> for GrantLists {
    /// What a plugin asks for.
    fn from(manifest: &Manifest) -> Self {
        let grants = |requests: &[Request]| requests.iter().map(|request| request.grant.clone()).collect();
        Self { read: grants(&manifest.read), write: grants(&manifest.write), run: grants(&manifest.run) }
    }
}

impl From<&AssignedInstaller> for GrantLists {
    /// What the site approved.
    fn from(assigned: &AssignedInstaller) -> Self {
        let strings = |names: &[Name]| names.iter().map(|name| name.to_string()).collect();
        Self {
            read: strings(&assigned.read),
            write: strings(&assigned.write),
            run: assigned.run.iter().map(|line| line.to_string()).collect(),
        }
    }
}

/// A line that is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin `{plugin}`: the {access} that {list}: {problem}")]
pub struct GrantError {
    /// What is granted.
    pub access: Access,
    /// Whose list it is in.
    pub list: &'static str,
    /// The plugin.
    pub plugin: String,
    /// The line and what is wrong with it.
    pub problem: String,
}

/// What a grant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reading a file.
    Read,
    /// Writing a file.
    Write,
    /// Running a program.
    Run,
}

impl Access {
    /// The name of its list in `plugin.toml` and `agent.toml`.
    #[must_use]
    pub const fn list(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Run => "run",
        }
    }

    const fn things(self) -> &'static str {
        match self {
            Self::Read | Self::Write => "files",
            Self::Run => "programs",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.things(), self.list())
    }
}

/// Something a plugin may not do, with the line that would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {remedy}")]
pub struct Denial {
    /// The path, or the program with its arguments.
    pub what: String,
    /// Who did not grant it, and where to grant it.
    pub remedy: String,
}

/// Three lists that have to agree: who asks, who approves, who allows.
#[derive(Debug, Clone)]
struct Three<T> {
    access: Access,
    plugin: String,
    /// Line by line: the one that asks for something is the one to approve and to allow.
    asked: Vec<(String, T)>,
    approved: T,
    allowed: T,
    /// What was denied and is in the log already.
    logged: Arc<Mutex<BTreeSet<String>>>,
}

impl<T> Three<T> {
    /// The three lists, each as `parse` reads it.
    fn new<'a, A, B>(
        access: Access,
        plugin: &str,
        asked: impl Iterator<Item = &'a String>,
        approved: A,
        allowed: B,
        parse: impl Fn(&mut dyn Iterator<Item = String>) -> Result<T, String>,
    ) -> Result<Self, GrantError>
    where
        A: IntoIterator<Item: AsRef<str>>,
        B: IntoIterator<Item: AsRef<str>>,
    {
        let read = |list, lines: &mut dyn Iterator<Item = String>| {
            parse(lines).map_err(|problem| GrantError { access, list, plugin: plugin.to_owned(), problem })
        };
        Ok(Self {
            access,
            plugin: plugin.to_owned(),
            asked: asked
                .map(|line| Ok((line.clone(), read("its manifest asks for", &mut std::iter::once(line.clone()))?)))
                .collect::<Result<_, _>>()?,
            approved: read("the site approves", &mut approved.into_iter().map(|line| line.as_ref().to_owned()))?,
            allowed: read(
                "the agent's configuration allows",
                &mut allowed.into_iter().map(|line| line.as_ref().to_owned()),
            )?,
            logged: Arc::default(),
        })
    }

    /// Whether all three cover it; the first that does not is named. `line` is what would cover it, and nothing else.
    fn check_by(&self, what: &str, line: &str, covers: impl Fn(&T) -> bool) -> Result<(), Denial> {
        let (plugin, list, things) = (&self.plugin, self.access.list(), self.access.things());
        let asks = self.asked.iter().find(|(_, asked)| covers(asked)).map(|(line, _)| line);
        let remedy = match asks {
            None => {
                format!("plugin `{plugin}` does not ask for it: add {} to `{list}` in its plugin.toml", quoted(line))
            }
            Some(line) if !covers(&self.approved) => format!(
                "the site did not approve it: approve \"{line}\" among the {things} plugin `{plugin}` may {list}"
            ),
            Some(line) if !covers(&self.allowed) => {
                format!("this client does not allow it: add {} to `{list}` under [plugins] in agent.toml", quoted(line))
            }
            Some(_) => return Ok(()),
        };
        Err(Denial { what: printable(what, MAX_DENIAL_BYTES), remedy: printable(&remedy, MAX_DENIAL_BYTES) })
    }

    /// As [`Three::check_by`], where `what` is the line itself, and logs each denial once.
    fn check_logged(&self, what: &str, covers: impl Fn(&T) -> bool) -> Result<(), Denial> {
        self.check_logged_by(what, what, covers)
    }

    /// The same where another line would cover it.
    fn check_logged_by(&self, what: &str, line: &str, covers: impl Fn(&T) -> bool) -> Result<(), Denial> {
        let checked = self.check_by(what, line, covers);
        if let Err(denial) = &checked {
            let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
            if logged.len() < MAX_LOGGED_DENIALS && logged.insert(denial.what.clone()) {
                let (plugin, access, Denial { what, remedy }) = (&self.plugin, self.access.list(), denial);
                tracing::warn!(plugin.name = plugin, access, what, remedy, "A plugin was denied something.");
            }
        }
        checked
    }
}

/// A line as it stands in a file of TOML, whose strings may be those of JSON.
fn quoted(line: &str) -> String {
    serde_json::Value::from(line).to_string()
}
