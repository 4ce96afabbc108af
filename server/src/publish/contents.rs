//! The files of an update as clients are told of them.

use crate::database::{PublishableFile, PublishableUpdate};
use anyhow::Context as _;
use farrier_protocol::deployment::ContentEntry;

/// What every architecture takes.
pub(super) const ALL: &str = "all";

/// The mirrors of one scope, each once. A mirror that clients cannot reach has its place, and no address.
#[derive(Debug, Default)]
pub(super) struct Mirrors(Vec<String>);

impl Mirrors {
    fn place(&mut self, mirror: &str) -> anyhow::Result<u8> {
        let address = upstream(mirror).unwrap_or_default();
        let place = self.0.iter().position(|known| *known == address).unwrap_or_else(|| {
            self.0.push(address);
            self.0.len() - 1
        });
        u8::try_from(place).context("its updates come from more mirrors than a client can be told of")
    }

    pub(super) fn finish(self) -> Vec<String> {
        self.0
    }
}

/// A mirror's address, with the slash that paths follow, if it is one that clients can reach.
pub(super) fn upstream(mirror: &str) -> Option<String> {
    let is_remote = ["http://", "https://"].iter().any(|scheme| mirror.starts_with(scheme));
    is_remote.then(|| format!("{}/", mirror.trim_end_matches('/')))
}

/// The files of an update for one architecture.
pub(super) fn entries(
    update: &PublishableUpdate,
    architecture: &str,
    mirrors: &mut Mirrors,
) -> anyhow::Result<Vec<ContentEntry>> {
    let concerns = |file: &&PublishableFile| file.architecture == architecture || file.architecture == ALL;
    let mut entries = Vec::new();
    for file in update.files.iter().filter(concerns) {
        entries.push(ContentEntry {
            label: label(update, file),
            digest: file.sha256,
            length: u64::try_from(file.size).context("a package has a negative size")?,
            mirror: mirrors.place(&update.mirror)?,
            path: file.file.trim_start_matches('/').to_owned(),
        });
    }
    Ok(entries)
}

/// What the installer plugin knows a file by: what its author calls it; a package by the name of its file as an archive
/// writes it, a colon escaped.
fn label(update: &PublishableUpdate, file: &PublishableFile) -> String {
    if update.authored.is_some() {
        return file.name.clone();
    }
    format!("{}_{}_{}.deb", file.name, file.version.replace(':', "%3a"), file.architecture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use farrier_protocol::Digest;

    #[test]
    fn a_label_is_the_name_that_apt_gives_the_file() {
        let update = PublishableUpdate {
            id: farrier_protocol::UpdateId([0; 16]),
            name: "bookworm/bind9/1".into(),
            source: "bind9".into(),
            version: "1".into(),
            summary: String::new(),
            priority: 0,
            max_run_seconds: None,
            distribution: "debian".into(),
            release: "bookworm".into(),
            architectures: "amd64".into(),
            mirror: String::new(),
            authored: None,
            files: Vec::new(),
        };
        let file = PublishableFile {
            name: "bind9".into(),
            architecture: "amd64".into(),
            version: "1:9.18.33-1~deb12u2".into(),
            file: "pool/b/bind9.deb".into(),
            size: 1,
            sha256: Digest([0; 32]),
        };
        assert_eq!(label(&update, &file), "bind9_1%3a9.18.33-1~deb12u2_amd64.deb");
    }

    #[test]
    fn only_what_clients_can_reach_is_an_upstream() {
        assert_eq!(
            upstream("https://mirror.example.org/debian").as_deref(),
            Some("https://mirror.example.org/debian/")
        );
        assert_eq!(upstream("http://mirror//").as_deref(), Some("http://mirror/"));
        for mirror in ["file:///srv/mirror", "/srv/mirror", "ftp://mirror", ""] {
            assert_eq!(upstream(mirror), None, "{mirror}");
        }
    }
}
