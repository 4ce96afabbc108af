//! `farrier plugin run`: an applicability plugin looks at a real root, and everything it looks at is shown.

use crate::calls::{Call, Fact, Kept, More, Recorder, facts, shortened};
use crate::encode::{SiteRules, chunk, encode, json_of};
use crate::host::{self, Engine, Loaded, Loader, quietly};
use crate::project::{Built, world_of};
use crate::table::state_name;
use anyhow::{Context as _, Result, bail, ensure};
use farrier_protocol::ComplianceState;
use farrier_runtime::{Endpoint, Manifest, Plugin, Scan, World};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Characters of a rule that an error shows, at most.
const MAX_SHOWN_RULE_CHARACTERS: usize = 200;

/// What a plugin said of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// The scopes.
    pub scopes: Vec<String>,
    /// Why it could not tell them, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes_error: Option<String>,
    /// Why it could not look at the endpoint at all, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_error: Option<String>,
    /// The rules in the order they were given.
    pub rules: Vec<RuleAnswer>,
}

/// What it said of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleAnswer {
    /// The rule, as it is written.
    pub rule: Value,
    /// The state: `Required`, `Installed`, `NotRequired` or `Unknown`.
    pub state: String,
    /// Why: `subject: detail`.
    pub findings: Vec<String>,
    /// Why it could not be told, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it could not be explained, if it could be told and not be explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain_error: Option<String>,
}

/// A plugin and what it said.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The plugin and its version.
    pub plugin: String,
    /// What it said.
    #[serde(flatten)]
    pub answers: Answers,
    /// What it looked at.
    pub facts: Vec<Fact>,
    /// What it logged.
    pub log: Vec<String>,
    /// How many more calls and lines there were than are shown.
    pub more: More,
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scopes_error {
            Some(error) => write!(f, "scopes  error: {error}")?,
            None if self.scopes.is_empty() => {
                write!(f, "scopes  none: no catalog of this plugin concerns this endpoint")?;
            }
            None => write!(f, "scopes  {}", self.scopes.join(", "))?,
        }
        if let Some(error) = &self.open_error {
            write!(f, "\nopen    error: {error}")?;
        }
        for RuleAnswer { rule, state, findings, error, explain_error } in &self.rules {
            write!(f, "\nrule    {rule}\n        {state}")?;
            findings.iter().try_for_each(|finding| write!(f, "\n          {finding}"))?;
            error.as_ref().map_or(Ok(()), |error| write!(f, "\n          error: {error}"))?;
            explain_error.as_ref().map_or(Ok(()), |error| write!(f, "\n          explain failed: {error}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin  {}\n{}\nfacts", self.plugin, self.answers)?;
        if self.facts.is_empty() {
            write!(f, "   none")?;
        }
        self.facts.iter().try_for_each(|fact| write!(f, "\n  {fact}"))?;
        let more = |f: &mut fmt::Formatter<'_>, start, count, what| match count {
            0 => Ok(()),
            count => write!(f, "\n{start}… and {count} more {what}"),
        };
        more(f, "  ", self.more.calls, "calls")?;
        self.log.iter().try_for_each(|line| write!(f, "\nlog     {line}"))?;
        more(f, "log     ", self.more.lines, "lines")
    }
}

/// Runs an applicability plugin against a root, with everything its manifest asks for.
///
/// # Errors
/// When it cannot be loaded, or a rule not be encoded; not when the plugin fails.
pub fn run(component: &Built, root: &Path, rules: &[Value], site: &dyn SiteRules) -> Result<Report> {
    let plugin = applicability(component)?;
    let endpoint = Endpoint::open(root)?;
    let (answers, kept) = ask(&plugin, endpoint, rules, site)?;
    Ok(report(plugin.manifest(), answers, &kept))
}

pub(crate) fn report(manifest: &Manifest, answers: Answers, kept: &Kept) -> Report {
    let said = |call: &Call| matches!(call, Call::Log { .. }).then(|| call.answer());
    Report {
        plugin: format!("{} {}", manifest.name, manifest.version),
        answers,
        facts: facts(&kept.calls),
        log: kept.calls.iter().filter_map(said).collect(),
        more: kept.more,
    }
}

/// An applicability plugin, loaded as agents do.
pub(crate) fn applicability(component: &Built) -> Result<Plugin> {
    let loaded = quietly(|| Loader::new()?.load(&component.bytes, Engine::Cranelift));
    match loaded.with_context(|| format!("loading {}", component.path.display()))? {
        Loaded::Applicability(plugin) => Ok(plugin),
        Loaded::Installer(_) => bail!(is_an_installer(component)),
    }
}

/// Why an installer does not look at a real root, and what to do instead.
pub(crate) fn is_an_installer(component: &Built) -> String {
    format!(
        "{} is an installer, and this is for applicability plugins: an installer would change the endpoint; its tables \
         of tests have it change a made-up one, with `farrier plugin test`",
        component.path.display()
    )
}

