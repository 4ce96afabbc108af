//! A client in memory: a clock, an endpoint, a source of content, an installer that works or does not; and the engine's
//! loop around the decisions under test.

use farrier_agent_core::enforcement::{
    BootId, Calendar, Decision, Deployed, Job, JobKey, Jobs, Opening, Outcome, Situation, Terms, decide, reconcile,
};
use farrier_protocol::assignment::{Standing, Window, WindowKind, Windows};
use farrier_protocol::deployment::{Moment, Purpose, RestartBehaviour};
use farrier_protocol::enforcement::EnforcementState as State;
use farrier_protocol::{ComplianceState, DeploymentId, UnixTime, UpdateId};

pub const KEY: JobKey = (DeploymentId([1; 16]), UpdateId([2; 16]));
/// A Monday, 00:00.
pub const MONDAY: UnixTime = 1_800_230_400;
pub const MINUTE: UnixTime = 60;
pub const HOUR: UnixTime = 3_600;
pub const DAY: UnixTime = 24 * HOUR;
/// Bytes of the update's content.
pub const LENGTH: u64 = 30_000;
/// Bytes that come in one turn, at most.
const SLICE: u64 = 10_000;
/// Decisions of one turn, at most: more of them go round in circles.
const MAX_DECISIONS: usize = 40;

/// Where content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Good,
    Unreachable,
    /// What comes is not what was signed.
    Corrupt,
    /// The connection breaks after some bytes.
    Breaks,
}

/// What the installer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installer {
    Installs,
    InstallsWithRestart,
    /// Nothing, and says so.
    Fails,
    /// Everything, and says that it failed.
    InstallsAndFails,
    /// Nothing, and says that it worked.
    Lies,
    /// Something after which no scan can tell.
    Confuses,
    Refuses,
    /// The machine loses its power in the middle: with the update installed or without.
    LosesPower {
        installed: bool,
    },
    /// The agent is killed in the middle, and what it ran goes on.
    LosesAgent {
        installed: bool,
    },
}

/// What a job became, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub at: UnixTime,
    pub state: State,
    pub until: Option<UnixTime>,
    pub reason: String,
}

pub struct World {
    pub now: UnixTime,
    pub job: Job,
    pub terms: Terms,
    pub calendar: Calendar,
    /// What a scan finds.
    pub found: ComplianceState,
    pub source: Source,
    pub installer: Installer,
    /// Whether a roll-back works, if there is what it needs.
    pub roll_back: Option<bool>,
    pub boot: Option<u32>,
    /// Whether the machine restarts when it is told to.
    pub restarts: bool,
    pub random: u32,
    /// Bytes of the content that are here.
    pub here: u64,
    /// Bytes that came, ever.
    pub came: u64,
    /// When the installer was started.
    pub installations: Vec<UnixTime>,
    pub roll_backs: usize,
    pub announcements: Vec<UnixTime>,
    pub restarted: Vec<UnixTime>,
    pub scans: usize,
    /// What the installer says when it is asked to finish, one after the other; then that it is done.
    pub finishes: Vec<Result<&'static str, &'static str>>,
    /// When it was asked to.
    pub finished: Vec<UnixTime>,
    pub log: Vec<Line>,
    scan: Option<ComplianceState>,
}

/// Required, due on Tuesday 00:00, from Monday 00:00 on; an hour to run.
pub fn required() -> Terms {
    Terms {
        purpose: Purpose::Required,
        standing: Standing::Open { since: MONDAY },
        phase: 1,
        phases: 2,
        available_at: MONDAY,
        deadline: Some(MONDAY + DAY),
        delay_seconds: 0,
        grace_seconds: 0,
        download_ahead: true,
        restart: RestartBehaviour::Suppress,
        install_any_time: false,
        restart_any_time: false,
        roll_back: false,
        attempts: 3,
        max_run_seconds: 3_600,
    }
}

pub fn available() -> Terms {
    Terms { purpose: Purpose::Available, deadline: None, ..required() }
}

/// A calendar of windows from one time to another, known for four weeks.
pub fn calendar(limited: bool, windows: &[(WindowKind, UnixTime, UnixTime)]) -> Calendar {
    let window = |&(kind, start, end): &(WindowKind, UnixTime, UnixTime)| Window {
        kind,
        start: Moment::At(start),
        seconds: u32::try_from(end - start).unwrap(),
    };
    let windows = Windows { limited, known_until: MONDAY + 28 * DAY, windows: windows.iter().map(window).collect() };
    Calendar::new(&windows, instant)
}

