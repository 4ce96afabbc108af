//! A signed Debian archive in a temp folder, to be changed, broken and attacked.

mod keys;
mod server;

pub use keys::{ArchiveKey, sign_inline};
pub use pgp::crypto::hash::HashAlgorithm;
pub use server::{Behaviour, Server};

use crate::package::{BuiltPackage, Package};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// An archive. Nothing of a suite is there before it is [published](Suite::publish).
#[derive(Debug)]
pub struct Mirror {
    folder: TempDir,
}

/// One suite of a mirror: what its next publication says.
#[derive(Debug)]
pub struct Suite {
    archive: PathBuf,
    folder: PathBuf,
    index_prefix: String,
    /// The release's fields, besides `Date` and the digests.
    pub fields: BTreeMap<String, String>,
    /// When the release is made, in Unix seconds; every publication is a second later than the one before.
    pub date: i64,
    /// What is in the indices, by architecture.
    pub packages: BTreeMap<String, Vec<Deb>>,
    /// How indices can be had.
    pub forms: Vec<Form>,
    /// Who signs it, and how.
    pub signing: Signing,
    /// Whether indices are also, or only, found by their digest.
    pub by_hash: ByHash,
}

/// How an index is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Not at all.
    Plain,
    /// `.gz`
    Gzip,
    /// `.xz`
    Xz,
}

/// Whether indices can be found by their digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHash {
    /// Only by their names.
    No,
    /// Only by their digests; under their names there is something else.
    Only,
    /// The release says so, but nothing is there.
    Promised,
}

/// Who signs a release, and how.
#[derive(Debug, Clone)]
pub enum Signing {
    /// `InRelease`
    Inline(ArchiveKey),
    /// `Release` and `Release.gpg`
    Detached(ArchiveKey),
    /// `Release` alone.
    Unsigned,
}

/// A binary package, as an index lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deb {
    fields: Vec<(String, String)>,
}

impl Mirror {
    /// An empty archive.
    ///
    /// # Errors
    /// When there is no temp folder.
    pub fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its address as a folder.
    #[must_use]
    pub fn address(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    /// Serves it on loopback.
    ///
    /// # Errors
    /// When there is no port.
    pub fn serve(&self, behaviour: Behaviour) -> Result<Server> {
        Server::start(self.folder.path(), behaviour)
    }

    /// Writes a keyring beside the suites.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keyring(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// A suite with the component `main` for `amd64`, signed inline; a flat repository if its name ends in `/`.
    #[must_use]
    pub fn suite(&self, name: &str, key: &ArchiveKey) -> Suite {
        let (folder, index_prefix) = match name.strip_suffix('/') {
            Some(flat) => (self.folder.path().join(flat), String::new()),
            None => (self.folder.path().join("dists").join(name), "main/binary-".to_owned()),
        };
        let fields = [("Codename", name.trim_end_matches('/')), ("Components", "main"), ("Architectures", "amd64")];
        Suite {
            archive: self.folder.path().to_owned(),
            folder,
            index_prefix,
            fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            date: unix_now() - 1_000,
            packages: BTreeMap::from([("amd64".to_owned(), Vec::new())]),
            forms: vec![Form::Plain, Form::Xz],
            signing: Signing::Inline(key.clone()),
            by_hash: ByHash::No,
        }
    }
}

impl Suite {
    /// Sets a field of the release.
    pub fn field(&mut self, name: &str, value: &str) -> &mut Self {
        self.fields.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a package to the index for `amd64`.
    pub fn add(&mut self, package: Deb) -> &mut Self {
        self.add_to("amd64", package)
    }

    /// Adds a package to the index for an architecture.
    pub fn add_to(&mut self, architecture: &str, package: Deb) -> &mut Self {
        self.packages.entry(architecture.to_owned()).or_default().push(package);
        self
    }

    /// Builds a package into the archive's pool and adds it to the index for its architecture; one for every architecture
    /// is in all indices there are.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn add_package(&mut self, package: &Package) -> Result<BuiltPackage> {
        let path = package.pool_path();
        let target = self.archive.join(&path);
        let built = package.build(target.parent().context("a pool has folders")?)?;
        // The file's name in the pool has no epoch.
        std::fs::rename(&built.path, &target)?;
        let listed = package.listed(&built, &path);
        match listed.get("Architecture") {
            Some("all") | None => {
                self.packages.values_mut().for_each(|index| index.push(listed.clone()));
            }
            Some(architecture) => {
                let architecture = architecture.to_owned();
                self.add_to(&architecture, listed);
            }
        }
        Ok(BuiltPackage { path: target, ..built })
    }

