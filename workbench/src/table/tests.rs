use super::*;

fn parse(text: &str) -> Result<Table, String> {
    Table::parse(text, Path::new("/nowhere")).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_case_has_the_files_of_its_table_and_its_own() {
    let table = parse(
        r#"
        plugin = "../plugin.wasm"
        grants = { read = [] }
        files = { "/etc/a" = "table", "/etc/b" = "table" }
        [[case]]
        name = "one"
        files = { "/etc/b" = { base64 = "AP8=", mode = "0600" }, "/l" = { link = "etc" }, "/d" = { folder = true } }
        os = { machine = "x86_64" }
        queries = { disk-space = { "/opt" = { free_bytes = 5 } } }
        rule = { name = "editor", versions = [1, 2] }
        state = "Required"
        explanation = ["old"]
        "#,
    )
    .unwrap();
    assert_eq!(table.plugin, Some(PathBuf::from("/nowhere/../plugin.wasm")));
    let case = &table.cases[0];
    assert_eq!(case.files.len(), 4);
    assert_eq!(case.files["/etc/b"], FileValue { kind: FileKind::Bytes(vec![0, 255]), mode: Some(0o600) });
    assert_eq!(case.files["/l"].kind, FileKind::Link("etc".to_owned()));
    assert_eq!(case.grants.as_ref().unwrap().read, Some(vec![]));
    assert_eq!(case.queries, [("disk-space".to_owned(), "/opt".to_owned(), "{\"free_bytes\":5}".to_owned())]);
    assert_eq!(case.steps[0].expected.state, Some(ComplianceState::Required));
    assert_eq!(case.steps[0].rule.as_ref().unwrap()["versions"][1], 2);
}

#[test]
fn later_steps_are_about_the_same_update() {
    let table = parse(
        r#"
        [[case]]
        name = "installs, then finishes"
        instructions = { a = 1 }
        contents = { "x.bin" = { text = "new" } }
        options = { allow_removals = true, more = { force = "yes" } }
        programs = [ { run = "/bin/true {x.bin}" }, { run = "/bin/false", status = 1, error_output = "no" } ]
        after = { "/opt/x" = { absent = true } }
        [[case.then]]
        call = "roll-back"
        previous = { "y.bin" = "old" }
        restart = ["machine"]
        "#,
    )
    .unwrap();
    let [first, second] = &table.cases[0].steps[..] else { panic!("there are two steps") };
    assert_eq!((first.call, second.call), (InstallerCall::Install, InstallerCall::RollBack));
    assert_eq!(first.rule, second.rule);
    assert_eq!(second.contents.len() + second.previous.len(), 2);
    assert!(second.options.allow_removals && second.programs.is_empty());
    assert_eq!(first.programs[1].status, 1);
    assert_eq!(first.expected.after["/opt/x"].kind, FileKind::Absent);
}

#[test]
fn what_is_wrong_is_named_with_its_case() {
    for (text, expected) in [
        ("", "there is no [[case]]"),
        ("[[case]]\nname = 'a'", "case «a»: nothing is expected"),
        ("[[case]]\nname = 'a'\nstate = 'required'", "`state = \"required\"` is none of Required"),
        (
            "[[case]]\nname = 'a'\nstaet = 'Required'",
            "case «a»: unknown field `staet`, expected one of `name`, `files`",
        ),
        (
            "[[case]]\nname = 'a'\nexplanation = 'x'",
            "case «a»: invalid type: string \"x\", expected a sequence\nin `explan",
        ),
        ("[[case]]\nplan = []\n[[case.then]]\nname = 'a'", "step 2: unknown field `name`, expected one of `rule`"),
        ("[[case]]\nname = 'a'\nplan = []\n[[case]]\nname = 'a'\nplan = []", "two cases have the name «a»"),
        ("[[case]]\nstate = 'Required'\nerror = 'x'", "case «case 1»: `state` and `error` exclude"),
        ("[[case]]\nplan = []\nerror = 'x'", "case «case 1»: `plan` and `error` exclude"),
        ("[[case]]\nstate = 'Required'\nfiles = { 'etc/x' = '' }", "a path of the endpoint is absolute"),
        ("[[case]]\nstate = 'Required'\nfiles = { '/etc/../x' = '' }", "`/etc/../x`"),
        ("[[case]]\nstate = 'Required'\nfiles = { '/a' = { text = '', link = 'b' } }", "exactly one of"),
        ("[[case]]\nstate = 'Required'\nfiles = { '/a' = {} }", "exactly one of"),
        ("[[case]]\nstate = 'Required'\nfiles = { '/a' = { text = '', mode = '0999' } }", "no mode"),
        ("[[case]]\nstate = 'Required'\nfiles = { '/a' = { file = 'missing' } }", "reading /nowhere/missing"),
        ("[[case]]\nplan = []\ncontents = { '../x' = '' }", "a label is a plain file name"),
        ("[[case]]\nplan = []\nrule = 1\ninstructions = 1", "write one of them"),
        ("[[case]]\nplan = []\ncall = 'instal'", "instal"),
        ("[[case]]\nplan = []\n[[case.then]]\ncall = 'plan'", "step 2: nothing is expected"),
        ("[[case]]\nplan = []\noptions = { removals = true }", "removals"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn what_nobody_would_look_at_is_refused() {
    use World::{Applicability, Installer};
    for (world, case, expected) in [
        (Applicability, "rule = 1\nplan = []", "`plan` is for installers"),
        (Applicability, "rule = 1\nstate = 'Required'\nafter = { '/a' = '' }", "`after` is for installers"),
        (Applicability, "instructions = 1\nstate = 'Required'", "`instructions` is for installers"),
        (Applicability, "scopes = []\nprograms = [{ run = '/a' }]", "`programs` is for installers"),
        (Applicability, "state = 'Required'", "there is no `rule` of which to expect `state`"),
        (Applicability, "rule = 1\nerror = 'x'\n[[case.then]]\ncall = 'plan'\nscopes = []", "step 2: `call` is for"),
        (Installer, "state = 'Required'", "`state` is for applicability plugins"),
        (Installer, "rule = 1\nnotes = []", "`rule` is for applicability plugins"),
        (Installer, "scopes = []\nerror = 'x'", "`scopes` is for applicability plugins"),
        (Installer, "call = 'plan'\nplan = []\nrestart = []", "`restart` is not an answer of `plan`"),
        (Installer, "call = 'plan'\nnotes = []", "`notes` is not an answer of `plan`"),
        (Installer, "call = 'select'\nplan = []", "`plan` is not an answer of `select`"),
        (
            Installer,
            "selects = []",
            "`selects` is not an answer of `install`, which is called where there is no `call`",
        ),
        (Installer, "notes = []\n[[case.then]]\ncall = 'roll-back'\nplan = []", "step 2: `plan` is not an answer of"),
    ] {
        let table = parse(&format!("[[case]]\n{case}")).unwrap();
        let error = format!("{:#}", table.cases[0].check(world).unwrap_err());
        assert!(error.contains(expected), "{case}: {error}");
    }
    for (world, case) in [
        (Applicability, "rule = 1\nscopes = []\nstate = 'Required'\nexplanation = ['a']"),
        (Applicability, "scopes = []\nerror = 'x'"),
        (Installer, "call = 'select'\nselects = []\nselects_previous = []"),
        (Installer, "call = 'plan'\nplan = []\nafter = { '/a' = '' }"),
        (Installer, "instructions = 1\ncontents = { a = '' }\nnotes = []\nrestart = []"),
        (Installer, "call = 'finish'\nerror = 'x'"),
    ] {
        parse(&format!("[[case]]\n{case}")).unwrap().cases[0].check(world).unwrap();
    }
}
