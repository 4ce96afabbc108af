//! Authored updates: from a policy file to what an agent reads, and back.

use super::plant::{self, NOW, client, number};
use super::plant_deployments::{self, ID, everybody, said, say, site};
use super::plant_plugins;
use super::publications::{Index, Site, import as import_suite, update};
use anyhow::{Context as _, ensure};
use farrier::authored::{self, Dropped, ImportError, Imported, KnownPlugins, Outcome, update_name};
use farrier::content::{Asked, ContentStore, Mirroring, ask};
use farrier::database::views::UpdateFilter;
use farrier::database::{Database, Follow, now};
use farrier::deployment::rules::RuleFilter;
use farrier::deployment::settings::ContentSource;
use farrier_protocol::deployment::{
    ContentEntry, ContentSource as Source, DeployedUpdates, DeploymentPolicy, MAX_DEPLOYED_BYTES,
};
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::state_message::{Compliance, StateMessage};
use farrier_protocol::{ComplianceState, Digest, UpdateId};
use farrier_runtime::Manifest;
use serde_json::json;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

scenarios![
    a_policy_becomes_an_update_with_a_catalog,
    what_is_imported_twice_stays,
    a_deployment_tells_the_installer_what_the_author_wrote,
    an_update_without_content_is_deployed,
    what_can_only_be_observed_says_so_when_it_is_deployed,
    no_rule_deploys_what_can_only_be_observed,
    a_policy_of_dpkg_stands_beside_the_suites,
    a_newer_version_supersedes_and_an_older_one_comes_back,
    a_version_means_one_thing,
    synchronizing_leaves_policies_alone,
    content_stays_as_long_as_a_policy_names_it,
    content_that_was_lost_is_imported_again,
    what_cannot_be_imported_changes_nothing,
    a_version_comes_back_only_where_there_is_a_place_for_it,
    a_client_takes_so_many_plugins,
    catalogs_that_do_not_fit_keep_nothing_else_from_being_published,
    a_plugin_that_counts_nowhere_is_named,
    the_console_counts_what_an_author_names,
    clients_that_a_policy_does_not_concern_hold_no_phase_up,
    every_sample_is_imported_and_deployed,
];

const ANY: &str = "file-set/any";
const BOOKWORM: &str = "debian/bookworm/amd64";
const CATALOG: &str = "catalogs/authored/file-set/file-set/any";
const DAY: i64 = 24 * 3_600;

/// A site with a content store, and a folder to write policies into.
struct Author {
    database: Database,
    store: ContentStore,
    plugins: KnownPlugins,
    folder: TempDir,
}

fn manifest(name: &str, world: &str, scopes: &[&str], encoding: &str) -> anyhow::Result<Manifest> {
    Ok(serde_json::from_value(json!({
        "name": name, "version": "1.0.0", "description": "A test.", "license": "Apache-2.0", "wit": "1.0.0",
        "world": world, "scopes": scopes, "rules": { "encoding": encoding },
    }))?)
}

/// A policy of the plugin `file-set`: this rule, and these files.
fn kiosk(version: &str, rule: &str, files: &[&str]) -> String {
    let mut text = format!(
        r#"name = "kiosk"
version = "{version}"
title = "The kiosk {version}"
classification = "Security Updates"
[applicability]
plugin = "file-set"
scopes = ["{ANY}"]
rule = {rule}
[installation]
plugin = "file-set-installer"
instructions = {{ b = 1, a = "{version}" }}
max_run = "5 min"
"#
    );
    for file in files {
        text.push_str(&format!("[[content]]\nlabel = \"{file}\"\nfile = \"content/{file}\"\n"));
    }
    text
}

fn observed(name: &str) -> String {
    let rest = format!("plugin = \"file-set\"\nscopes = [\"{ANY}\"]\nrule = {{}}\n");
    format!("name = \"{name}\"\nversion = \"1\"\ntitle = \"T\"\n[applicability]\n{rest}")
}

