//! A client of a repository, in this process: the agent's verifier, and what it asks for.

#![allow(dead_code)]

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use farrier::content::ContentStore;
use farrier::database::{Database, now};
use farrier::distribution_point;
use farrier::keys::SiteKeys;
use farrier::publish::Publisher;
use farrier::repository::RepositoryFolder;
use farrier_protocol::{Digest, UnixTime, paths};
use farrier_runtime::Compiler;
use farrier_trust::{Answer, Client, Draft, Floors, Target, Targets};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tower::ServiceExt as _;

/// A path below each of the folders of a site's targets.
const PROBES: [&str; 4] = ["native/no/such", "plugins/no/such", "catalogs/no/such", "policies/such"];

/// A site that publishes below `folder`, whose keys are made there.
pub async fn publisher(database: &Database, folder: &Path) -> anyhow::Result<Publisher> {
    let keys = SiteKeys::open(database.clone(), folder)?;
    keys.ensure(now()).await?;
    let repository = RepositoryFolder::open(folder)?;
    Ok(Publisher { database: database.clone(), repository, keys: keys.keys, compiler: Compiler::InProcess })
}

/// What serves what a publisher publishes.
pub fn distribution_point(publisher: &Publisher, folder: &Path) -> anyhow::Result<Router> {
    let content = ContentStore::in_folder(&folder.join("content"))?;
    Ok(distribution_point::router(publisher.database.clone(), publisher.repository.clone(), content))
}

/// Where a repository is.
#[derive(Clone)]
pub enum Source {
    /// Behind a distribution point.
    Router(Router),
    /// In the folders `metadata` and `targets` of this one.
    Folder(PathBuf),
}

impl Source {
    /// A file; none if it is not there.
    pub async fn get(&self, folder: &str, file: &str) -> anyhow::Result<Option<Vec<u8>>> {
        match self {
            Self::Router(router) => {
                let folder = if folder == "metadata" { paths::METADATA } else { paths::TARGETS };
                let request = Request::get(format!("{folder}/{file}")).body(Body::empty())?;
                let (head, body) = router.clone().oneshot(request).await?.into_parts();
                let body = to_bytes(body, usize::MAX).await?;
                match head.status {
                    StatusCode::OK => Ok(Some(body.into())),
                    StatusCode::NOT_FOUND => Ok(None),
                    status => anyhow::bail!("{file}: {status} {}", String::from_utf8_lossy(&body)),
                }
            }
            Self::Folder(path) => match std::fs::read(path.join(folder).join(file)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }
}

/// A client that follows a repository.
pub struct Follower {
    source: Source,
    pub client: Client,
    /// What it asked for so far, with the bytes of the answers.
    pub asked: Vec<(String, usize)>,
}

impl Follower {
    /// One that trusts this root.
    pub fn new(source: Source, root: &[u8]) -> anyhow::Result<Self> {
        Ok(Self { source, client: Client::new(root, Floors::default())?, asked: Vec::new() })
    }

    /// One that trusts the first root of a site, and follows what it has published until `now`.
    pub async fn of_site(publisher: &Publisher, folder: &Path, now: UnixTime) -> anyhow::Result<Self> {
        let root = publisher.database.metadata_version("root", 1).await?.context("the site has no root")?;
        let mut follower = Self::new(Source::Router(distribution_point(publisher, folder)?), &root)?;
        follower.refresh(now).await?;
        Ok(follower)
    }

    /// Takes what is new.
    pub async fn refresh(&mut self, now: UnixTime) -> anyhow::Result<()> {
        let mut refresh = self.client.refresh(now);
        while let Some(request) = refresh.next()? {
            let answer = self.source.get("metadata", &request.file).await?;
            self.asked.push((request.file, answer.as_ref().map_or(0, Vec::len)));
            refresh.receive(answer.as_deref().map_or(Answer::Missing, Answer::Found))?;
        }
        Ok(())
    }

    /// Looks for a target.
    pub async fn find(&mut self, path: &str, now: UnixTime) -> anyhow::Result<Option<Target>> {
        let mut search = self.client.search(path, now);
        while let Some(request) = search.next()? {
            let answer = self.source.get("metadata", &request.file).await?;
            self.asked.push((request.file, answer.as_ref().map_or(0, Vec::len)));
            search.receive(answer.as_deref().map_or(Answer::Missing, Answer::Found))?;
        }
        Ok(search.finish()?)
    }

    /// Downloads a target, by its path or by its digest alone, and verifies it.
    pub async fn download(&self, target: &Target, by_path: bool) -> anyhow::Result<Vec<u8>> {
        let digest = target.sha256().context("it has no SHA-256")?;
        let file = if by_path { target.file() } else { digest.to_string() };
        let bytes = self.source.get("targets", &file).await?.with_context(|| format!("{file} is missing"))?;
        let mut verifier = target.verifier();
        verifier.update(&bytes)?;
        verifier.finish()?;
        Ok(bytes)
    }

    /// Everything that a site's roles name, each target found by its role.
    pub async fn targets(&mut self, now: UnixTime) -> anyhow::Result<BTreeMap<String, Digest>> {
        for probe in PROBES {
            ensure!(self.find(probe, now).await?.is_none());
        }
        let mut targets = BTreeMap::new();
        for (role, bytes) in
            self.client.metadata().filter(|(role, _)| !matches!(*role, "root" | "timestamp" | "snapshot"))
        {
            let content: Targets = Draft::from_bytes(role, bytes)?.content()?;
            for name in content.targets.keys() {
                let target = self.client.target(name).with_context(|| format!("{name} is not found"))?;
                ensure!(target.role == role, "{name} is named by {role} and found by {}", target.role);
                targets.insert(name.clone(), target.sha256().context("it has no SHA-256")?);
            }
        }
        Ok(targets)
    }
}
