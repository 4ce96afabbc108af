//! An archive of real packages made for a test: what is installed comes from `bookworm`, updates from `bookworm-security`.

use anyhow::Context as _;
use farrier_test_harness::mirror::{ArchiveKey, Behaviour, Mirror, Server, Suite};
use farrier_test_harness::package::{BuiltPackage, Package};
use std::path::PathBuf;

/// The archive, served on loopback.
pub struct Archive {
    mirror: Mirror,
    base: Suite,
    security: Suite,
    server: Server,
}

impl Archive {
    /// An archive without packages.
    ///
    /// # Errors
    /// When there is no port or no folder.
    pub fn new() -> anyhow::Result<Self> {
        let mirror = Mirror::new()?;
        let key = ArchiveKey::generate()?;
        mirror.keyring("keyring.asc", key.armored()?)?;
        let (base, security) = (mirror.suite("bookworm", &key), mirror.suite("bookworm-security", &key));
        let server = mirror.serve(Behaviour::default())?;
        Ok(Self { mirror, base, security, server })
    }

    /// A package that is there from the beginning.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn add(&mut self, package: &Package) -> anyhow::Result<BuiltPackage> {
        self.base.add_package(package)
    }

    /// An update.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn update(&mut self, package: &Package) -> anyhow::Result<BuiltPackage> {
        self.security.remove(package.name());
        self.security.add_package(package)
    }

    /// Publishes both suites and returns what `farrier init --suites` takes.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn publish(&mut self) -> anyhow::Result<PathBuf> {
        self.base.publish()?;
        self.security.publish()?;
        let suite = |name: &str| {
            format!(
                "[[suite]]\nname = \"{name}\"\nrelease = \"bookworm\"\nmirror = \"{}\"\nsuite = \"{name}\"\n\
                 components = [\"main\"]\narchitectures = [\"amd64\"]\nkeyrings = [\"keyring.asc\"]\n",
                self.server.address()
            )
        };
        let file = self.mirror.folder().join("suites.toml");
        std::fs::write(&file, suite("bookworm") + &suite("bookworm-security")).context("suites.toml")?;
        Ok(file)
    }

    /// The server, to be told to misbehave.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}
