//! What a version asks for, and what was decided of it.
//!
//! A decision is about a grant of a plugin, whatever version of it asks: a newer version that asks for no more needs no
//! new decision, and one that asks for more is not assigned before there is one.

use crate::database::{GrantDecision, RegisteredPlugin, RegisteredVersion};
use farrier_protocol::assignment::MAX_GRANTS;
use farrier_runtime::{Access, Manifest, Request};
use serde::{Serialize, Serializer};

/// What was decided of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantStanding {
    /// The plugin may.
    Approved,
    /// It runs without.
    Refused,
    /// Nothing yet: a version that asks for it is not assigned.
    Undecided,
}

impl GrantStanding {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Undecided => "not decided",
        }
    }
}

/// A grant that a version asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskedGrant {
    /// What it is for.
    #[serde(serialize_with = "word")]
    pub access: Access,
    /// The grant.
    pub grant: String,
    /// Why, in its author's words.
    pub reason: String,
    /// What was decided of it.
    pub standing: GrantStanding,
    /// Whether the version that counts does not ask for it.
    pub is_new: bool,
}

fn word<S: Serializer>(access: &Access, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(access.list())
}

/// What a manifest asks for.
pub fn requests(manifest: &Manifest) -> impl Iterator<Item = (Access, &Request)> {
    let read = manifest.read.iter().map(|request| (Access::Read, request));
    let write = manifest.write.iter().map(|request| (Access::Write, request));
    read.chain(write).chain(manifest.run.iter().map(|request| (Access::Run, request)))
}

/// What a version asks for, with what was decided.
#[must_use]
pub fn asked(plugin: &RegisteredPlugin, version: &RegisteredVersion) -> Vec<AskedGrant> {
    let counts = plugin.current_version();
    let asks = |other: &RegisteredVersion, access: Access, grant: &str| {
        requests(&other.manifest).any(|(of, request)| of == access && request.grant == grant)
    };
    let of_request = |(access, request): (Access, &Request)| AskedGrant {
        access,
        grant: request.grant.clone(),
        reason: request.reason.clone(),
        standing: standing(&plugin.decisions, access, &request.grant),
        is_new: !counts.is_some_and(|current| asks(current, access, &request.grant)),
    };
    requests(&version.manifest).map(of_request).collect()
}

/// What a version asks for and nobody has decided.
#[must_use]
pub fn undecided(plugin: &RegisteredPlugin, version: &RegisteredVersion) -> Vec<AskedGrant> {
    let mut asked = asked(plugin, version);
    asked.retain(|grant| grant.standing == GrantStanding::Undecided);
    asked
}

/// What was decided of a grant: the word on itself goes before one on a wider grant, and of those an approval before a
/// refusal: what is approved as a part of something refused is approved.
#[must_use]
pub fn standing(decisions: &[GrantDecision], access: Access, grant: &str) -> GrantStanding {
    let of_access = || decisions.iter().filter(|decision| decision.access == access);
    if let Some(decision) = of_access().find(|decision| decision.grant == grant) {
        return if decision.approved { GrantStanding::Approved } else { GrantStanding::Refused };
    }
    let is_covered = |approved: bool| {
        of_access().any(|decision| decision.approved == approved && covers(access, &decision.grant, grant))
    };
    match (is_covered(true), is_covered(false)) {
        (true, _) => GrantStanding::Approved,
        (false, true) => GrantStanding::Refused,
        (false, false) => GrantStanding::Undecided,
    }
}

/// The lines that a client is told the site approves, of what is asked for: never more than what was approved, and no
/// more lines than an assignment holds.
#[must_use]
pub fn approved_lines(decisions: &[GrantDecision], access: Access, asked: &[Request]) -> Vec<String> {
    let mut lines: Vec<&str> = Vec::new();
    let is_approved = |request: &&Request| standing(decisions, access, &request.grant) == GrantStanding::Approved;
    lines.extend(asked.iter().filter(is_approved).map(|request| request.grant.as_str()));
    let approved = decisions.iter().filter(|decision| decision.access == access && decision.approved);
    for decision in approved {
        // Approved more narrowly than it was asked for.
        let is_part = asked.iter().any(|request| covers(access, &request.grant, &decision.grant));
        if is_part && !lines.contains(&decision.grant.as_str()) {
            lines.push(&decision.grant);
        }
    }
    lines.truncate(MAX_GRANTS);
    lines.into_iter().map(str::to_owned).collect()
}

