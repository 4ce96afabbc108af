//! Beside Debian's own tools: what they say is right.

mod apt;
mod deployment;
mod endpoint;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::process::{Command, Stdio};

/// Random archives and endpoints; the number is the seed.
const SEEDS: u64 = 24;

fn main() {
    let arguments = Arguments::from_args();
    let is_there = Command::new("apt").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !is_there {
        eprintln!("\nNOTHING IS COMPARED WITH APT, which is not installed here.\n");
    }
    let trials = (0..SEEDS).map(|seed| {
        Trial::ignorable_test(format!("required_packages_are_what_apt_would_upgrade::seed_{seed}"), move || {
            if !is_there {
                return Ok(Completion::ignored_with("apt is not installed"));
            }
            apt::compare(seed).map(|()| Completion::Completed).map_err(|error| Failed::from(format!("{error:#}")))
        })
    });
    let trials = trials.chain(deployment::trials());
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
