//! The steps of an administrator, one function each.

use crate::programs::{Programs, repository};
use crate::report::Status;
use anyhow::{Context as _, bail, ensure};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the site may take to start.
const START_SECONDS: u64 = 30;

/// What is assessed: an endpoint's root and where its updates come from.
pub struct Endpoint {
    root: PathBuf,
    upstream: Upstream,
}

enum Upstream {
    /// What apt uses in the root.
    Apt,
    /// The sample suite of this repository.
    Sample,
}

impl Endpoint {
    /// The root that was asked for, else this machine if it is a Debian, else the sample.
    pub fn choose(root: Option<&Path>, sample: bool) -> anyhow::Result<Self> {
        let is_debian = |root: &Path| root.join("var/lib/dpkg/status").is_file();
        match root {
            Some(root) => {
                let root = root.canonicalize().with_context(|| format!("{} cannot be opened", root.display()))?;
                ensure!(is_debian(&root), "{} is no Debian root: it has no var/lib/dpkg/status", root.display());
                Ok(Self { root, upstream: Upstream::Apt })
            }
            None if !sample && is_debian(Path::new("/")) => Ok(Self { root: "/".into(), upstream: Upstream::Apt }),
            None => {
                if !sample {
                    eprintln!("This machine is no Debian: assessing the sample root of the repository.");
                }
                Ok(Self { root: sample_folder().join("root"), upstream: Upstream::Sample })
            }
        }
    }
}

fn sample_folder() -> PathBuf {
    repository().join("policy-samples").join("sample-suite")
}

/// A running site; dropping it stops it.
pub struct Site {
    process: Child,
    config: PathBuf,
    log_file: PathBuf,
    /// The console's address.
    pub console: String,
}

impl Drop for Site {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

/// Writes a configuration and starts `farrier serve`.
pub fn start_site(programs: &Programs, folder: &Path, endpoint: &Endpoint) -> anyhow::Result<Site> {
    let (clients, console) = (free_port(8443)?, free_port(8444)?);
    let config = folder.join("site.toml");
    let mut init = Command::new(&programs.farrier);
    init.arg("--config").arg(&config).args(["init", "--name", "Demonstration"]);
    init.arg("--address").arg(format!("https://localhost:{clients}"));
    init.arg("--listen").arg(format!("127.0.0.1:{clients}"));
    init.arg("--console").arg(format!("127.0.0.1:{console}"));
    match endpoint.upstream {
        Upstream::Apt => init.arg("--apt-root").arg(&endpoint.root),
        Upstream::Sample => init.arg("--suites").arg(sample_folder().join("suites.toml")),
    };
    succeed(init.stdout(Stdio::null()))?;

    eprintln!("Starting the site ...");
    let log_file = folder.join("site.log");
    let log = File::create(&log_file).context("the site's log cannot be written")?;
    let process = Command::new(&programs.farrier)
        .arg("--config")
        .arg(&config)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("the site cannot be started")?;
    let mut site = Site { process, config, log_file, console: format!("https://localhost:{console}/") };
    site.wait_until_it_listens(console)?;
    Ok(site)
}

impl Site {
    fn log(&self) -> String {
        std::fs::read_to_string(&self.log_file).unwrap_or_default()
    }

    fn wait_until_it_listens(&mut self, port: u16) -> anyhow::Result<()> {
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!("the site ended with {status}:\n{}", self.log());
            }
            ensure!(started.elapsed() < Duration::from_secs(START_SECONDS), "the site does not listen on port {port}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn command(&self, programs: &Programs) -> Command {
        let mut command = Command::new(&programs.farrier);
        command.arg("--config").arg(&self.config);
        command
    }
}

/// `farrier sync run --wait`, which shows its progress.
pub fn synchronize(programs: &Programs, site: &Site) -> anyhow::Result<()> {
    succeed(site.command(programs).args(["sync", "run", "--wait"]).stdout(std::io::stderr()))
}

/// An enrolled agent, not running.
pub struct Agent {
    program: PathBuf,
    options: Vec<std::ffi::OsString>,
}

/// `farrier token create`, and `farrier-agent enroll` with it.
pub fn enroll(programs: &Programs, site: &Site, folder: &Path, endpoint: &Endpoint) -> anyhow::Result<Agent> {
    let token = output(site.command(programs).args(["token", "create"]))?;
    let data = folder.join("agent");
    let options = ["--data".into(), data.into(), "--root".into(), endpoint.root.clone().into()];
    let agent = Agent { program: programs.agent.clone(), options: options.into() };
    succeed(agent.command().arg("enroll").arg(token.trim()).stdout(std::io::stderr()))?;
    Ok(agent)
}

/// `farrier-agent scan`.
pub fn scan(agent: &Agent) -> anyhow::Result<()> {
    succeed(agent.command().arg("scan").stdout(Stdio::null()))
}

/// `farrier status --json`.
pub fn status(programs: &Programs, site: &Site) -> anyhow::Result<Status> {
    let text = output(site.command(programs).args(["status", "--json"]))?;
    serde_json::from_str(&text).context("`farrier status --json` printed something else")
}

impl Agent {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.options);
        command
    }

    /// How a person types the agent's commands.
    pub fn command_line(&self) -> String {
        let words = std::iter::once(self.program.as_os_str()).chain(self.options.iter().map(|word| word.as_os_str()));
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    /// `farrier-agent run`; dropping the result stops it.
    pub fn start(&self) -> anyhow::Result<Polling> {
        let mut command = self.command();
        command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Polling(command.spawn().context("the agent cannot be started")?))
    }
}

/// An agent that polls.
pub struct Polling(Child);

impl Drop for Polling {
    fn drop(&mut self) {
        stop(&mut self.0);
    }
}

/// Set when a person presses Ctrl-C or somebody asks this process to end.
#[derive(Clone, Default)]
pub struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    /// From now on an interruption ends the step under way and lets everything be cleaned up, instead of ending this
    /// process on the spot.
    pub fn listen() -> anyhow::Result<Self> {
        let interrupted = Self::default();
        let flag = interrupted.clone();
        ctrlc::set_handler(move || flag.0.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be listened for")?;
        Ok(interrupted)
    }
}

/// Returns when interrupted; a site that ends by itself before is an error.
pub fn serve_until(interrupted: &Interrupted, site: &mut Site) -> anyhow::Result<()> {
    eprintln!("Serving until Ctrl-C.");
    while !interrupted.0.load(Ordering::Relaxed) {
        if let Some(status) = site.process.try_wait()? {
            // Ctrl-C reaches the site, too, and may reach it first.
            std::thread::sleep(Duration::from_millis(200));
            ensure!(interrupted.0.load(Ordering::Relaxed), "the site ended with {status}:\n{}", site.log());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// A port nobody uses: the usual one if it is free.
fn free_port(usual: u16) -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", usual)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    Ok(listener.context("no free port on loopback")?.local_addr()?.port())
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("{command:?} cannot be started"))?;
    ensure!(status.success(), "{command:?} failed; it says why above");
    Ok(())
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("{command:?} cannot be started"))?;
    ensure!(output.status.success(), "{command:?} failed; it says why above");
    String::from_utf8(output.stdout).context("the output is not UTF-8")
}

/// Asks a process to end, as Ctrl-C does, and waits for it.
fn stop(process: &mut Child) {
    let _ = Command::new("kill").arg(process.id().to_string()).stderr(Stdio::null()).status();
    let _ = process.wait();
}
