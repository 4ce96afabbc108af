//! End to end: the programs as they are, on loopback, in temporary folders.
//!
//! `flow` follows the line hop by hop, `attacks` breaks into it, `real` compares with Debian's own tools.

mod archive;
mod debian_root;
pub mod identity;
pub mod stolen;

pub use archive::Archive;
pub use debian_root::DebianRoot;
pub use stolen::StolenServer;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const START_SECONDS: u64 = 60;
const PORT_TRIES: u32 = 5;
/// How long [`eventually`] waits, and how long between two looks.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The programs under test.
#[derive(Debug, Clone, Copy)]
pub struct Programs {
    /// The site's.
    pub farrier: &'static str,
    /// The agent's.
    pub agent: &'static str,
}

/// The [`Programs`], which cargo names to integration tests only.
#[macro_export]
macro_rules! programs {
    () => {
        $crate::Programs {
            farrier: env!("CARGO_BIN_EXE_tested-farrier"),
            agent: env!("CARGO_BIN_EXE_tested-farrier-agent"),
        }
    };
}

/// Waits until something is so that takes a moment on any machine, and minutes on a busy one. `false` if it never is.
#[must_use]
pub fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    true
}

/// The sample suite and endpoint of the repository.
#[must_use]
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-samples/sample-suite")
}

/// A site in a temporary folder; dropping it stops it.
pub struct Site {
    programs: Programs,
    folder: TempDir,
    port: u16,
    console: u16,
    process: Option<Child>,
}

/// The port a site listens on, and the one that clients know.
struct Ports {
    own: u16,
    known: u16,
}

impl Ports {
    fn both(port: u16) -> Self {
        Self { own: port, known: port }
    }
}

