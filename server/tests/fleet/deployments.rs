//! What the made-up fleet is told to install, and how far it got: days of it, simulated through the site's own functions.

use super::Dice;
use anyhow::Context as _;
use farrier::collections;
use farrier::config::Classification;
use farrier::database::views::UpdateFilter;
use farrier::database::{ALL_CLIENTS, CollectionDefinition, CollectionId, Database, WindowDefinition};
use farrier::deployment::role::Role;
use farrier::deployment::rules::RuleFilter;
use farrier::deployment::schedule::When;
use farrier::deployment::settings::{DeploymentSettings, Members, PhaseSettings, Purpose, RestartBehaviour};
use farrier::deployment::{Deployments, NewDeployment, NewRule, Selection};
use farrier::signals::Signals;
use farrier::windows;
use farrier_protocol::assignment::WindowKind;
use farrier_protocol::enforcement::EnforcementState as State;
use farrier_protocol::state_message::{Enforcement, StateBatch, StateMessage, StateReply, bounded};
use farrier_protocol::{ClientId, DeploymentId, Digest, UpdateId};
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::BTreeMap;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// How often the fleet talks to the site.
const TICK: i64 = 30 * MINUTE;
/// The random number of every client's stream.
const STREAM: i64 = 7;
/// Which clients are rather out of luck, out of so many.
const FATES: i64 = 20;

/// A deployment, and how it will go.
struct Course {
    id: DeploymentId,
    updates: Vec<UpdateId>,
    created_at: i64,
    /// In percent of the clients.
    failing: i64,
    /// What the failing ones say.
    complaint: &'static str,
    purpose: Purpose,
}

/// Plants collections, windows, deployments and a rule, and lets them run up to `now`.
pub async fn deploy(database: &Database, now: i64) -> anyhow::Result<()> {
    facts(database).await?;
    let [web, kiosks, pilot] = gathered(database, now - 10 * DAY).await?;
    let deployments = Deployments::new(database.clone(), Signals::default());
    rule(&deployments, pilot, now).await?;
    let mut planned = plans(database, [web, kiosks, pilot], now).await?;
    planned.sort_by_key(|(new, course)| (course.created_at, new.name.clone()));

    let mut fleet = Fleet::of(database).await?;
    let mut running: Vec<Course> = Vec::new();
    let mut at = planned.first().map_or(now, |(_, course)| course.created_at);
    while at <= now {
        while planned.first().is_some_and(|(_, course)| course.created_at <= at) {
            let (new, course) = planned.remove(0);
            deployments.create(&new, at).await?;
            running.push(course);
        }
        // A new role each time, as it looks after everything when it begins.
        Role::new(database.clone(), Signals::default()).pass(at).await?;
        for course in &running {
            fleet.report(course, at).await?;
        }
        at += TICK;
    }
    let retired = running.first().context("there are deployments")?.id;
    deployments.cancel(retired, "replaced by the point release", now - 2 * DAY).await?;
    fleet.restore_contacts().await?;
    Role::new(database.clone(), Signals::default()).pass(now).await?;
    Ok(())
}

/// What collections are made by.
async fn facts(database: &Database) -> anyhow::Result<()> {
    for statement in [
        "UPDATE clients SET os = 'debian', release = 'bookworm', time_zone = 'Europe/Berlin', unevaluated = 1, stream = 7",
        "INSERT INTO client_tags (client_id, tag) SELECT id, 'canary' FROM clients WHERE id % 10 = 3",
        "INSERT INTO client_tags (client_id, tag) SELECT id, 'dmz' FROM clients WHERE hostname LIKE 'web%'",
    ] {
        sqlx::query(statement).execute(database.pool()).await?;
    }
    Ok(())
}

