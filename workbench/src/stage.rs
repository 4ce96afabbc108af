//! What a case plays on: a root in a temporary folder, and programs that answer as the table says.

use crate::table::{Case, FileKind, FileValue, ProgramAnswer};
use anyhow::{Context as _, Result, bail};
use farrier_runtime::{Endpoint, HostCall, Observer, ProgramCall, ProgramExit, Programs};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

/// Lines of a plugin that are kept to be shown, at most.
const MAX_LINES: usize = 64;

/// A root in a temporary folder.
pub(crate) struct FakeRoot {
    folder: TempDir,
}

impl FakeRoot {
    /// A root with these files.
    pub(crate) fn new(files: &BTreeMap<String, FileValue>) -> Result<Self> {
        let root = Self { folder: tempfile::tempdir().context("making a temporary folder")? };
        // Links last: a file behind one is written through it only if the table means it so, by the path it leads to.
        let is_link = |value: &FileValue| matches!(value.kind, FileKind::Link(_));
        for (path, value) in files.iter().filter(|(_, value)| !is_link(value)) {
            root.put(path, value).with_context(|| format!("making `{path}`"))?;
        }
        for (path, value) in files.iter().filter(|(_, value)| is_link(value)) {
            root.put(path, value).with_context(|| format!("making `{path}`"))?;
        }
        Ok(root)
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a path of the endpoint is. The path was checked when the table was read.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn put(&self, path: &str, value: &FileValue) -> Result<()> {
        let place = self.at(path);
        if let Some(above) = place.parent() {
            fs::create_dir_all(above)?;
        }
        match &value.kind {
            FileKind::Bytes(bytes) => fs::write(&place, bytes)?,
            FileKind::Link(target) => symlink(target, &place)?,
            FileKind::Folder => fs::create_dir_all(&place)?,
            FileKind::Absent => bail!("`absent` is for what is expected afterwards"),
        }
        if let Some(mode) = value.mode {
            fs::set_permissions(&place, Permissions::from_mode(mode))?;
        } else if matches!(value.kind, FileKind::Bytes(_)) {
            fs::set_permissions(&place, Permissions::from_mode(0o644))?;
        }
        Ok(())
    }

    /// What is at a path, in words; compared with what is expected there.
    pub(crate) fn describe(&self, path: &str) -> String {
        let place = self.at(path);
        let Ok(metadata) = fs::symlink_metadata(&place) else { return "nothing".to_owned() };
        if metadata.is_symlink() {
            return fs::read_link(&place)
                .map_or_else(|error| error.to_string(), |to| format!("a link to {}", to.display()));
        }
        if metadata.is_dir() {
            return "a folder".to_owned();
        }
        fs::read(&place).map_or_else(|error| error.to_string(), |bytes| describe_bytes(&bytes))
    }

    /// Its permission bits.
    pub(crate) fn mode(&self, path: &str) -> Option<u32> {
        fs::symlink_metadata(self.at(path)).ok().map(|metadata| metadata.permissions().mode() & 0o7777)
    }
}

/// What a value is, in the words of [`FakeRoot::describe`].
pub(crate) fn describe(value: &FileValue) -> String {
    match &value.kind {
        FileKind::Bytes(bytes) => describe_bytes(bytes),
        FileKind::Link(target) => format!("a link to {target}"),
        FileKind::Folder => "a folder".to_owned(),
        FileKind::Absent => "nothing".to_owned(),
    }
}

fn describe_bytes(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("the {} bytes {}", bytes.len(), crate::sign::hex(bytes)),
    }
}

/// The endpoint of a case.
pub(crate) fn endpoint(case: &Case, root: &FakeRoot) -> Result<Endpoint> {
    let endpoint = Endpoint::open(root.folder())?.with_queries(case.queries.clone());
    if case.os.is_empty() {
        return Ok(endpoint);
    }
    let mut os = os_release(case);
    os.extend(case.os.clone());
    Ok(endpoint.with_os(os.into_iter().collect()))
}

/// What the case's os-release says: a case adds to it, it does not replace it.
fn os_release(case: &Case) -> BTreeMap<String, String> {
    let file = ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| case.files.get(*path));
    let Some(FileValue { kind: FileKind::Bytes(bytes), .. }) = file else { return BTreeMap::new() };
    let names = ["ID", "VERSION_ID", "VERSION_CODENAME", "VARIANT_ID", "PRETTY_NAME"];
    let fact = |line: &str| {
        let (name, value) = line.split_once('=').filter(|(name, _)| names.contains(name))?;
        Some((name.to_lowercase().replace('_', "-"), value.trim().trim_matches(['"', '\'']).to_owned()))
    };
    String::from_utf8_lossy(bytes).lines().filter_map(fact).collect()
}

