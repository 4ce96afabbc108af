//! Passphrases: from a file, or typed on the terminal without being shown.

use crate::keys::Passphrase;
use anyhow::{Context as _, ensure};
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Bytes of a passphrase, at most.
const MAX_PASSPHRASE_BYTES: u64 = 1024;
const TERMINAL: &str = "/dev/tty";
const NAME_A_FILE: &str = "nobody can be asked for the passphrase: name a file with --passphrase-file";

/// Where the passphrase comes from.
#[derive(Debug, Args)]
pub(super) struct PassphraseOptions {
    /// Read the passphrase from the first line of this file instead of asking for it.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseOptions {
    /// One to encrypt with; asked for twice.
    pub(super) fn choose(&self) -> anyhow::Result<Passphrase> {
        if let Some(file) = &self.passphrase_file {
            return Ok(Passphrase::new(of_file(file)?)?);
        }
        let terminal = Terminal::open().context(NAME_A_FILE)?;
        let passphrase = Passphrase::new(terminal.ask("Passphrase for the keys: ")?)?;
        ensure!(
            terminal.ask("The same again: ")? == passphrase.as_str(),
            "the two passphrases differ: nothing was done"
        );
        Ok(passphrase)
    }

    /// The one that opens this key.
    pub(super) fn of_key(&self, key: &Path) -> anyhow::Result<Passphrase> {
        let text = match &self.passphrase_file {
            Some(file) => of_file(file)?,
            None => Terminal::open().context(NAME_A_FILE)?.ask(&format!("Passphrase of {}: ", key.display()))?,
        };
        Ok(Passphrase::of_key(text))
    }
}

fn of_file(file: &Path) -> anyhow::Result<String> {
    let failed = || format!("the passphrase cannot be read from {}", file.display());
    first_line(File::open(file).with_context(failed)?).with_context(failed)
}

fn first_line(file: File) -> anyhow::Result<String> {
    let mut line = String::new();
    BufReader::new(file.take(MAX_PASSPHRASE_BYTES)).read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    Ok(line)
}

/// Asks a person whether to go on.
pub(super) fn confirm(question: &str) -> anyhow::Result<bool> {
    let terminal = Terminal::open().context("nobody can be asked: look at it, then add --yes")?;
    write!(&terminal.file, "{question} [y/N] ")?;
    let answer = first_line(terminal.file.try_clone()?)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The terminal that the program was started from, whatever its standard streams are.
struct Terminal {
    file: File,
}

/// Shows again what is typed, when it is dropped.
struct Hidden<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

impl Terminal {
    fn open() -> anyhow::Result<Self> {
        let file = File::options().read(true).write(true).open(TERMINAL).context("there is no terminal")?;
        Ok(Self { file })
    }

    /// Asks, without showing what is typed.
    fn ask(&self, question: &str) -> anyhow::Result<String> {
        write!(&self.file, "{question}")?;
        let line = {
            let _hidden = self.hide()?;
            first_line(self.file.try_clone()?)?
        };
        writeln!(&self.file)?;
        Ok(line)
    }

    fn hide(&self) -> anyhow::Result<Hidden<'_>> {
        let before = tcgetattr(&self.file)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&self.file, OptionalActions::Flush, &hidden)?;
        Ok(Hidden { terminal: &self.file, before })
    }
}
