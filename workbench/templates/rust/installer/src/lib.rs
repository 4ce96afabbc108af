//! Installs applications below `/opt`: one file each, and a file that says its version.
#![no_std]

extern crate alloc;

use alloc::{format, string::String, vec, vec::Vec};
use farrier_plugin_sdk::{
    Blob, Change, Error, Host, Installer, Json, Options, Outcome, Update, serde::Deserialize,
};

pub struct {{Name}};

farrier_plugin_sdk::export_installer!({{Name}});

/// What a policy says; `rule.schema.json` describes it to people.
#[derive(Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct Instructions {
    name: String,
    version: String,
    content: String,
}

impl Installer for {{Name}} {
    type Instructions<'a> = Json<Instructions>;

    /// What would change, all of it; nothing is changed here.
    fn plan(
        host: &dyn Host,
        _: &Update,
        wanted: &Json<Instructions>,
        contents: &[Blob<'_>],
        _: &Options,
    ) -> Result<Vec<Change>, Error> {
        content(contents, &wanted.content)?;
        let (action, detail) = match host.read_text(&format!("/opt/{}/VERSION", wanted.name)) {
            Ok(installed) => ("upgrade", format!("{} to {}", installed.trim(), wanted.version)),
            Err(Error::NotFound(_)) => ("install", wanted.version.clone()),
            Err(error) => return Err(error),
        };
        Ok(vec![Change { subject: wanted.name.clone(), action: action.into(), detail }])
    }

    /// It may be interrupted anywhere, and be called again: the version file is last, because the scan goes by it.
    fn install(
        host: &dyn Host,
        _: &Update,
        wanted: &Json<Instructions>,
        contents: &[Blob<'_>],
        _: &Options,
    ) -> Result<Outcome, Error> {
        host.report(&format!("Installing {} {}", wanted.name, wanted.version));
        put(host, &wanted.name, content(contents, &wanted.content)?, &wanted.version)
    }

    /// The policy names the file of the old version, if it has one; which version that was, its label tells.
    fn roll_back(
        host: &dyn Host,
        _: &Update,
        wanted: &Json<Instructions>,
        previous: &[Blob<'_>],
    ) -> Result<Outcome, Error> {
        let Some(old) = previous.first() else {
            return Err(Error::Other(format!("there is no older version of {}", wanted.name)));
        };
        let label = old.label();
        let version = label.rsplit_once('_').map_or(label.as_str(), |(_, version)| version);
        put(host, &wanted.name, old, version)
    }
}

fn put(host: &dyn Host, name: &str, file: &Blob<'_>, version: &str) -> Result<Outcome, Error> {
    let folder = host.folder("/opt")?;
    folder.make_folder(name, 0o755)?;
    folder.replace_with_blob(&format!("{name}/{name}"), file, 0o755)?;
    folder.replace(&format!("{name}/VERSION"), format!("{version}\n").as_bytes(), 0o644)?;
    Ok(Outcome::default())
}

/// The file with this label.
fn content<'a, 'b>(contents: &'a [Blob<'b>], label: &str) -> Result<&'a Blob<'b>, Error> {
    let found = contents.iter().find(|blob| blob.label() == label);
    found.ok_or_else(|| Error::Invalid(format!("the update has no file {label}")))
}
