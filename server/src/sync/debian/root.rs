//! A Debian root: the machine's own, or one in a folder. Paths and links in it never lead out of it.

use anyhow::Context as _;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
const MAX_LINKS: usize = 40;

/// The root folder.
#[derive(Debug, Clone)]
pub struct Root(PathBuf);

/// What a root says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// The `ID` of its os-release.
    pub distribution: String,
    /// The `VERSION_CODENAME` of its os-release, or its `VERSION_ID`.
    pub release: String,
    /// Its own architecture, then the foreign ones.
    pub architectures: Vec<String>,
}

impl Root {
    /// The root in this folder.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.canonicalize().with_context(|| format!("{} cannot be opened", folder.display()))?;
        Ok(Self(folder))
    }

    /// Where an absolute path of the root really is.
    #[must_use]
    pub fn resolve(&self, path: &str) -> PathBuf {
        let mut links = 0;
        let mut todo: Vec<PathBuf> = vec![PathBuf::from(path)];
        let mut resolved = self.0.clone();
        while let Some(path) = todo.pop() {
            let mut parts = path.components();
            let Some(part) = parts.next() else { continue };
            todo.push(parts.as_path().to_owned());
            match part {
                Component::RootDir | Component::Prefix(_) => resolved.clone_from(&self.0),
                Component::CurDir => {}
                Component::ParentDir if resolved == self.0 => {}
                Component::ParentDir => _ = resolved.pop(),
                Component::Normal(name) => match std::fs::read_link(resolved.join(name)) {
                    Ok(target) if links < MAX_LINKS => {
                        links += 1;
                        todo.push(target);
                    }
                    _ => resolved.push(name),
                },
            }
        }
        resolved
    }

    /// The text of a file, nothing if it is not there.
    ///
    /// # Errors
    /// When it cannot be read or is too long.
    pub fn read(&self, path: &str) -> anyhow::Result<Option<String>> {
        let place = self.resolve(path);
        let cannot = || format!("{} cannot be read", place.display());
        let file = match std::fs::File::open(&place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.with_context(cannot)?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).with_context(cannot)?;
        anyhow::ensure!(bytes.len() as u64 <= MAX_FILE_BYTES, "{}, it is too long", cannot());
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The names in a folder, in order; none if it is not there.
    #[must_use]
    pub fn list(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.resolve(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// What the root says of itself.
    ///
    /// # Errors
    /// When it is no Debian root: it has no os-release, or dpkg does not know itself.
    pub fn system(&self) -> anyhow::Result<System> {
        let os_release = match self.read("/etc/os-release")? {
            Some(text) => Some(text),
            None => self.read("/usr/lib/os-release")?,
        };
        let os_release = os_release.with_context(|| format!("{} has no /etc/os-release", self.0.display()))?;
        let value = |name: &str| {
            let line = os_release.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
            line.map(|value| value.trim_matches(['"', '\''])).filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let release = value("VERSION_CODENAME").or_else(|| value("VERSION_ID"));
        Ok(System {
            distribution: value("ID").unwrap_or_else(|| "linux".to_owned()),
            release: release.context("/etc/os-release names neither VERSION_CODENAME nor VERSION_ID")?,
            architectures: self.architectures()?,
        })
    }

    fn architectures(&self) -> anyhow::Result<Vec<String>> {
        let status = self.read("/var/lib/dpkg/status")?;
        let status = status.with_context(|| format!("{} has no /var/lib/dpkg/status", self.0.display()))?;
        let native = native_architecture(&status).context("/var/lib/dpkg/status does not list dpkg itself")?;
        let foreign = self.read("/var/lib/dpkg/arch")?.unwrap_or_default();
        let foreign = foreign.split_whitespace().filter(|name| *name != native).map(str::to_owned);
        Ok(std::iter::once(native.to_owned()).chain(foreign).collect())
    }
}

/// The architecture of the package `dpkg`.
fn native_architecture(status: &str) -> Option<&str> {
    let mut lines =
        status.lines().skip_while(|line| line.trim_end() != "Package: dpkg").take_while(|line| !line.is_empty());
    lines.find_map(|line| line.strip_prefix("Architecture:")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_never_lead_out_of_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        fs::create_dir_all(folder.path().join("usr/lib")).unwrap();
        fs::write(folder.path().join("usr/lib/key"), "inside").unwrap();
        symlink("/usr/lib", folder.path().join("lib")).unwrap();
        symlink("../../../../usr/lib/key", folder.path().join("up")).unwrap();
        symlink("/loop", folder.path().join("loop")).unwrap();
        for path in ["/lib/key", "/up", "/../usr/./lib/../lib/key", "lib/key"] {
            assert_eq!(root.read(path).unwrap().as_deref(), Some("inside"), "{path}");
        }
        assert!(root.resolve("/loop").starts_with(folder.path().canonicalize().unwrap()));
    }

    #[test]
    fn the_native_architecture_is_that_of_dpkg() {
        let status =
            "Package: dpkg-dev\nArchitecture: all\n\nPackage: dpkg\nStatus: x\nArchitecture: arm64\n\nPackage: z\n";
        assert_eq!(native_architecture(status), Some("arm64"));
        assert_eq!(native_architecture("Package: dpkg\n\nPackage: z\nArchitecture: arm64\n"), None);
    }
}
