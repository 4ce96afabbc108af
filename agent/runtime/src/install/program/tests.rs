use super::*;

fn patient() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(100)
}

/// Short enough that a test does not wait for it, long enough for a shell.
fn limits() -> Limits {
    Limits { stop_milliseconds: 300, output_bytes: 1000, ..Limits::default() }
}

fn shell(script: &str, input: &[u8], ask_at: Instant) -> (Ended, Vec<String>) {
    let stop = Stop { ask_at, kill_at: ask_at + Duration::from_millis(limits().stop_milliseconds) };
    let mut lines = Vec::new();
    let mut command = Command::new("/bin/sh");
    let ended =
        run(command.args(["-c", script]), input, stop, &limits(), &mut |line| lines.push(line.to_owned())).unwrap();
    (ended, lines)
}

fn is_running(pid: &str) -> bool {
    // One that was killed is a zombie until its new parent looks.
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

#[test]
fn a_program_is_told_by_its_status_and_both_outputs() {
    let (ended, mut lines) = shell("echo one; echo two >&2; printf three; exit 7", b"", patient());
    let (output, error_output) = ("one\nthree".to_owned(), "two\n".to_owned());
    assert_eq!(ended, Ended { status: Some(7), output, error_output, timed_out: false });
    lines.sort();
    assert_eq!(lines, ["one", "three", "two"]);
}

#[test]
fn a_signal_is_no_status() {
    let (ended, _) = shell("kill -9 $$", b"", patient());
    assert_eq!((ended.status, ended.timed_out), (None, false));
}

#[test]
fn much_input_is_read_while_output_is_written() {
    let input = vec![b'x'; 1 << 20];
    let (ended, _) = shell("cat | wc -c; cat /dev/zero | head -c 100000 | tr '\\0' y", &input, patient());
    assert_eq!(ended.status, Some(0));
    assert_eq!(ended.output, "y".repeat(1000));
    let (ended, _) = shell("cat", &input[..500], patient());
    assert_eq!(ended.output.len(), 500);
}

#[test]
fn a_program_need_not_read_its_input() {
    let (ended, _) = shell("exec 0<&-; echo done", &vec![b'x'; 1 << 20], patient());
    assert_eq!((ended.status, ended.output.as_str()), (Some(0), "done\n"));
}

#[test]
fn without_input_there_is_none() {
    assert_eq!(shell("cat; echo end", b"", patient()).0.output, "end\n");
}

#[test]
fn a_flood_is_drained_and_its_end_is_kept() {
    let script = "yes flood | head -n 2000000; echo last; yes more | head -n 1000000 >&2; echo last >&2";
    let (ended, _) = shell(script, b"", patient());
    assert_eq!((ended.status, ended.timed_out), (Some(0), false));
    for text in [&ended.output, &ended.error_output] {
        assert!(text.len() <= 1000 && text.ends_with("\nlast\n"), "{} {text}", text.len());
    }
}

#[test]
fn a_program_whose_time_is_up_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!("sleep 600 & echo $! > {0}; echo $$ >> {0}; echo begun; wait", pids.display());
    let (ended, _) = shell(&script, b"", soon());
    assert_eq!((ended.status, ended.timed_out), (None, true));
    for pid in std::fs::read_to_string(pids).unwrap_or_default().lines() {
        wait_until(|| !is_running(pid));
    }
}

#[test]
fn one_that_does_not_listen_is_killed_all_the_same() {
    let (ended, _) = shell("trap '' TERM; while true; do sleep 600; done", b"", soon());
    assert_eq!((ended.status, ended.timed_out), (None, true));
}

#[test]
fn one_that_tidies_up_when_it_is_asked_to_end_may() {
    let (ended, _) = shell("trap 'echo tidy; exit 3' TERM; echo begun; while true; do sleep 0.01; done", b"", soon());
    assert_eq!((ended.status, ended.timed_out), (Some(3), true));
    assert!(ended.output.ends_with("tidy\n"), "{}", ended.output);
}

#[test]
fn what_a_program_leaves_running_is_neither_waited_for_nor_killed() {
    // The child keeps both pipes open for as long as the test does not end it.
    let (ended, _) = shell("sleep 600 & echo $!", b"", patient());
    assert_eq!((ended.status, ended.timed_out), (Some(0), false));
    assert!(is_running(&ended.output));
    let pid = Pid::from_raw(ended.output.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

#[test]
fn a_program_is_in_a_group_of_its_own() {
    let (ended, _) = shell("echo $$; cut -d' ' -f5 /proc/$$/stat", b"", patient());
    let mut numbers = ended.output.lines();
    assert_eq!(numbers.next(), numbers.next());
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let stop = Stop { ask_at: patient(), kill_at: patient() };
    let error = run(&mut Command::new("/nonexistent"), b"", stop, &limits(), &mut |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
