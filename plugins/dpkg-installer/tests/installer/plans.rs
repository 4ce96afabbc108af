//! What an installation would change, and what must not be installed.

use crate::support::{STATUS, bookworm, deb, endpoint, endpoint_where, installed, plan, plan_lines, refusal, stanza};
use farrier_plugin_sdk::{Error, Exit, FakeBlob};

#[test]
fn a_plan_says_all_that_changes() {
    let root = bookworm(&[
        installed("foo", "1.0", ""),
        installed("same", "2.0", ""),
        stanza("half", "2.0", "install ok half-configured", ""),
        stanza("other", "7", "install ok unpacked", ""),
        installed("foreign", "1.0", "Architecture: i386\n"),
    ]);
    let contents = [
        deb("foo", "2.0", "Depends: foo-data (= 2.0)"),
        deb("foo-data", "2.0", "Architecture: all"),
        deb("unwanted", "2.0", ""),
        deb("same", "2.0", ""),
        deb("half", "2.0", ""),
        deb("foreign", "2.0", "Architecture: i386"),
    ];
    let expected = [
        "repair other: 7 is unpacked",
        "upgrade foo: 1.0 to 2.0",
        "repair half: 2.0 is half-configured",
        "upgrade foreign:i386: 1.0 to 2.0",
        "install foo-data: 2.0",
    ];
    assert_eq!(plan_lines(root, &contents), expected);
    assert_eq!(plan_lines(bookworm(&[installed("foo", "2.0", "")]), &contents[..1]), [""; 0]);
}

#[test]
fn planning_changes_nothing() {
    let endpoint = endpoint(bookworm(&[installed("foo", "1.0", "")]));
    plan(&endpoint, &[deb("foo", "2.0", "")], false).unwrap();
    let fields = "Package Version Architecture Multi-Arch Essential Protected Pre-Depends Depends Conflicts Breaks \
                  Provides Replaces";
    let expected = [
        format!("/usr/bin/dpkg-deb --field {{foo_2.0_amd64.deb}} {fields}"),
        "DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 /usr/bin/dpkg --force-confdef --force-confold \
         --refuse-downgrade --auto-deconfigure --simulate --install {foo_2.0_amd64.deb}"
            .to_owned(),
    ];
    assert_eq!(endpoint.ran_lines(), expected);
    assert!(endpoint.changes().is_empty() && endpoint.restarts().is_empty());
}

#[test]
fn a_file_must_hold_what_its_label_says() {
    let refused = |content: &str| {
        let root = bookworm(&[installed("foo", "1.0", "")]);
        refusal(root, &[FakeBlob::new("foo_2.0_amd64.deb", content)])
    };
    for content in [
        "Package: bar\nVersion: 2.0\nArchitecture: amd64\n",
        "Package: foo\nVersion: 3.0\nArchitecture: amd64\n",
        "Package: foo\nVersion: 2.0\nArchitecture: all\n",
        "",
    ] {
        assert!(refused(content).contains("foo_2.0_amd64.deb holds another package"), "{content}");
    }
    let clause = refused("Package: foo\nVersion: 2.0\nArchitecture: amd64\nDepends: ok, bar (?? 1)\n");
    assert!(clause.contains("`bar (?? 1)`"), "{clause}");
    assert!(refused("nonsense").contains("a line is no field"));
}