    /// Removes a package from all indices.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        for index in self.packages.values_mut() {
            index.retain(|package| package.get("Package") != Some(name));
        }
        self
    }

    /// The path of an index's form.
    #[must_use]
    pub fn index(&self, architecture: &str, form: Form) -> PathBuf {
        self.folder.join(self.index_name(architecture, form))
    }

    /// Where the signed release is.
    #[must_use]
    pub fn in_release(&self) -> PathBuf {
        self.folder.join("InRelease")
    }

    /// Writes indices and release.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn publish(&mut self) -> Result<()> {
        self.date += 1;
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder)?;
        }
        let mut digests = String::new();
        for (architecture, packages) in &self.packages {
            let index = packages.iter().map(Deb::to_string).collect::<Vec<_>>().concat();
            for form in [Form::Plain, Form::Gzip, Form::Xz] {
                let name = self.index_name(architecture, form);
                let bytes = form.pack(index.as_bytes())?;
                // As archives do, the plain form is always listed, whether or not it is there.
                if self.forms.contains(&form) || form == Form::Plain {
                    writeln!(digests, " {} {} {name}", hex_digest(&bytes), bytes.len())?;
                }
                if self.forms.contains(&form) {
                    self.write_index(&name, &bytes)?;
                }
            }
        }
        let text = self.release(&digests)?;
        self.sign(&text)
    }

    /// Replaces a file, and the release goes on to speak of what was there before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Result<()> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(std::fs::write(path, change(bytes))?)
    }

    /// The text of the release with these digests.
    ///
    /// # Errors
    /// Never; writing into a string has one.
    pub fn release(&self, digests: &str) -> Result<String> {
        let mut text = String::new();
        for (name, value) in &self.fields {
            writeln!(text, "{name}: {value}")?;
        }
        if self.by_hash != ByHash::No {
            writeln!(text, "Acquire-By-Hash: yes")?;
        }
        write!(text, "Date: {}\nSHA256:\n{digests}", rfc_date(self.date))?;
        Ok(text)
    }

    /// Signs a release and writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sign(&self, text: &str) -> Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let write = |name: &str, text: &str| std::fs::write(self.folder.join(name), text);
        match &self.signing {
            Signing::Inline(key) => write("InRelease", &key.sign_inline(text)?)?,
            Signing::Detached(key) => {
                write("Release", text)?;
                write("Release.gpg", &key.sign_detached(text)?)?;
            }
            Signing::Unsigned => write("Release", text)?,
        }
        Ok(())
    }

    fn index_name(&self, architecture: &str, form: Form) -> String {
        let folder =
            if self.index_prefix.is_empty() { String::new() } else { format!("{}{architecture}/", self.index_prefix) };
        format!("{folder}Packages{}", form.extension())
    }

    fn write_index(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        let folder = path.parent().context("an index has a folder")?;
        std::fs::create_dir_all(folder)?;
        if self.by_hash == ByHash::Only {
            let by_hash = folder.join("by-hash/SHA256");
            std::fs::create_dir_all(&by_hash)?;
            std::fs::write(by_hash.join(hex_digest(bytes)), bytes)?;
            std::fs::write(&path, "the next release's index")?;
        } else {
            std::fs::write(&path, bytes)?;
        }
        Ok(())
    }
}

impl Form {
    fn extension(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => ".gz",
            Self::Xz => ".xz",
        }
    }

    /// These bytes in this form.
    ///
    /// # Errors
    /// When they cannot be compressed.
    pub fn pack(self, bytes: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(bytes.to_vec()),
            Self::Gzip => {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                packed.write_all(bytes)?;
                Ok(packed.finish()?)
            }
            Self::Xz => {
                let mut packed = liblzma::write::XzEncoder::new(Vec::new(), 6);
                packed.write_all(bytes)?;
                Ok(packed.finish()?)
            }
        }
    }
}

impl Deb {
    /// A package for `amd64`, built from the source package of the same name and version.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        let deb = Self::bare(name, version).with("Architecture", "amd64");
        let deb = deb.with("Filename", &format!("pool/main/{name}_{version}_amd64.deb")).with("Size", "1000");
        deb.with("SHA256", &hex_digest(format!("{name} {version}").as_bytes()))
            .with("Description", &format!("about {name}"))
    }

    /// A package of which only name and version are said.
    pub(crate) fn bare(name: &str, version: &str) -> Self {
        Self { fields: Vec::new() }.with("Package", name).with("Version", version)
    }

    /// Sets a field.
    #[must_use]
    pub fn with(mut self, field: &str, value: &str) -> Self {
        self.fields.retain(|(name, _)| name != field);
        self.fields.push((field.to_owned(), value.to_owned()));
        self
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Display for Deb {
    /// The stanza, with the empty line that ends it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.fields.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))?;
        writeln!(f)
    }
}

/// Now, in Unix seconds.
#[must_use]
pub fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A point in time as releases write it: `Sat, 06 Sep 2025 10:12:34 UTC`.
#[must_use]
pub fn rfc_date(unix_seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(unix_seconds).unwrap_or_default();
    time.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

/// The SHA-256 of these bytes.
#[must_use]
pub fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
