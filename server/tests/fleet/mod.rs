//! A made-up fleet: what a site's database holds after months of use. It writes the tables directly, as no function of the
//! site writes the past.

#![allow(dead_code)]

pub mod deployments;
pub mod packages;
pub mod plugins;

use anyhow::Context as _;
use farrier::config::Classification;
use farrier_protocol::{ClientId, Digest, UpdateId};
use packages::{FAMILIES, SOURCES, STEMS};
use sqlx::{AnyPool, AssertSqlSafe};
use std::fmt::Write as _;

const DAY: i64 = 86_400;
const ROWS_AT_ONCE: usize = 200_000;
const SUITES: [(&str, Classification, i64); 4] = [
    ("bookworm", Classification::Updates, 0),
    ("bookworm-updates", Classification::CriticalUpdates, 0),
    ("bookworm-security", Classification::SecurityUpdates, 0),
    ("bookworm-backports", Classification::Updates, 1),
];
const ROLES: &[(&str, i64)] = &[("web", 8), ("db", 5), ("build", 6), ("mail", 2), ("kiosk", 7), ("laptop", 12)];

/// How large a fleet.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Clients.
    pub clients: i64,
    /// Updates besides those of [`SOURCES`].
    pub filler_updates: i64,
    /// States of each client besides those of [`SOURCES`].
    pub filler_states: i64,
}

impl Size {
    /// As a person would try it.
    pub const SAMPLE: Self = Self { clients: 40, filler_updates: 600, filler_states: 0 };
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap_or(0) % sides.max(1)
    }
}

/// An update as a client needs to know it.
struct Known {
    row: i64,
    source: usize,
    is_new: bool,
}

/// Fills an empty database. `now` is the present of the fleet.
pub async fn fill(pool: &AnyPool, size: Size, now: i64) -> anyhow::Result<()> {
    let mut dice = Dice(42);
    suites(pool, now).await?;
    let known = updates(pool, size, now, &mut dice).await?;
    synchronizations(pool, now).await?;
    clients(pool, size, &known, now, &mut dice).await
}

async fn suites(pool: &AnyPool, now: i64) -> anyhow::Result<()> {
    for (index, (name, classification, follow)) in (1..).zip(SUITES) {
        let released = now - DAY * index;
        run(
            pool,
            format!(
                "INSERT INTO suites (id, name, distribution, release, mirror, architectures, classification, follow, \
                 released_at, checked_at, changed_at) VALUES ({index}, '{name}', 'debian', 'bookworm', \
                 'https://mirror.example.org/debian', 'amd64 arm64', {}, {follow}, {released}, {}, {})",
                classification as i64,
                now - 1_260,
                released + 7_200,
            ),
        )
        .await?;
    }
    Ok(())
}

async fn updates(pool: &AnyPool, size: Size, now: i64, dice: &mut Dice) -> anyhow::Result<Vec<Known>> {
    let mut known = Vec::new();
    let mut writer = UpdateWriter::default();
    for (index, source) in SOURCES.iter().enumerate() {
        let old = writer.add(
            1,
            source.name,
            source.old,
            source.summary,
            Classification::Updates,
            source.priority,
            None,
            now - 200 * DAY,
        );
        known.push(Known { row: old, source: index, is_new: false });
        writer.packages(old, source.binaries, source.old, dice);
        if let Some((version, classification)) = source.new {
            let suite = classification as i64 + 1;
            let seen = now - DAY * dice.roll(30) - dice.roll(DAY);
            let new =
                writer.add(suite, source.name, version, source.summary, classification, source.priority, None, seen);
            writer.supersede(old, new);
            known.push(Known { row: new, source: index, is_new: true });
            writer.packages(new, source.binaries, version, dice);
        }
    }
    for index in 0..size.filler_updates {
        let name = filler_name(index);
        let version = format!("{}.{}.{}-{}", index % 7, index % 11, index % 5, 1 + index % 3);
        let (suite, classification) = match index % 20 {
            0 => (3, Classification::SecurityUpdates),
            1 => (4, Classification::Updates),
            _ => (1, Classification::Updates),
        };
        let summary = format!("{} bindings for everyday work", name.replace('-', " "));
        let row = writer.add(suite, &name, &version, &summary, classification, 0, None, now - 200 * DAY);
        writer.packages(row, &[name.as_str()], &version, dice);
    }
    writer.write(pool).await?;
    Ok(known)
}

