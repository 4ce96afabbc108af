//! What the attacks have in common: a client that follows the policy of a site, a thief between them, and what has to be
//! true under attack and after it.

use crate::clock::Clock;
use crate::lite;
use farrier::keys::KeyRole;
use farrier_protocol::Digest;
use farrier_protocol::assignment::Assignment;
use farrier_protocol::poll::Statement;
use farrier_tests::stolen::{Reply, Repository, Request, Upstream};
use farrier_tests::{Agent, StolenServer, copy_of, eventually, programs, sample, succeed};
use farrier_trust::SigningKey;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// What the site publishes when there are news: it concerns the sample endpoint.
const NEWS: &str = "../policy-samples/minimum-openssl/policy.toml";

/// A client that follows a policy of a site, and the thief between them. Until it is attacked, he is honest.
pub(crate) struct Scene {
    pub(crate) stolen: StolenServer,
    pub(crate) agent: Agent,
    before: Followed,
}

/// The states of updates by their names.
pub(crate) type Updates = BTreeMap<String, String>;

/// What a client follows, and what it finds by that, as it says without asking anybody.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Followed {
    pub(crate) assignment_version: u64,
    pub(crate) updates: Updates,
}

/// What a client does and says of a scan.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) updates: Updates,
    pub(crate) reported: bool,
    /// On stderr, and as the reason why it did not report.
    pub(crate) said: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::of("")
    }

    /// The same of a client that does not compile: the site compiles what it runs, and signs that.
    pub(crate) fn lite() -> Self {
        Self::of(lite::CONFIG)
    }

    fn of(config: &str) -> Self {
        let stolen = StolenServer::start(programs!(), &sample().join("suites.toml")).unwrap();
        stolen.site().synchronize().unwrap();
        let agent = stolen.enroll(programs!(), &sample().join("root")).unwrap();
        agent.configure(config).unwrap();
        let knows = |updates: Updates| !updates.is_empty() && !updates.values().any(|state| state == "Unknown");
        assert!(eventually(|| knows(online(&agent).updates)), "the client finds nothing out:\n{}", stolen.site().log());
        let before = follows(&agent);
        stolen.take_requests();
        Self { stolen, agent, before }
    }

    /// What the client followed before anything happened.
    pub(crate) fn before(&self) -> &Followed {
        &self.before
    }

    /// What whoever stole the server answers from now on.
    pub(crate) fn thief(&self, answer: impl Fn(&Request, &Upstream) -> anyhow::Result<Reply> + Send + Sync + 'static) {
        self.stolen.answers(answer);
    }

    /// The repository as it is now.
    pub(crate) fn repository(&self) -> Repository {
        self.stolen.repository().unwrap()
    }

    /// The keys of a role, as long as they are on the site.
    pub(crate) fn keys(&self, role: KeyRole) -> Vec<SigningKey> {
        self.stolen.keys(role).unwrap()
    }

    /// The thief publishes with the stolen keys of snapshot and timestamp, and has the client look with the stolen key of
    /// assignments.
    pub(crate) fn publishes(
        &self,
        mut repository: Repository,
        change: impl Fn(&mut Statement, &mut Assignment) + Send + Sync + 'static,
    ) {
        repository.publish(&self.keys(KeyRole::Snapshot), &self.keys(KeyRole::Timestamp)).unwrap();
        self.stolen.shows(repository, change).unwrap();
    }

    /// Whoever has the stolen key of assignments says this of what the site publishes.
    pub(crate) fn says(&self, change: impl Fn(&mut Statement, &mut Assignment) + Send + Sync + 'static) {
        self.stolen.shows(self.repository(), change).unwrap();
    }

    /// The site publishes something that concerns the client. Returns when it is there.
    pub(crate) fn publish_news(&self) {
        let news = Path::new(env!("CARGO_MANIFEST_DIR")).join(NEWS);
        let timestamp = |repository: &Repository| repository.timestamp_digest().unwrap();
        self.publishes_after(self.stolen.site().command(&["policy", "import"]).arg(news), timestamp);
    }

    /// The site gives a role another key in the place of the one it has.
    pub(crate) fn rotate(&self, role: &str) {
        self.rotate_with(role, &[]);
    }

    /// The site gives a role other keys. Returns when they are in force.
    pub(crate) fn rotate_with(&self, role: &str, options: &[&str]) {
        let changes = match role {
            "root" | "assignment" => |repository: &Repository| Digest::of(repository.file("root").unwrap()),
            _ => |repository: &Repository| repository.timestamp_digest().unwrap(),
        };
        self.publishes_after(self.stolen.site().command(&["keys", "rotate", role]).args(options), changes);
    }

    fn publishes_after(&self, command: &mut Command, changes: fn(&Repository) -> Digest) {
        let before = changes(&self.repository());
        succeed(command).unwrap();
        let is_published = || changes(&self.repository()) != before;
        let log = || self.stolen.site().log();
        assert!(eventually(is_published), "the site does not publish what {command:?} changed:\n{}", log());
    }

    /// Under attack the client finds what it found before, by the policy it had before, and says these words: at once, and
    /// whenever somebody asks.
    pub(crate) fn keeps_its_policy_and_says(&self, words: &[&str]) {
        self.keeps_and_says(&self.before, words);
    }

    /// The same of what it followed meanwhile.
    pub(crate) fn keeps_and_says(&self, followed: &Followed, words: &[&str]) {
        self.keeps(followed, &mut self.agent.command(&["scan", "--json"]), words);
    }

    /// The same, with a clock that is wrong.
    pub(crate) fn keeps_its_policy_at_and_says(&self, clock: &Clock, words: &[&str]) {
        self.keeps(&self.before, &mut clock.shown_to(&self.agent.command(&["scan", "--json"])), words);
    }

    fn keeps(&self, followed: &Followed, command: &mut Command, words: &[&str]) {
        let scan = scan(command);
        assert_eq!(scan.updates, followed.updates, "{}", scan.said);
        assert_says(&scan.said, words);
        assert_eq!(follows(&self.agent), *followed, "{}", scan.said);
        if scan.said.contains("Poll failed") {
            assert_says(&self.status(), words);
        }
    }

    /// What whoever asks the client is told.
    fn status(&self) -> String {
        succeed(&mut self.agent.command(&["status"])).unwrap()
    }

    /// After the attack, the client takes the site's news without anybody's help, and has nothing to complain about.
    pub(crate) fn recovers(&self) {
        self.stolen.is_honest().unwrap();
        if self.is_without_news() {
            self.publish_news();
        }
        let scan = online(&self.agent);
        assert!(scan.reported, "{}", scan.said);
        assert_eq!(scan.said, "");
        let unharmed = self.stolen.enroll(programs!(), &sample().join("root")).unwrap();
        assert_eq!(scan.updates, online(&unharmed).updates);
        assert_ne!(scan.updates, self.before.updates, "the news are taken");
        let status = self.status();
        assert!(!status.contains("Last refusal") || status.contains("polls succeed again"), "{status}");
    }

    fn is_without_news(&self) -> bool {
        succeed(&mut self.stolen.site().command(&["policy", "list", "--json"])).unwrap().trim() == "[]"
    }

    /// A copy of the agent's data folder, to be broken in many ways.
    pub(crate) fn copy_of_data(&self) -> TempDir {
        copy_of(&self.agent.data()).unwrap()
    }
}

