//! What is larger than its type allows does not even decode.

use farrier_protocol::assignment::{
    Assessment, AssignedCatalog, AssignedDeployment, AssignedInstaller, AssignedPlugin, Assignment,
    MAX_ASSIGNMENT_BYTES, MAX_CATALOGS, MAX_DEPLOYMENTS, MAX_GRANTS, MAX_INSTALLERS, MAX_NAME_BYTES, MAX_PLUGINS,
    MAX_RUN_BYTES, MAX_SHADOWS, MAX_TARGET_BYTES, MAX_WINDOWS, Schedule, Standing, Window, WindowKind, Windows,
};
use farrier_protocol::deployment::Moment;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::enrollment::EnrollmentRequest;
use farrier_protocol::poll::{MAX_STATEMENT_SIGNATURES, PollReply, StatementSignature};
use farrier_protocol::state_message::{
    Abilities, Difference, Enforcement, Facts, FallBack, Finding, Inventory, MAX_BATCH_BYTES, MAX_DETAIL_BYTES,
    MAX_DIFFERENCES, MAX_MESSAGES, MAX_SUBJECT_BYTES, MAX_TAG_BYTES, MAX_TAGS, MAX_TEXT_BYTES, ScanResult,
    ShadowResult, StateBatch, StateMessage, StateReply, bounded,
};
use farrier_protocol::{ClientId, ComplianceState, DeploymentId, Digest, UpdateId, decode, encode};
use serde::{Deserialize, Serialize};

/// Whether `T` takes what a wider sender says.
fn takes<T: for<'a> Deserialize<'a>>(wide: &impl Serialize) -> bool {
    decode::<T>(&encode(wide).unwrap()).is_ok()
}

#[test]
fn a_text_one_byte_too_long_is_refused() {
    let finding = |subject: usize, detail: usize| {
        (UpdateId([7; 16]), "s".repeat(subject), ComplianceState::Unknown, "d".repeat(detail))
    };
    assert!(takes::<Finding>(&finding(MAX_SUBJECT_BYTES, MAX_DETAIL_BYTES)));
    assert!(!takes::<Finding>(&finding(MAX_SUBJECT_BYTES + 1, 0)));
    assert!(!takes::<Finding>(&finding(0, MAX_DETAIL_BYTES + 1)));

    let inventory = |lengths: [usize; 4]| lengths.map(|length| "x".repeat(length));
    let fits = [MAX_TEXT_BYTES, MAX_TEXT_BYTES, 32, 32];
    let [a, b, c, d] = inventory(fits);
    assert!(takes::<Inventory>(&(a, b, c, d)));
    for field in 0..4 {
        let mut lengths = fits;
        lengths[field] += 1;
        let [a, b, c, d] = inventory(lengths);
        assert!(!takes::<Inventory>(&(a, b, c, d)), "field {field}");
    }
    assert!(!takes::<EnrollmentRequest>(&([0_u8; 16], vec![0_u8], "h".repeat(MAX_TEXT_BYTES + 1), None::<[u8; 32]>)));
}

#[test]
fn one_element_too_many_is_refused() {
    let batch = |count: usize| (1_u64, 1_u64, vec![StateMessage::Reset; count]);
    assert!(takes::<StateBatch>(&batch(MAX_MESSAGES)));
    assert!(!takes::<StateBatch>(&batch(MAX_MESSAGES + 1)));

    let scan = |count: usize| (1_i64, 2_u64, 3_u32, vec![("dpkg", "0.1.0", ""); count]);
    assert!(takes::<ScanResult>(&scan(MAX_PLUGINS)));
    assert!(!takes::<ScanResult>(&scan(MAX_PLUGINS + 1)));
    assert!(!takes::<ScanResult>(&(1_i64, 2_u64, 3_u32, vec![("n".repeat(MAX_NAME_BYTES + 1), "", "")])));
}

