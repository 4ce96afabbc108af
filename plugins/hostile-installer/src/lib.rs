//! An installer that misbehaves in the way it is told to: what the grants and limits of the agent are tested with.
//!
//! The file `/etc/hostile` says when and how: `install:trap-half-way`. Without a phase, a [`Deed`] is done in its usual one.
//! In every other phase, with the deed `nothing` and where there is no such file, the guest is honest: it selects
//! everything, and puts it into [`FOLDER`].
#![no_std]

extern crate alloc;

mod attempts;
mod deeds;
mod order;

use alloc::{format, string::String, vec, vec::Vec};
use farrier_plugin_sdk::{
    Blob, Change, Command, Error, Facts, Host, Installer, Options, Outcome, RestartSubject, Selection, Update,
};
pub use order::{Deed, Order, Phase};

/// Where contents are put.
pub const FOLDER: &str = "/opt/hostile";
/// The folder of what is replaced by the deed `replace-status`, which has this name in it.
const STATUS: [&str; 2] = ["/var/lib/dpkg", "status"];
/// Milliseconds a program gets that would take ten minutes.
const SHORT_MILLISECONDS: u32 = 50;

/// The guest.
pub struct HostileInstaller;

farrier_plugin_sdk::export_installer!(HostileInstaller);

impl Installer for HostileInstaller {
    type Instructions<'a> = ();

    fn select(facts: &dyn Facts, update: &Update, (): &()) -> Result<Selection, Error> {
        let mut selection = Selection::everything(update);
        match Order::read(facts)?.deed_in(Phase::Select) {
            Some(Deed::SelectNothing) => selection.contents.clear(),
            Some(Deed::SelectTooMuch) => selection.contents.push(u32::MAX),
            Some(Deed::SelectTwice) => selection.contents.extend(Selection::everything(update).contents),
            deed => deeds::commit(deed, None)?,
        }
        Ok(selection)
    }

    fn plan(host: &dyn Host, _: &Update, (): &(), contents: &[Blob<'_>], _: &Options) -> Result<Vec<Change>, Error> {
        let change = |subject: String| Change { subject, action: "install".into(), detail: "as it is".into() };
        match Order::read(host)?.deed_in(Phase::Plan) {
            Some(Deed::HugePlan) => return Ok(vec![change("again".into()); deeds::HUGE_COUNT]),
            deed => deeds::commit(deed, Some(host))?,
        }
        Ok(contents.iter().map(|blob| change(blob.label())).collect())
    }

    fn install(host: &dyn Host, _: &Update, (): &(), contents: &[Blob<'_>], _: &Options) -> Result<Outcome, Error> {
        work(host, Order::read(host)?.deed_in(Phase::Install), contents)
    }

    fn finish(host: &dyn Host, _: &Update, (): &()) -> Result<Outcome, Error> {
        work(host, Order::read(host)?.deed_in(Phase::Finish), &[])
    }

    fn roll_back(host: &dyn Host, _: &Update, (): &(), previous: &[Blob<'_>]) -> Result<Outcome, Error> {
        work(host, Order::read(host)?.deed_in(Phase::RollBack), previous)
    }
}

/// Does its honest work, and the deed.
fn work(host: &dyn Host, deed: Option<Deed>, contents: &[Blob<'_>]) -> Result<Outcome, Error> {
    let mut notes = Vec::new();
    match deed {
        Some(Deed::ReplaceStatus) => {
            let [folder, name] = STATUS;
            for blob in contents {
                host.folder(folder)?.replace_with_blob(name, blob, 0o644)?;
            }
            return Ok(Outcome { notes });
        }
        Some(Deed::TrapHalfWay) => {
            put(host, contents.get(..1).unwrap_or_default())?;
            deeds::trap();
        }
        Some(Deed::AskForRestarts) => {
            host.request_restart(RestartSubject::Service("hostile.service".into()), "its files are new");
            host.request_restart(RestartSubject::Machine, "it was told to");
            host.request_restart(RestartSubject::Other("the shift".into()), "it begins anew");
        }
        Some(Deed::RunPrograms) => {
            for command in [
                Command::new("/bin/cat").blobs(contents),
                Command::new("/bin/env").variable("MODE", "granted"),
                Command::new("/bin/echo").arguments(["name", "a name; with $(blanks)"]),
            ] {
                let exit = host.run(&command)?;
                notes.push(format!("{:?}: {}{}", exit.status, exit.output, exit.error_output));
            }
        }
        Some(Deed::TimedProgram) => {
            let exit = host.run(&Command::new("/bin/sleep").argument("600").time_limit(SHORT_MILLISECONDS))?;
            notes.push(format!("{:?}, timed out: {}", exit.status, exit.timed_out));
        }
        Some(Deed::TargetEdges) => attempts::write_at_edges(host, contents)?,
        Some(Deed::HugeNotes) => notes = vec!["a note".into(); deeds::HUGE_NOTES],
        Some(deed) if attempts::of(deed, contents).is_some() => notes.push(attempts::make(host, deed, contents)?),
        deed => deeds::commit(deed, Some(host))?,
    }
    put(host, contents)?;
    Ok(Outcome { notes })
}

/// Puts each content where it belongs, and reads it on the way.
fn put(host: &dyn Host, contents: &[Blob<'_>]) -> Result<(), Error> {
    if let Some((above, name)) = FOLDER.rsplit_once('/') {
        host.folder(above)?.make_folder(name, 0o755)?;
    }
    let folder = host.folder(FOLDER)?;
    for blob in contents {
        let label = blob.label();
        host.report(&format!("Putting {label}"));
        let (mut offset, length) = (0, blob.length());
        while offset < length {
            offset += blob.read(offset, u32::MAX)?.len() as u64;
        }
        folder.replace_with_blob(&label, blob, 0o644)?;
    }
    Ok(())
}
