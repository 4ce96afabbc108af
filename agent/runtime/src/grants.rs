//! Grants: which files a plugin may read. Three have to agree, and whoever is silent refuses.

use crate::manifest::Manifest;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::BTreeSet;

/// Bytes of a path a guest may name, at most.
const MAX_PATH_BYTES: usize = 1024;
/// Denials of one scan that are logged, at most.
const MAX_LOGGED_DENIALS: usize = 32;

/// The effective grants of a plugin: asked by its manifest ∩ approved by the site ∩ allowed by the client's own config.
///
/// A file is readable if its path matches a glob in each of the three lists. `*` and `?` never cross a `/`, `**` does. A
/// grant is of a name: what the name leads to below the endpoint's root (`/etc/os-release` is a link nearly everywhere)
/// is the endpoint's own affair.
#[derive(Debug, Clone)]
pub struct Grants {
    plugin: String,
    asked: GlobSet,
    approved: GlobSet,
    allowed: GlobSet,
    logged: BTreeSet<String>,
}

/// A glob that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the files that {list} plugin `{plugin}` to read: {problem}")]
pub struct GrantError {
    /// Whose list it is in.
    pub list: &'static str,
    /// The plugin.
    pub plugin: String,
    /// The glob and what is wrong with it.
    pub problem: String,
}

/// A path that a plugin may not read, with the line that would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {remedy}")]
pub struct Denial {
    /// The path.
    pub path: String,
    /// Who did not grant it, and where to grant it.
    pub remedy: String,
}

impl Grants {
    /// What `manifest` asks for, limited to what the site approved and to what this client allows.
    ///
    /// # Errors
    /// When a glob is none.
    pub fn new<A, B>(manifest: &Manifest, approved: A, allowed: B) -> Result<Self, GrantError>
    where
        A: IntoIterator<Item: AsRef<str>>,
        B: IntoIterator<Item: AsRef<str>>,
    {
        let plugin = manifest.name.as_str();
        Ok(Self {
            asked: glob_set(&manifest.read, "the manifest asks for", plugin)?,
            approved: glob_set(approved, "the site approves for", plugin)?,
            allowed: glob_set(allowed, "the agent's configuration allows", plugin)?,
            plugin: plugin.to_owned(),
            logged: BTreeSet::new(),
        })
    }

    /// Whether this normalized path may be read.
    ///
    /// # Errors
    /// When one of the three lists does not cover it; the first that does not is named.
    pub fn check(&self, path: &str) -> Result<(), Denial> {
        let plugin = &self.plugin;
        let remedy = if !self.asked.is_match(path) {
            format!("plugin `{plugin}` does not ask for it: add \"{path}\" to `read` in its plugin.toml")
        } else if !self.approved.is_match(path) {
            format!("the site did not approve it: approve \"{path}\" among the files plugin `{plugin}` may read")
        } else if !self.allowed.is_match(path) {
            format!("this client does not allow it: add \"{path}\" to `read` under [plugins] in agent.toml")
        } else {
            return Ok(());
        };
        Err(Denial { path: path.to_owned(), remedy })
    }

    /// As [`Grants::check`], and logs each denial once.
    pub(crate) fn check_logged(&mut self, path: &str) -> Result<(), Denial> {
        let checked = self.check(path);
        if let Err(denial) = &checked
            && self.logged.len() < MAX_LOGGED_DENIALS
            && self.logged.insert(path.to_owned())
        {
            tracing::warn!(plugin.name = self.plugin, path, remedy = denial.remedy, "A plugin was denied a file.");
        }
        checked
    }
}

/// A path as grants and files see it: absolute, without `.`, without doubled or trailing slashes.
pub(crate) fn normalize(path: &str) -> Result<String, String> {
    if path.len() > MAX_PATH_BYTES {
        return Err(format!("a path of {} bytes, more than {MAX_PATH_BYTES}", path.len()));
    }
    if !path.starts_with('/') || path.contains('\0') {
        return Err(format!("`{}` is not an absolute path", path.escape_default()));
    }
    let mut normalized = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return Err(format!("`{}` has a `..`", path.escape_default()));
        }
        normalized.push('/');
        normalized.push_str(part);
    }
    Ok(if normalized.is_empty() { "/".to_owned() } else { normalized })
}

