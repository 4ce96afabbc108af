//! A TUF client with the command line that the conformance suite drives
//! (<https://github.com/theupdateframework/tuf-conformance>, `CLIENT-CLI.md`):
//!
//! ```sh
//! tuf-client --metadata-dir DIR init ROOT.json
//! tuf-client --metadata-dir DIR --metadata-url URL refresh
//! tuf-client --metadata-dir DIR --metadata-url URL --target-name PATH --target-base-url URL --target-dir DIR download
//! ```
//!
//! It leaves with 1 when anything was refused, and says why.

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};
use farrier_trust::{Answer, Client, Floors, Request, Target, limits, percent_encoded};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long one file may take, so that a server which sends it byte by byte holds nobody up.
const FETCH_TIME: Duration = Duration::from_secs(120);
/// Not metadata, so its name does not end like theirs.
const FLOORS_FILE: &str = "version-floors";
const CHUNK_BYTES: usize = 64 * 1024;

#[derive(Parser)]
#[command(about = "A TUF client as the conformance suite drives it")]
struct Options {
    /// Where trusted metadata are kept.
    #[arg(long)]
    metadata_dir: PathBuf,
    /// Where the repository's metadata are.
    #[arg(long)]
    metadata_url: Option<String>,
    /// The path of a target; any number of them, which are downloaded in this order.
    #[arg(long)]
    target_name: Vec<String>,
    /// Where the repository's targets are.
    #[arg(long)]
    target_base_url: Option<String>,
    /// Where downloaded targets go.
    #[arg(long)]
    target_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trust this root from now on.
    Init { root: PathBuf },
    /// Bring the top roles up to date.
    Refresh,
    /// Bring the top roles up to date and download targets.
    Download,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tuf-client: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let store = Store { folder: options.metadata_dir.clone() };
    if let Command::Init { root } = &options.command {
        let root = fs::read(root).with_context(|| format!("cannot read {}", root.display()))?;
        return store.keep(&Client::new(&root, store.floors()?)?);
    }
    let server = Server::new(options.metadata_url.as_deref().context("--metadata-url is missing")?);
    let mut client = store.load()?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    refresh(&mut client, &server, &store, now)?;
    if let Command::Download = options.command {
        let targets = Server::new(options.target_base_url.as_deref().context("--target-base-url is missing")?);
        let folder = options.target_dir.as_deref().context("--target-dir is missing")?;
        for path in &options.target_name {
            let target = search(&mut client, &server, &store, path, now)?;
            download(&target, &targets, folder)?;
        }
    }
    Ok(())
}

fn refresh(client: &mut Client, server: &Server, store: &Store, now: i64) -> Result<()> {
    let mut refresh = client.refresh(now);
    while let Some(request) = refresh.next()? {
        store.keep(refresh.client())?;
        let found = server.metadata(&request)?;
        refresh.receive(found.as_deref().map_or(Answer::Missing, Answer::Found))?;
        store.keep(refresh.client())?;
    }
    Ok(())
}

fn search(client: &mut Client, server: &Server, store: &Store, path: &str, now: i64) -> Result<Target> {
    let mut search = client.search(path, now);
    while let Some(request) = search.next()? {
        let found = server.metadata(&request)?;
        search.receive(found.as_deref().map_or(Answer::Missing, Answer::Found))?;
        store.keep(search.client())?;
    }
    search.finish()?.with_context(|| format!("the repository has no target {path}"))
}

/// Streams a target into a file that gets its name only when the last byte is verified.
fn download(target: &Target, server: &Server, folder: &Path) -> Result<()> {
    let name = folder.join(percent_encoded(&target.path));
    if File::open(&name).is_ok_and(|file| copy_verified(file, target, &mut io::sink()).is_ok()) {
        return Ok(());
    }
    let Some(body) = server.get(&target.file())? else { bail!("the repository has no file of {}", target.path) };
    let mut file = tempfile::Builder::new().prefix(".download-").tempfile_in(folder)?;
    copy_verified(body, target, &mut file)?;
    file.as_file().sync_all()?;
    file.persist(&name).with_context(|| format!("cannot write {}", name.display()))?;
    Ok(())
}

fn copy_verified(mut from: impl Read, target: &Target, to: &mut impl Write) -> Result<()> {
    let mut verifier = target.verifier();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(verifier.finish()?),
            read => {
                verifier.update(&chunk[..read])?;
                to.write_all(&chunk[..read])?;
            }
        }
    }
}

