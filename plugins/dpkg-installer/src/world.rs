//! A set of packages that are installed together, and what they are to each other.

use crate::{
    control::{MultiArch, Package},
    database::real_architecture,
    names::Names,
    relation::{Relation, alternatives, clauses},
};
use alloc::{format, string::String, vec::Vec};

/// A set of packages.
pub struct World<'a> {
    native: &'a str,
    packages: Vec<&'a Package>,
    /// Who has a name: the package of it, with its version, and those that provide it, perhaps in a version.
    bearers: Vec<Bearer<'a>>,
    names: Names,
}

/// A package that goes by a name.
struct Bearer<'a> {
    name: &'a str,
    package: &'a Package,
    version: Option<&'a str>,
}

impl<'a> World<'a> {
    pub fn new(native: &'a str, packages: Vec<&'a Package>) -> Self {
        let mut world = Self { native, packages: Vec::new(), bearers: Vec::new(), names: Names::new() };
        for package in packages.iter().copied() {
            world.add(Bearer { name: &package.name, package, version: Some(&package.version) });
            for relation in clauses(&package.provides).flat_map(alternatives).flatten() {
                let version = relation.bound.and_then(|bound| bound.exact());
                world.add(Bearer { name: relation.name, package, version });
            }
        }
        world.packages = packages;
        world
    }

    fn add(&mut self, bearer: Bearer<'a>) {
        self.names.push(bearer.name);
        self.bearers.push(bearer);
    }

    pub fn packages(&self) -> &[&'a Package] {
        &self.packages
    }

    /// The architecture of a package, where `all` is the native one.
    pub fn architecture<'b>(&'b self, package: &'b Package) -> &'b str {
        real_architecture(&package.architecture, self.native)
    }

    /// ` for i386`, what a foreign package needs other packages to be; nothing for a native one.
    pub fn foreign(&self, package: &Package) -> String {
        let architecture = self.architecture(package);
        if architecture == self.native { String::new() } else { format!(" for {architecture}") }
    }

    /// Whether one of the clause's alternatives, which this package asks for, is in the set.
    pub fn holds(&self, clause: &str, of: &Package) -> bool {
        let asking = self.architecture(of);
        alternatives(clause).flatten().any(|relation| {
            self.bearers(relation.name)
                .any(|bearer| relation.allows(bearer.version) && self.serves(bearer.package, &relation, asking))
        })
    }

    /// The packages that are meant by a clause of `Conflicts`, `Breaks` or `Replaces` of this package.
    ///
    /// Without an architecture those of any are meant; a package never means itself.
    pub fn meant<'b>(&'b self, clause: &'b str, of: &'b Package) -> impl Iterator<Item = &'a Package> + 'b {
        alternatives(clause).flatten().flat_map(move |relation| {
            let bearers = self.bearers(relation.name).filter(move |bearer| {
                let architecture = self.architecture(bearer.package);
                bearer.package.name != of.name
                    && relation.allows(bearer.version)
                    && relation.qualifier.is_none_or(|word| word == "any" || self.is(architecture, word))
            });
            bearers.map(|bearer| bearer.package)
        })
    }

    /// The packages of a name, whatever their version and architecture; not who provides it.
    pub fn named<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a Package> + 'b {
        self.bearers(name).map(|bearer| bearer.package).filter(move |package| package.name == name)
    }

    fn bearers<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b Bearer<'a>> {
        self.names.candidates(name).map(|at| &self.bearers[at]).filter(move |bearer| bearer.name == name)
    }

    /// Whether a package can serve one of the architecture `asking` that asks for it so.
    fn serves(&self, package: &Package, relation: &Relation<'_>, asking: &str) -> bool {
        let architecture = self.architecture(package);
        match relation.qualifier {
            None => architecture == asking || package.multi_arch == MultiArch::Foreign,
            Some("any") => {
                architecture == asking || matches!(package.multi_arch, MultiArch::Allowed | MultiArch::Foreign)
            }
            Some(word) => self.is(architecture, word),
        }
    }

    fn is(&self, architecture: &str, word: &str) -> bool {
        architecture == real_architecture(if word == "native" { "all" } else { word }, self.native)
    }
}
