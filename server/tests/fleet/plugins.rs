//! The plugins of the made-up fleet: one that is compared, one that is tried, one that installs, one that waits.

use anyhow::Context as _;
use farrier::database::{ALL_CLIENTS, CollectionId, Database, NewVersion, Trial};
use farrier::plugins::{Decision, GrantLines, Plugins, Promotion};
use farrier::signals::Signals;
use farrier_runtime::Manifest;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const TRAP: &str = "the plugin failed: panicked at src/lib.rs:88:41: called `Option::unwrap()` on a `None` value";

/// Plants the plugins, and what clients say of them. It follows [`super::fill`]; the canaries are in the collection of
/// this name, if there is one.
pub async fn plant(database: &Database, canaries: &str, now: i64) -> anyhow::Result<()> {
    let canaries = database.collection_named(canaries).await?.unwrap_or(ALL_CLIENTS);
    compared(database, now).await?;
    tried(database, canaries, now).await?;
    installing(database, now).await?;
    waiting(database, now).await?;
    abilities(database).await
}

/// `dpkg`: its next version scans beside the one that counts.
async fn compared(database: &Database, now: i64) -> anyhow::Result<()> {
    const STATUS: (&str, &str) = ("/var/lib/dpkg/status", "which packages are installed");
    const RELEASE: (&str, &str) = ("/etc/os-release", "which distribution it is");
    const HOLDS: (&str, &str) = ("/etc/apt/preferences.d/*", "which packages are pinned");
    let mut manifest = manifest("dpkg", "Which Debian packages are older than what is offered", &[STATUS, RELEASE]);
    push(database, &manifest, "0.1.0", "Farrier", now - 60 * DAY).await?;
    approve(database, "dpkg", now - 60 * DAY).await?;
    promote(database, "dpkg", "0.1.0", now - 60 * DAY).await?;
    manifest["limits"] = json!({ "memory_mebibytes": 48 });
    push(database, &manifest, "0.2.0", "Example Ltd", now - 3 * DAY).await?;
    try_version(database, ("dpkg", "0.2.0"), Trial::Shadow, ALL_CLIENTS, now - 2 * DAY).await?;
    manifest["read"] =
        json!([STATUS, RELEASE, HOLDS].map(|(grant, reason)| json!({ "grant": grant, "reason": reason })));
    push(database, &manifest, "0.3.0-beta.1", "", now - 4 * HOUR).await?;
    for statement in [
        "INSERT INTO shadow_differences (client_id, plugin, software_update_id, state, shadow_state, detail, \
         shadow_detail) SELECT s.client_id, 'dpkg', s.software_update_id, s.state, 1, u.source || ' is older than ' || \
         u.version, u.source || ' is as new as ' || u.version || ' with the epoch counted' FROM compliance_states s \
         JOIN software_updates u ON u.id = s.software_update_id WHERE s.state = 2",
        "INSERT INTO shadow_results (client_id, plugin, version, shadow_version, scanned_at, compared, differing, \
         error) SELECT c.id, 'dpkg', '0.1.0', '0.2.0', c.scanned_at, c.scan_evaluated, (SELECT COUNT(*) FROM \
         shadow_differences d WHERE d.client_id = c.id), CASE WHEN c.id % 13 = 5 THEN 'the plugin took longer than \
         10 seconds' ELSE '' END FROM clients c WHERE c.scanned_at IS NOT NULL AND c.id % 4 <> 3",
        "DELETE FROM shadow_differences WHERE client_id NOT IN (SELECT client_id FROM shadow_results)",
    ] {
        run(database, statement).await?;
    }
    Ok(())
}

/// `file-set`: its next version counts for canaries, and fails on some of them.
async fn tried(database: &Database, canaries: CollectionId, now: i64) -> anyhow::Result<()> {
    const OPT: (&str, &str) = ("/opt/**", "the files whose digests a policy names");
    let manifest = manifest("file-set", "Whether files are as a policy names them", &[OPT]);
    push(database, &manifest, "1.0.0", "Farrier", now - 40 * DAY).await?;
    approve(database, "file-set", now - 40 * DAY).await?;
    promote(database, "file-set", "1.0.0", now - 40 * DAY).await?;
    push(database, &manifest, "1.1.0", "Example Ltd", now - 30 * HOUR).await?;
    try_version(database, ("file-set", "1.1.0"), Trial::Canary, canaries, now - 26 * HOUR).await?;
    run(
        database,
        &format!(
            "INSERT INTO client_plugins (client_id, name, version, error) SELECT c.id, 'file-set', CASE WHEN EXISTS \
             (SELECT 1 FROM collection_members m WHERE m.client_id = c.id AND m.collection_id = {canaries}) AND c.id \
             % 20 <> 3 THEN '1.1.0' ELSE '1.0.0' END, '' FROM clients c WHERE c.scanned_at IS NOT NULL"
        ),
    )
    .await?;
    fall_back(database, "file-set", ["1.1.0", "1.0.0"], "c.id % 20 = 3", now - 5 * HOUR).await
}

