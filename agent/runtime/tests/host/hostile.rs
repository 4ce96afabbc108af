//! Hostile guests, each through the real host: bounded, answered with a reason, and harmless to the next one.
//!
//! What `plugins/hostile` can be told to do is a Rust enum, and the expectations below are matches without a wildcard;
//! what is in `plugins/hostile/wat` is compared with a list. So a guest without a test breaks the build.

use crate::stage::{self, RULE, RULES, Stage, counting_log_lines, wat};
use farrier_plugin_hostile::{Deed, OTHER_SCOPE, Phase};
use farrier_protocol::ComplianceState;
use farrier_runtime::{Call, LimitExceeded, Limits, LoadError, Profile, Scan, ScanError};

/// Long enough for every deed that ends by itself, on any machine.
const PATIENT_MILLISECONDS: u64 = 600_000;
/// For what never ends.
const SHORT_MILLISECONDS: u64 = 50;

fn limits(deed: Deed) -> Limits {
    let call_milliseconds = match deed {
        Deed::Loop | Deed::QueryForever => SHORT_MILLISECONDS,
        _ => PATIENT_MILLISECONDS,
    };
    let (scan_milliseconds, file_bytes, digest_bytes) = (PATIENT_MILLISECONDS, 4096, 4096);
    Limits { call_milliseconds, scan_milliseconds, file_bytes, digest_bytes, ..Limits::default() }
}

fn call(phase: Phase) -> Call {
    match phase {
        Phase::Scopes => Call::Scopes,
        Phase::Open => Call::Open,
        Phase::Evaluate => Call::Evaluate,
        Phase::Explain => Call::Explain,
    }
}

/// Puts the question of this phase.
fn ask(scan: &mut Scan, phase: Phase) -> Result<(), ScanError> {
    match phase {
        Phase::Scopes => scan.scopes().map(|scopes| assert_eq!(scopes, [farrier_plugin_hostile::SCOPE])),
        Phase::Open | Phase::Evaluate => {
            scan.evaluate(RULES, 2).map(|states| assert_eq!(states, [ComplianceState::Required; 2]))
        }
        Phase::Explain => scan.explain(RULE).map(|findings| {
            assert_eq!((findings.len(), findings[0].state), (1, ComplianceState::Required));
        }),
    }
}

/// What the host makes of this deed. `None`: the guest stays within its limits and is honest.
fn expected(deed: Deed, phase: Phase, limits: &Limits) -> Option<ScanError> {
    let call = call(phase);
    let limit = |limit: usize, unit| ScanError::Limit { call, exceeded: LimitExceeded { limit: limit as u64, unit } };
    let refused = |reason: &str| ScanError::Refused { call, reason: reason.to_owned() };
    Some(match deed {
        Deed::Nothing | Deed::LogFlood | Deed::LookAround | Deed::ReadAtEdges => return None,
        Deed::Loop | Deed::QueryForever => ScanError::TimedOut { call, milliseconds: limits.call_milliseconds },
        Deed::Recursion => limit(limits.wasm_stack_bytes, "bytes of stack"),
        Deed::MemoryBomb => limit(limits.memory_bytes, "bytes of linear memory"),
        Deed::Trap => ScanError::Trapped { call, reason: "it trapped: unreachable code reached".to_owned() },
        Deed::Panic => ScanError::Trapped { call, reason: "it panicked at ...: panicking as told".to_owned() },
        Deed::WrongCount => ScanError::Nonsense { call, reason: "it answered 3 states for 2 rules".to_owned() },
        Deed::OtherScope => ScanError::Nonsense {
            call,
            reason: format!("it named the scope `{OTHER_SCOPE}`, which no pattern in `scopes` of its manifest covers"),
        },
        Deed::HugeExplanation | Deed::HugeAnswer | Deed::HugePath => {
            limit(limits.passed_bytes, "bytes passed to the host at once")
        }
        Deed::ReadForever => refused("too large: /etc/hostile: more than 4096 bytes read from all files"),
        Deed::ResourceFlood => refused("too large: /etc/hostile: more than 8 files open"),
        Deed::DigestForever => refused("too large: /etc/hostile: more than 4096 bytes in all files that are hashed"),
    })
}

/// Where the guest panicked is its source's business.
fn without_place(error: ScanError) -> ScanError {
    match error {
        ScanError::Trapped { call, reason } if reason.starts_with("it panicked at plugins/hostile/src/") => {
            let message = reason.rsplit(": ").next().unwrap_or_default();
            ScanError::Trapped { call, reason: format!("it panicked at ...: {message}") }
        }
        error => error,
    }
}

