//! The whole way of an update, and the ways to stop it.

use super::fleet::Fleet;
use anyhow::ensure;
use farrier_test_harness::package::Package;
use farrier_tests::{fail, succeed};

const CONFIGURATION: &str = "/etc/tool.conf";
const UPDATE: &str = "bookworm-security/tool/1.1";

fn tool(version: &str) -> Package {
    Package::new("tool", version).architecture("amd64").conffile(CONFIGURATION, format!("version = {version}\n"))
}

/// With a deadline, a locally modified conffile, a library that is updated with it and a bystander that is not.
pub(super) fn required() -> anyhow::Result<()> {
    let library = |version: &str| Package::new("libtool2", version).architecture("amd64").source("tool");
    let bystander = Package::new("bystander", "1.0").architecture("amd64");
    let updates = [tool("1.1").field("Depends", "libtool2 (= 1.1)"), library("1.1"), Package::new("bystander", "1.1")];
    let fleet = Fleet::new(1, &[tool("1.0"), library("1.0"), bystander], &updates)?;
    let endpoint = &fleet.endpoints[0];
    std::fs::write(endpoint.root.path().join("etc/tool.conf"), "mine = yes\n")?;

    fleet.deploy(&[UPDATE], "All clients", &[])?;
    let _agent = endpoint.run()?;
    fleet.until_state("Succeeded", 1)?;

    ensure!(endpoint.root.version_of("tool")?.as_deref() == Some("1.1"));
    ensure!(endpoint.root.version_of("libtool2")?.as_deref() == Some("1.1"));
    ensure!(endpoint.root.version_of("bystander")?.as_deref() == Some("1.0"), "only what is deployed is installed");
    ensure!(endpoint.root.read(CONFIGURATION) == "mine = yes\n", "a local change is kept");
    endpoint.root.audit()?;
    let status = fleet.site.status()?;
    ensure!(status["required_packages"] == serde_json::json!(["bystander"]), "{status}");
    let said = fleet.farrier(&["deployment", "export", "Patches", "--csv"])?;
    ensure!(said.contains(CONFIGURATION), "what was kept is said: {said}");
    Ok(())
}

/// `updates`, `install`.
pub(super) fn available() -> anyhow::Result<()> {
    let fleet = Fleet::new(1, &[tool("1.0")], &[tool("1.1")])?;
    let endpoint = &fleet.endpoints[0];
    fleet.deploy(&[UPDATE], "All clients", &["--purpose", "available"])?;
    let agent = endpoint.run()?;
    fleet.until_state("Downloaded", 1)?;
    drop(agent);
    let offered = succeed(&mut endpoint.agent.command(&["updates"]))?;
    ensure!(offered.contains(UPDATE), "{offered}");
    ensure!(endpoint.root.version_of("tool")?.as_deref() == Some("1.0"), "nobody asked for it yet");
    let said = fail(&mut endpoint.agent.command(&["install", "toool"]))?;
    ensure!(said.contains("toool") && said.contains("farrier-agent updates"), "{said}");

    succeed(&mut endpoint.agent.command(&["install", "tool"]))?;
    ensure!(endpoint.root.version_of("tool")?.as_deref() == Some("1.1"));
    fleet.until_state("Succeeded", 1)
}

/// Nothing is begun while a deployment is paused, nor after it is cancelled.
pub(super) fn paused_and_cancelled() -> anyhow::Result<()> {
    let fleet = Fleet::new(1, &[tool("1.0")], &[tool("1.1")])?;
    let endpoint = &fleet.endpoints[0];
    fleet.deploy(&[UPDATE], "All clients", &["--available", "1h", "--deadline", "2h"])?;
    let _agent = endpoint.run()?;
    fleet.until_state("Waiting", 1)?;
    fleet.farrier(&["deployment", "pause", "Patches", "--reason", "the freeze"])?;
    fleet.until("told why it waits", |clients| {
        clients.iter().any(|client| client["why"].as_str().is_some_and(|why| why.contains("paused")))
    })?;
    fleet.farrier(&["deployment", "cancel", "Patches"])?;
    fleet.until_state("Cancelled", 1)?;
    ensure!(endpoint.root.version_of("tool")?.as_deref() == Some("1.0"));
    Ok(())
}
