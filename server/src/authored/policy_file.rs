//! What a policy file says, checked as far as that goes without a site.

use super::encode::{self, EncodeError, encode_in};
use super::written::{Written, WrittenApplicability, WrittenContent, WrittenInstallation};
use crate::config::{Classification, parse_period};
use crate::deployment::settings::MAX_RUN_SECONDS;
use crate::repository::roles::MAX_SCOPE_PARTS;
use farrier_protocol::Digest;
use farrier_protocol::assignment::{MAX_NAME_BYTES, MAX_TARGET_BYTES};
use farrier_protocol::deployment::MAX_INSTRUCTION_BYTES;
use farrier_runtime::{Manifest, World};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use toml::{Spanned, Value};

/// Bytes of a policy file, at most: files that are installed stand beside it.
const MAX_POLICY_FILE_BYTES: usize = 256 * 1024;
const MAX_TITLE_BYTES: usize = 200;
const MAX_DESCRIPTION_BYTES: usize = 4 * 1024;
const MAX_SCOPES: usize = 16;
const MAX_CONTENTS: usize = 64;
/// Bytes of a label, at most, as agents take them.
const MAX_LABEL_BYTES: usize = 200;

/// A policy file.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyFile {
    /// The file, as it is written.
    pub text: String,
    /// The policy's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line for people.
    pub title: String,
    /// More than one line for people; may be empty.
    pub description: String,
    /// What kind of update it is.
    pub classification: Classification,
    /// Whom it concerns.
    pub applicability: Applicability,
    /// How it is installed; none if it can only be observed.
    pub installation: Option<Installation>,
    /// The files that are installed.
    pub contents: Vec<ContentFile>,
}

/// Whom a policy concerns, and who has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Applicability {
    /// The applicability plugin's name.
    pub plugin: String,
    /// The scopes of the clients it concerns, sorted, each with its line.
    pub scopes: Vec<(String, usize)>,
    /// What the plugin is told, as it is written.
    pub rule: Option<Value>,
    plugin_line: usize,
    rule_line: usize,
}

/// How a policy is installed.
#[derive(Debug, Clone, PartialEq)]
pub struct Installation {
    /// The installer plugin's name.
    pub plugin: String,
    /// What it is told, as it is written.
    pub instructions: Option<Value>,
    /// How long it may take, if the policy says so.
    pub max_run_seconds: Option<u32>,
    plugin_line: usize,
    instructions_line: usize,
}

/// A file that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentFile {
    /// What the installer plugin knows it by.
    pub label: String,
    /// Where it is, below the policy file's folder.
    pub file: PathBuf,
    /// What its bytes have to be, if the policy says so.
    pub sha256: Option<Digest>,
    /// Where the policy file speaks of it.
    pub line: usize,
}

/// A rule and instructions as plugins read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The rule of the applicability plugin.
    pub rule: Vec<u8>,
    /// The instructions of the installer plugin; empty without one.
    pub instructions: Vec<u8>,
}

/// Why a policy file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It is larger than any.
    #[error("it has {0} bytes, more than {MAX_POLICY_FILE_BYTES}: keep what is installed in files beside it")]
    TooLarge(usize),
    /// It is not the TOML we expect; the message has the line.
    #[error("{0}")]
    Toml(Box<toml::de::Error>),
    /// Something in it cannot be taken.
    #[error("line {line}: {problem}")]
    Line {
        /// Where, from 1.
        line: usize,
        /// What, and what to write.
        problem: String,
    },
    /// Something in it is not what the plugin takes.
    #[error("line {line}: {what}")]
    Encode {
        /// Where, from 1.
        line: usize,
        /// The field.
        what: &'static str,
        /// Why.
        source: EncodeError,
    },
}

/// Where the lines of a text begin.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn of(&self, span: Range<usize>) -> usize {
        1 + self.0.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count()
    }

    fn error(&self, span: Range<usize>, problem: impl Into<String>) -> PolicyError {
        PolicyError::Line { line: self.of(span), problem: problem.into() }
    }
}

