//! Publishing, from the database to what an agent accepts.

use super::plant::{self, NOW, number};
use crate::repository::{self, Follower};
use anyhow::{Context as _, ensure};
use farrier::database::{
    Basis, Database, Follow, ImportedPackage, ImportedUpdate, Publication, PublishedRole, Requester, StoredMetadata,
    SuiteImport, now,
};
use farrier::keys::Keys;
use farrier::publish::Publisher;
use farrier_dpkg_rules::Rule;
use farrier_protocol::catalog::{Catalog, Chunk, MAX_CHUNK_BYTES};
use farrier_protocol::{Digest, UnixTime, UpdateId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tempfile::TempDir;
use tokio::sync::Mutex;

scenarios![
    a_publication_is_what_an_agent_accepts,
    nothing_changes_when_nothing_changed,
    clients_of_another_release_are_another_publication,
    a_catalog_holds_the_packages_of_its_architecture,
    a_changed_update_changes_a_chunk_or_two,
    an_expired_update_leaves_the_catalog,
    what_the_publication_before_names_is_kept_and_nothing_older,
    what_grows_old_is_signed_again_and_clients_are_assigned_the_same,
    who_read_before_another_process_published_does_not_undo_it,
    a_lost_file_is_stored_again,
    a_suite_that_is_not_followed_says_so_in_its_rules,
    an_update_without_a_rule_harms_nobody_else,
    more_catalogs_than_an_assignment_holds_are_refused_in_words,
    without_its_keys_the_site_publishes_nothing_new_and_says_so,
    a_synchronization_is_published_when_what_it_brought_is,
];

const CATALOG: &str = "catalogs/bookworm/amd64";

/// A site that publishes into a temporary folder, and a client that follows it.
pub struct Site {
    pub publisher: Publisher,
    folder: TempDir,
    pub client: Mutex<Follower>,
}

/// What a client knows of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    pub version: u64,
    pub targets: Vec<Target>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub name: String,
    pub digest: Digest,
    pub length: u64,
}

