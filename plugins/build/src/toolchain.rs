//! The compiler, and how it comes by a `core` and `alloc` for wasm.

use crate::rust_src;
use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use std::{
    env,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// The target of guests.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// A compiler that can build guests.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// What decides its output.
    pub compiler: Compiler,
    sysroot: PathBuf,
    commit: String,
}

/// What decides the bytes of a component, beside its sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiler {
    /// The compiler as it names itself; one built by a distribution says so: `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub rustc: String,
    /// Where the guests' standard library comes from.
    pub library: Library,
}

/// Where the guests' standard library comes from. The two differ in bytes, not in meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Library {
    /// Compiled with the toolchain.
    Prebuilt,
    /// Compiled here, from its source.
    Source,
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = match self.library {
            Library::Prebuilt => "prebuilt",
            Library::Source => "built from source",
        };
        write!(f, "{} and the standard library {library}", self.rustc)
    }
}

impl Toolchain {
    /// The compiler of this machine, if it can build guests as it is.
    ///
    /// # Errors
    /// If there is no compiler.
    pub fn find() -> Result<Option<Self>> {
        let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
        let library = if sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
            Library::Prebuilt
        } else if sysroot.join(rust_src::FOLDER).join("library/core").is_dir() {
            Library::Source
        } else {
            return Ok(None);
        };
        let compiler = Compiler { rustc: rustc(&["--version"])?.trim().to_owned(), library };
        Ok(Some(Self { compiler, sysroot, commit: about_rustc("commit-hash")? }))
    }

    /// The compiler of this machine, with what it needs to build guests installed.
    ///
    /// # Errors
    /// If that cannot be had; says what was tried and what to do.
    pub fn install() -> Result<Self> {
        if let Some(toolchain) = Self::find()? {
            return Ok(toolchain);
        }
        eprintln!("The compiler has no {TARGET}; adding it with rustup.");
        let Err(rustup) = run(Command::new("rustup").args(["target", "add", TARGET])) else {
            return Self::find()?.with_context(|| format!("rustup added {TARGET}, but not to the compiler in use"));
        };
        eprintln!("That failed ({rustup:#}); looking for the standard library's source in Debian's archive.");
        let debian = rust_src::install(rustc(&["--print", "sysroot"])?.trim().as_ref(), &about_rustc("release")?).err();
        Self::find()?.ok_or_else(|| {
            let debian = debian.map_or_else(String::new, |error| format!("{error:#}"));
            anyhow!(
                "this machine cannot build plugins.\n  rustup: {rustup:#}\n  Debian: {debian}\nEither install the \
                 compiler with rustup and run `rustup target add {TARGET}`, or put the standard library's source of \
                 exactly rustc's version into `$(rustc --print sysroot)/{}`. To run Farrier neither is needed: \
                 plugins/dist holds the built plugins.",
                rust_src::FOLDER
            )
        })
    }

    /// What turns the paths of crates and of the standard library into paths that are the same on every machine: from
    /// and to.
    pub(crate) fn remapped_paths(&self) -> Result<Vec<(PathBuf, String)>> {
        let mut paths = Vec::new();
        let home = cargo_home()?;
        let registries = home.join("registry/src");
        // Before the first download there is none, and then what comes is remapped as a whole.
        paths.push((home, "cargo".to_owned()));
        for registry in registries.read_dir().into_iter().flatten() {
            paths.push((registry?.path(), "registry".to_owned()));
        }
        paths.push((self.sysroot.join(rust_src::FOLDER), format!("/rustc/{}", self.commit)));
        Ok(paths)
    }

    /// A path of this machine that `bytes` contain.
    #[must_use]
    pub(crate) fn private_path_in(&self, root: &Path, bytes: &[u8]) -> Option<String> {
        let home = env::home_dir();
        let folders = [Some(root.to_owned()), Some(self.sysroot.clone()), cargo_home().ok(), home];
        let mut paths = folders.into_iter().flatten().map(|path| path.to_string_lossy().into_owned());
        paths.find(|path| path.len() > 1 && contains(bytes, path.as_bytes()))
    }
}

/// Whether a path is somewhere in these bytes. `/proc/self/root` is nobody's home.
fn contains(bytes: &[u8], path: &[u8]) -> bool {
    let mut found = bytes.windows(path.len()).enumerate().filter(|(_, window)| *window == path);
    found.any(|(at, _)| !bytes[..at].ends_with(b"/proc/self"))
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("starting {program}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}: {}", output.status, errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn rustc(arguments: &[&str]) -> Result<String> {
    run(Command::new(env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"))).args(arguments))
}

/// What `rustc -vV` says behind `name: `.
fn about_rustc(name: &str) -> Result<String> {
    let about = rustc(&["--version", "--verbose"])?;
    let value = about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.map(str::to_owned).with_context(|| format!("rustc does not tell its {name}"))
}

fn cargo_home() -> Result<PathBuf> {
    let default = || env::home_dir().map(|home| home.join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(default).context("neither CARGO_HOME nor HOME is set")
}