/// A policy of Debian's plugins about one package.
fn of_dpkg(name: &str) -> String {
    format!(
        r#"name = "{name}"
version = "1"
title = "T"
[applicability]
plugin = "dpkg"
scopes = ["{BOOKWORM}"]
rule.packages = [{{ name = "openssl", architecture = "amd64", version = "3" }}]
[installation]
plugin = "dpkg-installer"
"#
    )
}

impl Author {
    fn new(database: &Database) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = ContentStore::in_folder(&folder.path().join("store"))?;
        let mut plugins = KnownPlugins::default();
        plugins.add(manifest("file-set", "applicability", &["file-set/*"], "json")?);
        plugins.add(manifest("file-set-installer", "installer", &[], "json")?);
        plugins.add(manifest("dpkg", "applicability", &["*/*/*"], "dpkg")?);
        plugins.add(manifest("dpkg-installer", "installer", &[], "json")?);
        std::fs::create_dir(folder.path().join("content"))?;
        Ok(Self { database: database.clone(), store, plugins, folder })
    }

    /// Writes a policy, and each of its files with its own name as content.
    fn write(&self, text: &str, files: &[&str]) -> anyhow::Result<PathBuf> {
        for file in files {
            std::fs::write(self.folder.path().join("content").join(file), file)?;
        }
        let path = self.folder.path().join("policy.toml");
        std::fs::write(&path, text)?;
        Ok(path)
    }

    async fn try_import(&self, text: &str, files: &[&str]) -> anyhow::Result<Result<Imported, ImportError>> {
        let path = self.write(text, files)?;
        Ok(authored::import(&self.database, &self.store, &self.plugins, &path, NOW).await)
    }

    async fn import(&self, text: &str, files: &[&str]) -> anyhow::Result<Imported> {
        Ok(self.try_import(text, files).await??)
    }

    async fn kiosk(&self, version: &str, files: &[&str]) -> anyhow::Result<Imported> {
        self.import(&kiosk(version, "{ z = 1, a = [true] }", files), files).await
    }

    async fn remove(&self, policy: &str, version: Option<&str>) -> anyhow::Result<authored::Removed> {
        Ok(authored::remove(&self.database, &self.store, policy, version, NOW).await?)
    }

    async fn has(&self, content: &str) -> anyhow::Result<bool> {
        Ok(self.store.length(&Digest::of(content.as_bytes())).await? == Some(content.len() as u64))
    }
}

fn id(name: &str, version: &str) -> UpdateId {
    UpdateId::of_name(&update_name(name, version))
}

fn names(index: &Index, start: &str) -> Vec<String> {
    let names = index.targets.iter().map(|target| target.name.clone());
    names.filter(|name| name.starts_with(start)).collect()
}

/// What the only deployment says, and what it deploys by plugin, scope and installer.
type Deployed = (DeploymentPolicy, Vec<([String; 3], DeployedUpdates)>);

async fn deployed(site: &Site) -> anyhow::Result<Deployed> {
    let index = site.publish_as_it_is().await?;
    let target = index.targets.iter().find(|target| target.name.starts_with("policies/")).context("no policy")?;
    let policy: DeploymentPolicy = farrier_protocol::decode(&site.read(&target.digest)?)?;
    let mut scopes = Vec::new();
    for scope in &policy.scopes {
        let bytes = zstd::bulk::decompress(&site.read(&scope.digest)?, MAX_DEPLOYED_BYTES)?;
        let updates: DeployedUpdates = farrier_protocol::decode(&bytes)?;
        ensure!(updates.updates.len() == scope.updates as usize);
        scopes.push(([scope.plugin.to_string(), scope.scope.to_string(), scope.installer.to_string()], updates));
    }
    Ok((policy, scopes))
}

fn labels(entries: &[ContentEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.label.as_str()).collect()
}

