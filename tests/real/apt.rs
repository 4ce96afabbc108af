//! `apt list --upgradable` against Farrier, on the same endpoint and archive.

use crate::endpoint::Endpoint;
use anyhow::{bail, ensure};
use farrier_tests::{Agent, Site, programs, succeed};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Compares both on a random endpoint.
pub(crate) fn compare(seed: u64) -> anyhow::Result<()> {
    let endpoint = Endpoint::random(seed)?;
    let upgradable = upgradable(endpoint.path())?;
    let site = Site::start_of_apt(programs!(), endpoint.path())?;
    site.synchronize()?;
    Agent::enroll(programs!(), &site, endpoint.path())?.scan()?;
    let required: BTreeSet<String> = serde_json::from_value(site.status()?["required_packages"].take())?;
    ensure!(!upgradable.is_empty(), "apt would upgrade nothing: the endpoint tests nothing");
    let (missing, wrong) = (upgradable.difference(&required), required.difference(&upgradable));
    let (missing, wrong): (Vec<_>, Vec<_>) = (missing.collect(), wrong.collect());
    if missing.is_empty() && wrong.is_empty() {
        return Ok(());
    }
    let names = missing.iter().chain(&wrong).flat_map(|name| [(*name).clone(), format!("{name}:i386")]);
    let policy = succeed(apt("apt-cache", endpoint.path()).arg("policy").args(names))?;
    bail!("apt would upgrade {missing:?}, which are not required; {wrong:?} are required, but not to apt:\n{policy}")
}

/// The packages of `apt list --upgradable`, after an `apt update` of the root.
fn upgradable(root: &Path) -> anyhow::Result<BTreeSet<String>> {
    succeed(apt("apt-get", root).arg("update"))?;
    let list = succeed(apt("apt", root).args(["list", "--upgradable"]))?;
    let names = list.lines().filter_map(|line| line.split_once('/'));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}

/// apt with everything it reads and writes below this root.
fn apt(program: &str, root: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C");
    let status = root.join("var/lib/dpkg/status");
    let options = [
        format!("Dir={}", root.display()),
        format!("Dir::State::status={}", status.display()),
        "Dir::Bin::methods=/usr/lib/apt/methods".to_owned(),
        "APT::Architecture=amd64".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
    ];
    options.iter().for_each(|option| {
        command.args(["-o", option]);
    });
    command.args(["-o", "APT::Architectures::=amd64", "-o", "APT::Architectures::=i386"]);
    command
}
