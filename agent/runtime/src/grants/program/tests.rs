use super::*;

/// `{blob}` is a blob, `""` an empty argument.
fn covers(grant: &str, command: &str) -> bool {
    let mut words = command.split(' ').peekable();
    let mut environment = Vec::new();
    while let Some(word) = words.next_if(|word| !word.starts_with('/')) {
        let (name, value) = word.split_once('=').unwrap();
        environment.push((name.to_owned(), value.to_owned()));
    }
    let program = words.next().unwrap();
    let input = command.ends_with(" <");
    let argument = |word| match word {
        "{blob}" => None,
        "\"\"" => Some(""),
        word => Some(word),
    };
    let arguments: Vec<_> = words.filter(|word| *word != "<").map(argument).collect();
    let call = Call { environment: &environment, program, arguments: &arguments, input };
    RunGrant::parse(grant).unwrap().covers(&call)
}

fn parse_error(line: &str) -> String {
    RunGrant::parse(line).unwrap_err().to_string()
}

#[test]
fn literal_words_match_themselves_and_nothing_else() {
    let grant = "/usr/bin/dpkg --configure --pending";
    assert!(covers(grant, "/usr/bin/dpkg --configure --pending"));
    for other in [
        "/usr/bin/dpkg",
        "/usr/bin/dpkg --configure",
        "/usr/bin/dpkg --configure --pending --force-all",
        "/usr/bin/dpkg --pending --configure",
        "/usr/bin/dpkg --force-all --configure --pending",
        "/usr/bin/dpkg --configure {blob}",
        "/usr/bin/dpkg --Configure --pending",
        "/usr/bin/dpkg2 --configure --pending",
        "/bin/dpkg --configure --pending",
    ] {
        assert!(!covers(grant, other), "{other}");
    }
    assert!(covers("/usr/bin/dpkg", "/usr/bin/dpkg"));
    assert!(!covers("/usr/bin/dpkg", "/usr/bin/dpkg \"\""));
}

#[test]
fn a_blob_is_a_blob_and_no_text_looks_like_one() {
    let grant = "/usr/bin/dpkg --install {blob}...";
    assert!(covers(grant, "/usr/bin/dpkg --install {blob}"));
    assert!(covers(grant, "/usr/bin/dpkg --install {blob} {blob} {blob}"));
    for other in [
        "/usr/bin/dpkg --install",
        "/usr/bin/dpkg --install /tmp/evil.deb",
        "/usr/bin/dpkg --install {blob} /tmp/evil.deb",
        "/usr/bin/dpkg --install {blob} --force-all {blob}",
        "/usr/bin/dpkg --install {blob} --force-all",
        "/usr/bin/dpkg {blob} --install",
    ] {
        assert!(!covers(grant, other), "{other}");
    }
    let grant = RunGrant::parse("/usr/bin/dpkg {blob}").unwrap();
    let arguments = [Some("{blob}")];
    let text = Call { environment: &[], program: "/usr/bin/dpkg", arguments: &arguments, input: false };
    assert!(!grant.covers(&text), "a text that says {{blob}} is no blob");
    assert!(!covers("/usr/bin/dpkg *", "/usr/bin/dpkg {blob}"));
    assert!(!covers("/usr/bin/dpkg {blob}", "/usr/bin/dpkg {blob} {blob}"));
}

#[test]
fn a_star_is_a_name_and_never_an_option_or_a_way_out() {
    let grant = "/bin/systemctl restart *";
    for name in ["ssh.service", "a", "ssh@x y", "ä"] {
        let arguments = [Some("restart"), Some(name)];
        let call = Call { environment: &[], program: "/bin/systemctl", arguments: &arguments, input: false };
        assert!(RunGrant::parse(grant).unwrap().covers(&call), "{name}");
    }
    for name in ["--root=/tmp", "-H", "-", "a/b", "..", "", "a\nb", "a\u{7f}", "\u{1b}[1m", "/etc", "a/.."] {
        let arguments = [Some("restart"), Some(name)];
        let call = Call { environment: &[], program: "/bin/systemctl", arguments: &arguments, input: false };
        assert!(!RunGrant::parse(grant).unwrap().covers(&call), "{name:?}");
    }
}

