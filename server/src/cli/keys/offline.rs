//! What needs no site: making keys, and signing with them.

use crate::cli::passphrase::{PassphraseOptions, confirm};
use crate::cli::say;
use crate::database::now;
use crate::keys::{KeyRole, PrivateKeyFile, PublicKeyFile, Request, Review, new_key, short, write_new};
use anyhow::{Context as _, ensure};
use clap::Args;
use std::path::{Path, PathBuf};

/// A key that is made where it stays.
#[derive(Debug, Args)]
pub(in crate::cli) struct NewOptions {
    /// What it is for.
    role: KeyRole,
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

/// What is signed, and with what.
#[derive(Debug, Args)]
pub(in crate::cli) struct SignOptions {
    /// The file of `farrier keys request`.
    request: PathBuf,
    /// A key to sign with; may be repeated.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Where to write the signatures; beside the request if absent.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

pub(super) fn new(options: &NewOptions) -> anyhow::Result<()> {
    let public_file = options.out.with_added_extension("pub");
    for file in [&options.out, &public_file] {
        ensure!(!file.exists(), "{} exists already: a key is never overwritten", file.display());
    }
    let private = PrivateKeyFile { role: Some(options.role), key: new_key()? };
    let public = PublicKeyFile { role: private.role, key: private.key.public() };
    write_new(&options.out, &private.to_encrypted_pem(&options.passphrase.choose()?)?)?;
    write_new(&public_file, &public.to_pem()?)?;
    say(format_args!("The {} key {} is in {}.", options.role, short(&public.key.key_id()), options.out.display()))?;
    say(format_args!("Bring {} to the site; the key itself stays here.", public_file.display()))
}

pub(super) fn sign(options: &SignOptions) -> anyhow::Result<()> {
    let text = super::read_exchange(&options.request)?;
    let request = Request::parse(&text).with_context(|| options.request.display().to_string())?;
    let keys = super::read_private(&options.key, &options.passphrase)?;
    let reviews = request.review(&keys, now())?;
    reviews.iter().try_for_each(say_review)?;
    let drafts: Vec<&str> = reviews.iter().map(|review| review.role.as_str()).collect();
    let question = format!("Sign {}?", drafts.join(" and "));
    ensure!(options.yes || confirm(&question)?, "nothing was signed");
    let signatures = request.sign(&keys)?;
    let out = options.out.clone().unwrap_or_else(|| beside(&options.request, &keys));
    let json = serde_json::to_string_pretty(&signatures)?;
    super::write_exchange(&out, &json)?;
    say(format_args!("Bring {} to the site: `farrier keys apply {}`.", out.display(), name_of(&out)))
}

/// `request.json` signed by the key 1f2e3d4c… becomes `request.1f2e3d4c.signatures.json`.
fn beside(request: &Path, keys: &[PrivateKeyFile]) -> PathBuf {
    let id = keys.first().map(|file| file.key.key_id()).unwrap_or_default();
    request.with_extension(format!("{}.signatures.json", id.get(..8).unwrap_or(&id)))
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn say_review(review: &Review) -> anyhow::Result<()> {
    let Review { role, version, compared_with, lines, keys } = review;
    let compared = match compared_with {
        Some(before) => format!("what changes since version {before}, which one of these keys has signed"),
        None => {
            "all that it says: none of these keys has signed what is in force, so there is nothing to compare it with"
                .to_owned()
        }
    };
    say(format_args!("{role}, version {version}; {compared}:"))?;
    for line in lines {
        say(format_args!("  {line}"))?;
    }
    let keys: Vec<&str> = keys.iter().map(|id| short(id)).collect();
    say(format_args!("  to be signed by {}\n", keys.join(", ")))
}