async fn gathered(database: &Database, at: i64) -> anyhow::Result<[CollectionId; 3]> {
    let make = async |name: &str, description: &str, query: &str| {
        let definition = CollectionDefinition {
            name: name.to_owned(),
            description: description.to_owned(),
            query: Some(query.to_owned()),
            ..CollectionDefinition::default()
        };
        collections::create(database, &definition, at).await
    };
    let web = make("Web servers", "Whatever faces customers", "hostname like \"web-*\" or tag = dmz").await?;
    let kiosks = make("Kiosks", "", "hostname like \"kiosk-*\"").await?;
    let pilot = make("Canaries", "Machines of people who tell us at once", "tag = canary").await?;
    let everything = CollectionDefinition {
        name: "Everything but kiosks".to_owned(),
        includes: [ALL_CLIENTS].into(),
        excludes: [kiosks].into(),
        ..CollectionDefinition::default()
    };
    collections::create(database, &everything, at).await?;
    let window = |name: &str, kind, starts: &str, recurrence: &str, hours: u32| {
        anyhow::Ok(WindowDefinition {
            name: name.to_owned(),
            kind,
            starts: starts.parse()?,
            recurrence: Some(recurrence.to_owned()),
            duration_seconds: hours * 3_600,
            time_zone: Some("Europe/Berlin".to_owned()),
            enabled: true,
        })
    };
    let nights = window("Weeknights", WindowKind::Maintenance, "2026-01-05T22:00", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH", 6)?;
    windows::add(database, web, &nights, at).await?;
    let open = window(
        "Opening hours",
        WindowKind::BusinessHours,
        "2026-01-05T08:00",
        "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA",
        12,
    )?;
    windows::add(database, kiosks, &open, at).await?;
    Ok([web, kiosks, pilot])
}

async fn rule(deployments: &Deployments, pilot: CollectionId, now: i64) -> anyhow::Result<()> {
    let rule = NewRule {
        name: "Nightly security".to_owned(),
        enabled: false,
        filter: RuleFilter {
            classifications: vec![Classification::SecurityUpdates],
            max_age_days: Some(14),
            without: vec!["linux".to_owned()],
            ..RuleFilter::default()
        },
        collection: pilot,
        settings: DeploymentSettings::default(),
    };
    deployments.create_rule(&rule, now - 9 * DAY).await?;
    let careful = DeploymentSettings { phases: careful(12 * HOUR), ..DeploymentSettings::default() };
    deployments.create_template("Careful", &careful, now - 9 * DAY).await?;
    Ok(())
}

fn careful(soak: i64) -> Vec<PhaseSettings> {
    let soak_seconds = u32::try_from(soak).unwrap_or(0);
    let phase = |name: &str, percent: &str| PhaseSettings {
        soak_seconds,
        success_percent: 50,
        failure_percent: 34,
        ..PhaseSettings::of(name, Members::Percent(percent.parse().unwrap_or(farrier::deployment::share::Share::ALL)))
    };
    vec![phase("Pilot", "15"), phase("Early", "40"), phase("Everybody", "100")]
}

/// The deployments with how they will go.
async fn plans(
    database: &Database,
    [web, kiosks, pilot]: [CollectionId; 3],
    now: i64,
) -> anyhow::Result<Vec<(NewDeployment, Course)>> {
    let required = DeploymentSettings { deadline: Some(When::After { seconds: 0 }), ..DeploymentSettings::default() };
    let gate = PhaseSettings {
        manual: true,
        success_percent: 60,
        ..PhaseSettings::of("Canaries", Members::Collection(pilot))
    };
    let gated = DeploymentSettings {
        phases: vec![gate, PhaseSettings::everybody()],
        deadline: Some(When::After { seconds: 3 * 86_400 }),
        restart: RestartBehaviour::Force { countdown_seconds: 900 },
        ..required.clone()
    };
    let fragile = PhaseSettings { failure_percent: 10, ..PhaseSettings::of("Pilot", Members::Percent("30".parse()?)) };
    let fragile = DeploymentSettings { phases: vec![fragile, PhaseSettings::everybody()], ..required.clone() };
    let offered = DeploymentSettings { purpose: Purpose::Available, ..DeploymentSettings::default() };
    let phased = DeploymentSettings { phases: careful(5 * HOUR), roll_back: true, ..required.clone() };
    let plan = |name: &str,
                updates: Vec<UpdateId>,
                collection,
                settings: DeploymentSettings,
                age,
                failing,
                complaint| {
        let id = DeploymentId(Digest::of(name.as_bytes()).0[..16].try_into().unwrap_or_default());
        let created_at = now - age;
        let course = Course { id, updates: updates.clone(), created_at, failing, complaint, purpose: settings.purpose };
        (
            NewDeployment { id, name: name.to_owned(), selection: Selection::Updates(updates), collection, settings },
            course,
        )
    };
    let of = async |search: &str| updates(database, search).await;
    Ok(vec![
        plan("Postgres minor release", of("postgresql").await?, ALL_CLIENTS, required, 6 * DAY, 0, ""),
        plan("Security updates of November", urgent(database).await?, ALL_CLIENTS, phased, 44 * HOUR, 8, CONFFILE),
        plan("Kernel 6.1.140", of("linux 6.1").await?, ALL_CLIENTS, fragile, 30 * HOUR, 45, INITRAMFS),
        plan("nginx on the web servers", of("nginx").await?, web, gated, 20 * HOUR, 0, ""),
        plan("Firefox for kiosks", of("firefox").await?, kiosks, offered, 9 * HOUR, 0, ""),
    ])
}

const CONFFILE: &str =
    "dpkg: error processing package libpam-runtime (--install): post-installation script returned exit status 1";
const INITRAMFS: &str = "update-initramfs: /boot has no space left on the device";

async fn updates(database: &Database, search: &str) -> anyhow::Result<Vec<UpdateId>> {
    let filter = UpdateFilter { search: search.to_owned(), ..UpdateFilter::default() };
    let found: Vec<_> =
        database.update_rows(&filter).await?.items.into_iter().take(1).map(|update| update.id).collect();
    anyhow::ensure!(!found.is_empty(), "the fleet has no update {search:?}");
    Ok(found)
}

async fn urgent(database: &Database) -> anyhow::Result<Vec<UpdateId>> {
    let filter = UpdateFilter {
        classification: Some(Classification::SecurityUpdates),
        search: "lib".to_owned(),
        ..UpdateFilter::default()
    };
    let rows = database.update_rows(&filter).await?.items;
    let most_wanted = rows.into_iter().filter(|update| !update.title.starts_with("linux")).take(12);
    Ok(most_wanted.map(|update| update.id).collect())
}

/// Clients that report.
struct Fleet<'a> {
    database: &'a Database,
    /// The next serial of each client.
    serials: BTreeMap<ClientId, u64>,
    /// What each client last said of each deployment.
    said: BTreeMap<(DeploymentId, ClientId), State>,
    /// When each client is to have been heard of last: reporting in the past moves it there.
    contacts: BTreeMap<i64, i64>,
}

