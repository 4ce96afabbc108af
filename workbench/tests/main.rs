//! A plugin's life as its author sees it: new, build, test, run, record, replay, bench, inspect, sign. Plugins of this
//! repository that have tables of tests pass them.

#![allow(clippy::unwrap_used)]

use farrier_plugins_build::Toolchain;
use farrier_runtime::World;
use farrier_workbench::bench::bench_tables;
use farrier_workbench::inspect::inspect;
use farrier_workbench::new::{Kind, new};
use farrier_workbench::record::{Recording, record};
use farrier_workbench::run::{RuleAnswer, rules, run};
use farrier_workbench::sign::{PublisherKey, Signature};
use farrier_workbench::test::{CaseResult, Tester};
use farrier_workbench::{Built, Language, NoSite, Project, component_at};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Whether guests can be built here; if not, says so.
fn builds_guests() -> bool {
    match Toolchain::find() {
        Ok(Some(_)) => true,
        _ => {
            eprintln!("SKIPPED: this machine has no wasm target; `rustup target add wasm32-unknown-unknown` adds it");
            false
        }
    }
}

/// A new project in a folder of its own, which is at the same place each time: so it is compiled from the start only
/// once.
fn project(name: &str, world: World) -> (PathBuf, Project) {
    project_in(Language::Rust, name, world)
}

fn project_in(language: Language, name: &str, world: World) -> (PathBuf, Project) {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join("workbench").join(name);
    if parent.exists() {
        fs::remove_dir_all(&parent).unwrap();
    }
    fs::create_dir_all(&parent).unwrap();
    let folder = new(&parent, name, Kind { world, language }).unwrap();
    (parent, Project::open(&folder).unwrap())
}

fn results(component: Option<&Built>, tables: &[PathBuf]) -> Vec<CaseResult> {
    let mut tester = Tester::new(&NoSite).unwrap();
    let mut results = Vec::new();
    for table in tables {
        tester.run(table, component, &mut |result| results.push(result)).unwrap();
    }
    results
}

fn failed(results: &[CaseResult]) -> String {
    let failed = results.iter().filter(|result| !result.is_success());
    failed.map(|result| format!("{result}\n")).collect()
}

#[test]
fn a_new_applicability_plugin_builds_and_passes_its_tests() {
    if !builds_guests() {
        return;
    }
    let (parent, project) = project("tools-age", World::Applicability);
    let built = project.build().unwrap();
    assert!(built.bytes.len() < 100 << 10, "{} bytes", built.bytes.len());
    let passed = results(Some(&built), &project.tables().unwrap());
    assert!(passed.len() >= 4 && failed(&passed).is_empty(), "{}", failed(&passed));
    // What was built is current, until a source changes.
    assert_eq!(project.current().unwrap().bytes, built.bytes);

    looks_at_a_root_and_is_recorded(&parent, &built);
    a_wrong_table_fails_and_says_how(&parent, &built);
    a_table_is_run_with_the_component_that_is_meant(&parent, &built);

    let bench = bench_tables(&built, &project.tables().unwrap(), &NoSite).unwrap();
    assert_eq!(bench.rows.len(), 3);
    assert!(bench.rows.iter().all(|row| row.rule_instructions > 100 && row.memory_bytes > 0), "{bench}");
    let again = bench_tables(&built, &project.tables().unwrap(), &NoSite).unwrap();
    let counts = |bench: &farrier_workbench::bench::Bench| -> Vec<_> {
        bench.rows.iter().map(|row| (row.open_instructions, row.rule_instructions)).collect()
    };
    assert_eq!(counts(&bench), counts(&again), "instructions are the same every time");

    let inspected = inspect(&built).unwrap();
    assert_eq!((inspected.manifest.name.as_str(), inspected.manifest.version.as_str()), ("tools-age", "0.1.0"));
    assert!(inspected.manifest.source.is_some() && inspected.warnings.is_empty(), "{inspected}");
    assert!(inspected.to_string().contains("/opt/*/VERSION  (the versions of the applications)"), "{inspected}");
    is_signed(&parent, &built);
}

fn looks_at_a_root_and_is_recorded(folder: &Path, built: &Built) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("opt/editor")).unwrap();
    fs::write(root.path().join("opt/editor/VERSION"), "1.0.0\n").unwrap();
    let rules = [json!({ "name": "editor", "version": "2.0.0" }), json!({ "name": "player", "version": "1.0.0" })];
    let report = run(built, root.path(), &rules, &NoSite).unwrap();
    assert_eq!(report.answers.scopes, ["tools-age/any"]);
    assert_eq!(report.answers.rules[0].state, "Required");
    let asked: Vec<_> = report.facts.iter().map(|fact| fact.asked.as_str()).collect();
    assert!(asked.contains(&"open /opt/editor/VERSION") && asked.contains(&"open /opt/player/VERSION"), "{asked:?}");

    let file = folder.join("recording.json");
    let (recording, _) = record(built, root.path(), &rules, &NoSite).unwrap();
    recording.write(&file).unwrap();
    // The endpoint changes; the recording does not.
    fs::write(root.path().join("opt/editor/VERSION"), "2.0.0\n").unwrap();
    let replay = Recording::read(&file).unwrap().replay(built, &NoSite).unwrap();
    assert!(replay.is_same() && replay.unknown.is_empty(), "{replay}");
    let mut other = Recording::read(&file).unwrap();
    other.answers.rules[0].state = "Installed".to_owned();
    let replay = other.replay(built, &NoSite).unwrap();
    assert_eq!(replay.differences.len(), 1, "{replay}");
    assert!(replay.to_string().contains("DIFFERENT"), "{replay}");
}

