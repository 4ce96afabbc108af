//! `run`: polls and scans until it is told to stop. Offline is normal.

use crate::agent::Agent;
use crate::clock::{now, random};
use crate::enforce::{Engine, Next};
use crate::fetch::{Polled, poll};
use crate::lock::{self, Attempt, Lock};
use crate::renewal;
use crate::report::send;
use crate::session::Session;
use crate::settled::Settled;
use crate::shadows;
use crate::site::{Site, exclusion, is_unreachable};
use crate::supply::fetch_for_shadows;
use farrier_agent_core::schedule::{Timer, backoff, jittered, next_scan, retry};
use farrier_protocol::assignment::Schedule;
use farrier_protocol::enrollment::Exclusion;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The periods before the first assignment says others.
const FIRST_SCHEDULE: Schedule = Schedule { poll_seconds: 900, scan_seconds: 6 * 3_600 };
/// The shortest sleep, also while something stays due: signals arrive only in one who waits.
const MIN_NAP_SECONDS: u32 = 1;
/// What is waited after a turn that failed as a whole.
const FAILED_TURN_SECONDS: i64 = 300;
/// The sleep while there is work to do: another process that waits for the lock has its turn.
const BUSY_NAP: Duration = Duration::from_millis(250);
/// The longest an engine's turn takes, but for an installation: then the site may be heard of.
const TURN: Duration = Duration::from_secs(10);
/// The longest that a client waits before it asks a site again that keeps it out until an administrator acts.
const KEPT_OUT_SECONDS: u32 = 6 * 3_600;
/// The longest sleep: clocks are set and machines are suspended, and a timer notices only when it is looked at.
const MAX_NAP_SECONDS: u32 = 60;

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn run(agent: &Agent) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen()?;
    let identity = agent.identity()?;
    tracing::info!(client.id = %identity.client, site = identity.site, "Agent started");
    let mut daemon = Daemon::new(agent);
    loop {
        // Whatever is interrupted is either in the spool or done again: nothing is half done.
        tokio::select! {
            biased;
            () = shutdown.requested() => break,
            () = daemon.turn() => {}
        }
    }
    tracing::info!("Agent stopped");
    Ok(())
}

/// The signals that end the agent.
pub(crate) struct Shutdown {
    terminate: Signal,
    interrupt: Signal,
}

impl Shutdown {
    /// Notices signals from now on.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one.
    pub(crate) async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The agent between two signals.
pub(crate) struct Daemon<'a> {
    agent: &'a Agent,
    schedule: Schedule,
    poll: Timer,
    scan: Timer,
    failures: u32,
    incomplete_scans: u32,
    settled: Option<Settled>,
    /// When the certificate is to be renewed: then a poll is more than a question.
    renewal: Timer,
    /// Why polls fail at present: it is logged once.
    refusal: Option<String>,
    engine: Option<Engine>,
    /// When the engine has something to do, if nothing but time changes.
    wake: Option<Timer>,
    is_busy: bool,
    /// There was a scan that shadows are to be compared with.
    shadows_due: bool,
}

impl<'a> Daemon<'a> {
    /// Everything is due at once.
    pub(crate) fn new(agent: &'a Agent) -> Self {
        let mut schedule = FIRST_SCHEDULE;
        override_schedule(&mut schedule, agent);
        let due = Timer::due_now(now());
        Self {
            agent,
            schedule,
            poll: due,
            scan: due,
            failures: 0,
            incomplete_scans: 0,
            settled: None,
            renewal: due,
            refusal: None,
            engine: None,
            wake: None,
            is_busy: false,
            shadows_due: false,
        }
    }

    /// The poll period is over.
    #[cfg(test)]
    pub(crate) fn skip_to_poll(&mut self) {
        self.poll = Timer::due_now(now());
    }

    /// The time of the next scan has come.
    #[cfg(test)]
    pub(crate) fn skip_to_scan(&mut self) {
        self.scan = Timer::due_now(now());
    }

    /// How long no poll is due.
    #[cfg(test)]
    pub(crate) fn seconds_to_poll(&self) -> u32 {
        self.poll.remaining_seconds(now())
    }

    /// How long no scan is due.
    #[cfg(test)]
    pub(crate) fn seconds_to_scan(&self) -> u32 {
        self.scan.remaining_seconds(now())
    }

    /// Does what is due, and then always naps.
    pub(crate) async fn turn(&mut self) {
        if self.seconds_to_wait() == 0 {
            self.work().await;
        }
        let nap_seconds = self.seconds_to_wait().clamp(MIN_NAP_SECONDS, MAX_NAP_SECONDS);
        let nap = if self.is_busy { BUSY_NAP } else { Duration::from_secs(nap_seconds.into()) };
        tokio::time::sleep(nap).await;
    }

