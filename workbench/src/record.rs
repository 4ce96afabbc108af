//! `farrier plugin record` and `replay`: what a plugin saw of a real endpoint, seen again anywhere.
//!
//! A recording holds every host call with its answer, and what the plugin said. To replay it, a root is made of the
//! answers: files with the bytes that were read, folders with the names that were listed. A plugin that was changed
//! meanwhile may ask for something that was not recorded; that is named.

use crate::calls::{Answer, Bytes, Call, Kept, MAX_KEPT_BYTES, MAX_KEPT_CALLS, Status};
use crate::encode::SiteRules;
use crate::project::Built;
use crate::run::{Answers, Report, applicability, ask, report};
use anyhow::{Context as _, Result, bail, ensure};
use farrier_protocol::Digest;
use farrier_runtime::Endpoint;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// The version of the format.
const FORMAT: u32 = 1;
/// Bytes of a recording, at most.
const MAX_RECORDING_BYTES: u64 = 256 << 20;
/// Bytes of a file that is kept as a whole because its digest was asked for, at most.
const MAX_WHOLE_BYTES: u64 = 4 << 20;
/// Bytes that a replayed file may have.
const MAX_REPLAYED_BYTES: u64 = 1 << 30;
/// What links lead to in a replayed root.
const LINKED: &str = ".farrier-replay";
/// The kind of what is a link.
const LINK: &str = "link";

/// What a plugin saw and said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The version of the format.
    pub format: u32,
    /// The plugin: name, version and SHA-256 of the component.
    pub plugin: Recorded,
    /// What it said.
    pub answers: Answers,
    /// What it asked, in the order it did.
    pub calls: Vec<Call>,
    /// Whole files, because the plugin asked for their digest.
    #[serde(default)]
    pub whole: BTreeMap<String, Bytes>,
}

/// The plugin that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component.
    pub sha256: String,
}

/// Runs a plugin on a real root and keeps everything.
///
/// # Errors
/// As [`run`](crate::run::run), and when the plugin looked at more than is kept: it could not be replayed.
pub fn record(component: &Built, root: &Path, rules: &[Value], site: &dyn SiteRules) -> Result<(Recording, Report)> {
    let plugin = applicability(component)?;
    let (answers, kept) = ask(&plugin, Endpoint::open(root)?, rules, site)?;
    check_whole(&kept)?;
    let manifest = plugin.manifest();
    let recorded = Recorded {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256: Digest::of(&component.bytes).to_string(),
    };
    let whole = whole_files(root, &kept.calls);
    let shown = report(manifest, answers.clone(), &kept);
    Ok((Recording { format: FORMAT, plugin: recorded, answers, calls: kept.calls, whole }, shown))
}

/// Lines of the log that were left out do not matter: no replay needs them.
fn check_whole(kept: &Kept) -> Result<()> {
    ensure!(
        kept.more.calls == 0,
        "the plugin looked at more than a recording keeps ({MAX_KEPT_CALLS} calls, {} MiB): record fewer rules",
        MAX_KEPT_BYTES >> 20
    );
    Ok(())
}

/// The files whose digest was asked for, as many as fit: no other content has it.
fn whole_files(root: &Path, calls: &[Call]) -> BTreeMap<String, Bytes> {
    let mut whole = BTreeMap::new();
    let mut bytes_left = MAX_KEPT_BYTES;
    for call in calls {
        let Call::Digest { path, answer: Answer::Ok(digest) } = call else { continue };
        let Some(bytes) = read_below(root, path).filter(|_| !whole.contains_key(path)) else { continue };
        if bytes.len() <= bytes_left && Digest::of(&bytes).to_string() == *digest {
            bytes_left -= bytes.len();
            whole.insert(path.clone(), Bytes(bytes));
        }
    }
    whole
}

