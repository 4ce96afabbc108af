//! Makes software updates of packages: one for every version of a source package.

use super::packages::Package;
use crate::config::{Classification, SuiteConfig};
use crate::database::{ImportedPackage, ImportedUpdate};
use farrier_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// Packages of one suite, at most: ten times what the largest archive has.
const MAX_PACKAGES: usize = 1_000_000;

/// The updates of one suite, while its indices are read.
#[derive(Debug)]
pub struct Grouping<'a> {
    architectures: &'a [String],
    classification: Classification,
    updates: HashMap<String, ImportedUpdate>,
    packages: usize,
}

impl<'a> Grouping<'a> {
    /// Nothing yet, of the suite that is configured so.
    #[must_use]
    pub fn new(config: &'a SuiteConfig) -> Self {
        Self {
            architectures: &config.architectures,
            classification: config.classification(),
            updates: HashMap::new(),
            packages: 0,
        }
    }

    /// Adds a package, unless it is of an architecture that nobody asked for.
    pub fn add(&mut self, package: &Package<'_>) {
        let wanted =
            package.architecture == "all" || self.architectures.iter().any(|name| name == package.architecture);
        if !wanted || self.packages == MAX_PACKAGES {
            return;
        }
        self.packages += 1;
        let key = format!("{}/{}", package.source, package.source_version);
        let update = self.updates.entry(key).or_insert_with(|| empty_update(package, self.classification));
        if package.name == package.source {
            package.description.clone_into(&mut update.summary);
        }
        update.priority = update.priority.max(package.priority);
        update.packages.push(ImportedPackage {
            name: package.name.into(),
            architecture: package.architecture.into(),
            version: package.version.into(),
            file: package.file.into(),
            size: package.size,
            sha256: package.sha256,
        });
    }

    /// How many packages there are.
    #[must_use]
    pub fn packages(&self) -> usize {
        self.packages
    }

    /// The updates, ordered by source package; a package that stands in several indices is in them once.
    ///
    /// # Errors
    /// When the suite has too many packages.
    pub fn finish(self) -> anyhow::Result<Vec<ImportedUpdate>> {
        anyhow::ensure!(self.packages < MAX_PACKAGES, "the suite has {MAX_PACKAGES} packages or more");
        let mut updates: Vec<ImportedUpdate> = self.updates.into_values().collect();
        updates.sort_unstable_by(|a, b| (&a.source, &a.version).cmp(&(&b.source, &b.version)));
        for update in &mut updates {
            update.packages.sort_by(|a, b| identity(a).cmp(&identity(b)));
            update.packages.dedup_by(|a, b| identity(a) == identity(b));
            update.packages.shrink_to_fit();
            update.content = content(update);
        }
        Ok(updates)
    }
}

/// The first package lends it a summary, until the one comes that is named like the source.
fn empty_update(package: &Package<'_>, classification: Classification) -> ImportedUpdate {
    ImportedUpdate {
        source: package.source.to_owned(),
        version: package.source_version.to_owned(),
        summary: package.description.to_owned(),
        classification,
        priority: 0,
        content: Digest([0; Digest::LENGTH]),
        packages: Vec::new(),
    }
}

fn identity(package: &ImportedPackage) -> (&str, &str, &str) {
    (&package.name, &package.architecture, &package.version)
}

/// Over everything that an import stores. No value holds the byte that ends it.
fn content(update: &ImportedUpdate) -> Digest {
    let mut hash = Sha256::new();
    let mut text = |value: &str| {
        hash.update(value.as_bytes());
        hash.update([b'\n']);
    };
    text(&update.summary);
    text(&(update.classification as i64).to_string());
    text(&update.priority.to_string());
    for package in &update.packages {
        text(&package.name);
        text(&package.architecture);
        text(&package.version);
        text(&package.file);
        text(&package.size.to_string());
        text(&package.sha256.to_string());
    }
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package<'a>(name: &'a str, architecture: &'a str) -> Package<'a> {
        Package {
            name,
            version: "1",
            architecture,
            source: "b",
            source_version: "1",
            file: "pool/x.deb",
            size: 1,
            sha256: Digest([0; 32]),
            description: name,
            priority: 0,
        }
    }

    fn config() -> SuiteConfig {
        let text =
            "name = 'a'\nrelease = 'a'\nmirror = 'file:/'\nsuite = 'a'\narchitectures = ['amd64']\nkeyrings = []";
        toml::from_str(text).unwrap()
    }

    fn group(packages: &[Package<'_>]) -> Vec<ImportedUpdate> {
        let config = config();
        let mut grouping = Grouping::new(&config);
        packages.iter().for_each(|package| grouping.add(package));
        grouping.finish().unwrap()
    }

    #[test]
    fn a_package_in_several_indices_is_taken_once() {
        let [update] = &group(&[package("a", "all"), package("b", "amd64"), package("a", "all")])[..] else { panic!() };
        assert_eq!(update.packages.len(), 2);
        assert_eq!(update.content, group(&[package("a", "all"), package("b", "amd64")])[0].content);
    }

    #[test]
    fn the_summary_is_that_of_the_package_named_like_the_source() {
        assert_eq!(group(&[package("a", "all"), package("b", "amd64"), package("c", "amd64")])[0].summary, "b");
        assert_eq!(group(&[package("c", "all"), package("a", "amd64")])[0].summary, "c");
    }

    #[test]
    fn other_architectures_are_left_out() {
        assert_eq!(group(&[package("a", "i386")]), []);
    }

    #[test]
    fn the_most_important_package_decides_the_priority() {
        let important = Package { priority: 2, ..package("a", "amd64") };
        assert_eq!(group(&[important, package("b", "amd64")])[0].priority, 2);
    }
}
