//! What a new assignment makes of the jobs.

use crate::world::{DAY, HOUR, Installer, KEY, MONDAY, Source, World, required};
use farrier_agent_core::enforcement::{Deployed, Job, Jobs, reconcile};
use farrier_protocol::assignment::Standing;
use farrier_protocol::enforcement::EnforcementState as State;
use farrier_protocol::{DeploymentId, UpdateId};

const OPEN: Standing = Standing::Open { since: MONDAY };

fn deployed(standing: Standing, retries: u16, updates: Option<&[u8]>) -> Deployed {
    let updates = updates.map(|numbers| numbers.iter().map(|number| UpdateId([*number; 16])).collect());
    Deployed { deployment: KEY.0, standing, retries, updates }
}

/// What becomes of one job: none if it is forgotten.
fn follow(job: &Job, deployed: &[Deployed]) -> Option<Job> {
    let mut jobs = Jobs::from([(KEY, job.clone())]);
    for (key, changed) in reconcile(&jobs.clone(), deployed, MONDAY + 9 * DAY) {
        assert_eq!(key, KEY);
        match changed {
            Some(changed) => drop(jobs.insert(key, changed)),
            None => drop(jobs.remove(&key)),
        }
    }
    jobs.remove(&KEY)
}

/// A job in each state.
fn jobs() -> Vec<Job> {
    let run = |installer, source, end| {
        let mut world = World::new(required());
        (world.installer, world.source) = (installer, source);
        world.run_until(end);
        world
    };
    let (early, late) = (MONDAY + HOUR, MONDAY + 2 * DAY);
    let mut installing = run(Installer::Installs, Source::Good, MONDAY + DAY);
    installing.turn_until(|decision| *decision == farrier_agent_core::enforcement::Decision::Install);
    installing.job.installation_begun(None, MONDAY + DAY).unwrap();
    let mut verifying = installing.job.clone();
    verifying.interrupted(MONDAY + DAY);
    let mut window = run(Installer::Installs, Source::Good, early);
    window.calendar = crate::world::calendar(true, &[]);
    window.run_until(late);
    let mut rolled_back = World::new(farrier_agent_core::enforcement::Terms { roll_back: true, ..required() });
    (rolled_back.installer, rolled_back.roll_back) = (Installer::Fails, Some(true));
    rolled_back.run_until(late);
    let superseded = follow(&Job::new(KEY, 0, MONDAY), &[deployed(OPEN, 0, Some(&[]))]).unwrap();
    let cancelled = follow(&Job::new(KEY, 0, MONDAY), &[]).unwrap();
    let jobs = vec![
        Job::new(KEY, 0, MONDAY),
        run(Installer::Installs, Source::Unreachable, early).job,
        run(Installer::Installs, Source::Good, MONDAY + 1).job,
        run(Installer::Installs, Source::Good, early).job,
        window.job,
        installing.job,
        run(Installer::InstallsWithRestart, Source::Good, late).job,
        verifying,
        run(Installer::Installs, Source::Good, late).job,
        run(Installer::Fails, Source::Good, late).job,
        rolled_back.job,
        superseded,
        cancelled,
    ];
    let states: Vec<_> = jobs.iter().map(Job::state).collect();
    assert_eq!(states, State::ALL);
    jobs
}

#[test]
fn new_updates_become_jobs_and_are_known_from_then_on() {
    let changes = reconcile(&Jobs::new(), &[deployed(OPEN, 4, Some(&[2, 3]))], 77);
    let keys: Vec<_> = changes.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [KEY, (KEY.0, UpdateId([3; 16]))]);
    let jobs: Jobs = changes.into_iter().map(|(key, job)| (key, job.unwrap())).collect();
    assert_eq!((jobs[&KEY].state(), jobs[&KEY].first_seen()), (State::Waiting, 77));
    assert!(reconcile(&jobs, &[deployed(OPEN, 4, Some(&[2, 3]))], 78).is_empty());
}

