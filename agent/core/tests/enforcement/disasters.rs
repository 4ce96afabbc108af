//! Everything goes wrong in every order, and what must never happen does not. The world itself checks that nothing is
//! installed that a scan does not require, nothing outside a window, and that nothing succeeds unproved.

use crate::world::{DAY, HOUR, Installer, KEY, LENGTH, MINUTE, MONDAY, Source, World, calendar, required};
use farrier_agent_core::enforcement::{Job, MAX_DOWNLOADED_TIMES, MAX_INTERRUPTIONS, Terms};
use farrier_protocol::ComplianceState;
use farrier_protocol::assignment::{Standing, WindowKind};
use farrier_protocol::deployment::RestartBehaviour;
use farrier_protocol::enforcement::EnforcementState as State;

const LIVES: u64 = 400;
const DISASTERS: usize = 120;

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

fn strike(world: &mut World, random: &mut Random) {
    match random.below(9) {
        0 => {
            world.installer = random.of(&[
                Installer::Installs,
                Installer::InstallsWithRestart,
                Installer::Fails,
                Installer::InstallsAndFails,
                Installer::Lies,
                Installer::Refuses,
                Installer::LosesPower { installed: true },
                Installer::LosesPower { installed: false },
                Installer::LosesAgent { installed: true },
                Installer::LosesAgent { installed: false },
            ]);
        }
        1 => world.source = random.of(&[Source::Good, Source::Unreachable, Source::Corrupt, Source::Breaks]),
        2 => world.lose_power(),
        3 => world.terms.standing = random.of(&[Standing::Paused, Standing::Open { since: MONDAY }]),
        4 => {
            world.found = random.of(&ComplianceState::ALL);
            world.scheduled_scan();
        }
        5 => {
            let start = world.now + i64::try_from(random.below(10)).unwrap() * HOUR;
            let kind = random.of(&[WindowKind::Maintenance, WindowKind::BusinessHours]);
            world.calendar = calendar(random.below(2) == 0, &[(kind, start, start + 3 * HOUR)]);
        }
        // A clock that is set.
        6 => world.now += i64::try_from(random.below(8)).unwrap() * DAY - 3 * DAY,
        // Content that goes missing.
        7 => world.here = random.of(&[0, world.here]),
        _ => world.roll_back = random.of(&[None, Some(true), Some(false)]),
    }
    world.random = u32::try_from(random.below(1 << 32)).unwrap();
}

fn life(seed: u64) -> World {
    let mut random = Random(seed);
    let restart = random.of(&[
        RestartBehaviour::Suppress,
        RestartBehaviour::Ask,
        RestartBehaviour::Force { countdown_seconds: 900 },
    ]);
    let mut world = World::new(Terms {
        restart,
        roll_back: random.below(2) == 0,
        download_ahead: random.below(2) == 0,
        deadline: Some(MONDAY + 12 * HOUR),
        ..required()
    });
    for _ in 0..DISASTERS {
        strike(&mut world, &mut random);
        let end = world.now + i64::try_from(random.below(180)).unwrap() * MINUTE;
        world.run_until(end);
    }
    world
}

#[test]
fn no_disaster_makes_it_install_or_download_without_end() {
    let mut ends = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..LIVES {
        let world = life(seed);
        // A reopened job rolls back no more than it installs; no life asks for a retry.
        let most = usize::from(world.terms.attempts) + usize::from(MAX_INTERRUPTIONS);
        assert!(world.installations.len() <= most, "life {seed}: {} installations", world.installations.len());
        assert!(world.came <= MAX_DOWNLOADED_TIMES * LENGTH, "life {seed}: {} bytes", world.came);
        assert_eq!(usize::from(world.job.installations()), world.installations.len(), "life {seed}: each is counted");
        *ends.entry(world.state().to_string()).or_default() += 1;
    }
    assert!(ends.len() > 3, "lives end in many ways: {ends:?}");
}

#[test]
fn when_all_is_well_again_every_life_ends_well_or_was_given_up() {
    for seed in 0..LIVES {
        let mut world = life(seed);
        (world.installer, world.source) = (Installer::Installs, Source::Good);
        world.terms.standing = Standing::Open { since: MONDAY };
        world.calendar = calendar(false, &[]);
        if world.found == ComplianceState::Unknown {
            world.found = ComplianceState::Required;
        }
        world.lose_power();
        world.run_until(world.now.max(MONDAY) + 5 * DAY);
        assert!(world.state().is_final(), "life {seed}: {:?}", world.last());
        world.job = world.retried(1);
        world.run_until(world.now + DAY);
        assert_eq!(world.state(), State::Succeeded, "life {seed}, tried again: {:?}", world.last());
    }
}

#[test]
fn a_crash_between_any_two_steps_changes_nothing_of_the_end() {
    for crash_at in 0..30 {
        let mut world = World::new(required());
        let mut steps = 0;
        while world.now < MONDAY + 2 * DAY {
            world.turn_until(|_| {
                steps += 1;
                steps == crash_at
            });
            if steps == crash_at {
                world.start();
                world.job = Job::decode(KEY, &world.job.encode()).unwrap();
            }
            world.now += 10 * MINUTE;
        }
        assert_eq!((world.state(), world.installations.len()), (State::Succeeded, 1), "crash at step {crash_at}");
        assert_eq!(world.came, LENGTH);
    }
}

#[test]
fn a_power_cut_in_the_middle_of_an_installation_never_installs_twice_what_is_installed() {
    let mut world = World::new(required());
    world.installer = Installer::LosesPower { installed: true };
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!((world.state(), world.installations.len()), (State::Succeeded, 1));
}
