//! What needs a process of its own: the compiler's child, and what the host takes of memory and time while a guest
//! misbehaves. This program starts itself, which is why it brings its own `main`.

#![allow(clippy::print_stdout, clippy::unwrap_used, dead_code)]

#[path = "host/artefacts.rs"]
mod artefacts;
#[path = "host/install_stage/mod.rs"]
mod install_stage;

use artefacts::built;
use farrier_plugin_hostile::Deed;
use farrier_protocol::Digest;
use farrier_runtime::{
    ArtefactCache, CompileError, Compiler, Endpoint, EngineId, Grants, Limits, Profile, Runtime, Scan, Source, compile,
};
use install_stage::{Stage, runs_programs};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// What a host may take beside what the guest has.
const HOST_BYTES: u64 = 4 << 20;
/// How much longer than its time a guest may live.
const LATE: Duration = Duration::from_millis(50);
/// On a busy machine the clock is late through nobody's fault; in one of so many attempts it is not.
const ATTEMPTS: usize = 20;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("compile") => return served(compile::serve_child(std::io::stdin(), std::io::stdout())),
        Some("crash") => std::process::abort(),
        Some("babble") => return babble(),
        Some("die halfway") => return die_halfway(),
        Some("misbehave") => return misbehave(),
        Some("be loaded") => return be_loaded(),
        _ => {}
    }
    for profile in Profile::ALL {
        a_child_compiles_what_this_process_runs(profile);
        what_the_compiler_refuses_is_refused_with_its_words(profile);
    }
    for engine in EngineId::ALL {
        a_child_compiles_for_other_machines(engine);
    }
    a_child_that_crashes_is_an_error();
    a_child_that_babbles_is_cut_off();
    an_artefact_is_no_larger_than_its_component_makes_likely();
    half_an_artefact_is_none();
    a_program_that_is_not_there_is_an_error();
    no_guest_makes_the_host_take_more_than_its_memory();
    no_component_makes_the_host_take_more_than_a_guests_memory();
    a_guest_that_never_returns_is_ended_in_time();
    a_guest_is_ended_in_time_while_its_program_runs();
    ExitCode::SUCCESS
}

fn served(result: Result<(), CompileError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn babble() -> ExitCode {
    use std::io::Write;
    while std::io::stdout().write_all(&[7; 4096]).is_ok() {}
    ExitCode::SUCCESS
}

fn die_halfway() -> ExitCode {
    use std::io::Write;
    std::io::stdout().write_all(b"half of it").unwrap();
    std::process::abort()
}

fn child(argument: &str) -> Compiler {
    Compiler::Child { program: "/proc/self/exe".into(), arguments: vec![OsString::from(argument)] }
}

fn refusal(compiler: &Compiler, profile: Profile, component: &[u8]) -> String {
    let limits = Limits { artefact_bytes: 1 << 20, ..Limits::default() };
    match compiler.compile(profile, component, &limits) {
        Ok(_) => panic!("compiled"),
        Err(error) => error.to_string(),
    }
}

fn a_child_compiles_what_this_process_runs(profile: Profile) {
    let component = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/dist/dpkg.wasm")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cache = ArtefactCache::open(folder.path(), [1; 32]).unwrap();
    let runtime = Runtime::new(profile, Limits::default()).unwrap();
    runtime.load(&component, Source::Compiled(&cache, &child("compile"))).unwrap();
    // The second time nothing is compiled: this compiler could not.
    runtime.load(&component, Source::Compiled(&cache, &child("crash"))).unwrap();
    cache.retain(&[Digest([0; 32])]).unwrap();
    assert!(runtime.load(&component, Source::Compiled(&cache, &child("crash"))).is_err());
}

fn a_child_compiles_for_other_machines(engine: EngineId) {
    let component = built("dpkg");
    let made = |compiler: &Compiler| compiler.precompile(engine, &component, &Limits::default()).unwrap();
    assert!(made(&child("compile")) == made(&Compiler::InProcess), "{engine}: a child compiles something else");
}

fn what_the_compiler_refuses_is_refused_with_its_words(profile: Profile) {
    let reason = refusal(&child("compile"), profile, b"(component");
    assert!(reason.starts_with("the compiler refused the component: "), "{reason}");
    assert!(reason.contains("magic") || reason.contains("header"), "{reason}");
}

fn a_child_that_crashes_is_an_error() {
    let reason = refusal(&child("crash"), Profile::Native, b"");
    assert!(reason.contains("it ended without an answer (signal"), "{reason}");
}

fn a_child_that_babbles_is_cut_off() {
    assert_eq!(refusal(&child("babble"), Profile::Native, b""), "the compiled component has more than 1048576 bytes");
}

fn an_artefact_is_no_larger_than_its_component_makes_likely() {
    let error = child("babble").compile(Profile::Native, &[0; 1_000], &Limits::default()).err().unwrap();
    assert_eq!(error.to_string(), format!("the compiled component has more than {} bytes", (1 << 20) + 8_000));
}

fn half_an_artefact_is_none() {
    let reason = refusal(&child("die halfway"), Profile::Native, b"");
    assert!(reason.contains("it ended without an answer (signal"), "{reason}");
}

fn a_program_that_is_not_there_is_an_error() {
    let missing = Compiler::Child { program: "/nonexistent/farrier".into(), arguments: Vec::new() };
    assert_eq!(refusal(&missing, Profile::Native, b""), "the compiler's process failed to start");
}

/// Two rules behind their lengths.
const RULES: &[u8] = b"\x01\0a\x02\0bc";

/// A runtime and the hostile guest on an endpoint of its own, which is told what to do. What is compiled is compiled
/// elsewhere.
fn hostile(root: &Path, limits: &Limits) -> impl FnMut(&str) -> Scan + use<> {
    let cache = ArtefactCache::open(root.join("artefacts"), [1; 32]).unwrap();
    let runtime = Runtime::new(Profile::Native, limits.clone()).unwrap();
    let plugin = runtime.load(&built("hostile"), Source::Compiled(&cache, &child("compile"))).unwrap();
    std::fs::create_dir_all(root.join("etc")).unwrap();
    let endpoint = Endpoint::open(root).unwrap();
    let order_file = root.join("etc/hostile");
    move |order| {
        std::fs::write(&order_file, order).unwrap();
        let lists = ["/etc/hostile", "disk-space"];
        plugin.scan(&endpoint, Grants::new(plugin.manifest(), lists, lists).unwrap())
    }
}

/// Asks everything; what becomes of it is tested elsewhere.
fn ask(scan: &mut Scan) {
    let _ = scan.scopes();
    let _ = scan.evaluate(RULES, 2);
    let _ = scan.explain(b"a");
}

/// The child's side: an honest scan, then one that is not. Prints the most memory that was used after each.
fn misbehave() -> ExitCode {
    let (root, order) = (std::env::args().nth(2).unwrap(), std::env::args().nth(3).unwrap());
    let limits = Limits { call_milliseconds: 300, scan_milliseconds: 3_000, ..Limits::default() };
    let mut told = hostile(Path::new(&root), &limits);
    ask(&mut told("nothing"));
    let before = most_memory_bytes();
    ask(&mut told(&order));
    println!("{before} {}", most_memory_bytes());
    ExitCode::SUCCESS
}

/// The child's side: the honest component of `plugins/hostile/wat`, then another one, both loaded and asked. Prints as
/// above.
fn be_loaded() -> ExitCode {
    let (root, name) = (std::env::args().nth(2).unwrap(), std::env::args().nth(3).unwrap());
    let [honest, other] = ["honest", &name].map(|name| wat::parse_file(wat_folder().join(name).with_extension("wat")));
    let cache = ArtefactCache::open(Path::new(&root).join("artefacts"), [1; 32]).unwrap();
    let runtime = Runtime::new(Profile::Native, Limits::default()).unwrap();
    let endpoint = Endpoint::open(Path::new(&root)).unwrap();
    let load_and_ask = |component: &[u8]| {
        if let Ok(plugin) = runtime.load(component, Source::Compiled(&cache, &child("compile"))) {
            ask(&mut plugin.scan(&endpoint, Grants::new(plugin.manifest(), [""; 0], [""; 0]).unwrap()));
        }
    };
    load_and_ask(&honest.unwrap());
    let before = most_memory_bytes();
    load_and_ask(&other.unwrap());
    println!("{before} {}", most_memory_bytes());
    ExitCode::SUCCESS
}

fn wat_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/hostile/wat")
}

