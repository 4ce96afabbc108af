//! "Why is this client not done?", in one sentence.

use super::DeploymentStatus;
use super::words::{bytes, period, time};
use farrier_protocol::assignment::MAX_DEPLOYMENTS;
use farrier_protocol::deployment::Purpose;
use farrier_protocol::enforcement::EnforcementState;

/// A client that was not heard of for so long is perhaps off.
const SILENT_SECONDS: i64 = 24 * 60 * 60;

/// How a client stands in a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStanding<'a> {
    /// Whether the deployment goes on.
    pub status: DeploymentStatus,
    /// Why it does not.
    pub status_reason: &'a str,
    /// Offered or installed.
    pub purpose: Purpose,
    /// The client's phase.
    pub phase: PhaseStanding<'a>,
    /// How far it is; none if it has not said anything.
    pub state: Option<EnforcementState>,
    /// The update that it is least far with.
    pub update: Option<UpdateStanding<'a>>,
    /// Whether any update of the deployment is for its operating system, as far as that is known.
    pub is_concerned: bool,
    /// Newer deployments of the client that go on: it is told of so many only.
    pub newer: i64,
    /// When the client was last heard of.
    pub last_contact_at: i64,
}

/// How a client's phase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseStanding<'a> {
    /// Its place, from 0.
    pub position: i64,
    /// How many phases there are.
    pub of: i64,
    /// Its name.
    pub name: &'a str,
    /// When it opened.
    pub opened_at: Option<i64>,
    /// When it is expected to.
    pub expected_at: Option<i64>,
}

/// How far a client is with one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateStanding<'a> {
    /// Source package and version.
    pub title: &'a str,
    /// How far.
    pub state: EnforcementState,
    /// Since when.
    pub since: i64,
    /// How often the installer was started.
    pub installations: i64,
    /// Bytes still to be downloaded.
    pub bytes_left: i64,
    /// Until when the client waits.
    pub until: Option<i64>,
    /// Why, in the client's words.
    pub reason: &'a str,
}

/// Why the client is where it is, in one sentence.
#[must_use]
pub fn sentence(client: &ClientStanding<'_>, now: i64) -> String {
    let standing = client.update.map(|update| of_update(client, &update, now));
    match (client.state, standing) {
        (Some(state), Some(sentence)) if state.is_final() || is_under_way(state) => sentence,
        (_, sentence) => held_back(client).or(sentence).unwrap_or_else(|| silent(client, now)),
    }
}

/// Whether it goes on to its end whatever becomes of the deployment.
fn is_under_way(state: EnforcementState) -> bool {
    matches!(state, EnforcementState::Installing | EnforcementState::PendingRestart | EnforcementState::Verifying)
}

/// What keeps the client from beginning, as the site knows.
fn held_back(client: &ClientStanding<'_>) -> Option<String> {
    let because = |what: &str| match client.status_reason {
        "" => format!("The deployment is {what}."),
        reason => format!("The deployment is {what}: {}", ended(reason)),
    };
    match client.status {
        DeploymentStatus::Cancelled => return Some(because("cancelled")),
        DeploymentStatus::Paused => return Some(because("paused")),
        DeploymentStatus::Active => {}
    }
    if is_left_out(client.newer) {
        return Some(format!("The client is not told of it: {}.", too_many("it has")));
    }
    if client.state.is_none() && !client.is_concerned {
        return Some("The deployment has no update for its operating system: there is nothing to do.".to_owned());
    }
    let PhaseStanding { position, of, name, opened_at, expected_at } = client.phase;
    if opened_at.is_some() {
        return None;
    }
    let opens = expected_at.map_or_else(
        || "opens when the phase before it has succeeded".to_owned(),
        |expected| format!("is expected to open {}", time(expected)),
    );
    let phase = if of == 1 {
        "The deployment".to_owned()
    } else {
        format!("In phase {} of {of} ({name}), which", position + 1)
    };
    Some(format!("{phase} {opens}."))
}

/// Whether a client with so many newer deployments that go on is not told of this one.
#[must_use]
pub fn is_left_out(newer: i64) -> bool {
    usize::try_from(newer).is_ok_and(|newer| newer >= MAX_DEPLOYMENTS)
}

/// Why clients are not told of a deployment, and what to do; `who` begins it.
#[must_use]
pub fn too_many(who: &str) -> String {
    format!("{who} more than {MAX_DEPLOYMENTS} deployments, and only the newest count: cancel those that are done")
}

fn silent(client: &ClientStanding<'_>, now: i64) -> String {
    let ago = now.saturating_sub(client.last_contact_at).max(0);
    if ago >= SILENT_SECONDS {
        return format!("Not heard of for {}: is it off?", period(ago));
    }
    format!("Has not reported on this deployment yet; last heard of {} ago.", period(ago))
}

