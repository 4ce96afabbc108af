//! A scan: questions to one guest, each answered within the limits or not at all.

use crate::endpoint::Endpoint;
use crate::engine::{TICKS_AT_ONCE, Ticker};
use crate::facts::Facts;
use crate::failure::{Call, ScanError};
use crate::grants::Grants;
use crate::limits::{LimitExceeded, Limits, Usage};
use crate::log::GuestLog;
use crate::manifest::Manifest;
use crate::plugin::{Host, Plugin};
use crate::text::printable;
use crate::world::{Applicability, ApplicabilityPre, State, types};
use farrier_protocol::ComplianceState;
use farrier_protocol::assignment::MAX_TARGET_BYTES;
use farrier_protocol::state_message::{MAX_DETAIL_BYTES, MAX_SUBJECT_BYTES};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::Store;
use wasmtime::component::ResourceAny;

/// Bytes of a wrong answer that are shown in a reason.
const MAX_SHOWN_BYTES: usize = 40;

/// One look of one plugin at one endpoint.
///
/// After a failure the question stays unanswered (its updates are `Unknown`) and the next one is put to a fresh guest
/// in a fresh store. That happens at most [`Limits::restarts`] times; from then on, and when
/// [`Limits::scan_milliseconds`] are spent, every question fails at once.
pub struct Scan {
    host: Arc<Host>,
    world: ApplicabilityPre<State>,
    manifest: Arc<Manifest>,
    limits: Arc<Limits>,
    /// The guest, between its start and its first failure.
    guest: Option<Guest>,
    /// What the host keeps of it while there is none.
    state: Option<State>,
    failures: u32,
    last_failure: Option<ScanError>,
    spent: Duration,
    ticker: Option<Arc<Ticker>>,
    /// What the guests used that are buried.
    usage: Usage,
}

struct Guest {
    store: Store<State>,
    world: Applicability,
    scan: Option<ResourceAny>,
}

/// A reason for the state of an update, about one thing on the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The thing.
    pub subject: String,
    /// What is found there.
    pub state: ComplianceState,
    /// The reason in words.
    pub detail: String,
}

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

impl Scan {
    pub(crate) fn new(plugin: &Plugin, endpoint: &Endpoint, grants: Grants) -> Self {
        let Plugin { host, world, manifest, limits } = plugin.clone();
        let log = GuestLog::new(&manifest.name, endpoint, &limits);
        let state = State::new(Facts::new(endpoint, grants, &limits), log, &limits);
        Self {
            host,
            world,
            manifest,
            limits,
            guest: None,
            state: Some(state),
            failures: 0,
            last_failure: None,
            spent: Duration::ZERO,
            ticker: None,
            usage: Usage::default(),
        }
    }

    /// The catalogs that concern this endpoint: `debian/bookworm/amd64`.
    ///
    /// # Errors
    /// When the guest fails or names something that is no scope.
    pub fn scopes(&mut self) -> Result<Vec<String>, ScanError> {
        let (most, manifest) = (self.limits.scopes, Arc::clone(&self.manifest));
        self.call(Call::Scopes, Guest::scopes, |scopes| check_scopes(scopes, most, &manifest))
    }

    /// The states of these rules, each of which stands behind its length. `expected` is how many they are.
    ///
    /// # Errors
    /// When there is no answer, or not exactly one state for each rule: then every one of them is `Unknown`.
    pub fn evaluate(&mut self, rules: &[u8], expected: usize) -> Result<Vec<ComplianceState>, ScanError> {
        let most = self.limits.chunk_rules as u64;
        LimitExceeded::check(expected as u64, most, "rules in a chunk")
            .map_err(|exceeded| ScanError::Limit { call: Call::Evaluate, exceeded })?;
        self.open()?;
        self.call(Call::Evaluate, |guest| guest.evaluate(rules), |states| check_states(states, expected))
    }

    /// Why the update of this rule (without its length) has its state.
    ///
    /// # Errors
    /// When there is no answer, or more than the limits allow.
    pub fn explain(&mut self, rule: &[u8]) -> Result<Vec<Finding>, ScanError> {
        let (findings, bytes) = (self.limits.findings, self.limits.finding_bytes);
        self.open()?;
        self.call(Call::Explain, |guest| guest.explain(rule), |answer| check_findings(answer, findings, bytes))
    }

