//! Properties of what guests can reach, over a kept corpus and over random changes of it.
//!
//! The random numbers are the same in every run: what fails once fails again, and is added to the corpus.

use crate::endpoint::Endpoint;
use crate::grants::{Call, Glob, Grants, RunGrant, RunGrants, normalize};
use crate::limits::Limits;
use crate::manifest::{Manifest, Request};
use globset::GlobBuilder;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Random changes of each corpus.
const ROUNDS: usize = 4_000;

/// Numbers that look random (SplitMix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }

    pub(crate) fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len())]
    }

    /// Something like what is in the corpus: parts of two, with a character changed.
    fn mixed(&mut self, corpus: &[String]) -> String {
        let (one, other) = (self.one_of(corpus).clone(), self.one_of(corpus).clone());
        let mut text: Vec<char> = one.chars().collect();
        match self.below(5) {
            0 => text.extend(other.chars()),
            1 => text.truncate(self.below(text.len() + 1)),
            2 => {
                text.truncate(self.below(text.len() + 1));
                text.extend(other.chars().skip(self.below(other.len() + 1)));
            }
            3 => {
                let at = self.below(text.len() + 1);
                text.insert(
                    at,
                    *self.one_of(&['/', '.', '*', '\0', '-', ' ', '{', '}', '[', '\\', 'a', 'ä', '\n', '=']),
                );
            }
            _ => {
                text.push('/');
                text.extend(other.chars());
            }
        }
        text.into_iter().collect()
    }

    /// The corpus, and random changes of it.
    fn all(&mut self, corpus: &[String]) -> Vec<String> {
        let changes: Vec<_> = (0..ROUNDS).map(|_| self.mixed(corpus)).collect();
        corpus.iter().cloned().chain(changes).collect()
    }
}

fn corpus(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name).with_extension("json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_path_is_refused_or_has_one_form_that_leads_nowhere_else() {
    for path in Numbers(1).all(&corpus("paths")) {
        let Ok(normalized) = normalize(&path) else { continue };
        assert!(path.starts_with('/') && normalized.starts_with('/'), "{path:?}");
        assert!(!normalized.contains("//") && !normalized.contains('\0') && normalized.len() <= path.len(), "{path:?}");
        assert!(normalized == "/" || !normalized.ends_with('/'), "{path:?}");
        assert!(normalized.split('/').all(|part| part != "." && part != ".."), "{path:?}");
        assert_eq!(normalize(&normalized).as_ref(), Ok(&normalized), "{path:?}");
    }
}

#[test]
fn grants_are_never_wider_than_any_of_the_three() {
    let (mut numbers, globs, paths) = (Numbers(2), corpus("globs"), corpus("paths"));
    let valid: Vec<_> = numbers.all(&globs).into_iter().filter(|glob| Glob::parse(glob).is_ok()).collect();
    let matches = |glob: &str, path: &str| Glob::parse(glob).unwrap().is_match(path);
    for _ in 0..ROUNDS {
        let lists = [(); 3].map(|()| [(); 2].map(|()| numbers.one_of(&valid).as_str()));
        let manifest = Manifest { write: Request::all(&lists[0]), ..Manifest::sample() };
        let grants = Grants::to_write(&manifest, lists[1], lists[2]).unwrap();
        let Ok(path) = normalize(&numbers.mixed(&paths)) else { continue };
        let expected = lists.iter().all(|globs| globs.iter().any(|glob| matches(glob, &path)));
        assert_eq!(grants.check(&path).is_ok(), expected, "{lists:?} {path:?}");
        // Who has a tree has everything in it; who has something in a folder may open it.
        let below = format!("{}/x/y", path.trim_end_matches('/'));
        if grants.check_tree(&path).is_ok() {
            assert!(grants.check(&below).is_ok() && grants.check(&path).is_ok(), "{lists:?} {path:?}");
        }
        if grants.check(&below).is_ok() {
            assert!(grants.check_folder(&path).is_ok(), "{lists:?} {path:?}");
        }
    }
}

