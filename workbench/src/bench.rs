//! `farrier plugin bench`: what a rule costs.
//!
//! Time is this machine's, under both engines. The instructions are the same on every machine: they tell whether a
//! change made a plugin slower, on the laptop as in CI.

use crate::encode::{SiteRules, chunk, encode};
use crate::host::{self, Engine, Loaded, Loader, quietly};
use crate::project::Built;
use crate::run::is_an_installer;
use crate::stage::{FakeRoot, endpoint};
use crate::table::{Case, Table};
use anyhow::{Context as _, Result, bail, ensure};
use farrier_protocol::catalog::{MAX_CHUNK_RULE_BYTES, MAX_CHUNK_RULES};
use farrier_runtime::{Endpoint, Plugin};
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Rules evaluated at once, at most.
const MAX_RULES: usize = 1_000;
/// How long one measurement goes on, at least.
const MEASURED: Duration = Duration::from_millis(50);

/// What one rule costs on one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The case, or the rule.
    pub name: String,
    /// Instructions of starting and looking at the endpoint, once a scan.
    pub open_instructions: u64,
    /// Instructions of one rule.
    pub rule_instructions: u64,
    /// Nanoseconds of one rule, as code of this machine.
    pub cranelift_nanoseconds: f64,
    /// Nanoseconds of one rule, interpreted.
    pub pulley_nanoseconds: f64,
    /// Bytes of linear memory at most.
    pub memory_bytes: u64,
}

/// What all rules cost.
#[derive(Debug, Clone, Serialize)]
pub struct Bench {
    /// The plugin and its version.
    pub plugin: String,
    /// A row a rule.
    pub rows: Vec<Row>,
}

impl fmt::Display for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).clamp(4, 60);
        writeln!(f, "{}", self.plugin)?;
        write!(f, "{:<width$}  {:>13}  {:>13}  {:>12}  {:>12}  {:>8}", "", "open", "rule", "rule", "rule", "memory")?;
        write!(
            f,
            "\n{:<width$}  {:>13}  {:>13}  {:>12}  {:>12}  {:>8}",
            "case", "instructions", "instructions", "Cranelift", "Pulley", "KiB"
        )?;
        for row in &self.rows {
            let name: String = row.name.chars().take(width).collect();
            let (open, rule, memory) = (row.open_instructions, row.rule_instructions, row.memory_bytes / 1024);
            let (cranelift, pulley) = (time(row.cranelift_nanoseconds), time(row.pulley_nanoseconds));
            write!(f, "\n{name:<width$}  {open:>13}  {rule:>13}  {cranelift:>12}  {pulley:>12}  {memory:>8}")?;
        }
        Ok(())
    }
}

/// Nanoseconds as people read them.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        less if less < 1e3 => format!("{less:.0} ns"),
        less if less < 1e6 => format!("{:.2} us", less / 1e3),
        more => format!("{:.2} ms", more / 1e6),
    }
}

/// An endpoint, and a rule to be evaluated there.
struct Task {
    name: String,
    rule: Value,
    /// The endpoint is a fake one, or this root.
    place: Place,
}

enum Place {
    Case(Box<Case>),
    Root(PathBuf),
}

/// Measures the rules of the tables' cases.
///
/// # Errors
/// When the component cannot be loaded, or no case has a rule.
pub fn bench_tables(component: &Built, tables: &[PathBuf], site: &dyn SiteRules) -> Result<Bench> {
    let mut tasks = Vec::new();
    for path in tables {
        for case in Table::read(path)?.cases {
            let rule =
                case.steps.first().filter(|step| step.expected.error.is_none()).and_then(|step| step.rule.clone());
            if let Some(rule) = rule {
                tasks.push(Task { name: case.name.clone(), rule, place: Place::Case(Box::new(case)) });
            }
        }
    }
    ensure!(!tasks.is_empty(), "no case of the tables has a `rule` to measure: give one with --rule, or write a case");
    bench(component, tasks, site)
}

/// Measures rules on a real root.
///
/// # Errors
/// When the component cannot be loaded, or there is no rule.
pub fn bench_root(component: &Built, root: &Path, rules: &[Value], site: &dyn SiteRules) -> Result<Bench> {
    ensure!(!rules.is_empty(), "there is no rule to measure: give one with --rule or --rules");
    let task = |rule: &Value| Task { name: rule.to_string(), rule: rule.clone(), place: Place::Root(root.to_owned()) };
    bench(component, rules.iter().map(task).collect(), site)
}

