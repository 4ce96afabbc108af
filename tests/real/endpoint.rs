//! A random endpoint and the archive it uses, full of what is rare: held, half-installed and removed packages, foreign
//! architectures, versions newer than the archive's, packages that change between `all` and an architecture, backports.

use anyhow::Context as _;
use farrier_test_harness::mirror::{ArchiveKey, Deb, Mirror, Suite};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use std::fmt::Write as _;
use std::path::Path;
use tempfile::TempDir;

const PACKAGES: usize = 60;
/// Pieces of versions that are easy to get wrong. No two make versions that are equal but written differently (`1.0` and
/// `0:1.0-0`): apt takes those for different versions.
const EPOCHS: [&str; 4] = ["", "", "", "1:"];
const UPSTREAM: [&str; 12] =
    ["1.0", "1.0~rc1", "1.01", "1.0+dfsg", "1.0a", "1.10", "1.9", "2.36", "1.0.0", "1.0b", "1.0-1", "9.0.1378"];
const REVISIONS: [&str; 9] = ["", "-1", "-1~deb12u1", "-1+b1", "-1+deb12u1", "-10", "-2", "-3", "-1~bpo12+1"];
const STATUSES: [&str; 8] = [
    "install ok installed",
    "install ok installed",
    "install ok installed",
    "hold ok installed",
    "deinstall ok config-files",
    "install reinstreq half-installed",
    "install ok half-configured",
    "install ok triggers-pending",
];

/// A root with dpkg's status and an apt configuration, and the mirror that it names.
pub(crate) struct Endpoint {
    pub(crate) root: TempDir,
    _mirror: Mirror,
}

impl Endpoint {
    pub(crate) fn random(seed: u64) -> anyhow::Result<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let mirror = Mirror::new()?;
        let key = ArchiveKey::generate()?;
        for suite in ["stable", "stable-security", "stable-backports", "experimental"] {
            publish(&mirror, suite, &key, &mut random)?;
        }
        let root = tempfile::tempdir()?;
        for folder in
            ["etc/apt/trusted.gpg.d", "var/lib/dpkg", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"]
        {
            std::fs::create_dir_all(root.path().join(folder))?;
        }
        let write = |file: &str, content: &[u8]| {
            std::fs::write(root.path().join(file), content).with_context(|| format!("{file} cannot be written"))
        };
        write("etc/os-release", b"ID=debian\nVERSION_CODENAME=stable\nPRETTY_NAME=\"Test\"\n")?;
        write("etc/apt/trusted.gpg.d/archive.asc", key.armored()?.as_bytes())?;
        write("var/lib/dpkg/arch", b"amd64\ni386\n")?;
        write("var/lib/dpkg/status", status(&mut random)?.as_bytes())?;
        let mut sources = String::new();
        for suite in ["stable", "stable-security", "stable-backports", "experimental"] {
            writeln!(sources, "deb {} {suite} main", mirror.address())?;
        }
        write("etc/apt/sources.list", sources.as_bytes())?;
        Ok(Self { root, _mirror: mirror })
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }
}

fn publish(mirror: &Mirror, name: &str, key: &ArchiveKey, random: &mut StdRng) -> anyhow::Result<()> {
    let mut suite = mirror.suite(name, key);
    suite.field("Architectures", "amd64 i386").field("Suite", name);
    if matches!(name, "stable-backports" | "experimental") {
        suite.field("NotAutomatic", "yes");
    }
    if name == "stable-backports" {
        suite.field("ButAutomaticUpgrades", "yes");
    }
    for number in 0..PACKAGES {
        // Not every suite has every package, and some have two versions.
        for _ in 0..[0, 1, 1, 2].choose(random).copied().unwrap_or_default() {
            add(&mut suite, name, &format!("package{number}"), random);
        }
    }
    suite.publish()
}

fn add(suite: &mut Suite, suite_name: &str, name: &str, random: &mut StdRng) {
    let source = format!("source{}", random.random_range(0..PACKAGES / 2));
    let (version, source_version) = (version(random), version(random));
    let architecture = architecture_of(&version);
    let package = Deb::new(name, &version).with("Source", &format!("{source} ({source_version})"));
    let package = package.with("Architecture", architecture);
    match architecture {
        "all" => {
            suite.add_to("amd64", package.clone()).add_to("i386", package);
        }
        // What a foreign architecture finds in backports is decided as for an endpoint of that architecture, where the
        // ordinary suites' packages of architecture `all` count; apt does not count them there. Nobody has that.
        "i386" if matches!(suite_name, "stable-backports" | "experimental") => {}
        architecture => {
            suite.add_to(architecture, package);
        }
    }
}

/// An archive has a version of a package once. (apt takes two of the same version and different content for different
/// versions, Farrier does not.)
fn architecture_of(version: &str) -> &'static str {
    ["amd64", "i386", "all", "amd64"][version.bytes().map(usize::from).sum::<usize>() % 4]
}

/// dpkg's status: the native and sometimes the foreign architecture of each package.
fn status(random: &mut StdRng) -> anyhow::Result<String> {
    let mut text =
        String::from("Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\n\n");
    for number in 0..PACKAGES {
        if random.random_bool(0.2) {
            continue;
        }
        let foreign = random.random_bool(0.3).then(|| pick(random, &["i386", "i386", "arm64"]));
        for foreign in std::iter::once(None).chain(foreign.map(Some)) {
            let (status, mut version) = (pick(random, &STATUSES), version(random));
            // What dpkg left unfinished is required again by Farrier, and apt says nothing: no archive has that version.
            if !["installed", "not-installed", "config-files"].iter().any(|word| status.ends_with(&format!(" {word}")))
            {
                version.push_str("+unfinished");
            }
            let native = if architecture_of(&version) == "all" { "all" } else { "amd64" };
            let architecture = foreign.unwrap_or(native);
            writeln!(
                text,
                "Package: package{number}\nStatus: {status}\nArchitecture: {architecture}\nVersion: {version}\n"
            )?;
        }
    }
    Ok(text)
}

fn version(random: &mut StdRng) -> String {
    let (epoch, upstream) = (pick(random, &EPOCHS), pick(random, &UPSTREAM));
    format!("{epoch}{upstream}{}", pick(random, &REVISIONS))
}

fn pick<'a>(random: &mut StdRng, among: &[&'a str]) -> &'a str {
    among.choose(random).copied().unwrap_or_default()
}
