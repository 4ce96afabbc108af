//! What deployments say: assignment, policy, updates, facts and how far a client is.

use crate::messages::{Golden, bytes, golden};
use farrier_protocol::assignment::{
    Assessment, AssignedDeployment, AssignedInstaller, AssignedPlugin, Assignment, Schedule, Standing, Window,
    WindowKind, Windows,
};
use farrier_protocol::deployment::{
    ContentEntry, ContentSource, DeployedScope, DeployedUpdate, DeployedUpdates, DeploymentPolicy, Moment, Phase,
    PhaseMembers, Purpose, RestartBehaviour,
};
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::state_message::{Enforcement, Facts, StateMessage, bounded};
use farrier_protocol::{ClientId, DeploymentId, Digest, UpdateId, decode, encode};

pub fn all() -> Vec<Golden> {
    [assignments(), policies(), updates(), states(), state_messages()].into_iter().flatten().collect()
}

/// What an assignment was before there were versions of plugins, and is still on the path of that time.
type AssignmentV2 = (Assessment, Vec<AssignedInstaller>, Vec<AssignedDeployment>, Windows);
/// The updates of a deployment as they were then: without instructions.
type DeployedUpdatesV2 = (Vec<String>, Vec<DeployedUpdateV2>);
type DeployedUpdateV2 = (UpdateId, String, String, u32, Vec<ContentEntry>, Vec<ContentEntry>);

/// The first four fields of an assignment.
fn version_2(assignment: &Assignment) -> AssignmentV2 {
    let Assignment { assessment, installers, deployments, windows, .. } = assignment;
    let (installers, deployments) = (installers.iter().cloned().collect(), deployments.iter().cloned().collect());
    (assessment.clone(), installers, deployments, windows.clone())
}

#[test]
fn an_assignment_begins_with_what_it_was_before() {
    for assignment in [assignment(), Box::new(Assignment::from(assessment()))] {
        let (before, now) = (encode(&version_2(&assignment)).unwrap(), encode(&assignment).unwrap());
        assert_eq!(before, now[..before.len()]);
        assert!(decode::<Box<Assignment>>(&before).is_err(), "what follows is missing, and nothing is guessed");
    }
}

fn assignments() -> Vec<Golden> {
    let scan_only = Box::new(Assignment::from(assessment()));
    vec![
        golden("AssignmentV2", version_2(&assignment())),
        golden("AssignmentV2.scan-only", version_2(&scan_only)),
        golden("AssignmentV3", assignment()),
        golden("AssignmentV3.scan-only", scan_only),
    ]
}

fn assessment() -> Assessment {
    Assessment {
        client: ClientId(bytes(0x80)),
        version: 301,
        issued_at: 1_800_000_001,
        schedule: Schedule { poll_seconds: 900, scan_seconds: 21_600 },
        plugins: heapless::Vec::new(),
        catalogs: heapless::Vec::new(),
    }
}

fn assignment() -> Box<Assignment> {
    let installer = AssignedInstaller {
        name: bounded("dpkg-installer"),
        version: bounded("0.1.0"),
        target: bounded("plugins/dpkg-installer"),
        digest: Digest(bytes(0xa0)),
        read: [bounded("/var/lib/dpkg/status")].into_iter().collect(),
        write: [bounded("/var/cache/**")].into_iter().collect(),
        run: [bounded("/usr/bin/dpkg --install {blob}...")].into_iter().collect(),
    };
    let deployment = |number: u8, standing| AssignedDeployment {
        deployment: DeploymentId(bytes(number)),
        target: bounded("policies/x"),
        digest: Digest(bytes(0xc0)),
        phase: number,
        standing,
        retries: 200,
    };
    let standings = [
        Standing::Planned { expected_at: None },
        Standing::Planned { expected_at: Some(1_800_000_002) },
        Standing::Open { since: 1_800_000_003 },
        Standing::Paused,
        Standing::Cancelled,
    ];
    let window = |kind, start, seconds| Window { kind, start, seconds };
    let windows = Windows {
        limited: true,
        known_until: 1_800_000_004,
        windows: [
            window(WindowKind::Maintenance, Moment::At(1_800_000_005), 7_200),
            window(WindowKind::BusinessHours, Moment::Local(1_800_000_006), 28_800),
        ]
        .into_iter()
        .collect(),
    };
    let version = |version: &str, first| AssignedPlugin {
        name: bounded("dpkg"),
        version: bounded(version),
        target: bounded("plugins/dpkg"),
        digest: Digest(bytes(first)),
        read: [bounded("/var/lib/dpkg/status"), bounded("disk-space")].into_iter().collect(),
    };
    let before = AssignedInstaller { version: bounded("0.0.9"), digest: Digest(bytes(0xe3)), ..installer.clone() };
    Box::new(Assignment {
        assessment: assessment(),
        installers: [installer].into_iter().collect(),
        deployments: (1..).zip(standings).map(|(number, standing)| deployment(number, standing)).collect(),
        windows,
        shadows: [Box::new(version("0.2.0", 0xe1))].into_iter().collect(),
        fallbacks: [Box::new(version("0.0.9", 0xe2))].into_iter().collect(),
        installer_fallbacks: [Box::new(before)].into_iter().collect(),
    })
}