#[test]
fn every_deed_in_every_phase_ends_with_its_reason() {
    for profile in Profile::ALL {
        for deed in Deed::ALL {
            for phase in deed.phases() {
                let limits = limits(deed);
                let stage = Stage::new(profile, &limits, &format!("{}:{}", phase.as_str(), deed.as_str()));
                let mut scan = stage.scan("hostile");
                let error = ask(&mut scan, *phase).err();
                if let Some(error) = &error {
                    assert_eq!(error.is_trap(), !matches!(error, ScanError::Refused { .. }), "{error}");
                }
                assert_eq!(error.map(without_place), expected(deed, *phase, &limits), "{profile:?} {deed:?} {phase:?}");
                assert!(scan.memory_bytes() <= limits.memory_bytes as u64);
                stage.assert_next_plugin_is_unaffected();
            }
        }
    }
}

#[test]
fn a_scan_may_be_moved_to_a_thread_of_its_own() {
    let stage = Stage::new(Profile::Native, &Limits::default(), "nothing");
    let mut scan = stage.scan("hostile");
    let states = std::thread::spawn(move || scan.evaluate(RULES, 2)).join().unwrap();
    assert_eq!(states, Ok(vec![ComplianceState::Required; 2]));
}

#[test]
fn a_failed_guest_is_asked_nothing_more_and_a_fresh_one_goes_on() {
    for profile in Profile::ALL {
        let stage = Stage::new(profile, &Limits::default(), "evaluate:trap");
        let mut scan = stage.scan("hostile");
        assert!(scan.evaluate(RULES, 2).is_err());
        stage.order("nothing");
        assert_eq!(scan.evaluate(RULES, 2), Ok(vec![ComplianceState::Required; 2]), "{profile:?}");
        assert_eq!(scan.explain(RULE).unwrap()[0].subject, "hostile");
    }
}

#[test]
fn a_guest_that_keeps_failing_is_given_up() {
    for profile in Profile::ALL {
        let limits = Limits { restarts: 2, ..Limits::default() };
        let stage = Stage::new(profile, &limits, "evaluate:panic");
        let mut scan = stage.scan("hostile");
        for _ in 0..3 {
            assert!(matches!(scan.evaluate(RULES, 2), Err(ScanError::Trapped { .. })));
        }
        // Whatever it could do now, it is not asked.
        stage.order("nothing");
        for _ in 0..2 {
            let text = scan.evaluate(RULES, 2).unwrap_err().to_string();
            assert!(text.starts_with("given up after 3 failures; the last: evaluate: it panicked at"), "{text}");
            assert!(text.ends_with("panicking as told"), "{text}");
        }
        stage.assert_next_plugin_is_unaffected();
    }
}

#[test]
fn a_guest_that_cannot_look_is_not_asked_for_every_chunk() {
    let stage = Stage::new(Profile::Native, &Limits { restarts: 1, ..Limits::default() }, "no such order");
    let mut scan = stage.scan("hostile");
    for _ in 0..2 {
        let error = scan.evaluate(RULES, 2).unwrap_err();
        assert!(matches!(error, ScanError::Refused { call: Call::Open, .. }), "{error}");
    }
    assert!(matches!(scan.evaluate(RULES, 2), Err(ScanError::GivenUp { failures: 2, .. })));
}

#[test]
fn the_time_of_a_scan_is_bounded_as_a_whole() {
    for profile in Profile::ALL {
        let limits = Limits { scan_milliseconds: SHORT_MILLISECONDS, restarts: 1000, ..Limits::default() };
        let stage = Stage::new(profile, &limits, "evaluate:loop");
        let mut scan = stage.scan("hostile");
        let error = scan.evaluate(RULES, 2).unwrap_err();
        assert!(matches!(error, ScanError::TimedOut { call: Call::Evaluate, .. } | ScanError::OutOfTime { .. }));
        assert_eq!(scan.evaluate(RULES, 2), Err(ScanError::OutOfTime { milliseconds: SHORT_MILLISECONDS }));
    }
}

#[test]
fn a_flood_of_lines_is_cut_and_counted() {
    for profile in Profile::ALL {
        let limits = Limits { log_lines: 7, ..limits(Deed::LogFlood) };
        let stage = Stage::new(profile, &limits, "evaluate:log-flood");
        let lines = counting_log_lines(|| {
            let mut scan = stage.scan("hostile");
            ask(&mut scan, Phase::Evaluate).unwrap();
            ask(&mut scan, Phase::Evaluate).unwrap();
        });
        assert_eq!(lines, (7, vec![1_999_993]), "{profile:?}");
    }
}