/// Everybody knows globs from somewhere else: ours are those, except that a class is never a `/`.
#[test]
fn a_glob_means_what_it_means_elsewhere() {
    const PIECES: [&str; 18] =
        ["/", "/", "a", "b", "ab", "*", "**", "/**", "**/", "?", "{", ",", "}", "[ab]", "[!a]", "[--9]", "\\", "."];
    const NAMES: [&str; 8] = ["/a", "/b", "/ab", "/ba", "/abab", "/.", "/a.b", "/-*"];
    let mut numbers = Numbers(7);
    let mut covered = 0;
    for _ in 0..8 * ROUNDS {
        let text: String = (0..numbers.below(9)).map(|_| *numbers.one_of(&PIECES)).collect();
        // There an alternative that begins with `**` is read as if the glob began with it.
        if text.contains("{**") || text.contains(",**") {
            continue;
        }
        let Ok(glob) = Glob::parse(&format!("/{text}")) else { continue };
        let elsewhere = GlobBuilder::new(&format!("/{text}")).literal_separator(true).empty_alternates(true).build();
        let elsewhere = elsewhere.unwrap().compile_matcher();
        for _ in 0..8 {
            let path: String = (0..=numbers.below(4)).map(|_| *numbers.one_of(&NAMES)).collect();
            let (here, there) = (glob.is_match(&path), elsewhere.is_match(&path));
            assert!(here == there || (there && text.contains('[')), "/{text} {path} {here} {there}");
            covered += usize::from(here);
            let above = path.match_indices('/').skip(1).any(|(at, _)| glob.is_match(&path[..at]));
            assert_eq!(glob.is_match_or_above(&path), here || above || glob.is_match(""), "/{text} {path}");
        }
    }
    assert!(covered > 1_000, "{covered}: the globs are too wild to find anything");
}

#[test]
fn a_line_is_a_grant_or_an_error_and_never_both() {
    let lines = [corpus("globs"), corpus("programs")].concat();
    for line in Numbers(3).all(&lines) {
        let _ = Glob::parse(&line);
        if let Ok(grant) = RunGrant::parse(&line) {
            let program = grant.program();
            assert_eq!(normalize(program).as_deref(), Ok(program), "{line:?}");
            assert!(
                !line.contains("LD_") || !line.split(' ').any(|word| word.starts_with("LD_") && word.contains('='))
            );
        }
    }
}

#[test]
fn no_argument_is_let_through_that_no_pattern_means() {
    let (mut numbers, lines, arguments) = (Numbers(4), corpus("programs"), corpus("arguments"));
    let grants: Vec<_> = numbers.all(&lines).into_iter().filter(|line| RunGrant::parse(line).is_ok()).collect();
    let arguments = numbers.all(&arguments);
    for _ in 0..4 * ROUNDS {
        let line = numbers.one_of(&grants).clone();
        let grant = RunGrant::parse(&line).unwrap();
        let passed: Vec<_> = (0..numbers.below(4))
            .map(|_| (numbers.below(5) > 0).then(|| numbers.one_of(&arguments).as_str()))
            .collect();
        let call =
            Call { environment: &[], program: grant.program(), arguments: &passed, input: numbers.below(2) == 0 };
        // The line that the remedy of its denial would name covers it, unless there is none.
        let is_name = |part: &str| !part.ends_with("..") || part.ends_with("...");
        let has_line = |text: &str| {
            !text.is_empty() && !text.contains(char::is_control) && (text == ".." || text.split('/').all(is_name))
        };
        if passed.iter().flatten().all(|text| has_line(text)) {
            let shown = call.to_string();
            assert!(RunGrant::parse(&shown).unwrap().covers(&call), "{shown:?} {passed:?}");
        }
        if !grant.covers(&call) {
            continue;
        }
        let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
        assert!(!call.input || words.last() == Some(&"<"), "{line:?}");
        let is_repeated = words.iter().any(|word| word.ends_with("..."));
        let begin = words.iter().position(|word| word.starts_with('/')).unwrap() + 1;
        let patterns: Vec<_> = words[begin..].iter().filter(|word| **word != "<").collect();
        assert!(
            passed.len() == patterns.len() || (is_repeated && passed.len() >= patterns.len()),
            "{line:?} {passed:?}"
        );
        for (index, argument) in passed.iter().enumerate() {
            let pattern = patterns[index.min(patterns.len() - 1)].trim_end_matches("...");
            match argument {
                None => assert_eq!(pattern, "{blob}"),
                Some(text) if pattern.contains('*') => {
                    assert!(!text.is_empty() && !text.contains(char::is_control), "{line:?} {text:?}");
                    assert!(pattern.starts_with('-') || !text.starts_with('-'), "{line:?} {text:?}");
                    assert_eq!(text.matches('/').count(), pattern.matches('/').count(), "{line:?} {text:?}");
                    for (pattern, part) in pattern.split('/').zip(text.split('/')) {
                        let is_option = part.starts_with('-');
                        let leads = ["", ".", ".."].contains(&part) || (is_option && !is_name(part));
                        assert!(!leads || (pattern == part && !pattern.contains('*')), "{line:?} {text:?}");
                    }
                }
                Some(text) => assert_eq!(*text, pattern),
            }
        }
    }
}

