//! Where this client stands.

use crate::agent::Agent;
use crate::certificate::Validity;
use crate::clock::{Moment, now};
use crate::identity::Identity;
use crate::notes::{Notes, Remark};
use crate::policy::Policy;
use crate::session::Session;
use crate::user::{Shown, session_or_answers};
use crate::{health, renewal, shadows};
use farrier_agent_core::enforcement::Job;
use farrier_agent_core::shadow::ShadowReport;
use farrier_agent_core::versions::Health;
use farrier_protocol::UnixTime;
use farrier_protocol::assignment::Assignment;
use farrier_protocol::state_message::{FallBack, ScanResult, ShadowResult};
use farrier_spool::Blob;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

/// Where this client stands.
pub(crate) struct Status {
    identity: Identity,
    last_contact: Option<UnixTime>,
    last_scan: Option<ScanResult>,
    policy: Option<Rc<Policy>>,
    /// The version of the newest root of trust.
    root_version: u64,
    /// When the metadata expires that the policy was verified by, by role.
    expiries: Vec<(String, String)>,
    /// How the polls went.
    notes: Notes,
    /// Versions of plugins that are not used, because they failed again and again.
    fall_backs: Vec<FallBack>,
    /// What was found of versions of plugins that do not count.
    shadows: Vec<ShadowReport>,
    /// How many deployed updates have each state.
    jobs: BTreeMap<&'static str, u32>,
    unsent: u64,
}

/// The status, also where this endpoint is not enrolled.
pub(crate) fn status(agent: &Agent) -> anyhow::Result<Shown> {
    if Identity::load(&agent.layout.identity())?.is_none() {
        return Ok(Shown { text: Status::text(None), json: Status::json(None) });
    }
    Ok(match session_or_answers(agent)? {
        Ok(mut session) => {
            let status = Status::of(&mut session)?;
            Shown { text: Status::text(Some(&status)), json: Status::json(Some(&status)) }
        }
        Err(answers) => answers.status,
    })
}

impl Status {
    /// Where the client of this session stands.
    pub(crate) fn of(session: &mut Session<'_>) -> anyhow::Result<Self> {
        let contact = std::fs::read_to_string(session.agent.layout.last_contact()).ok();
        let scan = session.spool.blob(Blob::Scan)?;
        let mut jobs = BTreeMap::new();
        for (key, bytes) in session.spool.jobs()? {
            let state = Job::decode(key, &bytes).map_or("Damaged", |job| job.state().as_str());
            *jobs.entry(state).or_default() += 1;
        }
        let policy = session.policy();
        let health = policy.as_ref().map(|policy| health::load(&session.spool, &policy.assignment)).transpose()?;
        Ok(Self {
            jobs,
            fall_backs: health.iter().flat_map(Health::told).cloned().collect(),
            shadows: shadows::reports(&session.spool)?,
            identity: session.identity.clone(),
            last_contact: contact.and_then(|text| text.trim().parse().ok()),
            last_scan: scan.and_then(|bytes| farrier_protocol::decode(&bytes).ok()),
            policy,
            root_version: session.accepted.root_version(),
            expiries: session.accepted.expiries(),
            notes: Notes::load(&session.spool)?,
            unsent: session.spool.stream()?.unsent(),
        })
    }

    /// The status for programs.
    pub(crate) fn json(status: Option<&Self>) -> Value {
        let Some(status) = status else { return json!({ "enrolled": false }) };
        let scan = status.last_scan.as_ref().map(|scan| {
            let plugins = scan.plugins.iter().map(|plugin| {
                let error = Some(plugin.error.as_str()).filter(|error| !error.is_empty());
                json!({ "name": plugin.name, "version": plugin.version, "error": error })
            });
            json!({
                "scanned_at": scan.scanned_at,
                "assignment_version": scan.assignment_version,
                "evaluated": scan.evaluated,
                "plugins": plugins.collect::<Vec<_>>(),
            })
        });
        json!({
            "enrolled": true,
            "client": status.identity.client.to_string(),
            "site": status.identity.site,
            "certificate_expires": Validity::of(&status.identity.certificate).ok().map(|validity| validity.until),
            "last_contact": status.last_contact,
            "last_scan": scan,
            "assignment_version": status.policy.as_ref().map(|policy| policy.assignment.assessment.version),
            "repository": {
                "root_version": status.root_version,
                "version": status.policy.as_ref().map(|policy| policy.repository.snapshot),
                "verified_at": status.notes.refreshed.map(|refreshed| refreshed.time()),
                "expires": status.expiries.iter().cloned().collect::<BTreeMap<_, _>>(),
                "not_used": status.notes.doubt.as_ref().filter(|doubt| doubt.stands).map(remark_json),
            },
            "last_refusal": status.notes.refusal.as_ref().map(remark_json),
            "state_lost": status.notes.loss.as_ref().map(remark_json),
            "fall_backs": status.fall_backs.iter().map(fall_back_json).collect::<Vec<_>>(),
            "shadows": status.shadows.iter().map(|shadow| shadow_json(shadow.result())).collect::<Vec<_>>(),
            "deployed_updates": status.jobs,
            "unsent_messages": status.unsent,
        })
    }

