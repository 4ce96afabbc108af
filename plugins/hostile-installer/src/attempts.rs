//! Attempts at what no grant covers. Each has to be refused; the guest tells which was not.

use crate::{FOLDER, deeds, order::Deed};
use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use core::cell::Cell;
use farrier_plugin_sdk::{Blob, Command, Error, Folder, Host};

/// A folder with what is no file of its own.
const SPECIAL: &str = "/opt/hostile/special";
/// What is outside the grants, or leads there: folders, and names in them.
const ESCAPES: [[&str; 2]; 18] = [
    ["/etc", "passwd"],
    ["/", "etc/passwd"],
    ["/", "opt"],
    ["/", ""],
    ["/opt", "hostile2/file"],
    ["/opt", ".."],
    ["/opt", "../etc/passwd"],
    ["/opt/hostile", "../../etc/passwd"],
    ["/opt/hostile", "./../hostile2/file"],
    ["/opt/hostile", "/etc/passwd"],
    ["/opt/hostile", "."],
    ["/opt/hostile", "\0/file"],
    ["/opt/hostile", "link/file"],
    ["/opt/hostile", "deep/link/../file"],
    ["/opt/hostile/link", "file"],
    ["/opt/hostile/..", "file"],
    ["opt/hostile", "file"],
    ["", ""],
];
/// Bytes of a name that no path may have.
const LONG_NAME_BYTES: usize = 5_000;
/// Handles that no limit allows.
const MANY_HANDLES: usize = 1_000;

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
        Deed::EscapePath => ESCAPES.into_iter().flat_map(|place| files(place, contents)).collect(),
        Deed::MoveTree => moves(),
        Deed::OpenSpecial => ["pipe", "device", "hard", "symlink", "folder", "none"]
            .into_iter()
            .map(|name| -> Attempt<'a> {
                (format!("open {name}"), Box::new(move |host| absent(host.folder(SPECIAL)?.open(name).map(drop))))
            })
            .collect(),
        Deed::OpenFlood => vec![
            ("folders".into(), Box::new(|host| flood(|| host.folder(FOLDER)))),
            (
                "new files".into(),
                Box::new(|host| {
                    let (folder, number) = (host.folder(FOLDER)?, Cell::new(0_u32));
                    flood(|| {
                        number.set(number.get() + 1);
                        folder.create(&format!("flood-{}", number.get()), 0o600)
                    })
                }),
            ),
        ],
        Deed::RaceForLink => vec![("the race".into(), Box::new(race))],
        Deed::SpecialModes => [0o4755, 0o2755, 0o1755, u32::MAX]
            .into_iter()
            .map(|mode| -> Attempt<'a> {
                (
                    format!("mode {mode:o}"),
                    Box::new(move |host| {
                        let folder = host.folder(FOLDER)?;
                        refused_all([
                            folder.replace("tool", b"", mode),
                            folder.set_mode("tool", mode),
                            folder.make_folder("tools", mode),
                            folder.create("new-tool", mode).map(drop),
                        ])
                    }),
                )
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

/// Every way to change a file, for this name in this folder.
fn files<'a>([folder, name]: [&'a str; 2], contents: &'a [Blob<'a>]) -> Vec<Attempt<'a>> {
    type Way<'a> = (&'static str, Box<dyn Fn(&dyn Folder) -> Result<(), Error> + 'a>);
    let mut ways: Vec<Way<'a>> = vec![
        ("replace", Box::new(move |folder| folder.replace(name, b"pwned", 0o644))),
        ("rename to", Box::new(move |folder| folder.rename("mine", name))),
        ("rename from", Box::new(move |folder| folder.rename(name, "mine"))),
        ("exchange with", Box::new(move |folder| folder.exchange("mine", name))),
        ("exchange from", Box::new(move |folder| folder.exchange(name, "mine"))),
        ("remove", Box::new(move |folder| folder.remove(name))),
        ("mode of", Box::new(move |folder| folder.set_mode(name, 0o666))),
        ("folder", Box::new(move |folder| folder.make_folder(name, 0o777))),
        ("open", Box::new(move |folder| folder.open(name).map(drop))),
        ("create", Box::new(move |folder| folder.create(name, 0o666).map(drop))),
        ("long name in", Box::new(move |folder| folder.remove(&"x".repeat(LONG_NAME_BYTES)))),
    ];
    if let Some(blob) = contents.first() {
        ways.push(("blob to", Box::new(move |folder| folder.replace_with_blob(name, blob, 0o644))));
    }
    let attempt = |(way, make): Way<'a>| -> Attempt<'a> {
        (format!("{way} {name} in {folder}"), Box::new(move |host| make(&*host.folder(folder)?)))
    };
    ways.into_iter().map(attempt).collect()
}

