//! Tables of tests: `tests/*.toml`.

use crate::encode::json_of;
use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use farrier_protocol::ComplianceState;
use farrier_runtime::World;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of cases.
#[derive(Debug, Clone)]
pub struct Table {
    /// The component that is tested, where the table names one.
    pub plugin: Option<PathBuf>,
    /// The cases, in their order.
    pub cases: Vec<Case>,
}

/// One case: an endpoint, and calls one after the other.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it claims.
    pub name: String,
    /// What the endpoint's root holds, by absolute path.
    pub files: BTreeMap<String, FileValue>,
    /// What the endpoint is beyond what its os-release says: `machine = "x86_64"`.
    pub os: BTreeMap<String, String>,
    /// What structured facts of the platform are: name, argument, answer.
    pub queries: Vec<(String, String, String)>,
    /// What the agent allows, where that is less than the manifest asks for.
    pub grants: Option<AllowedGrants>,
    /// The calls.
    pub steps: Vec<Step>,
}

/// What the agent of a case allows. A list that is left out is as the manifest asks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedGrants {
    /// Files to read, and names of facts.
    pub read: Option<Vec<String>>,
    /// Files to write.
    pub write: Option<Vec<String>>,
    /// Programs to run.
    pub run: Option<Vec<String>>,
}

/// What is at a path of the fake root, or in a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileValue {
    /// What it is.
    pub kind: FileKind,
    /// Its permission bits, where they matter.
    pub mode: Option<u32>,
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A symbolic link to this.
    Link(String),
    /// A folder.
    Folder,
    /// Nothing; only among what is expected afterwards.
    Absent,
}

/// One call and what is expected of it.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Which function of an installer.
    pub call: InstallerCall,
    /// The rule of an applicability plugin, the instructions of an installer.
    pub rule: Option<serde_json::Value>,
    /// The name of the update.
    pub update: Option<String>,
    /// The files of the update, by label.
    pub contents: BTreeMap<String, FileValue>,
    /// The files it replaces, by label.
    pub previous: BTreeMap<String, FileValue>,
    /// What the administrator allows.
    pub options: StepOptions,
    /// How programs answer, in the order they are run.
    pub programs: Vec<ProgramAnswer>,
    /// What has to come of it.
    pub expected: Expected,
    /// The fields that the table has for it: each has to be one that is looked at.
    pub fields: Vec<&'static str>,
}

/// The fields of a call to an applicability plugin; `error` is both worlds'.
const OF_APPLICABILITY: [&str; 4] = ["rule", "scopes", "state", "explanation"];
/// Those of a call to an installer.
const OF_INSTALLERS: [&str; 13] = [
    "call",
    "instructions",
    "update",
    "contents",
    "previous",
    "options",
    "programs",
    "selects",
    "selects_previous",
    "plan",
    "notes",
    "restart",
    "after",
];
/// The fields of a case that are none of a call.
const OF_CASES: [&str; 6] = ["name", "files", "os", "queries", "grants", "then"];
/// What some function of an installer answers.
const ANSWERS: [&str; 5] = ["selects", "selects_previous", "plan", "notes", "restart"];

/// A function of an installer plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallerCall {
    /// `select`.
    Select,
    /// `plan`.
    Plan,
    /// `install`.
    #[default]
    Install,
    /// `finish`.
    Finish,
    /// `roll-back`.
    RollBack,
}

impl InstallerCall {
    /// Its name in a table.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Plan => "plan",
            Self::Install => "install",
            Self::Finish => "finish",
            Self::RollBack => "roll-back",
        }
    }

    /// What of [`ANSWERS`] it answers.
    const fn answers(self) -> &'static [&'static str] {
        match self {
            Self::Select => &["selects", "selects_previous"],
            Self::Plan => &["plan"],
            Self::Install | Self::Finish | Self::RollBack => &["notes", "restart"],
        }
    }
}

/// What the administrator allows.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepOptions {
    /// Whether other software may be removed.
    pub allow_removals: bool,
    /// Whatever else, by name.
    pub more: BTreeMap<String, String>,
}

