//! Installing because a user asks for it: here and now, in the foreground, by the same engine and the same rules.

use super::{board, find, words};
use crate::agent::Agent;
use crate::clock::now;
use crate::enforce::{Board, Engine, Next};
use crate::fetch::poll;
use crate::report::send;
use crate::run::{Shutdown, free_lock};
use crate::session::Session;
use anyhow::{anyhow, bail};
use farrier_agent_core::enforcement::{JobKey, Refusal};
use farrier_protocol::enforcement::EnforcementState;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// What one turn of the engine takes, but for an installation.
const TURN: Duration = Duration::from_secs(10);
/// How often the site is heard of meanwhile.
const POLL_PERIOD: Duration = Duration::from_secs(60);
/// A rest that a user waits for; after a longer one the agent goes on by itself.
const MAX_REST_SECONDS: i64 = 300;

/// What a user wants installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// The updates of this name.
    Named(String),
    /// Everything that is deployed.
    All,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    /// For people.
    pub(crate) text: String,
    /// Whether everything is installed, or is when the machine has restarted.
    pub(crate) everything: bool,
}

/// Installs. A signal ends it once the installer is done.
pub(crate) async fn install(agent: &Agent, which: &Which) -> anyhow::Result<Installed> {
    let mut shutdown = Shutdown::listen()?;
    let mut work = Work { agent, online: false, polled_at: None };
    tokio::select! {
        biased;
        () = shutdown.requested() => {
            bail!("stopped: `farrier-agent updates` says how far it is, and the running agent goes on")
        }
        installed = work.run(which) => installed,
    }
}

struct Work<'a> {
    agent: &'a Agent,
    online: bool,
    polled_at: Option<Instant>,
}

impl<'a> Work<'a> {
    async fn run(&mut self, which: &Which) -> anyhow::Result<Installed> {
        let mut session = self.session().await?;
        let keys = ask(&mut session, which)?;
        let mut engine = Engine::only(self.agent, keys.clone())?;
        loop {
            let next = engine.turn(&mut session, self.online, Instant::now() + TURN).await?;
            self.agent.progress.clear();
            if is_done(&board(&mut session)?, &keys) {
                break;
            }
            let rest = match next {
                Next::AtOnce => 0,
                Next::At(time) => time.saturating_sub(now()).max(1),
                Next::WhenChanged => break,
            };
            if rest > MAX_REST_SECONDS {
                break;
            }
            // Whoever rests is in nobody's way.
            drop(session);
            if rest > 0 {
                self.agent.progress.show(format_args!("Waiting {rest} s before the next try"));
                tokio::time::sleep(Duration::from_secs(rest.unsigned_abs())).await;
            }
            session = self.session().await?;
        }
        engine.finish().await;
        self.report(&session).await;
        Ok(describe(&board(&mut session)?, &keys))
    }

    /// The data folder, once it is free, after the site was heard of.
    async fn session(&mut self) -> anyhow::Result<Session<'a>> {
        self.agent.identity()?;
        let mut session = Session::open(self.agent, free_lock(self.agent).await?)?;
        if self.polled_at.is_none_or(|polled_at| polled_at.elapsed() >= POLL_PERIOD) {
            self.polled_at = Some(Instant::now());
            let site = session.site()?;
            self.agent.progress.show(format_args!("Polling {}", session.identity.site));
            let polled = poll(&mut session, &site).await;
            self.agent.progress.clear();
            self.online = polled.is_ok();
            if let Err(error) = polled {
                tracing::warn!(error = format!("{error:#}"), "Poll failed: what is known is installed");
            }
        }
        Ok(session)
    }

    async fn report(&self, session: &Session<'_>) {
        if !self.online {
            return;
        }
        let sent = match session.site() {
            Ok(site) => send(session, &site).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::warn!(error = format!("{error:#}"), "The site hears of it later");
        }
    }
}

/// Notes what the user asks for. Of `All`, what cannot be installed now is left out; of what is named, it is an error.
fn ask(session: &mut Session<'_>, which: &Which) -> anyhow::Result<BTreeSet<JobKey>> {
    let mut board = board(session)?;
    let keys = match which {
        Which::Named(text) => find(&board, text)?,
        Which::All => board.items().map(|(item, _)| item.key).collect(),
    };
    let (mut asked, mut refusals) = (BTreeSet::new(), Vec::new());
    for key in keys {
        let Some((name, terms)) = board.item(key).map(|(item, _)| (item.offer.name.clone(), item.terms)) else {
            continue;
        };
        match board.alter(key, |job| Ok(job.ask(&terms, now()))) {
            // What is at work or done is looked at, too: it is what the user wants.
            Some(Ok(()) | Err(Refusal::AtWork(_) | Refusal::Done)) => drop(asked.insert(key)),
            Some(Err(refusal)) => refusals.push(format!("{name}: {}", words(&board, &refusal))),
            None => {}
        }
    }
    board.commit(&session.spool, true)?;
    match (asked.is_empty(), refusals.is_empty()) {
        (true, true) => bail!("nothing is deployed to this client"),
        (true, false) => Err(anyhow!("{}", refusals.join("; "))),
        (false, _) => Ok(asked),
    }
}

fn is_done(board: &Board, keys: &BTreeSet<JobKey>) -> bool {
    let mut states = board.jobs().filter(|job| keys.contains(&job.key())).map(|job| job.state());
    states.all(|state| state.is_final() || state == EnforcementState::PendingRestart)
}

fn describe(board: &Board, keys: &BTreeSet<JobKey>) -> Installed {
    let (mut text, mut everything) = (String::new(), true);
    for (item, job) in board.items().filter(|(item, _)| keys.contains(&item.key)) {
        everything &= matches!(job.state(), EnforcementState::Succeeded | EnforcementState::PendingRestart);
        let until = job.until().map(|until| format!(" (until {})", board.wall.show(until))).unwrap_or_default();
        let reason = if job.reason().is_empty() { String::new() } else { format!(": {}", job.reason()) };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}\n  {}{reason}{until}", item.offer.name, job.state());
    }
    Installed { text, everything }
}
