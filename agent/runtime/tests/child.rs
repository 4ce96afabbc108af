//! The compiler's child process, for real: this program starts itself (which is why it brings its own `main`).

#![allow(clippy::unwrap_used)]

use farrier_protocol::Digest;
use farrier_runtime::{ArtefactCache, CompileError, Compiler, Limits, Profile, Runtime, compile};
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("compile") => return served(compile::serve_child(std::io::stdin(), std::io::stdout())),
        Some("crash") => std::process::abort(),
        Some("babble") => return babble(),
        Some("die halfway") => return die_halfway(),
        _ => {}
    }
    for profile in Profile::ALL {
        a_child_compiles_what_this_process_runs(profile);
        what_the_compiler_refuses_is_refused_with_its_words(profile);
    }
    a_child_that_crashes_is_an_error();
    a_child_that_babbles_is_cut_off();
    half_an_artefact_is_none();
    a_program_that_is_not_there_is_an_error();
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
    runtime.load(&component, &cache, &child("compile")).unwrap();
    // The second time nothing is compiled: this compiler could not.
    runtime.load(&component, &cache, &child("crash")).unwrap();
    cache.retain(&[Digest([0; 32])]).unwrap();
    assert!(runtime.load(&component, &cache, &child("crash")).is_err());
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

fn half_an_artefact_is_none() {
    let reason = refusal(&child("die halfway"), Profile::Native, b"");
    assert!(reason.contains("it ended without an answer (signal"), "{reason}");
}

fn a_program_that_is_not_there_is_an_error() {
    let missing = Compiler::Child { program: "/nonexistent/farrier".into(), arguments: Vec::new() };
    assert_eq!(refusal(&missing, Profile::Native, b""), "the compiler's process failed to start");
}