fn most_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn no_guest_makes_the_host_take_more_than_its_memory() {
    let root = tempfile::tempdir().unwrap();
    let cap = Limits::default().memory_bytes as u64;
    let mut most = 0;
    for deed in Deed::ALL {
        for phase in deed.phases() {
            let order = format!("{}:{}", phase.as_str(), deed.as_str());
            let taken = taken_bytes("misbehave", root.path(), &order);
            assert!(taken <= cap + HOST_BYTES, "{order}: {taken} bytes");
            most = most.max(taken);
        }
    }
    // It was measured: one of them took all it could get.
    assert!(most > cap / 2, "{most}");
}

fn no_component_makes_the_host_take_more_than_a_guests_memory() {
    let root = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(wat_folder()).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let taken = taken_bytes("be loaded", root.path(), &name);
        assert!(taken <= Limits::default().memory_bytes as u64 + HOST_BYTES, "{name}: {taken} bytes");
    }
}

/// What a child takes beyond what it took while all was well.
fn taken_bytes(role: &str, root: &Path, order: &str) -> u64 {
    let told = Command::new(std::env::current_exe().unwrap()).arg(role).arg(root).arg(order).output().unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let (before, after) = text.trim().split_once(' ').unwrap_or_else(|| panic!("{order}: {told:?}"));
    after.parse::<u64>().unwrap() - before.parse::<u64>().unwrap()
}

/// Whether something takes its time and no more, in one of several attempts.
fn in_time(time: Duration, mut attempt: impl FnMut()) {
    let mut took = Vec::new();
    for _ in 0..ATTEMPTS {
        let begin = Instant::now();
        attempt();
        took.push(begin.elapsed());
        if took.iter().any(|took| *took <= time + LATE) {
            return;
        }
    }
    panic!("{time:?} were {took:?}");
}

fn a_guest_that_never_returns_is_ended_in_time() {
    let root = tempfile::tempdir().unwrap();
    let milliseconds = 100;
    let mut told = hostile(root.path(), &Limits { call_milliseconds: milliseconds, ..Limits::default() });
    for order in ["evaluate:loop", "evaluate:query-forever"] {
        in_time(Duration::from_millis(milliseconds), || {
            assert!(told(order).evaluate(RULES, 2).unwrap_err().is_trap());
        });
    }
}

fn a_guest_is_ended_in_time_while_its_program_runs() {
    if !runs_programs() {
        return;
    }
    let max_run = Duration::from_secs(1);
    for order in ["sleepy-program", "stubborn-program"] {
        let stage = Stage::new(Profile::Native, &Limits::default(), order);
        let mut installation = stage.open(max_run);
        in_time(max_run, || {
            let error = stage.install(&mut installation).unwrap_err();
            assert_eq!(error.to_string(), "the program was killed");
        });
    }
}