fn a_wrong_table_fails_and_says_how(folder: &Path, built: &Built) {
    let table = folder.join("wrong.toml");
    let case = "[[case]]\nname = 'wrong'\nfiles = { '/opt/editor/VERSION' = '1.0.0' }\n\
                rule = { name = 'editor', version = '2.0.0' }\nstate = 'Installed'\nexplanation = ['no such words']\n\
                [[case]]\nname = 'denied'\ngrants = { read = [] }\nrule = { name = 'editor', version = '2.0.0' }\n\
                error = 'denied'\n\
                [[case]]\nname = 'no error'\nscopes = ['tools-age/any']\nerror = 'no such error'\n";
    fs::write(&table, case).unwrap();
    let results = results(Some(built), &[table]);
    assert!(results[1].is_success(), "{}", results[1]);
    let [error] = &results[2].failures[..] else { panic!("one thing is wrong: {}", results[2]) };
    assert_eq!((error.what.as_str(), error.got.as_str()), ("error", "no error"));
    let [state, explanation] = &results[0].failures[..] else { panic!("two things are wrong: {}", results[0]) };
    assert_eq!(state.engines, ["Cranelift", "Pulley"]);
    assert_eq!((state.expected.as_str(), state.got.as_str()), ("Installed", "Required"));
    assert_eq!(explanation.got, "editor: 1.0.0 is installed, 2.0.0 is offered");
}

fn a_table_is_run_with_the_component_that_is_meant(folder: &Path, built: &Built) {
    let table = folder.join("another.toml");
    let dpkg = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/dpkg.wasm");
    let case = "[[case]]\nscopes = ['tools-age/any']\n";
    fs::write(&table, format!("plugin = '{}'\n{case}", dpkg.display())).unwrap();
    assert!(!results(Some(built), std::slice::from_ref(&table))[0].is_success(), "the table's own is run");
    let mut tester = Tester::new(&NoSite).unwrap().only(built.clone());
    tester.run(&table, None, &mut |result| assert!(result.is_success(), "{result}")).unwrap();

    // Nothing of a table that another kind of plugin was meant for is run.
    fs::write(&table, format!("{case}[[case]]\nname = 'plans'\nplan = []\n")).unwrap();
    let error = tester.run(&table, None, &mut |result| panic!("{result}")).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("another.toml: case «plans»: `plan` is for installers"), "{error}");
}

fn is_signed(folder: &Path, built: &Built) {
    let files = PublisherKey::make(folder, "me").unwrap();
    let key = PublisherKey::read(&files.secret).unwrap();
    let component = folder.join("signed.wasm");
    fs::write(&component, &built.bytes).unwrap();
    fs::write(Signature::path_of(&component), key.sign(&built.bytes).to_text()).unwrap();
    let signed = component_at(&component).unwrap();
    assert_eq!(inspect(&signed).unwrap().publisher, Some(files.public));
    let mut changed = signed;
    changed.bytes.extend_from_slice(&[0, 2, 1, b'x']);
    let error = format!("{:#}", inspect(&changed).unwrap_err());
    assert!(error.contains("the signature is not of this component"), "{error}");
}

#[test]
fn a_new_installer_builds_and_passes_its_tests() {
    if !builds_guests() {
        return;
    }
    let (parent, project) = project("tools-installer", World::Installer);
    let built = project.build().unwrap();
    let passed = results(Some(&built), &project.tables().unwrap());
    assert!(passed.len() >= 3 && failed(&passed).is_empty(), "{}", failed(&passed));

    // It runs no program: one that is listed and not run is named, and so is what is otherwise afterwards.
    let table = parent.join("wrong.toml");
    let case = "[[case]]\nname = 'wrong'\nfiles = { '/opt' = { folder = true } }\n\
                instructions = { name = 'editor', version = '2.0', content = 'x' }\ncontents = { x = 'new' }\n\
                programs = [{ run = '/usr/bin/true' }]\nafter = { '/opt/editor/editor' = 'old' }\n";
    fs::write(&table, case).unwrap();
    let results = results(Some(&built), &[table]);
    let failures = &results[0].failures;
    assert_eq!((failures[0].what.as_str(), failures[0].got.as_str()), ("programs", "it was not run"));
    assert_eq!((failures[1].expected.as_str(), failures[1].got.as_str()), ("\"old\"", "\"new\""));
    let says_what_to_do = |error: anyhow::Error| {
        let error = format!("{error:#}");
        assert!(error.contains("is an installer") && error.contains("`farrier plugin test`"), "{error}");
    };
    says_what_to_do(run(&built, Path::new("/"), &[], &NoSite).unwrap_err());
    says_what_to_do(record(&built, Path::new("/"), &[], &NoSite).unwrap_err());
    says_what_to_do(bench_tables(&built, &project.tables().unwrap(), &NoSite).unwrap_err());
    says_what_to_do(rules(&built, &["not JSON".to_owned()], None, None).unwrap_err());
}