/// Ways to get at the content of a folder of which only the name is granted: it would be writable where everything is.
fn moves<'a>() -> Vec<Attempt<'a>> {
    vec![
        ("rename the folder".into(), Box::new(|host| host.folder("/srv")?.rename("foreign", "mine"))),
        (
            "rename it into the grant".into(),
            Box::new(|host| host.folder("/")?.rename("srv/foreign", "opt/hostile/mine")),
        ),
        (
            "rename a folder over it".into(),
            Box::new(|host| host.folder("/")?.rename("opt/hostile/deep", "srv/foreign")),
        ),
        ("exchange it".into(), Box::new(|host| host.folder("/")?.exchange("opt/hostile/deep", "srv/foreign"))),
        ("exchange it back".into(), Box::new(|host| host.folder("/")?.exchange("srv/foreign", "opt/hostile/deep"))),
        ("exchange it with a file".into(), Box::new(|host| host.folder("/srv")?.exchange("file", "foreign"))),
        ("write into it".into(), Box::new(|host| host.folder("/srv/foreign")?.replace("secret", b"pwned", 0o644))),
    ]
}

/// What is not there cannot be opened: as good as refused.
fn absent(answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(Error::NotFound(what)) => Err(Error::Denied(what)),
        answer => answer,
    }
}

/// One answer for several: the first that is no refusal.
fn refused_all<const N: usize>(answers: [Result<(), Error>; N]) -> Result<(), Error> {
    let is_refusal = |answer: &Result<(), Error>| matches!(answer, Err(Error::Denied(_) | Error::Invalid(_)));
    answers.into_iter().find(|answer| !is_refusal(answer)).unwrap_or_else(|| Err(Error::Denied("all of it".into())))
}

/// Opens again and again, and closes nothing.
fn flood<T>(open: impl Fn() -> Result<T, Error>) -> Result<(), Error> {
    let mut held = Vec::new();
    for _ in 0..MANY_HANDLES {
        held.push(open()?);
    }
    Ok(())
}

/// Writes and reads at offsets that no file has. What is refused is as it should be, what is not is checked.
pub fn write_at_edges(host: &dyn Host, contents: &[Blob<'_>]) -> Result<(), Error> {
    let folder = host.folder(FOLDER)?;
    let target = folder.create("edges", 0o600)?;
    target.write(3, b"four")?;
    let mut wrong = vec![
        ("write at the end of numbers", target.write(u64::MAX, b"x")),
        ("write across the end of numbers", target.write(u64::MAX - 1, b"xyz")),
        ("write across the end of files", target.write(i64::MAX as u64, b"xyz")),
        ("digest of more than there is", target.digest(0, 8).map(drop)),
        ("digest of everything", target.digest(0, u64::MAX).map(drop)),
        ("digest across the end of numbers", target.digest(u64::MAX, u64::MAX).map(drop)),
        ("create what is there", folder.create("edges", 0o600).map(drop)),
    ];
    if let Some(blob) = contents.first() {
        wrong.extend([
            ("more of a blob than there is", target.write_blob(0, blob, 0, blob.length() + 1)),
            ("a blob from its end on", target.write_blob(0, blob, blob.length(), 1)),
            ("a blob across the end of numbers", target.write_blob(0, blob, u64::MAX, u64::MAX)),
            ("a blob far behind the end", target.write_blob(u64::MAX, blob, 0, 1)),
        ]);
        target.write_blob(u64::from(u32::MAX), blob, blob.length(), 0)?;
    }
    if let Some((what, _)) = wrong.into_iter().find(|(_, answer)| answer.is_ok()) {
        return Err(Error::Other(format!("{what} was let through")));
    }
    for offset in [7, i64::MAX as u64, u64::MAX] {
        if !target.read(offset, u32::MAX)?.is_empty() {
            return Err(Error::Other(format!("there was something at {offset}")));
        }
    }
    if target.length()? != 7 || target.read(0, u32::MAX)? != b"\0\0\0four" || !target.read(0, 0)?.is_empty() {
        return Err(Error::Other("it holds something else".into()));
    }
    target.sync()?;
    folder.sync()?;
    folder.remove("edges")
}

/// Writes below a name that somebody makes a folder and a link by turns. Whether it went through the link, the test sees.
fn race(host: &dyn Host) -> Result<(), Error> {
    let folder = host.folder(FOLDER)?;
    for number in 0..RACES {
        let _ = folder.replace(&format!("race/file-{number}"), b"pwned", 0o644);
        let _ = folder.make_folder(&format!("race/folder-{number}"), 0o777);
        let _ = folder.create(&format!("race/new-{number}"), 0o666);
        let _ = folder.remove("race/victim");
        let _ = folder.set_mode("race/witness", 0o777);
        let _ = folder.open("race/witness").and_then(|target| target.write(0, b"pwned"));
        let _ = folder.rename("race/witness", "mine");
        if let Ok(race) = host.folder("/opt/hostile/race") {
            let _ = race.replace("witness", b"pwned", 0o644);
        }
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