#[test]
fn an_assignment_is_bounded_in_every_direction() {
    type Plugin = (String, String, String, [u8; 32], Vec<String>);
    type Catalog = (String, String, String, [u8; 32]);
    let plugin = |name: usize, target: usize, grants: usize| -> Plugin {
        ("n".repeat(name), "v".into(), "t".repeat(target), [0; 32], vec!["/g".into(); grants])
    };
    let catalog = |scope: usize| -> Catalog { ("dpkg".into(), "s".repeat(scope), "t".into(), [0; 32]) };
    let is_taken = |plugins: Vec<Plugin>, catalogs: Vec<Catalog>| {
        takes::<Assessment>(&([0_u8; 16], 1_u64, 0_i64, (1_u32, 1_u32), plugins, catalogs))
    };
    let (largest, widest) = (plugin(MAX_NAME_BYTES, MAX_TARGET_BYTES, MAX_GRANTS), catalog(MAX_TARGET_BYTES));
    assert!(is_taken(vec![largest; MAX_PLUGINS], vec![widest; MAX_CATALOGS]));
    assert!(!is_taken(vec![plugin(1, 1, 1); MAX_PLUGINS + 1], vec![]));
    assert!(!is_taken(vec![], vec![catalog(1); MAX_CATALOGS + 1]));
    for too_large in
        [plugin(MAX_NAME_BYTES + 1, 1, 1), plugin(1, MAX_TARGET_BYTES + 1, 1), plugin(1, 1, MAX_GRANTS + 1)]
    {
        assert!(!is_taken(vec![too_large], vec![]));
    }
    assert!(!is_taken(vec![], vec![catalog(MAX_TARGET_BYTES + 1)]));
}

#[test]
fn deployments_of_an_assignment_are_bounded_in_every_direction() {
    let none = Vec::<u8>::new;
    let assessment = ([0_u8; 16], 1_u64, 0_i64, (1_u32, 1_u32), none(), none());
    let installer = |grants: usize, bytes: usize| {
        let (read, write) = (vec!["/r"; grants], vec!["/w"; grants]);
        ("n", "v", "t", [0_u8; 32], read, write, vec!["r".repeat(bytes); grants])
    };
    // A standing, a moment and a kind are the number of a variant and what is in it.
    let deployment = |target: usize| ([0_u8; 16], "t".repeat(target), [0_u8; 32], 0_u8, (3_u8,), 0_u16);
    let window = (0_u8, (0_u8, 0_i64), 0_u32);
    let is_taken = |installers: Vec<_>, deployments: Vec<_>, windows: Vec<_>| {
        let versions = (none(), none(), none());
        takes::<Assignment>(&(&assessment, installers, deployments, (true, 0_i64, windows), versions))
    };
    let largest = installer(MAX_GRANTS, MAX_RUN_BYTES);
    assert!(is_taken(
        vec![largest; MAX_INSTALLERS],
        vec![deployment(MAX_TARGET_BYTES); MAX_DEPLOYMENTS],
        vec![window; MAX_WINDOWS]
    ));
    assert!(!is_taken(vec![installer(1, 1); MAX_INSTALLERS + 1], vec![], vec![]));
    assert!(!is_taken(vec![installer(MAX_GRANTS + 1, 1)], vec![], vec![]));
    assert!(!is_taken(vec![installer(1, MAX_RUN_BYTES + 1)], vec![], vec![]));
    assert!(!is_taken(vec![], vec![deployment(1); MAX_DEPLOYMENTS + 1], vec![]));
    assert!(!is_taken(vec![], vec![deployment(MAX_TARGET_BYTES + 1)], vec![]));
    assert!(!is_taken(vec![], vec![], vec![window; MAX_WINDOWS + 1]));
}

