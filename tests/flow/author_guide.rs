//! The plugin author's guide, followed word by word.
//!
//! Its fenced blocks are taken in their order. Of `console`, each line that begins with `$ ` is run, and what stands
//! below it has to be in what it prints, line by line; `…` is anything. `file=NAME` says that the block is part of this
//! file, `append=NAME` that it is added to it, `needs=c` that it needs C's compiler, which comes from a package registry.
//! There is a site, as the administrator has one.

use anyhow::{Context as _, Result, bail, ensure};
use farrier_tests::{Site, programs, sample};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A fenced block.
struct Block<'a> {
    /// Where it begins.
    line: usize,
    /// What stands behind the fence.
    info: &'a str,
    lines: Vec<&'a str>,
}

#[test]
fn the_guides_commands_do_what_it_says() {
    let guide =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugin-author-guide.md")).unwrap();
    let blocks = blocks(&guide);
    assert!(blocks.iter().filter(|block| block.info.starts_with("console")).count() > 5, "the guide has no commands");
    if !builds_guests() {
        let _ = std::io::stderr().write_all(b"SKIPPED the author's guide: this machine has no wasm target.\n");
        return;
    }
    let desk = Desk::new().unwrap();
    for block in &blocks {
        match desk.follow(block) {
            Err(error) if block.info.contains("needs=") && format!("{error:#}").contains("getting ") => {
                let skipped = format!("SKIPPED line {} of the author's guide: {error:#}\n", block.line);
                let _ = std::io::stderr().write_all(skipped.as_bytes());
            }
            followed => followed.with_context(|| format!("line {} of the guide", block.line)).unwrap(),
        }
    }
}

#[test]
fn what_a_block_shows_is_compared() {
    let fits = |shown: &[&str], printed: &str| compare(shown, printed).is_ok();
    assert!(fits(&["a", "…", "b c"], "a\nx\ny\nb c\nend"));
    assert!(fits(&["open …error"], "  open /x   error"));
    assert!(fits(&["…1 passed…"], "running\ntest result: ok. 1 passed; 0 failed"));
    assert!(!fits(&["a", "b"], "b\na"));
    assert!(!fits(&["a"], "ab"));
    assert!(!fits(&["a…c"], "ab"));
}

/// Whether the compiler has what guests need; what this machine would have to get first is not for a test to get.
fn builds_guests() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let Ok(output) = Command::new(rustc).args(["--print", "sysroot"]).output() else { return false };
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let libraries = sysroot.join("lib/rustlib");
    libraries.join("wasm32-unknown-unknown/lib").is_dir() || libraries.join("src/rust/library/core").is_dir()
}

fn blocks(guide: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut is_open = false;
    for (number, line) in (1..).zip(guide.lines()) {
        match (line.strip_prefix("```"), is_open) {
            (Some(info), false) => blocks.push(Block { line: number, info, lines: Vec::new() }),
            (None, true) => blocks.last_mut().unwrap().lines.push(line),
            (_, false) => continue,
            (Some(_), true) => {}
        }
        is_open = is_open != line.starts_with("```");
    }
    blocks
}

/// Where the guide is followed: at the same place each time, so that what it compiles is compiled from the start only
/// once.
struct Desk {
    folder: PathBuf,
    path: std::ffi::OsString,
    _site: Site,
}

impl Desk {
    fn new() -> Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("author-guide");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let programs = folder.join(".bin");
        fs::create_dir_all(&programs)?;
        // An administrator is where `site.toml` is, or says where it is; here each command does.
        let site = Site::start(programs!(), &sample().join("suites.toml"))?;
        let config = site.folder().join("site.toml");
        let farrier = programs.join("farrier");
        fs::write(
            &farrier,
            format!("#!/bin/sh\nexec '{}' --config '{}' \"$@\"\n", programs!().farrier, config.display()),
        )?;
        fs::set_permissions(&farrier, fs::Permissions::from_mode(0o755))?;
        let others = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&others)))?;
        Ok(Self { folder, path, _site: site })
    }

    fn follow(&self, block: &Block<'_>) -> Result<()> {
        let named = |key: &str| block.info.split(' ').find_map(|word| word.strip_prefix(key));
        let text = block.lines.join("\n");
        if let Some(name) = named("file=") {
            let file = self.read(name)?;
            ensure!(file.contains(&text), "{name} does not have what the guide says it has:\n{file}");
        }
        if let Some(name) = named("append=") {
            fs::write(self.folder.join(name), self.read(name)? + "\n" + &text + "\n")?;
        }
        if block.info.split(' ').next() != Some("console") {
            return Ok(());
        }
        let mut lines = block.lines.iter().peekable();
        while let Some(line) = lines.next() {
            let Some(command) = line.strip_prefix("$ ") else { bail!("`{line}` belongs to no command") };
            let mut shown = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                shown.push(*line);
            }
            let printed = self.run(command)?;
            compare(&shown, &printed).with_context(|| format!("`{command}` printed\n{printed}"))?;
        }
        Ok(())
    }

    fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.folder.join(name)).with_context(|| format!("reading {name}"))
    }

    /// What the command prints; progress does not count.
    fn run(&self, command: &str) -> Result<String> {
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(&self.folder)
            .env("PATH", &self.path)
            .env("CARGO_TARGET_DIR", self.folder.with_extension("target"))
            .stdin(Stdio::null())
            .output()?;
        let printed = String::from_utf8(output.stdout)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`{command}` failed with {}:\n{printed}\n{errors}", output.status);
        Ok(printed)
    }
}

/// Whether the shown lines are among the printed ones, in this order.
fn compare(shown: &[&str], printed: &str) -> Result<()> {
    let mut lines = printed.lines();
    for wanted in shown {
        ensure!(lines.any(|line| fits(wanted.trim(), line.trim())), "`{wanted}` is not printed where it should be");
    }
    Ok(())
}

/// Whether a line is this pattern. How wide a column is does not matter.
fn fits(pattern: &str, line: &str) -> bool {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (pattern, line) = (squeeze(pattern), squeeze(line));
    let mut parts = pattern.split('…').map(str::trim);
    let Some(first) = parts.next() else { return false };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        // It has to go to the end, unless the pattern ends in `…`.
        Some(last) => last.is_empty() || rest.is_empty() || line.ends_with(last),
        None => rest.is_empty(),
    }
}
