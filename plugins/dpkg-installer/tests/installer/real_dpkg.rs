//! The plugin with this machine's dpkg, in an empty root: what dpkg really writes, and how it really fails.

use crate::debian::{Debian, archive, fields, message, run, update};
use farrier_plugin_dpkg_installer::DpkgInstaller;
use farrier_plugin_sdk::{Exit, FakeBlob, FakeEndpoint, Installer, Options};
use farrier_test_harness::package::{Package, Script};
use std::fs;

#[test]
fn an_update_is_installed_and_local_changes_are_kept() {
    let package = |version: &str| {
        let package = Package::new("foo", version).conffile("/etc/foo.conf", format!("of {version}\n"));
        package.conffile("/etc/gone.conf", format!("of {version}\n"))
    };
    let debian = Debian::with(&[package("1.0")]);
    debian.write("/etc/foo.conf", "of an administrator\n");
    fs::remove_file(debian.path("/etc/gone.conf")).unwrap();
    let plan = debian.plan(&[package("2.0")]).unwrap();
    assert_eq!((&*plan[0].action, &*plan[0].detail), ("upgrade", "1.0 to 2.0"));
    assert_eq!(debian.state("foo"), "1.0 install ok installed", "planning changes nothing");
    let notes = debian.install(&[package("2.0")]).unwrap().notes;
    let expected = [
        "kept the locally modified /etc/foo.conf; the package's own is /etc/foo.conf.dpkg-dist",
        "left out /etc/gone.conf, which was deleted locally",
    ];
    assert_eq!(notes, expected);
    assert_eq!(debian.state("foo"), "2.0 install ok installed");
    assert_eq!(debian.read("/etc/foo.conf"), "of an administrator\n");
    assert_eq!(debian.read("/etc/foo.conf.dpkg-dist"), "of 2.0\n");
    assert!(!debian.path("/etc/gone.conf").exists());
}

#[test]
fn a_failing_script_is_an_error_and_a_roll_back_repairs_it() {
    let debian = Debian::with(&[Package::new("foo", "1.0"), Package::new("bar", "1.0")]);
    let update = [Package::new("foo", "2.0").failing(), Package::new("bar", "2.0").field("Depends", "foo (= 2.0)")];
    let reason = message(debian.install(&update));
    assert!(reason.starts_with("dpkg said: foo: "), "{reason}");
    assert!(reason.contains("post-installation script subprocess returned error exit status 1"), "{reason}");
    assert!(reason.contains("(it said: this package never works)"), "{reason}");
    assert!(reason.contains("bar: dependency problems - leaving unconfigured (bar depends on foo (= 2.0)"), "{reason}");
    assert_eq!(debian.state("foo"), "2.0 install ok half-configured");
    assert_eq!(debian.state("bar"), "2.0 install ok unpacked");
    let plan = debian.plan(&update).unwrap();
    assert!(plan.iter().all(|change| change.action == "repair"), "{plan:?}");
    assert!(message(debian.install(&update)).starts_with("dpkg said: foo: "), "it goes on to fail");

    debian.roll_back(&[Package::new("foo", "1.0"), Package::new("bar", "1.0")]).unwrap();
    assert_eq!(debian.state("foo"), "1.0 install ok installed");
    assert_eq!(debian.state("bar"), "1.0 install ok installed");
}

#[test]
fn packages_that_pre_depend_on_each_other_are_installed_in_two_runs() {
    let set = |version: &str| {
        let tools = Package::new("tools", version).field("Pre-Depends", &format!("libtools (= {version})"));
        [tools, Package::new("libtools", version).field("Breaks", "other (<< 1.0)")]
    };
    let [tools, library] = set("1.0");
    let debian = Debian::with(&[library, Package::new("other", "1.0")]);
    assert_eq!(run(debian.root.path(), &["--install"], &[archive(&tools)]).status, Some(0));
    debian.install(&set("2.0")).unwrap();
    assert_eq!(debian.state("tools"), "2.0 install ok installed");
    assert_eq!(debian.state("libtools"), "2.0 install ok installed");
}

#[test]
fn a_package_that_breaks_the_old_version_of_another_comes_with_the_new_one() {
    let debian =
        Debian::with(&[Package::new("libfoo", "1.0"), Package::new("foo", "1.0").field("Depends", "libfoo (= 1.0)")]);
    let library = Package::new("libfoo", "2.0").field("Breaks", "foo (<< 2.0)");
    let program = Package::new("foo", "2.0").field("Pre-Depends", "libfoo (>= 2.0)");
    assert!(message(debian.plan(std::slice::from_ref(&library))).contains("libfoo 2.0 breaks foo 1.0"));
    debian.install(&[program, library]).unwrap();
    assert_eq!(debian.state("foo"), "2.0 install ok installed");
    assert_eq!(debian.state("libfoo"), "2.0 install ok installed");
}

#[test]
fn a_file_of_another_package_is_not_overwritten() {
    let debian = Debian::with(&[Package::new("foo", "1.0"), Package::new("bar", "1.0").file("/usr/bin/tool", "bar")]);
    let reason = message(debian.install(&[Package::new("foo", "2.0").file("/usr/bin/tool", "foo")]));
    let expected = "foo_2.0_all.deb: trying to overwrite '/usr/bin/tool', which is also in package bar 1.0";
    assert!(reason.contains(expected), "{reason}");
    assert_eq!(debian.state("foo"), "1.0 install ok installed", "dpkg put it back");
}

