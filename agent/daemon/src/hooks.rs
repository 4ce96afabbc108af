//! What users are told: a program of the administrator's choice, which knows how (a login message, a desktop
//! notification, mail). It gets one argument, what happened, and JSON on standard input. Nothing waits for it, and it
//! has a limited time.

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What a hook may take.
const MAX_RUN: Duration = Duration::from_secs(30);
/// Hooks that run at a time, at most.
const MAX_RUNNING: usize = 4;
/// Updates whose names the message has; the JSON has all.
const MAX_NAMED: usize = 3;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Notice {
    /// Updates can be installed by whoever wants to.
    Available,
    /// The time at which updates install themselves is near.
    Deadline,
    /// Updates were installed.
    Installed,
    /// Updates could not be installed.
    Failed,
    /// The machine is to be restarted.
    Restart,
}

/// One update that users are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Its name.
    pub(crate) name: String,
    /// What it is, in a line.
    pub(crate) summary: String,
    /// The name of its deployment.
    pub(crate) deployment: String,
    /// What the deployment's administrator wants users to read; empty for the agent's own words.
    pub(crate) notification: String,
    /// When something happens by itself, as the wall clock shows it.
    pub(crate) at: Option<String>,
    /// Why.
    pub(crate) reason: String,
}

/// The hook program, and what it is still to be told.
#[derive(Debug)]
pub(crate) struct Hooks {
    program: Option<PathBuf>,
    collected: BTreeMap<Notice, Vec<Told>>,
    running: JoinSet<()>,
}

impl Notice {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Deadline => "deadline",
            Self::Installed => "installed",
            Self::Failed => "failed",
            Self::Restart => "restart",
        }
    }

    fn sentence(self, count: usize, names: &str, at: Option<&str>) -> String {
        let updates = if count == 1 { "1 software update" } else { &format!("{count} software updates") };
        match (self, at) {
            (Self::Available, _) => {
                format!("{updates} can be installed ({names}): `farrier-agent install --all` does it.")
            }
            (Self::Deadline, Some(at)) => format!("{updates} will be installed at {at} ({names})."),
            (Self::Deadline, None) => format!("{updates} will be installed soon ({names})."),
            (Self::Installed, _) => format!("{updates} installed ({names})."),
            (Self::Failed, _) => format!("{updates} could not be installed ({names}): see `farrier-agent updates`."),
            (Self::Restart, Some(at)) => format!("This machine will be restarted at {at} because of {names}."),
            (Self::Restart, None) => format!("This machine should be restarted because of {names}."),
        }
    }
}

impl Hooks {
    /// With this program, or silent.
    pub(crate) fn new(program: Option<&Path>) -> Self {
        Self { program: program.map(Path::to_owned), collected: BTreeMap::new(), running: JoinSet::new() }
    }

    /// Users are to be told of this, together with whatever else there is by then.
    pub(crate) fn collect(&mut self, notice: Notice, told: Told) {
        if self.program.is_some() {
            self.collected.entry(notice).or_default().push(told);
        }
    }

    /// Tells users what was collected, and waits for nothing.
    pub(crate) fn tell(&mut self) {
        while self.running.try_join_next().is_some() {}
        for (notice, told) in std::mem::take(&mut self.collected) {
            let Some(program) = self.program.clone() else { return };
            if self.running.len() >= MAX_RUNNING {
                let hook = program.display().to_string();
                tracing::warn!(hook, notice = notice.as_str(), "Users are not told: earlier hooks are still at work");
                continue;
            }
            let (message, document) = describe(notice, &told);
            self.running.spawn(run(program, notice, message, document));
        }
    }

    /// Waits until every hook is done, or its time up.
    pub(crate) async fn finish(&mut self) {
        self.tell();
        while self.running.join_next().await.is_some() {}
    }
}