/// A file below the root that is not large, wherever its links lead, as long as that is below the root.
fn read_below(root: &Path, path: &str) -> Option<Vec<u8>> {
    let root = root.canonicalize().ok()?;
    let file = root.join(path.trim_start_matches('/')).canonicalize().ok().filter(|file| file.starts_with(&root))?;
    let metadata = fs::metadata(&file).ok()?;
    if !metadata.is_file() || metadata.len() > MAX_WHOLE_BYTES { None } else { fs::read(file).ok() }
}

/// What a replay showed.
#[derive(Debug, Clone, Serialize)]
pub struct Replay {
    /// What the plugin says now.
    #[serde(flatten)]
    pub report: Report,
    /// What it said when it was recorded and does not say now: what, then and now.
    pub differences: Vec<Difference>,
    /// What it asks now and did not ask then, or what is answered differently: the replay cannot know better.
    pub unknown: Vec<String>,
}

/// A verdict that is another one now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of what: `scopes`, or a rule.
    pub what: String,
    /// When it was recorded.
    pub recorded: String,
    /// Now.
    pub now: String,
}

impl Replay {
    /// Whether the plugin says what it said.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.report)?;
        for line in &self.unknown {
            write!(f, "\nnot recorded  {line}")?;
        }
        for Difference { what, recorded, now } in &self.differences {
            write!(f, "\nDIFFERENT  {what}\n  recorded  {recorded}\n  now       {now}")?;
        }
        if self.is_same() { write!(f, "\nThe same as recorded.") } else { Ok(()) }
    }
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self> {
        ensure!(path.exists(), "there is no recording {}: make one with `farrier plugin record`", path.display());
        let read = || {
            let length = fs::metadata(path)?.len();
            ensure!(length <= MAX_RECORDING_BYTES, "it has {length} bytes, more than {MAX_RECORDING_BYTES}");
            let recording: Self = serde_json::from_slice(&fs::read(path)?)?;
            ensure!(recording.format == FORMAT, "its format is {}, and this farrier knows {FORMAT}", recording.format);
            Ok(recording)
        };
        read().with_context(|| format!("{} is no recording of `farrier plugin record`", path.display()))
    }

    /// Writes it. It holds what was read of the endpoint, so only its owner reads it. Another recording is replaced.
    ///
    /// # Errors
    /// When it cannot be written, or another kind of file has this name.
    pub fn write(&self, path: &Path) -> Result<()> {
        if path.exists() {
            Self::read(path).context("it is not overwritten: choose another name")?;
        }
        let text = serde_json::to_string_pretty(self)?;
        let write = || {
            fs::write(path, text + "\n")?;
            fs::set_permissions(path, Permissions::from_mode(0o600))
        };
        write().with_context(|| format!("writing {}", path.display()))
    }

    /// Runs a plugin on what was recorded.
    ///
    /// # Errors
    /// When the recording cannot be played, or the plugin not be loaded; not when it says something else now.
    pub fn replay(&self, component: &Built, site: &dyn SiteRules) -> Result<Replay> {
        let plugin = applicability(component)?;
        let root = ReplayedRoot::new(self)?;
        let mut endpoint = Endpoint::open(root.folder.path())?.with_queries(self.queries());
        if let Some(facts) =
            self.calls.iter().find_map(|call| if let Call::Os { facts } = call { Some(facts) } else { None })
        {
            endpoint = endpoint.with_os(facts.clone());
        }
        let rules: Vec<Value> = self.answers.rules.iter().map(|answer| answer.rule.clone()).collect();
        let (answers, kept) = ask(&plugin, endpoint, &rules, site)?;
        let differences = differences(&self.answers, &answers);
        let report = report(plugin.manifest(), answers, &kept);
        Ok(Replay { report, differences, unknown: self.unknown(&kept.calls) })
    }

    fn queries(&self) -> Vec<(String, String, String)> {
        let query = |call: &Call| match call {
            Call::Query { name, argument, answer: Answer::Ok(answer) } => {
                Some((name.clone(), argument.clone(), answer.clone()))
            }
            _ => None,
        };
        self.calls.iter().filter_map(query).collect()
    }

    /// What was not asked when it was recorded, and what has another answer now.
    fn unknown(&self, now: &[Call]) -> Vec<String> {
        let mut known: BTreeMap<String, Vec<&Call>> = BTreeMap::new();
        for call in &self.calls {
            if let Some(question) = call.question() {
                known.entry(question).or_default().push(call);
            }
        }
        let mut unknown = Vec::new();
        // Reads follow from what is opened, and where they begin and end is for the plugin to choose.
        for call in now.iter().filter(|call| !matches!(call, Call::Read { .. })) {
            let Some(question) = call.question() else { continue };
            let line = match known.get(&question) {
                None => format!("{question}: {}", call.answer()),
                Some(then) if then.contains(&call) || is_no_difference(call, then) => continue,
                Some(then) => {
                    let then = then.first().map(|call| call.answer()).unwrap_or_default();
                    format!("{question}: {}; when it was recorded: {then}", call.answer())
                }
            };
            if !unknown.contains(&line) {
                unknown.push(line);
            }
        }
        unknown
    }
}