    /// Instructions of all calls until now, if the runtime is one that [counts](crate::Runtime::counting) them. The number
    /// is the same on every machine.
    #[must_use]
    pub fn instructions(&self) -> Option<u64> {
        self.host.counts_instructions().then(|| self.usage().instructions)
    }

    /// Bytes of linear memory of the guest that took most.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.usage().memory_bytes
    }

    /// With what the living guest used.
    fn usage(&self) -> Usage {
        let mut usage = self.usage;
        if let Some(guest) = &self.guest {
            usage.add(&guest.store, guest.store.data().memory_bytes());
        }
        usage
    }

    /// Has the guest look at the endpoint, once for each guest.
    fn open(&mut self) -> Result<(), ScanError> {
        if self.guest.as_ref().is_some_and(|guest| guest.scan.is_some()) {
            return Ok(());
        }
        self.call(Call::Open, Guest::open, Ok)
    }

    /// Asks a question and judges the answer. If either fails, it was this guest's last one.
    fn call<T, U>(
        &mut self,
        call: Call,
        ask: impl FnOnce(&mut Guest) -> Answer<T>,
        judge: impl FnOnce(T) -> Result<U, String>,
    ) -> Result<U, ScanError> {
        let milliseconds = self.milliseconds_left()?;
        let mut guest = match self.guest.take() {
            Some(guest) => guest,
            None => self.start(milliseconds)?,
        };
        let asked_at = begin(&mut guest.store, milliseconds);
        let answer = ask(&mut guest);
        self.spent += asked_at.elapsed();
        let failure = match answer {
            Ok(Ok(answer)) => match judge(answer) {
                Ok(answer) => {
                    self.guest = Some(guest);
                    return Ok(answer);
                }
                Err(reason) => ScanError::Nonsense { call, reason },
            },
            // Its own refusal is an answer, except that a guest that cannot look has no other one to give.
            Ok(Err(error)) if call != Call::Open => {
                self.guest = Some(guest);
                return Err(ScanError::refused(call, &error));
            }
            Ok(Err(error)) => ScanError::refused(call, &error),
            Err(error) => self.failure(call, &error, &guest.store, milliseconds),
        };
        Err(self.bury(guest.store, failure))
    }

    /// A fresh guest in a fresh store.
    fn start(&mut self, milliseconds: u64) -> Result<Guest, ScanError> {
        let (Host { engine, ticker, .. }, limits) = (&*self.host, &*self.limits);
        if let Some(last) = self.last_failure.as_ref().filter(|_| self.failures > limits.restarts) {
            return Err(ScanError::GivenUp { failures: self.failures, last: Box::new(last.clone()) });
        }
        if self.ticker.is_none() {
            self.ticker = Some(ticker.hold(engine).map_err(|error| ScanError::Host(error.to_string()))?);
        }
        let state = self.state.take().ok_or_else(|| ScanError::Host("the scan has lost its state".to_owned()))?;
        let mut store = state.into_store(engine, limits);
        let started_at = begin(&mut store, milliseconds);
        let world = self.world.instantiate(&mut store);
        self.spent += started_at.elapsed();
        match world {
            Ok(world) => Ok(Guest { store, world, scan: None }),
            Err(error) => {
                let failure = self.failure(Call::Start, &error, &store, milliseconds);
                Err(self.bury(store, failure))
            }
        }
    }

    /// A store that failed is never used again; only the host's own state survives it.
    fn bury(&mut self, store: Store<State>, failure: ScanError) -> ScanError {
        self.usage.add(&store, store.data().memory_bytes());
        tracing::warn!(plugin.name = self.manifest.name, reason = %failure, "A plugin failed.");
        self.state = Some(store.into_data());
        self.failures += 1;
        self.last_failure = Some(failure.clone());
        failure
    }

    fn failure(&self, call: Call, error: &wasmtime::Error, store: &Store<State>, milliseconds: u64) -> ScanError {
        ScanError::of_engine(call, error, store.data().log.last_words(), &self.limits, milliseconds)
    }

    /// What the next call may take.
    fn milliseconds_left(&self) -> Result<u64, ScanError> {
        let Limits { call_milliseconds, scan_milliseconds: milliseconds, .. } = *self.limits;
        match Duration::from_millis(milliseconds).saturating_sub(self.spent).as_millis() {
            0 => Err(ScanError::OutOfTime { milliseconds }),
            left => Ok(call_milliseconds.min(u64::try_from(left).unwrap_or(u64::MAX))),
        }
    }
}