#[test]
fn a_question_of_more_rules_than_a_chunk_has_is_not_asked() {
    let stage = Stage::new(Profile::Native, &Limits { chunk_rules: 1, ..Limits::default() }, "nothing");
    let error = stage.scan("hostile").evaluate(RULES, 2).unwrap_err();
    assert_eq!(error.to_string(), "evaluate: it asked for more than 1 rules in a chunk");
}

type Test = fn(Profile);

/// Every guest of `plugins/hostile/wat`, and what becomes of it.
const WAT_GUESTS: [(&str, Test); 9] = [
    ("honest", an_honest_guest_is_believed),
    ("instance-bomb", instances_are_counted_before_anything_is_compiled),
    ("invalid-utf8", text_that_is_not_utf8_is_nonsense),
    ("many-memories", memories_are_counted),
    ("missing-export", a_missing_interface_is_named),
    ("missing-function", a_missing_function_is_named),
    ("table-bomb", tables_are_bounded),
    ("unknown-import", an_unknown_import_is_refused_by_name),
    ("wasi-import", wasi_is_refused_by_name),
];

#[test]
fn every_guest_in_wat_is_refused_or_bounded() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/hostile/wat");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, WAT_GUESTS.map(|(name, _)| name), "every guest in {folder} needs a test here");
    for profile in Profile::ALL {
        for (_, test) in WAT_GUESTS {
            test(profile);
        }
    }
}

fn refusal(profile: Profile, component: &[u8]) -> LoadError {
    let stage = Stage::new(profile, &Limits::default(), "nothing");
    match stage.load(component) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error,
    }
}

fn limit_of(profile: Profile, component: &[u8]) -> (Call, &'static str) {
    let stage = Stage::new(profile, &Limits::default(), "nothing");
    let mut scan = stage.scan_of(&stage.load(component).unwrap());
    let error = scan.evaluate(RULES, 2).unwrap_err();
    stage.assert_next_plugin_is_unaffected();
    match error {
        ScanError::Limit { call, exceeded } => (call, exceeded.unit),
        error => panic!("{error}"),
    }
}

fn an_honest_guest_is_believed(profile: Profile) {
    let stage = Stage::new(profile, &Limits::default(), "nothing");
    let mut scan = stage.scan_of(&stage.load(&wat("honest")).unwrap());
    assert_eq!(scan.evaluate(RULES, 2), Ok(vec![ComplianceState::Required; 2]));
    assert_eq!(scan.evaluate(b"", 0), Ok(Vec::new()));
    assert_eq!(scan.explain(RULE).unwrap()[0].subject, "guest");
}

fn text_that_is_not_utf8_is_nonsense(profile: Profile) {
    let stage = Stage::new(profile, &Limits::default(), "nothing");
    let mut scan = stage.scan_of(&stage.load(&wat("invalid-utf8")).unwrap());
    assert_eq!(scan.scopes().unwrap(), [farrier_plugin_hostile::SCOPE]);
    for error in [scan.evaluate(RULES, 2).unwrap_err(), scan.explain(RULE).unwrap_err()] {
        assert!(matches!(error, ScanError::Nonsense { .. }), "{error}");
        assert!(error.to_string().ends_with("it passed text that is not UTF-8"), "{error}");
    }
    stage.assert_next_plugin_is_unaffected();
}

fn instances_are_counted_before_anything_is_compiled(profile: Profile) {
    let error = refusal(profile, &wat("instance-bomb"));
    let exceeded = LimitExceeded { limit: Limits::default().instances as u64, unit: "instances of components" };
    assert!(matches!(&error, LoadError::Limit(limit) if *limit == exceeded), "{error}");
}

fn memories_are_counted(profile: Profile) {
    assert_eq!(limit_of(profile, &wat("many-memories")), (Call::Start, "memories"));
}

fn tables_are_bounded(profile: Profile) {
    assert_eq!(limit_of(profile, &wat("table-bomb")), (Call::Evaluate, "table elements"));
}

fn a_missing_interface_is_named(profile: Profile) {
    let error = refusal(profile, &wat("missing-export"));
    assert!(matches!(error, LoadError::Export { .. }), "{error}");
    assert!(error.to_string().contains("`farrier:policy/compliance`"), "{error}");
}

fn a_missing_function_is_named(profile: Profile) {
    let error = refusal(profile, &wat("missing-function"));
    assert!(matches!(error, LoadError::Mismatch { .. }), "{error}");
    assert!(error.to_string().contains("[method]scan.explain"), "{error}");
}

