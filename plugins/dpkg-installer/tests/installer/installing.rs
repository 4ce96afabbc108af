//! What dpkg is asked to do, and what is made of its answers.

use crate::support::{
    bookworm, deb, deeds, endpoint, endpoint_where, install, installed, put, roll_back, stanza, work,
};
use farrier_plugin_sdk::{Exit, FakeBlob, FakeEndpoint, FakeRoot, Ran, RestartSubject};
use std::sync::atomic::{AtomicU32, Ordering};

const INSTALL: &str = "--refuse-downgrade --auto-deconfigure --install";
const FINISH: &str = "--configure --pending";

fn is_install(ran: &Ran) -> bool {
    ran.arguments.contains(&"--install".to_owned()) && !ran.arguments.contains(&"--simulate".to_owned())
}

fn is_finish(ran: &Ran) -> bool {
    ran.arguments.contains(&"--pending".to_owned())
}

fn error(endpoint: &FakeEndpoint, contents: &[FakeBlob]) -> String {
    install(endpoint, contents).unwrap_err().message().to_owned()
}

#[test]
fn what_is_needed_is_installed_and_nothing_else() {
    let endpoint = endpoint(bookworm(&[installed("foo", "1.0", ""), installed("bar", "2.0", "")]));
    let contents = [deb("foo", "2.0", ""), deb("bar", "2.0", ""), deb("baz", "2.0", "")];
    assert_eq!(install(&endpoint, &contents).unwrap().notes, [""; 0]);
    assert_eq!(deeds(&endpoint), [format!("{INSTALL} {{foo_2.0_amd64.deb}}")]);
    assert_eq!(endpoint.reports(), ["Installing foo"]);
    assert!(endpoint.restarts().is_empty());

    assert_eq!(install(&endpoint, &contents).unwrap().notes, [""; 0], "again");
    assert_eq!(deeds(&endpoint).len(), 1, "and nothing is done");
}

#[test]
fn what_has_to_be_configured_first_is_installed_first() {
    let root = bookworm(&[
        installed("e2fsprogs", "1.0", "Pre-Depends: libext2fs2 (= 1.0)\n"),
        installed("libext2fs2", "1.0", "Depends: libcom-err2\n"),
        installed("libcom-err2", "1.0", ""),
        installed("util", "1.0", ""),
    ]);
    let endpoint = endpoint(root);
    let contents = [
        deb("e2fsprogs", "2.0", "Pre-Depends: libext2fs2 (= 2.0), libcom-err2 (>= 1.0)"),
        deb("util", "2.0", "Depends: e2fsprogs (= 2.0)"),
        deb("libext2fs2", "2.0", "Depends: libcom-err2 (>= 2.0)"),
        deb("libcom-err2", "2.0", ""),
    ];
    install(&endpoint, &contents).unwrap();
    let expected = [
        format!("{INSTALL} {{libext2fs2_2.0_amd64.deb}} {{libcom-err2_2.0_amd64.deb}}"),
        format!("{INSTALL} {{e2fsprogs_2.0_amd64.deb}} {{util_2.0_amd64.deb}}"),
    ];
    assert_eq!(deeds(&endpoint), expected);
}

#[test]
fn kept_configuration_files_are_noted_by_name() {
    let asked = "\nConfiguration file '/etc/foo.conf'\n ==> Modified (by you or by a script) since installation.\n \
                 ==> Package distributor has shipped an updated version.\n ==> Keeping old config file as default.\n\
                 \nConfiguration file '/etc/gone.conf'\n ==> Deleted (by you or by a script) since installation.\n \
                 ==> Package distributor has shipped an updated version.\n ==> Keeping old config file as default.\n\
                 \nConfiguration file '/etc/new.conf'\n ==> Modified (by you or by a script) since installation.\n \
                 ==> Using new file as you requested.\n";
    let endpoint = endpoint_where(bookworm(&[installed("foo", "1.0", "")]), move |ran, root| {
        is_install(ran).then(|| Exit { error_output: asked.to_owned(), ..work(ran, root) })
    });
    let expected = [
        "kept the locally modified /etc/foo.conf; the package's own is /etc/foo.conf.dpkg-dist",
        "left out /etc/gone.conf, which was deleted locally",
    ];
    assert_eq!(install(&endpoint, &[deb("foo", "2.0", "")]).unwrap().notes, expected);
}