pub fn instant(moment: Moment) -> UnixTime {
    match moment {
        Moment::At(time) | Moment::Local(time) => time,
    }
}

impl World {
    pub fn new(terms: Terms) -> Self {
        Self {
            now: MONDAY,
            job: Job::new(KEY, 0, MONDAY),
            terms,
            calendar: Calendar::default(),
            found: ComplianceState::Required,
            source: Source::Good,
            installer: Installer::Installs,
            roll_back: None,
            boot: Some(1),
            restarts: true,
            random: 0,
            here: 0,
            came: 0,
            installations: Vec::new(),
            roll_backs: 0,
            announcements: Vec::new(),
            restarted: Vec::new(),
            scans: 0,
            finishes: Vec::new(),
            finished: Vec::new(),
            log: Vec::new(),
            scan: None,
        }
    }

    pub fn state(&self) -> State {
        self.job.state()
    }

    /// The states in their order.
    pub fn states(&self) -> Vec<State> {
        let mut states: Vec<_> = self.log.iter().map(|line| line.state).collect();
        states.dedup();
        states
    }

    /// When a state was first noted.
    pub fn first(&self, state: State) -> Option<UnixTime> {
        self.log.iter().find(|line| line.state == state).map(|line| line.at)
    }

    pub fn last(&self) -> &Line {
        self.log.last().unwrap()
    }

    /// A turn every minute until `end`.
    pub fn run_until(&mut self, end: UnixTime) -> &mut Self {
        while self.now < end {
            self.turn();
            self.now += MINUTE;
        }
        self
    }

    /// What the engine does until it has to wait.
    pub fn turn(&mut self) {
        self.scan = None;
        self.decide();
    }

    /// A scan that nobody asked for, and what the engine makes of it.
    pub fn scheduled_scan(&mut self) {
        self.scan = Some(self.found);
        self.decide();
    }

    /// A scan that nobody asked for, and an installer that takes the agent down with it when it is to finish.
    pub fn scheduled_scan_that_dies_finishing(&mut self) {
        self.scan = Some(self.found);
        let mut finishes = false;
        self.decide_until(|decision| {
            finishes = matches!(decision, Decision::Finish);
            finishes
        });
        if finishes {
            self.job.finish_begun();
            self.finished.push(self.now);
            self.store();
        }
        self.start();
    }

    /// A turn that stops before the decision that `stop` recognizes.
    pub fn turn_until(&mut self, stop: impl FnMut(&Decision) -> bool) {
        self.scan = None;
        self.decide_until(stop);
    }

    fn decide(&mut self) {
        self.decide_until(|_| false);
    }

    fn decide_until(&mut self, mut stop: impl FnMut(&Decision) -> bool) {
        for _ in 0..MAX_DECISIONS {
            let decision = decide(&self.job, &self.terms, &self.situation());
            if stop(&decision) || !self.act(decision) {
                return;
            }
            self.store();
        }
        panic!("no end of deciding: {:?}", self.last());
    }