/// Programs that answer in the order of a table, and remember what did not fit.
pub(crate) struct FakePrograms {
    state: Mutex<ProgramsState>,
}

struct ProgramsState {
    answers: VecDeque<ProgramAnswer>,
    problems: Vec<(String, String)>,
}

impl FakePrograms {
    pub(crate) fn new(answers: &[ProgramAnswer]) -> Arc<Self> {
        let state = ProgramsState { answers: answers.iter().cloned().collect(), problems: Vec::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// What was expected and what was run instead; at the end also what was not run at all.
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut problems = state.problems.clone();
        if problems.is_empty() {
            problems
                .extend(state.answers.iter().map(|answer| (format!("`{}`", answer.run), "it was not run".to_owned())));
        }
        problems
    }
}

impl Programs for FakePrograms {
    fn run(&self, call: &ProgramCall<'_>) -> io::Result<ProgramExit> {
        let ran = line(call);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |answer: &ProgramAnswer| {
            answer.run == ran && answer.input.as_ref().is_none_or(|input| input.as_bytes() == call.input)
        };
        match state.answers.pop_front() {
            Some(answer) if fits(&answer) => {
                let status = (!answer.killed).then_some(answer.status);
                Ok(ProgramExit { status, output: answer.output, error_output: answer.error_output })
            }
            next => {
                let got = match &next {
                    Some(answer) if answer.run == ran => {
                        format!("`{ran}` with the input {:?}", String::from_utf8_lossy(call.input))
                    }
                    _ => format!("`{ran}`, which is not in the case's `programs` at this place"),
                };
                let expected =
                    next.as_ref().map_or_else(|| "no more programs".to_owned(), |next| format!("`{}`", next.run));
                // What is missing after the first mistake says nothing.
                state.answers.clear();
                state.problems.push((expected, got));
                Err(io::Error::new(io::ErrorKind::NotFound, "the table has no answer of this program"))
            }
        }
    }
}

/// A command as a table writes it.
fn line(call: &ProgramCall<'_>) -> String {
    let variables = call.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let words = variables.chain([call.program.to_owned()]).chain(call.arguments.iter().cloned());
    Vec::from_iter(words).join(" ")
}

/// Keeps what a plugin logs, to be shown if its case fails.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<String>>);

impl Lines {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Lines {
    fn observe(&self, call: &HostCall<'_>) {
        if let HostCall::Log { level, message } = call {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() < MAX_LINES {
                lines.push(format!("{level}: {message}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_has_what_the_case_says() {
        let file = |kind, mode| FileValue { kind, mode };
        let files = BTreeMap::from([
            ("/a/b".to_owned(), file(FileKind::Bytes(b"x\n".to_vec()), Some(0o750))),
            ("/a/link".to_owned(), file(FileKind::Link("b".to_owned()), None)),
            ("/empty".to_owned(), file(FileKind::Folder, None)),
        ]);
        let root = FakeRoot::new(&files).unwrap();
        for (path, expected) in [
            ("/a/b", "\"x\\n\""),
            ("/a/link", "a link to b"),
            ("/empty", "a folder"),
            ("/a", "a folder"),
            ("/none", "nothing"),
        ] {
            assert_eq!(root.describe(path), expected);
            assert!(files.get(path).is_none_or(|value| describe(value) == expected), "{path}");
        }
        assert_eq!((root.mode("/a/b"), root.mode("/none")), (Some(0o750), None));
    }

    #[test]
    fn a_program_that_is_not_listed_is_named_once() {
        let answer = |run: &str| toml::from_str::<ProgramAnswer>(&format!("run = '{run}'\nstatus = 3")).unwrap();
        let programs = FakePrograms::new(&[answer("A=b /bin/one {x}"), answer("/bin/two"), answer("/bin/three")]);
        let environment = [("A".to_owned(), "b".to_owned())];
        let arguments = ["{x}".to_owned()];
        let one = ProgramCall { program: "/bin/one", arguments: &arguments, environment: &environment, input: b"" };
        assert_eq!(programs.run(&one).unwrap().status, Some(3));
        assert!(programs.run(&ProgramCall { program: "/bin/other", ..one }).is_err());
        let problems = programs.problems();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].0, "`/bin/two`");
        assert!(problems[0].1.starts_with("`A=b /bin/other {x}`, which is not in"), "{}", problems[0].1);
    }

    #[test]
    fn a_program_that_was_not_run_is_named() {
        let answer = toml::from_str::<ProgramAnswer>("run = '/bin/one'").unwrap();
        let problems = FakePrograms::new(&[answer]).problems();
        assert_eq!(problems, [("`/bin/one`".to_owned(), "it was not run".to_owned())]);
    }
}
