//! A mirror that misbehaves.

use super::fleet::Fleet;
use anyhow::ensure;
use farrier_test_harness::mirror::Behaviour;
use farrier_test_harness::package::Package;

/// Downloads end after half of their bytes until the mirror recovers; nothing that is not whole is installed.
pub(super) fn dies_in_the_middle() -> anyhow::Result<()> {
    let noise: Vec<u8> = (0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let new = Package::new("tool", "1.1").architecture("amd64").file("/usr/share/tool/data", noise);
    let fleet = Fleet::new(1, &[Package::new("tool", "1.0").architecture("amd64")], &[new])?;
    let endpoint = &fleet.endpoints[0];
    fleet.archive.server().behave(Behaviour { cut: Some("tool_1.1".to_owned()), ..Behaviour::default() });
    fleet.deploy(&["bookworm-security/tool/1.1"], "All clients", &["--sources", "upstream"])?;
    let _agent = endpoint.run()?;
    fleet.until("waiting for its content", |clients| {
        clients.iter().any(|client| client["state"] == "WaitingForContent" || client["state"] == "Downloading")
    })?;
    ensure!(endpoint.root.version_of("tool")?.as_deref() == Some("1.0"));
    fleet.archive.server().behave(Behaviour::default());
    fleet.until_state("Succeeded", 1)?;
    ensure!(endpoint.root.version_of("tool")?.as_deref() == Some("1.1"));
    endpoint.root.audit()
}