    /// How long nothing is due.
    pub(crate) fn seconds_to_wait(&self) -> u32 {
        let wake = self.wake.map_or(u32::MAX, |wake| wake.remaining_seconds(now()));
        self.poll.remaining_seconds(now()).min(self.scan.remaining_seconds(now())).min(wake)
    }

    /// Does what is due. Errors are logged, and tried again by the schedule.
    pub(crate) async fn work(&mut self) {
        self.is_busy = false;
        let has_work =
            self.scan.is_due(now()) || self.wake.is_some_and(|wake| wake.is_due(now())) || self.renewal.is_due(now());
        if !has_work && let Some(settled) = self.settled.take() {
            match settled.is_unchanged(self.agent).await {
                Ok(true) => {
                    self.settled = Some(settled);
                    return self.succeeded();
                }
                Ok(false) => {}
                Err(error) => {
                    self.settled = Some(settled);
                    return self.failed(&error);
                }
            }
        }
        let lock = match free_lock(self.agent).await {
            Ok(lock) => lock,
            Err(error) => return self.blocked(&error),
        };
        match Session::open(self.agent, lock) {
            Ok(mut session) => {
                self.poll_and_scan(&mut session).await;
                self.settled = Settled::close(session);
            }
            Err(error) => self.blocked(&error),
        }
    }

    async fn poll_and_scan(&mut self, session: &mut Session<'_>) {
        let (mut reachable, mut online) = (None, self.failures == 0);
        if self.poll.is_due(now()) {
            match contact(session).await {
                Ok((site, polled)) => {
                    if polled == Polled::Adopted {
                        self.scan = Timer::due_now(now());
                    }
                    self.succeeded();
                    (reachable, online) = (Some(site), true);
                }
                Err(error) => {
                    online = !is_unreachable(&error) && exclusion(&error).is_none();
                    self.failed(&error);
                }
            }
        }
        self.renewal = Timer::start(now(), renewal::seconds_left(&session.identity, session.accepted.trusted_now()));
        self.follow_schedule(session);
        if self.scan.is_due(now()) {
            let trial = self.scan_with_engine(session).unwrap_or_else(|error| {
                tracing::warn!(error = format!("{error:#}"), "No scan");
                None
            });
            self.scan = Timer::start(now(), next_scan(self.schedule.scan_seconds, trial, chance()));
        }
        self.enforce(session).await;
        // A site that could not be reached just now is left alone until the next poll. One that has nothing to follow still
        // listens.
        if online && let Err(error) = report(session, reachable.as_ref()).await {
            self.failed(&error);
        }
        // Last, so that nothing waits for what does not count.
        if self.shadows_due && !self.is_busy {
            self.shadows_due = false;
            self.compare_shadows(session, reachable).await;
        }
    }

    async fn compare_shadows(&mut self, session: &mut Session<'_>, reachable: Option<Site>) {
        let site = match reachable {
            Some(site) => Some(site),
            None if self.failures == 0 => session.site().ok(),
            None => None,
        };
        if let Some(site) = &site
            && let Err(error) = fetch_for_shadows(session, site).await
        {
            tracing::warn!(error = format!("{error:#}"), "Shadows may lack content");
        }
        if let Err(error) = shadows::compare(session) {
            tracing::warn!(error = format!("{error:#}"), "Shadows were not compared");
        } else if self.failures == 0
            && let Err(error) = report(session, site.as_ref()).await
        {
            self.failed(&error);
        }
    }

    /// Scans. Returns how often in a row a plugin failed that is not given up yet.
    fn scan_with_engine(&mut self, session: &mut Session<'_>) -> anyhow::Result<Option<u8>> {
        let assessment = self.engine()?.scan(session)?;
        self.shadows_due = true;
        if !assessment.outcome.tally.incomplete {
            self.incomplete_scans = 0;
        }
        Ok(assessment.trial)
    }

    /// Has the engine do what is to be done about deployments.
    async fn enforce(&mut self, session: &mut Session<'_>) {
        let until = Duration::from_secs(self.poll.remaining_seconds(now()).into()).clamp(BUSY_NAP, TURN);
        let online = self.failures == 0;
        let turn = match self.engine() {
            Ok(engine) => engine.turn(session, online, Instant::now() + until).await,
            Err(error) => Err(error),
        };
        let next = turn.unwrap_or_else(|error| {
            tracing::warn!(error = format!("{error:#}"), "Deployments are not followed now");
            Next::At(now().saturating_add(FAILED_TURN_SECONDS))
        });
        self.is_busy = next == Next::AtOnce;
        self.wake = match next {
            Next::AtOnce => Some(Timer::due_now(now())),
            Next::At(time) => {
                // A time that is centuries away is no time that has passed.
                let seconds = time.saturating_sub(now()).clamp(0, u32::MAX.into());
                Some(Timer::start(now(), u32::try_from(seconds).unwrap_or(u32::MAX)))
            }
            Next::WhenChanged => None,
        };
        if self.engine.as_mut().is_some_and(Engine::take_incomplete) {
            self.fetch_again();
        }
    }

