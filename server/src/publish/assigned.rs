//! What clients may be assigned: what is signed, and nothing else.

use super::Target;
use crate::database::{Publication, PublishedContent, PublishedDeployments, PublishedPolicy};
use farrier_protocol::Digest;
use farrier_protocol::assignment::{AssignedCatalog, AssignedInstaller, AssignedPlugin};
use std::collections::HashSet;

/// An entry of an assignment.
trait Entry: Clone {
    /// The target that it selects.
    fn target(&self) -> (&str, &Digest);
}

macro_rules! entries {
    ($($entry:ty),*) => {
        $(impl Entry for $entry {
            fn target(&self) -> (&str, &Digest) {
                (&self.target, &self.digest)
            }
        })*
    };
}

entries!(AssignedCatalog, AssignedInstaller, AssignedPlugin, PublishedPolicy);

/// The entries of a wish whose targets are signed. Where the one that is wished for waits for its signature, clients
/// keep what was published before under the same name.
pub(super) fn of_signed(
    mut content: PublishedContent,
    mut deployments: PublishedDeployments,
    before: Option<&Publication>,
    targets: &[Target],
) -> (PublishedContent, PublishedDeployments) {
    let signed = Signed(targets.iter().map(|target| (&*target.name, &target.digest)).collect());
    content.plugins = signed.entries(content.plugins, before.map(|before| &*before.content.plugins));
    content.catalogs = signed.entries(content.catalogs, before.map(|before| &*before.content.catalogs));
    let before = before.map(|before| &before.deployments);
    deployments.installers = signed.entries(deployments.installers, before.map(|before| &*before.installers));
    deployments.policies = signed.entries(deployments.policies, before.map(|before| &*before.policies));
    (content, deployments)
}

struct Signed<'a>(HashSet<(&'a str, &'a Digest)>);

impl Signed<'_> {
    fn entries<T: Entry>(&self, wished: Vec<T>, before: Option<&[T]>) -> Vec<T> {
        let is_signed = |entry: &T| self.0.contains(&entry.target());
        let former = |wished: &T| {
            let before = before?.iter().find(|former| former.target().0 == wished.target().0);
            before.filter(|former| is_signed(former)).cloned()
        };
        let entry = |wished: T| if is_signed(&wished) { Some(wished) } else { former(&wished) };
        wished.into_iter().filter_map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(target: &str, content: &[u8]) -> AssignedCatalog {
        AssignedCatalog {
            plugin: "dpkg".try_into().unwrap(),
            scope: "debian/bookworm/amd64".try_into().unwrap(),
            target: target.try_into().unwrap(),
            digest: Digest::of(content),
        }
    }

    #[test]
    fn what_waits_for_a_signature_is_not_assigned_and_takes_nothing_away() {
        let target = |name: &str, content: &[u8]| (name.to_owned(), Digest::of(content));
        let targets = [target("catalogs/a", b"1"), target("catalogs/b", b"1"), target("catalogs/c", b"1")];
        let signed = Signed(targets.iter().map(|(name, digest)| (name.as_str(), digest)).collect());
        let before = [catalog("catalogs/b", b"1"), catalog("catalogs/c", b"1"), catalog("catalogs/d", b"1")];
        let wished = [("catalogs/a", b"1"), ("catalogs/b", b"2"), ("catalogs/d", b"2"), ("catalogs/e", b"1")];
        let wished = wished.map(|(name, content)| catalog(name, content)).to_vec();
        let assigned = signed.entries(wished, Some(&before));
        assert_eq!(assigned, [catalog("catalogs/a", b"1"), catalog("catalogs/b", b"1")]);
    }
}