fn filler_name(index: i64) -> String {
    let at = |list: &[&'static str], index: i64| list[usize::try_from(index).unwrap_or(0) % list.len()];
    let (families, stems) = (FAMILIES.len() as i64, STEMS.len() as i64);
    let name = format!("{}-{}", at(FAMILIES, index), at(STEMS, index / families));
    match index / (families * stems) {
        0 => name,
        generation => format!("{name}{generation}"),
    }
}

#[derive(Default)]
struct UpdateWriter {
    updates: Vec<String>,
    superseded: Vec<(i64, i64)>,
    packages: Vec<String>,
}

impl UpdateWriter {
    #[allow(clippy::too_many_arguments)]
    fn add(
        &mut self,
        suite: i64,
        source: &str,
        version: &str,
        summary: &str,
        classification: Classification,
        priority: i64,
        expired_at: Option<i64>,
        seen: i64,
    ) -> i64 {
        let row = self.updates.len() as i64 + 1;
        let name = format!("{}/{source}/{version}", SUITES[usize::try_from(suite - 1).unwrap_or(0)].0);
        let id = UpdateId::of_name(&name);
        let expired = expired_at.map_or("NULL".to_owned(), |at| at.to_string());
        let summary = summary.replace('\'', "''");
        self.updates.push(format!(
            "({row}, x'{id}', {suite}, '{name}', '{source}', '{version}', '{summary}', {}, {priority}, x'00', {seen}, \
             {seen}, {expired})",
            classification as i64
        ));
        row
    }

    fn supersede(&mut self, old: i64, new: i64) {
        self.superseded.push((old, new));
    }

    fn packages(&mut self, update: i64, names: &[&str], version: &str, dice: &mut Dice) {
        for name in names {
            let digest = Digest::of(format!("{name} {version}").as_bytes());
            let size = 12_000 + dice.roll(9_000_000);
            for architecture in ["amd64", "arm64"] {
                self.packages.push(format!(
                    "({update}, '{name}', '{architecture}', '{version}', 'pool/main/{name}_{version}.deb', {size}, x'{digest}')"
                ));
            }
        }
    }

    async fn write(&self, pool: &AnyPool) -> anyhow::Result<()> {
        insert(
            pool,
            "software_updates (id, update_id, suite_id, name, source, version, summary, classification, priority, content, \
             first_seen_at, changed_at, expired_at)",
            &self.updates,
        )
        .await?;
        insert(pool, "packages (software_update_id, name, architecture, version, file, size, sha256)", &self.packages)
            .await?;
        for (old, new) in &self.superseded {
            run(pool, format!("UPDATE software_updates SET superseded_by = {new} WHERE id = {old}")).await?;
        }
        Ok(())
    }
}

async fn synchronizations(pool: &AnyPool, now: i64) -> anyhow::Result<()> {
    for run_number in 1..=12 {
        let started = now - 1_300 - (12 - run_number) * 4 * 3_600;
        let who = if run_number % 5 == 0 { "administrator" } else { "schedule" };
        run(
            pool,
            format!(
                "INSERT INTO sync_runs (id, requested_by, requested_at, started_at, finished_at) VALUES ({run_number}, \
                 '{who}', {started}, {started}, {})",
                started + 4 + run_number * 3
            ),
        )
        .await?;
        for (index, (suite, _, _)) in SUITES.iter().enumerate() {
            let (phase, added, error) = match (run_number, index) {
                (12, 3) => (
                    "failed",
                    0,
                    "'https://mirror.example.org/debian/dists/bookworm-backports/InRelease is signed by no key of \
                     /usr/share/keyrings/debian-archive-keyring.gpg: add the right keyring to the suite'",
                ),
                (12 | 7 | 3, 2) => ("imported", run_number, "NULL"),
                (1, _) => ("imported", 9_000, "NULL"),
                _ => ("unchanged", 0, "NULL"),
            };
            run(
                pool,
                format!(
                    "INSERT INTO sync_run_suites (sync_run_id, suite, phase, done, total, added, changed, expired, error) \
                     VALUES ({run_number}, '{suite}', '{phase}', 0, 0, {added}, {}, {}, {error})",
                    added / 4,
                    added / 6
                ),
            )
            .await?;
        }
    }
    Ok(())
}

async fn clients(pool: &AnyPool, size: Size, known: &[Known], now: i64, dice: &mut Dice) -> anyhow::Result<()> {
    let fleet: Vec<(i64, Who)> = (1..=size.clients).map(|client| (client, Who::of(client, now, dice))).collect();
    let rows: Vec<String> = fleet.iter().map(|(client, who)| who.row(*client, size)).collect();
    insert(
        pool,
        "clients (id, client_id, hostname, operating_system, machine, agent_version, enrolled_at, last_contact_at, \
         scanned_at, scan_assignment, scan_evaluated, certificate, certificate_expires_at)",
        &rows,
    )
    .await?;
    let scanned = || fleet.iter().filter(|(_, who)| who.scanned_at.is_some());
    let plugins: Vec<String> =
        scanned().map(|(client, who)| format!("({client}, 'dpkg', '0.1.0', '{}')", who.error())).collect();
    insert(pool, "client_plugins (client_id, name, version, error)", &plugins).await?;

    let (mut states, mut findings) = (Vec::new(), Vec::new());
    for (client, who) in scanned() {
        for update in known {
            who.state(*client, update, now, dice, &mut states, &mut findings);
        }
        filler_states(*client, size, known.len() as i64, now, &mut states);
        if states.len() > ROWS_AT_ONCE {
            insert(pool, "compliance_states (client_id, software_update_id, state, changed_at)", &states).await?;
            states.clear();
        }
    }
    insert(pool, "compliance_states (client_id, software_update_id, state, changed_at)", &states).await?;
    insert(pool, "findings (client_id, software_update_id, subject, state, detail)", &findings).await
}

fn filler_states(client: i64, size: Size, known: i64, now: i64, states: &mut Vec<String>) {
    let step = (size.filler_updates / size.filler_states.max(1)).max(1);
    for index in 0..size.filler_states {
        let row = known + 1 + (index * step + client % step) % size.filler_updates.max(1);
        let state = if (row + client) % 17 == 0 { 2 } else { 1 };
        states.push(format!("({client}, {row}, {state}, {})", now - DAY));
    }
}

/// One client.
struct Who {
    hostname: String,
    contact: i64,
    scanned_at: Option<i64>,
    /// In percent: how likely a new update is installed.
    diligence: i64,
    failed: bool,
    desktop: bool,
}

impl Who {
    fn of(client: i64, now: i64, dice: &mut Dice) -> Self {
        let total: i64 = ROLES.iter().map(|(_, count)| count).sum();
        let mut place = (client - 1) % total;
        let mut role = ROLES[0].0;
        for (name, count) in ROLES {
            role = name;
            if place < *count {
                break;
            }
            place -= count;
        }
        let contact = now
            - match client % 20 {
                7 => 9 * DAY + dice.roll(6 * DAY),
                13 => 3 * DAY + dice.roll(2 * DAY),
                19 => 47 * DAY,
                _ => dice.roll(4_000),
            };
        let generation = (client - 1) / total;
        let suffix = if generation == 0 { String::new() } else { format!("-{generation}") };
        Self {
            hostname: format!("{role}-{:02}{suffix}.example.org", place + 1),
            contact,
            scanned_at: (client % 20 != 18).then_some(contact - dice.roll(900)),
            diligence: [97, 100, 88, 100, 55, 100, 92, 20][usize::try_from(dice.roll(8)).unwrap_or(0)],
            failed: client % 23 == 11,
            desktop: matches!(role, "laptop" | "kiosk"),
        }
    }

    fn row(&self, client: i64, size: Size) -> String {
        let certificate = Digest::of(&client.to_le_bytes());
        let id = ClientId(certificate.0[..16].try_into().unwrap_or_default());
        let scanned = self.scanned_at.map_or("NULL".to_owned(), |at| at.to_string());
        let evaluated = if self.scanned_at.is_some() { size.filler_updates + 74 } else { 0 };
        let machine = if client % 9 == 0 { "aarch64" } else { "x86_64" };
        format!(
            "({client}, x'{id}', '{}', 'Debian GNU/Linux 12 (bookworm)', '{machine}', '0.1.0', {}, {}, {scanned}, 7, \
             {evaluated}, x'{certificate}', {})",
            self.hostname,
            self.contact - 90 * DAY,
            self.contact,
            self.contact + 275 * DAY
        )
    }

    fn error(&self) -> &'static str {
        if self.failed { "/var/lib/dpkg/status: paragraph 212 has no Version" } else { "" }
    }

    fn state(
        &self,
        client: i64,
        update: &Known,
        now: i64,
        dice: &mut Dice,
        states: &mut Vec<String>,
        findings: &mut Vec<String>,
    ) {
        let source = &SOURCES[update.source];
        let desktop_only =
            matches!(source.name, "firefox-esr" | "chromium" | "thunderbird" | "libreoffice" | "gnome-shell" | "cups");
        let is_there = match source.name {
            "nginx" => self.hostname.starts_with("web"),
            "postgresql-15" => self.hostname.starts_with("db"),
            "docker.io" | "qemu" => self.hostname.starts_with("build"),
            "spamassassin" | "clamav" => self.hostname.starts_with("mail"),
            _ => !desktop_only || self.desktop,
        };
        if !is_there {
            return;
        }
        let state = match (self.failed, update.is_new) {
            (true, _) => 3,
            (false, true) if dice.roll(100) >= self.diligence => 2,
            (false, _) => 1,
        };
        let changed = now - dice.roll(20 * DAY);
        states.push(format!("({client}, {}, {state}, {changed})", update.row));
        let new = source.new.map_or(source.old, |(version, _)| version);
        for binary in source.binaries.iter().take(2) {
            let detail = match state {
                1 => continue,
                2 => format!("{} is older than {new}", source.old),
                _ => "the scan failed: paragraph 212 has no Version".to_owned(),
            };
            findings.push(format!("({client}, {}, '{binary}', {state}, '{detail}')", update.row));
        }
    }
}

async fn insert(pool: &AnyPool, into: &str, rows: &[String]) -> anyhow::Result<()> {
    for rows in rows.chunks(2_000) {
        let mut text = format!("INSERT INTO {into} VALUES ");
        for (index, row) in rows.iter().enumerate() {
            let _ = write!(text, "{}{row}", if index == 0 { "" } else { ", " });
        }
        run(pool, text).await?;
    }
    Ok(())
}

async fn run(pool: &AnyPool, text: String) -> anyhow::Result<()> {
    let start: String = text.chars().take(80).collect();
    sqlx::query(AssertSqlSafe(text)).persistent(false).execute(pool).await.with_context(|| format!("{start} ..."))?;
    Ok(())
}
