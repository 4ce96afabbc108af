//! The package lists that apt has on this machine, read through apt's own tools.

use super::Package;
use std::process::Command;

/// The native architecture and the packages of all suites, if this is a Debian with package lists.
pub fn packages() -> Option<(String, Vec<Package>)> {
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned();
    let targets = ["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"];
    let mut packages = Vec::new();
    for file in output(Command::new("apt-get").args(targets))?.lines() {
        let text = output(Command::new("/usr/lib/apt/apt-helper").arg("cat-file").arg(file))?;
        read(text.lines(), &mut packages);
    }
    (!packages.is_empty()).then_some((architecture, packages))
}

fn output(command: &mut Command) -> Option<String> {
    String::from_utf8(command.output().ok()?.stdout).ok()
}

/// The packages of one `Packages` file: stanzas of `Field: value`, an empty line behind each.
fn read<'a>(lines: impl Iterator<Item = &'a str>, packages: &mut Vec<Package>) {
    let (mut name, mut version, mut source, mut all) = (None, None, None, false);
    for line in lines.chain([""]) {
        match line.split_once(": ") {
            Some(("Package", value)) => name = Some(value.to_owned()),
            Some(("Version", value)) => version = Some(value.to_owned()),
            Some(("Source", value)) => source = Some(value.to_owned()),
            Some(("Architecture", value)) => all = value == "all",
            None if line.is_empty() => {
                if let (Some(name), Some(version)) = (name.take(), version.take()) {
                    packages.push(package(name, version, source.take(), all));
                }
            }
            _ => {}
        }
    }
}

// `Source: glibc (2.36-9)`; without one, or without a version, they are the package's own.
fn package(name: String, version: String, source: Option<String>, all: bool) -> Package {
    let source = source.unwrap_or_else(|| name.clone());
    let (source, source_version) = match source.split_once(" (") {
        Some((source, version)) => (source.to_owned(), version.trim_end_matches(')').to_owned()),
        None => (source, version.clone()),
    };
    Package { source, source_version, name, version, all }
}