    /// Made when it is needed first: it has folders.
    fn engine(&mut self) -> anyhow::Result<&mut Engine> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => Engine::new(self.agent)?,
        };
        Ok(self.engine.insert(engine))
    }

    /// The site's periods, unless this client has its own.
    fn follow_schedule(&mut self, session: &mut Session<'_>) {
        if let Some(policy) = session.policy() {
            self.schedule = policy.assignment.assessment.schedule;
            override_schedule(&mut self.schedule, self.agent);
        }
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        if self.refusal.take().is_some() {
            tracing::info!("Polls succeed again");
        }
        self.poll = Timer::start(now(), jittered(self.schedule.poll_seconds, chance()));
    }

    /// Content was missing: polls soon, less so every time. The scan follows when that poll has adopted what it
    /// fetched.
    fn fetch_again(&mut self) {
        self.incomplete_scans = self.incomplete_scans.saturating_add(1);
        let seconds = retry(self.schedule.poll_seconds, self.failures.max(self.incomplete_scans), chance());
        self.poll = Timer::start(now(), seconds);
        tracing::warn!(retry_seconds = seconds, "Content was missing: it is fetched again");
    }

    /// Nothing is possible: a scan or a turn of the engine that is due waits for the next try, too.
    fn blocked(&mut self, error: &anyhow::Error) {
        self.failed(error);
        if self.scan.is_due(now()) {
            self.scan = self.poll;
        }
        if self.wake.is_some_and(|wake| wake.is_due(now())) {
            self.wake = Some(self.poll);
        }
    }

    /// What is waited after a poll that failed.
    fn seconds_to_retry(&self, exclusion: Option<Exclusion>) -> u32 {
        let period = self.schedule.poll_seconds;
        match exclusion {
            Some(Exclusion::Revoked | Exclusion::Superseded | Exclusion::Unknown) => {
                backoff(period, KEPT_OUT_SECONDS.max(period), self.failures, chance())
            }
            // Somebody is about to approve it, perhaps.
            Some(Exclusion::WaitsForApproval) | None => retry(period, self.failures, chance()),
        }
    }

    fn failed(&mut self, error: &anyhow::Error) {
        self.failures = self.failures.saturating_add(1);
        let seconds = self.seconds_to_retry(exclusion(error));
        self.poll = Timer::start(now(), seconds);
        let error_text = format!("{error:#}");
        if is_unreachable(error) {
            tracing::info!(error = error_text, retry_seconds = seconds, "Offline");
            // The site does not say so: it ends the connection.
            if let Some(expiry) = self.agent.identity().ok().and_then(|identity| renewal::expiry(&identity, now())) {
                tracing::warn!("{expiry}");
            }
        } else if self.refusal.as_ref() == Some(&error_text) {
            tracing::debug!(error = error_text, retry_seconds = seconds, "Poll failed as before");
        } else {
            tracing::warn!(error = error_text, retry_seconds = seconds, "Poll failed");
            self.refusal = Some(error_text);
        }
    }
}

/// Polls and, also while polls are refused, renews the certificate if it is time.
async fn contact(session: &mut Session<'_>) -> anyhow::Result<(Site, Polled)> {
    let site = session.site()?;
    let polled = poll(session, &site).await;
    if !polled.as_ref().is_err_and(is_unreachable) {
        renewal::renew_if_due(session, &site).await;
    }
    Ok((site, polled?))
}

/// Sends what is queued: over the connection of the poll or, after a scan between two polls, over a new one.
async fn report(session: &Session<'_>, site: Option<&Site>) -> anyhow::Result<()> {
    if session.spool.stream()?.unsent() == 0 {
        return Ok(());
    }
    let sent = match site {
        Some(site) => send(session, site).await?,
        None => send(session, &session.site()?).await?,
    };
    tracing::info!(messages = sent, "State messages reported");
    Ok(())
}

/// Waits for another process without keeping signals waiting.
pub(crate) async fn free_lock(agent: &Agent) -> anyhow::Result<Lock> {
    loop {
        match Lock::attempt(&agent.layout.lock())? {
            Attempt::Locked(lock) => {
                agent.progress.clear();
                return Ok(lock);
            }
            Attempt::HeldBy(holder) => {
                agent.progress.show(format_args!("Waiting for another farrier-agent ({holder})"));
                tokio::time::sleep(lock::RETRY).await;
            }
        }
    }
}

fn override_schedule(schedule: &mut Schedule, agent: &Agent) {
    let own = agent.config.schedule;
    schedule.poll_seconds = own.poll_seconds.unwrap_or(schedule.poll_seconds);
    schedule.scan_seconds = own.scan_seconds.unwrap_or(schedule.scan_seconds);
}

/// Without random numbers there is no TLS either; the schedule then is merely without jitter.
fn chance() -> u32 {
    random().map_or(u32::MAX / 2, u32::from_le_bytes)
}