/// How a program answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramAnswer {
    /// The command: variables, program, arguments; a content is `{label}`.
    pub run: String,
    /// What it has to be given on standard input, where that matters.
    pub input: Option<String>,
    /// Its exit status.
    #[serde(default)]
    pub status: i32,
    /// Whether a signal ends it instead.
    #[serde(default)]
    pub killed: bool,
    /// What it writes on standard output.
    #[serde(default)]
    pub output: String,
    /// What it writes on standard error.
    #[serde(default)]
    pub error_output: String,
}

/// What has to come of a call. What is `None` is not looked at.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The state of the update.
    pub state: Option<ComplianceState>,
    /// Each is part of a finding (`subject: detail`).
    pub explanation: Vec<String>,
    /// The scopes, in any order.
    pub scopes: Option<Vec<String>>,
    /// Part of the error.
    pub error: Option<String>,
    /// The labels of what `select` selects.
    pub selects: Option<Vec<String>>,
    /// The labels of what `select` selects for a roll-back.
    pub selects_previous: Option<Vec<String>>,
    /// The changes of the plan: `action subject: detail`.
    pub plan: Option<Vec<String>>,
    /// Each is part of the note in its place.
    pub notes: Option<Vec<String>>,
    /// What has to be restarted: `machine`, `service NAME`, `other WORDS`.
    pub restart: Option<Vec<String>>,
    /// What is there afterwards.
    pub after: BTreeMap<String, FileValue>,
}

impl Expected {
    fn is_nothing(&self) -> bool {
        self.state.is_none()
            && self.explanation.is_empty()
            && self.scopes.is_none()
            && self.error.is_none()
            && self.selects.is_none()
            && self.selects_previous.is_none()
            && self.plan.is_none()
            && self.notes.is_none()
            && self.restart.is_none()
            && self.after.is_empty()
    }
}

impl Table {
    /// Reads a table; paths in it are relative to its folder.
    ///
    /// # Errors
    /// When it cannot be read or is no table of tests; says where.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("."))).with_context(|| format!("in {}", path.display()))
    }

    /// Parses a table whose paths are relative to `folder`.
    ///
    /// # Errors
    /// When it is no table of tests.
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let written: written::Table = toml::from_str(text)?;
        ensure!(!written.case.is_empty(), "there is no [[case]]");
        let plugin = written.plugin.as_ref().map(|plugin| folder.join(plugin));
        let defaults = files(&written.files, folder).context("in `files`")?;
        let case = |(number, case): (usize, toml::Table)| {
            let name = case.get("name").and_then(toml::Value::as_str);
            let called = name.map_or_else(|| format!("case {number}"), str::to_owned);
            let read = |case| Case::of(written::Case::of(case)?, &called, &defaults, written.grants.as_ref(), folder);
            read(case).with_context(|| format!("case «{called}»"))
        };
        let cases: Vec<Case> = (1..).zip(written.case).map(case).collect::<Result<_>>()?;
        for (at, case) in cases.iter().enumerate() {
            let same = cases.iter().take(at).any(|earlier| earlier.name == case.name);
            ensure!(!same, "two cases have the name «{}»: a result would not say which it is of", case.name);
        }
        Ok(Self { plugin, cases })
    }
}

impl Case {
    fn of(
        written: written::Case,
        called: &str,
        defaults: &BTreeMap<String, FileValue>,
        grants: Option<&AllowedGrants>,
        folder: &Path,
    ) -> Result<Self> {
        let written::Case { of_case: written, step } = written;
        let mut all = defaults.clone();
        all.extend(files(&written.files, folder).context("in `files`")?);
        // What a later step does not say again is as in the first: the update is the same one.
        let first = Step::of(step, None, folder)?;
        let mut steps = vec![first];
        for (number, step) in (2..).zip(written.then) {
            let step = written::step(step, &[]).and_then(|step| Step::of(step, steps.first(), folder));
            steps.push(step.with_context(|| format!("step {number}"))?);
        }
        let grants = written.grants.or_else(|| grants.cloned());
        let name = written.name.unwrap_or_else(|| called.to_owned());
        Ok(Self { name, files: all, os: written.os, queries: queries(&written.queries)?, grants, steps })
    }

