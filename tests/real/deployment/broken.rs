//! Packages that fail for real: their maintainer script exits 1.

use super::fleet::Fleet;
use anyhow::{Context as _, ensure};
use farrier_test_harness::package::{Package, Script};

const UPDATE: &str = "bookworm-security/tool/1.1";

fn old() -> Package {
    Package::new("tool", "1.0").architecture("amd64")
}

/// Fails where there is a file `/etc/cursed`.
fn cursed() -> Package {
    let script = "if [ -e /etc/cursed ]; then echo 'this endpoint is cursed' >&2; exit 1; fi";
    Package::new("tool", "1.1").architecture("amd64").script(Script::PostInstallation, script)
}

/// Five endpoints in two phases. The first one's only endpoint fails, so the second phase never opens.
pub(super) fn stops_the_roll_out() -> anyhow::Result<()> {
    let fleet = Fleet::new(5, &[old()], &[cursed()])?;
    std::fs::write(fleet.endpoints[0].root.path().join("etc/cursed"), "")?;
    let pilot = fleet.endpoints[0].agent.client_id()?;
    fleet.farrier(&["collection", "create", "Pilot", "--client", &pilot])?;
    let phase = "Pilot=Pilot,success=100,failure=0";
    fleet.deploy(&[UPDATE], "All clients", &["--phase", phase, "--attempts", "1"])?;

    let _agents = fleet.endpoints.iter().map(super::fleet::Endpoint::run).collect::<Result<Vec<_>, _>>()?;
    fleet.until("stopped", |clients| {
        let state = |state: &str| clients.iter().filter(|client| client["state"] == state).count();
        let told = |client: &&serde_json::Value| client["why"].as_str().is_some_and(|why| why.contains("paused"));
        state("Failed") == 1 && clients.iter().filter(told).count() == 4
    })?;
    let deployment = fleet.deployment()?;
    ensure!(deployment["status"] == "paused", "{deployment:#}");
    let why = deployment["status_reason"].as_str().context("it says why")?;
    ensure!(why.contains("Pilot") && why.contains("failed"), "{why}");
    let failed = fleet.clients()?.into_iter().find(|client| client["state"] == "Failed").context("one failed")?;
    ensure!(failed["why"].as_str().is_some_and(|why| why.contains("cursed")), "dpkg's own words: {failed}");
    for endpoint in &fleet.endpoints[1..] {
        ensure!(endpoint.root.version_of("tool")?.as_deref() == Some("1.0"), "nobody else was touched");
    }

    // The curse is lifted: the failed one is tried again, and the roll-out goes on to its end.
    std::fs::remove_file(fleet.endpoints[0].root.path().join("etc/cursed"))?;
    fleet.farrier(&["deployment", "resume", "Patches"])?;
    fleet.farrier(&["deployment", "retry", "Patches"])?;
    fleet.until_state("Succeeded", 5)?;
    for endpoint in &fleet.endpoints {
        ensure!(endpoint.root.version_of("tool")?.as_deref() == Some("1.1"));
        endpoint.root.audit()?;
    }
    Ok(())
}

/// What was installed before is installed again, and the site hears that.
pub(super) fn rolled_back() -> anyhow::Result<()> {
    let fleet = Fleet::new(1, &[old()], &[cursed()])?;
    let endpoint = &fleet.endpoints[0];
    std::fs::write(endpoint.root.path().join("etc/cursed"), "")?;
    fleet.deploy(&[UPDATE], "All clients", &["--roll-back", "--attempts", "1"])?;
    let _agent = endpoint.run()?;
    fleet.until_state("RolledBack", 1)?;
    ensure!(endpoint.root.version_of("tool")?.as_deref() == Some("1.0"));
    endpoint.root.audit()
}