impl Site {
    pub async fn new(database: &Database) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let publisher = repository::publisher(database, folder.path()).await?;
        Self::with(publisher, folder).await
    }

    /// Another process of the same site, with a folder of its own.
    pub async fn beside(&self) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let repository = farrier::repository::RepositoryFolder::open(folder.path())?;
        let Publisher { database, keys, compiler, .. } = &self.publisher;
        let (database, keys, compiler) = (database.clone(), keys.clone(), compiler.clone());
        Self::with(Publisher { database, repository, keys, compiler }, folder).await
    }

    async fn with(publisher: Publisher, folder: TempDir) -> anyhow::Result<Self> {
        let root = publisher.database.metadata_version("root", 1).await?.context("the site has no root")?;
        let router = repository::distribution_point(&publisher, folder.path())?;
        let client = Mutex::new(Follower::new(repository::Source::Router(router), &root)?);
        Ok(Self { publisher, folder, client })
    }

    /// Publishes, and takes what is published as an agent would.
    pub async fn publish(&self) -> anyhow::Result<Index> {
        farrier::plugins::register(&self.publisher.database, now()).await?;
        self.publish_as_it_is().await
    }

    /// The same, without the plugins in the box.
    pub async fn publish_as_it_is(&self) -> anyhow::Result<Index> {
        self.publish_at(now()).await
    }

    /// The same at another time.
    pub async fn publish_at(&self, now: UnixTime) -> anyhow::Result<Index> {
        self.publisher.publish_at(now).await?;
        self.follow(now).await
    }

    /// Takes what is published.
    pub async fn follow(&self, now: UnixTime) -> anyhow::Result<Index> {
        let mut client = self.client.lock().await;
        client.refresh(now).await?;
        let targets = client.targets(now).await?;
        let targets = targets.into_iter().map(|(name, digest)| {
            let length = client.client.target(&name).context("it is not found")?.length;
            Ok(Target { name, digest, length })
        });
        let targets = targets.collect::<anyhow::Result<_>>()?;
        Ok(Index { version: self.current().await?.version, targets })
    }

    pub async fn current(&self) -> anyhow::Result<Publication> {
        let current = self.publisher.database.current_publication().await?;
        Ok(Publication::clone(&*current.context("nothing is published")?))
    }

    /// The site's data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What serves what is published.
    pub fn router(&self) -> anyhow::Result<axum::Router> {
        repository::distribution_point(&self.publisher, self.folder.path())
    }

    pub fn read(&self, digest: &Digest) -> anyhow::Result<Vec<u8>> {
        std::fs::read(self.publisher.repository.path(digest)).with_context(|| format!("{digest} is not stored"))
    }

    fn catalog(&self, index: &Index, target: &str) -> anyhow::Result<Catalog> {
        let target = index.targets.iter().find(|other| other.name == target).with_context(|| format!("no {target}"))?;
        let bytes = self.read(&target.digest)?;
        ensure!(bytes.len() as u64 == target.length);
        Ok(farrier_protocol::decode(&bytes)?)
    }

    /// The rules of a catalog by the update's name.
    pub fn rules(&self, index: &Index, target: &str) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let mut rules = BTreeMap::new();
        for entry in self.catalog(index, target)?.chunks {
            let compressed = self.read(&entry.digest)?;
            ensure!(Digest::of(&compressed) == entry.digest && compressed.len() as u32 == entry.length);
            let bytes = zstd::bulk::decompress(&compressed, MAX_CHUNK_BYTES)?;
            let chunk: Chunk<'_> = farrier_protocol::decode(&bytes)?;
            ensure!(chunk.is_consistent() && chunk.updates().len() == entry.rules as usize);
            for ((name, id), rule) in chunk.names.lines().zip(chunk.updates()).zip(chunk.rules()) {
                ensure!(id == UpdateId::of_name(name));
                ensure!(
                    rules.last_key_value().is_none_or(|(last, _): (&String, _)| last.as_str() <= name),
                    "sorted by name"
                );
                rules.insert(name.to_owned(), rule.to_owned());
            }
        }
        Ok(rules)
    }

    fn stored(&self) -> anyhow::Result<BTreeSet<String>> {
        let files = std::fs::read_dir(self.folder.path().join("repository/targets"))?;
        files.map(|file| Ok(file?.file_name().to_string_lossy().into_owned())).collect()
    }
}

/// An update with packages of name, architecture and version.
pub fn update(source: &str, version: &str, packages: &[(&str, &str, &str)]) -> ImportedUpdate {
    let package = |(name, architecture, version): &(&str, &str, &str)| ImportedPackage {
        name: (*name).into(),
        architecture: (*architecture).into(),
        version: (*version).into(),
        file: "pool/file.deb".into(),
        size: 1,
        sha256: Digest([0; 32]),
    };
    ImportedUpdate {
        source: source.into(),
        version: version.into(),
        summary: String::new(),
        classification: farrier::config::Classification::Updates,
        priority: 0,
        content: Digest::of(format!("{source} {version} {packages:?}").as_bytes()),
        packages: packages.iter().map(package).collect(),
    }
}

pub async fn import(
    database: &Database,
    suite: i64,
    follow: Follow,
    updates: Vec<ImportedUpdate>,
) -> anyhow::Result<()> {
    let names: Vec<_> = updates.iter().map(|update| (&update.source, &update.version)).collect();
    let imported = Digest::of(format!("{names:?}").as_bytes());
    let import = SuiteImport { validator: None, imported, released_at: NOW, follow, updates };
    database.import_suite(suite, &import).await?;
    Ok(())
}

