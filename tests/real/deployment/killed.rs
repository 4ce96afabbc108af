//! Kill -9 at random moments, again and again: nothing is installed twice, nothing is lost.

use super::fleet::Fleet;
use anyhow::ensure;
use farrier_test_harness::package::{Package, Script};
use rand::{Rng as _, SeedableRng as _};
use std::time::Duration;

/// How often the agent is killed.
const AGENT_KILLS: u32 = 200;
/// How often the site is killed.
const SITE_KILLS: u32 = 30;
/// Updates that are installed meanwhile.
const PACKAGES: usize = 24;
/// The longest a process lives, in milliseconds.
const LONGEST_LIFE: u64 = 1_500;

fn package(number: usize, version: &str) -> Package {
    let package = Package::new(&format!("tool{number}"), version).architecture("amd64");
    // Says that it was configured, and takes long enough to be killed in the middle.
    package.script(Script::PostInstallation, &format!("echo {number} {version} >>/var/log/configured; sleep 0.1"))
}

fn fleet() -> anyhow::Result<Fleet> {
    let of_version = |version: &str| (0..PACKAGES).map(|number| package(number, version)).collect::<Vec<_>>();
    let fleet = Fleet::new(1, &of_version("1.0"), &of_version("1.1"))?;
    std::fs::write(fleet.endpoints[0].root.path().join("var/log/configured"), "")?;
    let names: Vec<_> = (0..PACKAGES).map(|number| format!("bookworm-security/tool{number}/1.1")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    fleet.deploy(&names, "All clients", &[])?;
    Ok(fleet)
}

fn check(fleet: &Fleet) -> anyhow::Result<()> {
    let root = &fleet.endpoints[0].root;
    root.audit()?;
    let mut configured: Vec<_> = root.read("/var/log/configured").lines().map(str::to_owned).collect();
    configured.sort_unstable();
    let mut expected: Vec<_> = (0..PACKAGES).map(|number| format!("{number} 1.1")).collect();
    expected.sort_unstable();
    ensure!(configured == expected, "each is configured once: {configured:?}");
    let status = fleet.site.status()?;
    ensure!(status["required_packages"] == serde_json::json!([]), "{status}");
    for update in fleet.deployment()?["update_rows"].as_array().into_iter().flatten() {
        ensure!(update["clients"]["Succeeded"] == 1, "{update}");
    }
    Ok(())
}

/// The agent is killed; its installer's dpkg goes on without it.
pub(super) fn agent() -> anyhow::Result<()> {
    let fleet = fleet()?;
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    for _ in 0..AGENT_KILLS {
        let agent = fleet.endpoints[0].run()?;
        std::thread::sleep(Duration::from_millis(random.random_range(0..LONGEST_LIFE)));
        drop(agent);
    }
    let _agent = fleet.endpoints[0].run()?;
    fleet.until_state("Succeeded", 1)?;
    check(&fleet)
}

/// The site is killed while the agent installs.
pub(super) fn site() -> anyhow::Result<()> {
    let mut fleet = fleet()?;
    let _agent = fleet.endpoints[0].run()?;
    let mut random = rand::rngs::StdRng::seed_from_u64(8);
    for _ in 0..SITE_KILLS {
        std::thread::sleep(Duration::from_millis(random.random_range(0..LONGEST_LIFE)));
        fleet.site.stop();
        fleet.site.serve()?;
    }
    fleet.until_state("Succeeded", 1)?;
    check(&fleet)
}