fn policies() -> Vec<Golden> {
    let phase =
        |name: &str, members, deadline_after_seconds| Phase { name: name.into(), members, deadline_after_seconds };
    let scope = DeployedScope {
        plugin: bounded("dpkg"),
        scope: bounded("debian/bookworm/amd64"),
        installer: bounded("dpkg-installer"),
        digest: Digest(bytes(0x20)),
        length: 5_000,
        updates: 12,
    };
    let required = DeploymentPolicy {
        deployment: DeploymentId(bytes(0x30)),
        name: "November".into(),
        purpose: Purpose::Required,
        available_at: Moment::At(1_800_000_010),
        deadline: Some(Moment::Local(1_800_000_011)),
        random_delay_seconds: 600,
        grace_seconds: 7_200,
        download_ahead: true,
        restart: RestartBehaviour::Force { countdown_seconds: 900 },
        install_any_time: true,
        restart_any_time: false,
        notification: "Please save your work.".into(),
        sources: vec![ContentSource::DistributionPoint, ContentSource::Upstream],
        allow_removals: false,
        roll_back: true,
        attempts: 3,
        phases: vec![
            phase("Pilot", PhaseMembers::Collection, Some(3_600)),
            phase("Everyone", PhaseMembers::BucketsBelow(10_000), None),
        ],
        scopes: vec![scope],
    };
    let available = DeploymentPolicy {
        purpose: Purpose::Available,
        deadline: None,
        restart: RestartBehaviour::Ask,
        sources: Vec::new(),
        phases: Vec::new(),
        scopes: Vec::new(),
        ..required.clone()
    };
    vec![
        golden("DeploymentPolicy", required),
        golden("DeploymentPolicy.available", available),
        golden("RestartBehaviour.Suppress", RestartBehaviour::Suppress),
    ]
}

fn updates() -> Vec<Golden> {
    let entry = |label: &str, first, mirror| ContentEntry {
        label: label.into(),
        digest: Digest(bytes(first)),
        length: 1_000_000,
        mirror,
        path: "pool/o/openssl.deb".into(),
    };
    let update = DeployedUpdate {
        update: UpdateId(bytes(0x10)),
        name: "bookworm-security/openssl/3.0.17-1~deb12u2".into(),
        summary: "Secure Sockets Layer toolkit".into(),
        max_run_seconds: 3_600,
        contents: vec![entry("libssl3_3.0.17-1~deb12u2_amd64.deb", 0x40, 0)],
        previous: vec![entry("libssl3_3.0.15-1_amd64.deb", 0x60, 1)],
        instructions: br#"{"name":"kiosk"}"#.to_vec(),
    };
    let mirrors = vec!["https://security.example.org/debian/".into(), "https://deb.example.org/debian/".into()];
    let DeployedUpdate { update: id, name, summary, max_run_seconds, contents, previous, .. } = update.clone();
    let before: DeployedUpdatesV2 = (mirrors.clone(), vec![(id, name, summary, max_run_seconds, contents, previous)]);
    vec![
        golden("DeployedUpdates", before),
        golden("DeployedUpdates.instructed", DeployedUpdates { mirrors, updates: vec![update] }),
        golden("DeployedUpdates.empty", DeployedUpdates::default()),
    ]
}

/// Every state, by the name that people see.
fn states() -> Vec<Golden> {
    let name = |state: EnforcementState| match state {
        EnforcementState::Waiting => "EnforcementState.Waiting",
        EnforcementState::WaitingForContent => "EnforcementState.WaitingForContent",
        EnforcementState::Downloading => "EnforcementState.Downloading",
        EnforcementState::Downloaded => "EnforcementState.Downloaded",
        EnforcementState::WaitingForWindow => "EnforcementState.WaitingForWindow",
        EnforcementState::Installing => "EnforcementState.Installing",
        EnforcementState::PendingRestart => "EnforcementState.PendingRestart",
        EnforcementState::Verifying => "EnforcementState.Verifying",
        EnforcementState::Succeeded => "EnforcementState.Succeeded",
        EnforcementState::Failed => "EnforcementState.Failed",
        EnforcementState::RolledBack => "EnforcementState.RolledBack",
        EnforcementState::Superseded => "EnforcementState.Superseded",
        EnforcementState::Cancelled => "EnforcementState.Cancelled",
    };
    EnforcementState::ALL.into_iter().map(|state| golden(name(state), state)).collect()
}

fn state_messages() -> Vec<Golden> {
    let facts = Facts {
        os: bounded("debian"),
        release: bounded("bookworm"),
        time_zone: bounded("Europe/Berlin"),
        tags: [bounded("canary"), bounded("web")].into_iter().collect(),
    };
    let enforcement = |until, reason: &str| Enforcement {
        deployment: DeploymentId(bytes(0x30)),
        update: UpdateId(bytes(0x10)),
        state: EnforcementState::WaitingForWindow,
        since: 1_800_000_020,
        installations: 300,
        bytes_left: 212_000_000,
        until,
        reason: bounded(reason),
    };
    let waiting = enforcement(Some(1_800_000_021), "outside the maintenance windows");
    vec![
        golden("StateMessage.Facts", StateMessage::Facts(Box::new(facts))),
        golden("StateMessage.Enforcement", StateMessage::Enforcement(Box::new(waiting))),
        golden("StateMessage.Enforcement.bare", StateMessage::Enforcement(Box::new(enforcement(None, "")))),
    ]
}