#[test]
fn what_was_interrupted_is_finished_first() {
    for status in ["install ok unpacked", "install ok half-configured", "install ok triggers-pending"] {
        let endpoint = endpoint(bookworm(&[installed("foo", "1.0", ""), stanza("other", "1", status, "")]));
        install(&endpoint, &[deb("foo", "2.0", "")]).unwrap();
        assert_eq!(deeds(&endpoint), [FINISH.to_owned(), format!("{INSTALL} {{foo_2.0_amd64.deb}}")], "{status}");
    }
    let half = endpoint(bookworm(&[stanza("foo", "2.0", "install ok half-configured", "")]));
    install(&half, &[deb("foo", "2.0", "")]).unwrap();
    assert_eq!(deeds(&half), [FINISH], "that was all there was to do");
}

#[test]
fn what_cannot_be_finished_is_noted_and_does_not_stop_the_rest() {
    let said = "dpkg: error processing package other (--configure):\n installed other package post-installation script \
                subprocess returned error exit status 1\nErrors were encountered while processing:\n other\n";
    let root = bookworm(&[installed("foo", "1.0", ""), stanza("other", "1", "install ok half-configured", "")]);
    let endpoint = endpoint_where(root, move |ran, root| {
        if is_install(ran) {
            put(root, &ran.blobs[0], "install ok installed");
            return Some(Exit::successful(""));
        }
        is_finish(ran).then(|| Exit::failed(1, said))
    });
    let expected = "dpkg could not finish what was begun before: other: installed other package post-installation script \
                    subprocess returned error exit status 1";
    assert_eq!(install(&endpoint, &[deb("foo", "2.0", "")]).unwrap().notes, [expected]);
}

#[test]
fn a_failed_script_is_told_in_dpkgs_words() {
    let said = "this package never works\ndpkg: error processing package foo (--install):\n installed foo package \
                post-installation script subprocess returned error exit status 1\ndpkg: dependency problems prevent \
                configuration of bar:\n bar depends on foo (= 2.0); however:\n  Package foo is not configured yet.\n\n\
                dpkg: error processing package bar (--install):\n dependency problems - leaving unconfigured\nErrors \
                were encountered while processing:\n foo\n bar\n";
    let endpoint = endpoint_where(bookworm(&[installed("foo", "1.0", "")]), move |ran, root| {
        if is_install(ran) {
            put(root, &ran.blobs[0], "install ok half-configured");
        }
        (is_install(ran) || is_finish(ran)).then(|| Exit::failed(1, said))
    });
    let expected = "dpkg said: foo: installed foo package post-installation script subprocess returned error exit status 1 \
                    (it said: this package never works); bar: dependency problems - leaving unconfigured (bar depends on \
                    foo (= 2.0); however: Package foo is not configured yet.)";
    assert_eq!(error(&endpoint, &[deb("foo", "2.0", "")]), expected);
    assert_eq!(deeds(&endpoint), [format!("{INSTALL} {{foo_2.0_amd64.deb}}"), FINISH.to_owned()], "tried once more");
}

#[test]
fn what_works_at_the_second_attempt_is_noted() {
    let endpoint = endpoint_where(bookworm(&[installed("foo", "1.0", "")]), |ran, root| {
        is_install(ran).then(|| {
            put(root, &ran.blobs[0], "install ok half-configured");
            Exit::failed(1, "dpkg: error processing package foo (--install):\n too early\n")
        })
    });
    let notes = install(&endpoint, &[deb("foo", "2.0", "")]).unwrap().notes;
    assert_eq!(notes, ["dpkg failed once (foo: too early) and succeeded when it was asked again"]);
}