impl PolicyFile {
    /// Reads and checks a policy file.
    ///
    /// # Errors
    /// When it is no policy file; the message names the line and the remedy.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_POLICY_FILE_BYTES {
            return Err(PolicyError::TooLarge(text.len()));
        }
        let written: Written = toml::from_str(text).map_err(|error| PolicyError::Toml(Box::new(error)))?;
        let lines = Lines(text);
        check_name(&lines, &written.name, "the policy's name")?;
        check_version(&lines, &written.version)?;
        check_text(&lines, &written.title, "the title", MAX_TITLE_BYTES, false)?;
        if let Some(description) = &written.description {
            check_text(&lines, description, "the description", MAX_DESCRIPTION_BYTES, true)?;
        }
        let applicability = applicability(&lines, written.applicability)?;
        let installation = written.installation.map(|written| installation(&lines, written)).transpose()?;
        let contents = contents(&lines, written.content)?;
        if let (None, Some(content)) = (&installation, contents.first()) {
            let problem = "there is content, and nothing that installs it: add [installation], or remove [[content]]";
            return Err(PolicyError::Line { line: content.line, problem: problem.to_owned() });
        }
        Ok(Self {
            text: text.to_owned(),
            name: written.name.into_inner(),
            version: written.version.into_inner(),
            title: written.title.into_inner(),
            description: written.description.map(Spanned::into_inner).unwrap_or_default(),
            classification: written.classification.unwrap_or(Classification::Updates),
            applicability,
            installation,
            contents,
        })
    }

    /// The name of the software update that it becomes.
    #[must_use]
    pub fn update_name(&self) -> String {
        super::update_name(&self.name, &self.version)
    }

    /// The rule and the instructions as these plugins read them. A file that they name is read below `folder`.
    ///
    /// # Errors
    /// When a plugin is for another world, does not know a scope or does not take what it is told.
    pub fn encode(
        &self,
        folder: &Path,
        applicability: &Manifest,
        installer: Option<&Manifest>,
    ) -> Result<Encoded, PolicyError> {
        let mut encoded = Encoded { rule: self.applicability.encode(folder, applicability)?, ..Encoded::default() };
        if let (Some(installation), Some(installer)) = (&self.installation, installer) {
            encoded.instructions = installation.encode(folder, installer)?;
        }
        Ok(encoded)
    }
}

impl Applicability {
    /// An error about the plugin it names.
    pub(super) fn plugin_problem(&self, problem: String) -> PolicyError {
        PolicyError::Line { line: self.plugin_line, problem }
    }

    fn encode(&self, folder: &Path, manifest: &Manifest) -> Result<Vec<u8>, PolicyError> {
        check_world(manifest, World::Applicability).map_err(|problem| self.plugin_problem(problem))?;
        for (scope, line) in &self.scopes {
            if !manifest.announces(scope) {
                let problem = format!(
                    "plugin {} names no clients by the scope {scope:?}, but by {}: write one of those",
                    manifest.name,
                    listed(&manifest.scopes)
                );
                return Err(PolicyError::Line { line: *line, problem });
            }
        }
        let rule = encode_in(Some(folder), manifest, self.rule.as_ref(), encode::MAX_RULE_BYTES);
        rule.map_err(|source| PolicyError::Encode { line: self.rule_line, what: "`rule` is refused", source })
    }
}

impl Installation {
    /// An error about the plugin it names.
    pub(super) fn plugin_problem(&self, problem: String) -> PolicyError {
        PolicyError::Line { line: self.plugin_line, problem }
    }

    fn encode(&self, folder: &Path, manifest: &Manifest) -> Result<Vec<u8>, PolicyError> {
        check_world(manifest, World::Installer).map_err(|problem| self.plugin_problem(problem))?;
        let instructions = encode_in(Some(folder), manifest, self.instructions.as_ref(), MAX_INSTRUCTION_BYTES);
        instructions.map_err(|source| PolicyError::Encode {
            line: self.instructions_line,
            what: "`instructions` are refused",
            source,
        })
    }
}

fn check_world(manifest: &Manifest, world: World) -> Result<(), String> {
    match manifest.known_world() == Some(world) {
        true => Ok(()),
        false => Err(format!(
            "plugin {} is for the world `{}`, and this has to be a plugin of the world `{world}`",
            manifest.name, manifest.world
        )),
    }
}