/// Puts all questions to a plugin, and keeps the host calls.
pub(crate) fn ask(
    plugin: &Plugin,
    endpoint: Endpoint,
    rules: &[Value],
    site: &dyn SiteRules,
) -> Result<(Answers, Kept)> {
    let shown = |rule: &Value| shortened(&rule.to_string(), MAX_SHOWN_RULE_CHARACTERS);
    let encoded = |rule| encode(plugin.manifest(), rule, site).with_context(|| format!("the rule {}", shown(rule)));
    let encoded = rules.iter().map(encoded).collect::<Result<Vec<_>>>()?;
    let recorder = Arc::new(Recorder::default());
    let observer: Arc<dyn farrier_runtime::Observer> = Arc::<Recorder>::clone(&recorder);
    let endpoint = endpoint.observed(observer);
    let mut scan = host::scan(plugin, &endpoint, None)?;
    let answers = quietly(|| {
        let (scopes, scopes_error) = match scan.scopes() {
            Ok(scopes) => (scopes, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let open_error = scan.evaluate(&[], 0).err().map(|error| error.to_string());
        let rules = rules.iter().zip(&encoded).map(|(rule, bytes)| answer(&mut scan, rule, bytes));
        Ok::<_, anyhow::Error>(Answers { scopes, scopes_error, open_error, rules: rules.collect::<Result<_>>()? })
    })?;
    drop(scan);
    Ok((answers, recorder.take()))
}

fn answer(scan: &mut Scan, rule: &Value, bytes: &[u8]) -> Result<RuleAnswer> {
    let state = scan.evaluate(&chunk(bytes, 1)?, 1);
    let explained = scan.explain(bytes);
    let shown = |finding: &farrier_runtime::Finding| format!("{}: {}", finding.subject, finding.detail);
    let findings = explained.as_ref().map(|findings| findings.iter().map(shown).collect()).unwrap_or_default();
    let name = state.as_ref().ok().and_then(|states| states.first().copied()).map_or("Unknown", state_name);
    // What a plugin says of a rule it cannot understand, it says when it is asked to explain.
    let (error, explain_error) = match (state, explained.err()) {
        (Err(error), _) => (Some(error), None),
        (Ok(_), error) if name == state_name(ComplianceState::Unknown) => (error, None),
        (Ok(_), error) => (None, error),
    };
    let [error, explain_error] = [error, explain_error].map(|error| error.map(|error| error.to_string()));
    Ok(RuleAnswer { rule: rule.clone(), state: name.to_owned(), findings, error, explain_error })
}

/// The rules that are given on a command line: as arguments, in a file, in a policy file.
///
/// # Errors
/// When the plugin is an installer, a file cannot be read, or something is no rule of the plugin's encoding.
pub fn rules(
    component: &Built,
    arguments: &[String],
    file: Option<&Path>,
    policy: Option<&Path>,
) -> Result<Vec<Value>> {
    let manifest = Manifest::read(&component.bytes).with_context(|| component.path.display().to_string())?;
    ensure!(world_of(&manifest)? == World::Applicability, "{}", is_an_installer(component));
    let of_argument = |text: &String| rule_of_text(&manifest, text).context("in --rule");
    let mut rules = arguments.iter().map(of_argument).collect::<Result<Vec<_>>>()?;
    if let Some(file) = file {
        rules.extend(rules_of_file(&manifest, file)?);
    }
    if let Some(policy) = policy {
        rules.push(rule_of_policy(policy)?);
    }
    Ok(rules)
}

/// A rule as somebody types it: where the plugin's rules are text, every text is one, whatever it looks like.
fn rule_of_text(manifest: &Manifest, text: &str) -> Result<Value> {
    let encoding = manifest.rules.as_ref().map_or("", |rules| rules.encoding.as_str());
    match (encoding, serde_json::from_str(text)) {
        ("text", _) => Ok(Value::String(text.to_owned())),
        ("bytes", Ok(Value::Object(bytes))) => Ok(Value::Object(bytes)),
        ("bytes", _) => Ok(Value::String(text.to_owned())),
        (_, Ok(rule)) => Ok(rule),
        (_, Err(error)) => bail!("`{text}` is no JSON, which the rules of {} are: {error}", manifest.name),
    }
}

/// The rules of a file: a JSON list, one JSON value, or one rule a line. Where rules are text, a list is one of texts.
fn rules_of_file(manifest: &Manifest, path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let is_text = manifest.rules.as_ref().is_some_and(|rules| rules.encoding == "text");
    let rules = match serde_json::from_str(&text) {
        Ok(Value::Array(rules)) if !is_text || rules.iter().all(Value::is_string) => rules,
        Ok(rule) if !is_text => vec![rule],
        _ => {
            let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
            let of_line = |(number, line): (usize, &str)| {
                rule_of_text(manifest, line).with_context(|| format!("in line {number} of {}", path.display()))
            };
            lines.map(of_line).collect::<Result<_>>()?
        }
    };
    ensure!(!rules.is_empty(), "{} has no rule: write a JSON list, or one rule a line", path.display());
    Ok(rules)
}

/// The rule of a policy file.
fn rule_of_policy(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let policy: toml::Table = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let rule = policy.get("applicability").and_then(|applicability| applicability.get("rule"));
    let rule = rule.with_context(|| format!("{} has no `rule` below [applicability]", path.display()))?;
    json_of(rule).with_context(|| format!("in {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A manifest whose rules have this encoding.
    fn manifest(encoding: &str) -> Manifest {
        serde_json::from_value(json!({
            "name": "test", "version": "1.0.0", "description": "A test.", "license": "Apache-2.0", "wit": "1.0.0",
            "world": "applicability", "scopes": ["test/any"], "rules": { "encoding": encoding },
        }))
        .unwrap()
    }

    #[test]
    fn what_is_typed_is_read_by_the_encoding() {
        for (encoding, text, expected) in [
            ("text", "443", json!("443")),
            ("text", "{\"a\": 1}", json!("{\"a\": 1}")),
            ("bytes", "443", json!("443")),
            ("bytes", "{\"hex\":\"00\"}", json!({ "hex": "00" })),
            ("json", "443", json!(443)),
            ("dpkg", "{\"packages\":[]}", json!({ "packages": [] })),
        ] {
            assert_eq!(rule_of_text(&manifest(encoding), text).unwrap(), expected, "{encoding} {text}");
        }
        let error = rule_of_text(&manifest("json"), "{name:editor}").unwrap_err().to_string();
        assert!(error.contains("`{name:editor}` is no JSON, which the rules of test are"), "{error}");
    }

    #[test]
    fn rules_come_from_a_file_in_three_shapes_and_from_a_policy() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let read =
            |encoding, path: &Path| rules_of_file(&manifest(encoding), path).map_err(|error| format!("{error:#}"));
        let list = write("list.json", "[{\"a\": 1},\n \"b\"]");
        let lines = write("lines.txt", "{\"a\": 1}\n\n443\n");
        let pretty = write("pretty.json", "{\n  \"a\": 1\n}\n");
        assert_eq!(read("json", &list).unwrap(), [json!({ "a": 1 }), json!("b")]);
        assert_eq!(read("json", &lines).unwrap(), [json!({ "a": 1 }), json!(443)]);
        assert_eq!(read("json", &pretty).unwrap(), [json!({ "a": 1 })]);
        assert_eq!(read("text", &lines).unwrap(), [json!("{\"a\": 1}"), json!("443")]);
        assert_eq!(read("text", &write("texts.json", "[\"a\\nb\", \"c\"]")).unwrap(), [json!("a\nb"), json!("c")]);
        let cut_off = read("json", &write("cut-off.json", "{\"a\": 1}\n{\"a\":\n")).unwrap_err();
        assert!(cut_off.contains("in line 2 of "), "{cut_off}");
        assert!(read("text", &write("empty", "\n")).is_err());

        let policy = write("policy.toml", "[applicability]\nrule = { packages = [{ name = 'a' }] }");
        assert_eq!(rule_of_policy(&policy).unwrap(), json!({ "packages": [{ "name": "a" }] }));
        let error = rule_of_policy(&write("none.toml", "name = 'x'")).unwrap_err().to_string();
        assert!(error.contains("has no `rule` below [applicability]"), "{error}");
    }

    fn answers(state: &str, error: Option<&str>, explain_error: Option<&str>) -> Answers {
        let [error, explain_error] = [error, explain_error].map(|error| error.map(str::to_owned));
        let rule =
            RuleAnswer { rule: json!({ "a": 1 }), state: state.to_owned(), findings: vec![], error, explain_error };
        Answers { scopes: vec!["a/any".to_owned()], scopes_error: None, open_error: None, rules: vec![rule] }
    }

    #[test]
    fn answers_read_like_a_report() {
        let text = answers("Unknown", Some("evaluate: it panicked"), None).to_string();
        assert_eq!(text, "scopes  a/any\nrule    {\"a\":1}\n        Unknown\n          error: evaluate: it panicked");
        let text = answers("Required", None, Some("it panicked")).to_string();
        assert!(text.ends_with("\n        Required\n          explain failed: it panicked"), "{text}");
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let line = Call::Log { level: "info".to_owned(), message: "hm".to_owned() };
        let kept = Kept { calls: vec![line], more: More { calls: 3, lines: 44 }, ..Kept::default() };
        let text = report(&manifest("json"), answers("Unknown", None, None), &kept).to_string();
        assert!(
            text.ends_with("facts   none\n  … and 3 more calls\nlog     info: hm\nlog     … and 44 more lines"),
            "{text}"
        );
    }
}