/// What a client follows now.
pub(crate) fn follows(agent: &Agent) -> Followed {
    let status: Value = serde_json::from_str(&succeed(&mut agent.command(&["status", "--json"])).unwrap()).unwrap();
    let assignment_version = status["assignment_version"].as_u64().unwrap_or_default();
    Followed { assignment_version, updates: offline(agent).updates }
}

/// A scan that asks the site first.
pub(crate) fn online(agent: &Agent) -> Scanned {
    scan(&mut agent.command(&["scan", "--json"]))
}

/// A scan that asks nobody.
pub(crate) fn offline(agent: &Agent) -> Scanned {
    scan(&mut agent.command(&["scan", "--json", "--offline"]))
}

/// Runs a scan that has to succeed.
pub(crate) fn scan(command: &mut Command) -> Scanned {
    attempt(command).unwrap_or_else(|said| panic!("{command:?} failed: {said}"))
}

/// Runs a scan; what it said, if it failed.
pub(crate) fn attempt(command: &mut Command) -> Result<Scanned, String> {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    if !status.success() {
        return Err(stderr);
    }
    let scan: Value = serde_json::from_slice(&stdout).unwrap();
    let reason = scan["reason"].as_str().unwrap_or_default();
    let text = |update: &Value, what: &str| update[what].as_str().unwrap().to_owned();
    let updates = scan["updates"].as_array().unwrap().iter();
    let plugins = scan["plugins"].as_array().unwrap().iter();
    let errors: String = plugins.filter_map(|plugin| plugin["error"].as_str()).collect();
    Ok(Scanned {
        updates: updates.map(|update| (text(update, "name"), text(update, "state"))).collect(),
        reported: scan["reported"].as_bool().unwrap(),
        said: stderr + reason + &errors,
    })
}

/// Every word is in what was said.
pub(crate) fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// A key that nobody trusts.
pub(crate) fn stranger() -> SigningKey {
    SigningKey::from_secret(&rand::random::<[u8; 32]>()).unwrap()
}

/// The applicability plugin of Debian packages as a thief would have it: it looks at another file, and so says of this
/// endpoint what is not true. Everything is as long as what it replaces, so nothing moves.
pub(crate) fn lying_component() -> Vec<u8> {
    let changes = [
        ("/var/lib/dpkg/status", "/var/lib/dpkg/statuz"),
        (concat!("\"version\":\"", env!("CARGO_PKG_VERSION"), "\""), "\"version\":\"9.9.9\""),
    ];
    let mut component = std::fs::read(dist("dpkg.wasm")).unwrap();
    for (from, to) in changes {
        let is_there = |place: &usize| component[*place..].starts_with(from.as_bytes());
        let places: Vec<_> = (0..component.len()).filter(is_there).collect();
        assert!(!places.is_empty(), "{from} is not in the component");
        places.iter().for_each(|place| component[*place..][..to.len()].copy_from_slice(to.as_bytes()));
    }
    component
}

/// A built component.
pub(crate) fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist").join(name)
}

/// Has the client scan with this component, as this target.
pub(crate) fn assign(assignment: &mut Assignment, target: &str, digest: Digest) {
    let plugin = &mut assignment.assessment.plugins[0];
    plugin.version = target.rsplit('/').next().unwrap().try_into().unwrap();
    plugin.target = target.try_into().unwrap();
    plugin.digest = digest;
}