/// Whether two answers differ only in what nobody goes by: the words of an error, or when a link was made.
fn is_no_difference(call: &Call, then: &[&Call]) -> bool {
    let case = |error: &str| error.split(':').next().unwrap_or_default().to_owned();
    let error_of = |call: &Call| match call {
        Call::Open { answer: Answer::Error(error), .. }
        | Call::List { answer: Answer::Error(error), .. }
        | Call::Stat { answer: Answer::Error(error), .. }
        | Call::Digest { answer: Answer::Error(error), .. }
        | Call::Query { answer: Answer::Error(error), .. } => Some(case(error)),
        _ => None,
    };
    let is_link = |call: &Call| matches!(call, Call::Stat { answer: Answer::Ok(status), .. } if status.kind == LINK);
    let error = error_of(call);
    (error.is_some() && then.iter().any(|then| error_of(then) == error))
        || (is_link(call) && then.iter().any(|then| is_link(then)))
}

fn differences(then: &Answers, now: &Answers) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, recorded: String, now: String| {
        if recorded != now {
            differences.push(Difference { what: what.to_owned(), recorded, now });
        }
    };
    let scopes = |answers: &Answers| match &answers.scopes_error {
        None => answers.scopes.join(", "),
        Some(error) => format!("error: {error}"),
    };
    compare("scopes", scopes(then), scopes(now));
    let open = |answers: &Answers| answers.open_error.clone().unwrap_or_else(|| "no error".to_owned());
    compare("open", open(then), open(now));
    for (then, now) in then.rules.iter().zip(&now.rules) {
        let said = |answer: &crate::run::RuleAnswer| {
            let explain_error = answer.explain_error.iter().map(|error| format!("explain failed: {error}"));
            let reasons = answer.findings.iter().cloned().chain(answer.error.clone()).chain(explain_error);
            [vec![answer.state.clone()], reasons.collect()].concat().join("\n            ")
        };
        compare(&format!("rule {}", then.rule), said(then), said(now));
    }
    differences
}

/// A root made of answers.
struct ReplayedRoot {
    folder: TempDir,
    /// The paths that are links. What is below one is where it leads to.
    links: BTreeSet<String>,
}

/// What is known of a path.
#[derive(Default)]
struct Known<'a> {
    size: Option<u64>,
    pieces: Vec<(u64, &'a [u8])>,
    whole: Option<&'a [u8]>,
    names: Option<&'a [String]>,
    status: Option<&'a Status>,
    /// Whether something below it is known.
    is_above: bool,
}

impl Known<'_> {
    fn kind(&self) -> &str {
        self.status.map_or("", |status| status.kind.as_str())
    }
}

