//! Grants of files: globs over the endpoint's root; and of facts, by their names.

use super::{Access, Denial, GrantError, Three};
use crate::manifest::Manifest;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::BTreeSet;

/// Bytes of a path a guest may name, at most.
const MAX_PATH_BYTES: usize = 1024;
/// Bytes of a fact's name, at most.
const MAX_FACT_BYTES: usize = 48;
/// What makes a glob more than a path.
const WILD: [char; 5] = ['*', '?', '[', '{', '\\'];
/// The end of a glob that covers whatever is below a folder, however deep.
const ALL_BELOW: &str = "/**";

/// The files a plugin may read or write: asked by its manifest ∩ approved by the site ∩ allowed by the client's own
/// config.
///
/// A file is covered if its path matches a glob in each of the three lists. `*` and `?` never cross a `/`, `**` does. A
/// grant is of a name. For reading, what the name leads to below the endpoint's root (`/etc/os-release` is a link nearly
/// everywhere) is the endpoint's own affair; for writing, no link is followed.
///
/// In the lists of what may be read, a line that does not begin with `/` is the name of a fact (`disk-space`), see
/// `facts.query`.
#[derive(Debug, Clone)]
pub struct Grants(Three<Globs>);

/// One list.
#[derive(Debug, Clone)]
struct Globs {
    files: GlobSet,
    /// The folders everything below which is covered, whatever it is called.
    trees: GlobSet,
    /// How the paths begin that are covered, and whether they go on.
    beginnings: Vec<(String, bool)>,
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
        self.0.check(path, |globs| globs.files.is_match(path))
    }

    /// As [`Grants::check`], and logs each denial once.
    pub(crate) fn check_logged(&self, path: &str) -> Result<(), Denial> {
        self.0.check_logged(path, |globs| globs.files.is_match(path))
    }

    /// Whether this fact may be asked for; logs each denial once.
    pub(crate) fn check_fact(&self, name: &str) -> Result<(), Denial> {
        self.0.check_logged(name, |globs| globs.facts.contains(name))
    }

    /// Whether anything below this folder could be covered; logs each denial once. It may say yes where nothing can be: the
    /// name of every change is checked by itself.
    pub(crate) fn check_folder(&self, path: &str) -> Result<(), Denial> {
        let below = format!("{}/", path.trim_end_matches('/'));
        let line = format!("{below}**");
        self.0.check_logged(&line, |globs| {
            globs
                .beginnings
                .iter()
                .any(|(begin, goes_on)| begin.starts_with(&below) || (*goes_on && below.starts_with(begin)))
        })
    }

    /// Whether this folder and everything that may be in it is covered; logs each denial once.
    pub(crate) fn check_tree(&self, path: &str) -> Result<(), Denial> {
        self.check_logged(path)?;
        let line = format!("{}{ALL_BELOW}", path.trim_end_matches('/'));
        let above = |globs: &Globs| {
            let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
            ends.chain([path.len()]).any(|end| globs.trees.is_match(path.get(..end).unwrap_or(path)))
        };
        self.0.check_logged(&line, |globs| globs.trees.is_match("/") || above(globs))
    }
}

impl Globs {
    fn of(lines: &mut dyn Iterator<Item = String>, with_facts: bool) -> Result<Self, String> {
        let (mut files, mut trees) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let (mut beginnings, mut facts) = (Vec::new(), BTreeSet::new());
        for line in lines {
            if with_facts && is_fact(&line) {
                facts.insert(line);
                continue;
            }
            files.add(parse_glob(&line)?);
            let folder = line.strip_suffix(ALL_BELOW).map(|folder| if folder.is_empty() { "/" } else { folder });
            if let Some(Ok(folder)) = folder.map(parse_glob) {
                trees.add(folder);
            }
            let begin = line.split(WILD).next().unwrap_or_default().to_owned();
            let goes_on = begin.len() < line.len();
            beginnings.push((begin, goes_on));
        }
        let built = |set: GlobSetBuilder| set.build().map_err(|problem| problem.to_string());
        Ok(Self { files: built(files)?, trees: built(trees)?, beginnings, facts })
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

#[cfg(test)]
mod tests {
    use super::*;
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
