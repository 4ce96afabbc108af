//! A plugin's project: where its parts are, and whether what was built is still what the sources say.

use crate::sign::Signature;
use crate::{Language, languages};
use anyhow::{Context as _, Error, Result, ensure};
use farrier_runtime::{Manifest, WIT_VERSION, World};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where a project's component is.
const COMPONENT: &str = "target/plugin.wasm";
/// Folders whose files a plugin is not made from.
const NO_SOURCES: [&str; 4] = ["target", "tests", "node_modules", ".git"];

/// A project: a folder with a `plugin.toml`.
#[derive(Debug, Clone)]
pub struct Project {
    folder: PathBuf,
    language: Language,
}

/// A built component.
#[derive(Debug, Clone)]
pub struct Built {
    /// Where it is.
    pub path: PathBuf,
    /// The component.
    pub bytes: Vec<u8>,
}

impl Project {
    /// The project in this folder.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(folder: &Path) -> Result<Self> {
        let found = folder.canonicalize().with_context(|| format!("there is no folder {}", folder.display()))?;
        ensure!(
            found.join("plugin.toml").is_file(),
            "{} has no plugin.toml, so it is no plugin: give the folder of one, or make one with \
             `farrier plugin new NAME`",
            found.display()
        );
        let language = Language::of_project(&found)?;
        Ok(Self { folder: found, language })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it is written in.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }

    /// Where its component is, once it is built.
    #[must_use]
    pub fn component(&self) -> PathBuf {
        self.folder.join(COMPONENT)
    }

    /// Builds the component. Progress is told on standard error.
    ///
    /// # Errors
    /// What failed, and what to do.
    pub fn build(&self) -> Result<Built> {
        let bytes = match self.language {
            Language::Rust => {
                let project = farrier_plugins_build::Project::open(&self.folder)?;
                project.build(&self.target())?.bytes
            }
            language => languages::build(language, &self.folder)?,
        };
        let can_be_used = || Manifest::read(&bytes)?.check_runs_on(WIT_VERSION).map_err(Error::msg);
        can_be_used().with_context(|| format!("{} cannot be used", self.folder.join("plugin.toml").display()))?;
        let path = self.component();
        crate::vendor::write(&path, &bytes)?;
        remove_stale_signature(&path, &bytes)?;
        Ok(Built { path, bytes })
    }

    /// The component, built anew if the sources are others.
    ///
    /// # Errors
    /// As [`Project::build`].
    pub fn current(&self) -> Result<Built> {
        let path = self.component();
        if self.is_stale()? {
            return self.build();
        }
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Built { path, bytes })
    }

    /// Whether the component is missing, older than a file of the project, or made from other sources: those of a crate
    /// beside it may have changed, which only their digest tells.
    fn is_stale(&self) -> Result<bool> {
        let Ok(built) = fs::metadata(self.component()).and_then(|metadata| metadata.modified()) else {
            return Ok(true);
        };
        if newest(&self.folder)? >= built {
            return Ok(true);
        }
        let made_from = fs::read(self.component()).ok().and_then(|bytes| Manifest::read(&bytes).ok()?.source);
        // What cannot be told, as without a Cargo.lock, the build tells.
        Ok(made_from.is_none() || made_from != self.source_digest().ok())
    }

    /// SHA-256 of what the component would be made from now.
    fn source_digest(&self) -> Result<String> {
        match self.language {
            Language::Rust => farrier_plugins_build::Project::open(&self.folder)?.source_digest(),
            _ => farrier_plugins_build::digest_folder(&self.folder),
        }
    }

    /// Where the compiler puts what it makes on the way: where cargo would, but not where a cargo that runs this may
    /// hold the lock.
    fn target(&self) -> PathBuf {
        let elsewhere = std::env::var_os("CARGO_TARGET_DIR").map(|target| PathBuf::from(target).join("guests"));
        elsewhere.unwrap_or_else(|| self.folder.join("target"))
    }

    /// The files of its test tables: `tests/*.toml`, sorted.
    ///
    /// # Errors
    /// When there is none.
    pub fn tables(&self) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join("tests");
        let mut tables = tables_in(&folder)?;
        tables.sort();
        ensure!(
            !tables.is_empty(),
            "{} has no table of tests (tests/*.toml): `farrier plugin new` makes one to begin with",
            self.folder.display()
        );
        Ok(tables)
    }
}

/// The tables in a folder of tests.
fn tables_in(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect())
}

/// When the newest source was changed.
fn newest(folder: &Path) -> Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if NO_SOURCES.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let metadata = entry.metadata()?;
        let changed =
            if metadata.is_dir() { newest_of(&entry.path(), metadata.modified()?)? } else { metadata.modified()? };
        newest = newest.max(changed);
    }
    Ok(newest)
}

/// A folder itself changes when a file in it goes.
fn newest_of(folder: &Path, itself: SystemTime) -> Result<SystemTime> {
    Ok(newest(folder)?.max(itself))
}

