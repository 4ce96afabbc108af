//! A deployment of openssl to an endpoint whose installer puts a new status file in the place of dpkg's: what an honest
//! installation comes to. What it does instead is in the endpoint's `/etc/hostile`.

use super::fake_mirror::FakeMirror;
use super::fake_site::FakeSite;
use super::{OPENSSL, SCOPE, STATUS, World, wait};
use crate::clock::now;
use crate::enforce::{Engine, Next};
use crate::fetch::poll;
use crate::report::send;
use farrier_protocol::assignment::Standing;
use farrier_protocol::deployment::{
    ContentEntry, ContentSource, DeployedScope, DeployedUpdate, DeployedUpdates, DeploymentPolicy, Moment, Phase,
    PhaseMembers, Purpose, RestartBehaviour,
};
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::state_message::{Enforcement, bounded};
use farrier_protocol::{DeploymentId, Digest, UpdateId};
use std::time::{Duration, Instant};

pub(super) const DEPLOYMENT: DeploymentId = DeploymentId([0xD1; 16]);
const PATH: &str = "pool/openssl/status";

/// An endpoint with a deployment.
pub(super) struct Deployed {
    pub world: World,
    pub mirror: FakeMirror,
    pub policy: DeploymentPolicy,
    pub updates: DeployedUpdates,
}

impl Deployed {
    /// Required and due, from the mirror, and installed as it should be.
    pub(super) fn new() -> Self {
        let (mut world, mirror) = (World::enrolled(), FakeMirror::start());
        world.agent.config.plugins.write =
            ["/var/lib/dpkg/status", "/opt/hostile", "/opt/hostile/**"].map(str::to_owned).into();
        world.write("etc/hostile", "replace-status");
        std::fs::create_dir_all(world.agent.config.root.join("opt/hostile")).unwrap();
        world.site.add_installer("hostile-installer");
        let new_status = STATUS.replace("3.0.15-1", "3.0.17-1");
        mirror.put(PATH, new_status.as_bytes());
        let updates = DeployedUpdates {
            mirrors: vec![mirror.address.clone()],
            updates: vec![update(OPENSSL, &[("status", new_status.as_bytes(), PATH)])],
        };
        let deployed = Self { world, mirror, policy: policy(), updates };
        deployed.publish();
        deployed
    }

    /// The same, changed before the endpoint hears of it.
    pub(super) fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut deployed = Self::new();
        change(&mut deployed);
        deployed.publish();
        deployed
    }

    pub(super) fn site(&self) -> &FakeSite {
        &self.world.site
    }

    pub(super) fn publish(&self) {
        self.site().add_deployment(self.policy.clone(), &self.updates);
        self.site().publish();
    }

    pub(super) fn stand(&self, standing: Standing) {
        self.site().assign(DEPLOYMENT, |assigned| assigned.standing = standing);
        self.site().publish();
    }

    pub(super) fn engine(&self) -> Engine {
        Engine::new(&self.world.agent).unwrap()
    }

    /// Polls, lets a new process's engine do what there is to do, and reports.
    pub(super) fn round(&self) -> Next {
        self.turn(&mut self.engine())
    }

    /// The same with an engine that goes on.
    pub(super) fn turn(&self, engine: &mut Engine) -> Next {
        self.turn_of(engine, Duration::from_secs(600))
    }

    /// The same within this time.
    pub(super) fn turn_of(&self, engine: &mut Engine, time: Duration) -> Next {
        let mut session = self.world.agent.session().unwrap();
        let site = session.site().unwrap();
        wait(async {
            let polled = poll(&mut session, &site).await;
            let next = engine.turn(&mut session, polled.is_ok(), Instant::now() + time).await.unwrap();
            engine.finish().await;
            if polled.is_ok() {
                send(&session, &site).await.unwrap();
            }
            next
        })
    }

    /// The states that the site heard of openssl, without repetitions.
    pub(super) fn history(&self) -> Vec<EnforcementState> {
        let shared = self.site().shared();
        let update = UpdateId::of_name(OPENSSL);
        let states = shared.client.enforcements.iter().filter(|word| word.update == update).map(|word| word.state);
        let mut states: Vec<_> = states.collect();
        states.dedup();
        states
    }

    /// The last the site heard of openssl.
    pub(super) fn last(&self) -> Enforcement {
        self.last_of(OPENSSL)
    }

    pub(super) fn last_of(&self, name: &str) -> Enforcement {
        let shared = self.site().shared();
        let update = UpdateId::of_name(name);
        shared.client.enforcements.iter().rev().find(|word| word.update == update).unwrap().clone()
    }

    pub(super) fn status(&self) -> String {
        std::fs::read_to_string(self.world.agent.config.root.join("var/lib/dpkg/status")).unwrap()
    }
}

/// An update with these files: label, content and where it is on the mirror.
pub(super) fn update(name: &str, files: &[(&str, &[u8], &str)]) -> DeployedUpdate {
    let entries = files.iter().map(|file| entry(file.0, file.1, file.2)).collect();
    DeployedUpdate {
        update: UpdateId::of_name(name),
        name: name.to_owned(),
        summary: "Secure Sockets Layer toolkit".to_owned(),
        max_run_seconds: 600,
        contents: entries,
        previous: Vec::new(),
        instructions: Vec::new(),
    }
}

pub(super) fn entry(label: &str, content: &[u8], path: &str) -> ContentEntry {
    ContentEntry {
        label: label.to_owned(),
        digest: Digest::of(content),
        length: content.len() as u64,
        mirror: 0,
        path: path.to_owned(),
    }
}

fn policy() -> DeploymentPolicy {
    DeploymentPolicy {
        deployment: DEPLOYMENT,
        name: "November".to_owned(),
        purpose: Purpose::Required,
        available_at: Moment::At(now() - 7_200),
        deadline: Some(Moment::At(now() - 3_600)),
        random_delay_seconds: 0,
        grace_seconds: 0,
        download_ahead: true,
        restart: RestartBehaviour::Suppress,
        install_any_time: false,
        restart_any_time: false,
        notification: "Save your work.".to_owned(),
        sources: vec![ContentSource::Upstream],
        allow_removals: false,
        roll_back: false,
        attempts: 1,
        phases: vec![Phase {
            name: "everybody".to_owned(),
            members: PhaseMembers::BucketsBelow(10_000),
            deadline_after_seconds: None,
        }],
        scopes: vec![DeployedScope {
            plugin: bounded("dpkg"),
            scope: bounded(SCOPE),
            installer: bounded("hostile-installer"),
            digest: Digest([0; 32]),
            length: 0,
            updates: 1,
        }],
    }
}