fn listed(patterns: &[String]) -> String {
    match patterns {
        [] => "none".to_owned(),
        patterns => patterns.iter().map(|pattern| format!("{pattern:?}")).collect::<Vec<_>>().join(", "),
    }
}

fn applicability(lines: &Lines<'_>, written: WrittenApplicability) -> Result<Applicability, PolicyError> {
    check_name(lines, &written.plugin, "the plugin's name")?;
    let count = written.scopes.get_ref().len();
    if !(1..=MAX_SCOPES).contains(&count) {
        let problem = format!("there are {count} scopes: write 1 to {MAX_SCOPES}, as the plugin names its clients");
        return Err(lines.error(written.scopes.span(), problem));
    }
    let mut scopes = Vec::with_capacity(count);
    for scope in written.scopes.into_inner() {
        check_scope(lines, &written.plugin, &scope)?;
        let line = lines.of(scope.span());
        scopes.push((scope.into_inner(), line));
    }
    scopes.sort();
    if let Some([_, (scope, line)]) = scopes.array_windows().find(|[a, b]| a.0 == b.0) {
        return Err(PolicyError::Line { line: *line, problem: format!("the scope {scope:?} is there twice") });
    }
    let plugin_line = lines.of(written.plugin.span());
    let rule_line = written.rule.as_ref().map_or(plugin_line, |rule| lines.of(rule.span()));
    let rule = written.rule.map(Spanned::into_inner);
    Ok(Applicability { plugin: written.plugin.into_inner(), scopes, rule, plugin_line, rule_line })
}

fn installation(lines: &Lines<'_>, written: WrittenInstallation) -> Result<Installation, PolicyError> {
    check_name(lines, &written.plugin, "the plugin's name")?;
    let max_run_seconds = match &written.max_run {
        None => None,
        Some(text) => Some(max_run(text.get_ref()).map_err(|problem| lines.error(text.span(), problem))?),
    };
    let plugin_line = lines.of(written.plugin.span());
    let instructions_line = written.instructions.as_ref().map_or(plugin_line, |told| lines.of(told.span()));
    let instructions = written.instructions.map(Spanned::into_inner);
    let plugin = written.plugin.into_inner();
    Ok(Installation { plugin, instructions, max_run_seconds, plugin_line, instructions_line })
}

fn max_run(text: &str) -> Result<u32, String> {
    let seconds = u32::try_from(parse_period(text)?.as_secs()).unwrap_or(u32::MAX);
    match (1..=MAX_RUN_SECONDS).contains(&seconds) {
        true => Ok(seconds),
        false => Err(format!("`max_run` is {text:?}: write 1 s to {} h", MAX_RUN_SECONDS / 3600)),
    }
}

fn contents(lines: &Lines<'_>, written: Vec<WrittenContent>) -> Result<Vec<ContentFile>, PolicyError> {
    let mut contents: Vec<ContentFile> = Vec::with_capacity(written.len());
    let mut labels = BTreeSet::new();
    for WrittenContent { label, file, sha256 } in written {
        check_label(lines, &label)?;
        if !labels.insert(label.get_ref().clone()) {
            return Err(lines.error(label.span(), format!("two files have the label {:?}", label.get_ref())));
        }
        if contents.len() >= MAX_CONTENTS {
            let problem = format!("there are more than {MAX_CONTENTS} files: pack some of them into one");
            return Err(lines.error(label.span(), problem));
        }
        let is_beside = file.get_ref().components().all(|part| matches!(part, Component::Normal(_)));
        if !is_beside || file.get_ref().as_os_str().is_empty() {
            let problem = format!(
                "`file` is {}: write a path below the policy file's folder, without `..`",
                file.get_ref().display()
            );
            return Err(lines.error(file.span(), problem));
        }
        let digest = |written: Spanned<String>| {
            let parsed = written.get_ref().to_ascii_lowercase().parse::<Digest>();
            parsed.map_err(|_| lines.error(written.span(), "`sha256` is no SHA-256: write its 64 hexadecimal digits"))
        };
        contents.push(ContentFile {
            line: lines.of(label.span()),
            sha256: sha256.map(digest).transpose()?,
            label: label.into_inner(),
            file: file.into_inner(),
        });
    }
    Ok(contents)
}

