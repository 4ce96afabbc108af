//! Attempts at what no grant covers. Each has to be refused; the guest tells which was not.

use crate::{FOLDER, deeds, order::Deed};
use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use farrier_plugin_sdk::{Blob, Command, Error, Host};

/// How often the race for a path is run.
const RACES: usize = 100;

/// What the guest says when everything was refused.
const ALL_REFUSED: &str = "everything was refused";

/// One attempt: its name, and what is tried.
type Attempt<'a> = (String, Box<dyn Fn(&dyn Host) -> Result<(), Error> + 'a>);

/// Tries everything that belongs to the deed. What is said is a note, or the error that names what was let through.
pub fn make(host: &dyn Host, deed: Deed, contents: &[Blob<'_>]) -> Result<String, Error> {
    for (name, attempt) in of(deed, contents).unwrap_or_default() {
        match attempt(host) {
            Ok(()) => return Err(Error::Other(format!("{name} was let through"))),
            Err(Error::Denied(_) | Error::Invalid(_) | Error::TooLarge(_)) => {}
            Err(error) => return Err(Error::Other(format!("{name} was let through, but failed: {}", error.message()))),
        }
    }
    Ok(ALL_REFUSED.into())
}

/// The attempts of this deed, if it is made of some.
pub fn of<'a>(deed: Deed, contents: &'a [Blob<'a>]) -> Option<Vec<Attempt<'a>>> {
    Some(match deed {
        Deed::EscapePath => [
            "/etc/passwd",
            "/opt",
            "/opt/hostile/../../etc/passwd",
            "/opt/hostile/./../hostile2/file",
            "/opt/hostile/\0/file",
            "/opt/hostile/link/file",
            "/opt/hostile/deep/link/../file",
            "opt/hostile/file",
            "",
        ]
        .into_iter()
        .flat_map(|path| files(path, contents))
        .collect(),
        Deed::RaceForLink => vec![("the race".into(), Box::new(race))],
        Deed::SpecialModes => [0o4755, 0o2755, 0o1755, u32::MAX]
            .into_iter()
            .map(|mode| -> Attempt<'a> {
                let path = format!("{FOLDER}/tool");
                (format!("mode {mode:o}"), Box::new(move |host| host.replace_file(&path, b"", mode)))
            })
            .collect(),
        Deed::UngrantedProgram => vec![
            command("sh", || Command::new("/bin/sh").arguments(["-c", "echo pwned > /opt/hostile/pwned"])),
            command("a relative path", || Command::new("bin/cat")),
            command("a path with dots", || Command::new("/bin/../bin/yes")),
            command("a path with slashes", || Command::new("//bin/yes")),
            command("nothing", || Command::new("")),
            command("a zero byte", || Command::new("/bin/yes\0")),
        ],
        Deed::InjectArguments => arguments(contents),
        Deed::InjectVariables => vec![
            command("another value", || Command::new("/bin/env").variable("MODE", "other")),
            command("another variable", || Command::new("/bin/env").variable("OTHER", "granted")),
            command("the linker's", || Command::new("/bin/env").variable("LD_PRELOAD", "/opt/hostile/x.so")),
            command("the path", || Command::new("/bin/env").variable("PATH", "/opt/hostile")),
            command("two variables in one", || Command::new("/bin/env").variable("MODE=granted\nLD_PRELOAD", "x")),
            command("a name with a value", || Command::new("/bin/env").variable("MODE=granted LD_PRELOAD", "x")),
            command("a variable twice", || {
                Command::new("/bin/env").variable("MODE", "granted").variable("MODE", "granted")
            }),
            command("a zero byte", || Command::new("/bin/env").variable("MODE", "granted\0")),
        ],
        Deed::InjectInput => vec![command("input", || Command::new("/bin/env").input("x"))],
        _ => return None,
    })
}

fn command<'a>(name: &str, make: impl Fn() -> Command<'a> + 'a) -> Attempt<'a> {
    (name.into(), Box::new(move |host| host.run(&make()).map(drop)))
}

/// Every way to change a file, for this path.
fn files<'a>(path: &'a str, contents: &'a [Blob<'a>]) -> Vec<Attempt<'a>> {
    let mut attempts: Vec<Attempt<'a>> = vec![
        (format!("replace {path}"), Box::new(move |host| host.replace_file(path, b"pwned", 0o644))),
        (format!("rename to {path}"), Box::new(move |host| host.rename_file("/opt/hostile/mine", path))),
        (format!("rename from {path}"), Box::new(move |host| host.rename_file(path, "/opt/hostile/mine"))),
        (format!("remove {path}"), Box::new(move |host| host.remove_file(path))),
        (format!("mode of {path}"), Box::new(move |host| host.set_mode(path, 0o666))),
        (format!("folder {path}"), Box::new(move |host| host.make_folder(path, 0o777))),
    ];
    if let Some(blob) = contents.first() {
        attempts
            .push((format!("blob to {path}"), Box::new(move |host| host.replace_file_with_blob(path, blob, 0o644))));
    }
    attempts
}

/// Writes below a name that somebody makes a folder and a link by turns. Whether it went through the link, the test sees.
fn race(host: &dyn Host) -> Result<(), Error> {
    for number in 0..RACES {
        let _ = host.replace_file(&format!("{FOLDER}/race/file-{number}"), b"pwned", 0o644);
        let _ = host.make_folder(&format!("{FOLDER}/race/folder-{number}"), 0o777);
        let _ = host.remove_file(&format!("{FOLDER}/race/victim"));
        let _ = host.set_mode(&format!("{FOLDER}/race/witness"), 0o777);
    }
    Err(Error::Denied("the race is over".into()))
}

fn arguments<'a>(contents: &'a [Blob<'a>]) -> Vec<Attempt<'a>> {
    let mut attempts = vec![
        command("no argument", || Command::new("/bin/cat")),
        command("a path for a blob", || Command::new("/bin/cat").argument("/etc/passwd")),
        command("the word for a blob", || Command::new("/bin/cat").argument("{blob}")),
        command("an option", || Command::new("/bin/echo").arguments(["name", "-n"])),
        command("a dash", || Command::new("/bin/echo").arguments(["name", "-"])),
        command("a path", || Command::new("/bin/echo").arguments(["name", "/etc/passwd"])),
        command("a way up", || Command::new("/bin/echo").arguments(["name", ".."])),
        command("two lines", || Command::new("/bin/echo").arguments(["name", "a\n-n"])),
        command("nothing", || Command::new("/bin/echo").arguments(["name", ""])),
        command("two names", || Command::new("/bin/echo").arguments(["name", "a", "b"])),
        command("two words in one", || Command::new("/bin/echo").argument("name a")),
        command("another first word", || Command::new("/bin/echo").arguments(["-e", "a"])),
        command("a zero byte", || Command::new("/bin/echo").arguments(["name", "a\0b"])),
        command("a long argument", || Command::new("/bin/echo").arguments(["name".into(), deeds::huge_text()])),
        command("another time to sleep", || Command::new("/bin/sleep").argument("601")),
    ];
    if let Some(blob) = contents.first() {
        attempts.extend([
            command("a path behind a blob", || Command::new("/bin/cat").blob(blob).argument("/etc/passwd")),
            command("an option behind a blob", || Command::new("/bin/cat").blob(blob).argument("-A")),
            command("an option before a blob", || Command::new("/bin/cat").argument("-A").blob(blob)),
            command("a blob for a name", || Command::new("/bin/echo").argument("name").blob(blob)),
            command("a blob as the program's option", || Command::new("/bin/yes").blob(blob)),
        ]);
    }
    attempts
}