impl ReplayedRoot {
    fn new(recording: &Recording) -> Result<Self> {
        let known = known(recording)?;
        let links = known.iter().filter(|(_, known)| known.kind() == LINK).map(|(path, _)| path.clone()).collect();
        let root = Self { folder: tempfile::tempdir().context("making a temporary folder")?, links };
        // Files and folders first, then what is only named in a listing, then modes: a folder may be closed by its own.
        for (path, known) in &known {
            root.put(path, known).with_context(|| format!("replaying `{path}`"))?;
        }
        for (path, known) in &known {
            for name in known.names.unwrap_or_default() {
                let place = root.at(&plain(&format!("{path}/{name}"))?);
                if fs::symlink_metadata(&place).is_err() {
                    File::create(&place).with_context(|| format!("replaying `{path}/{name}`"))?;
                }
            }
        }
        for (path, known) in known.iter().rev() {
            if let Some(status) = known.status.filter(|status| status.kind != LINK) {
                root.set_status(path, status).with_context(|| format!("replaying `{path}`"))?;
            }
        }
        Ok(root)
    }

    /// Where a plain path of the recording is: below the folder, behind the links on the way, and itself if it is one.
    fn at(&self, path: &str) -> PathBuf {
        match path.rsplit_once('/') {
            None => self.folder.path().to_owned(),
            Some((above, name)) if self.links.contains(above) => self.linked(above).0.join(name),
            Some((above, name)) => self.at(above).join(name),
        }
    }

    fn put(&self, path: &str, known: &Known<'_>) -> Result<()> {
        let place = self.at(path);
        if let Some(above) = place.parent() {
            fs::create_dir_all(above)?;
        }
        let is_folder = known.kind() == "folder" || known.names.is_some() || known.is_above;
        let is_file = known.kind() == "file" || known.size.is_some() || known.whole.is_some();
        let place = if known.kind() == LINK {
            let (linked, target) = self.linked(path);
            fs::create_dir_all(self.folder.path().join(LINKED))?;
            symlink(target, place)?;
            linked
        } else {
            place
        };
        match (is_folder, is_file) {
            (true, _) => fs::create_dir_all(place)?,
            (false, true) => write_pieces(&place, known)?,
            // A device, a pipe, or nothing.
            (false, false) => {}
        }
        Ok(())
    }

    /// What a link leads to: where it is, and as the link says it.
    fn linked(&self, path: &str) -> (PathBuf, String) {
        let name = Digest::of(path.as_bytes()).to_string();
        (self.folder.path().join(LINKED).join(&name), format!("/{LINKED}/{name}"))
    }

    fn set_status(&self, path: &str, status: &Status) -> Result<()> {
        let place = self.at(path);
        let Ok(metadata) = fs::symlink_metadata(&place) else { return Ok(()) };
        if metadata.is_file() {
            let file = File::options().write(true).open(&place)?;
            if metadata.len() != status.size && status.size <= MAX_REPLAYED_BYTES {
                file.set_len(status.size)?;
            }
        }
        if !metadata.is_symlink() {
            let seconds = u64::try_from(status.modified).unwrap_or(0);
            File::open(&place)?.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))?;
            fs::set_permissions(&place, Permissions::from_mode(status.mode & 0o7777))?;
        }
        Ok(())
    }
}

/// A path of the recording without what does not matter: `/etc/os-release`; of the root, nothing. Below the root,
/// whatever it says.
fn plain(path: &str) -> Result<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    ensure!(!parts.contains(&"..") && !path.contains('\0'), "`{}` leads out of the root", path.escape_default());
    Ok(parts.iter().map(|part| format!("/{part}")).collect())
}