#[test]
fn versions_of_plugins_are_bounded_in_every_direction() {
    let none = Vec::<u8>::new;
    let assessment = ([0_u8; 16], 1_u64, 0_i64, (1_u32, 1_u32), none(), none());
    let plugin = |grants: usize| ("n", "v", "t", [0_u8; 32], vec!["/r"; grants]);
    let installer = |grants: usize| ("n", "v", "t", [0_u8; 32], none(), none(), vec!["r"; grants]);
    let is_taken = |shadows: Vec<_>, fallbacks: Vec<_>, installers: Vec<_>| {
        let windows = (true, 0_i64, none());
        takes::<Assignment>(&(&assessment, none(), none(), windows, shadows, fallbacks, installers))
    };
    let (largest, largest_installer) = (plugin(MAX_GRANTS), installer(MAX_GRANTS));
    assert!(is_taken(
        vec![largest.clone(); MAX_SHADOWS],
        vec![largest; MAX_PLUGINS],
        vec![largest_installer; MAX_INSTALLERS]
    ));
    assert!(!is_taken(vec![plugin(1); MAX_SHADOWS + 1], vec![], vec![]));
    assert!(!is_taken(vec![], vec![plugin(1); MAX_PLUGINS + 1], vec![]));
    assert!(!is_taken(vec![], vec![], vec![installer(1); MAX_INSTALLERS + 1]));
    assert!(!is_taken(vec![plugin(MAX_GRANTS + 1)], vec![], vec![]));
    assert!(!is_taken(vec![], vec![plugin(MAX_GRANTS + 1)], vec![]));
    assert!(!is_taken(vec![], vec![], vec![installer(MAX_GRANTS + 1)]));
}

#[test]
fn what_is_said_of_plugins_is_bounded_in_every_direction() {
    /// Whether the text of each length fits where it goes, and one more byte does not.
    fn check<const N: usize>(most: [usize; N], is_taken: impl Fn([String; N]) -> bool) {
        let texts = |lengths: [usize; N]| lengths.map(|length| "x".repeat(length));
        assert!(is_taken(texts(most)));
        for field in 0..N {
            let mut lengths = most;
            lengths[field] += 1;
            assert!(!is_taken(texts(lengths)), "field {field}");
        }
    }
    check([16, 48], |[wit, engine]| takes::<Abilities>(&(wit, engine, 1_u64, 1_u64)));
    check([MAX_NAME_BYTES, MAX_NAME_BYTES, MAX_NAME_BYTES, MAX_TEXT_BYTES], |[plugin, version, shadow, error]| {
        takes::<ShadowResult>(&(plugin, version, shadow, 1_i64, 1_u32, 1_u32, error))
    });
    check([MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_TEXT_BYTES], |[plugin, detail, shadow_detail]| {
        takes::<Difference>(&(plugin, [0_u8; 16], 0_u8, 3_u8, detail, shadow_detail))
    });
    check([MAX_NAME_BYTES, MAX_NAME_BYTES, MAX_NAME_BYTES, MAX_TEXT_BYTES], |[plugin, failed, version, reason]| {
        takes::<FallBack>(&(plugin, true, failed, version, 1_i64, reason))
    });
}

#[test]
fn the_largest_difference_fits_a_batch_as_often_as_a_batch_has_messages() {
    let largest = Difference {
        plugin: bounded(&"p".repeat(MAX_NAME_BYTES)),
        update: UpdateId([0xff; 16]),
        state: ComplianceState::Unknown,
        shadow_state: ComplianceState::Unknown,
        detail: bounded(&"d".repeat(MAX_TEXT_BYTES)),
        shadow_detail: bounded(&"s".repeat(MAX_TEXT_BYTES)),
    };
    let message = encode(&StateMessage::Difference(Box::new(largest))).unwrap();
    assert!(message.len() * MAX_MESSAGES <= MAX_BATCH_BYTES, "{} bytes", message.len());
    // What a client keeps of one shadow to say it again.
    assert!(message.len() * MAX_DIFFERENCES <= 16 * 1024);
}