#[test]
fn what_is_needed_must_be_there() {
    let refused = |depends: &str, other: &str| {
        let mut stanzas = vec![installed("foo", "1.0", "")];
        stanzas.extend((!other.is_empty()).then(|| other.to_owned()));
        plan(&endpoint(bookworm(&stanzas)), &[deb("foo", "2.0", depends)], false)
            .err()
            .map(|error| error.message().to_owned())
    };
    let reason = refused("Depends: bar (>= 2.0)", &installed("bar", "1.0", "")).unwrap();
    let expected = "it cannot be installed here: foo 2.0 needs bar (>= 2.0), but bar 1.0 is installed: deploy the update \
                    that brings it, too";
    assert_eq!(reason, expected);
    let reason = refused("Pre-Depends: bar | baz", "").unwrap();
    assert!(reason.contains("needs bar | baz, but none is installed"), "{reason}");

    let foreign = bookworm(&[installed("foo", "1.0", "Architecture: i386\n"), installed("bar", "1.0", "")]);
    let reason = refusal(foreign, &[deb("foo", "2.0", "Architecture: i386\nDepends: bar")]);
    assert!(reason.contains("foo:i386 2.0 needs bar for i386, but bar 1.0 is installed"), "{reason}");

    let good = |depends: &str, other: &str| assert_eq!(refused(depends, other), None, "{depends} and {other}");
    good("Depends: bar (>= 2.0) | baz", &installed("baz", "1.0", ""));
    good("Depends: bar", &installed("baz", "1.0", "Provides: bar\n"));
    good("Depends: bar (>= 2)", &installed("baz", "1.0", "Provides: bar (= 3)\n"));
    good("Depends: bar (>= 2)", &installed("bar", "2", "Architecture: all\n"));
    good("Depends: bar", &installed("bar", "1", "Architecture: i386\nMulti-Arch: foreign\n"));
    good("Depends: bar:any", &installed("bar", "1", "Architecture: i386\nMulti-Arch: allowed\n"));
    good("Depends: bar:native (>= 1)", &installed("bar", "1", ""));
    good("Depends: bar:i386", &installed("bar", "1", "Architecture: i386\n"));
    good("Depends: foo (>= 2.0)", "");

    let bad = |depends: &str, other: &str| assert!(refused(depends, other).is_some(), "{depends} and {other}");
    bad("Depends: bar (>= 2)", &installed("baz", "3", "Provides: bar\n"));
    bad("Depends: bar (>= 2)", &installed("baz", "3", "Provides: bar (= 1)\n"));
    bad("Depends: bar", &installed("bar", "1", "Architecture: i386\n"));
    bad("Depends: bar:i386", &installed("bar", "1", ""));
    bad("Depends: bar", &stanza("bar", "1", "deinstall ok config-files", ""));
    bad("Depends: bar", &stanza("bar", "1", "install reinstreq half-installed", ""));
}

#[test]
fn others_must_not_break() {
    let root = |other: String| bookworm(&[installed("libfoo", "1.0", "Multi-Arch: same\n"), other]);
    let contents = [deb("libfoo", "2.0", "Multi-Arch: same")];
    let reason = refusal(root(installed("foo", "1.0", "Depends: libfoo (= 1.0)\n")), &contents);
    assert!(reason.contains("it would break foo 1.0, which needs libfoo (= 1.0): deploy"), "{reason}");
    let reason = refusal(root(installed("foo", "1.0", "Breaks: libfoo (>= 2.0)\n")), &contents);
    assert!(reason.contains("foo 1.0, which is installed, conflicts with libfoo 2.0"), "{reason}");
    let reason = refusal(root(installed("libfoo", "1.0", "Architecture: i386\nMulti-Arch: same\n")), &contents);
    let expected = "libfoo 2.0 of amd64 and libfoo:i386 1.0 of i386 cannot be installed together";
    assert!(reason.contains(expected), "{reason}");
    let reason =
        refusal(root(installed("foo", "1.0", "")), &[deb("libfoo", "2.0", "Breaks: foo (<< 2)\nReplaces: foo")]);
    assert!(reason.contains("libfoo 2.0 breaks foo 1.0: deploy the update of that, too"), "{reason}");

    let broken_before = installed("foo", "1.0", "Depends: missing, libfoo (= 0.9)\n");
    assert_eq!(plan_lines(root(broken_before), &contents), ["upgrade libfoo: 1.0 to 2.0"]);
    let both = [deb("libfoo", "2.0", "Breaks: foo (<< 2.0)"), deb("foo", "2.0", "Depends: libfoo (= 2.0)")];
    let lines = plan_lines(root(installed("foo", "1.0", "Depends: libfoo (= 1.0)\n")), &both);
    assert_eq!(lines, ["upgrade libfoo: 1.0 to 2.0", "upgrade foo: 1.0 to 2.0"]);
}