#[test]
fn a_damaged_archive_is_refused_before_anything_is_done() {
    let debian = Debian::with(&[Package::new("foo", "1.0")]);
    let (update, blobs) = update(&[Package::new("foo", "2.0")]);
    let damaged = [FakeBlob::new(blobs[0].label(), &blobs[0].bytes()[..70])];
    let options = Options::default();
    let reason =
        message(DpkgInstaller::install(&debian.endpoint(), &update, &(), &FakeBlob::as_blobs(&damaged), &options));
    assert!(reason.contains("foo_2.0_all.deb cannot be read"), "{reason}");
    assert_eq!(debian.state("foo"), "1.0 install ok installed");
}

#[test]
fn the_lock_is_waited_for_and_what_was_done_meanwhile_counts() {
    let debian = Debian::with(&[Package::new("foo", "1.0")]);
    let lock =
        fs::File::options().create(true).truncate(false).write(true).open(debian.path("/var/lib/dpkg/lock-frontend"));
    let lock = lock.unwrap();
    rustix::fs::fcntl_lock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let (mut lock, mut asked) = (Some(lock), 0);
    debian.before(move |root, ran| {
        asked += i32::from(ran.arguments.contains(&"--pending".to_owned()));
        if asked == 3 && lock.take().is_some() {
            let exit = run(root, &["--install"], &[archive(&Package::new("foo", "3.0"))]);
            assert_eq!(exit.status, Some(0), "{}", exit.error_output);
        }
    });
    let notes = debian.install(&[Package::new("foo", "2.0")]).unwrap().notes;
    assert_eq!(notes, ["foo stays as it is: something newer than 2.0 is installed"]);
    assert_eq!(debian.state("foo"), "3.0 install ok installed");
}

#[test]
fn a_killed_dpkg_is_repaired() {
    for script in [Script::PreInstallation, Script::PostInstallation] {
        let debian = Debian::with(&[Package::new("foo", "1.0"), Package::new("bar", "1.0")]);
        // The script kills dpkg as a power cut does; what is left is its journal.
        let killing = Package::new("foo", "2.0").script(script, "kill -9 $PPID");
        assert_eq!(run(debian.root.path(), &["--install"], &[archive(&killing)]).status, None);
        assert_eq!(debian.state("foo"), "1.0 install ok installed", "so the status file says: it is out of date");
        assert!(fs::read_dir(debian.path("/var/lib/dpkg/updates")).unwrap().count() > 0);

        let plan = debian.plan(&[Package::new("bar", "2.0")]).unwrap();
        let lines: Vec<_> = plan.iter().map(|change| format!("{} {}", change.action, change.subject)).collect();
        assert_eq!(lines, ["repair foo", "upgrade bar"], "{script:?}");
        let notes = debian.install(&[Package::new("foo", "2.0"), Package::new("bar", "2.0")]).unwrap().notes;
        match script {
            Script::PreInstallation => assert_eq!(notes, [""; 0]),
            // The script that is installed kills again whoever configures it, until the package comes anew.
            _ => {
                let expected =
                    "dpkg could not finish what was begun before: a signal ended it, at: Setting up foo (2.0) ...";
                assert_eq!(notes, [expected]);
            }
        }
        assert_eq!(debian.state("foo"), "2.0 install ok installed", "{script:?}");
        assert_eq!(debian.state("bar"), "2.0 install ok installed", "{script:?}");
    }
}

#[test]
fn a_full_disk_is_told() {
    let debian = Debian::with(&[Package::new("foo", "1.0")]);
    let exit = Exit::failed(
        1,
        "dpkg: error processing archive /var/cache/x/foo_2.0_all.deb (--install):\n cannot copy extracted data for \
         './usr/share/foo/big' to '/usr/share/foo/big.dpkg-new': failed to write (No space left on device)\n",
    );
    let (update, blobs) = update(&[Package::new("foo", "2.0")]);
    let endpoint = FakeEndpoint::new(debian.facts()).with_programs(move |ran, _| match ran.program.as_str() {
        "/usr/bin/dpkg-deb" => fields(ran),
        _ if ran.arguments.contains(&"--simulate".to_owned()) => Exit::successful(""),
        _ => exit.clone(),
    });
    let options = Options::default();
    let reason = message(DpkgInstaller::install(&endpoint, &update, &(), &FakeBlob::as_blobs(&blobs), &options));
    assert!(reason.contains("foo_2.0_all.deb") && reason.contains("No space left on device"), "{reason}");
}

#[test]
fn a_script_may_ask_for_a_restart() {
    let debian = Debian::with(&[Package::new("foo", "1.0")]);
    let text =
        "mkdir -p $DPKG_ROOT/run; touch $DPKG_ROOT/run/reboot-required; echo foo >>$DPKG_ROOT/run/reboot-required.pkgs";
    let (update, blobs) = update(&[Package::new("foo", "2.0").script(Script::PostInstallation, text)]);
    let endpoint = debian.endpoint();
    let options = Options::default();
    DpkgInstaller::install(&endpoint, &update, &(), &FakeBlob::as_blobs(&blobs), &options).unwrap();
    assert_eq!(endpoint.restarts()[0].1, "foo was installed");
}