#[test]
fn nothing_begins_of_a_cancelled_deployment_or_of_one_that_cannot_be_read() {
    assert!(reconcile(&Jobs::new(), &[deployed(Standing::Cancelled, 0, Some(&[2]))], 0).is_empty());
    assert!(reconcile(&Jobs::new(), &[deployed(OPEN, 0, None)], 0).is_empty());
}

#[test]
fn a_deployment_that_cannot_be_read_ends_no_job() {
    for job in jobs() {
        assert_eq!(follow(&job, &[deployed(OPEN, 0, None)]).as_ref(), Some(&job));
    }
}

#[test]
fn a_cancelled_deployment_ends_every_job_that_is_not_over_or_at_work() {
    for job in jobs() {
        for updates in [Some([2].as_slice()), Some(&[]), None] {
            let after = follow(&job, &[deployed(Standing::Cancelled, 0, updates)]).unwrap();
            if job.state().is_final() || job.state() == State::Installing {
                assert_eq!(after, job);
            } else {
                assert_eq!((after.state(), after.reason()), (State::Cancelled, "cancelled by the administrator"));
            }
        }
    }
}

#[test]
fn a_deployment_that_vanished_ends_its_jobs_and_then_they_are_forgotten() {
    for job in jobs() {
        match follow(&job, &[]) {
            None => assert!(job.state().is_final()),
            Some(after) if job.state() == State::Installing => assert_eq!(after, job),
            Some(after) => {
                assert_eq!(after.state(), State::Cancelled);
                assert_eq!(follow(&after, &[]), None, "once the site was told");
            }
        }
    }
    let other = Deployed { deployment: DeploymentId([9; 16]), ..deployed(OPEN, 0, None) };
    let after = follow(&Job::new(KEY, 0, MONDAY), &[other]).unwrap();
    assert_eq!(after.state(), State::Cancelled);
}

#[test]
fn an_update_that_vanished_from_its_deployment_is_superseded() {
    for job in jobs() {
        let after = follow(&job, &[deployed(OPEN, 0, Some(&[]))]).unwrap();
        if job.state().is_final() || job.state() == State::Installing {
            assert_eq!(after, job);
        } else {
            assert_eq!(after.state(), State::Superseded);
        }
    }
}

#[test]
fn what_is_deployed_again_begins_again() {
    for job in jobs() {
        let after = follow(&job, &[deployed(OPEN, 0, Some(&[2]))]).unwrap();
        if matches!(job.state(), State::Superseded | State::Cancelled) {
            assert_eq!((after.state(), after.first_seen()), (State::Waiting, MONDAY + 9 * DAY));
        } else {
            assert_eq!(after, job);
        }
    }
}

#[test]
fn a_retry_is_for_what_failed_and_is_asked_for_once() {
    for job in jobs() {
        let again = [deployed(OPEN, 1, Some(&[2]))];
        let after = follow(&job, &again).unwrap();
        let expected = match job.state() {
            State::Failed | State::RolledBack | State::Superseded | State::Cancelled => State::Waiting,
            state => state,
        };
        assert_eq!(after.state(), expected);
        assert_eq!(follow(&after, &again), Some(after.clone()), "the same request again changes nothing");
    }
}

#[test]
fn a_retry_of_what_waits_for_its_next_try_is_now() {
    let mut world = World::new(required());
    world.source = Source::Unreachable;
    world.run_until(MONDAY + 3 * DAY);
    world.source = Source::Good;
    world.job = world.retried(1);
    world.run_until(world.now + 5 * 60);
    assert_eq!(world.state(), State::Succeeded);
}

#[test]
fn a_job_that_is_new_while_a_retry_was_asked_for_long_ago_is_not_retried() {
    let mut world = World::new(required());
    world.installer = Installer::Fails;
    world.job = Job::new(KEY, 5, MONDAY);
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!(follow(&world.job, &[deployed(OPEN, 5, Some(&[2]))]), Some(world.job.clone()));
}