fn an_unknown_import_is_refused_by_name(profile: Profile) {
    let error = refusal(profile, &wat("unknown-import"));
    assert!(matches!(&error, LoadError::Import { import, .. } if import == "farrier:policy/process@1.0.0"), "{error}");
}

fn wasi_is_refused_by_name(profile: Profile) {
    let error = refusal(profile, &wat("wasi-import"));
    assert!(matches!(&error, LoadError::Import { import, .. } if import.starts_with("wasi:")), "{error}");
    assert!(error.to_string().contains("without WASI"), "{error}");
}

/// The honest guest with something else at this place.
fn altered(find: &str, replace: &str) -> Vec<u8> {
    let text = stage::wat_text("honest");
    assert!(text.contains(find), "{find}");
    ::wat::parse_str(text.replace(find, replace)).unwrap()
}

#[test]
fn a_guest_that_never_finishes_starting_is_stopped() {
    let realloc = "(func (export \"realloc\")";
    let component = altered(realloc, &format!("(func $spin (loop $l (br $l))) (start $spin) {realloc}"));
    for profile in Profile::ALL {
        let stage = Stage::new(profile, &limits(Deed::Loop), "nothing");
        let mut scan = stage.scan_of(&stage.load(&component).unwrap());
        let timed_out = ScanError::TimedOut { call: Call::Start, milliseconds: SHORT_MILLISECONDS };
        assert_eq!(scan.scopes().unwrap_err(), timed_out, "{profile:?}");
        stage.assert_next_plugin_is_unaffected();
    }
}

#[test]
fn a_flood_of_its_own_resources_is_stopped() {
    let evaluate = "(local.set $end (i32.add (local.get $at) (local.get $bytes)))";
    let component =
        altered(evaluate, &format!("(loop $flood (drop (call $new (i32.const 1))) (br $flood)) {evaluate}"));
    for profile in Profile::ALL {
        assert_eq!(limit_of(profile, &component), (Call::Evaluate, "handles"), "{profile:?}");
    }
}

#[test]
fn what_begins_too_large_is_not_started() {
    let memory = "(memory (export \"memory\") 8)";
    for profile in Profile::ALL {
        let large = altered(memory, "(memory (export \"memory\") 65536)");
        assert_eq!(limit_of(profile, &large), (Call::Start, "bytes of linear memory"));
        let large = altered(memory, &format!("{memory} (table 10000000 funcref)"));
        assert_eq!(limit_of(profile, &large), (Call::Start, "table elements"));
    }
}

#[test]
fn features_no_guest_needs_are_refused() {
    let memory = "(memory (export \"memory\") 8)";
    for profile in Profile::ALL {
        for instead in [
            format!("{memory} (memory 1)"),
            "(memory (export \"memory\") 8 8 shared)".to_owned(),
            "(memory (export \"memory\") i64 8)".to_owned(),
            format!("{memory} (func $tail (return_call $tail))"),
        ] {
            let error = refusal(profile, &altered(memory, &instead));
            assert!(matches!(error, LoadError::Compile(_)), "{error}");
        }
    }
}

#[test]
fn what_is_no_plugin_is_refused_before_it_is_compiled() {
    let large = vec![0; Limits::default().component_bytes + 1];
    assert!(matches!(refusal(Profile::Native, &large), LoadError::TooLarge { .. }));
    assert!(matches!(refusal(Profile::Native, b"\0asm\x0d\0\x01\0"), LoadError::Manifest(_)));
    let other = stage::wat_text("honest").replace("\\221.0.0\\22,\\22world", "\\229.1.0\\22,\\22world");
    let error = refusal(Profile::Native, &::wat::parse_str(other).unwrap());
    assert!(error.to_string().contains("it was built for farrier:policy 9.1.0"), "{error}");
}

#[test]
fn an_interface_of_the_right_name_with_another_function_is_refused() {
    let import = "(component\n  (import \"farrier:policy/facts@1.0.0\" (instance (export \"run\" (func))))";
    let text = stage::wat_text("honest").replacen("(component", import, 1);
    let error = refusal(Profile::Native, &::wat::parse_str(text).unwrap());
    assert!(matches!(error, LoadError::Mismatch { .. }), "{error}");
    assert!(error.to_string().contains("`run`"), "{error}");
    let text = stage::wat_text("honest").replace("farrier:policy/compliance@1.0.0", "farrier:policy/other@1.0.0");
    assert!(matches!(refusal(Profile::Native, &::wat::parse_str(text).unwrap()), LoadError::Export { .. }));
}
