//! Grants of files: globs over the endpoint's root; and of facts, by their names.

use super::glob::escaped;
use super::{Access, Denial, Glob, GrantError, Three};
use crate::manifest::Manifest;
use std::collections::BTreeSet;

/// Bytes of a path a guest may name, at most.
const MAX_PATH_BYTES: usize = 1024;
/// Bytes of a fact's name, at most.
const MAX_FACT_BYTES: usize = 48;

/// The files a plugin may read or write: asked by its manifest ∩ approved by the site ∩ allowed by the client's own
/// config.
///
/// A file is covered if its path matches a glob in each of the three lists. `*`, `?` and `[a-z]` never cross a `/`, `**` does.
/// A grant is of a name. For reading, what the name leads to below the endpoint's root (`/etc/os-release` is a link nearly
/// everywhere) is the endpoint's own affair; for writing, no link is followed.
///
/// In the lists of what may be read, a line that does not begin with `/` is the name of a fact (`disk-space`), see
/// `facts.query`.
#[derive(Debug, Clone)]
pub struct Grants(Three<Globs>);

/// One list.
#[derive(Debug, Clone)]
struct Globs {
    files: Vec<Glob>,
    /// The folders everything below which is covered, whatever it is called.
    trees: Vec<Glob>,
    facts: BTreeSet<String>,
}

impl Grants {
    /// What `manifest` asks to read, limited to what the site approved and to what this client allows.
    ///
    /// # Errors
    /// When a line is neither a glob nor the name of a fact.
    pub fn new<A, B>(manifest: &Manifest, approved: A, allowed: B) -> Result<Self, GrantError>
    where
        A: IntoIterator<Item: AsRef<str>>,
        B: IntoIterator<Item: AsRef<str>>,
    {
        let asked = manifest.read.iter().map(|request| &request.grant);
        Three::new(Access::Read, &manifest.name, asked, approved, allowed, |lines| Globs::of(lines, true)).map(Self)
    }

    /// The files that `manifest` asks to write, limited in the same way.
    ///
    /// # Errors
    /// When a line is no glob.
    pub fn to_write<A, B>(manifest: &Manifest, approved: A, allowed: B) -> Result<Self, GrantError>
    where
        A: IntoIterator<Item: AsRef<str>>,
        B: IntoIterator<Item: AsRef<str>>,
    {
        let asked = manifest.write.iter().map(|request| &request.grant);
        Three::new(Access::Write, &manifest.name, asked, approved, allowed, |lines| Globs::of(lines, false)).map(Self)
    }

    /// Whether this normalized path is covered.
    ///
    /// # Errors
    /// When one of the three lists does not cover it; the first that does not is named.
    pub fn check(&self, path: &str) -> Result<(), Denial> {
        self.0.check_by(path, &escaped(path), |globs| globs.cover(path))
    }

    /// As [`Grants::check`], and logs each denial once.
    pub(crate) fn check_logged(&self, path: &str) -> Result<(), Denial> {
        self.0.check_logged_by(path, &escaped(path), |globs| globs.cover(path))
    }

    /// Whether this fact may be asked for; logs each denial once.
    pub(crate) fn check_fact(&self, name: &str) -> Result<(), Denial> {
        self.0.check_logged(name, |globs| globs.facts.contains(name))
    }

    /// Whether anything below this folder could be covered; logs each denial once. It may say yes where nothing can be: the
    /// name of every change is checked by itself.
    pub(crate) fn check_folder(&self, path: &str) -> Result<(), Denial> {
        let below = format!("{}/", path.trim_end_matches('/'));
        self.check_below(&below, |globs| globs.files.iter().any(|glob| glob.may_begin_with(&below)))
    }

    /// Whether this folder and everything that may be in it is covered; logs each denial once.
    pub(crate) fn check_tree(&self, path: &str) -> Result<(), Denial> {
        self.check_logged(path)?;
        let below = format!("{}/", path.trim_end_matches('/'));
        self.check_below(&below, |globs| globs.trees.iter().any(|folder| folder.is_match_or_above(path)))
    }

    /// The same for what is below a folder.
    fn check_below(&self, below: &str, covers: impl Fn(&Globs) -> bool) -> Result<(), Denial> {
        self.0.check_logged_by(&format!("{below}**"), &format!("{}**", escaped(below)), covers)
    }
}

impl Globs {
    fn of(lines: &mut dyn Iterator<Item = String>, with_facts: bool) -> Result<Self, String> {
        let (mut files, mut trees, mut facts) = (Vec::new(), Vec::new(), BTreeSet::new());
        for line in lines {
            if with_facts && is_fact(&line) {
                facts.insert(line);
                continue;
            }
            files.push(Glob::parse(&line)?);
            trees.extend(Glob::folders_of(&line));
        }
        Ok(Self { files, trees, facts })
    }

    fn cover(&self, path: &str) -> bool {
        self.files.iter().any(|glob| glob.is_match(path))
    }
}

