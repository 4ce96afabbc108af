//! The oracle: python-tuf reads what a site publishes, and the agents' verifier reads what python-tuf made.

use super::plant::{self, NOW};
use super::plant_deployments::{everybody, site as deployments};
use super::publications::Site;
use crate::repository::{Follower, Source};
use anyhow::{Context as _, bail, ensure};
use farrier::database::{Database, now};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

scenarios![python_tuf_reads_what_a_site_publishes_over_a_change_of_root, what_python_tuf_made_is_read,];

/// What pip is asked for.
const PACKAGES: [&str; 2] = ["tuf==7.0.1", "securesystemslib[crypto]==1.6.0"];
const FOLLOW: &str = include_str!("python_tuf/follow.py");
const MAKE: &str = include_str!("python_tuf/make.py");

async fn python_tuf_reads_what_a_site_publishes_over_a_change_of_root(database: Database) -> anyhow::Result<()> {
    let Some(python) = python() else { return Ok(()) };
    let updates = plant::updates(&database, &["bash", "openssl"]).await?;
    deployments(&database).create(&everybody(&updates), NOW).await?;
    let site = Site::new(&database).await?;
    let index = site.publish().await?;
    let of = |folder: &str| {
        let target = index.targets.iter().find(|target| target.name.starts_with(folder));
        target.with_context(|| format!("nothing is published in {folder}"))
    };
    let targets = [of("plugins/")?, of("catalogs/")?, of("policies/")?];

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn(axum::serve(listener, site.router()?).into_future());
    let folder = tempfile::tempdir()?;
    let first_root = folder.path().join("root.json");
    std::fs::write(&first_root, database.metadata_version("root", 1).await?.context("no root")?)?;
    for (root, known, at) in [(1, first_root.as_path(), now()), (2, Path::new("-"), now() + 183 * 86_400)] {
        site.publisher.publish_at(at).await?;
        let mut follow = Command::new(&python);
        follow.args(["-c", FOLLOW, &url]).arg(known).arg(folder.path().join("client"));
        follow.args(targets.iter().map(|target| &target.name));
        let output = tokio::task::spawn_blocking(move || follow.output()).await??;
        let said: Value = serde_json::from_slice(&said(output)?)?;
        let digests = targets.iter().map(|target| (target.name.clone(), json!(target.digest.to_string()))).collect();
        ensure!(said == json!({ "root": root, "targets": Value::Object(digests) }), "{said}");
    }
    serving.abort();
    Ok(())
}

async fn what_python_tuf_made_is_read(_: Database) -> anyhow::Result<()> {
    let Some(python) = python() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    said(Command::new(python).args(["-c", MAKE]).arg(folder.path()).output()?)?;
    let root = std::fs::read(folder.path().join("metadata/1.root.json"))?;
    let mut follower = Follower::new(Source::Folder(folder.path().to_owned()), &root)?;
    follower.refresh(now()).await?;
    ensure!(follower.client.root_version() == 2);
    for (path, content, role) in
        [("notes", "made by python-tuf", "targets"), ("plugins/dpkg/1.0.0", "a plugin", "plugins")]
    {
        let target = follower.find(path, now()).await?.with_context(|| format!("{path} is not found"))?;
        ensure!(target.role == role && follower.download(&target, true).await? == content.as_bytes());
    }
    ensure!(follower.find("plugins/dpkg/1.0.1", now()).await?.is_none());
    let later = now() + 31 * 86_400;
    let error = follower.refresh(later).await.err().context("it expired and was taken")?;
    ensure!(error.to_string().contains("expired"), "{error:#}");
    Ok(())
}

fn said(output: Output) -> anyhow::Result<Vec<u8>> {
    if !output.status.success() {
        bail!("python-tuf: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// A Python with python-tuf, made once below the target folder; none, said loudly, where pip cannot get it.
fn python() -> Option<PathBuf> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let install = || {
        install(Path::new(env!("CARGO_TARGET_TMPDIR"))).map_err(|error| {
            eprintln!("\nNOTHING IS COMPARED WITH PYTHON-TUF, which cannot be had here:\n{error:#}\n");
            format!("{error:#}")
        })
    };
    PYTHON.get_or_init(install).as_ref().ok().cloned()
}

fn install(parent: &Path) -> anyhow::Result<PathBuf> {
    let folder = parent.join(PACKAGES[0].replace("==", "-"));
    let python = folder.join("bin/python");
    if !folder.join("installed").exists() {
        // What was left half is begun anew.
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).context("python3 makes no environment")?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(&python).args(pip).args(PACKAGES)).context("pip installs nothing")?;
        std::fs::write(folder.join("installed"), "")?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    said(command.output()?).map(|_| ())
}