/// The glob, or what is wrong with it.
pub(crate) fn parse_glob(glob: &str) -> Result<Glob, String> {
    if !glob.starts_with('/') || glob.split('/').any(|part| part == ".." || part == ".") {
        return Err(format!("`{}` is not an absolute path without `.` and `..`", glob.escape_default()));
    }
    GlobBuilder::new(glob)
        .literal_separator(true)
        .build()
        .map_err(|error| format!("`{}` is no glob: {}", glob.escape_default(), error.kind()))
}

fn glob_set(
    globs: impl IntoIterator<Item: AsRef<str>>,
    list: &'static str,
    plugin: &str,
) -> Result<GlobSet, GrantError> {
    let error = |problem| GrantError { list, plugin: plugin.to_owned(), problem };
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(parse_glob(glob.as_ref()).map_err(error)?);
    }
    set.build().map_err(|problem| error(problem.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(asked: &[&str], approved: &[&str], allowed: &[&str]) -> Result<Grants, GrantError> {
        let manifest = Manifest {
            name: "dpkg".to_owned(),
            version: "1.0.0".to_owned(),
            description: "A test.".to_owned(),
            license: "Apache-2.0".to_owned(),
            wit: "0.1.0".to_owned(),
            world: "applicability".to_owned(),
            read: asked.iter().map(|glob| (*glob).to_owned()).collect(),
        };
        Grants::new(&manifest, approved, allowed)
    }

    #[test]
    fn a_file_needs_three_that_agree() {
        let (wide, narrow) = (["/**"].as_slice(), ["/var/lib/dpkg/*"].as_slice());
        for lists in [[narrow, wide, wide], [wide, narrow, wide], [wide, wide, narrow]] {
            let grants = grants(lists[0], lists[1], lists[2]).unwrap();
            assert_eq!(grants.check("/var/lib/dpkg/status"), Ok(()), "{lists:?}");
            assert!(grants.check("/var/lib/dpkg/info/dpkg.list").is_err(), "{lists:?}");
            assert!(grants.check("/etc/shadow").is_err(), "{lists:?}");
        }
    }

    #[test]
    fn whoever_is_silent_refuses_and_is_named() {
        let remedy =
            |asked, approved, allowed| grants(asked, approved, allowed).unwrap().check("/a").unwrap_err().remedy;
        let (all, none) = (["/a"].as_slice(), [].as_slice());
        assert!(remedy(none, all, all).contains("plugin.toml"));
        assert!(remedy(all, none, all).contains("the site did not approve it"));
        assert!(remedy(all, all, none).contains("agent.toml"));
    }

    #[test]
    fn a_bad_glob_is_named_with_its_list() {
        let error = grants(&["/a"], &["/etc/[a"], &["/a"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the files that the site approves for plugin `dpkg` to read: `/etc/[a` is no glob: unclosed character class; \
             missing ']'"
        );
        assert!(grants(&["etc/x"], &[], &[]).unwrap_err().to_string().contains("not an absolute path"));
        assert!(grants(&["/etc/../x"], &[], &[]).is_err());
    }

    #[test]
    fn each_denial_is_logged_once() {
        let mut grants = grants(&["/a"], &[], &[]).unwrap();
        for _ in 0..3 {
            assert!(grants.check_logged("/a").is_err());
            assert!(grants.check_logged("/b").is_err());
        }
        assert_eq!(grants.logged.len(), 2);
    }

    #[test]
    fn paths_are_normalized_before_they_are_compared() {
        assert_eq!(normalize("//etc/./os-release/").unwrap(), "/etc/os-release");
        assert_eq!(normalize("/").unwrap(), "/");
        for path in ["", "etc", "/etc/..", "/../etc", "/a\0b"] {
            assert!(normalize(path).is_err(), "{path}");
        }
    }
}
