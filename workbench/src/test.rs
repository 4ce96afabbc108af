//! `farrier plugin test`: every case of the tables, in the agent's own host, under each of its engines.

use crate::encode::{SiteRules, chunk, encode};
use crate::host::{self, Engine, Loaded, Loader, quietly};
use crate::project::Built;
use crate::stage::{FakePrograms, FakeRoot, Lines, describe, endpoint};
use crate::table::{Case, Expected, FileKind, FileValue, InstallerCall, Step, Table, state_name};
use anyhow::{Context as _, Result, bail};
use farrier_protocol::{ComplianceState, Digest};
use farrier_runtime::install::{BlobFile, Entry, Options, Outcome, Restart, RestartSubject, Selection, Update};
use farrier_runtime::{Endpoint, Finding, InstallerPlugin, Manifest, Plugin, Scan};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// The table, without folder and ending.
    pub table: String,
    /// What the case claims.
    pub case: String,
    /// What is otherwise; empty, if it holds.
    pub failures: Vec<Failure>,
    /// What the plugin logged, if it does not hold.
    pub log: Vec<String>,
}

/// What is otherwise than expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The engines under which it is so.
    pub engines: Vec<&'static str>,
    /// What of: `state`, `plan`, `after /opt/editor/VERSION`; in a later step with its number.
    pub what: String,
    /// What is expected.
    pub expected: String,
    /// What it is.
    pub got: String,
}

impl CaseResult {
    /// Whether the case holds.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for CaseResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_success() { "ok  " } else { "FAIL" };
        write!(f, "{verdict}  {}: {}", self.table, self.case)?;
        for Failure { engines, what, expected, got } in &self.failures {
            let only = match engines[..] {
                [engine] => format!(" (under {engine} only)"),
                _ => String::new(),
            };
            write!(f, "\n      {what}{only}\n        expected  {}", indented(expected))?;
            write!(f, "\n        got       {}", indented(got))?;
        }
        self.log.iter().try_for_each(|line| write!(f, "\n      log  {line}"))
    }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n                  ")
}

/// Runs tables.
pub struct Tester<'a> {
    site: &'a dyn SiteRules,
    only: Option<Built>,
    loader: Loader,
    loaded: BTreeMap<PathBuf, Arc<Engines>>,
}

/// A component under each engine.
type Engines = Vec<(Engine, Loaded)>;

impl<'a> Tester<'a> {
    /// One that encodes rules as this site does.
    ///
    /// # Errors
    /// When there is no temporary folder.
    pub fn new(site: &'a dyn SiteRules) -> Result<Self> {
        Ok(Self { site, only: None, loader: Loader::new()?, loaded: BTreeMap::new() })
    }

    /// Runs every table with this component, also one that names another.
    #[must_use]
    pub fn only(self, component: Built) -> Self {
        Self { only: Some(component), ..self }
    }

    /// Runs the cases of this table, with this component where the table does not name another one.
    ///
    /// # Errors
    /// When the table cannot be read, has what is not of the component's world, or the component cannot be loaded; not
    /// when a case does not hold.
    pub fn run(&mut self, table: &Path, component: Option<&Built>, on_case: &mut dyn FnMut(CaseResult)) -> Result<()> {
        let Table { plugin, cases } = Table::read(table)?;
        let engines = match (self.only.clone(), plugin, component) {
            (Some(only), _, _) => self.engines(&only)?,
            (None, Some(path), _) => {
                let bytes = fs::read(&path)
                    .with_context(|| format!("{}: its `plugin` {} cannot be read", table.display(), path.display()))?;
                self.engines(&Built { path, bytes })?
            }
            (None, None, Some(component)) => self.engines(component)?,
            (None, None, None) => bail!("{} does not say which component it tests: write `plugin`", table.display()),
        };
        let world = engines.first().map(|(_, loaded)| loaded.world()).context("there is no engine")?;
        let of = |case: &Case| format!("in {}: case «{}»", table.display(), case.name);
        for case in &cases {
            case.check(world).with_context(|| of(case))?;
        }
        let name = table.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        for case in &cases {
            let (failures, log) = quietly(|| self.run_case(case, &engines)).with_context(|| of(case))?;
            on_case(CaseResult { table: name.clone(), case: case.name.clone(), failures, log });
        }
        Ok(())
    }

    fn engines(&mut self, component: &Built) -> Result<Arc<Engines>> {
        if let Some(engines) = self.loaded.get(&component.path) {
            return Ok(Arc::clone(engines));
        }
        let load = |engine| {
            let loaded = self.loader.load(&component.bytes, engine);
            Ok((engine, loaded.with_context(|| format!("loading {}", component.path.display()))?))
        };
        let engines: Engines = quietly(|| Engine::OF_AGENTS.into_iter().map(load).collect::<Result<_>>())?;
        let engines = Arc::new(engines);
        self.loaded.insert(component.path.clone(), Arc::clone(&engines));
        Ok(engines)
    }