/// A suite of so many updates, some of which have another version.
async fn large_suite(database: &Database, suite: i64, updates: usize, newer: &[usize]) -> anyhow::Result<()> {
    let one = |number: usize| {
        let version = if newer.contains(&number) { "2.0-1" } else { "1.0-1" };
        let (source, library) = (format!("source-{number:05}"), format!("lib{number:05}-1"));
        update(&source, version, &[(&source, "amd64", version), (&library, "amd64", version), ("doc", "all", version)])
    };
    import(database, suite, Follow::Always, (0..updates).map(one).collect()).await
}

async fn a_publication_is_what_an_agent_accepts(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    let bash = update("bash", "5.2.15-2", &[("bash", "amd64", "5.2.15-2+b2"), ("bash-doc", "all", "5.2.15-2")]);
    import(&database, suite, Follow::Always, vec![bash]).await?;
    let site = Site::new(&database).await?;
    let index = site.publish().await?;
    ensure!(
        index.version >= now().unsigned_abs() - 60,
        "a version of this time, so that a restored site gets above it"
    );
    let in_box = database.registered_plugins().await?.into_iter().map(|plugin| {
        let version = plugin.current_version().map_or_else(String::new, |version| version.version.clone());
        format!("plugins/{}/{version}", plugin.name)
    });
    let mut expected: Vec<String> = std::iter::once(CATALOG.to_owned()).chain(in_box).collect();
    expected.sort();
    ensure!(index.targets.iter().map(|target| &target.name).eq(&expected), "{expected:?}");
    let rules = site.rules(&index, CATALOG)?;
    ensure!(rules.keys().eq(["bookworm/bash/5.2.15-2"]));

    let content = site.current().await?.content;
    let plugin = content.plugins.iter().find(|plugin| plugin.name == "dpkg").context("no plugin")?;
    let catalog = &content.catalogs[0];
    ensure!(plugin.target == format!("plugins/dpkg/{}", plugin.version).as_str());
    ensure!(plugin.read.iter().any(|grant| grant == "/var/lib/dpkg/status"), "{:?}", plugin.read);
    ensure!((catalog.plugin.as_str(), catalog.scope.as_str()) == ("dpkg", "debian/bookworm/amd64"));
    for (target, digest) in [(plugin.target.as_str(), plugin.digest), (catalog.target.as_str(), catalog.digest)] {
        ensure!(index.targets.iter().any(|other| other.name == target && other.digest == digest), "{target}");
        ensure!(Digest::of(&site.read(&digest)?) == digest);
    }
    Ok(())
}

async fn nothing_changes_when_nothing_changed(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    large_suite(&database, suite, 300, &[]).await?;
    let site = Site::new(&database).await?;
    site.publish().await?;
    let (publication, stored) = (site.current().await?, site.stored()?);
    site.publish().await?;
    ensure!(site.current().await? == publication && site.stored()? == stored);

    let elsewhere = site.beside().await?;
    elsewhere.publish().await?;
    ensure!(elsewhere.stored()? == stored, "equal updates become equal bytes, wherever they are published");
    Ok(())
}

async fn clients_of_another_release_are_another_publication(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    large_suite(&database, suite, 3, &[]).await?;
    let site = Site::new(&database).await?;
    let index = site.publish().await?;
    sqlx::query("UPDATE suites SET release = 'trixie'").execute(database.pool()).await?;
    let moved = site.publish().await?;
    ensure!(moved.targets == index.targets && moved.version > index.version, "the same rules for other clients");
    ensure!(site.current().await?.content.catalogs[0].scope == "debian/trixie/amd64");
    Ok(())
}