/// The compilers come from package registries; where they cannot be had, the language is left out.
#[test]
fn a_new_plugin_in_another_language_builds_and_passes_its_tests() {
    for language in [Language::C, Language::JavaScript, Language::Python] {
        let (_, project) = project_in(language, &format!("age-in-{language}"), World::Applicability);
        match project.build() {
            Ok(built) => {
                let passed = results(Some(&built), &project.tables().unwrap());
                assert!(passed.len() >= 5 && failed(&passed).is_empty(), "{language}: {}", failed(&passed));
            }
            Err(error) if format!("{error:#}").contains("getting ") => {
                eprintln!("SKIPPED {language}: its compiler cannot be had here: {error:#}");
            }
            Err(error) => panic!("{language}: {error:#}"),
        }
    }
}

/// A plugin whose texts are none and whose answers are no states.
const CARELESS: &str = r#"
#include "farrier.h"
#include <string.h>
const char *const plugin_scopes[] = {"careless-c/any", NULL};
bool plugin_open(void) { return true; }
farrier_state plugin_evaluate(const char *rule, size_t length) {
  (void)length;
  if (!strcmp(rule, "99")) return (farrier_state)99;
  if (!strcmp(rule, "-1")) return (farrier_state)-1;
  if (!strcmp(rule, "path")) return farrier_look("/opt/\xff") == FARRIER_UNREADABLE ? FARRIER_UNKNOWN : FARRIER_REQUIRED;
  if (!strcmp(rule, "chatter")) for (int i = 0; i < 100; i++) farrier_log("h\xc3\x84m \xff\xc3");
  return FARRIER_REQUIRED;
}
void plugin_explain(const char *rule, size_t length, farrier_finding *finding) {
  (void)length;
  if (!strcmp(rule, "trap")) __builtin_trap();
  memset(finding->subject, 'a', sizeof finding->subject);
  strcpy(finding->detail, "\xed\xa0\x80 \xc0\xaf \xf0\x9f\x98\x80 \xf0\x9f");
}
"#;

#[test]
fn what_a_careless_plugin_in_c_says_is_text_and_a_state() {
    let (_, project) = project_in(Language::C, "careless-c", World::Applicability);
    fs::write(project.folder().join("plugin.c"), CARELESS).unwrap();
    let built = match project.build() {
        Err(error) if format!("{error:#}").contains("getting ") => return eprintln!("SKIPPED: {error:#}"),
        built => built.unwrap(),
    };
    let root = tempfile::tempdir().unwrap();
    let rules = ["99", "-1", "path", "chatter", "trap"].map(|rule| json!(rule));
    let report = run(&built, root.path(), &rules, &NoSite).unwrap();
    let [large, negative, path, chatter, trap] = &report.answers.rules[..] else { panic!("{report}") };
    let said = |answer: &RuleAnswer| (answer.state.clone(), answer.findings.join("\n"));
    let unknown = |words: &str| ("Unknown".to_owned(), format!(": {words}"));
    assert_eq!(said(large), unknown("the plugin answered 99, which is no state"));
    assert_eq!(said(negative), unknown("the plugin answered -1, which is no state"));
    assert_eq!(said(path), unknown("the path /opt/? is no UTF-8"));
    assert_eq!(said(chatter), ("Required".to_owned(), format!("{}: ??? ?? \u{1f600}", "a".repeat(96))));
    assert_eq!((trap.state.as_str(), trap.explain_error.is_some()), ("Required", true));
    assert!(report.log.contains(&"info: h\u{c4}m ?".to_owned()) && report.more.lines > 0, "{report}");

    let with_file = CARELESS.replace("{ return true; }", "{ return fopen(\"/etc/passwd\", \"r\") != NULL; }");
    fs::write(project.folder().join("plugin.c"), format!("#include <stdio.h>\n{with_file}")).unwrap();
    let error = format!("{:#}", project.build().unwrap_err());
    assert!(error.contains("use what farrier.h has: ") && error.contains("wasi_snapshot_preview1"), "{error}");
}