    /// What does not hold, and what the plugin said meanwhile.
    fn run_case(&self, case: &Case, engines: &Engines) -> Result<(Vec<Failure>, Vec<String>)> {
        let mut failures: Vec<Failure> = Vec::new();
        let mut log = Vec::new();
        for (engine, loaded) in engines {
            let lines = Arc::new(Lines::default());
            let mut judge = Judge { case, step: 0, failures: Vec::new() };
            self.run_under(case, loaded, &lines, &mut judge)?;
            let said = lines.take();
            if !judge.failures.is_empty() && log.is_empty() {
                log = said;
            }
            for (what, expected, got) in judge.failures {
                let same =
                    |failure: &&mut Failure| failure.what == what && failure.expected == expected && failure.got == got;
                match failures.iter_mut().find(same) {
                    Some(failure) => failure.engines.push(engine.as_str()),
                    None => failures.push(Failure { engines: vec![engine.as_str()], what, expected, got }),
                }
            }
        }
        Ok((failures, log))
    }

    fn run_under(&self, case: &Case, loaded: &Loaded, lines: &Arc<Lines>, judge: &mut Judge<'_>) -> Result<()> {
        let root = FakeRoot::new(&case.files)?;
        let observer: Arc<dyn farrier_runtime::Observer> = Arc::<Lines>::clone(lines);
        let endpoint = endpoint(case, &root)?.observed(observer);
        for (number, step) in case.steps.iter().enumerate() {
            judge.step = number;
            match loaded {
                Loaded::Applicability(plugin) => self.run_scan(case, step, plugin, &endpoint, judge)?,
                Loaded::Installer(plugin) => self.run_call(case, step, plugin, &endpoint, judge)?,
            }
            judge.after(&root, &step.expected);
        }
        Ok(())
    }

    fn encoded(&self, manifest: &Manifest, step: &Step, what: &str) -> Result<Option<Vec<u8>>> {
        let rule = step.rule.as_ref().map(|rule| encode(manifest, rule, self.site)).transpose();
        rule.with_context(|| format!("in `{what}`"))
    }

    fn run_scan(
        &self,
        case: &Case,
        step: &Step,
        plugin: &Plugin,
        endpoint: &Endpoint,
        judge: &mut Judge<'_>,
    ) -> Result<()> {
        let rule = self.encoded(plugin.manifest(), step, "rule")?;
        let mut scan = host::scan(plugin, endpoint, case.grants.as_ref())?;
        let expected = &step.expected;
        if let Some(scopes) = &expected.scopes {
            judge.scopes(scopes, &mut scan);
        }
        match rule {
            Some(rule) => judge.scan(&rule, &mut scan, expected),
            None => {
                judge.scopes_error(&mut scan, expected);
                Ok(())
            }
        }
    }

    fn run_call(
        &self,
        case: &Case,
        step: &Step,
        plugin: &InstallerPlugin,
        endpoint: &Endpoint,
        judge: &mut Judge<'_>,
    ) -> Result<()> {
        let instructions = self.encoded(plugin.manifest(), step, "instructions")?.unwrap_or_default();
        let programs = FakePrograms::new(&step.programs);
        let answering: Arc<dyn farrier_runtime::Programs> = Arc::<FakePrograms>::clone(&programs);
        let endpoint = endpoint.clone().with_programs(answering);
        let mut installation = host::installation(plugin, &endpoint, case.grants.as_ref())?;
        let (contents, previous) = (Blobs::new(&step.contents)?, Blobs::new(&step.previous)?);
        let name = step.update.clone().unwrap_or_else(|| "test/update/1.0".to_owned());
        let update = Update { name, instructions, contents: contents.entries(), previous: previous.entries() };
        let more = step.options.more.clone().into_iter().collect();
        let options = Options { allow_removals: step.options.allow_removals, more };
        let expected = &step.expected;
        match step.call {
            InstallerCall::Select => {
                let selection = installation.select(&update);
                judge.call(selection, expected, |judge, selection| judge.selection(&selection, &update, expected));
            }
            InstallerCall::Plan => {
                let plan = installation.plan(&update, &contents.files, options);
                judge.call(plan, expected, |judge, changes| {
                    let line = |change: &farrier_runtime::install::Change| {
                        format!("{} {}: {}", change.action, change.subject, change.detail)
                    };
                    judge.lines("plan", expected.plan.as_ref(), changes.iter().map(line).collect());
                });
            }
            InstallerCall::Install => {
                let outcome = installation.install(&update, &contents.files, options);
                judge.call(outcome, expected, |judge, outcome| judge.outcome(&outcome, expected));
            }
            InstallerCall::Finish => {
                let outcome = installation.finish(&update);
                judge.call(outcome, expected, |judge, outcome| judge.outcome(&outcome, expected));
            }
            InstallerCall::RollBack => {
                let outcome = installation.roll_back(&update, &previous.files);
                judge.call(outcome, expected, |judge, outcome| judge.outcome(&outcome, expected));
            }
        }
        for (expected, got) in programs.problems() {
            judge.fail("programs", expected, got);
        }
        Ok(())
    }
}