async fn a_catalog_holds_the_packages_of_its_architecture(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    sqlx::query("UPDATE suites SET architectures = 'amd64 arm64'").execute(database.pool()).await?;
    let updates = vec![
        update("both", "1", &[("x", "amd64", "1"), ("y", "arm64", "1"), ("z", "all", "1")]),
        update("arm", "1", &[("w", "arm64", "1")]),
    ];
    import(&database, suite, Follow::Always, updates).await?;
    let site = Site::new(&database).await?;
    let index = site.publish().await?;
    for (target, expected) in [
        (CATALOG, vec![("bookworm/both/1", vec!["x", "z"])]),
        ("catalogs/bookworm/arm64", vec![("bookworm/arm/1", vec!["w"]), ("bookworm/both/1", vec!["y", "z"])]),
    ] {
        let rules = site.rules(&index, target)?;
        let names = rules.iter().map(|(name, rule)| Ok((name.as_str(), binaries(rule)?)));
        let names: Vec<_> = names.collect::<anyhow::Result<_>>()?;
        ensure!(
            names
                == expected
                    .into_iter()
                    .map(|(name, binaries)| (name, binaries.into_iter().map(str::to_owned).collect()))
                    .collect::<Vec<_>>()
        );
    }
    Ok(())
}

fn binaries(rule: &[u8]) -> anyhow::Result<Vec<String>> {
    let rule = Rule::decode(rule).map_err(|error| anyhow::anyhow!("{error}"))?;
    let name = |binary: Result<farrier_dpkg_rules::Binary<'_>, _>| {
        let binary = binary.map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(String::from_utf8(binary.name.to_owned())?)
    };
    rule.binaries().map(name).collect()
}

async fn a_changed_update_changes_a_chunk_or_two(database: Database) -> anyhow::Result<()> {
    const UPDATES: usize = 9_000;
    let suite = plant::suite(&database, "bookworm").await?;
    let site = Site::new(&database).await?;
    large_suite(&database, suite, UPDATES, &[]).await?;
    let mut before = digests(&site.catalog(&site.publish().await?, CATALOG)?);
    ensure!(before.len() > 10, "{} chunks are too few for this test", before.len());
    for newer in [0, 1_234, 3_000, 4_711, UPDATES - 1] {
        large_suite(&database, suite, UPDATES, &[newer]).await?;
        let after = digests(&site.catalog(&site.publish().await?, CATALOG)?);
        // The newer version of this round, and the old one that is back from the round before.
        let changed = after.difference(&before).count();
        ensure!((1..=4).contains(&changed), "update {newer} changed {changed} of {} chunks", after.len());
        before = after;
    }
    Ok(())
}

fn digests(catalog: &Catalog) -> BTreeSet<Digest> {
    catalog.chunks.iter().map(|chunk| chunk.digest).collect()
}

async fn an_expired_update_leaves_the_catalog(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    let site = Site::new(&database).await?;
    large_suite(&database, suite, 3, &[]).await?;
    ensure!(site.rules(&site.publish().await?, CATALOG)?.len() == 3);
    large_suite(&database, suite, 2, &[]).await?;
    ensure!(site.rules(&site.publish().await?, CATALOG)?.len() == 2);
    Ok(())
}

async fn what_the_publication_before_names_is_kept_and_nothing_older(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    let site = Site::new(&database).await?;
    let mut indices = Vec::new();
    for updates in 1..=3 {
        large_suite(&database, suite, updates, &[]).await?;
        indices.push(site.publish().await?);
    }
    ensure!(site.rules(&indices[1], CATALOG)?.len() == 2, "a client in the middle of a fetch succeeds");
    ensure!(site.catalog(&indices[0], CATALOG).is_err());
    // Two catalogs with a chunk each, and the plugins.
    ensure!(site.stored()?.len() == 4 + farrier::plugins::components().len(), "{:?}", site.stored()?);
    ensure!(number(&database, "SELECT COUNT(*) FROM publications").await? == 2);
    Ok(())
}

/// The roles of which another version is published.
pub fn changed_roles(before: &Publication, after: &Publication) -> Vec<String> {
    let is_same = |name: &str| before.role_version(name) == after.role_version(name);
    let mut names: Vec<_> = after.roles.iter().map(|role| role.name.clone()).filter(|name| !is_same(name)).collect();
    names.sort();
    names
}