#[test]
fn a_star_stands_for_part_of_one_path_part() {
    let grant = "/bin/cat /etc/app/*.conf";
    assert!(covers(grant, "/bin/cat /etc/app/a.conf"));
    assert!(covers(grant, "/bin/cat /etc/app/.conf"));
    for other in [
        "/etc/app/../shadow.conf",
        "/etc/app/x/a.conf",
        "/etc/app/a.conf/",
        "/etc/app/a.conf.d",
        "/etc/app//a.conf",
        "/etc/apple/a.conf",
    ] {
        assert!(!covers(grant, &format!("/bin/cat {other}")), "{other}");
    }
    assert!(!covers("/bin/cat /etc/*", "/bin/cat /etc/.."));
    assert!(!covers("/bin/cat /*/*", "/bin/cat /../etc"));
    assert!(!covers("/bin/cat /*/*", "/bin/cat //etc"));
    assert!(!covers("/bin/x --root=*", "/bin/x --root=.."));
    assert!(!covers("/bin/x --root=*/*", "/bin/x --root=../x"));
    assert!(covers("/bin/x --version=*", "/bin/x --version=1..2"));
    for option in ["-C..", "-C../x", "-xC.."] {
        assert!(!covers("/bin/x -C*", &format!("/bin/x {option}")), "{option}");
        assert!(!covers("/bin/x -*", &format!("/bin/x {option}")), "{option}");
        assert!(!covers("/bin/x -C*/*", &format!("/bin/x {option}")), "{option}");
    }
    assert!(covers("/bin/x -C*", "/bin/x -Copt"));
}

/// Else who may remove what is in a folder could remove the folder.
#[test]
fn a_star_is_never_the_folder_itself() {
    for text in ["/srv/app/", "/srv/app/.", "/srv/app/..", "/srv/app", "/srv/app//"] {
        for pattern in ["/srv/app/*", "/srv/app/.*", "/srv/app/*."] {
            assert!(!covers(&format!("/bin/rm -r {pattern}"), &format!("/bin/rm -r {text}")), "{pattern} {text}");
        }
    }
    for name in ["a", ".a", "...", "a..", "a."] {
        assert!(covers("/bin/rm -r /srv/app/*", &format!("/bin/rm -r /srv/app/{name}")), "{name}");
    }
    assert!(!covers("/bin/rm -r *", "/bin/rm -r ."));
}

#[test]
fn a_pattern_that_begins_with_a_dash_may_match_options() {
    assert!(covers("/bin/x --force-*", "/bin/x --force-confold"));
    assert!(covers("/bin/x --force-*", "/bin/x --force-"));
    assert!(!covers("/bin/x --force-*", "/bin/x --forceconf"));
    assert!(!covers("/bin/x *-x", "/bin/x -x"));
    assert!(covers("/bin/x -*...", "/bin/x -a --b"));
    assert!(!covers("/bin/x -*...", "/bin/x -a b"));
}

#[test]
fn several_stars_match_as_a_whole() {
    for (text, fits) in [("ab", true), ("axxb", true), ("a-b-c-b", true), ("ac", false), ("b", false), ("abc", false)] {
        assert_eq!(covers("/bin/x a*b", &format!("/bin/x {text}")), fits, "{text}");
    }
    for (text, fits) in [("abc", true), ("aXbYc", true), ("abbc", true), ("acb", false), ("ab", false), ("aba", false)]
    {
        assert_eq!(covers("/bin/x a*b*c", &format!("/bin/x {text}")), fits, "{text}");
    }
    // Nothing is used twice: the end of the text is not also its middle.
    assert!(!covers("/bin/x ab*ab", "/bin/x ab"));
    assert!(!covers("/bin/x ab*ba*", "/bin/x aba"));
    assert!(!covers("/bin/x *ab*ab", "/bin/x xab"));
}

#[test]
fn repeated_patterns_need_one_at_least() {
    assert!(covers("/bin/x --show *...", "/bin/x --show a b c"));
    assert!(!covers("/bin/x --show *...", "/bin/x --show"));
    assert!(!covers("/bin/x --show *...", "/bin/x --show a -b"));
    assert!(covers("/bin/x a...", "/bin/x a a"));
    assert!(!covers("/bin/x a...", "/bin/x a b"));
}

#[test]
fn variables_are_named_with_their_values() {
    let grant = "DEBIAN_FRONTEND=noninteractive A= /usr/bin/dpkg --install";
    assert!(covers(grant, "DEBIAN_FRONTEND=noninteractive /usr/bin/dpkg --install"));
    assert!(covers(grant, "A= DEBIAN_FRONTEND=noninteractive /usr/bin/dpkg --install"));
    assert!(covers(grant, "/usr/bin/dpkg --install"));
    assert!(!covers(grant, "DEBIAN_FRONTEND=dialog /usr/bin/dpkg --install"));
    assert!(!covers(grant, "LD_PRELOAD=/tmp/x /usr/bin/dpkg --install"));
    assert!(!covers(grant, "A=* /usr/bin/dpkg --install"));
    assert!(!covers("A=* /usr/bin/dpkg --install", "A=b /usr/bin/dpkg --install"), "a value is no pattern");
}

