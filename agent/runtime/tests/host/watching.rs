//! Whoever watches sees what a guest asked and what it was told; whoever stands in for programs is asked in their place.

use crate::install_stage::{CONTENTS, Stage as InstallStage};
use crate::stage::{RULE, RULES, Stage};
use farrier_runtime::{
    GrantLists, Grants, HostCall, InstallError, Limits, Observer, Profile, ProgramCall, ProgramExit, Programs, Runtime,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Writes down what it sees.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Observer for Notes {
    fn observe(&self, call: &HostCall<'_>) {
        let line = match call {
            HostCall::Read { path, offset, bytes } => {
                format!("read {path} {offset}: {:?}", String::from_utf8_lossy(bytes))
            }
            HostCall::Run { program, arguments, environment, input, result } => {
                format!("run {environment:?} {program} {arguments:?} {} {result:?}", input.len())
            }
            call => format!("{call:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Notes {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The first line that begins so.
    fn line(&self, begin: &str) -> String {
        let lines = self.lines();
        lines.iter().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{begin}: {lines:#?}")).clone()
    }
}

#[test]
fn what_a_scan_reads_is_seen_with_what_it_was_denied() {
    let stage = Stage::new(Profile::Native, &Limits::default(), "evaluate:look-around");
    let notes = Arc::new(Notes::default());
    let endpoint = stage.endpoint.clone().observed(notes.clone());
    let plugin = stage.load(&crate::artefacts::built("hostile")).unwrap();
    let lists = ["/etc/*", "disk-space"];
    let mut scan = plugin.scan(&endpoint, Grants::new(plugin.manifest(), lists, lists).unwrap());
    scan.evaluate(RULES, 2).unwrap();
    assert_eq!(notes.line("Open"), "Open { path: \"/etc/hostile\", result: Ok(20) }");
    assert_eq!(notes.line("read"), "read /etc/hostile 0: \"evaluate:look-around\"");
    for (begin, part) in [
        ("Open { path: \"/etc/passwd\"", "Err(\"denied: /etc/passwd: plugin `hostile` does not ask for it"),
        ("List { path: \"/etc\"", "Err(\"denied: "),
        ("Stat { path: \"etc/hostile\"", "Err(\"invalid: "),
        ("Digest { path: \"/etc/passwd\"", "Err(\"denied: "),
        ("Query { name: \"registry\", argument: \"/\"", "Err(\"denied: "),
    ] {
        assert!(notes.line(begin).contains(part), "{}", notes.line(begin));
    }
    // The same guest, unwatched, adds nothing.
    let seen = notes.lines().len();
    stage.scan_of(&plugin).evaluate(RULES, 2).unwrap();
    assert_eq!(notes.lines().len(), seen);
}

#[test]
fn an_installation_is_seen_with_all_it_changes() {
    let mut stage = InstallStage::new(Profile::Native, &Limits::default(), "ask-for-restarts");
    let notes = Arc::new(Notes::default());
    stage.endpoint = stage.endpoint.clone().observed(notes.clone());
    stage.install(&mut stage.open(Duration::from_secs(600))).unwrap();
    let label = CONTENTS[0].0;
    for (begin, part) in [
        ("Changed { action: \"open-folder\", path: \"/opt\"".to_owned(), "result: Ok(())".to_owned()),
        ("Changed { action: \"make-folder\"".to_owned(), "path: \"/opt/hostile\", detail: \"mode 0755\"".to_owned()),
        (
            format!("Changed {{ action: \"replace-with-blob\", path: \"/opt/hostile/{label}\""),
            format!("{{{label}}}, mode 0644"),
        ),
        ("Restart { subject: \"service hostile.service\"".to_owned(), "its files are new".to_owned()),
        ("Restart { subject: \"machine\"".to_owned(), "it was told to".to_owned()),
        (format!("Progress {{ text: \"Putting {label}\""), String::new()),
    ] {
        assert!(notes.line(&begin).contains(&part), "{}", notes.line(&begin));
    }
}

/// Says what it was asked, and fails where it is told to.
struct Echo;

impl Programs for Echo {
    fn run(&self, call: &ProgramCall<'_>) -> std::io::Result<ProgramExit> {
        match call.program {
            "/bin/env" => Err(std::io::Error::other("there is no such program today")),
            program => {
                let output = format!("{program} {}\n", call.arguments.join(" "));
                Ok(ProgramExit { status: Some(0), output, error_output: "a warning".to_owned() })
            }
        }
    }
}

#[test]
fn in_the_place_of_programs_somebody_else_is_asked_and_grants_count_as_ever() {
    let mut stage = InstallStage::new(Profile::Native, &Limits::default(), "run-programs");
    let notes = Arc::new(Notes::default());
    stage.endpoint = stage.endpoint.clone().with_programs(Arc::new(Echo)).observed(notes.clone());
    let error = stage.install(&mut stage.open(Duration::from_secs(600))).unwrap_err();
    assert_eq!(error.to_string(), "/bin/env cannot be run: there is no such program today");
    let labels = CONTENTS.map(|(label, _)| format!("{{{label}}}"));
    let line = notes.line("run [] /bin/cat");
    assert!(line.contains(&format!("/bin/cat {}", labels.join(" "))), "{line}");
    assert!(stage.lines.lock().unwrap().iter().any(|line| line == "a warning"));
    // What is not granted does not get so far.
    let plugin = stage.load(&crate::artefacts::built("hostile-installer")).unwrap();
    let allowed = GrantLists { run: vec!["/bin/env".to_owned()], ..GrantLists::from(plugin.manifest()) };
    let mut installation = stage.open_granted(&plugin, &allowed, Duration::from_secs(600));
    assert!(matches!(stage.install(&mut installation), Err(InstallError::Denied { .. })));
    assert!(
        notes.lines().iter().any(|line| line.starts_with("OpenProgram") && line.contains("Err(\"denied: /bin/cat"))
    );
    stage.order("ungranted-program");
    assert_eq!(stage.install(&mut stage.open(Duration::from_secs(600))).unwrap().notes, ["everything was refused"]);
}

#[test]
fn instructions_are_counted_the_same_every_time() {
    let count = |order: &str| {
        let stage = Stage::new(Profile::Counting, &Limits::default(), order);
        let mut scan = stage.scan("hostile");
        scan.evaluate(RULES, 2).unwrap();
        let one = scan.instructions().unwrap();
        scan.evaluate(RULES, 2).unwrap();
        scan.explain(RULE).unwrap();
        (one, scan.instructions().unwrap(), scan.memory_bytes())
    };
    let first = count("nothing");
    assert_eq!(count("nothing"), first);
    assert!(0 < first.0 && first.0 < first.1 && first.2 > 0, "{first:?}");
    assert!(count("evaluate:log-flood").0 > first.0 + 1_000_000);
    // What died counts, too.
    let stage = Stage::new(Profile::Counting, &Limits::default(), "evaluate:trap");
    let mut scan = stage.scan("hostile");
    assert!(scan.evaluate(RULES, 2).is_err());
    assert!(scan.instructions().unwrap() > 0 && scan.memory_bytes() > 0);
    // An agent does not count.
    let stage = Stage::new(Profile::Native, &Limits::default(), "nothing");
    let mut scan = stage.scan("hostile");
    scan.evaluate(RULES, 2).unwrap();
    assert_eq!(scan.instructions(), None);
    assert!(Runtime::counting(Limits::default()).is_ok());
}