async fn what_grows_old_is_signed_again_and_clients_are_assigned_the_same(database: Database) -> anyhow::Result<()> {
    const DAY: i64 = 86_400;
    let suite = plant::suite(&database, "bookworm").await?;
    large_suite(&database, suite, 3, &[]).await?;
    let site = Site::new(&database).await?;
    let first = site.publish().await?;
    let (start, mut before) = (now(), site.current().await?);
    for (days, expected) in [
        (0, &[][..]),
        (2, &["timestamp"]),
        (8, &["snapshot", "timestamp"]),
        (16, &["catalogs", "policies", "snapshot", "timestamp"]),
        (183, &["catalogs", "native", "plugins", "policies", "root", "snapshot", "targets", "timestamp"]),
    ] {
        let index = site.publish_at(start + days * DAY).await.with_context(|| format!("after {days} days"))?;
        let after = site.current().await?;
        ensure!(changed_roles(&before, &after) == expected, "after {days} days: {:?}", changed_roles(&before, &after));
        ensure!(index.targets == first.targets);
        ensure!((after.content_version, after.content_at) == (before.content_version, before.content_at));
        before = after;
    }
    Ok(())
}

/// What a publisher reads at this moment.
async fn basis(database: &Database) -> anyhow::Result<Basis> {
    let publication = database.current_publication().await?.map_or(0, |current| current.version);
    let role = |metadata: StoredMetadata| PublishedRole { name: metadata.role, version: metadata.version };
    Ok(Basis { publication, metadata: database.newest_metadata().await?.into_iter().map(role).collect() })
}

async fn who_read_before_another_process_published_does_not_undo_it(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    large_suite(&database, suite, 3, &[]).await?;
    let site = Site::new(&database).await?;
    site.publish().await?;
    let (early, read_early) = (site.current().await?, basis(&database).await?);
    large_suite(&database, suite, 2, &[]).await?;
    let second = site.publish().await?;
    let read_late = basis(&database).await?;
    let late = Publication { version: second.version + 1, ..early };
    let metadata =
        |role: &str, version| StoredMetadata { role: role.to_owned(), version, expires_at: 1, bytes: vec![1] };
    let timestamp = metadata("timestamp", late.version);
    ensure!(!database.record_publication(&late, std::slice::from_ref(&timestamp), &read_early).await?);
    ensure!(database.metadata_version("timestamp", late.version).await?.is_none(), "nothing of it is recorded");
    ensure!(site.current().await?.version == second.version);

    database.record_metadata(&[metadata("targets", late.version)]).await?;
    ensure!(!database.record_publication(&late, std::slice::from_ref(&timestamp), &read_late).await?, "others signed");
    ensure!(database.record_metadata(&[metadata("targets", late.version - 1)]).await.is_err(), "nor do they undo it");
    let read_last = basis(&database).await?;
    ensure!(database.record_publication(&late, &[timestamp], &read_last).await?);
    ensure!(site.current().await? == late, "what is remembered is given up for what is newer");
    Ok(())
}

async fn a_lost_file_is_stored_again(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    large_suite(&database, suite, 3, &[]).await?;
    let site = Site::new(&database).await?;
    let index = site.publish().await?;
    for file in site.stored()? {
        std::fs::remove_file(site.folder.path().join("repository/targets").join(file))?;
    }
    ensure!(site.publish().await? == index);
    ensure!(site.rules(&index, CATALOG)?.len() == 3);
    Ok(())
}