#[test]
fn standard_input_has_to_be_granted() {
    assert!(!covers("/bin/x", "/bin/x <"));
    assert!(covers("/bin/x <", "/bin/x <"));
    assert!(covers("/bin/x <", "/bin/x"));
    assert!(covers("/bin/x {blob}... <", "/bin/x {blob} {blob} <"));
}

#[test]
fn blanks_between_words_do_not_matter() {
    assert_eq!(RunGrant::parse("  /bin/x   a "), RunGrant::parse("/bin/x a"));
}

#[test]
fn what_is_no_grant_is_named_with_its_place() {
    for (line, reason) in [
        ("", "at character 1: the program is missing: its absolute path"),
        ("A=b", "at character 4: the program is missing: its absolute path"),
        ("dpkg -i", "at character 1: `dpkg` is not an absolute path"),
        ("A=ä /bin/../x", "at character 5: `/bin/../x` has a `..`"),
        ("/bin//x", "at character 1: `/bin//x` is no program's path"),
        ("/", "at character 1: `/` is no program's path"),
        ("/bin/*", "at character 1: `/bin/*` is no program: it has to be named by its path, without patterns"),
        ("/bin/x a... b", "at character 13: `...` has to stand behind the last pattern"),
        ("/bin/x a ...", "at character 10: `...` has to stand right behind a pattern"),
        ("/bin/x < a", "at character 10: `<` has to be the last word"),
        ("/bin/x\ta", "at character 7: `\\t` has no place in a grant"),
        ("A=1 A=2 /bin/x", "at character 5: A is there twice"),
        (
            "LD_PRELOAD=/x /bin/x",
            "at character 1: LD_PRELOAD cannot be granted: it decides which code the program runs",
        ),
        ("A=1 PATH=/x /bin/x", "at character 5: PATH cannot be granted: it decides which code the program runs"),
    ] {
        assert_eq!(parse_error(line), reason, "{line}");
    }
    for line in ["a=b /bin/x", "1A=b /bin/x", "=b /bin/x", "--x=y /bin/x"] {
        assert!(parse_error(line).contains("is neither a variable"), "{line}");
    }
    for line in ["/bin/x {blobs}", "/bin/x {blob}.deb", "/bin/x a{", "/bin/x {blob}{blob}"] {
        assert!(parse_error(line).contains("braces are for `{blob}`"), "{line}");
    }
    assert!(parse_error("/bin/x **").contains("there is no `**`"));
}

#[test]
fn a_command_is_shown_as_the_grant_that_covers_it() {
    let environment = [("A".to_owned(), "b".to_owned())];
    let arguments = [Some("--install"), None, None];
    let call = Call { environment: &environment, program: "/usr/bin/dpkg", arguments: &arguments, input: true };
    assert_eq!(call.to_string(), "A=b /usr/bin/dpkg --install {blob}... <");
    assert!(RunGrant::parse(&call.to_string()).unwrap().covers(&call));
    for (argument, shown) in [
        ("/srv/my dir/x", "/srv/my*dir/x"),
        ("-o a b", "-o*a*b"),
        (" *a {}\u{a0}b*", "*a*b*"),
        ("{blob}", "*blob*"),
        ("<", "*"),
        ("x...", "x*"),
        ("...", "*"),
        ("a ...", "a*"),
    ] {
        let arguments = [None, Some(argument), Some("end")];
        let call = Call { environment: &[], program: "/bin/x", arguments: &arguments, input: false };
        assert_eq!(call.to_string(), format!("/bin/x {{blob}} {shown} end"));
        assert!(RunGrant::parse(&call.to_string()).unwrap().covers(&call), "{argument}");
    }
}

#[test]
fn what_no_grant_covers_is_not_shown_as_one_of_something_else() {
    for (name, value) in [("A", "b /bin/evil"), ("A=b /bin/evil", "c"), ("A", "b\u{a0}c"), ("A\n", "b")] {
        let environment = [(name.to_owned(), value.to_owned())];
        let call = Call { environment: &environment, program: "/bin/x", arguments: &[], input: false };
        let shown = RunGrant::parse(&call.to_string());
        assert!(shown.is_err() || shown.is_ok_and(|grant| grant.program() == "/bin/x" && !grant.covers(&call)));
    }
    let environment = [("A".to_owned(), "ä".to_owned())];
    let call = Call { environment: &environment, program: "/bin/x", arguments: &[], input: false };
    assert!(RunGrant::parse(&call.to_string()).unwrap().covers(&call));
}
