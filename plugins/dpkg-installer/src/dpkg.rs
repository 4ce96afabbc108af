//! Running dpkg.

use crate::{archive::Archive, output};
use alloc::format;
use farrier_plugin_sdk::{Command, Error, Exit, Host};

/// How long to wait before asking again whether dpkg's lock is free.
const LOCK_POLL_MILLISECONDS: u32 = 2_000;

/// What dpkg is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Install; what is newer meanwhile stays as it is.
    Install,
    /// Say what installing would do.
    Simulate,
    /// Install older versions.
    RollBack,
    /// Finish what was begun.
    Finish,
}

/// How a run of dpkg ended.
#[derive(Debug)]
pub enum Ended {
    /// It did its work, or failed.
    Exit(Exit),
    /// It did nothing: somebody else is at work.
    Locked,
}

impl Deed {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Install => &["--refuse-downgrade", "--auto-deconfigure", "--install"],
            Self::Simulate => &["--refuse-downgrade", "--auto-deconfigure", "--simulate", "--install"],
            Self::RollBack => &["--force-downgrade", "--auto-deconfigure", "--install"],
            Self::Finish => &["--configure", "--pending"],
        }
    }
}

/// Runs dpkg on these archives, in their order.
///
/// Of a configuration file that somebody changed, the default action is to keep it, and where there is no default it is
/// kept, too. Packages that a new one breaks are deconfigured until their own new version comes: the check has seen that
/// it does.
pub fn run(host: &dyn Host, deed: Deed, archives: &[&Archive<'_>]) -> Result<Ended, Error> {
    let mut command = Command::new("/usr/bin/dpkg")
        .variable("DEBIAN_FRONTEND", "noninteractive")
        .variable("UCF_FORCE_CONFFOLD", "1")
        .arguments(["--force-confdef", "--force-confold"])
        .arguments(deed.arguments().iter().copied());
    for archive in archives {
        command = command.blob(archive.blob);
    }
    let exit = host.run(&command)?;
    if let Some(holder) = output::lock_holder(&exit) {
        host.report(&format!("Waiting for {holder}, which has locked dpkg's database"));
        return Ok(Ended::Locked);
    }
    Ok(Ended::Exit(exit))
}

/// Finishes what was begun, by whomever; waits until nobody else is at work.
pub fn finish(host: &dyn Host) -> Result<Exit, Error> {
    loop {
        match run(host, Deed::Finish, &[])? {
            Ended::Exit(exit) => return Ok(exit),
            Ended::Locked => wait(host)?,
        }
    }
}

/// Waits for whoever has the lock.
fn wait(host: &dyn Host) -> Result<(), Error> {
    host.pause(LOCK_POLL_MILLISECONDS).map_err(|_| {
        let reason = "another program kept dpkg's database locked until the time was up: see `fuser /var/lib/dpkg/lock-frontend`";
        Error::Other(reason.into())
    })
}