fn bench(component: &Built, tasks: Vec<Task>, site: &dyn SiteRules) -> Result<Bench> {
    let loader = Loader::new()?;
    let load = |engine| match quietly(|| loader.load(&component.bytes, engine))? {
        Loaded::Applicability(plugin) => Ok(plugin),
        Loaded::Installer(_) => bail!(is_an_installer(component)),
    };
    let what = || format!("loading {}", component.path.display());
    let cranelift = load(Engine::Cranelift).with_context(what)?;
    let pulley = load(Engine::Pulley).with_context(what)?;
    let counting = load(Engine::Counting).with_context(what)?;
    let manifest = cranelift.manifest();
    let row = |task: Task| {
        let rule = encode(manifest, &task.rule, site)?;
        let times = MAX_RULES.min(MAX_CHUNK_RULES).min(MAX_CHUNK_RULE_BYTES / (rule.len() + 2)).max(1);
        let rules = chunk(&rule, times)?;
        let root = match &task.place {
            Place::Case(case) => Some(FakeRoot::new(&case.files)?),
            Place::Root(_) => None,
        };
        let place = match (&task.place, &root) {
            (Place::Case(case), Some(root)) => endpoint(case, root)?,
            (Place::Case(_), None) => bail!("the case has no root"),
            (Place::Root(root), _) => Endpoint::open(root)?,
        };
        let (open_instructions, rule_instructions, memory_bytes) = count(&counting, &place, &rules, times)?;
        Ok(Row {
            name: task.name,
            open_instructions,
            rule_instructions,
            cranelift_nanoseconds: measure(&cranelift, &place, &rules, times)?,
            pulley_nanoseconds: measure(&pulley, &place, &rules, times)?,
            memory_bytes,
        })
    };
    let named = |task: Task| {
        let name = task.name.clone();
        quietly(|| row(task)).with_context(|| format!("measuring «{name}»"))
    };
    let plugin = format!("{} {}", manifest.name, manifest.version);
    Ok(Bench { plugin, rows: tasks.into_iter().map(named).collect::<Result<_>>()? })
}

/// Instructions of opening and of one rule, and bytes of memory.
fn count(plugin: &Plugin, endpoint: &Endpoint, rules: &[u8], times: usize) -> Result<(u64, u64, u64)> {
    let mut scan = host::scan(plugin, endpoint, None)?;
    scan.evaluate(&[], 0)?;
    let counted = |count: Option<u64>| count.context("the engine does not count instructions");
    let opened = counted(scan.instructions())?;
    scan.evaluate(rules, times)?;
    let evaluated = counted(scan.instructions())?.saturating_sub(opened);
    Ok((opened, evaluated / times as u64, scan.memory_bytes()))
}

/// Nanoseconds of one rule: the best of many tries, as everything else on the machine only adds to it.
fn measure(plugin: &Plugin, endpoint: &Endpoint, rules: &[u8], times: usize) -> Result<f64> {
    let mut scan = host::scan(plugin, endpoint, None)?;
    scan.evaluate(rules, times)?;
    let started = Instant::now();
    let mut best = Duration::MAX;
    while started.elapsed() < MEASURED {
        let before = Instant::now();
        scan.evaluate(rules, times)?;
        best = best.min(before.elapsed());
    }
    let times = u32::try_from(times).context("too many rules")?;
    Ok(best.as_secs_f64() * 1e9 / f64::from(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_a_rule() {
        let row = Row {
            name: "a rule".to_owned(),
            open_instructions: 12_345,
            rule_instructions: 678,
            cranelift_nanoseconds: 91.4,
            pulley_nanoseconds: 2_345.6,
            memory_bytes: 1 << 20,
        };
        let text = Bench { plugin: "test 1.0.0".to_owned(), rows: vec![row] }.to_string();
        let last: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last, ["a", "rule", "12345", "678", "91", "ns", "2.35", "us", "1024"]);
        assert_eq!(time(5e6), "5.00 ms");
    }
}