fn check_name(lines: &Lines<'_>, name: &Spanned<String>, what: &str) -> Result<(), PolicyError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let text = name.get_ref();
    if text.is_empty() || text.len() > MAX_NAME_BYTES || !text.chars().all(plain) {
        let problem = format!("{what} is {text:?}: write 1 to {MAX_NAME_BYTES} lower-case letters, digits and hyphens");
        return Err(lines.error(name.span(), problem));
    }
    Ok(())
}

fn check_version(lines: &Lines<'_>, version: &Spanned<String>) -> Result<(), PolicyError> {
    let text = version.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || ".+~-".contains(c);
    if text.len() > MAX_NAME_BYTES || !text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(plain) {
        let problem = format!(
            "the version is {text:?}: write a digit, and up to {MAX_NAME_BYTES} letters, digits and any of . + ~ -"
        );
        return Err(lines.error(version.span(), problem));
    }
    Ok(())
}

fn check_text(
    lines: &Lines<'_>,
    text: &Spanned<String>,
    what: &str,
    most: usize,
    many_lines: bool,
) -> Result<(), PolicyError> {
    let value = text.get_ref();
    let is_bad = |c: char| c.is_control() && !(many_lines && "\n\r\t".contains(c));
    let is_missing = value.trim().is_empty() && !many_lines;
    if is_missing || value.len() > most || value.chars().any(is_bad) {
        let shape = if many_lines { "a text" } else { "one line" };
        return Err(lines.error(text.span(), format!("{what} has to be {shape} of at most {most} bytes")));
    }
    Ok(())
}

fn check_scope(lines: &Lines<'_>, plugin: &Spanned<String>, scope: &Spanned<String>) -> Result<(), PolicyError> {
    let text = scope.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+~:".contains(c);
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain);
    if text.contains('*') {
        let problem = format!("the scope {text:?} is a pattern: name every scope, as `farrier plugin run` shows it");
        return Err(lines.error(scope.span(), problem));
    }
    if !text.split('/').all(is_part) {
        let problem = format!(
            "the scope {text:?} is none: write it as the plugin names its clients, letters and digits divided by `/`"
        );
        return Err(lines.error(scope.span(), problem));
    }
    if text.split('/').count() > MAX_SCOPE_PARTS {
        let problem =
            format!("the scope {text:?} has more than {MAX_SCOPE_PARTS} parts: have the plugin name it with fewer");
        return Err(lines.error(scope.span(), problem));
    }
    let target = super::CATALOGS.len() + plugin.get_ref().len() + 1 + text.len();
    if target > MAX_TARGET_BYTES {
        let most = MAX_TARGET_BYTES - super::CATALOGS.len() - 1;
        let problem = format!("the scope {text:?} is too long: with the plugin's name it may have {most} bytes");
        return Err(lines.error(scope.span(), problem));
    }
    Ok(())
}