#[test]
fn a_manifest_is_refused_or_the_same_when_it_is_written_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/manifests");
    let corpus: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
    let mut numbers = Numbers(5);
    let mut kept = 0;
    for round in 0..corpus.len() + 4 * ROUNDS {
        let mut bytes = corpus[round % corpus.len()].clone();
        if round >= corpus.len() {
            for _ in 0..=numbers.below(3) {
                let other = numbers.one_of(&corpus);
                let (at, from) = (numbers.below(bytes.len() + 1), numbers.below(other.len() + 1));
                match numbers.below(4) {
                    0 => bytes.truncate(at),
                    1 => bytes.extend_from_slice(&other[from..]),
                    2 => bytes.insert(at, numbers.next() as u8),
                    _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << numbers.below(8)),
                }
            }
        }
        if let Ok(manifest) = Manifest::from_json(&bytes) {
            kept += 1;
            let written = serde_json::to_vec(&manifest).unwrap();
            assert_eq!(Manifest::from_json(&written).unwrap(), manifest);
            // What it asks for can be granted.
            let all = |requests: &[Request]| requests.iter().map(|request| request.grant.clone()).collect::<Vec<_>>();
            assert!(Grants::new(&manifest, all(&manifest.read), [""; 0]).is_ok());
            assert!(RunGrants::new(&manifest, all(&manifest.run), [""; 0]).is_ok());
        }
    }
    assert!(kept > 100, "{kept}: the changes are too wild to find anything");
}

/// What is below a folder: each path with its mode and its content, or where it leads.
pub(crate) fn snapshot(folder: &Path) -> BTreeMap<PathBuf, String> {
    use std::os::unix::fs::MetadataExt;
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()) {
            let (path, metadata) = (entry.path(), entry.path().symlink_metadata().unwrap());
            let content = match metadata.file_type() {
                kind if kind.is_dir() => {
                    folders.push(path.clone());
                    "a folder".to_owned()
                }
                kind if kind.is_symlink() => format!("to {}", std::fs::read_link(&path).unwrap().display()),
                kind if kind.is_file() => String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned(),
                _ => "something else".to_owned(),
            };
            found.insert(path, format!("{:o} {content}", metadata.mode()));
        }
    }
    found
}

/// A root with `/in`, which is granted, and `/out`, which is not, and with links of every kind from the one to the other.
pub(crate) fn root_with_links() -> tempfile::TempDir {
    use std::os::unix::fs::symlink;
    let root = tempfile::tempdir().unwrap();
    let path = |path: &str| root.path().join(path);
    for folder in ["in/b", "in/deep", "in/folder", "out/deep", "in2"] {
        std::fs::create_dir_all(path(folder)).unwrap();
    }
    for (file, text) in [("in/a", "a"), ("in/b/file", "b"), ("out/secret", "secret"), ("in2/a", "secret")] {
        std::fs::write(path(file), text).unwrap();
    }
    for (link, target) in [
        ("in/link", "../out"),
        ("in/absolute", "/out"),
        ("in/up", "../../../../../../../out"),
        ("in/magic", "/proc/self/cwd"),
        ("in/loop", "loop"),
        ("in/deep/link", "../../out"),
        ("in/file-link", "../out/secret"),
        ("in/inner", "b"),
    ] {
        symlink(target, path(link)).unwrap();
    }
    std::fs::hard_link(path("out/secret"), path("in/hard")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, path("in/pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    root
}

/// An endpoint over such a root, and what may be written there.
pub(crate) fn endpoint_with_links() -> (tempfile::TempDir, Endpoint, Grants, Limits) {
    let root = root_with_links();
    let endpoint = Endpoint::open(root.path()).unwrap();
    let manifest = Manifest { write: Request::all(&["/in/**"]), ..Manifest::sample() };
    (root, endpoint, Grants::to_write(&manifest, ["/**"], ["/**"]).unwrap(), Limits::default())
}

/// Names and paths that a guest passes.
pub(crate) fn names(seed: u64) -> Vec<String> {
    Numbers(seed).all(&corpus("paths"))
}

/// Texts that a guest passes: paths, and lines that mean no good, some of them long.
pub(crate) fn texts(seed: u64) -> Vec<String> {
    const PIECES: [&str; 12] =
        ["a", "ä", " ", "\n", "\r", "\x1b[31m", "\u{202e}", "\u{9b}", "\0", "/", "disk-space", "\u{1f980}"];
    let mut numbers = Numbers(seed);
    let lines = (0..ROUNDS).map(|_| {
        let line: String = (0..numbers.below(12)).map(|_| *numbers.one_of(&PIECES)).collect();
        line.repeat(if numbers.below(50) == 0 { 5_000 } else { 1 })
    });
    let lines: Vec<_> = lines.collect();
    names(seed).into_iter().zip(lines).flat_map(<[String; 2]>::from).collect()
}