impl Site {
    /// Starts a site that synchronizes the suites in this file.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(programs: Programs, suites: &Path) -> anyhow::Result<Self> {
        Self::initialize(programs, || Ok(Ports::both(free_port()?)), "--suites", suites)
    }

    /// Starts a site that synchronizes the suites that apt uses in this root.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_of_apt(programs: Programs, root: &Path) -> anyhow::Result<Self> {
        Self::initialize(programs, || Ok(Ports::both(free_port()?)), "--apt-root", root)
    }

    /// Starts it on this port.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_on(programs: Programs, suites: &Path, port: u16) -> anyhow::Result<Self> {
        Self::initialize(programs, || Ok(Ports::both(port)), "--suites", suites)
    }

    /// Starts a site that clients reach on this port, where somebody else listens.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_behind(programs: Programs, suites: &Path, port: u16) -> anyhow::Result<Self> {
        Self::initialize(programs, || Ok(Ports { own: free_port()?, known: port }), "--suites", suites)
    }

    /// Between a port's choice and its use another test may take it: then there is another try.
    fn initialize(
        programs: Programs,
        ports: impl Fn() -> anyhow::Result<Ports>,
        upstream: &str,
        path: &Path,
    ) -> anyhow::Result<Self> {
        let mut tries = 1..=PORT_TRIES;
        loop {
            let site = Self::try_initialize(programs, ports()?, upstream, path);
            let is_taken = |error: &anyhow::Error| error.to_string().contains("Address already in use");
            match site {
                Err(error) if is_taken(&error) && tries.next().is_some() => {}
                site => return site,
            }
        }
    }

    fn try_initialize(programs: Programs, ports: Ports, upstream: &str, path: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let Ports { own: port, known } = ports;
        let mut site = Self { programs, folder, port, console: free_port()?, process: None };
        let (address, listen) = (format!("https://localhost:{known}"), format!("127.0.0.1:{port}"));
        let mut init = site.command(&["init", "--address", &address, "--listen", &listen, "--console"]);
        succeed(init.arg(format!("127.0.0.1:{}", site.console)).arg(upstream).arg(path))?;
        site.synchronize_on_request_only()?;
        site.serve()?;
        Ok(site)
    }

    /// Starts the program again after [`stop`](Self::stop).
    ///
    /// # Errors
    /// When it does not start.
    pub fn serve(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let process = self.command(&["serve"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        self.process = Some(process);
        self.wait_until_it_listens()
    }

    /// Stops the program; the folder stays.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// `farrier`, with this site's configuration.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.farrier);
        command.arg("--config").arg(self.folder.path().join("site.toml")).args(arguments);
        command
    }

    /// Synchronizes and publishes.
    ///
    /// # Errors
    /// When a suite fails.
    pub fn synchronize(&self) -> anyhow::Result<()> {
        succeed(&mut self.command(&["sync", "run", "--wait"])).map(|_| ())
    }

    /// A new enrolment token.
    ///
    /// # Errors
    /// When there is none.
    pub fn token(&self) -> anyhow::Result<String> {
        Ok(succeed(&mut self.command(&["token", "create"]))?.trim().to_owned())
    }

    /// `farrier status --json`.
    ///
    /// # Errors
    /// When it fails.
    pub fn status(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&succeed(&mut self.command(&["status", "--json"]))?)?)
    }

    /// The folder of configuration and data.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The site's data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The port of management point and distribution point.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The console's port.
    #[must_use]
    pub fn console(&self) -> u16 {
        self.console
    }

    /// A test says itself when what happens.
    fn synchronize_on_request_only(&self) -> anyhow::Result<()> {
        let file = self.folder.path().join("site.toml");
        let config = std::fs::read_to_string(&file)?;
        let changed = config.replace("synchronize_every = \"6h\"", "synchronize_every = \"0s\"");
        ensure!(changed != config, "the configuration of `farrier init` has another period");
        Ok(std::fs::write(file, changed)?)
    }

    /// The process that serves, while one does.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// What the site said on stderr so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("site.log")
    }

    fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.console)).is_err() {
            let ended = self.process.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || started.elapsed() > Duration::from_secs(START_SECONDS) {
                bail!("the site does not start:\n{}", self.log());
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An agent with a temporary data folder.
pub struct Agent {
    programs: Programs,
    folder: TempDir,
    root: PathBuf,
}

impl Agent {
    /// An agent that is not enrolled.
    ///
    /// # Errors
    /// When there is no temporary folder.
    pub fn new(programs: Programs, root: &Path) -> anyhow::Result<Self> {
        Ok(Self { programs, folder: tempfile::tempdir()?, root: root.to_owned() })
    }

    /// An agent for the endpoint in `root`, enrolled at `site`.
    ///
    /// # Errors
    /// When enrolment fails.
    pub fn enroll(programs: Programs, site: &Site, root: &Path) -> anyhow::Result<Self> {
        let agent = Self::new(programs, root)?;
        succeed(&mut agent.command(&["enroll", &site.token()?]))?;
        Ok(agent)
    }

    /// Writes its configuration; without this it has none.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn configure(&self, config: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.config_file(), config)?)
    }

    /// `farrier-agent`, with this agent's folder and root.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.agent);
        if self.config_file().exists() {
            command.arg("--config").arg(self.config_file());
        }
        command.arg("--data").arg(self.data()).arg("--root").arg(&self.root).args(arguments);
        command
    }

    /// The id that the site knows it by.
    ///
    /// # Errors
    /// When it is not enrolled.
    pub fn client_id(&self) -> anyhow::Result<String> {
        let status: Value = serde_json::from_str(&succeed(&mut self.command(&["status", "--json"]))?)?;
        Ok(status["client"].as_str().context("it is enrolled")?.to_owned())
    }

    /// Where a running agent's log goes, after what is there already.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn log_file(&self) -> anyhow::Result<File> {
        Ok(File::options().create(true).append(true).open(self.folder.path().join("agent.log"))?)
    }

    /// What the running agent said.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default()
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// `farrier-agent scan --json`: fetches, scans and reports.
    ///
    /// # Errors
    /// When the scan fails.
    pub fn scan(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&succeed(&mut self.command(&["scan", "--json"]))?)?)
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("agent")
    }
}

/// A copy of a folder that may be changed.
///
/// # Errors
/// When it cannot be copied.
pub fn copy_of(folder: &Path) -> anyhow::Result<TempDir> {
    let copy = tempfile::tempdir()?;
    let from = folder.join(".");
    succeed(Command::new("cp").arg("-R").arg(from).arg(copy.path()))?;
    Ok(copy)
}

/// Runs a command and returns what it prints.
///
/// # Errors
/// When it fails; with what it says on stderr.
pub fn succeed(command: &mut Command) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } = run(command)?;
    ensure!(status.success(), "{command:?} failed with {status}:\n{}", String::from_utf8_lossy(&stderr));
    Ok(String::from_utf8(stdout)?)
}

/// Runs a command that has to fail and returns what it says on stderr.
///
/// # Errors
/// When it succeeds, or ends by a signal.
pub fn fail(command: &mut Command) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } = run(command)?;
    ensure!(
        status.code().is_some_and(|code| code != 0),
        "{command:?} did not fail but ended with {status}: {stdout:?}"
    );
    Ok(String::from_utf8(stderr)?)
}

fn run(command: &mut Command) -> anyhow::Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("{command:?} cannot be started"))
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
