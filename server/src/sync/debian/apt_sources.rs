//! The suites of a Debian root, out of its own apt configuration.

use super::deb822::{self, is_yes};
use super::keyring::Keyring;
use super::root::{Root, System};
use crate::config::SuiteConfig;
use farrier_protocol::Digest;
use reqwest::Url;
use std::io;
use std::path::{Path, PathBuf};

const ARMOR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const TRUSTED_FOLDER: &str = "/etc/apt/trusted.gpg.d";
const SOURCES_FOLDER: &str = "/etc/apt/sources.list.d";
/// What is trusted where the root's apt trusts nothing on its own.
const FALLBACK_KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// What a root's apt is configured to use.
#[derive(Debug, Default)]
pub struct AptSuites {
    /// The suites. A keyring of theirs that is named in `keyrings` has no file yet and a relative path.
    pub suites: Vec<SuiteConfig>,
    /// Keyrings that stand in the configuration itself.
    pub keyrings: Vec<EmbeddedKeyring>,
    /// What was left out, and why.
    pub warnings: Vec<String>,
}

/// A keyring without a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedKeyring {
    /// The name of the file it is to have.
    pub file_name: String,
    /// What is to be in it.
    pub armored: String,
}

/// One source entry, in either format.
#[derive(Debug, Default)]
struct Entry {
    /// File and line, for warnings.
    place: String,
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    options: Options,
}

#[derive(Debug, Default)]
struct Options {
    architectures: Option<Vec<String>>,
    more_architectures: Vec<String>,
    fewer_architectures: Vec<String>,
    signed_by: Option<String>,
    trusted: bool,
    check_valid_until: Option<bool>,
}

/// Reads what the apt of the Debian root in `root` is configured to use.
///
/// # Errors
/// When it is no Debian root, or a file of it cannot be read.
pub fn suites_of_apt(root: &Path) -> anyhow::Result<AptSuites> {
    let root = Root::open(root)?;
    let system = root.system()?;
    let mut reader = Reader { default_keyrings: default_keyrings(&root), found: AptSuites::default(), root, system };
    if let Some(text) = reader.root.read("/etc/apt/sources.list")? {
        reader.read_lines("/etc/apt/sources.list", &text);
    }
    for name in reader.root.list(SOURCES_FOLDER).into_iter().filter(|name| is_read_by_apt(name)) {
        let file = format!("{SOURCES_FOLDER}/{name}");
        let text = reader.root.read(&file)?.unwrap_or_default();
        match name.rsplit_once('.') {
            Some((_, "list")) => reader.read_lines(&file, &text),
            Some((_, "sources")) => reader.read_stanzas(&file, &text),
            _ => {}
        }
    }
    Ok(reader.found)
}

impl AptSuites {
    /// Writes the embedded keyrings into a folder and names them there.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_keyrings(&mut self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for keyring in &self.keyrings {
            std::fs::write(folder.join(&keyring.file_name), &keyring.armored)?;
        }
        let is_embedded = |path: &Path| self.keyrings.iter().any(|keyring| path == Path::new(&keyring.file_name));
        for path in self.suites.iter_mut().flat_map(|suite| &mut suite.keyrings) {
            if is_embedded(path) {
                *path = folder.join(&*path);
            }
        }
        Ok(())
    }
}

/// What apt trusts where an entry names no keys.
fn default_keyrings(root: &Root) -> Vec<PathBuf> {
    let in_folder =
        root.list(TRUSTED_FOLDER).into_iter().filter(|name| name.ends_with(".gpg") || name.ends_with(".asc"));
    let in_folder: Vec<String> = in_folder.map(|name| format!("{TRUSTED_FOLDER}/{name}")).collect();
    let fallback = FALLBACK_KEYRINGS.iter().filter(|_| in_folder.is_empty()).map(|path| (*path).to_owned());
    let all = std::iter::once("/etc/apt/trusted.gpg".to_owned()).chain(fallback).chain(in_folder.iter().cloned());
    let is_keyring = |file: &PathBuf| file.metadata().is_ok_and(|data| data.is_file() && data.len() > 0);
    let mut files: Vec<PathBuf> = all.map(|path| root.resolve(&path)).filter(is_keyring).collect();
    files.dedup();
    files
}