async fn a_suite_that_is_not_followed_says_so_in_its_rules(database: Database) -> anyhow::Result<()> {
    let site = Site::new(&database).await?;
    for (follow, expected) in [
        (Follow::Always, [None, None]),
        (Follow::WhereInstalled, [Some("1.5-1"), Some("")]),
        (Follow::Never, [Some("2-1~bpo12+1"), Some("2-1~bpo12+1")]),
    ] {
        let suites = plant::suites(&database, &["bookworm", "bookworm-backports"]).await?;
        let ordinary = [
            update("tool", "1.5-1", &[("tool", "amd64", "1.5-1")]),
            update("old", "1.10-1", &[("tool", "i386", "1.10-1")]),
        ];
        import(&database, suites[0], Follow::Always, ordinary.into()).await?;
        let version = "2-1~bpo12+1";
        let backport = update("tool", version, &[("tool", "amd64", version), ("tool-extra", "all", version)]);
        import(&database, suites[1], follow, vec![backport]).await?;

        let index = site.publish().await?;
        let rules = site.rules(&index, "catalogs/bookworm-backports/amd64")?;
        let rule = rules.get("bookworm-backports/tool/2-1~bpo12+1").context("the backport has no rule")?;
        let rule = Rule::decode(rule).map_err(|error| anyhow::anyhow!("{error}"))?;
        let above: Vec<_> = rule
            .binaries()
            .map(|binary| binary.map(|binary| binary.above))
            .collect::<Result<_, _>>()
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        ensure!(above == expected.map(|above| above.map(str::as_bytes)), "{follow:?}: {above:?}");
    }
    Ok(())
}

async fn an_update_without_a_rule_harms_nobody_else(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    let names: Vec<String> = (0..1000).map(|number| format!("{}-{number:04}", "n".repeat(200))).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "amd64", "1")).collect();
    let long = "1.".repeat(200);
    let updates = vec![
        update("large", "1", &many),
        update("long", &long, &[("long", "amd64", &long)]),
        update("small", "1", &[("small", "amd64", "1")]),
    ];
    import(&database, suite, Follow::Always, updates).await?;
    let site = Site::new(&database).await?;
    ensure!(site.rules(&site.publish().await?, CATALOG)?.keys().eq(["bookworm/large/1", "bookworm/small/1"]));
    Ok(())
}

async fn more_catalogs_than_an_assignment_holds_are_refused_in_words(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    large_suite(&database, suite, 1, &[]).await?;
    let site = Site::new(&database).await?;
    let index = site.publish().await?;
    let architectures: Vec<String> = (0..65).map(|number| format!("arch{number}")).collect();
    sqlx::query("UPDATE suites SET architectures = $1").bind(architectures.join(" ")).execute(database.pool()).await?;
    let error = site.publish().await.err().context("65 catalogs were published")?;
    ensure!(format!("{error:#}").contains("64"), "{error:#}");
    ensure!(site.current().await?.version == index.version, "the publication before stays");
    Ok(())
}

async fn without_its_keys_the_site_publishes_nothing_new_and_says_so(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    large_suite(&database, suite, 1, &[]).await?;
    let mut site = Site::new(&database).await?;
    let index = site.publish().await?;
    let nowhere = tempfile::tempdir()?;
    site.publisher.keys = Keys::open(nowhere.path())?;
    ensure!(site.publish().await? == index, "there is nothing to sign");
    large_suite(&database, suite, 2, &[]).await?;
    site.publish().await?;
    let error = site.publisher.publish_at(now() + 9 * 86_400).await.err().context("published without keys")?;
    ensure!(format!("{error:#}").contains("does not have the keys"), "{error:#}");
    ensure!(site.current().await?.version == index.version);
    Ok(())
}

async fn a_synchronization_is_published_when_what_it_brought_is(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    large_suite(&database, suite, 1, &[]).await?;
    let site = Site::new(&database).await?;
    let run = database.request_sync(Requester::Administrator).await?;
    site.publish().await?;
    ensure!(database.sync_run(run).await?.context("no run")?.published_at.is_none(), "it has not ended");
    database.take_sync_run(&["bookworm"]).await?;
    database.finish_sync_run(run).await?;
    site.publish().await?;
    ensure!(database.sync_run(run).await?.context("no run")?.published_at.is_some());
    Ok(())
}