#[test]
fn success_is_what_the_database_says() {
    let lying = |status: &'static str| {
        endpoint_where(bookworm(&[installed("foo", "1.0", "")]), move |ran, root| {
            is_install(ran).then(|| {
                put(root, &ran.blobs[0], status);
                Exit::successful("")
            })
        })
    };
    let contents = [deb("foo", "2.0", "")];
    let reason = error(&lying("install ok half-configured"), &contents);
    assert_eq!(reason, "dpkg reported success, but foo 2.0 is half-configured");
    assert!(install(&lying("install ok triggers-awaited"), &contents).is_ok(), "another package's work");
    let idle = endpoint_where(bookworm(&[installed("foo", "1.0", "")]), |ran, _| {
        is_install(ran).then(|| Exit::successful(""))
    });
    assert_eq!(error(&idle, &contents), "dpkg reported success, but foo 1.0 is installed");
    let damaging =
        endpoint_where(bookworm(&[installed("foo", "1.0", ""), installed("bar", "1.0", "")]), |ran, root| {
            is_install(ran).then(|| {
                put(root, &deb("bar", "1.0", ""), "install ok half-configured");
                work(ran, root);
                put(root, &deb("bar", "1.0", ""), "install ok half-configured");
                Exit::successful("")
            })
        });
    assert_eq!(error(&damaging, &contents), "dpkg left bar half installed");
}

const LOCKED: &str = "dpkg: error: dpkg frontend lock was locked by another process with pid 4711\nNote: removing the lock \
                      file is always wrong, can damage the locked area\nand the entire system.\n";

/// An endpoint whose dpkg is locked `times` times; then somebody else has done `meanwhile`.
fn locked(root: FakeRoot, times: u32, meanwhile: impl Fn(&mut FakeRoot) + Send + 'static) -> FakeEndpoint {
    let left = AtomicU32::new(times);
    endpoint_where(root, move |ran, root| {
        if !(is_install(ran) || is_finish(ran)) || left.load(Ordering::Relaxed) == 0 {
            return None;
        }
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            meanwhile(root);
        }
        Some(Exit::failed(2, LOCKED))
    })
}

#[test]
fn whoever_has_the_lock_is_waited_for() {
    let endpoint = locked(bookworm(&[installed("foo", "1.0", "")]), 4, |_| {});
    install(&endpoint, &[deb("foo", "2.0", "")]).unwrap();
    let install = format!("{INSTALL} {{foo_2.0_amd64.deb}}");
    assert_eq!(deeds(&endpoint), [&install, FINISH, FINISH, FINISH, FINISH, &install]);
    assert_eq!(endpoint.paused(), 6_000);
    assert!(endpoint.reports().contains(&"Waiting for process 4711, which has locked dpkg's database".to_owned()));
}

#[test]
fn what_the_other_one_did_meanwhile_counts() {
    let root = || bookworm(&[installed("foo", "1.0", "")]);
    let contents = [deb("foo", "2.0", "")];
    let same = locked(root(), 2, |root| put(root, &deb("foo", "2.0", ""), "install ok installed"));
    assert_eq!(install(&same, &contents).unwrap().notes, [""; 0]);
    let newer = locked(root(), 2, |root| put(root, &deb("foo", "3.0", ""), "install ok installed"));
    let notes = install(&newer, &contents).unwrap().notes;
    assert_eq!(notes, ["foo stays as it is: something newer than 2.0 is installed"]);
    for endpoint in [same, newer] {
        assert_eq!(deeds(&endpoint).iter().filter(|deed| deed.contains("--install")).count(), 1, "only the locked one");
    }
    let held = locked(root(), 2, |root| put(root, &deb("foo", "1.0", ""), "hold ok installed"));
    assert!(error(&held, &contents).contains("foo is on hold"));
}

#[test]
fn waiting_ends_when_the_time_is_up() {
    let endpoint = locked(bookworm(&[installed("foo", "1.0", "")]), u32::MAX, |_| {}).with_milliseconds(60_000);
    let reason = error(&endpoint, &[deb("foo", "2.0", "")]);
    assert!(reason.contains("another program kept dpkg's database locked until the time was up"), "{reason}");
}

