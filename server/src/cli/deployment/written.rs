//! Settings of a deployment as options of the command line.

use crate::config::parse_period;
use crate::database::Database;
use crate::deployment::schedule::{Clock, When};
use crate::deployment::settings::{
    ContentSource, DeploymentSettings, Members, PhaseSettings, Purpose, RestartBehaviour,
};
use crate::deployment::share::Share;
use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use jiff::SignedDuration;

/// What is written beside a template.
#[derive(Debug, Args)]
pub(in crate::cli) struct Written {
    /// Offered to users, or installed at the deadline.
    #[arg(long, value_enum)]
    purpose: Option<PurposeWord>,
    /// When it is available: a period from now (2h), or a time (2026-11-24T22:00, of each client's clock; with Z, in
    /// UTC).
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    available: Option<When>,
    /// When it installs by itself: a period from now (168h), or a time like --available.
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    deadline: Option<When>,
    /// Clients begin up to this much later than the deadline.
    #[arg(long, value_name = "PERIOD", value_parser = parse_seconds)]
    random_delay: Option<u32>,
    /// How long a client that was off has, once it is back.
    #[arg(long, value_name = "PERIOD", value_parser = parse_seconds)]
    grace: Option<u32>,
    /// How long the installation of one update may take.
    #[arg(long, value_name = "PERIOD", value_parser = parse_seconds)]
    max_run: Option<u32>,
    /// What happens when a restart is needed: suppress, ask, or force:PERIOD for a countdown.
    #[arg(long, value_name = "WHAT", value_parser = parse_restart)]
    restart: Option<RestartBehaviour>,
    /// Urgent: install and restart outside maintenance windows and in business hours.
    #[arg(long)]
    urgent: bool,
    /// What users are told.
    #[arg(long, value_name = "TEXT")]
    notification: Option<String>,
    /// Where content comes from, in the order of preference.
    #[arg(long, value_enum, value_delimiter = ',')]
    sources: Vec<SourceWord>,
    /// Let an installation remove other software.
    #[arg(long)]
    allow_removals: bool,
    /// Roll a failed installation back where that is possible.
    #[arg(long)]
    roll_back: bool,
    /// How often an installation is tried.
    #[arg(long, value_name = "NUMBER")]
    attempts: Option<u8>,
    /// A phase, in order: NAME=PERCENT% or NAME=COLLECTION, then options after commas: success=90, soak=24h,
    /// failure=10, deadline=48h, manual. What is left is a last phase of everybody, unless one has 100%.
    #[arg(long = "phase", value_name = "PHASE")]
    phases: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PurposeWord {
    Available,
    Required,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SourceWord {
    DistributionPoint,
    Upstream,
}

impl Written {
    /// The settings with what is written here.
    pub(super) async fn apply(
        &self,
        database: &Database,
        mut settings: DeploymentSettings,
    ) -> anyhow::Result<DeploymentSettings> {
        fn set<T: Clone>(setting: &mut T, written: Option<&T>) {
            if let Some(written) = written {
                *setting = written.clone();
            }
        }
        if let Some(purpose) = self.purpose {
            settings.purpose = match purpose {
                PurposeWord::Available => Purpose::Available,
                PurposeWord::Required => Purpose::Required,
            };
        }
        set(&mut settings.available, self.available.as_ref());
        settings.deadline = self.deadline.or(settings.deadline);
        set(&mut settings.random_delay_seconds, self.random_delay.as_ref());
        set(&mut settings.grace_seconds, self.grace.as_ref());
        set(&mut settings.max_run_seconds, self.max_run.as_ref());
        set(&mut settings.restart, self.restart.as_ref());
        set(&mut settings.notification, self.notification.as_ref());
        set(&mut settings.attempts, self.attempts.as_ref());
        settings.install_any_time |= self.urgent;
        settings.restart_any_time |= self.urgent;
        settings.allow_removals |= self.allow_removals;
        settings.roll_back |= self.roll_back;
        if !self.sources.is_empty() {
            settings.sources = self.sources.iter().map(|source| source.source()).collect();
        }
        if !self.phases.is_empty() {
            settings.phases = self.phases(database).await?;
        }
        Ok(settings)
    }

    async fn phases(&self, database: &Database) -> anyhow::Result<Vec<PhaseSettings>> {
        let mut phases = Vec::with_capacity(self.phases.len() + 1);
        for text in &self.phases {
            let phase = phase(database, text).await;
            phases.push(phase.with_context(|| format!("--phase {text:?}"))?);
        }
        let takes_the_rest = |phase: &PhaseSettings| phase.members == Members::Percent(Share::ALL);
        if !phases.last().is_some_and(takes_the_rest) {
            phases.push(PhaseSettings::of("Everybody", Members::Percent(Share::ALL)));
        }
        Ok(phases)
    }
}

impl SourceWord {
    fn source(self) -> ContentSource {
        match self {
            Self::DistributionPoint => ContentSource::DistributionPoint,
            Self::Upstream => ContentSource::Upstream,
        }
    }
}

/// `Pilot=5%,soak=24h`.
async fn phase(database: &Database, text: &str) -> anyhow::Result<PhaseSettings> {
    let mut parts = text.split(',');
    let head = parts.next().unwrap_or_default();
    let (name, members) =
        head.split_once('=').ok_or_else(|| anyhow!("write NAME=PERCENT% or NAME=COLLECTION, for example Pilot=5%"))?;
    let members = match members.strip_suffix('%') {
        Some(percent) => Members::Percent(percent.parse()?),
        None => Members::Collection(crate::cli::collection::find(database, members).await?),
    };
    let mut phase = PhaseSettings::of(name.trim(), members);
    for option in parts {
        match option.trim().split_once('=') {
            None if option.trim() == "manual" => phase.manual = true,
            Some(("success", percent)) => phase.success_percent = percent_of(percent)?,
            Some(("failure", percent)) => phase.failure_percent = percent_of(percent)?,
            Some(("soak", period)) => phase.soak_seconds = parse_seconds(period).map_err(|error| anyhow!(error))?,
            Some(("deadline", period)) => {
                phase.deadline_after_seconds = Some(parse_seconds(period).map_err(|error| anyhow!(error))?);
            }
            _ => bail!("{option:?} is no option of a phase: write success=, failure=, soak=, deadline= or manual"),
        }
    }
    Ok(phase)
}

fn percent_of(text: &str) -> anyhow::Result<u8> {
    text.trim_end_matches('%').parse().with_context(|| format!("{text:?} is no percentage: write 0 to 100"))
}

fn parse_seconds(text: &str) -> Result<u32, String> {
    u32::try_from(parse_period(text)?.as_secs()).map_err(|_| format!("{text:?} is too long a period"))
}

fn parse_when(text: &str) -> Result<When, String> {
    if let Ok(period) = text.parse::<SignedDuration>() {
        let seconds = u32::try_from(period.as_secs()).map_err(|_| format!("{text:?} is not in the future"))?;
        return Ok(When::After { seconds });
    }
    let (time, clock) = match text.strip_suffix(['Z', 'z']) {
        Some(time) => (time, Clock::Utc),
        None => (text, Clock::Client),
    };
    let time = time.parse().map_err(|_| {
        format!("{text:?} is neither a period nor a time: write 12h, 2026-11-24T22:00 or 2026-11-24T22:00Z")
    })?;
    Ok(When::At { time, clock })
}

fn parse_restart(text: &str) -> Result<RestartBehaviour, String> {
    match text.split_once(':') {
        None if text == "suppress" => Ok(RestartBehaviour::Suppress),
        None if text == "ask" => Ok(RestartBehaviour::Ask),
        Some(("force", period)) => Ok(RestartBehaviour::Force { countdown_seconds: parse_seconds(period)? }),
        _ => Err(format!("{text:?} is no behaviour: write suppress, ask or force:15m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_period_or_a_clock() {
        assert_eq!(parse_when("2h"), Ok(When::After { seconds: 7_200 }));
        assert_eq!(parse_when("0s"), Ok(When::After { seconds: 0 }));
        for (text, words) in [
            ("2026-11-24T22:00", "2026-11-24 22:00 of each client's clock"),
            ("2026-11-24T22:00Z", "2026-11-24 22:00 UTC"),
        ] {
            assert_eq!(parse_when(text).unwrap().to_string(), words);
        }
        for text in ["", "tomorrow", "-2h", "2026-13-01T00:00"] {
            assert!(parse_when(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_restart_is_read_as_it_is_written() {
        assert_eq!(parse_restart("force:15m"), Ok(RestartBehaviour::Force { countdown_seconds: 900 }));
        assert_eq!(parse_restart("ask"), Ok(RestartBehaviour::Ask));
        assert!(parse_restart("force").is_err() && parse_restart("ask:1h").is_err());
    }
}
