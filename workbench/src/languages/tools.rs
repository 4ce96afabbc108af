//! The compilers of other languages, from the package registries.
//!
//! They are put into a folder of this user, once a version: `$FARRIER_TOOLS`, else `farrier/tools` in `$XDG_CACHE_HOME` or
//! `~/.cache`. The registry is the one that `pip` and `npm` are configured for.

use super::run;
use anyhow::{Context as _, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Python that has this package.
pub(super) fn python(package: &str, version: &str) -> Result<PathBuf> {
    let folder = folder(package, version)?;
    let python = folder.join("bin/python");
    install(&folder, |fresh| {
        need("python3", "install Python 3 with its module venv (Debian: apt install python3-venv)")?;
        run(Command::new("python3").args(["-m", "venv"]).arg(fresh))?;
        let wanted = format!("{package}=={version}");
        let pip = fresh.join("bin/python");
        run(Command::new(pip).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &wanted]))
    })
    .with_context(|| format!("getting {package} {version} with pip"))?;
    Ok(python)
}

/// A folder with a `node_modules` that has this package.
pub(super) fn node(package: &str, version: &str) -> Result<PathBuf> {
    let folder = folder(&package.replace('/', "-"), version)?;
    install(&folder, |fresh| {
        need("npm", "install Node.js with npm (Debian: apt install npm)")?;
        let wanted = format!("{package}@{version}");
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix"]).arg(fresh).arg(wanted);
        run(&mut npm)
    })
    .with_context(|| format!("getting {package} {version} with npm"))?;
    Ok(folder)
}

fn folder(package: &str, version: &str) -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()).or_else(home);
    let tools = env::var_os("FARRIER_TOOLS").map(PathBuf::from);
    let tools = tools.or_else(|| cache.map(|cache| cache.join("farrier/tools")));
    let tools = tools.context("neither FARRIER_TOOLS nor HOME says where to put the compilers: set one of them")?;
    Ok(tools.join(format!("{}-{version}", package.trim_start_matches('@'))))
}

/// Installs into a folder unless that was done before. What was left half is begun anew.
fn install(folder: &Path, install: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let done = folder.join("installed");
    if done.exists() {
        return Ok(());
    }
    eprintln!("Installing {} (once).", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    install(folder)?;
    fs::write(&done, "").with_context(|| format!("writing {}", done.display()))
}

fn need(program: &str, remedy: &str) -> Result<()> {
    let started = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    if started.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    bail!("there is no {program}: {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_installed_once_and_never_half() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("tool-1");
        let failed = install(&folder, |fresh| {
            fs::write(fresh.join("half"), "")?;
            bail!("the network is gone")
        });
        assert_eq!(failed.unwrap_err().to_string(), "the network is gone");
        install(&folder, |fresh| {
            assert!(!fresh.join("half").exists());
            Ok(())
        })
        .unwrap();
        install(&folder, |_| bail!("it is there already")).unwrap();
    }

    #[test]
    fn what_is_missing_is_named_with_the_remedy() {
        let error = need("farrier-no-such-program", "install it").unwrap_err().to_string();
        assert_eq!(error, "there is no farrier-no-such-program: install it");
    }
}