    /// Whether a plugin of this world can be asked all of it.
    ///
    /// # Errors
    /// Names the field that nobody would look at.
    pub fn check(&self, world: World) -> Result<()> {
        for (number, step) in (1..).zip(&self.steps) {
            let checked = step.check(world);
            if self.steps.len() > 1 { checked.with_context(|| format!("step {number}"))? } else { checked? }
        }
        Ok(())
    }
}

/// Each fact has answers by argument; an answer that is no text is its JSON.
fn queries(written: &BTreeMap<String, BTreeMap<String, toml::Value>>) -> Result<Vec<(String, String, String)>> {
    let mut queries = Vec::new();
    for (name, answers) in written {
        for (argument, answer) in answers {
            let answer = match json_of(answer).with_context(|| format!("in `queries`: `{name}`"))? {
                serde_json::Value::String(text) => text,
                value => value.to_string(),
            };
            queries.push((name.clone(), argument.clone(), answer));
        }
    }
    Ok(queries)
}

impl Step {
    /// An expectation that no answer is compared with would always hold.
    fn check(&self, world: World) -> Result<()> {
        let written = |names: &[&str]| self.fields.iter().copied().find(|field| names.contains(field));
        match world {
            World::Applicability => {
                if let Some(field) = written(&OF_INSTALLERS) {
                    bail!("`{field}` is for installers, and this is an applicability plugin");
                }
                let of_rule = written(&["state", "explanation"]);
                ensure!(
                    self.rule.is_some() || of_rule.is_none(),
                    "there is no `rule` of which to expect `{}`",
                    of_rule.unwrap_or_default()
                );
            }
            World::Installer => {
                if let Some(field) = written(&OF_APPLICABILITY) {
                    bail!("`{field}` is for applicability plugins, and this is an installer");
                }
                let of_others: Vec<_> =
                    ANSWERS.into_iter().filter(|answer| !self.call.answers().contains(answer)).collect();
                if let Some(field) = written(&of_others) {
                    let hint =
                        if written(&["call"]).is_some() { "" } else { ", which is called where there is no `call`" };
                    bail!("`{field}` is not an answer of `{}`{hint}", self.call.as_str());
                }
            }
        }
        Ok(())
    }

    fn of(written: written::Step, first: Option<&Self>, folder: &Path) -> Result<Self> {
        ensure!(
            written.rule.is_none() || written.instructions.is_none(),
            "`rule` is for applicability plugins and `instructions` for installers: write one of them"
        );
        let fields = written.fields();
        let rule = written.rule.or(written.instructions).as_ref().map(json_of).transpose()?;
        let contents = |written: Option<_>, first: Option<&BTreeMap<_, _>>, what: &str| match written {
            Some(written) => files_of(&written, folder, check_label).with_context(|| format!("in `{what}`")),
            None => Ok(first.cloned().unwrap_or_default()),
        };
        let state = written.state.as_deref().map(state).transpose()?;
        let step = Self {
            call: written.call.unwrap_or_default(),
            rule: rule.or_else(|| first.and_then(|first| first.rule.clone())),
            update: written.update.or_else(|| first.and_then(|first| first.update.clone())),
            contents: contents(written.contents, first.map(|first| &first.contents), "contents")?,
            previous: contents(written.previous, first.map(|first| &first.previous), "previous")?,
            options: written.options.or_else(|| first.map(|first| first.options.clone())).unwrap_or_default(),
            programs: written.programs,
            expected: Expected {
                state,
                explanation: written.explanation,
                scopes: written.scopes,
                error: written.error,
                selects: written.selects,
                selects_previous: written.selects_previous,
                plan: written.plan,
                notes: written.notes,
                restart: written.restart,
                after: files(&written.after, folder).context("in `after`")?,
            },
            fields,
        };
        ensure!(
            !step.expected.is_nothing(),
            "nothing is expected: write `state`, `scopes`, `error`, `selects`, `plan`, `notes`, `restart` or `after`"
        );
        let no_error = |field: &&&str| ANSWERS.contains(*field) || **field == "state";
        if let Some(field) = step.fields.iter().find(no_error).filter(|_| step.expected.error.is_some()) {
            bail!("`{field}` and `error` exclude each other: where there is an error, there is no answer");
        }
        Ok(step)
    }
}