/// `dpkg-installer`: the version before the current one was replaced, and one client has nothing left.
async fn installing(database: &Database, now: i64) -> anyhow::Result<()> {
    const STATUS: (&str, &str) = ("/var/lib/dpkg/status", "which packages are installed");
    let mut manifest = manifest("dpkg-installer", "Installs Debian packages with dpkg", &[STATUS]);
    manifest["world"] = json!("installer");
    manifest["scopes"] = json!([]);
    manifest["run"] = json!([
        { "grant": "/usr/bin/dpkg --install {blob}...", "reason": "installs the packages of an update" },
        { "grant": "/usr/bin/dpkg --configure --pending", "reason": "ends what was interrupted" },
    ]);
    for (version, age) in [("0.9.0", 60 * DAY), ("1.0.0", 12 * DAY)] {
        push(database, &manifest, version, "Farrier", now - age).await?;
        approve(database, "dpkg-installer", now - age).await?;
        promote(database, "dpkg-installer", version, now - age + HOUR).await?;
    }
    fall_back(database, "dpkg-installer", ["1.0.0", ""], "c.id = 14", now - 2 * DAY).await
}

/// `ini-baseline`: pushed, half decided, used nowhere.
async fn waiting(database: &Database, now: i64) -> anyhow::Result<()> {
    const SSHD: (&str, &str) = ("/etc/ssh/sshd_config", "whether root may sign in");
    const SYSCTL: (&str, &str) = ("/proc/sys/**", "the kernel's settings as they are");
    let manifest = manifest("ini-baseline", "Whether settings are as a baseline has them", &[SSHD, SYSCTL]);
    push(database, &manifest, "0.1.0", "Example Ltd", now - 3 * HOUR).await?;
    let lines = GrantLines { read: vec![SSHD.0.to_owned()], ..GrantLines::default() };
    let decision = Decision { lines, by: "alice".to_owned(), ..Decision::default() };
    plugins(database).decide("ini-baseline", &decision, now - 2 * HOUR).await?;
    Ok(())
}

/// What agents can run: a few are old, a few give little memory, a few have not said.
async fn abilities(database: &Database) -> anyhow::Result<()> {
    let statement = "UPDATE clients SET wit = CASE WHEN id % 10 = 9 THEN '' WHEN id % 10 = 8 THEN '0.9.0' ELSE '1.0.0' \
                     END, engine = 'native', plugin_memory_bytes = CASE WHEN id % 7 = 6 THEN 33554432 ELSE 67108864 \
                     END, component_bytes = 4194304";
    run(database, statement).await
}

fn plugins(database: &Database) -> Plugins {
    Plugins::new(database.clone(), Signals::default())
}

fn manifest(name: &str, description: &str, read: &[(&str, &str)]) -> Value {
    let read: Vec<Value> = read.iter().map(|(grant, reason)| json!({ "grant": grant, "reason": reason })).collect();
    json!({
        "name": name, "version": "0.0.0", "description": description, "license": "Apache-2.0", "wit": "1.0.0",
        "homepage": "https://farrier.example.org/", "world": "applicability", "scopes": ["*"], "read": read,
    })
}

/// As if somebody had pushed it: the component itself is nobody's business here.
async fn push(database: &Database, manifest: &Value, version: &str, publisher: &str, at: i64) -> anyhow::Result<()> {
    let mut manifest = manifest.clone();
    manifest["version"] = json!(version);
    let manifest = Manifest::from_json(manifest.to_string().as_bytes())?;
    let world = manifest.known_world().context("a world")?;
    let component = format!("{} {version}", manifest.name).repeat(2_400);
    let by = if publisher == "Farrier" { "Farrier" } else { "alice" };
    let mut change = database.change_plugins(at).await?;
    let row = match change.plugin(&manifest.name).await? {
        Some(plugin) => plugin.row,
        None => change.add_plugin(&manifest.name, world).await?,
    };
    change
        .add_version(row, &NewVersion { manifest: &manifest, component: component.as_bytes(), publisher, by })
        .await?;
    change.note(row, &format!("{version} was pushed by {by}.")).await?;
    change.commit_unassigned().await?;
    Ok(())
}

async fn approve(database: &Database, name: &str, at: i64) -> anyhow::Result<()> {
    let decision = Decision { all: true, by: "alice".to_owned(), ..Decision::default() };
    plugins(database).decide(name, &decision, at).await?;
    Ok(())
}

async fn promote(database: &Database, name: &str, version: &str, at: i64) -> anyhow::Result<()> {
    let promotion = Promotion {
        version: Some(version.to_owned()),
        untried: true,
        accept_failures: true,
        by: "alice".to_owned(),
        ..Promotion::default()
    };
    plugins(database).promote(name, &promotion, at).await?;
    Ok(())
}

async fn try_version(
    database: &Database,
    version: (&str, &str),
    trial: Trial,
    collection: CollectionId,
    at: i64,
) -> anyhow::Result<()> {
    plugins(database).try_version(version, trial, collection, "alice", at).await?;
    Ok(())
}

async fn fall_back(
    database: &Database,
    plugin: &str,
    [failed, version]: [&str; 2],
    which: &str,
    since: i64,
) -> anyhow::Result<()> {
    let sql = format!(
        "INSERT INTO client_fallbacks (client_id, plugin, failed_version, version, since, reason) SELECT c.id, $1, $2, \
         $3, $4, $5 FROM clients c WHERE c.scanned_at IS NOT NULL AND {which}"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(plugin).bind(failed).bind(version).bind(since).bind(TRAP);
    query.execute(database.pool()).await?;
    Ok(())
}

async fn run(database: &Database, statement: &str) -> anyhow::Result<()> {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(database.pool()).await.context(statement.to_owned())?;
    Ok(())
}
