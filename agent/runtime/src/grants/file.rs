//! Grants of files: globs over the endpoint's root.

use super::{Access, Denial, GrantError, Three};
use crate::manifest::Manifest;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Bytes of a path a guest may name, at most.
const MAX_PATH_BYTES: usize = 1024;

/// The files a plugin may read or write: asked by its manifest ∩ approved by the site ∩ allowed by the client's own
/// config.
///
/// A file is covered if its path matches a glob in each of the three lists. `*` and `?` never cross a `/`, `**` does. A
/// grant is of a name. For reading, what the name leads to below the endpoint's root (`/etc/os-release` is a link nearly
/// everywhere) is the endpoint's own affair; for writing, no link is followed.
#[derive(Debug, Clone)]
pub struct Grants(Three<GlobSet>);

impl Grants {
    /// The files that `manifest` asks to read, limited to what the site approved and to what this client allows.
    ///
    /// # Errors
    /// When a glob is none.
    pub fn new<A, B>(manifest: &Manifest, approved: A, allowed: B) -> Result<Self, GrantError>
    where
        A: IntoIterator<Item: AsRef<str>>,
        B: IntoIterator<Item: AsRef<str>>,
    {
        Three::new(Access::Read, &manifest.name, (&manifest.read, approved, allowed), glob_set).map(Self)
    }

    /// The files that `manifest` asks to write, limited in the same way.
    ///
    /// # Errors
    /// When a glob is none.
    pub fn to_write<A, B>(manifest: &Manifest, approved: A, allowed: B) -> Result<Self, GrantError>
    where
        A: IntoIterator<Item: AsRef<str>>,
        B: IntoIterator<Item: AsRef<str>>,
    {
        Three::new(Access::Write, &manifest.name, (&manifest.write, approved, allowed), glob_set).map(Self)
    }

    /// Whether this normalized path is covered.
    ///
    /// # Errors
    /// When one of the three lists does not cover it; the first that does not is named.
    pub fn check(&self, path: &str) -> Result<(), Denial> {
        self.0.check(path, |globs| globs.is_match(path))
    }

    /// As [`Grants::check`], and logs each denial once.
    pub(crate) fn check_logged(&self, path: &str) -> Result<(), Denial> {
        self.0.check_logged(path, |globs| globs.is_match(path))
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

fn glob_set(globs: &mut dyn Iterator<Item = String>) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(parse_glob(&glob)?);
    }
    set.build().map_err(|problem| problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(asked: &[&str], approved: &[&str], allowed: &[&str]) -> Result<Grants, GrantError> {
        let read = asked.iter().map(|glob| (*glob).to_owned()).collect();
        Grants::new(&Manifest { read, ..Manifest::sample() }, approved, allowed)
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
            "plugin `dpkg`: the files to read that the site approves: `/etc/[a` is no glob: unclosed character class; missing \
              ']'"
        );
        assert!(grants(&["etc/x"], &[], &[]).unwrap_err().to_string().contains("not an absolute path"));
        assert!(grants(&["/etc/../x"], &[], &[]).is_err());
    }

    #[test]
    fn each_denial_is_logged_once() {
        let grants = grants(&["/a"], &[], &[]).unwrap();
        for _ in 0..3 {
            assert!(grants.check_logged("/a").is_err());
            assert!(grants.check_logged("/b").is_err());
        }
        assert_eq!(grants.0.logged.lock().unwrap().len(), 2);
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
