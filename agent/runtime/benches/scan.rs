//! A whole scan by the `dpkg` plugin: its logic as native code, as a compiled component, and in the Pulley interpreter.
//!
//!     cargo bench -p farrier-runtime --bench scan                  # builds everything in release mode: minutes
//!     cargo bench -p farrier-runtime --bench scan --profile dev    # uses what is built for development
//!
//! On a Debian it scans this machine against the suites apt has lists of, elsewhere (or with `FARRIER_BENCH_SAMPLE=1`) a
//! generated sample. What the sandbox costs is printed first; criterion's figures follow.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod catalog;

use catalog::Subject;
use criterion::{Criterion, criterion_group, criterion_main};
use farrier_plugin_dpkg::Dpkg;
use farrier_plugin_sdk::{Applicability, Facts, FolderRoot};
use farrier_protocol::ComplianceState;
use farrier_runtime::{ArtefactCache, Compiler, Endpoint, Grants, Limits, Plugin, Profile, Runtime, Source};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Scans of which the fastest is what the tax is computed from.
const TAX_SCANS: usize = 10;

/// A way to scan: the states of all updates, in their order.
type Scan<'a> = Box<dyn Fn() -> Vec<ComplianceState> + 'a>;

fn native(subject: &Subject) -> Vec<ComplianceState> {
    let scan = Dpkg::open(&FolderRoot::new(&subject.root).shared()).unwrap();
    let states = subject.chunks.iter().flat_map(|chunk| scan.evaluate_chunk(&chunk.rules).unwrap());
    // The protocol's states and the plugin's have the same order.
    states.map(|state| ComplianceState::ALL[state as usize]).collect()
}

fn sandboxed(subject: &Subject, endpoint: &Endpoint, plugin: &Plugin) -> Vec<ComplianceState> {
    let mut scan = plugin.scan(endpoint, Grants::new(plugin.manifest(), ["/**"], ["/**"]).unwrap());
    subject.chunks.iter().flat_map(|chunk| scan.evaluate(&chunk.rules, chunk.count).unwrap()).collect()
}

/// Loads the plugin twice: compiled, and from the cache as every scan but the first does.
fn load(profile: Profile) -> Plugin {
    let component = include_bytes!("../../../plugins/dist/dpkg.wasm");
    let folder = tempfile::tempdir().unwrap();
    let cache = ArtefactCache::open(folder.path(), [1; 32]).unwrap();
    let runtime = Runtime::new(profile, Limits::default()).unwrap();
    let source = Source::Compiled(&cache, &Compiler::InProcess);
    let (_, compiled) = timed(|| runtime.load(component, source).unwrap());
    let (plugin, cached) = timed(|| runtime.load(component, source).unwrap());
    println!("{profile:?}: compiled and loaded in {compiled:.1?}, loaded from the cache in {cached:.1?}");
    plugin
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let result = work();
    (result, begin.elapsed())
}

/// The fastest of some scans, and what it found.
fn fastest(scan: &Scan<'_>) -> (Vec<ComplianceState>, Duration) {
    let mut fastest = timed(scan);
    for _ in 1..TAX_SCANS {
        let (states, duration) = timed(scan);
        assert_eq!(states, fastest.0, "two scans of the same endpoint disagree");
        fastest.1 = fastest.1.min(duration);
    }
    fastest
}

fn print_tax(scans: &[(&str, Scan<'_>)]) {
    let (states, native) = fastest(&scans[0].1);
    let count = |state| states.iter().filter(|found| **found == state).count();
    println!("{}", ComplianceState::ALL.map(|state| format!("{state}: {}", count(state))).join(", "));
    println!("native: {native:.1?}");
    for (name, scan) in &scans[1..] {
        let (sandboxed, duration) = fastest(scan);
        assert_eq!(sandboxed, states, "{name} and native code disagree");
        println!("{name}: {duration:.1?}, {:.1} times native", duration.as_secs_f64() / native.as_secs_f64());
    }
}

fn scan(criterion: &mut Criterion) {
    let subject = Subject::of_this_machine();
    let endpoint = Endpoint::open(&subject.root).unwrap();
    let [compiled, pulley] = [Profile::Native, Profile::Pulley].map(load);
    println!("{}", subject.name);
    let scans: [(&str, Scan<'_>); 3] = [
        ("native", Box::new(|| native(&subject))),
        ("component, compiled", Box::new(|| sandboxed(&subject, &endpoint, &compiled))),
        ("component, Pulley", Box::new(|| sandboxed(&subject, &endpoint, &pulley))),
    ];
    print_tax(&scans);
    let mut group = criterion.benchmark_group("scan");
    group.sample_size(20);
    for (name, scan) in &scans {
        group.bench_function(*name, |bencher| bencher.iter(|| black_box(scan())));
    }
    group.bench_function("one rule, compiled", |bencher| {
        let rules = [2, 0, 0, 0];
        let grants = Grants::new(compiled.manifest(), ["/**"], ["/**"]).unwrap();
        bencher.iter(|| compiled.scan(&endpoint, grants.clone()).evaluate(&rules, 1).unwrap());
    });
    group.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