    /// The status for people.
    pub(crate) fn text(status: Option<&Self>) -> String {
        let Some(status) = status else {
            return "Not enrolled: run `farrier-agent enroll TOKEN`.\n".to_owned();
        };
        let mut lines = vec![
            ("Client", status.identity.client.to_string()),
            ("Site", status.identity.site.clone()),
            ("Certificate", describe_certificate(&status.identity)),
            ("Last contact", status.last_contact.map_or("never".to_owned(), ago)),
            ("Last scan", status.last_scan.as_ref().map_or("never".to_owned(), |scan| ago(scan.scanned_at))),
            ("Assignment", status.policy.as_ref().map_or("none yet".to_owned(), |it| describe(&it.assignment))),
            ("Repository", describe_repository(status)),
            ("Deployed updates", describe_jobs(&status.jobs)),
            ("Unsent messages", status.unsent.to_string()),
        ];
        if !status.expiries.is_empty() {
            let expiries = status.expiries.iter().map(|(role, expires)| format!("{role} {expires}"));
            lines.push(("Expires", expiries.collect::<Vec<_>>().join(", ")));
        }
        let Notes { refusal, doubt, loss, .. } = &status.notes;
        lines.extend(doubt.iter().filter(|it| it.stands).map(|it| ("Not verified", describe_remark(it, ""))));
        lines.extend(refusal.iter().map(|it| ("Last refusal", describe_remark(it, "; polls succeed again"))));
        lines.extend(loss.iter().map(|it| ("State lost", describe_remark(it, "; made good since"))));
        for plugin in status.last_scan.iter().flat_map(|scan| &scan.plugins) {
            let error = if plugin.error.is_empty() { "ok" } else { &plugin.error };
            lines.push(("Plugin", format!("{} {}: {error}", plugin.name, plugin.version)));
        }
        lines.extend(status.fall_backs.iter().map(|it| ("Not used", describe_fall_back(it))));
        lines.extend(status.shadows.iter().map(|it| ("Shadow", describe_shadow(it.result()))));
        let mut text = String::new();
        for (name, value) in lines {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<16} {value}");
        }
        text
    }
}

fn describe_certificate(identity: &Identity) -> String {
    match (Validity::of(&identity.certificate), renewal::expiry(identity, now())) {
        (_, Some(expiry)) => expiry.to_owned(),
        (Ok(validity), None) => {
            format!("until {}, renewed from {} on", Moment(validity.until), Moment(validity.half()))
        }
        (Err(_), None) => "damaged: enrol again with `farrier-agent enroll --force TOKEN`".to_owned(),
    }
}

fn describe_repository(status: &Status) -> String {
    let root = status.root_version;
    let verified =
        status.notes.refreshed.map_or("never verified".to_owned(), |it| format!("verified {}", ago(it.time())));
    match &status.policy {
        Some(policy) => format!("version {}, root {root}, {verified}", policy.repository.snapshot),
        None => format!("root {root}, {verified}"),
    }
}

fn remark_json(remark: &Remark) -> Value {
    json!({ "since": remark.since, "reason": remark.words, "stands": remark.stands })
}

fn describe_remark(remark: &Remark, over: &str) -> String {
    format!("{}: {}{}", ago(remark.since), remark.words, if remark.stands { "" } else { over })
}

fn fall_back_json(fall_back: &FallBack) -> Value {
    let FallBack { plugin, installer, failed_version, version, since, reason } = fall_back;
    let version = Some(version.as_str()).filter(|version| !version.is_empty());
    json!({
        "plugin": plugin,
        "installer": installer,
        "failed_version": failed_version,
        "version": version,
        "since": since,
        "reason": reason,
    })
}

fn describe_fall_back(fall_back: &FallBack) -> String {
    let FallBack { plugin, failed_version, version, since, reason, .. } = fall_back;
    let instead = match version.as_str() {
        "" => "and there is no other".to_owned(),
        version => format!("{version} is used instead"),
    };
    format!("{plugin} {failed_version}, {instead}, since {}: {reason}", Moment(*since))
}

fn shadow_json(result: &ShadowResult) -> Value {
    let ShadowResult { plugin, version, shadow_version, scanned_at, compared, differing, error } = result;
    let error = Some(error.as_str()).filter(|error| !error.is_empty());
    json!({
        "plugin": plugin,
        "version": version,
        "shadow_version": shadow_version,
        "scanned_at": scanned_at,
        "compared": compared,
        "differing": differing,
        "error": error,
    })
}

fn describe_shadow(result: &ShadowResult) -> String {
    let ShadowResult { plugin, version, shadow_version, compared, differing, error, .. } = result;
    let error = if error.is_empty() { String::new() } else { format!("; {error}") };
    format!("{plugin} {shadow_version} beside {version}: differs on {differing} of {compared} updates{error}")
}

fn describe_jobs(jobs: &BTreeMap<&str, u32>) -> String {
    let counts: Vec<_> = jobs.iter().map(|(state, count)| format!("{count} {state}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

fn describe(assignment: &Assignment) -> String {
    let (plugins, catalogs) = (assignment.assessment.plugins.len(), assignment.assessment.catalogs.len());
    let issued_at = Moment(assignment.assessment.issued_at);
    format!("version {}, issued {issued_at}, plugins: {plugins}, catalogs: {catalogs}", assignment.assessment.version)
}

fn ago(time: UnixTime) -> String {
    let seconds = now().saturating_sub(time);
    let (amount, unit) = match seconds {
        ..0 => return Moment(time).to_string(),
        0..120 => (seconds, "s"),
        120..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{} ({amount} {unit} ago)", Moment(time))
}