async fn a_policy_becomes_an_update_with_a_catalog(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    let imported = author.kiosk("1", &["kiosk-1.bin"]).await?;
    ensure!((imported.name.as_str(), imported.outcome) == ("authored/kiosk/1", Outcome::Added), "{imported:?}");
    ensure!((imported.contents, imported.content_bytes, imported.is_deployable) == (1, 11, true));
    ensure!(author.has("kiosk-1.bin").await?);
    ensure!(ask(&database, &Digest::of(b"kiosk-1.bin"), NOW).await? == Asked::Here(11));

    let site = Site::new(&database).await?;
    let index = site.publish_as_it_is().await?;
    let rules = site.rules(&index, CATALOG)?;
    ensure!(rules.keys().eq(["authored/kiosk/1"]));
    ensure!(rules["authored/kiosk/1"] == br#"{"a":[true],"z":1}"#);
    let content = site.current().await?.content;
    let catalog = content.catalogs.iter().find(|catalog| catalog.target == CATALOG).context("it is not assigned")?;
    ensure!((catalog.plugin.as_str(), catalog.scope.as_str()) == ("file-set", ANY));

    let detail = database.update_detail(id("kiosk", "1")).await?.context("the console does not know it")?;
    ensure!((detail.row.title.as_str(), detail.row.suite.as_str()) == ("kiosk 1", "authored"));
    ensure!(detail.packages.len() == 1 && detail.packages[0].name == "kiosk-1.bin");
    ensure!(database.suite_names().await? == ["authored"]);
    let filter = UpdateFilter { suite: Some("authored".to_owned()), ..UpdateFilter::default() };
    ensure!(database.update_rows(&filter).await?.total == 1);
    Ok(())
}

async fn what_is_imported_twice_stays(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    author.kiosk("1", &["kiosk-1.bin"]).await?;
    let site = Site::new(&database).await?;
    let index = site.publish_as_it_is().await?;
    let before = database.assignment_version().await?;
    ensure!(author.kiosk("1", &["kiosk-1.bin"]).await?.outcome == Outcome::Unchanged);
    ensure!(database.assignment_version().await? == before && site.publish_as_it_is().await? == index);
    ensure!(number(&database, "SELECT COUNT(*) FROM software_updates").await? == 1);
    // What people read is no part of what clients are told.
    let text = kiosk("1", "{ z = 1, a = [true] }", &["kiosk-1.bin"]).replace("The kiosk 1", "A kiosk");
    ensure!(author.import(&text, &[]).await?.outcome == Outcome::Changed);
    let row = database.authored_rows(Some("kiosk"), false).await?.remove(0);
    ensure!(row.title == "A kiosk" && database.authored_definition(row.id).await? == Some(text));
    Ok(())
}

async fn a_deployment_tells_the_installer_what_the_author_wrote(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    author.kiosk("1", &["kiosk-1.bin"]).await?;
    author.kiosk("1.2", &["extra.bin", "kiosk-1.2.bin"]).await?;
    let mut new = everybody(&[id("kiosk", "1.2")]);
    new.settings.roll_back = true;
    new.settings.sources = vec![ContentSource::Upstream];
    site(&database).create(&new, NOW).await?;
    let (policy, scopes) = deployed(&Site::new(&database).await?).await?;
    ensure!(policy.sources == [Source::DistributionPoint], "nobody else has it: {:?}", policy.sources);
    let [(scope, deployed)] = &scopes[..] else { anyhow::bail!("{} scopes", scopes.len()) };
    ensure!(scope == &["file-set", ANY, "file-set-installer"].map(str::to_owned));
    let update = &deployed.updates[0];
    ensure!((update.update, update.name.as_str()) == (id("kiosk", "1.2"), "authored/kiosk/1.2"));
    ensure!((update.summary.as_str(), update.max_run_seconds) == ("The kiosk 1.2", 300));
    ensure!(update.instructions == br#"{"a":"1.2","b":1}"#);
    ensure!(labels(&update.contents) == ["extra.bin", "kiosk-1.2.bin"]);
    ensure!(update.contents[0].digest == Digest::of(b"extra.bin") && update.contents[0].length == 9);
    ensure!(labels(&update.previous) == ["kiosk-1.bin"], "what it replaces");
    ensure!(site(&database).review(&new, NOW).await?.updates == 1);
    Ok(())
}

async fn an_update_without_content_is_deployed(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    author.kiosk("1", &[]).await?;
    site(&database).create(&everybody(&[id("kiosk", "1")]), NOW).await?;
    let (_, scopes) = deployed(&Site::new(&database).await?).await?;
    let update = &scopes[0].1.updates[0];
    ensure!(update.contents.is_empty() && !update.instructions.is_empty());
    Ok(())
}

async fn what_can_only_be_observed_says_so_when_it_is_deployed(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    ensure!(!author.import(&observed("watched"), &[]).await?.is_deployable);
    site(&database).create(&everybody(&[id("watched", "1")]), NOW).await?;
    let published = Site::new(&database).await?;
    let index = published.publish_as_it_is().await?;
    ensure!(names(&index, "policies/").is_empty() && names(&index, "catalogs/") == [CATALOG]);
    let problem = database.publishable_deployments().await?.remove(0).problem.context("there is no problem")?;
    ensure!(problem.starts_with("authored/watched/1 can only be observed: take it out"), "{problem}");
    Ok(())
}

async fn no_rule_deploys_what_can_only_be_observed(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    author.import(&observed("watched"), &[]).await?;
    author.kiosk("1", &[]).await?;
    let filter = RuleFilter { suites: vec!["authored".to_owned()], ..RuleFilter::default() };
    let selected = site(&database).preview_rule(&filter, NOW).await?;
    ensure!(selected.iter().map(|update| update.update.title.as_str()).eq(["kiosk 1"]));
    Ok(())
}

async fn a_policy_of_dpkg_stands_beside_the_suites(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    import_suite(&database, suite, Follow::Always, vec![update("bash", "5", &[("bash", "amd64", "5")])]).await?;
    let author = Author::new(&database)?;
    author.import(&of_dpkg("minimum"), &[]).await?;
    let updates = [UpdateId::of_name("bookworm/bash/5"), id("minimum", "1")];
    site(&database).create(&everybody(&updates), NOW).await?;
    let site = Site::new(&database).await?;
    let index = site.publish_as_it_is().await?;
    let catalogs = ["catalogs/authored/dpkg/debian/bookworm/amd64", "catalogs/bookworm/amd64"];
    ensure!(names(&index, "catalogs/") == catalogs, "{:?}", names(&index, "catalogs/"));
    ensure!(site.current().await?.content.catalogs.iter().all(|catalog| catalog.scope == BOOKWORM));
    let rule = &site.rules(&index, catalogs[0])?["authored/minimum/1"];
    let rule = farrier_dpkg_rules::Rule::decode(rule).map_err(|error| anyhow::anyhow!("{error}"))?;
    ensure!(rule.architecture == b"amd64" && rule.binaries().count() == 1);
    let (_, scopes) = deployed(&site).await?;
    ensure!(scopes.len() == 1 && scopes[0].1.updates.len() == 2, "the same plugins, the same clients: one scope");
    Ok(())
}

async fn a_newer_version_supersedes_and_an_older_one_comes_back(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    author.kiosk("1.10", &[]).await?;
    let older = author.kiosk("1.9", &[]).await?;
    ensure!((older.outcome, older.superseded_by.as_deref()) == (Outcome::Added, Some("1.10")), "{older:?}");
    let site = Site::new(&database).await?;
    let index = site.publish_as_it_is().await?;
    ensure!(site.rules(&index, CATALOG)?.keys().eq(["authored/kiosk/1.10"]), "the older one would go on asking");
    let removed = author.remove("kiosk", Some("1.10")).await?;
    ensure!(removed.names == ["authored/kiosk/1.10"]);
    let index = site.publish_as_it_is().await?;
    ensure!(site.rules(&index, CATALOG)?.keys().eq(["authored/kiosk/1.9"]));
    author.remove("kiosk", None).await?;
    ensure!(names(&site.publish_as_it_is().await?, "catalogs/").is_empty());
    ensure!(author.remove("kiosk", None).await?.names.is_empty(), "there is nothing left");
    ensure!(author.kiosk("1.9", &[]).await?.outcome == Outcome::Added, "it is back");
    ensure!(names(&site.publish_as_it_is().await?, "catalogs/") == [CATALOG]);
    Ok(())
}

async fn a_version_means_one_thing(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    author.kiosk("1", &["kiosk-1.bin"]).await?;
    let changed = |rule: &str| kiosk("1", rule, &["kiosk-1.bin"]);
    // Nobody has heard of it: it may still be mended.
    ensure!(author.import(&changed("{ z = 2 }"), &[]).await?.outcome == Outcome::Changed);
    let host = client(&database, 1).await?;
    let state = Compliance { update: id("kiosk", "1"), state: ComplianceState::Required };
    say(&database, host, 1, [StateMessage::Compliance(state)]).await?;
    let error = author.try_import(&changed("{ z = 3 }"), &[]).await?.err().context("it is taken")?.to_string();
    ensure!(error.contains("says something else; 1 client reported on it: raise `version`"), "{error}");
    let (title, other) = (changed("{ z = 2 }").replace("The kiosk", "A kiosk"), changed("{ z = 2 }"));
    ensure!(author.import(&title, &[]).await?.outcome == Outcome::Changed);
    ensure!(author.import(&other.replace("5 min", "6 min"), &[]).await?.outcome == Outcome::Changed);
    author.kiosk("2", &[]).await?;
    site(&database).create(&everybody(&[id("kiosk", "2")]), NOW).await?;
    let error = author.try_import(&kiosk("2", "{}", &[]), &[]).await?.err().context("it is taken")?.to_string();
    ensure!(error.contains("it is in the update group \"Tuesday\""), "{error}");
    Ok(())
}

async fn synchronizing_leaves_policies_alone(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    author.kiosk("1", &["kiosk-1.bin"]).await?;
    let suite = plant::suite(&database, "bookworm").await?;
    import_suite(&database, suite, Follow::Always, vec![update("kiosk", "9", &[("kiosk", "amd64", "9")])]).await?;
    database.configure_suites(&[]).await?;
    let rows = database.authored_rows(None, false).await?;
    ensure!(rows.len() == 1 && !rows[0].superseded, "{rows:?}");
    ensure!(database.suites().await?.is_empty(), "no synchronization and no other catalog knows the suite");
    Ok(())
}

async fn content_stays_as_long_as_a_policy_names_it(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    author.kiosk("1", &["common.bin", "kiosk-1.bin"]).await?;
    author.kiosk("2", &["common.bin", "kiosk-2.bin"]).await?;
    let mirroring = Mirroring::new(database.clone(), author.store.clone(), &[]);
    ensure!(mirroring.remove_what_nobody_deploys(NOW + 9 * DAY).await? == 0);
    let removed = author.remove("kiosk", Some("1")).await?;
    ensure!(removed.dropped == Dropped { files: 1, kept: 1 }, "{removed:?}");
    ensure!(!author.has("kiosk-1.bin").await? && author.has("common.bin").await?);
    ensure!(ask(&database, &Digest::of(b"kiosk-1.bin"), NOW).await? == Asked::Never);
    // A deployment that is not cancelled still names what is removed.
    let deployments = site(&database);
    deployments.create(&everybody(&[id("kiosk", "2")]), NOW).await?;
    ensure!(author.remove("kiosk", None).await?.dropped == Dropped { files: 0, kept: 2 });
    deployments.cancel(ID, "", NOW).await?;
    ensure!(mirroring.remove_what_nobody_deploys(NOW + 2 * DAY).await? == 2);
    Ok(())
}

async fn content_that_was_lost_is_imported_again(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    author.kiosk("1", &["kiosk-1.bin"]).await?;
    let digest = Digest::of(b"kiosk-1.bin");
    author.store.remove(&digest).await?;
    database.mark_content_lost(&digest, NOW).await?;
    let mut mirroring = Mirroring::new(database.clone(), author.store.clone(), &[]);
    mirroring.download_all(now()).await?;
    let Asked::Later { reason, .. } = ask(&database, &digest, NOW).await? else { anyhow::bail!("it is not here") };
    let reason = reason.unwrap_or_default();
    ensure!(reason.contains("`farrier policy import` brings it again"), "{reason}");
    ensure!(author.kiosk("1", &["kiosk-1.bin"]).await?.outcome == Outcome::Unchanged);
    ensure!(author.has("kiosk-1.bin").await? && ask(&database, &digest, NOW).await? == Asked::Here(11));
    Ok(())
}

async fn what_cannot_be_imported_changes_nothing(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    let whole = kiosk("1", "{}", &["kiosk-1.bin"]);
    let with_digest = format!("{whole}sha256 = \"{}\"\n", Digest::of(b"another"));
    for (text, problem) in [
        (whole.replace("\"file-set\"", "\"file-sets\""), "line 6: there is no plugin \"file-sets\", but dpkg, "),
        (whole.replace("file-set-installer", "file-set"), "line 10: plugin file-set is for the world `applicability`"),
        (whole.replace(ANY, "other/any"), "line 7: plugin file-set names no clients by the scope \"other/any\""),
        (whole.replace(ANY, "file-set/a/b"), "line 7: plugin file-set names no clients"),
        (whole.replace("rule = {}\n", ""), "line 6: `rule` is refused: plugin file-set has to be told something"),
        (whole.replace("rule = {}", "rule = { at = 2026-11-23 }"), "line 8: `rule` is refused: JSON has no dates"),
        (with_digest, "line 14: content/kiosk-1.bin has the SHA-256"),
        (whole.replace("content/kiosk-1.bin", "content/none"), "content/none cannot be read"),
    ] {
        let error = author.try_import(&text, &["kiosk-1.bin"]).await?.err().context("it is taken")?;
        let error = format!("{:#}", anyhow::Error::new(error));
        ensure!(error.contains(problem), "{error}");
    }
    ensure!(number(&database, "SELECT COUNT(*) FROM software_updates").await? == 0);
    ensure!(!author.has("kiosk-1.bin").await?);
    for scope in 0..8 {
        let scopes = (0..8).map(|other| format!("\"file-set/{scope}-{other}\"")).collect::<Vec<_>>().join(",");
        let text = observed(&format!("p{scope}")).replace(&format!("\"{ANY}\""), &scopes);
        author.import(&text, &[]).await?;
    }
    let error = author.try_import(&whole, &["kiosk-1.bin"]).await?.err().context("it is taken")?;
    ensure!(matches!(error, ImportError::TooManyCatalogs(65)), "{error}");
    Site::new(&database).await?.publish_as_it_is().await?;
    Ok(())
}

/// Imports an observed policy with so many scopes of its own.
async fn import_scopes(author: &Author, name: &str, version: &str, count: usize) -> anyhow::Result<Imported> {
    let scopes = (0..count).map(|scope| format!("\"file-set/{name}-{scope}\"")).collect::<Vec<_>>().join(",");
    let text = observed(name).replace(&format!("\"{ANY}\""), &scopes);
    author.import(&text.replace("version = \"1\"", &format!("version = \"{version}\"")), &[]).await
}

async fn a_version_comes_back_only_where_there_is_a_place_for_it(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    import_scopes(&author, "wide", "1", 8).await?;
    import_scopes(&author, "wide", "2", 1).await?;
    for policy in 0..7 {
        import_scopes(&author, &format!("p{policy}"), "1", 8).await?;
    }
    import_scopes(&author, "last", "1", 7).await?;
    let error = author.remove("wide", Some("2")).await.err().context("it was removed")?;
    let error = format!("{error:#}");
    ensure!(error.contains("authored/wide/1 comes back") && error.contains("71 catalogs"), "{error}");
    ensure!(author.remove("wide", Some("1")).await?.names == ["authored/wide/1"], "it is in nobody's way");
    import_scopes(&author, "wide", "1", 1).await?;
    ensure!(author.remove("wide", Some("2")).await?.names == ["authored/wide/2"]);
    Ok(())
}

async fn a_client_takes_so_many_plugins(database: Database) -> anyhow::Result<()> {
    let mut author = Author::new(&database)?;
    plant::suite(&database, "bookworm").await?;
    let of = |number: usize| observed(&format!("p{number}")).replace("file-set", &format!("check-{number}"));
    for number in 0..16 {
        let name = format!("check-{number}");
        author.plugins.add(manifest(&name, "applicability", &[&format!("{name}/*")], "json")?);
        if number < 15 {
            author.import(&of(number), &[]).await?;
        }
    }
    author.import(&of_dpkg("m"), &[]).await?;
    let error = author.try_import(&of(15), &[]).await?.err().context("it was imported")?;
    ensure!(matches!(error, ImportError::TooManyPlugins(17)), "{error}");
    Ok(())
}

async fn catalogs_that_do_not_fit_keep_nothing_else_from_being_published(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    for policy in 0..8 {
        import_scopes(&author, &format!("p{policy}"), "1", 8).await?;
    }
    let suite = plant::suite(&database, "bookworm").await?;
    import_suite(&database, suite, Follow::Always, vec![update("bash", "1", &[("bash", "amd64", "1")])]).await?;
    let site = Site::new(&database).await?;
    let index = site.publish_as_it_is().await?;
    let content = site.current().await?.content;
    ensure!(content.catalogs.len() == 64 && content.catalogs[0].target == "catalogs/bookworm/amd64");
    ensure!(names(&index, "catalogs/authored/").len() == 63, "what is not assigned is not named");
    Ok(())
}

async fn a_plugin_that_counts_nowhere_is_named(database: Database) -> anyhow::Result<()> {
    let mut author = Author::new(&database)?;
    let mut check = plant_plugins::manifest("check", "1.0.0", &[]);
    check["rules"] = json!({ "encoding": "json" });
    plant_plugins::push(&database, &check).await?;
    let text = observed("p").replace("file-set/any", "test/any").replace("file-set", "check");
    author.plugins = KnownPlugins::of_site(&database).await?;
    ensure!(author.import(&text, &[]).await?.waits_for == ["check"]);
    plant_plugins::promote(&database, "check", "1.0.0").await?;
    author.plugins = KnownPlugins::of_site(&database).await?;
    ensure!(author.import(&text, &[]).await?.waits_for.is_empty());
    Ok(())
}

async fn the_console_counts_what_an_author_names(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    author.kiosk("1", &["extra.bin", "kiosk-1.bin"]).await?;
    let hosts = plant_deployments::clients(&database, 2).await?;
    let state = Compliance { update: id("kiosk", "1"), state: ComplianceState::Required };
    say(&database, hosts[0], 1, [StateMessage::Compliance(state)]).await?;
    let review = site(&database).review(&everybody(&[id("kiosk", "1")]), NOW).await?;
    ensure!((review.clients, review.needing, review.content_bytes) == (2, 1, 20), "{review:?}");
    ensure!(review.transfer_bytes == 20);
    let picked = database.picked_updates(&[id("kiosk", "1")]).await?;
    ensure!((picked[0].files, picked[0].bytes, picked[0].suite.as_str()) == (2, 20, "authored"));
    Ok(())
}

async fn clients_that_a_policy_does_not_concern_hold_no_phase_up(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    author.import(&of_dpkg("m"), &[]).await?;
    let hosts = plant_deployments::clients(&database, 2).await?;
    for (host, release) in [(hosts[0], "bookworm"), (hosts[1], "trixie")] {
        sqlx::query("UPDATE clients SET os = 'debian', release = $1 WHERE client_id = $2")
            .bind(release)
            .bind(host.0.to_vec())
            .execute(database.pool())
            .await?;
    }
    site(&database).create(&everybody(&[id("m", "1")]), NOW).await?;
    say(&database, hosts[0], 1, [said(id("m", "1"), EnforcementState::Succeeded, "")]).await?;
    plant_deployments::pass(&database, NOW + 60).await?;
    let detail = plant_deployments::detail(&database).await?;
    ensure!(detail.phase_rows[0].succeeded_at.is_some(), "trixie has nothing to say of it");
    ensure!(plant_deployments::why(&database, hosts[1]).await? != plant_deployments::why(&database, hosts[0]).await?);
    let row = database.deployment_client(ID, hosts[1], NOW).await?.context("it is in it")?.row;
    ensure!(row.why.contains("no update for its operating system"), "{}", row.why);
    Ok(())
}

/// The plugins in the box and those of the samples: what their `plugin.toml` says.
fn plugins_of(project: &Path) -> anyhow::Result<KnownPlugins> {
    let mut plugins = KnownPlugins::default();
    for file in files_named(&["plugins", "policy-samples"].map(|folder| project.join(folder)), "plugin.toml")? {
        plugins.add(manifest_of(&file).with_context(|| file.display().to_string())?);
    }
    Ok(plugins)
}

/// The files of this name in these folders, at any depth, in order.
fn files_named(folders: &[PathBuf], name: &str) -> anyhow::Result<Vec<PathBuf>> {
    let (mut folders, mut found) = (folders.to_vec(), Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.ends_with(name) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The manifest as a build embeds it.
fn manifest_of(path: &Path) -> anyhow::Result<Manifest> {
    let mut written: toml::Table = toml::from_str(&std::fs::read_to_string(path)?)?;
    if !written.contains_key("version") {
        written.insert("version".to_owned(), "0.0.0".into());
    }
    let mut manifest = serde_json::to_value(written)?;
    if let Some(schema) = manifest.pointer_mut("/rules/schema")
        && let Some(file) = schema.as_str()
    {
        let text = std::fs::read_to_string(path.with_file_name(file))?;
        *schema = serde_json::from_str(&text)?;
    }
    Ok(serde_json::from_value(manifest)?)
}

async fn every_sample_is_imported_and_deployed(database: Database) -> anyhow::Result<()> {
    let author = Author::new(&database)?;
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let samples = project.join("policy-samples");
    let plugins = plugins_of(&project)?;
    let mut updates = Vec::new();
    let mut imported_samples = 0;
    for file in files_named(&[samples], "policy.toml")? {
        let imported = authored::import(&database, &author.store, &plugins, &file, NOW).await;
        let imported = imported.with_context(|| file.display().to_string())?;
        let again = authored::import(&database, &author.store, &plugins, &file, NOW).await?;
        ensure!((imported.outcome, again.outcome) == (Outcome::Added, Outcome::Unchanged), "{}", imported.name);
        imported_samples += 1;
        if imported.is_deployable {
            updates.push((imported.name, imported.contents));
        }
    }
    ensure!(imported_samples >= 8, "there are {imported_samples} samples");
    let ids: Vec<UpdateId> = updates.iter().map(|(name, _)| UpdateId::of_name(name)).collect();
    site(&database).create(&everybody(&ids), NOW).await?;
    let site = Site::new(&database).await?;
    let (_, scopes) = deployed(&site).await?;
    let problem = database.publishable_deployments().await?.remove(0).problem;
    ensure!(problem.is_none(), "{problem:?}");
    for (name, contents) in updates {
        let of_it = scopes.iter().flat_map(|(_, deployed)| &deployed.updates).find(|update| update.name == name);
        ensure!(of_it.is_some_and(|update| update.contents.len() == contents), "{name} is not deployed");
    }
    Ok(())
}