    pub fn situation(&self) -> Situation<'_> {
        Situation {
            now: self.now,
            calendar: &self.calendar,
            scan: self.scan,
            content_ready: self.here == LENGTH,
            previous_ready: self.roll_back.is_some(),
            boot: self.boot(),
            random: self.random,
        }
    }

    /// The job after an administrator asked for the `retries`-th time to try again.
    pub fn retried(&self, retries: u16) -> Job {
        let deployed = Deployed {
            deployment: KEY.0,
            standing: self.terms.standing,
            retries,
            updates: Some([KEY.1].into_iter().collect()),
        };
        let changes = reconcile(&Jobs::from([(KEY, self.job.clone())]), &[deployed], self.now);
        changes.into_iter().next().unwrap().1.unwrap()
    }

    /// The power was out: what is stored is what there is.
    pub fn lose_power(&mut self) {
        self.boot = self.boot.map(|boot| boot + 1);
        self.scan = None;
        self.start();
    }

    /// The agent starts after a crash.
    pub fn start(&mut self) {
        if self.job.interrupted(self.now) {
            self.store();
        }
    }

    fn boot(&self) -> Option<BootId> {
        self.boot.map(|boot| BootId::of(&boot.to_string()))
    }

    /// Does what was decided; false when there is nothing more to do at this time.
    fn act(&mut self, decision: Decision) -> bool {
        let now = self.now;
        match decision {
            Decision::Note(note) => return self.job.note(&note, now).unwrap(),
            Decision::Nothing => return false,
            Decision::Rescan => {
                self.scans += 1;
                self.scan = Some(self.found);
            }
            Decision::Download => return self.download(),
            Decision::Install => self.install(),
            Decision::RollBack => {
                self.job.roll_back_begun(now).unwrap();
                self.store();
                self.roll_backs += 1;
                let result = if self.roll_back == Some(true) { Ok(()) } else { Err("it does not go back") };
                self.job.roll_back_ended(result, now).unwrap();
            }
            Decision::Finish => {
                assert_eq!(
                    self.scan,
                    Some(ComplianceState::Installed),
                    "nothing is finished that a scan does not prove"
                );
                self.job.finish_begun();
                self.store();
                self.finished.push(now);
                self.scan = None;
                let result = if self.finishes.is_empty() { Ok("") } else { self.finishes.remove(0) };
                self.job.finish_ended(result);
            }
            Decision::AnnounceRestart { at } => {
                self.announcements.push(now);
                self.job.restart_announced(at, now).unwrap();
            }
            Decision::Restart => {
                self.job.restart_begun(now).unwrap();
                self.store();
                self.restarted.push(now);
                if self.restarts {
                    self.lose_power();
                }
            }
        }
        true
    }

    /// One slice; false when the turn is over.
    fn download(&mut self) -> bool {
        let left = LENGTH - self.here;
        let allowance = self.job.download_begun(LENGTH, left, self.now).unwrap();
        self.store();
        let slice = left.min(SLICE).min(allowance);
        match self.source {
            Source::Unreachable => {
                self.job.content_missing("the site cannot be reached", None, self.random, self.now).unwrap()
            }
            Source::Good | Source::Breaks | Source::Corrupt => {
                self.came += slice;
                self.here += slice;
                self.job.downloaded(slice, LENGTH - self.here);
                if self.source == Source::Breaks {
                    // Nothing can be resumed.
                    self.here = 0;
                    self.job.content_missing("the connection broke", None, self.random, self.now).unwrap();
                } else if self.source == Source::Corrupt && self.here == LENGTH {
                    self.here = 0;
                    self.job
                        .content_missing("the content is not what was signed", None, self.random, self.now)
                        .unwrap();
                }
            }
        }
        self.scan = None;
        self.store();
        self.here == LENGTH
    }

    fn install(&mut self) {
        let now = self.now;
        if self.installer == Installer::Refuses {
            return self.job.refused("it would remove apache2", self.random, now).unwrap();
        }
        let is_open = self.calendar.opening(now, self.terms.max_run_seconds, "") == Opening::Now;
        assert!(is_open || self.terms.install_any_time || self.job.is_asked_for(), "outside every window");
        assert_eq!(self.terms.hold(now), None, "nothing begins while it is held");
        assert_eq!(self.scan, Some(ComplianceState::Required), "nothing is installed that a scan does not require");
        self.job.installation_begun(self.boot(), now).unwrap();
        self.store();
        self.installations.push(now);
        self.scan = None;
        let done = |restart| Outcome::Done { notes: "kept /etc/ssl/openssl.cnf", restart };
        let failed = Outcome::Failed("dpkg: error processing package");
        let (found, outcome) = match self.installer {
            Installer::Installs => (ComplianceState::Installed, done(None)),
            Installer::InstallsWithRestart => (ComplianceState::Installed, done(self.boot())),
            Installer::Fails | Installer::Refuses => (self.found, failed),
            Installer::InstallsAndFails => (ComplianceState::Installed, failed),
            Installer::Lies => (self.found, done(None)),
            Installer::Confuses => (ComplianceState::Unknown, failed),
            Installer::LosesPower { installed } => {
                self.found = if installed { ComplianceState::Installed } else { self.found };
                return self.lose_power();
            }
            Installer::LosesAgent { installed } => {
                self.found = if installed { ComplianceState::Installed } else { self.found };
                return self.start();
            }
        };
        self.found = found;
        self.job.installation_ended(outcome, now).unwrap();
    }

    /// The job is what the spool gives back, and the log what the site hears.
    fn store(&mut self) {
        self.job = Job::decode(KEY, &self.job.encode()).unwrap();
        let line = Line {
            at: self.now,
            state: self.job.state(),
            until: self.job.until(),
            reason: self.job.reason().to_owned(),
        };
        if self
            .log
            .last()
            .is_none_or(|last| (last.state, last.until, &last.reason) != (line.state, line.until, &line.reason))
        {
            let proved = matches!(self.found, ComplianceState::Installed | ComplianceState::NotRequired);
            assert!(proved || line.state != State::Succeeded, "nothing succeeds that a scan does not prove");
            self.log.push(line);
        }
    }
}