/// As agents take them: a plain file name, of characters that mean nothing to any program that reads its arguments.
fn check_label(lines: &Lines<'_>, label: &Spanned<String>) -> Result<(), PolicyError> {
    let text = label.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+~%=:@-".contains(c);
    if text.len() > MAX_LABEL_BYTES
        || !text.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !text.chars().all(plain)
    {
        let problem = format!(
            "the label {text:?} is no file name: begin it with a letter or digit, and write up to {MAX_LABEL_BYTES} \
             letters, digits and any of . _ + ~ % = : @ -"
        );
        return Err(lines.error(label.span(), problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"name = "kiosk"
version = "1.2"
title = "The kiosk"
classification = "Security Updates"
description = """
Two
lines."""
[applicability]
plugin = "file-set"
scopes = ["file-set/any"]
rule = { name = "kiosk", version = "1.2" }
[installation]
plugin = "file-set-installer"
instructions = { name = "kiosk" }
max_run = "30 min"
[[content]]
label = "kiosk-1.2.bin"
file = "content/kiosk-1.2.bin"
"#;

    fn error(from: &str, to: &str) -> String {
        assert!(WHOLE.contains(from), "{from}");
        PolicyFile::parse(&WHOLE.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn a_policy_file_is_read_whole() {
        let policy = PolicyFile::parse(WHOLE).unwrap();
        assert_eq!((policy.name.as_str(), policy.version.as_str()), ("kiosk", "1.2"));
        assert_eq!(policy.classification, Classification::SecurityUpdates);
        assert_eq!(policy.update_name(), "authored/kiosk/1.2");
        let installation = policy.installation.unwrap();
        assert_eq!((installation.plugin.as_str(), installation.max_run_seconds), ("file-set-installer", Some(1_800)));
        assert_eq!(policy.contents[0].line, 17);
        assert_eq!(super::super::max_run_seconds(WHOLE), Some(1_800));
    }

    #[test]
    fn what_may_be_left_out_may() {
        let short = "name='a'\nversion='1'\ntitle='A'\n[applicability]\nplugin='p'\nscopes=['p/any']\n";
        let policy = PolicyFile::parse(short).unwrap();
        assert_eq!((policy.classification, policy.installation), (Classification::Updates, None));
        assert_eq!(policy.applicability.rule, None);
    }

    #[test]
    fn the_reference_shows_a_policy_file() {
        let reference = include_str!("../../../docs/policies.md");
        let example = reference.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
        let policy = PolicyFile::parse(example).unwrap();
        assert_eq!(policy.update_name(), "authored/kiosk/1.2");
        for field in ["max_run", "sha256", "classification", "scopes"] {
            assert!(example.contains(field), "{field}");
        }
    }

    #[test]
    fn what_nobody_knows_is_named_with_its_line() {
        for (from, to, line, name) in [
            ("title =", "restart = true\ntitle =", "line 3", "`restart`"),
            ("plugin = \"file-set\"", "plugin = \"file-set\"\nscope = 1", "line 10", "`scope`"),
            ("max_run", "maxrun", "line 15", "`maxrun`"),
            ("label", "lable", "line 17", "`lable`"),
            ("Security Updates", "Urgent", "line 4", "`Urgent`"),
        ] {
            let error = error(from, to);
            assert!(error.contains(line) && error.contains(name), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_is_named_with_its_line_and_the_remedy() {
        for (from, to, expected) in [
            ("\"kiosk\"", "\"Kiosk\"", "line 1: the policy's name is \"Kiosk\": write 1 to 48"),
            ("\"1.2\"", "\"v1\"", "line 2: the version is \"v1\": write a digit"),
            ("\"1.2\"", "\"1/2\"", "line 2: the version"),
            ("The kiosk", " ", "line 3: the title has to be one line"),
            ("[\"file-set/any\"]", "[]", "line 10: there are 0 scopes"),
            ("file-set/any", "file-set/*", "line 10: the scope \"file-set/*\" is a pattern"),
            ("file-set/any", "file-set/../x", "line 10: the scope \"file-set/../x\" is none"),
            ("file-set/any", "file-set//x", "line 10: the scope"),
            ("\"file-set/any\"", "\"file-set/any\",\n\"file-set/any\"", "line 11: the scope \"file-set/any\" is there"),
            ("30 min", "soon", "line 15: \"soon\" is no period"),
            ("30 min", "13h", "line 15: `max_run` is \"13h\": write 1 s to 12 h"),
            ("kiosk-1.2.bin", "-rf", "line 17: the label \"-rf\" is no file name"),
            ("content/kiosk", "/etc/kiosk", "line 18: `file` is /etc/kiosk-1.2.bin: write a path below"),
            ("content/kiosk", "../kiosk", "line 18: `file` is ../kiosk-1.2.bin"),
            ("file = \"content/kiosk-1.2.bin\"", "file = \"a\"\nsha256 = \"12\"", "line 19: `sha256` is no SHA-256"),
            (
                "file = \"content/kiosk-1.2.bin\"",
                "file = \"a\"\n[[content]]\nlabel = \"kiosk-1.2.bin\"\nfile = \"b\"",
                "line 20: two files have the label",
            ),
        ] {
            let error = error(from, to);
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn content_that_nothing_installs_is_refused() {
        let (start, rest) = WHOLE.split_once("[installation]").unwrap();
        let content = rest.split_once("[[content]]").unwrap().1;
        let error = PolicyFile::parse(&format!("{start}[[content]]{content}")).unwrap_err().to_string();
        assert!(error.starts_with("line 13: there is content, and nothing that installs it"), "{error}");
    }
}