/// A signature of what was built before says nothing of what is there now.
fn remove_stale_signature(component: &Path, bytes: &[u8]) -> Result<()> {
    let path = Signature::path_of(component);
    let is_valid = || Signature::beside(component).ok().flatten().is_some_and(|found| found.verify(bytes).is_ok());
    if path.exists() && !is_valid() {
        fs::remove_file(&path).with_context(|| format!("removing the old {}", path.display()))?;
    }
    Ok(())
}

/// The component that is meant by a path: a component's file, or a project's folder, which is built if need be.
///
/// # Errors
/// When there is neither, or it cannot be built.
pub fn component_at(path: &Path) -> Result<Built> {
    if path.is_dir() {
        return Project::open(path)?.current();
    }
    let bytes = fs::read(path).with_context(|| {
        format!("{} cannot be read: give a component's file or the folder of a plugin", path.display())
    })?;
    Ok(Built { path: path.to_owned(), bytes })
}

/// The world of a manifest; only these two are known here.
///
/// # Errors
/// When it is another one.
pub(crate) fn world_of(manifest: &Manifest) -> Result<World> {
    let known = World::ALL.map(World::as_str).join("` and `");
    manifest
        .known_world()
        .with_context(|| format!("the plugin is for the world `{}`; this farrier knows `{known}`", manifest.world))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_manifest_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = Project::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has no plugin.toml") && error.contains("farrier plugin new NAME"), "{error}");
        fs::write(folder.path().join("plugin.toml"), "").unwrap();
        let error = Project::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("neither a Cargo.toml nor"), "{error}");
    }

    #[test]
    fn a_signature_of_an_older_component_goes() {
        let folder = tempfile::tempdir().unwrap();
        let component = folder.path().join("plugin.wasm");
        let key = crate::sign::PublisherKey::make(folder.path(), "a").unwrap();
        let key = crate::sign::PublisherKey::read(&key.secret).unwrap();
        let signature = Signature::path_of(&component);
        fs::write(&signature, key.sign(b"old").to_text()).unwrap();
        remove_stale_signature(&component, b"old").unwrap();
        assert!(signature.exists());
        remove_stale_signature(&component, b"new").unwrap();
        assert!(!signature.exists());
    }

    /// A plugin in Rust, and a crate beside it that is compiled into it; both changed long ago.
    fn project_with_a_crate_beside_it(parent: &Path) -> Project {
        for (name, text) in [
            ("plugin/plugin.toml", MANIFEST),
            ("plugin/src/lib.rs", ""),
            ("plugin/Cargo.toml", "[package]\nname = 'a'\nversion = '1.0.0'\n[dependencies]\nb = { path = '../b' }\n"),
            ("plugin/Cargo.lock", LOCK),
            ("b/Cargo.toml", "[package]\nname = 'b'\nversion = '1.0.0'\n"),
            ("b/src/lib.rs", "// before\n"),
        ] {
            put(&parent.join(name), text.as_bytes(), 10);
        }
        for folder in ["plugin/src", "plugin"] {
            touch(&parent.join(folder), 10);
        }
        Project::open(&parent.join("plugin")).unwrap()
    }

    const MANIFEST: &str = "name = 'a'\ndescription = 'A.'\nlicense = 'MIT'\nwit = '1.0.0'\n\
                            world = 'applicability'\nscopes = ['a']\n";
    const LOCK: &str = "[[package]]\nname = 'a'\nversion = '1.0.0'\ndependencies = ['b']\n\
                        [[package]]\nname = 'b'\nversion = '1.0.0'\n";

    fn put(path: &Path, content: &[u8], seconds: u64) {
        crate::vendor::write(path, content).unwrap();
        touch(path, seconds);
    }

    fn touch(path: &Path, seconds: u64) {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::open(path).unwrap().set_modified(at).unwrap();
    }

    #[test]
    fn a_component_is_stale_when_a_source_is_another_and_not_when_a_test_is() {
        let parent = tempfile::tempdir().unwrap();
        let project = project_with_a_crate_beside_it(parent.path());
        assert!(project.is_stale().unwrap(), "there is no component");
        // What it is made of does not matter here, only what it says it was made from.
        let any = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/dpkg.wasm")).unwrap();
        let source = project.source_digest().unwrap();
        let built = farrier_plugins_build::componentize(&any, project.folder(), &source).unwrap();
        put(&project.component(), &built, 20);
        put(&project.folder().join("tests/basic.toml"), b"", 30);
        touch(project.folder(), 10);
        assert!(!project.is_stale().unwrap());
        assert_eq!(project.tables().unwrap().len(), 1);

        put(&parent.path().join("b/src/lib.rs"), b"// after\n", 10);
        assert!(project.is_stale().unwrap(), "the crate beside it is another one");
        put(&parent.path().join("b/src/lib.rs"), b"// before\n", 40);
        assert!(!project.is_stale().unwrap(), "it is as it was");
        touch(&project.folder().join("src/lib.rs"), 30);
        assert!(project.is_stale().unwrap(), "a source is newer");
    }
}