/// The trusted metadata on disk: a file for each role, named after it, and the version floors.
struct Store {
    folder: PathBuf,
}

impl Store {
    /// The client with whatever of the stored metadata is still good under the stored root.
    fn load(&self) -> Result<Client> {
        let mut stored = self.stored()?;
        let root = stored.remove("root").context("there is no trusted root: init comes first")?;
        let mut client = Client::new(&root, self.floors()?)?;
        for role in ["timestamp", "snapshot", "targets"] {
            if let Some(bytes) = stored.remove(role)
                && let Err(error) = client.restore(role, &bytes)
            {
                eprintln!("tuf-client: what was stored is of no use yet, or any more: {error}");
            }
        }
        // A delegated role comes after the one that delegates to it, whichever that is.
        while let Some(role) = stored.keys().find(|role| client.restore(role, &stored[*role]).is_ok()).cloned() {
            stored.remove(&role);
        }
        Ok(client)
    }

    /// Writes what is new, and deletes what a new root takes away (section 5.3.11). The floors come first: without their
    /// metadata they still count, the other way round they would be forgotten.
    fn keep(&self, client: &Client) -> Result<()> {
        for role in ["timestamp", "snapshot"] {
            if client.metadata().all(|(held, _)| held != role) {
                let _ = fs::remove_file(self.folder.join(format!("{role}.json")));
            }
        }
        self.write(FLOORS_FILE, &serde_json::to_vec(&client.floors())?)?;
        client.metadata().try_for_each(|(role, bytes)| self.write(&format!("{}.json", percent_encoded(role)), bytes))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        if fs::read(&path).is_ok_and(|stored| stored == bytes) {
            return Ok(());
        }
        let mut file = tempfile::Builder::new().prefix(".metadata-").tempfile_in(&self.folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    fn floors(&self) -> Result<Floors> {
        match fs::read(self.folder.join(FLOORS_FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("the stored version floors are damaged"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Floors::default()),
            Err(error) => Err(error).context("cannot read the stored version floors"),
        }
    }

    fn stored(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut stored = BTreeMap::new();
        let folder = || format!("cannot read {}", self.folder.display());
        for entry in fs::read_dir(&self.folder).with_context(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(role) = name.to_str().and_then(|name| name.strip_suffix(".json")).and_then(percent_decoded) {
                // What cannot be metadata is fetched again.
                let metadata = entry.metadata()?;
                if metadata.is_file() && metadata.len() <= limits::MAX_TARGETS_BYTES {
                    stored.insert(role, fs::read(entry.path())?);
                }
            }
        }
        Ok(stored)
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut decoded = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
        decoded.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(decoded).ok()
}

/// One of the repository's folders.
struct Server {
    agent: ureq::Agent,
    base: String,
}

impl Server {
    fn new(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(FETCH_TIME))
            .build();
        Self { agent: config.into(), base: base.trim_end_matches('/').into() }
    }

    /// A file of metadata, unless the repository says that there is none. No more of it is read than can be used.
    fn metadata(&self, request: &Request) -> Result<Option<Vec<u8>>> {
        let Some(body) = self.get(&request.file)? else { return Ok(None) };
        let mut bytes = Vec::new();
        body.take(request.max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 <= request.max_bytes, "{} has more than {} bytes", request.file, request.max_bytes);
        Ok(Some(bytes))
    }

    fn get(&self, file: &str) -> Result<Option<impl Read + use<>>> {
        let url = format!("{}/{}", self.base, url_encoded(file));
        let response = self.agent.get(&url).call().with_context(|| format!("cannot fetch {url}"))?;
        match response.status().as_u16() {
            200 => Ok(Some(response.into_body().into_reader())),
            403 | 404 => Ok(None),
            status => bail!("cannot fetch {url}: the server answers {status}"),
        }
    }
}

/// The path of a target is a part of a URL already (section 4.5); only what no URL may hold is encoded.
fn url_encoded(path: &str) -> String {
    let is_fine = |character: char| character.is_ascii_graphic() && !"\"<>\\^`{|}".contains(character);
    path.chars().map(|c| if is_fine(c) { c.to_string() } else { percent_encoded(&c.to_string()) }).collect()
}
