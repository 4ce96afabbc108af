//! A PostgreSQL server of one's own for a test run: from the distribution's package, in a temp folder, reached
//! through a Unix socket, gone when its owner is gone.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// Where Debian puts the programs that are not for everybody's `PATH`.
const DEBIAN_VERSIONS: &str = "/usr/lib/postgresql";
/// PostgreSQL refuses to run as root; the first of these that exists runs it then.
const UNPRIVILEGED_USERS: [&str; 2] = ["postgres", "nobody"];
const CONNECTIONS: u32 = 200;

/// Starts the server, says `ready`, waits for the end of its input and stops the server. The end of its input is also
/// what the death of the test process looks like, whatever killed it.
const SCRIPT: &str = r#"
exec 2>"$1/log"
initdb -D "$1/data" -U farrier -A trust -E UTF8 --locale=C --no-sync >&2 &&
pg_ctl -D "$1/data" -w -t 60 -l "$1/log" -o "$2" start >&2 || exit 1
echo ready
cat >/dev/null
pg_ctl -D "$1/data" -m immediate stop >&2
rm -rf "$1"
"#;

/// Whether commits reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// For tests: nothing is ever flushed.
    None,
    /// For benchmarks: as in earnest.
    Full,
}

/// A running server. Dropping it stops it and removes its files.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    keeper: Child,
    databases: AtomicU32,
    folder: TempDir,
}

impl Postgres {
    /// Starts a server.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start; the message says what to do.
    pub fn start(durability: Durability) -> Result<Self> {
        let programs = find_programs()?;
        let folder = tempfile::Builder::new().prefix("farrier-postgres-").tempdir().context("making a temp folder")?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "sh"]).arg(folder.path()).arg(server_options(folder.path(), durability));
        command.env("PATH", search_path(&programs)?).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
        // A signal for the test run's process group is not for the server: it ends with its keeper's input.
        command.process_group(0);
        if rustix::process::geteuid().is_root() {
            let (user, group) = unprivileged_user()?;
            chown(folder.path(), Some(user), Some(group)).context("giving the temp folder to PostgreSQL's user")?;
            command.uid(user).gid(group);
        }
        let mut keeper = command.spawn().context("starting /bin/sh")?;
        let mut line = String::new();
        let stdout = keeper.stdout.take().context("PostgreSQL's keeper has no output")?;
        BufReader::new(stdout).read_line(&mut line).context("waiting for PostgreSQL")?;
        let server = Self { programs, keeper, databases: AtomicU32::new(0), folder };
        ensure!(line == "ready\n", "PostgreSQL in {} does not start:\n{}", server.programs.display(), server.log());
        Ok(server)
    }

    /// Makes a fresh database and returns its URL.
    ///
    /// # Errors
    /// When the server refuses; the message has its words.
    pub fn create_database(&self) -> Result<String> {
        let name = format!("site_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let folder = self.folder.path().display();
        let output = Command::new(self.programs.join("createdb"))
            .args(["-h", &folder.to_string(), "-U", "farrier", &name])
            .output()
            .context("starting createdb")?;
        ensure!(output.status.success(), "createdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(format!("postgres://farrier@localhost/{name}?host={folder}"))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_else(|error| format!("no log: {error}"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Nothing more can be done about a keeper that cannot be waited for.
        let _ = self.keeper.wait();
    }
}

fn server_options(folder: &Path, durability: Durability) -> String {
    let more = match durability {
        Durability::None => "-c fsync=off -c synchronous_commit=off -c full_page_writes=off",
        Durability::Full => "-c shared_buffers=512MB -c max_wal_size=4GB",
    };
    let folder = folder.display();
    format!("-c listen_addresses='' -c unix_socket_directories='{folder}' -c max_connections={CONNECTIONS} {more}")
}

/// The folder of `initdb`: the one in `PATH`, else the newest of Debian's.
fn find_programs() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).find_map(|folder| folder.join("initdb").canonicalize().ok());
    if let Some(folder) = in_path.as_deref().and_then(Path::parent) {
        return Ok(folder.to_owned());
    }
    let installed = std::fs::read_dir(DEBIAN_VERSIONS).into_iter().flatten().flatten();
    let with_version = installed.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        programs.join("initdb").exists().then_some((version, programs))
    });
    match with_version.max() {
        Some((_, programs)) => Ok(programs),
        None => bail!(
            "PostgreSQL is not installed: initdb is neither in PATH nor in {DEBIAN_VERSIONS}/*/bin. \
             On Debian, `apt install postgresql` brings it."
        ),
    }
}

fn search_path(programs: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("PATH cannot hold PostgreSQL's folder")
}

/// User and group ids, out of passwd(5).
fn unprivileged_user() -> Result<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    let ids = |name: &str| {
        let fields: Vec<&str> =
            users.lines().map(|line| line.split(':').collect()).find(|fields: &Vec<&str>| fields[0] == name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    UNPRIVILEGED_USERS.into_iter().find_map(ids).with_context(|| {
        format!("PostgreSQL does not run as root, and none of the users {UNPRIVILEGED_USERS:?} exists to run it")
    })
}
