//! `farrier plugin` for authors: new, build, test, run, record, replay, bench, inspect, sign, key, vendor,
//! precompile, reference.
//!
//! None of it needs a site. What the commands find goes to standard output, how far they are to standard error.

use super::precompile::{self, PrecompileOptions};
use crate::authored::encode_rule;
use crate::cli::say;
use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use farrier_runtime::{Manifest, World};
use farrier_workbench::bench::{bench_root, bench_tables};
use farrier_workbench::inspect::inspect;
use farrier_workbench::new::{Kind, new};
use farrier_workbench::record::{Recording, record};
use farrier_workbench::run::{rules, run as run_plugin};
use farrier_workbench::sign::{PublisherKey, Signature};
use farrier_workbench::test::Tester;
use farrier_workbench::{Built, Language, Project, SiteRules, component_at};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// What a plugin's author does. None of it needs a site.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuthorCommand {
    /// Make a new plugin: a folder that builds and passes its tests.
    New(NewOptions),
    /// Build a plugin's component.
    Build {
        /// The plugin's folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Run a plugin's tables of tests in the agent's own host; builds it before, if it has to.
    Test(TestOptions),
    /// Run an applicability plugin on a real root, and show everything it looks at.
    Run(RunOptions),
    /// Run an applicability plugin on a real root, and keep everything it looks at in a file.
    Record {
        /// Where to write the recording. It holds what the plugin read of the endpoint.
        recording: PathBuf,
        #[command(flatten)]
        options: RunOptions,
    },
    /// Run an applicability plugin on what was recorded elsewhere, and compare.
    Replay(ReplayOptions),
    /// Measure what a rule costs: time, memory, and instructions, which are the same on every machine.
    Bench(BenchOptions),
    /// Show what a component is, asks for and consists of, and what is unusual about it.
    Inspect {
        /// The component's file, or the plugin's folder.
        #[arg(default_value = ".")]
        plugin: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Sign a component: writes FILE.sig beside it.
    Sign {
        /// The component's file, or the plugin's folder.
        plugin: PathBuf,
        /// The key pair, as `farrier plugin key` makes it.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Make a key pair to sign components with: NAME.key in this folder.
    Key {
        /// What to call it: your own name, or your organization's.
        name: String,
    },
    /// Bring the SDK in a plugin's vendor/farrier to this version of farrier.
    Vendor {
        /// The plugin's folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Compile a component for agents that compile nothing themselves (the lite build). What comes of it is run by nobody
    /// before the site's key for native code has signed it.
    Precompile(PrecompileOptions),
    /// Print the reference of everything a plugin and its host say to each other.
    Reference,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewOptions {
    /// The plugin's name, and its folder's: lower-case letters, digits and hyphens.
    name: String,
    /// What it does: answer which updates a client needs, or install them.
    #[arg(long, value_enum, default_value_t = WorldName::Applicability)]
    world: WorldName,
    /// What it is written in.
    #[arg(long, value_enum, default_value_t = LanguageName::Rust)]
    lang: LanguageName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum WorldName {
    Applicability,
    Installer,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum LanguageName {
    Rust,
    C,
    #[value(name = "javascript")]
    JavaScript,
    Python,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct TestOptions {
    /// The plugin's folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Test this component instead of building one, also where a table names another.
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Only these tables; else all of tests/*.toml.
    #[arg(long = "table", value_name = "FILE")]
    tables: Vec<PathBuf>,
    /// Print a JSON list.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunOptions {
    /// The component's file, or the plugin's folder.
    #[arg(default_value = ".")]
    plugin: PathBuf,
    /// The endpoint's root.
    #[arg(long, value_name = "FOLDER")]
    root: PathBuf,
    #[command(flatten)]
    rules: RuleOptions,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RuleOptions {
    /// A rule: JSON, or text if the plugin's rules are text. May be given more than once.
    #[arg(long = "rule", value_name = "JSON")]
    rules: Vec<String>,
    /// A file of rules: a JSON list, one JSON value, or one rule a line.
    #[arg(long = "rules", value_name = "FILE")]
    rules_file: Option<PathBuf>,
    /// The rule of this policy file.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ReplayOptions {
    /// The recording.
    recording: PathBuf,
    /// The component's file, or the plugin's folder.
    #[arg(default_value = ".")]
    plugin: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BenchOptions {
    /// The component's file, or the plugin's folder.
    #[arg(default_value = ".")]
    plugin: PathBuf,
    /// Measure on this root, and not on those of the tables' cases.
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    #[command(flatten)]
    rules: RuleOptions,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Rules are encoded here as the site does it.
struct ThisSite;

impl SiteRules for ThisSite {
    fn encode(&self, manifest: &Manifest, value: &toml::Value) -> Result<Vec<u8>> {
        Ok(encode_rule(manifest, value)?)
    }
}

/// Does it.
pub(super) fn run(command: AuthorCommand) -> Result<()> {
    match command {
        AuthorCommand::New(options) => make(&options),
        AuthorCommand::Build { folder } => build(&folder),
        AuthorCommand::Test(options) => test(&options),
        AuthorCommand::Run(RunOptions { plugin, root, rules, json }) => {
            let component = component_at(&plugin)?;
            let report = run_plugin(&component, &root, &rules.read(&component)?, &ThisSite)?;
            show(&report, json)
        }
        AuthorCommand::Record { recording, options } => keep(&recording, &options),
        AuthorCommand::Replay(options) => replay(&options),
        AuthorCommand::Bench(options) => bench(&options),
        AuthorCommand::Inspect { plugin, json } => show(&inspect(&component_at(&plugin)?)?, json),
        AuthorCommand::Sign { plugin, key } => sign(&plugin, &key),
        AuthorCommand::Key { name } => key(&name),
        AuthorCommand::Vendor { folder } => vendor(&folder),
        AuthorCommand::Precompile(options) => precompile::run(&options),
        AuthorCommand::Reference => say(farrier_workbench::reference::reference()?.trim_end()),
    }
}

/// Prints a result for people or for a program.
fn show(result: &(impl Display + Serialize), json: bool) -> Result<()> {
    if json { say(serde_json::to_string(result)?) } else { say(result) }
}

fn make(options: &NewOptions) -> Result<()> {
    let world = match options.world {
        WorldName::Applicability => World::Applicability,
        WorldName::Installer => World::Installer,
    };
    let language = match options.lang {
        LanguageName::Rust => Language::Rust,
        LanguageName::C => Language::C,
        LanguageName::JavaScript => Language::JavaScript,
        LanguageName::Python => Language::Python,
    };
    let name = &options.name;
    new(Path::new(""), name, Kind { world, language })?;
    say(format_args!("Made {name}. Next: farrier plugin test {name}"))
}

fn build(folder: &Path) -> Result<()> {
    let built = Project::open(folder)?.build()?;
    say(format_args!("{}: {} bytes", built.path.display(), built.bytes.len()))
}

fn test(options: &TestOptions) -> Result<()> {
    let project = Project::open(&options.folder);
    let tables = match (&options.tables[..], &project) {
        ([], Ok(project)) => project.tables()?,
        ([], Err(_)) => return project.map(|_| ()),
        (tables, _) => tables.to_vec(),
    };
    let mut tester = Tester::new(&ThisSite)?;
    let component = match (&options.component, project) {
        (Some(file), _) => {
            tester = tester.only(component_at(file)?);
            None
        }
        (None, Ok(project)) => Some(project.current()?),
        // Tables may name their component themselves.
        (None, Err(_)) => None,
    };
    let mut results = Vec::new();
    for table in &tables {
        let mut said = Ok(());
        tester.run(table, component.as_ref(), &mut |result| {
            if !options.json && said.is_ok() {
                said = say(&result);
            }
            results.push(result);
        })?;
        said?;
    }
    let failed = results.iter().filter(|result| !result.is_success()).count();
    let passed = results.len() - failed;
    if options.json {
        say(serde_json::to_string(&results)?)?;
    } else {
        say(format_args!("{passed} passed, {failed} failed, each under Cranelift and Pulley"))?;
    }
    ensure!(failed == 0, "{failed} of {} cases do not hold", results.len());
    Ok(())
}

impl RuleOptions {
    fn read(&self, component: &Built) -> Result<Vec<Value>> {
        rules(component, &self.rules, self.rules_file.as_deref(), self.policy.as_deref())
    }
}

fn keep(file: &Path, options: &RunOptions) -> Result<()> {
    let component = component_at(&options.plugin)?;
    let (recording, report) = record(&component, &options.root, &options.rules.read(&component)?, &ThisSite)?;
    recording.write(file)?;
    eprintln!("Recorded in {}. It holds what the plugin read: look through it before you pass it on.", file.display());
    show(&report, options.json)
}

fn replay(options: &ReplayOptions) -> Result<()> {
    let replay = Recording::read(&options.recording)?.replay(&component_at(&options.plugin)?, &ThisSite)?;
    show(&replay, options.json)?;
    ensure!(replay.is_same(), "the plugin does not say what it said when it was recorded");
    Ok(())
}

fn bench(options: &BenchOptions) -> Result<()> {
    let component = component_at(&options.plugin)?;
    let rules = options.rules.read(&component)?;
    let bench = match (&options.root, &rules[..]) {
        (Some(root), rules) => bench_root(&component, root, rules, &ThisSite)?,
        (None, []) => {
            let project = Project::open(&options.plugin).context("whose tables are to be measured?")?;
            bench_tables(&component, &project.tables()?, &ThisSite)?
        }
        (None, _) => bail!("a rule is measured on an endpoint: say which with --root"),
    };
    show(&bench, options.json)
}

fn sign(plugin: &Path, key: &Path) -> Result<()> {
    let key = PublisherKey::read(key)?;
    let component = component_at(plugin)?;
    let manifest = Manifest::read(&component.bytes).with_context(|| component.path.display().to_string())?;
    let signature = key.sign(&component.bytes);
    let path = Signature::path_of(&component.path);
    std::fs::write(&path, signature.to_text()).with_context(|| format!("writing {}", path.display()))?;
    let (name, version) = (&manifest.name, &manifest.version);
    say(format_args!("{}: {name} {version} by {}", path.display(), key.name()))
}

fn key(name: &str) -> Result<()> {
    let files = PublisherKey::make(Path::new(""), name)?;
    eprintln!("Keep {} secret. The public key, which a site has to know:", files.secret.display());
    say(files.public)
}

fn vendor(folder: &Path) -> Result<()> {
    let project = Project::open(folder)?;
    farrier_workbench::vendor::vendor(project.folder(), project.language())?;
    say(format_args!("{} is that of this farrier now.", project.folder().join("vendor/farrier").display()))
}