fn known(recording: &Recording) -> Result<BTreeMap<String, Known<'_>>> {
    let mut all: BTreeMap<String, Known<'_>> = BTreeMap::new();
    for call in &recording.calls {
        match call {
            Call::Open { path, answer: Answer::Ok(size) } => all.entry(plain(path)?).or_default().size = Some(*size),
            Call::Read { path, offset, answer: Answer::Ok(Bytes(bytes)) } => {
                all.entry(plain(path)?).or_default().pieces.push((*offset, bytes));
            }
            Call::List { path, answer: Answer::Ok(names) } => all.entry(plain(path)?).or_default().names = Some(names),
            Call::Stat { path, answer: Answer::Ok(status) } => {
                all.entry(plain(path)?).or_default().status = Some(status);
            }
            _ => {}
        }
    }
    for (path, Bytes(bytes)) in &recording.whole {
        all.entry(plain(path)?).or_default().whole = Some(bytes);
    }
    for path in Vec::from_iter(all.keys().cloned()) {
        for (at, _) in path.match_indices('/') {
            if let Some(above) = all.get_mut(&path[..at]) {
                above.is_above = true;
            }
        }
    }
    Ok(all)
}

fn write_pieces(place: &Path, known: &Known<'_>) -> Result<()> {
    let file = File::create(place)?;
    if let Some(whole) = known.whole {
        file.write_all_at(whole, 0)?;
    }
    for (offset, bytes) in &known.pieces {
        ensure!(*offset <= MAX_REPLAYED_BYTES, "it was read from byte {offset} on, which is too far to be replayed");
        file.write_all_at(bytes, *offset)?;
    }
    match known.size {
        Some(size) if size > MAX_REPLAYED_BYTES => bail!("it has {size} bytes, which is too much to be replayed"),
        Some(size) => Ok(file.set_len(size)?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::More;

    fn recording(calls: Vec<Call>) -> Recording {
        let plugin = Recorded { name: "test".into(), version: "1.0.0".into(), sha256: String::new() };
        let answers = Answers { scopes: vec![], scopes_error: None, open_error: None, rules: vec![] };
        Recording { format: FORMAT, plugin, answers, calls, whole: BTreeMap::new() }
    }

    fn status(kind: &str, size: u64, mode: u32) -> Answer<Status> {
        Answer::Ok(Status { kind: kind.to_owned(), size, mode, modified: 1_000_000_000 })
    }

    #[test]
    fn a_root_is_made_of_the_answers() {
        let path = |path: &str| path.to_owned();
        let bytes = |text: &str| Answer::Ok(Bytes(text.as_bytes().to_vec()));
        let root = ReplayedRoot::new(&recording(vec![
            Call::List { path: path("/opt"), answer: Answer::Ok(vec![path("a"), path("b")]) },
            Call::Open { path: path("/opt/a/VERSION"), answer: Answer::Ok(10) },
            Call::Read { path: path("/opt/a/VERSION"), offset: 2, answer: bytes("xy") },
            Call::Stat { path: path("/etc/os-release"), answer: status("link", 21, 0o777) },
            Call::Open { path: path("/etc/os-release"), answer: Answer::Ok(3) },
            Call::Read { path: path("/etc/os-release"), offset: 0, answer: bytes("ID=") },
            Call::Stat { path: path("/sized"), answer: status("file", 7, 0o640) },
            Call::Open { path: path("/gone"), answer: Answer::Error("not-found: /gone".to_owned()) },
        ]))
        .unwrap();
        let at = |path: &str| root.at(path);
        assert_eq!(fs::read(at("/opt/a/VERSION")).unwrap(), b"\0\0xy\0\0\0\0\0\0");
        assert!(at("/opt/b").is_file() && !at("/gone").exists());
        assert!(fs::symlink_metadata(at("/etc/os-release")).unwrap().is_symlink());
        let metadata = fs::metadata(at("/sized")).unwrap();
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (7, 0o640));
        let seconds = metadata.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds, 1_000_000_000);
    }

    /// As where `/bin` is a link to `usr/bin`.
    #[test]
    fn what_is_below_a_link_is_where_it_leads_to() {
        let path = |path: &str| path.to_owned();
        let root = ReplayedRoot::new(&recording(vec![
            Call::Stat { path: path("/bin"), answer: status(LINK, 0, 0o777) },
            Call::List { path: path("/bin/"), answer: Answer::Ok(vec![path("sh"), path("ls")]) },
            Call::Open { path: path("/bin/sh"), answer: Answer::Ok(2) },
            Call::Read { path: path("/bin/sh"), offset: 0, answer: Answer::Ok(Bytes(b"#!".to_vec())) },
            Call::Stat { path: path("/lib"), answer: status(LINK, 0, 0o777) },
            Call::Stat { path: path("/lib/modules"), answer: status(LINK, 0, 0o777) },
            Call::Stat { path: path("/lib/modules/6.1/modules.dep"), answer: status("file", 5, 0o600) },
            Call::Stat { path: path("/dangling"), answer: status(LINK, 0, 0o777) },
        ]))
        .unwrap();
        // As an endpoint follows them: from its own root.
        let follow = |path: &str| {
            let target = fs::read_link(root.at(path)).unwrap();
            root.folder.path().join(target.strip_prefix("/").unwrap())
        };
        assert_eq!(fs::read(follow("/bin").join("sh")).unwrap(), b"#!");
        assert!(follow("/bin").join("ls").is_file());
        assert_eq!(follow("/lib/modules"), root.at("/lib/modules/x").parent().unwrap());
        let metadata = fs::metadata(root.at("/lib/modules/6.1/modules.dep")).unwrap();
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (5, 0o600));
        assert!(!follow("/dangling").exists());
    }

    #[test]
    fn a_recording_leads_nowhere() {
        for path in ["/../x", "/a/../../x", ".."] {
            let calls = vec![Call::Open { path: path.to_owned(), answer: Answer::Ok(1) }];
            assert!(ReplayedRoot::new(&recording(calls)).is_err(), "{path}");
        }
        let far = vec![
            Call::Open { path: "/a".into(), answer: Answer::Ok(u64::MAX) },
            Call::Read { path: "/a".into(), offset: u64::MAX, answer: Answer::Ok(Bytes(vec![1])) },
        ];
        assert!(ReplayedRoot::new(&recording(far)).is_err());
    }

    #[test]
    fn a_recording_is_its_owners_and_of_this_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let written = recording(vec![Call::Os { facts: vec![("id".into(), "debian".into())] }]);
        written.write(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Recording::read(&path).unwrap(), written);
        Recording { format: 2, ..written }.write(&path).unwrap();
        let error = format!("{:#}", Recording::read(&path).unwrap_err());
        assert!(error.contains("is no recording") && error.contains("its format is 2"), "{error}");
    }

    #[test]
    fn what_was_cut_is_no_recording() {
        let kept = |calls, lines| Kept { more: More { calls, lines }, ..Kept::default() };
        check_whole(&kept(0, 7)).unwrap();
        let error = check_whole(&kept(1, 0)).unwrap_err().to_string();
        assert!(error.contains("the plugin looked at more than a recording keeps (10000 calls, 64 MiB)"), "{error}");
    }

    #[test]
    fn what_was_not_recorded_is_named() {
        let open = |path: &str, answer| Call::Open { path: path.to_owned(), answer };
        let error = |text: &str| Answer::Error(text.to_owned());
        let then = recording(vec![open("/a", Answer::Ok(1)), open("/gone", error("not-found: /gone: one"))]);
        let same = [open("/a", Answer::Ok(1)), open("/gone", error("not-found: /gone: two"))];
        assert_eq!(then.unknown(&same), [""; 0]);
        let other = [open("/b", error("not-found: /b")), open("/a", Answer::Ok(2))];
        assert_eq!(
            then.unknown(&other),
            ["open /b: error: not-found: /b", "open /a: 2 bytes; when it was recorded: 1 bytes"]
        );
    }
}