/// What a client says at a time.
struct Word {
    state: State,
    until: Option<i64>,
    bytes_left: u64,
    reason: String,
}

impl<'a> Fleet<'a> {
    async fn of(database: &'a Database) -> anyhow::Result<Self> {
        let rows = sqlx::query("SELECT id, last_contact_at FROM clients").fetch_all(database.pool()).await?;
        let contact = |row: &sqlx::any::AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        let contacts = rows.iter().map(contact).collect::<Result<_, sqlx::Error>>()?;
        Ok(Self { database, serials: BTreeMap::new(), said: BTreeMap::new(), contacts })
    }

    async fn restore_contacts(&self) -> anyhow::Result<()> {
        for (client, at) in &self.contacts {
            let query = sqlx::query("UPDATE clients SET last_contact_at = $1 WHERE id = $2").bind(at).bind(client);
            query.execute(self.database.pool()).await?;
        }
        Ok(())
    }

    /// Every client says where it is by now, if that is news.
    async fn report(&mut self, course: &Course, at: i64) -> anyhow::Result<()> {
        let sql = "SELECT c.id, c.client_id, p.opened_at FROM deployment_clients k \
            JOIN deployments d ON d.id = k.deployment_id JOIN clients c ON c.id = k.client_id \
            JOIN deployment_phases p ON p.deployment_id = k.deployment_id AND p.position = k.phase \
            WHERE d.deployment_id = $1 AND d.status = 0";
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(course.id.as_bytes()).fetch_all(self.database.pool()).await?;
        for row in rows {
            let id: Vec<u8> = row.try_get("client_id")?;
            let client = ClientId::from_slice(&id).context("a client's id")?;
            let mut dice =
                Dice(u64::from_le_bytes(Digest::of(&[course.id.as_bytes(), &id[..]].concat()).0[..8].try_into()?));
            // Whoever was not heard of lately has not heard of this either.
            if self.contacts.get(&row.try_get("id")?).is_none_or(|contact| *contact < course.created_at) {
                continue;
            }
            let word = course.word(row.try_get("opened_at")?, at, &mut dice);
            if self.said.insert((course.id, client), word.state) != Some(word.state) {
                self.say(course, client, &word, at).await?;
            }
        }
        Ok(())
    }