fn state(name: &str) -> Result<ComplianceState> {
    use ComplianceState::{Installed, NotRequired, Required, Unknown};
    let found = [Required, Installed, NotRequired, Unknown].into_iter().find(|state| state_name(*state) == name);
    found.with_context(|| format!("`state = \"{name}\"` is none of Required, Installed, NotRequired and Unknown"))
}

/// A state as people write it.
#[must_use]
pub fn state_name(state: ComplianceState) -> &'static str {
    match state {
        ComplianceState::Unknown => "Unknown",
        ComplianceState::NotRequired => "NotRequired",
        ComplianceState::Required => "Required",
        ComplianceState::Installed => "Installed",
    }
}

fn files(written: &BTreeMap<String, toml::Value>, folder: &Path) -> Result<BTreeMap<String, FileValue>> {
    files_of(written, folder, check_path)
}

fn files_of(
    written: &BTreeMap<String, toml::Value>,
    folder: &Path,
    check: impl Fn(&str) -> Result<()>,
) -> Result<BTreeMap<String, FileValue>> {
    let file = |(name, value): (&String, &toml::Value)| {
        let value = check(name).and_then(|()| FileValue::of(value, folder));
        Ok((name.clone(), value.with_context(|| format!("`{name}`"))?))
    };
    written.iter().map(file).collect()
}

/// A path of the endpoint that stays inside of it.
fn check_path(path: &str) -> Result<()> {
    let parts: Vec<&str> = path.split('/').collect();
    let is_plain = |part: &&str| !part.is_empty() && *part != "." && *part != "..";
    match parts.split_first() {
        Some((&"", rest)) if !rest.is_empty() && rest.iter().all(is_plain) && !path.contains('\0') => Ok(()),
        _ => bail!("a path of the endpoint is absolute and has no empty part, no `.` and no `..`: /etc/os-release"),
    }
}

fn check_label(label: &str) -> Result<()> {
    let is_plain = !label.is_empty() && label != "." && label != ".." && !label.contains(['/', '\0']);
    ensure!(is_plain, "a label is a plain file name");
    Ok(())
}

impl FileValue {
    /// What a table says of a file: a text, or a table with one of `text`, `base64`, `file`, `link`, `folder`,
    /// `absent`, and a `mode`.
    fn of(value: &toml::Value, folder: &Path) -> Result<Self> {
        if let toml::Value::String(text) = value {
            return Ok(Self { kind: FileKind::Bytes(text.clone().into_bytes()), mode: None });
        }
        let written::File { text, base64, file, link, folder: is_folder, absent, mode } = value.clone().try_into()?;
        let mut kinds = Vec::new();
        if let Some(text) = text {
            kinds.push(FileKind::Bytes(text.into_bytes()));
        }
        if let Some(base64) = base64 {
            let digits: String = base64.chars().filter(|c| !c.is_whitespace()).collect();
            kinds.push(FileKind::Bytes(BASE64_STANDARD.decode(digits).context("in `base64`")?));
        }
        if let Some(file) = file {
            let path = folder.join(file);
            kinds.push(FileKind::Bytes(fs::read(&path).with_context(|| format!("reading {}", path.display()))?));
        }
        kinds.extend(link.map(FileKind::Link));
        kinds.extend(is_folder.then_some(FileKind::Folder));
        kinds.extend(absent.then_some(FileKind::Absent));
        let mode = mode.as_deref().map(parse_mode).transpose()?;
        let count = kinds.len();
        match kinds.pop() {
            Some(kind) if count == 1 => Ok(Self { kind, mode }),
            _ => bail!("it has to have exactly one of `text`, `base64`, `file`, `link`, `folder` and `absent`"),
        }
    }
}

/// `"0755"`
fn parse_mode(text: &str) -> Result<u32> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.with_context(|| format!("`mode = \"{text}\"` is no mode: write \"0644\""))
}