fn of_update(client: &ClientStanding<'_>, update: &UpdateStanding<'_>, now: i64) -> String {
    let title = update.title;
    let because = |what: &str| match update.reason {
        "" => format!("{title} {what}."),
        reason => format!("{title} {what}: {}", ended(reason)),
    };
    let until = |what: &str| match update.until.filter(|until| *until > now) {
        Some(until) => because(&format!("{what} until {}", time(until))),
        None => because(what),
    };
    match update.state {
        EnforcementState::Waiting if client.purpose == Purpose::Available && update.until.is_none() => {
            format!("{title} waits for a user to install it.")
        }
        EnforcementState::Waiting => until("waits"),
        EnforcementState::WaitingForContent => until("waits for its content"),
        EnforcementState::Downloading if update.bytes_left > 0 => {
            because(&format!("waits for {} of its content", bytes(update.bytes_left)))
        }
        EnforcementState::Downloading => because("is being downloaded"),
        EnforcementState::Downloaded => until("is downloaded and waits"),
        EnforcementState::WaitingForWindow => until("waits for a maintenance window"),
        EnforcementState::Installing => format!("{title} is being installed since {}.", time(update.since)),
        EnforcementState::PendingRestart => because("is installed and waits for a restart"),
        EnforcementState::Verifying => format!("{title} was installed; the next scan proves it."),
        EnforcementState::Succeeded => "Done: a scan proved it.".to_owned(),
        EnforcementState::Failed if update.installations > 1 => {
            because(&format!("failed after {} installations", update.installations))
        }
        EnforcementState::Failed => because("failed"),
        EnforcementState::RolledBack => because("failed and was rolled back"),
        EnforcementState::Superseded => "Done: something newer replaces what was deployed.".to_owned(),
        EnforcementState::Cancelled => because("was cancelled"),
    }
}

/// As the end of a sentence.
fn ended(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn client() -> ClientStanding<'static> {
        ClientStanding {
            status: DeploymentStatus::Active,
            status_reason: "",
            purpose: Purpose::Required,
            phase: PhaseStanding { position: 1, of: 3, name: "Broad", opened_at: Some(NOW), expected_at: None },
            state: None,
            update: None,
            is_concerned: true,
            newer: 0,
            last_contact_at: NOW - 600,
        }
    }

    fn in_state(state: EnforcementState, reason: &'static str, until: Option<i64>) -> String {
        let update = UpdateStanding {
            title: "openssl 3.0.17",
            state,
            since: NOW,
            installations: 3,
            bytes_left: 212_000_000,
            until,
            reason,
        };
        sentence(&ClientStanding { state: Some(state), update: Some(update), ..client() }, NOW)
    }

    #[test]
    fn every_state_has_its_sentence() {
        use EnforcementState as State;
        let later = Some(NOW + 3_600);
        for (state, reason, until, expected) in [
            (State::Waiting, "its deadline", later, "openssl 3.0.17 waits until 2027-01-15 09:00 UTC: its deadline."),
            (
                State::WaitingForWindow,
                "",
                later,
                "openssl 3.0.17 waits for a maintenance window until 2027-01-15 09:00 UTC.",
            ),
            (State::Downloading, "", None, "openssl 3.0.17 waits for 212 MB of its content."),
            (State::Failed, "dpkg said no.", None, "openssl 3.0.17 failed after 3 installations: dpkg said no."),
            (State::PendingRestart, "", None, "openssl 3.0.17 is installed and waits for a restart."),
            (State::Succeeded, "", None, "Done: a scan proved it."),
        ] {
            assert_eq!(in_state(state, reason, until), expected);
        }
        for state in State::ALL {
            assert!(in_state(state, "why", None).ends_with('.'), "{state}");
        }
    }

    #[test]
    fn what_holds_everybody_back_goes_before_what_the_client_says() {
        let mut paused = client();
        paused.status = DeploymentStatus::Paused;
        paused.status_reason = "12 % of phase 1 failed";
        assert_eq!(sentence(&paused, NOW), "The deployment is paused: 12 % of phase 1 failed.");
        let mut planned = client();
        planned.phase.opened_at = None;
        planned.phase.expected_at = Some(NOW + 86_400);
        assert_eq!(sentence(&planned, NOW), "In phase 2 of 3 (Broad), which is expected to open 2027-01-16 08:00 UTC.");
        planned.phase.expected_at = None;
        assert_eq!(
            sentence(&planned, NOW),
            "In phase 2 of 3 (Broad), which opens when the phase before it has succeeded."
        );
    }

    #[test]
    fn a_client_that_never_will_be_told_says_so() {
        let left_out = ClientStanding { newer: 64, ..client() };
        assert_eq!(
            sentence(&left_out, NOW),
            "The client is not told of it: it has more than 64 deployments, and only the newest count: cancel those that \
             are done."
        );
        assert!(!is_left_out(63));
        let elsewhere = ClientStanding { is_concerned: false, ..client() };
        assert_eq!(
            sentence(&elsewhere, NOW),
            "The deployment has no update for its operating system: there is nothing to do."
        );
    }

    #[test]
    fn a_silent_client_is_told_apart_from_one_that_is_off() {
        assert_eq!(sentence(&client(), NOW), "Has not reported on this deployment yet; last heard of 10 min ago.");
        let off = ClientStanding { last_contact_at: NOW - 3 * 86_400, ..client() };
        assert_eq!(sentence(&off, NOW), "Not heard of for 3 days: is it off?");
    }
}
