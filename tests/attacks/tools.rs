//! What some attacks are made with. Where a machine lacks it, or does not allow it, they say so and do not take place.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// A way to make things go wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tool {
    /// Shows programs another time.
    Faketime,
    /// Ends programs at a system call.
    Strace,
    /// Takes memory away from programs.
    Prlimit,
    /// Mounts small disks, which takes an administrator.
    Mount,
}

impl Tool {
    /// Whether it cannot be used here.
    pub(crate) fn is_missing(self) -> bool {
        let (program, arguments, remedy): (_, &[&str], _) = match self {
            Self::Faketime => ("faketime", &["-f", "+0", "true"], "apt-get install faketime"),
            Self::Strace => ("strace", &["-f", "-qq", "-o", "/dev/null", "true"], "apt-get install strace"),
            Self::Prlimit => ("prlimit", &["--data=1000000000", "true"], "apt-get install util-linux"),
            Self::Mount => ("unshare", &["--mount", "mount", "-t", "tmpfs", "tmpfs", "/tmp"], "run the tests as root"),
        };
        let mut command = Command::new(program);
        let tried = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let is_missing = !tried.is_ok_and(|status| status.success());
        if is_missing {
            // Past the capture of the test runner: a test that did not take place is not to look like one that did.
            let said = format!("SKIPPED an attack, {program} cannot be used here: {remedy}\n");
            let _ = std::io::stderr().write_all(said.as_bytes());
        }
        is_missing
    }
}