/// The tables as they are written.
mod written {
    use super::{
        AllowedGrants, BTreeMap, Deserialize, InstallerCall, OF_APPLICABILITY, OF_CASES, OF_INSTALLERS, ProgramAnswer,
        Result, StepOptions, ensure,
    };

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Table {
        pub(super) plugin: Option<String>,
        pub(super) grants: Option<AllowedGrants>,
        #[serde(default)]
        pub(super) files: BTreeMap<String, toml::Value>,
        /// Each is read for itself, so that what is wrong is told with its name.
        #[serde(default)]
        pub(super) case: Vec<toml::Table>,
    }

    /// What a case has of its own, and its first call.
    pub(super) struct Case {
        pub(super) of_case: CaseFields,
        pub(super) step: Step,
    }

    impl Case {
        pub(super) fn of(table: toml::Table) -> Result<Self> {
            let (of_case, of_step) = table.into_iter().partition(|(field, _)| OF_CASES.contains(&field.as_str()));
            let step = step(of_step, &OF_CASES)?;
            Ok(Self { of_case: toml::Table::try_into(of_case)?, step })
        }
    }

    /// A call; `besides` are the fields that stand beside its own.
    pub(super) fn step(table: toml::Table, besides: &[&str]) -> Result<Step> {
        let known = [besides, &OF_APPLICABILITY, &OF_INSTALLERS, &["error"]].concat();
        for field in table.keys() {
            ensure!(
                known.contains(&field.as_str()),
                "unknown field `{field}`, expected one of `{}`",
                known.join("`, `")
            );
        }
        Ok(table.try_into()?)
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct CaseFields {
        pub(super) name: Option<String>,
        #[serde(default)]
        pub(super) files: BTreeMap<String, toml::Value>,
        #[serde(default)]
        pub(super) os: BTreeMap<String, String>,
        #[serde(default)]
        pub(super) queries: BTreeMap<String, BTreeMap<String, toml::Value>>,
        pub(super) grants: Option<AllowedGrants>,
        #[serde(default)]
        pub(super) then: Vec<toml::Table>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Step {
        pub(super) call: Option<InstallerCall>,
        pub(super) rule: Option<toml::Value>,
        pub(super) instructions: Option<toml::Value>,
        pub(super) update: Option<String>,
        pub(super) contents: Option<BTreeMap<String, toml::Value>>,
        pub(super) previous: Option<BTreeMap<String, toml::Value>>,
        pub(super) options: Option<StepOptions>,
        #[serde(default)]
        pub(super) programs: Vec<ProgramAnswer>,
        pub(super) state: Option<String>,
        #[serde(default)]
        pub(super) explanation: Vec<String>,
        pub(super) scopes: Option<Vec<String>>,
        pub(super) error: Option<String>,
        pub(super) selects: Option<Vec<String>>,
        pub(super) selects_previous: Option<Vec<String>>,
        pub(super) plan: Option<Vec<String>>,
        pub(super) notes: Option<Vec<String>>,
        pub(super) restart: Option<Vec<String>>,
        #[serde(default)]
        pub(super) after: BTreeMap<String, toml::Value>,
    }

    impl Step {
        /// The names of the fields that are there.
        pub(super) fn fields(&self) -> Vec<&'static str> {
            let fields = [
                ("call", self.call.is_some()),
                ("rule", self.rule.is_some()),
                ("instructions", self.instructions.is_some()),
                ("update", self.update.is_some()),
                ("contents", self.contents.is_some()),
                ("previous", self.previous.is_some()),
                ("options", self.options.is_some()),
                ("programs", !self.programs.is_empty()),
                ("state", self.state.is_some()),
                ("explanation", !self.explanation.is_empty()),
                ("scopes", self.scopes.is_some()),
                ("error", self.error.is_some()),
                ("selects", self.selects.is_some()),
                ("selects_previous", self.selects_previous.is_some()),
                ("plan", self.plan.is_some()),
                ("notes", self.notes.is_some()),
                ("restart", self.restart.is_some()),
                ("after", !self.after.is_empty()),
            ];
            fields.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect()
        }
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct File {
        pub(super) text: Option<String>,
        pub(super) base64: Option<String>,
        pub(super) file: Option<String>,
        pub(super) link: Option<String>,
        #[serde(default)]
        pub(super) folder: bool,
        #[serde(default)]
        pub(super) absent: bool,
        pub(super) mode: Option<String>,
    }
}

#[cfg(test)]
mod tests;