#[test]
fn facts_are_bounded_in_every_direction() {
    let facts = |lengths: [usize; 3], tag: usize, tags: usize| {
        let [os, release, time_zone] = lengths.map(|length| "x".repeat(length));
        takes::<Facts>(&(os, release, time_zone, vec!["t".repeat(tag); tags]))
    };
    let fits = [64, 64, 48];
    assert!(facts(fits, MAX_TAG_BYTES, MAX_TAGS));
    for field in 0..3 {
        let mut lengths = fits;
        lengths[field] += 1;
        assert!(!facts(lengths, 1, 1), "field {field}");
    }
    assert!(!facts(fits, MAX_TAG_BYTES + 1, 1));
    assert!(!facts(fits, 1, MAX_TAGS + 1));
}

#[test]
fn the_largest_assignment_fits_the_limit_of_its_bytes_and_a_small_stack() {
    let name = |byte: char| byte.to_string().repeat(MAX_TARGET_BYTES);
    let grants = || [(); MAX_GRANTS].map(|()| bounded(&name('g'))).into_iter().collect();
    let plugin = AssignedPlugin {
        name: bounded(&name('n')),
        version: bounded(&name('v')),
        target: bounded(&name('t')),
        digest: Digest([0xff; 32]),
        read: grants(),
    };
    let catalog = AssignedCatalog {
        plugin: bounded(&name('p')),
        scope: bounded(&name('s')),
        target: bounded(&name('t')),
        digest: Digest([0xff; 32]),
    };
    let installer = AssignedInstaller {
        name: bounded(&name('n')),
        version: bounded(&name('v')),
        target: bounded(&name('t')),
        digest: Digest([0xff; 32]),
        read: grants(),
        write: grants(),
        run: [(); MAX_GRANTS].map(|()| bounded(&"r".repeat(MAX_RUN_BYTES))).into_iter().collect(),
    };
    let deployment = AssignedDeployment {
        deployment: DeploymentId([0xff; 16]),
        target: bounded(&name('t')),
        digest: Digest([0xff; 32]),
        phase: u8::MAX,
        standing: Standing::Planned { expected_at: Some(i64::MIN) },
        retries: u16::MAX,
    };
    let window = Window { kind: WindowKind::BusinessHours, start: Moment::Local(i64::MIN), seconds: u32::MAX };
    let assignment = Box::new(Assignment {
        assessment: Assessment {
            client: ClientId([0xff; 16]),
            version: u64::MAX,
            issued_at: i64::MIN,
            schedule: Schedule { poll_seconds: u32::MAX, scan_seconds: u32::MAX },
            plugins: vec![plugin.clone(); MAX_PLUGINS].into_iter().collect(),
            catalogs: vec![catalog; MAX_CATALOGS].into_iter().collect(),
        },
        installers: vec![installer.clone(); MAX_INSTALLERS].into_iter().collect(),
        deployments: vec![deployment; MAX_DEPLOYMENTS].into_iter().collect(),
        windows: Windows {
            limited: true,
            known_until: i64::MIN,
            windows: vec![window; MAX_WINDOWS].into_iter().collect(),
        },
        shadows: vec![Box::new(plugin.clone()); MAX_SHADOWS].into_iter().collect(),
        fallbacks: vec![Box::new(plugin); MAX_PLUGINS].into_iter().collect(),
        installer_fallbacks: vec![Box::new(installer); MAX_INSTALLERS].into_iter().collect(),
    });
    let bytes = encode(&*assignment).unwrap();
    assert!(bytes.len() <= MAX_ASSIGNMENT_BYTES, "{} bytes", bytes.len());
    // As threads have it where memory is scarce.
    let decode = move || decode::<Box<Assignment>>(&bytes).is_ok();
    let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(decode).unwrap();
    assert!(thread.join().unwrap());
}

#[test]
fn the_largest_enforcement_fits_a_batch_as_often_as_a_batch_has_messages() {
    let largest = Enforcement {
        deployment: DeploymentId([0xff; 16]),
        update: UpdateId([0xff; 16]),
        state: EnforcementState::Cancelled,
        since: i64::MIN,
        installations: u16::MAX,
        bytes_left: u64::MAX,
        until: Some(i64::MIN),
        reason: bounded(&"r".repeat(MAX_TEXT_BYTES)),
    };
    let message = encode(&StateMessage::Enforcement(Box::new(largest))).unwrap();
    assert!(message.len() * MAX_MESSAGES <= MAX_BATCH_BYTES, "{} bytes", message.len());
}