fn is_read_by_apt(name: &str) -> bool {
    !name.starts_with('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

struct Reader {
    root: Root,
    system: System,
    default_keyrings: Vec<PathBuf>,
    found: AptSuites,
}

impl Reader {
    fn warn(&mut self, place: &str, problem: &str) {
        self.found.warnings.push(format!("{place}: {problem}"));
    }

    fn read_lines(&mut self, file: &str, text: &str) {
        for (line, number) in text.lines().zip(1..) {
            let line = line.split('#').next().unwrap_or_default().trim();
            let place = format!("{file}, line {number}");
            match parse_line(line) {
                Ok(Some(entry)) => self.add(Entry { place, ..entry }),
                Ok(None) => {}
                Err(problem) => self.warn(&place, problem),
            }
        }
    }

    fn read_stanzas(&mut self, file: &str, text: &str) {
        let stanzas = match deb822::parse(text) {
            Ok(stanzas) => stanzas,
            Err(error) => return self.warn(file, &format!("{error}; the file is skipped")),
        };
        for stanza in stanzas {
            if stanza.says_yes("Enabled") == Some(false) || !stanza.words("Types").any(|kind| kind == "deb") {
                continue;
            }
            let list = |field| stanza.words(field).map(str::to_owned).collect::<Vec<_>>();
            self.add(Entry {
                place: format!("{file}, line {}", stanza.line),
                uris: list("URIs"),
                suites: list("Suites"),
                components: list("Components"),
                options: Options {
                    architectures: stanza.get("Architectures").map(|_| list("Architectures")),
                    more_architectures: list("Architectures-Add"),
                    fewer_architectures: list("Architectures-Remove"),
                    signed_by: stanza.get("Signed-By").map(str::to_owned),
                    trusted: stanza.says_yes("Trusted").unwrap_or(false),
                    check_valid_until: stanza.says_yes("Check-Valid-Until"),
                },
            });
        }
    }

    fn add(&mut self, entry: Entry) {
        let keyrings = match self.keyrings(&entry.options) {
            Ok(keyrings) => keyrings,
            Err(problem) => return self.warn(&entry.place, &problem),
        };
        for uri in &entry.uris {
            let mirror = match self.mirror(uri) {
                Ok(mirror) => mirror,
                Err(problem) => {
                    self.warn(&entry.place, &problem);
                    continue;
                }
            };
            for suite in &entry.suites {
                let suite = suite.replace("$(ARCH)", &self.system.architectures[0]);
                if suite.ends_with('/') != entry.components.is_empty() {
                    self.warn(&entry.place, "a suite needs components, a flat repository has none; skipped");
                    continue;
                }
                self.add_suite(SuiteConfig {
                    name: String::new(),
                    distribution: self.system.distribution.clone(),
                    release: self.system.release.clone(),
                    mirror: mirror.clone(),
                    suite,
                    components: entry.components.clone(),
                    architectures: entry.options.architectures(&self.system.architectures),
                    keyrings: keyrings.clone(),
                    classification: None,
                    check_valid_until: entry.options.check_valid_until.unwrap_or(true),
                });
            }
        }
    }

    /// Adds a suite, or its components to the same suite of an entry before.
    fn add_suite(&mut self, suite: SuiteConfig) {
        let is_same = |known: &&mut SuiteConfig| {
            SuiteConfig { name: String::new(), components: suite.components.clone(), ..SuiteConfig::clone(known) }
                == suite
        };
        if let Some(known) = self.found.suites.iter_mut().find(is_same) {
            let new = suite.components.into_iter().filter(|component| !known.components.contains(component));
            let new: Vec<String> = new.collect();
            known.components.extend(new);
        } else {
            let name = unique_name(&suite, &self.found.suites);
            self.found.suites.push(SuiteConfig { name, ..suite });
        }
    }

    /// The keyrings of an entry: files in the root, keys that stand in the entry, or what apt trusts by default.
    fn keyrings(&mut self, options: &Options) -> Result<Vec<PathBuf>, String> {
        let Some(signed_by) = &options.signed_by else {
            return match self.default_keyrings.as_slice() {
                _ if options.trusted => Err("trusted=yes without a key cannot be verified; skipped".to_owned()),
                [] => Err("no keyring verifies it: the root trusts none and Signed-By is missing; skipped".to_owned()),
                keyrings => Ok(keyrings.to_owned()),
            };
        };
        if signed_by.contains(ARMOR) {
            let unescaped = |line: &str| if line.trim() == "." { String::new() } else { line.trim().to_owned() };
            let armored = signed_by.trim().lines().map(unescaped).collect::<Vec<_>>().join("\n") + "\n";
            return Ok(vec![self.embed(armored)]);
        }
        let keys = signed_by.split([',', ' ', '\t', '\n']).filter(|key| !key.is_empty());
        keys.map(|key| if key.starts_with('/') { Ok(self.root.resolve(key)) } else { self.key_of_default(key) })
            .collect()
    }

    /// A key that an entry names by its fingerprint is one of those that apt trusts by default.
    fn key_of_default(&mut self, key: &str) -> Result<PathBuf, String> {
        let keyring = Keyring::load(&self.default_keyrings).map_err(|error| format!("{error:#}; skipped"))?;
        let armored = keyring.armored(key.trim_end_matches('!'));
        let armored = armored.ok_or_else(|| format!("key {key} is in no keyring that apt trusts; skipped"))?;
        Ok(self.embed(armored))
    }

    fn embed(&mut self, armored: String) -> PathBuf {
        let digest = Digest::of(armored.as_bytes()).to_string();
        let keyring = EmbeddedKeyring { file_name: format!("apt-{}.asc", &digest[..16]), armored };
        let path = PathBuf::from(&keyring.file_name);
        if !self.found.keyrings.contains(&keyring) {
            self.found.keyrings.push(keyring);
        }
        path
    }

    /// An archive in a folder is one of the root, unless only the machine has it. Of a list of mirrors it is the first.
    fn mirror(&self, uri: &str) -> Result<String, String> {
        let uri = uri.trim_end_matches('/');
        match uri.split_once(':') {
            Some(("http" | "https", _)) => Ok(uri.to_owned()),
            Some(("mirror+file", path)) => {
                let list = self.root.read(path).ok().flatten().unwrap_or_default();
                let mirrors = list.lines().filter_map(|line| line.split('#').next()?.split_whitespace().next());
                let web = mirrors.filter(|mirror| mirror.starts_with("http:") || mirror.starts_with("https:"));
                let first = web.map(|mirror| mirror.trim_end_matches('/').to_owned()).next();
                first.ok_or_else(|| format!("{uri} lists no http: or https: mirror; skipped"))
            }
            Some(("file" | "copy", path)) => {
                let path = path.trim_start_matches("//");
                let inside = self.root.resolve(path);
                let path = if inside.exists() { inside } else { PathBuf::from(path) };
                let url = Url::from_file_path(path).map_err(|()| format!("{uri} is no absolute path; skipped"))?;
                Ok(url.to_string())
            }
            _ => Err(format!("{uri} is neither http:, https: nor file:; skipped")),
        }
    }
}

impl Options {
    fn architectures(&self, of_system: &[String]) -> Vec<String> {
        let mut names = self.architectures.clone().unwrap_or_else(|| of_system.to_owned());
        names.extend(self.more_architectures.iter().cloned());
        names.retain(|name| name != "all" && !self.fewer_architectures.contains(name));
        // The root's own one first, each once.
        let place = |name: &String| of_system.iter().position(|known| known == name).unwrap_or(usize::MAX);
        names.sort_by_key(place);
        names.dedup();
        names
    }

    fn set(&mut self, option: &str) -> Result<(), &'static str> {
        let (name, value) = option.split_once('=').ok_or("an option without a value; skipped")?;
        let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
        match name {
            "arch" => self.architectures = Some(list()),
            "arch+" => self.more_architectures = list(),
            "arch-" => self.fewer_architectures = list(),
            "signed-by" => self.signed_by = Some(value.to_owned()),
            "trusted" => self.trusted = is_yes(value).unwrap_or(false),
            "check-valid-until" => self.check_valid_until = is_yes(value),
            _ => {}
        }
        Ok(())
    }
}

/// `deb [option=value ...] uri suite component...`; nothing for empty lines and other types.
fn parse_line(line: &str) -> Result<Option<Entry>, &'static str> {
    let Some(rest) = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t'])) else { return Ok(None) };
    let rest = rest.trim_start();
    let mut options = Options::default();
    let rest = match rest.strip_prefix('[') {
        Some(rest) => {
            let (list, rest) = rest.split_once(']').ok_or("its options have no end; skipped")?;
            list.split_whitespace().try_for_each(|option| options.set(option))?;
            rest
        }
        None => rest,
    };
    if rest.trim_start().starts_with("cdrom:") {
        return Err("cdrom: is neither http:, https: nor file:; skipped");
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    let (Some(uri), Some(suite)) = (words.next(), words.next()) else { return Err("it names no suite; skipped") };
    Ok(Some(Entry { uris: vec![uri], suites: vec![suite], components: words.collect(), options, ..Entry::default() }))
}

/// The suite's own name; with the mirror's host where another suite has it already.
fn unique_name(suite: &SuiteConfig, others: &[SuiteConfig]) -> String {
    let url = suite.mirror.parse::<Url>().ok();
    let host =
        url.as_ref().and_then(|url| url.host_str().or_else(|| url.path_segments()?.next_back())).unwrap_or("local");
    let own = suite.suite.trim_start_matches("./").trim_matches('/');
    let own = readable(if own.is_empty() { host } else { own });
    let with_host = format!("{own}-{}", readable(host));
    let numbered = (2..).map(|number| format!("{with_host}-{number}"));
    let is_free = |name: &String| others.iter().all(|other| other.name != *name);
    let mut names = [own, with_host.clone()].into_iter().chain(numbered);
    names.find(is_free).unwrap_or(with_host)
}

fn readable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.+~".contains(c) { c } else { '_' }).take(48).collect()
}
