//! `farrier keys`: the keys that sign what clients believe.

mod offline;
mod show;

use super::passphrase::PassphraseOptions;
use super::{open_database, say};
use crate::config::Config;
use crate::database::now;
use crate::identity::make_folder;
use crate::keys::{
    Applied, Ceremony, Dropped, Exported, KeyRole, PrivateKeyFile, PublicKeyFile, Request, Rotation, Signatures,
    SiteKeys, UnknownRole, read_key_file, short,
};
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use farrier_trust::PublicKey;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of a file of signatures or of a request, at most.
const MAX_EXCHANGE_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the keys of a new site. `farrier serve` does it by itself; here it can be said how.
    Init(InitOptions),
    /// Show the keys, where they are, what they have signed and until when, and what waits for signatures.
    Show {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Make a key on a machine without a site: FILE, encrypted, and FILE.pub.
    New(offline::NewOptions),
    /// Write keys to another folder, encrypted, and remove them from the site.
    Export(ExportOptions),
    /// Bring keys to the site; what waits for them is signed.
    Import {
        /// The files of the keys.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        passphrase: PassphraseOptions,
    },
    /// Give a role other keys.
    Rotate(RotateOptions),
    /// Have root, targets, plugins or native signed again, for longer.
    Renew {
        /// The role.
        role: KeyRole,
    },
    /// Write what waits for signatures, to be carried to the keys.
    Request {
        /// Write it to this file instead of printing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show what a request asks for, and sign it. Needs no site.
    Sign(offline::SignOptions),
    /// Take signatures that were made elsewhere.
    Apply {
        /// The files of `farrier keys sign`.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Forget what waits for signatures of a role.
    Discard {
        /// The role.
        role: KeyRole,
    },
}

/// How the first keys are to be.
#[derive(Debug, Args)]
pub(super) struct InitOptions {
    /// Public keys of root, targets, plugins or native that were made elsewhere, with `farrier keys new`.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    offline_keys: Vec<PathBuf>,
    /// How many keys of a role must sign: root=2; may be repeated.
    #[arg(long, value_name = "ROLE=N", value_parser = parse_threshold)]
    threshold: Vec<(KeyRole, u64)>,
}

/// What leaves the site.
#[derive(Debug, Args)]
pub(super) struct ExportOptions {
    /// The roles; root, targets, plugins and native if absent.
    roles: Vec<KeyRole>,
    /// Those of root, targets, plugins and native that are on the site.
    #[arg(long, conflicts_with = "roles")]
    offline: bool,
    /// The folder to write to.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Leave the keys on the site, too: a backup.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

/// Which keys a role gets and loses.
#[derive(Debug, Args)]
pub(super) struct RotateOptions {
    /// The role.
    role: KeyRole,
    /// A public key that it gets, made with `farrier keys new`; may be repeated. Without one, the site makes a key.
    #[arg(long, value_name = "FILE.pub")]
    new_key: Vec<PathBuf>,
    /// It gets none: only the threshold or the keys that it loses change.
    #[arg(long, conflicts_with = "new_key")]
    no_new_key: bool,
    /// It loses none of its keys.
    #[arg(long)]
    keep_old: bool,
    /// It loses only the key whose id begins so; may be repeated. Without this and --keep-old it loses all it has.
    #[arg(long, value_name = "ID", conflicts_with = "keep_old")]
    drop: Vec<String>,
    /// How many of its keys must sign from then on; as many as now if absent.
    #[arg(long, value_name = "N")]
    threshold: Option<u64>,
}

/// Making keys and signing need no site, and so no configuration.
pub(super) async fn run(config: &Path, command: Command) -> anyhow::Result<()> {
    let command = match command {
        Command::New(options) => return offline::new(&options),
        Command::Sign(options) => return offline::sign(&options),
        command => command,
    };
    let config = Config::load(config)?;
    make_folder(&config.data)?;
    let site = SiteKeys::open(open_database(&config).await?, &config.data)?;
    match command {
        Command::New(_) | Command::Sign(_) => Ok(()),
        Command::Init(options) => init(&site, options).await,
        Command::Show { json } => show::run(&site, json).await,
        Command::Export(options) => export(&site, &options),
        Command::Import { files, passphrase } => import(&site, &files, &passphrase).await,
        Command::Rotate(options) => rotate(&site, options).await,
        Command::Renew { role } => show::say_outcome(&site.renew(role, now()).await?),
        Command::Request { out } => request(&site, out.as_deref()).await,
        Command::Apply { files } => apply(&site, &files).await,
        Command::Discard { role } => {
            let outcome = site.discard(role).await?;
            say(format_args!("What waited for signatures of {role} is forgotten."))?;
            show::say_outcome(&outcome)
        }
    }
}

fn parse_threshold(text: &str) -> Result<(KeyRole, u64), String> {
    let (role, number) =
        text.split_once('=').ok_or_else(|| format!("{text:?}: write a role and a number, as root=2"))?;
    let role = role.parse().map_err(|error: UnknownRole| error.to_string())?;
    let number = number.parse().map_err(|_| format!("{number:?} is no number of keys"))?;
    Ok((role, number))
}

async fn init(site: &SiteKeys, options: InitOptions) -> anyhow::Result<()> {
    let mut elsewhere: BTreeMap<KeyRole, Vec<PublicKey>> = BTreeMap::new();
    for file in &options.offline_keys {
        let PublicKeyFile { role, key } = read_public(file)?;
        let role = role.with_context(|| {
            format!("{} does not say what its key is for: make keys with `farrier keys new ROLE`", file.display())
        })?;
        elsewhere.entry(role).or_default().push(key);
    }
    let mut thresholds = BTreeMap::new();
    for (role, threshold) in options.threshold {
        ensure!(
            thresholds.insert(role, threshold).is_none(),
            "--threshold says twice how many keys of {role} must sign"
        );
    }
    let ceremony = Ceremony { elsewhere, thresholds };
    let outcome = site.init(&ceremony, now()).await?;
    say("The site's keys are made.")?;
    show::say_outcome(&outcome)?;
    let here = KeyRole::OFFLINE.into_iter().filter(|role| !ceremony.elsewhere.contains_key(role));
    let here: Vec<&str> = here.map(KeyRole::as_str).collect();
    match here.is_empty() {
        true => Ok(()),
        false => say(format_args!(
            "The keys of {} are on the site: export them with `farrier keys export --offline --to DIR`.",
            here.join(", ")
        )),
    }
}

fn read_public(file: &Path) -> anyhow::Result<PublicKeyFile> {
    Ok(PublicKeyFile::parse(file, &read_key_file(file)?)?)
}

/// Reads private keys; each has a passphrase of its own unless a file names one for all.
fn read_private(files: &[PathBuf], passphrase: &PassphraseOptions) -> anyhow::Result<Vec<PrivateKeyFile>> {
    let read = |file: &PathBuf| PrivateKeyFile::parse(file, &read_key_file(file)?, || passphrase.of_key(file));
    files.iter().map(read).collect()
}

fn export(site: &SiteKeys, options: &ExportOptions) -> anyhow::Result<()> {
    let roles = if options.roles.is_empty() { KeyRole::OFFLINE.to_vec() } else { options.roles.clone() };
    ensure!(options.to.is_dir(), "{} is no folder: make it first", options.to.display());
    let exported = site.export(&roles, &options.passphrase.choose()?, &options.to, options.keep)?;
    for Exported { role, id, file } in &exported {
        say(format_args!("{role:<10} {}  {}", short(id), file.display()))?;
    }
    if options.keep {
        return say("These are copies: the keys are still on the site.");
    }
    say("They are no longer on the site. Keep the files in two places, and the passphrase in a third.")
}

async fn import(site: &SiteKeys, files: &[PathBuf], passphrase: &PassphraseOptions) -> anyhow::Result<()> {
    let (imported, outcome) = site.import(read_private(files, passphrase)?).await?;
    for Exported { role, id, .. } in &imported {
        say(format_args!("The {role} key {} is on the site.", short(id)))?;
    }
    show::say_outcome(&outcome)
}

async fn rotate(site: &SiteKeys, options: RotateOptions) -> anyhow::Result<()> {
    let role = options.role;
    let mut new = Vec::new();
    for file in &options.new_key {
        let PublicKeyFile { role: said, key } = read_public(file)?;
        if let Some(said) = said.filter(|said| *said != role) {
            bail!("{} is a {said} key, not one of {role}", file.display());
        }
        new.push(key);
    }
    let dropped = match (options.keep_old, options.drop.is_empty()) {
        (true, _) => Dropped::Nothing,
        (false, true) => Dropped::All,
        (false, false) => Dropped::These(options.drop),
    };
    ensure!(
        !(options.no_new_key && dropped == Dropped::All),
        "--no-new-key leaves {role} without keys: say which one it loses with --drop, or --keep-old"
    );
    let makes_one = new.is_empty() && !options.no_new_key;
    let rotation = Rotation { role, new, dropped, threshold: options.threshold };
    let outcome = match makes_one {
        true => site.rotate_to_own(rotation, now()).await?,
        false => site.rotate(&rotation, now()).await?,
    };
    show::say_outcome(&outcome)?;
    match makes_one && role.is_offline() {
        true => say(format_args!("The new key is on the site: export it with `farrier keys export {role} --to DIR`.")),
        false => Ok(()),
    }
}

async fn request(site: &SiteKeys, out: Option<&Path>) -> anyhow::Result<()> {
    let request = site.request().await?;
    let text = serde_json::to_string(&request)?;
    let Some(file) = out else { return say(text) };
    write_exchange(file, &text)?;
    for (role, version) in request.drafts()? {
        say(format_args!("{role} version {version} waits for signatures."))?;
    }
    say(format_args!(
        "Carry {} to the keys: `farrier keys sign {} --key FILE`, then bring back what that writes.",
        file.display(),
        file.file_name().unwrap_or_default().display()
    ))
}

async fn apply(site: &SiteKeys, files: &[PathBuf]) -> anyhow::Result<()> {
    let read = |file: &PathBuf| Signatures::parse(&read_exchange(file)?).with_context(|| file.display().to_string());
    let signatures: Vec<Signatures> = files.iter().map(read).collect::<anyhow::Result<_>>()?;
    let Applied { taken, refused, outcome } = site.apply(&signatures).await?;
    show::say_outcome(&outcome)?;
    match refused.is_empty() {
        true => Ok(()),
        false => bail!("{taken} signatures were taken, {} were not: {}", refused.len(), refused.join("; ")),
    }
}

/// Writes a file that goes between two machines; over such a one, and over no other.
fn write_exchange(file: &Path, text: &str) -> anyhow::Result<()> {
    let is_exchange = |bytes: &[u8]| Request::parse(bytes).is_ok() || Signatures::parse(bytes).is_ok();
    ensure!(
        !file.exists() || is_exchange(&read_exchange(file)?),
        "{} is there already, and is no request and no signatures: choose another file",
        file.display()
    );
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

/// A file that goes between two machines.
fn read_exchange(file: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = || format!("{} cannot be read", file.display());
    let bytes = fs::metadata(file).with_context(failed)?.len();
    ensure!(bytes <= MAX_EXCHANGE_BYTES, "{} is larger than {MAX_EXCHANGE_BYTES} bytes", file.display());
    fs::read(file).with_context(failed)
}