#[test]
fn several_reasons_are_said_and_the_rest_is_counted() {
    let others = ["a", "b", "c", "d", "e", "f"].map(|name| installed(name, "1", "Depends: libfoo (= 1.0)\n"));
    let root = bookworm(&[others.as_slice(), &[installed("libfoo", "1.0", "")]].concat());
    let reason = refusal(root, &[deb("libfoo", "2.0", "")]);
    assert!(reason.ends_with("; and 2 more reasons") && reason.matches("would break").count() == 4, "{reason}");
}

#[test]
fn nothing_is_removed_unless_that_is_allowed() {
    let root = || bookworm(&[installed("foo", "1.0", ""), installed("bar", "1.0", "")]);
    let replacing = [deb("foo", "2.0", "Conflicts: bar\nReplaces: bar")];
    let reason = refusal(root(), &replacing);
    assert!(reason.contains("it would remove bar 1.0 in favour of foo 2.0, and the deployment allows no"), "{reason}");
    let changes = plan(&endpoint(root()), &replacing, true).unwrap();
    assert_eq!(changes.last().map(|change| (&*change.action, &*change.subject)), Some(("remove", "bar")));

    let reason = refusal(root(), &[deb("foo", "2.0", "Conflicts: bar")]);
    assert!(reason.contains("foo 2.0 conflicts with bar 1.0"), "{reason}");
    let essential = bookworm(&[installed("foo", "1.0", ""), installed("bar", "1.0", "Protected: yes\n")]);
    let reason = plan(&endpoint(essential), &replacing, true).unwrap_err();
    assert!(reason.message().contains("bar 1.0, which is essential"), "{}", reason.message());
    let needed = bookworm(&[
        installed("foo", "1.0", ""),
        installed("bar", "1.0", ""),
        installed("baz", "1.0", "Depends: bar\n"),
    ]);
    let reason = plan(&endpoint(needed), &replacing, true).unwrap_err();
    assert!(reason.message().contains("it would break baz 1.0, which needs bar"), "{}", reason.message());
    let provided = [deb("foo", "2.0", "Conflicts: bar\nReplaces: bar\nProvides: bar")];
    assert_eq!(plan(&endpoint(root()), &provided, true).unwrap().len(), 2, "a package may replace what it provides");
}

#[test]
fn dpkg_is_asked_for_a_second_opinion() {
    let answer = |exit: Exit| {
        let root = bookworm(&[installed("foo", "1.0", "")]);
        let simulated = move |ran: &farrier_plugin_sdk::Ran| ran.arguments.contains(&"--simulate".to_owned());
        let endpoint = endpoint_where(root, move |ran, _| simulated(ran).then(|| exit.clone()));
        plan(&endpoint, &[deb("foo", "2.0", "")], true).map(|_| ()).map_err(|error| error.message().to_owned())
    };
    let refused = "dpkg: error processing archive /x/y/foo_2.0_amd64.deb (--install):\n cannot access archive: no\n";
    assert_eq!(
        answer(Exit::failed(1, refused)),
        Err("dpkg would refuse it: foo_2.0_amd64.deb: cannot access archive: no".to_owned())
    );
    let removing =
        Exit { error_output: "dpkg: yes, will remove bar in favour of foo\n".to_owned(), ..Exit::successful("") };
    assert_eq!(answer(removing), Err("dpkg would remove bar, which nothing in the update says".to_owned()));
    assert_eq!(answer(Exit::successful("Preparing to unpack")), Ok(()));
}

#[test]
fn a_package_that_was_put_on_hold_meanwhile_is_refused() {
    let root = bookworm(&[stanza("foo", "1.0", "hold ok installed", "")]);
    assert!(refusal(root, &[deb("foo", "2.0", "")]).contains("foo is on hold"));
    let denied = endpoint(bookworm(&[])).root().without_file(STATUS);
    assert!(matches!(plan(&endpoint(denied), &[], false), Err(Error::NotFound(_))));
}
