//! A site, its archive and some endpoints.

use anyhow::{Context as _, bail};
use farrier_test_harness::package::Package;
use farrier_tests::{Agent, Archive, DebianRoot, Site, programs, succeed};
use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long a deployment of a test may take, at most: a test that hangs is to fail.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a test looks whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An endpoint with its agent.
pub(crate) struct Endpoint {
    pub(crate) root: DebianRoot,
    pub(crate) agent: Agent,
}

/// A site, its archive and some endpoints.
pub(crate) struct Fleet {
    pub(crate) archive: Archive,
    pub(crate) site: Site,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// A running agent; dropping it kills it.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Fleet {
    /// So many endpoints with these packages installed, and a site that knows these updates of them.
    pub(crate) fn new(endpoints: usize, installed: &[Package], updates: &[Package]) -> anyhow::Result<Self> {
        let mut archive = Archive::new()?;
        let mut files = Vec::new();
        for package in installed {
            files.push(archive.add(package)?.path);
        }
        for update in updates {
            archive.update(update)?;
        }
        let site = Site::start(programs!(), &archive.publish()?)?;
        site.synchronize()?;
        let mut fleet = Self { archive, site, endpoints: Vec::new() };
        for _ in 0..endpoints {
            let root = DebianRoot::make()?;
            root.install(&files)?;
            let agent = Agent::enroll(programs!(), &fleet.site, root.path())?;
            agent.configure("[schedule]\npoll_seconds = 1\n")?;
            agent.scan()?;
            fleet.endpoints.push(Endpoint { root, agent });
        }
        Ok(fleet)
    }

    /// `farrier`, which has to succeed.
    pub(crate) fn farrier(&self, arguments: &[&str]) -> anyhow::Result<String> {
        succeed(&mut self.site.command(arguments))
    }

    /// Deploys updates to a collection, to be installed at once where the options say nothing else.
    pub(crate) fn deploy(&self, updates: &[&str], collection: &str, options: &[&str]) -> anyhow::Result<()> {
        let mut arguments = vec!["deployment", "create", "Patches", "--collection", collection, "--random-delay", "0s"];
        if !options.contains(&"--deadline") {
            arguments.extend(["--deadline", "0s"]);
        }
        arguments.extend(updates.iter().flat_map(|update| ["--update", update]));
        arguments.extend(options);
        self.farrier(&arguments).map(drop)
    }

    /// `farrier deployment show`.
    pub(crate) fn deployment(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.farrier(&["deployment", "show", "Patches", "--json"])?)?)
    }

    /// `farrier deployment clients`.
    pub(crate) fn clients(&self) -> anyhow::Result<Vec<Value>> {
        let page: Value = serde_json::from_str(&self.farrier(&["deployment", "clients", "Patches", "--json"])?)?;
        Ok(page["items"].as_array().context("a page has items")?.clone())
    }

    /// Waits until the site's clients are as they should be.
    pub(crate) fn until(&self, what: &str, done: impl Fn(&[Value]) -> bool) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let clients = self.clients()?;
            if done(&clients) {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                let agents: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.agent.log()).collect();
                bail!("still not {what}: {clients:#?}\n{:#}\n{}", self.deployment()?, agents.join("\n--\n"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until so many clients are in this state.
    pub(crate) fn until_state(&self, state: &str, count: usize) -> anyhow::Result<()> {
        let in_state = |clients: &[Value]| clients.iter().filter(|client| client["state"] == state).count() == count;
        self.until(&format!("{count} times {state}"), in_state)
    }
}

impl Endpoint {
    /// `farrier-agent run`, until the result is dropped.
    pub(crate) fn run(&self) -> anyhow::Result<Running> {
        let mut command = self.agent.command(&["run"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(self.agent.log_file()?);
        Ok(Running(command.spawn().context("the agent cannot be started")?))
    }
}