/// Files of an update, as if they were downloaded.
struct Blobs {
    files: Vec<BlobFile>,
    _folder: TempDir,
}

impl Blobs {
    fn new(contents: &BTreeMap<String, FileValue>) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let mut files = Vec::new();
        for (label, value) in contents {
            let FileKind::Bytes(bytes) = &value.kind else {
                bail!("the content `{label}` has to be `text`, `base64` or `file`");
            };
            let path = folder.path().join(label);
            fs::write(&path, bytes)?;
            let length = bytes.len() as u64;
            files.push(BlobFile { label: label.clone(), path, digest: Digest::of(bytes), length });
        }
        Ok(Self { files, _folder: folder })
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |file: &BlobFile| Entry { label: file.label.clone(), digest: file.digest, length: file.length };
        self.files.iter().map(entry).collect()
    }
}

/// Compares, and remembers what is otherwise.
struct Judge<'a> {
    case: &'a Case,
    step: usize,
    failures: Vec<(String, String, String)>,
}

impl Judge<'_> {
    fn fail(&mut self, what: &str, expected: impl Into<String>, got: impl Into<String>) {
        let what = if self.case.steps.len() > 1 { format!("step {}: {what}", self.step + 1) } else { what.to_owned() };
        self.failures.push((what, expected.into(), got.into()));
    }

    fn equal(&mut self, what: &str, expected: &str, got: &str) {
        if expected != got {
            self.fail(what, expected, got);
        }
    }

    fn error(&mut self, expected: &str, got: &str) {
        if !got.contains(expected) {
            self.fail("error", format!("an error with «{expected}»"), got);
        }
    }

    fn scopes(&mut self, expected: &[String], scan: &mut Scan) {
        match scan.scopes() {
            Ok(mut got) => {
                let mut expected = expected.to_owned();
                expected.sort();
                got.sort();
                self.equal("scopes", &listed(&expected), &listed(&got));
            }
            Err(error) => self.fail("scopes", listed(expected), error.to_string()),
        }
    }

    /// An error that is expected and no rule: of the scopes, or else of opening.
    fn scopes_error(&mut self, scan: &mut Scan, expected: &Expected) {
        if let Some(error) = &expected.error {
            let got = scan.scopes().map(|_| ()).and_then(|()| scan.evaluate(&[], 0).map(|_| ()));
            match got {
                Ok(()) => self.fail("error", format!("an error with «{error}»"), "no error"),
                Err(got) => self.error(error, &got.to_string()),
            }
        }
    }

    fn scan(&mut self, rule: &[u8], scan: &mut Scan, expected: &Expected) -> Result<()> {
        let state = scan.evaluate(&chunk(rule, 1)?, 1).map(|states| states.first().copied());
        let explained = scan.explain(rule);
        if let Some(error) = &expected.error {
            self.scan_error(error, &state, &explained);
        } else if let Some(wanted) = expected.state {
            let got = match &state {
                Ok(Some(state)) if *state == wanted => None,
                // What a plugin says of a rule it cannot understand, it says when it is asked to explain.
                Ok(Some(ComplianceState::Unknown)) => Some(match &explained {
                    Err(error) => format!("Unknown, because of {error}"),
                    Ok(findings) => format!("Unknown\n{}", lines_of(findings)),
                }),
                Ok(state) => Some(state.map_or("no state", state_name).to_owned()),
                Err(error) => Some(format!("no state, because of {error}")),
            };
            if let Some(got) = got {
                self.fail("state", state_name(wanted), got.trim_end());
            }
        }
        for part in &expected.explanation {
            match &explained {
                Ok(findings) if lines_of(findings).lines().any(|line| line.contains(part.as_str())) => {}
                Ok(findings) if findings.is_empty() => {
                    self.fail("explanation", format!("a finding with «{part}»"), "none")
                }
                Ok(findings) => self.fail("explanation", format!("a finding with «{part}»"), lines_of(findings)),
                Err(error) => self.fail("explanation", format!("a finding with «{part}»"), error.to_string()),
            }
        }
        Ok(())
    }

    /// An error may come from opening, from evaluating, or, where the state is Unknown, from explaining.
    fn scan_error(
        &mut self,
        error: &str,
        state: &Result<Option<ComplianceState>, farrier_runtime::ScanError>,
        explained: &Result<Vec<Finding>, farrier_runtime::ScanError>,
    ) {
        match (state, explained) {
            (Err(got), _) | (Ok(Some(ComplianceState::Unknown)), Err(got)) => self.error(error, &got.to_string()),
            (Ok(state), _) => {
                let got = state.map_or("no state", state_name);
                self.fail("error", format!("an error with «{error}»"), format!("no error but {got}"));
            }
        }
    }

    fn call<T>(
        &mut self,
        answer: Result<T, farrier_runtime::InstallError>,
        expected: &Expected,
        judge: impl FnOnce(&mut Self, T),
    ) {
        match (answer, &expected.error) {
            (Ok(answer), None) => judge(self, answer),
            (Ok(_), Some(error)) => self.fail("error", format!("an error with «{error}»"), "no error"),
            (Err(got), Some(error)) => self.error(error, &got.to_string()),
            (Err(got), None) => self.fail("call", "no error", got.to_string()),
        }
    }

    fn lines(&mut self, what: &str, expected: Option<&Vec<String>>, got: Vec<String>) {
        if let Some(expected) = expected {
            self.equal(what, &listed(expected), &listed(&got));
        }
    }

    fn selection(&mut self, selection: &Selection, update: &Update, expected: &Expected) {
        let labels = |positions: &[usize], entries: &[Entry]| {
            positions.iter().filter_map(|position| Some(entries.get(*position)?.label.clone())).collect()
        };
        self.lines("selects", expected.selects.as_ref(), labels(&selection.contents, &update.contents));
        let previous = labels(&selection.previous, &update.previous);
        self.lines("selects_previous", expected.selects_previous.as_ref(), previous);
    }

    fn outcome(&mut self, outcome: &Outcome, expected: &Expected) {
        if let Some(notes) = &expected.notes {
            let fit = notes.len() == outcome.notes.len()
                && notes.iter().zip(&outcome.notes).all(|(part, note)| note.contains(part.as_str()));
            if !fit {
                self.fail("notes", listed(notes), listed(&outcome.notes));
            }
        }
        self.lines("restart", expected.restart.as_ref(), outcome.restarts.iter().map(restart).collect());
    }

    fn after(&mut self, root: &FakeRoot, expected: &Expected) {
        for (path, value) in &expected.after {
            self.equal(&format!("after {path}"), &describe(value), &root.describe(path));
            if let (Some(mode), Some(got)) = (value.mode, root.mode(path))
                && mode != got
            {
                self.fail(&format!("after {path}"), format!("mode {mode:04o}"), format!("mode {got:04o}"));
            }
        }
    }
}

