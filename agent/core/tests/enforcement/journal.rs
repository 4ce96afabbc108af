//! Jobs as they are stored.

use crate::world::{DAY, HOUR, Installer, KEY, MONDAY, World, required};
use farrier_agent_core::enforcement::{Damage, DamagedJob, Job};
use farrier_protocol::enforcement::EnforcementState as State;
use farrier_protocol::state_message::StateMessage;

fn busy_job() -> Job {
    let mut world = World::new(required());
    world.installer = Installer::InstallsWithRestart;
    world.run_until(MONDAY + 2 * DAY);
    world.job
}

/// Agents have written it: it is never edited. Another form is another version.
const STORED: &str = "0206809ef5b40d80d8eab40d0000000001b0ea0100b0ea01000001010000010000016b86b273ff34fce1000000\
    196b657074202f6574632f73736c2f6f70656e73736c2e636e66002969742074616b657320656666656374207768\
    656e20746865206d616368696e652072657374617274730000";
/// The same job, as agents wrote it whose installers had nothing to finish.
const STORED_1: &str = "0106809ef5b40d80d8eab40d0000000001b0ea0100b0ea01000001010000010000016b86b273ff34fce1000000\
    196b657074202f6574632f73736c2f6f70656e73736c2e636e66002969742074616b657320656666656374207768\
    656e20746865206d616368696e65207265737461727473";

#[test]
fn the_stored_form_of_a_version_never_changes() {
    let job = busy_job();
    let stored: String = job.encode().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(stored, STORED);
    assert_eq!(Job::decode(KEY, &job.encode()), Ok(job));
}

#[test]
fn jobs_of_the_agent_before_are_understood() {
    let bytes = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    };
    let stored = bytes(STORED_1);
    assert_eq!(Job::decode(KEY, &stored), Ok(busy_job()));
    for end in 0..stored.len() {
        assert!(Job::decode(KEY, &stored[..end]).is_err(), "the first {end} bytes");
    }
    assert!(Job::decode(KEY, &[stored.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn an_unknown_state_or_version_is_an_error_that_names_the_job() {
    let good = busy_job().encode();
    for (position, byte, damage) in
        [(0, 3, Damage::Version(3)), (1, 13, Damage::State(13)), (1, 255, Damage::State(255))]
    {
        let mut bad = good.clone();
        bad[position] = byte;
        let error = Job::decode(KEY, &bad).unwrap_err();
        assert_eq!(error, DamagedJob { key: KEY, damage });
        let text = error.to_string();
        assert!(text.contains(&KEY.0.to_string()) && text.contains(&KEY.1.to_string()), "{text}");
        assert!(text.contains(&byte.to_string()), "{text}");
    }
}

#[test]
fn no_piece_of_a_job_is_a_job_and_no_damage_panics() {
    let good = busy_job().encode();
    for end in 0..good.len() {
        assert!(Job::decode(KEY, &good[..end]).is_err(), "the first {end} bytes");
    }
    assert!(Job::decode(KEY, &[good.as_slice(), &[0]].concat()).is_err());
    for position in 0..good.len() {
        for byte in 0..=u8::MAX {
            let mut bad = good.clone();
            bad[position] = byte;
            let _ = Job::decode(KEY, &bad);
        }
    }
}

#[test]
fn a_job_that_was_lost_has_failed_and_only_a_new_request_tries_it_again() {
    let damaged = Job::decode(KEY, &[]).unwrap_err();
    let mut world = World::new(required());
    world.job = Job::lost(&damaged, 3, MONDAY);
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!((world.state(), world.installations.len()), (State::Failed, 0));
    assert!(world.job.reason().contains("damaged"), "{}", world.job.reason());
    world.job = world.retried(4);
    world.run_until(MONDAY + 4 * DAY);
    assert_eq!(world.state(), State::Succeeded);
}

#[test]
fn the_message_says_what_the_job_knows() {
    let mut world = World::new(required());
    world.turn();
    world.now += HOUR;
    let StateMessage::Enforcement(message) = world.job.message() else { panic!("another message") };
    assert_eq!((message.deployment, message.update), KEY);
    assert_eq!((message.state, message.since, message.installations), (State::Downloading, MONDAY, 0));
    assert_eq!((message.bytes_left, message.until), (20_000, None));
}