/// Whether the one grant certainly allows everything that the other one does. Only what is plain is seen: a folder with
/// everything below it, or with everything in it. For the rest an administrator is asked.
#[must_use]
pub fn covers(access: Access, wide: &str, narrow: &str) -> bool {
    if wide == narrow {
        return true;
    }
    let is_path = wide.starts_with('/') && narrow.starts_with('/');
    if access == Access::Run || !is_path {
        return false;
    }
    let is_plain = |folder: &str| !folder.contains(['*', '?', '[', '{', '\\']);
    let below = |folder: &str| narrow.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    if let Some(folder) = wide.strip_suffix("/**") {
        return is_plain(folder) && below(folder).is_some_and(|rest| !rest.is_empty());
    }
    if let Some(folder) = wide.strip_suffix("/*") {
        let is_one_name = |name: &str| !name.is_empty() && !name.contains(['/', '{']) && !name.contains("**");
        return is_plain(folder) && below(folder).is_some_and(is_one_name);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use GrantStanding::{Approved, Refused, Undecided};

    fn decision(access: Access, grant: &str, approved: bool) -> GrantDecision {
        GrantDecision { access, grant: grant.to_owned(), approved, by: "test".to_owned(), at: 1 }
    }

    fn request(grant: &str) -> Request {
        Request { grant: grant.to_owned(), reason: "a test".to_owned() }
    }

    #[test]
    fn only_what_is_plainly_narrower_is_covered() {
        for (wide, narrow, expected) in [
            ("/etc/**", "/etc/os-release", true),
            ("/etc/**", "/etc/ssh/*", true),
            ("/etc/**", "/etc", false),
            ("/etc/**", "/etc/", false),
            ("/etc/**", "/etcetera", false),
            ("/**", "/root/.ssh/id", true),
            ("/etc/*", "/etc/passwd", true),
            ("/etc/*", "/etc/*.conf", true),
            ("/etc/*", "/etc/ssh/sshd_config", false),
            ("/etc/*", "/etc/**", false),
            ("/etc/*", "/etc/{a,b/c}", false),
            ("/e*/**", "/etc/passwd", false),
            ("/etc/passwd", "/etc/passwd", true),
            ("/etc/passwd", "/etc/shadow", false),
            ("disk-space", "disk-space", true),
            ("disk-space", "disk", false),
        ] {
            assert_eq!(covers(Access::Read, wide, narrow), expected, "{wide} covers {narrow}");
        }
        assert!(covers(Access::Run, "/usr/bin/dpkg --version", "/usr/bin/dpkg --version"));
        assert!(!covers(Access::Run, "/usr/bin/**", "/usr/bin/dpkg --version"));
    }

    #[test]
    fn a_decision_counts_for_its_access_and_for_narrower_grants() {
        let decisions = [
            decision(Access::Read, "/etc/**", true),
            decision(Access::Read, "/etc/shadow", false),
            decision(Access::Write, "/opt/**", true),
            decision(Access::Write, "/srv/**", false),
            decision(Access::Write, "/srv/kiosk/**", true),
        ];
        for (access, grant, expected) in [
            (Access::Read, "/etc/**", Approved),
            (Access::Read, "/etc/passwd", Approved),
            (Access::Read, "/etc/shadow", Refused),
            (Access::Read, "/opt/x", Undecided),
            (Access::Write, "/etc/passwd", Undecided),
            (Access::Write, "/opt/x", Approved),
            (Access::Write, "/srv/x", Refused),
            (Access::Write, "/srv/kiosk/x", Approved),
            (Access::Read, "/srv/x", Undecided),
        ] {
            assert_eq!(standing(&decisions, access, grant), expected, "{access} {grant}");
        }
    }

    #[test]
    fn clients_are_told_no_more_than_was_asked_for_and_approved() {
        let decisions = [
            decision(Access::Read, "/etc/**", true),
            decision(Access::Read, "/opt/**", false),
            decision(Access::Read, "/opt/kiosk/*", true),
            decision(Access::Read, "/srv/**", true),
        ];
        let asked = ["/etc/passwd", "/opt/**", "/root/**"].map(request);
        assert_eq!(approved_lines(&decisions, Access::Read, &asked), ["/etc/passwd", "/opt/kiosk/*"]);
        assert!(approved_lines(&decisions, Access::Write, &asked).is_empty());
    }
}