impl Guest {
    fn scopes(&mut self) -> Answer<Vec<String>> {
        self.world.farrier_policy_compliance().call_scopes(&mut self.store)
    }

    fn open(&mut self) -> Answer<()> {
        let opened = self.world.farrier_policy_compliance().scan().call_open(&mut self.store)?;
        Ok(opened.map(|scan| self.scan = Some(scan)))
    }

    fn evaluate(&mut self, rules: &[u8]) -> Answer<Vec<types::ComplianceState>> {
        let scan = self.opened()?;
        self.world.farrier_policy_compliance().scan().call_evaluate(&mut self.store, scan, rules)
    }

    fn explain(&mut self, rule: &[u8]) -> Answer<Vec<types::Finding>> {
        let scan = self.opened()?;
        self.world.farrier_policy_compliance().scan().call_explain(&mut self.store, scan, rule)
    }

    fn opened(&self) -> wasmtime::Result<ResourceAny> {
        self.scan.ok_or_else(|| wasmtime::Error::msg("the guest was not opened"))
    }
}

/// The guest's time runs from here.
fn begin(store: &mut Store<State>, milliseconds: u64) -> Instant {
    let now = Instant::now();
    store.set_epoch_deadline(TICKS_AT_ONCE);
    store.data_mut().log.forget_last_words();
    store.data_mut().facts.set_deadline(now + Duration::from_millis(milliseconds));
    now
}

fn check_scopes(scopes: Vec<String>, most: usize, manifest: &Manifest) -> Result<Vec<String>, String> {
    let plain = |c: char| c.is_ascii_graphic();
    if scopes.len() > most {
        return Err(format!("it named {} scopes, more than {most}", scopes.len()));
    }
    let is_scope = |scope: &String| (1..=MAX_TARGET_BYTES).contains(&scope.len()) && scope.chars().all(plain);
    if let Some(scope) = scopes.iter().find(|scope| !is_scope(scope)) {
        return Err(format!("it named a scope that is none: `{}`", printable(scope, MAX_SHOWN_BYTES)));
    }
    match scopes.iter().find(|scope| !manifest.announces(scope)) {
        Some(scope) => {
            let scope = printable(scope, MAX_SHOWN_BYTES);
            Err(format!("it named the scope `{scope}`, which no pattern in `scopes` of its manifest covers"))
        }
        None => Ok(scopes),
    }
}

fn check_states(states: Vec<types::ComplianceState>, expected: usize) -> Result<Vec<ComplianceState>, String> {
    if states.len() != expected {
        return Err(format!("it answered {} states for {expected} rules", states.len()));
    }
    Ok(states.into_iter().map(compliance_state).collect())
}

fn check_findings(findings: Vec<types::Finding>, most: usize, most_bytes: usize) -> Result<Vec<Finding>, String> {
    let bytes = findings.iter().map(|finding| finding.subject.len() + finding.detail.len()).sum::<usize>();
    if findings.len() > most || bytes > most_bytes {
        return Err(format!("it explained with {} findings of {bytes} bytes", findings.len()));
    }
    Ok(findings.into_iter().map(finding).collect())
}

fn finding(finding: types::Finding) -> Finding {
    Finding {
        subject: printable(&finding.subject, MAX_SUBJECT_BYTES),
        state: compliance_state(finding.state),
        detail: printable(&finding.detail, MAX_DETAIL_BYTES),
    }
}

fn compliance_state(state: types::ComplianceState) -> ComplianceState {
    match state {
        types::ComplianceState::NotRequired => ComplianceState::NotRequired,
        types::ComplianceState::Installed => ComplianceState::Installed,
        types::ComplianceState::Required => ComplianceState::Required,
        types::ComplianceState::Unknown => ComplianceState::Unknown,
    }
}
