//! Shadows: after a scan, and after it was reported, the versions that do not count scan, too. What they say otherwise
//! is kept in the spool and told to the site.

use crate::health;
use crate::scan::{Counting, Scanner};
use crate::session::Session;
use farrier_agent_core::report::states_of;
use farrier_agent_core::shadow::ShadowReport;
use farrier_agent_core::{Messages, PluginTag};
use farrier_protocol::state_message::ScanResult;
use farrier_spool::{Blob, Recording, Spool};
use std::collections::BTreeMap;

/// What the site was told of shadows, by the plugin's name. What cannot be understood was told, too: nobody knows what.
type Told = BTreeMap<String, Option<ShadowReport>>;

/// Has every shadow scan with what is here, and queues what is new of it. A shadow that fails is told of; nothing else
/// changes by that.
pub(crate) fn compare(session: &mut Session<'_>) -> anyhow::Result<()> {
    let told = told(&session.spool)?;
    let Some(policy) = session.policy() else { return Ok(()) };
    let shadows = &policy.assignment.shadows;
    let mut reports: Vec<_> = told
        .keys()
        .filter(|plugin| !shadows.iter().any(|shadow| *shadow.name == ***plugin))
        .map(|plugin| ShadowReport::gone(plugin))
        .collect();
    let scan = session.spool.blob(Blob::Scan)?;
    let scan: Option<ScanResult> = scan.and_then(|bytes| farrier_protocol::decode(&bytes).ok());
    // Only the answers to the same rules can be compared.
    let scan = scan.filter(|scan| scan.assignment_version == policy.assignment.assessment.version);
    if let Some(scan) = scan.filter(|_| !shadows.is_empty()) {
        let health = health::load(&session.spool, &policy.assignment)?;
        let scanner = Scanner::open(session.agent, &session.identity, &session.content, &policy)?;
        for shadow in shadows {
            let states = states_of(&session.spool.records()?, PluginTag::of(&shadow.name))?;
            let failed = scan.plugins.iter().any(|plugin| plugin.name == shadow.name && !plugin.error.is_empty());
            reports.extend(scanner.scan_shadow(&policy, &health, shadow, Counting { states, failed })?);
        }
    }
    record(&session.spool, &told, &reports)
}

/// What the site was told, in the form of messages, to say it again.
pub(crate) fn reports(spool: &Spool) -> anyhow::Result<Vec<ShadowReport>> {
    Ok(told(spool)?.into_values().flatten().collect())
}

fn told(spool: &Spool) -> anyhow::Result<Told> {
    let shadows = spool.shadows()?.into_iter();
    Ok(shadows.map(|(plugin, report)| (plugin, ShadowReport::decode(&report))).collect())
}

fn record(spool: &Spool, told: &Told, reports: &[ShadowReport]) -> anyhow::Result<()> {
    let (mut changes, mut messages) = (Vec::new(), Messages::default());
    for report in reports {
        let plugin = report.result().plugin.as_str();
        if !report.is_news(told.get(plugin).and_then(Option::as_ref)) {
            continue;
        }
        let (differing, error) = (report.result().differing, &report.result().error);
        tracing::info!(plugin.name = plugin, differing, %error, "A shadow is reported");
        report.messages().for_each(|message| messages.push(&message));
        let is_gone = report.result().version.is_empty();
        changes.push((plugin.to_owned(), (!is_gone).then(|| report.encode())));
    }
    if changes.is_empty() {
        return Ok(());
    }
    Ok(spool.record(&Recording { shadows: &changes, ..Recording::default() }, messages.iter())?)
}