fn restart(restart: &Restart) -> String {
    match &restart.subject {
        RestartSubject::Machine => "machine".to_owned(),
        RestartSubject::Service(name) => format!("service {name}"),
        RestartSubject::Other(words) => format!("other {words}"),
    }
}

fn listed(lines: &[String]) -> String {
    if lines.is_empty() { "nothing".to_owned() } else { lines.join("\n") }
}

fn lines_of(findings: &[Finding]) -> String {
    let mut lines = String::new();
    for finding in findings {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{}: {}", finding.subject, finding.detail);
    }
    lines.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_one_line_and_a_failure_says_what_was_expected() {
        let result = CaseResult { table: "basic".into(), case: "holds".into(), failures: vec![], log: vec![] };
        assert_eq!(result.to_string(), "ok    basic: holds");
        let failure = |engines| Failure {
            engines,
            what: "explanation".into(),
            expected: "a finding with «x»".into(),
            got: "a: b\nc: d".into(),
        };
        let failures = vec![failure(vec!["Cranelift", "Pulley"]), failure(vec!["Pulley"])];
        let log = vec!["warning: hm".to_owned()];
        let expected = [
            "FAIL  basic: holds",
            "      explanation",
            "        expected  a finding with «x»",
            "        got       a: b",
            "                  c: d",
            "      explanation (under Pulley only)",
            "        expected  a finding with «x»",
            "        got       a: b",
            "                  c: d",
            "      log  warning: hm",
        ];
        assert_eq!(CaseResult { failures, log, ..result }.to_string(), expected.join("\n"));
    }
}