#[test]
fn an_unknown_variant_is_refused() {
    assert!(decode::<StateMessage>(&[11]).is_err());
    assert!(decode::<EnforcementState>(&[13]).is_err());
    assert!(decode::<StateReply>(&[2]).is_err());
    assert!(decode::<ComplianceState>(&[4]).is_err());
    assert!(decode::<Standing>(&[4]).is_err());
}

#[test]
fn a_length_beyond_the_input_is_refused() {
    // 2^63 chunks, say five bytes.
    let claims = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    assert!(decode::<farrier_protocol::catalog::Catalog>(&claims).is_err());
    assert!(decode::<farrier_protocol::catalog::Chunk<'_>>(&claims).is_err());
}

#[test]
fn a_text_that_is_no_utf_8_is_refused() {
    let mut bytes = encode(&("dpkg", "1", "error")).unwrap();
    assert!(decode::<farrier_protocol::state_message::PluginResult>(&bytes).is_ok());
    *bytes.last_mut().unwrap() = 0xff;
    assert!(decode::<farrier_protocol::state_message::PluginResult>(&bytes).is_err());
}

#[test]
fn a_batch_of_compliance_states_fits_the_limit_of_its_bytes() {
    // The largest finding there is, as often as a batch can hold compliance states and findings in turns.
    let largest = StateMessage::Finding(Finding {
        update: UpdateId([0xff; 16]),
        subject: bounded(&"s".repeat(MAX_SUBJECT_BYTES)),
        state: ComplianceState::Unknown,
        detail: bounded(&"d".repeat(MAX_DETAIL_BYTES)),
    });
    let batch = StateBatch {
        stream: u64::MAX,
        first_serial: u64::MAX,
        messages: [(); MAX_MESSAGES].map(|()| largest.clone()).into_iter().collect(),
    };
    let bytes = encode(&batch).unwrap();
    assert!(bytes.len() <= MAX_BATCH_BYTES, "{} bytes", bytes.len());
}

#[test]
fn a_text_is_cut_between_characters() {
    assert_eq!(bounded::<4>("abcdef").as_str(), "a…");
    assert_eq!(bounded::<4>("aübc").as_str(), "a…");
    assert_eq!(bounded::<4>("üab").as_str(), "üab");
    assert_eq!(bounded::<2>("abc").as_str(), "ab");
    assert_eq!(bounded::<4>("ab").as_str(), "ab");
    assert_eq!(bounded::<1>("ü").as_str(), "");
}

#[test]
fn the_largest_batch_is_decoded_on_a_small_stack() {
    let batch = StateBatch {
        stream: 1,
        first_serial: 1,
        messages: [(); MAX_MESSAGES].map(|()| StateMessage::Reset).into_iter().collect(),
    };
    let bytes = encode(&batch).unwrap();
    let decode = move || decode::<StateBatch>(&bytes).is_ok();
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(decode).unwrap();
    assert!(thread.join().unwrap());
}

#[test]
fn a_poll_reply_borrows_what_its_photograph_owns() {
    let signature = StatementSignature { key: [1; 32], signature: ([2; 32], [3; 32]) };
    let owned = (vec![1_u8, 2], vec![signature], Some(vec![3_u8]));
    let bytes = encode(&owned).unwrap();
    let reply: PollReply<'_> = decode(&bytes).unwrap();
    assert_eq!(
        (reply.statement, &*reply.signatures, reply.assignment),
        (&[1, 2][..], &[signature][..], Some(&[3][..]))
    );
    assert_eq!(encode(&reply).unwrap(), bytes);
    let too_many = (vec![1_u8], vec![signature; MAX_STATEMENT_SIGNATURES + 1], None::<Vec<u8>>);
    assert!(decode::<PollReply<'_>>(&encode(&too_many).unwrap()).is_err());
}