#[test]
fn a_program_that_was_stopped_is_told() {
    let endpoint = endpoint_where(bookworm(&[installed("foo", "1.0", "")]), |ran, root| {
        is_install(ran).then(|| {
            put(root, &ran.blobs[0], "install ok half-configured");
            Exit { status: None, timed_out: true, ..Exit::successful("Setting up foo (2.0) ...\n") }
        })
    });
    let expected = "dpkg was stopped because the time of the installation was up, at: Setting up foo (2.0) ...";
    assert_eq!(error(&endpoint, &[deb("foo", "2.0", "")]), expected);
    assert!(!deeds(&endpoint).contains(&FINISH.to_owned()), "there is no time for that");
}

#[test]
fn a_restart_is_asked_for_where_only_that_helps() {
    let restarts = |name: &str, leaves: Vec<(&'static str, &'static str)>, before: Vec<(&str, &str)>| {
        let root = before
            .iter()
            .fold(bookworm(&[installed(name, "1.0", "")]), |root, (path, text)| root.with_file(path, *text));
        let endpoint = endpoint_where(root, move |ran, root| {
            is_install(ran).then(|| {
                *root = leaves.iter().fold(root.clone(), |root, (path, text)| root.with_file(path, *text));
                work(ran, root)
            })
        });
        install(&endpoint, &[deb(name, "2.0", "")]).unwrap();
        let restarts = endpoint.restarts();
        assert!(restarts.iter().all(|(subject, _)| *subject == RestartSubject::Machine));
        restarts.into_iter().map(|(_, reason)| reason).collect::<Vec<_>>()
    };
    let (flag, list) = (("/run/reboot-required", "*** System restart required ***\n"), "/run/reboot-required.pkgs");
    assert_eq!(restarts("libc6", vec![], vec![]), ["libc6 was installed"]);
    assert_eq!(restarts("linux-image-6.1.0-38-amd64", vec![], vec![]), ["linux-image-6.1.0-38-amd64 was installed"]);
    assert_eq!(restarts("foo", vec![], vec![]), [""; 0]);
    assert_eq!(restarts("foo", vec![flag, (list, "foo\n")], vec![]), ["foo was installed"]);
    assert_eq!(restarts("foo", vec![flag], vec![]), ["the installation left /run/reboot-required"]);
    assert_eq!(
        restarts("foo", vec![], vec![flag, (list, "other\n")]),
        [""; 0],
        "it was needed before, and not for this"
    );
    assert_eq!(restarts("foo", vec![(list, "other\nthird\n")], vec![flag, (list, "other\n")]), ["third was installed"]);
}

#[test]
fn a_roll_back_installs_the_earlier_versions() {
    let root = bookworm(&[stanza("foo", "2.0", "install ok half-configured", ""), installed("bar", "1.0", "")]);
    let endpoint = endpoint(root);
    let previous = [deb("foo", "1.0", ""), deb("bar", "1.0", "")];
    roll_back(&endpoint, &[deb("foo", "2.0", ""), deb("bar", "2.0", "")], &previous).unwrap();
    assert_eq!(deeds(&endpoint), ["--force-downgrade --auto-deconfigure --install {foo_1.0_amd64.deb}"]);
    let failing = endpoint_where(endpoint.root(), |ran, _| {
        (is_install(ran) || is_finish(ran)).then(|| Exit::failed(1, "dpkg: error: no\n"))
    });
    assert!(roll_back(&failing, &[], &[deb("foo", "0.9", "")]).unwrap_err().message().contains("dpkg said: no"));
    assert!(roll_back(&failing, &[], &previous).is_ok(), "it is all there already");
}

#[test]
fn nothing_at_all_is_done_for_a_refused_installation() {
    let endpoint = endpoint(bookworm(&[installed("foo", "1.0", "")]));
    assert!(error(&endpoint, &[deb("foo", "2.0", "Depends: missing")]).contains("needs missing"));
    assert_eq!(deeds(&endpoint), [""; 0]);
}