/// Whether this line names a fact: lower-case letters, digits and hyphens.
pub(crate) fn is_fact(line: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=MAX_FACT_BYTES).contains(&line.len()) && line.chars().all(plain)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::MAX_DENIAL_BYTES;
    use crate::manifest::Request;

    fn grants(asked: &[&str], approved: &[&str], allowed: &[&str]) -> Result<Grants, GrantError> {
        let read = Request::all(asked);
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
        // What it asks for is what has a reason: one line, not a line for each file that it looks at.
        assert!(remedy(&["/b", "/*"], all, none).contains("add \"/*\" to `read`"));
    }

    #[test]
    fn a_bad_glob_is_named_with_its_list() {
        let error = grants(&["/a"], &["/etc/[a"], &["/a"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "plugin `dpkg`: the files to read that the site approves: `/etc/[a` is no glob: a `[` without its `]`"
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
    fn however_long_its_name_what_is_denied_is_kept_short() {
        let grants = grants(&[], &[], &[]).unwrap();
        let denial = grants.check_fact(&"a".repeat(1 << 20)).unwrap_err();
        assert!(denial.to_string().len() < 3 * MAX_DENIAL_BYTES);
        assert!(grants.0.logged.lock().unwrap().iter().all(|what| what.len() <= MAX_DENIAL_BYTES));
    }

    #[test]
    fn the_line_that_is_advised_covers_the_path_and_nothing_else() {
        for path in ["/usr/bin/[", "/srv/*", "/srv/a\"b", "/srv/a\\b"] {
            let remedy = grants(&[], &[], &[]).unwrap().check(path).unwrap_err().remedy;
            // A string of TOML is one of JSON here.
            let line = &remedy[remedy.find('"').unwrap()..=remedy.rfind('"').unwrap()];
            let line: String = serde_json::from_str(line).unwrap();
            let advised = grants(&[&line], &[&line], &[&line]).unwrap();
            assert_eq!(advised.check(path), Ok(()), "{line}");
            assert!(advised.check("/srv/a").is_err() && advised.check("/usr/bin/a").is_err(), "{line}");
        }
    }

    #[test]
    fn paths_are_normalized_before_they_are_compared() {
        assert_eq!(normalize("//etc/./os-release/").unwrap(), "/etc/os-release");
        assert_eq!(normalize("/").unwrap(), "/");
        for path in ["", "etc", "/etc/..", "/../etc", "/a\0b"] {
            assert!(normalize(path).is_err(), "{path}");
        }
    }

    fn to_write(globs: &[&str]) -> Grants {
        Grants::to_write(&Manifest { write: Request::all(globs), ..Manifest::sample() }, ["/**"], ["/**"]).unwrap()
    }

    #[test]
    fn a_fact_is_granted_by_its_name_and_no_glob_grants_one() {
        let grants = grants(&["disk-space", "/**"], &["disk-space", "/**"], &["/**", "disk-space"]).unwrap();
        assert_eq!(grants.check_fact("disk-space"), Ok(()));
        for name in ["registry", "", "/disk-space", "disk-space "] {
            assert!(grants.check_fact(name).is_err(), "{name}");
        }
        let denial = self::grants(&["disk-space"], &["disk-space"], &["/**"]).unwrap().check_fact("disk-space");
        assert!(denial.unwrap_err().remedy.contains("add \"disk-space\" to `read`"));
        // Who writes has no use for one.
        let manifest = Manifest { write: Request::all(&["disk-space"]), ..Manifest::sample() };
        assert!(Grants::to_write(&manifest, [""; 0], [""; 0]).is_err());
    }

    #[test]
    fn a_folder_may_be_opened_if_something_below_it_could_be_granted() {
        let grants = to_write(&["/opt/app/**", "/srv/*/data", "/etc/hosts"]);
        for path in ["/", "/opt", "/opt/app", "/opt/app/deep/er", "/srv", "/srv/x", "/etc"] {
            assert_eq!(grants.check_folder(path), Ok(()), "{path}");
        }
        for path in ["/var", "/opt/application", "/op", "/etc/hosts", "/etc/hosts/x"] {
            assert!(grants.check_folder(path).is_err(), "{path}");
        }
        let none =
            Grants::to_write(&Manifest { write: Request::all(&["/opt/**"]), ..Manifest::sample() }, ["/**"], [""; 0]);
        assert!(none.unwrap().check_folder("/opt").unwrap_err().remedy.contains("add \"/opt/**\" to `write`"));
    }

    #[test]
    fn a_folder_is_moved_only_with_all_that_is_in_it() {
        let grants = to_write(&["/opt/*", "/opt/app/**", "/srv/**", "/*/cache/**", "/*/cache"]);
        for path in ["/srv/a", "/srv/a/b/c", "/opt/app/x", "/var/cache", "/opt/app"] {
            assert_eq!(grants.check_tree(path), Ok(()), "{path}");
        }
        for path in ["/opt/other", "/srv", "/opt", "/", "/var", "/opt/application"] {
            assert!(grants.check_tree(path).is_err(), "{path}");
        }
        assert_eq!(to_write(&["/**"]).check_tree("/opt"), Ok(()));
    }
}