/// The message, and the whole as JSON.
fn describe(notice: Notice, told: &[Told]) -> (String, Value) {
    let mut names: Vec<_> = told.iter().take(MAX_NAMED).map(|told| told.name.as_str()).collect();
    if told.len() > MAX_NAMED {
        names.push("...");
    }
    let at = told.iter().filter_map(|told| told.at.as_deref()).min();
    let mut message = notice.sentence(told.len(), &names.join(", "), at);
    let mut texts: Vec<_> = told.iter().map(|told| told.notification.trim()).filter(|text| !text.is_empty()).collect();
    texts.dedup();
    for text in texts {
        message.push('\n');
        message.push_str(text);
    }
    let updates = told.iter().map(|told| {
        json!({
            "name": told.name,
            "summary": told.summary,
            "deployment": told.deployment,
            "notification": told.notification,
            "at": told.at,
            "reason": told.reason,
        })
    });
    let document = json!({ "event": notice.as_str(), "message": message, "updates": updates.collect::<Vec<_>>() });
    (message, document)
}

async fn run(program: PathBuf, notice: Notice, message: String, document: Value) {
    let shown = program.display().to_string();
    match timeout(MAX_RUN, wait(&program, notice, message, &document)).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => tracing::warn!(hook = shown, notice = notice.as_str(), %status, "The hook failed"),
        Ok(Err(error)) => tracing::warn!(hook = shown, notice = notice.as_str(), %error, "The hook cannot be run"),
        Err(_) => tracing::warn!(hook = shown, notice = notice.as_str(), "The hook took too long and was stopped"),
    }
}

async fn wait(program: &Path, notice: Notice, message: String, document: &Value) -> std::io::Result<ExitStatus> {
    let mut command = Command::new(program);
    command.arg(notice.as_str()).env_clear().env("PATH", PATH).env("LC_ALL", "C.UTF-8").env("FARRIER_MESSAGE", message);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn()?;
    let _group = child.id().map(Group);
    if let Some(mut input) = child.stdin.take() {
        // A hook that does not read has heard enough.
        let _ = input.write_all(document.to_string().as_bytes()).await;
    }
    child.wait().await
}

/// A process group that ends with whoever waits for it: what a hook starts in the background has no longer than the
/// hook.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.0).ok().and_then(Pid::from_raw) {
            // It may be gone, which is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::wait as block_on;
    use std::fs;

    fn told(name: &str) -> Told {
        Told {
            name: name.to_owned(),
            summary: "Secure Sockets Layer toolkit".to_owned(),
            deployment: "November".to_owned(),
            notification: "Save your work.".to_owned(),
            at: Some("2026-11-23 22:00".to_owned()),
            reason: String::new(),
        }
    }

    fn hook(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("hook");
        crate::tests::script(&path, &format!("cd {}\n{script}", folder.display()));
        path
    }

    #[test]
    fn a_hook_hears_once_of_everything_of_one_kind() {
        let folder = tempfile::tempdir().unwrap();
        let script = "cat > $1.json; echo \"$FARRIER_MESSAGE\" > $1.txt";
        let mut hooks = Hooks::new(Some(&hook(folder.path(), script)));
        block_on(async {
            ["a", "b", "c", "d"].map(told).into_iter().for_each(|told| hooks.collect(Notice::Deadline, told));
            hooks.collect(Notice::Restart, told("linux"));
            hooks.finish().await;
        });
        let read = |file| fs::read_to_string(folder.path().join(file)).unwrap();
        let document: Value = serde_json::from_str(&read("deadline.json")).unwrap();
        assert_eq!(document["event"], "deadline");
        assert_eq!(document["updates"].as_array().unwrap().len(), 4);
        assert_eq!(
            read("deadline.txt"),
            "4 software updates will be installed at 2026-11-23 22:00 (a, b, c, ...).\nSave your work.\n"
        );
        assert!(
            read("restart.txt").starts_with("This machine will be restarted at 2026-11-23 22:00 because of linux.")
        );
    }

    #[test]
    fn a_hook_that_fails_or_does_not_exist_harms_nobody() {
        let folder = tempfile::tempdir().unwrap();
        for program in [hook(folder.path(), "exit 3"), folder.path().join("missing")] {
            let mut hooks = Hooks::new(Some(&program));
            block_on(async {
                hooks.collect(Notice::Failed, told("openssl"));
                hooks.finish().await;
            });
        }
        let mut silent = Hooks::new(None);
        silent.collect(Notice::Failed, told("openssl"));
        assert!(silent.collected.is_empty());
    }
}