    async fn say(&mut self, course: &Course, client: ClientId, word: &Word, at: i64) -> anyhow::Result<()> {
        let serial = self.serials.entry(client).or_insert(1);
        let message = |(place, update): (usize, &UpdateId)| {
            let fails = word.state == State::Failed;
            let state = if fails && place > 0 { State::Succeeded } else { word.state };
            let reason = if fails && place > 0 { "" } else { &word.reason };
            StateMessage::Enforcement(Box::new(Enforcement {
                deployment: course.id,
                update: *update,
                state,
                since: at,
                installations: if fails { 3 } else { u16::from(state as u8 > State::WaitingForWindow as u8) },
                bytes_left: word.bytes_left,
                until: word.until,
                reason: bounded(reason),
            }))
        };
        let batch = StateBatch {
            stream: STREAM.cast_unsigned(),
            first_serial: *serial,
            messages: course.updates.iter().enumerate().map(message).collect(),
        };
        *serial += batch.messages.len() as u64;
        let reply = self.database.commit_batch(client, &batch, at).await?;
        anyhow::ensure!(reply == StateReply::Acknowledged { through: *serial - 1 }, "the site asks to resend");
        Ok(())
    }
}

impl Course {
    fn word(&self, opened_at: Option<i64>, at: i64, dice: &mut Dice) -> Word {
        let word = |state| Word { state, until: None, bytes_left: 0, reason: String::new() };
        let fate = dice.roll(FATES);
        let pace = 30 * MINUTE + dice.roll(4 * HOUR);
        let is_failing = dice.roll(100) < self.failing;
        let Some(elapsed) = opened_at.map(|opened| at - opened) else { return word(State::Waiting) };
        if self.purpose == Purpose::Available && fate % 3 != 0 {
            return word(State::Waiting);
        }
        match elapsed * 4 / pace {
            0 => Word {
                until: Some(at + pace),
                reason: "its deadline and its own delay".to_owned(),
                ..word(State::Waiting)
            },
            1 if fate == 1 => Word { bytes_left: 212_000_000, ..word(State::Downloading) },
            1 => Word { bytes_left: 18_400_000, ..word(State::Downloading) },
            2.. if fate == 1 => Word { reason: "the site has it not yet".to_owned(), ..word(State::WaitingForContent) },
            2 | 3 | 4.. if fate == 2 && elapsed < 8 * HOUR => Word {
                until: Some(at + 5 * HOUR),
                reason: "outside the maintenance window".to_owned(),
                ..word(State::WaitingForWindow)
            },
            2 => word(State::Installing),
            3 => word(State::Verifying),
            _ if is_failing => Word { reason: self.complaint.to_owned(), ..word(State::Failed) },
            _ if fate == 3 => Word { reason: "users were asked".to_owned(), ..word(State::PendingRestart) },
            _ => word(State::Succeeded),
        }
    }
}
