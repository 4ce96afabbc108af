//! What is made of a Debian root's own apt configuration.

use super::Site;
use anyhow::Result;
use farrier::config::SuiteConfig;
use farrier::sync::debian::apt_sources::{AptSuites, suites_of_apt};
use farrier_test_harness::mirror::{ArchiveKey, Deb, Mirror};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use tempfile::TempDir;

const OS_RELEASE: &str = "PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n";
const STATUS: &str = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n";

struct Root {
    folder: PathBuf,
    _removed_at_the_end: TempDir,
}

impl Root {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = Self { folder: folder.path().canonicalize()?, _removed_at_the_end: folder };
        root.write("/etc/os-release", OS_RELEASE)?;
        root.write("/var/lib/dpkg/status", STATUS)?;
        root.write("/etc/apt/trusted.gpg.d/archive.asc", "a keyring")?;
        Ok(root)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, content: &str) -> Result<()> {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        Ok(std::fs::write(path, content)?)
    }

    fn suites(&self) -> Result<AptSuites> {
        suites_of_apt(&self.folder)
    }

    fn suites_of(&self, sources: &str) -> Result<AptSuites> {
        self.write("/etc/apt/sources.list", sources)?;
        self.suites()
    }
}

fn summary(suite: &SuiteConfig) -> String {
    let SuiteConfig { name, mirror, suite, components, architectures, .. } = suite;
    format!("{name} = {mirror} {suite} {} [{}]", components.join(","), architectures.join(","))
}

fn summaries(found: &AptSuites) -> Vec<String> {
    found.suites.iter().map(summary).collect()
}

#[test]
fn both_formats_are_read_in_apts_order() -> Result<()> {
    let root = Root::new()?;
    root.write(
        "/etc/apt/sources.list",
        "# Debian\ndeb http://deb.example.org/debian/ bookworm main contrib # comment\n\n",
    )?;
    root.write("/etc/apt/sources.list.d/z.list", "deb-src http://deb.example.org/debian bookworm main\n")?;
    root.write(
        "/etc/apt/sources.list.d/debian.sources",
        "Types: deb deb-src\nURIs: http://deb.example.org/debian\n# commented\nSuites: bookworm-updates\n \
         bookworm-backports\nComponents: main\n\n\nEnabled: no\nTypes: deb\nURIs: http://a.example.org\nSuites: x\n\
         Components: main\n\nTypes: deb-src\nURIs: http://b.example.org\nSuites: x\nComponents: main\n",
    )?;
    for ignored in ["old.list.save", "x.sources.disabled", ".hidden.list", "spa ce.list"] {
        root.write(&format!("/etc/apt/sources.list.d/{ignored}"), "deb http://evil.example.org evil main\n")?;
    }
    let found = root.suites()?;
    assert_eq!(
        summaries(&found),
        [
            "bookworm = http://deb.example.org/debian bookworm main,contrib [amd64]",
            "bookworm-updates = http://deb.example.org/debian bookworm-updates main [amd64]",
            "bookworm-backports = http://deb.example.org/debian bookworm-backports main [amd64]",
        ]
    );
    assert_eq!(found.warnings, [""; 0]);
    let suite = &found.suites[0];
    assert_eq!((suite.distribution.as_str(), suite.release.as_str()), ("debian", "bookworm"));
    assert_eq!(suite.keyrings, [root.path("/etc/apt/trusted.gpg.d/archive.asc")]);
    Ok(())
}

#[test]
fn options_of_a_line_are_understood() -> Result<()> {
    let root = Root::new()?;
    root.write("/var/lib/dpkg/arch", "amd64\ni386\n")?;
    let found = root.suites_of(
        "deb [ arch=i386,amd64 signed-by=/usr/share/keyrings/a.gpg,/b.asc check-valid-until=no ] http://a.example.org a main\n\
         deb [arch-=i386] http://b.example.org b main\n\
         deb\t[lang=none]\thttp://c.example.org\tc\tmain\n\
         deb http://d.example.org dists/$(ARCH)/\n",
    )?;
    assert_eq!(
        summaries(&found),
        [
            "a = http://a.example.org a main [amd64,i386]",
            "b = http://b.example.org b main [amd64]",
            "c = http://c.example.org c main [amd64,i386]",
            "dists_amd64 = http://d.example.org dists/amd64/  [amd64,i386]",
        ]
    );
    assert_eq!(found.suites[0].keyrings, [root.path("/usr/share/keyrings/a.gpg"), root.path("/b.asc")]);
    assert_eq!(found.suites.iter().map(|suite| suite.check_valid_until).collect::<Vec<_>>(), [false, true, true, true]);
    Ok(())
}

#[test]
fn what_cannot_be_followed_is_left_out_with_its_line() -> Result<()> {
    let root = Root::new()?;
    let found = root.suites_of(
        "deb cdrom:[Debian GNU/Linux 12 _Bookworm_]/ bookworm main\n\
         deb mirror+file:/etc/apt/mirrors bookworm main\n\
         deb [trusted=yes] file:/srv/local ./\n\
         deb [signed-by http://a.example.org a main\n\
         deb http://b.example.org\n\
         deb http://c.example.org bookworm\n\
         deb http://d.example.org ./ main\n\
         deb http://good.example.org bookworm main\n",
    )?;
    assert_eq!(summaries(&found), ["bookworm = http://good.example.org bookworm main [amd64]"]);
    let lines: Vec<&str> =
        found.warnings.iter().filter_map(|warning| warning.split_once(": ")).map(|(at, _)| at).collect();
    assert_eq!(lines, (1..=7).map(|line| format!("/etc/apt/sources.list, line {line}")).collect::<Vec<_>>());
    for (warning, words) in found.warnings.iter().zip([
        "cdrom: is neither http:, https: nor file:",
        "mirror+file:/etc/apt/mirrors lists no http: or https: mirror",
        "trusted=yes without a key",
        "no end",
        "names no suite",
        "a suite needs components",
        "a flat repository has none",
    ]) {
        assert!(warning.contains(words), "{warning}");
    }
    Ok(())
}

#[test]
fn of_a_list_of_mirrors_the_first_is_taken() -> Result<()> {
    let root = Root::new()?;
    root.write(
        "/etc/apt/mirrors/debian.list",
        "# ours\n\nhttps://one.example.org/debian/\tpriority:1\nhttp://two.example.org\n",
    )?;
    let found = root.suites_of("deb mirror+file:///etc/apt/mirrors/debian.list bookworm main\n")?;
    assert_eq!(summaries(&found), ["bookworm = https://one.example.org/debian bookworm main [amd64]"]);
    Ok(())
}

#[test]
fn a_root_that_trusts_nothing_falls_back_to_the_archives_keyring() -> Result<()> {
    let root = Root::new()?;
    std::fs::remove_dir_all(root.path("/etc/apt/trusted.gpg.d"))?;
    let found = root.suites_of("deb http://a.example.org bookworm main\n")?;
    assert_eq!(found.suites, []);
    assert!(found.warnings[0].contains("no keyring verifies it"), "{:?}", found.warnings);

    root.write("/usr/share/keyrings/debian-archive-keyring.pgp", "a keyring")?;
    symlink(
        "/usr/share/keyrings/debian-archive-keyring.pgp",
        root.path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    )?;
    let found = root.suites()?;
    assert_eq!(found.suites[0].keyrings, [root.path("/usr/share/keyrings/debian-archive-keyring.pgp")]);
    Ok(())
}

#[test]
fn names_are_those_of_the_suites_and_unique() -> Result<()> {
    let root = Root::new()?;
    let found = root.suites_of(
        "deb http://a.example.org/debian bookworm main\n\
         deb http://b.example.org/x bookworm stable\n\
         deb http://b.example.org/y bookworm stable\n\
         deb http://a.example.org/debian bookworm contrib main\n\
         deb http://a.example.org/security buster/updates main\n\
         deb http://a.example.org/flat ./\n\
         deb file:/srv/local/ ./\n",
    )?;
    assert_eq!(
        summaries(&found),
        [
            "bookworm = http://a.example.org/debian bookworm main,contrib [amd64]",
            "bookworm-b.example.org = http://b.example.org/x bookworm stable [amd64]",
            "bookworm-b.example.org-2 = http://b.example.org/y bookworm stable [amd64]",
            "buster_updates = http://a.example.org/security buster/updates main [amd64]",
            "a.example.org = http://a.example.org/flat ./  [amd64]",
            "local = file:///srv/local ./  [amd64]",
        ]
    );
    assert_eq!(root.suites()?.suites, found.suites);
    Ok(())
}

#[test]
fn a_root_says_what_it_is() -> Result<()> {
    let root = Root::new()?;
    root.write("/etc/apt/sources.list", "deb http://a.example.org bookworm main\n")?;
    std::fs::remove_file(root.path("/etc/os-release"))?;
    root.write("/usr/lib/os-release", "ID='linuxmint'\nVERSION_ID=\"21.3\"\n")?;
    symlink("/usr/lib/os-release", root.path("/etc/os-release"))?;
    let suite = root.suites()?.suites.remove(0);
    assert_eq!((suite.distribution.as_str(), suite.release.as_str()), ("linuxmint", "21.3"));

    for (file, words) in
        [("/var/lib/dpkg/status", "has no /var/lib/dpkg/status"), ("/usr/lib/os-release", "/etc/os-release")]
    {
        std::fs::remove_file(root.path(file))?;
        let error = format!("{:#}", root.suites().unwrap_err());
        assert!(error.contains(words), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_stands_in_the_configuration_verifies_its_suite() -> Result<()> {
    let root = Root::new()?;
    let mirror = Mirror::new()?;
    let key = ArchiveKey::generate()?;
    mirror.suite("bookworm", &key).add(Deb::new("a", "1")).publish()?;
    let block: String =
        key.armored()?.lines().map(|line| format!(" {}\n", if line.is_empty() { "." } else { line })).collect();
    let address = mirror.address();
    root.write(
        "/etc/apt/sources.list.d/a.sources",
        &format!("Types: deb\nURIs: {address}\nSuites: bookworm\nComponents: main\nSigned-By:\n{block}"),
    )?;
    let mut found = root.suites()?;
    assert_eq!((found.keyrings.len(), found.warnings.len()), (1, 0));
    found.write_keyrings(&root.path("/keyrings"))?;
    assert_eq!(Site::new().await?.import(&found.suites[0]).await?.added, 1);
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_named_by_its_fingerprint_verifies_its_suite_alone() -> Result<()> {
    let root = Root::new()?;
    let mirror = Mirror::new()?;
    let (key, other) = (ArchiveKey::generate()?, ArchiveKey::generate()?);
    mirror.suite("good", &key).add(Deb::new("a", "1")).publish()?;
    mirror.suite("other", &other).add(Deb::new("a", "1")).publish()?;
    root.write("/etc/apt/trusted.gpg.d/archive.asc", &[key.armored()?, other.armored()?].concat())?;
    let (address, fingerprint) = (mirror.address(), key.fingerprint());
    let mut found = root.suites_of(&format!(
        "deb [signed-by={fingerprint}] {address} good main\ndeb [signed-by={fingerprint}!] {address} other main\n\
         deb [signed-by=0123456789ABCDEF0123456789ABCDEF01234567] {address} third main\n",
    ))?;
    assert!(found.warnings[0].contains("is in no keyring that apt trusts"), "{:?}", found.warnings);
    found.write_keyrings(&root.path("/keyrings"))?;
    assert_eq!(Site::new().await?.import(&found.suites[0]).await?.added, 1);
    assert!(Site::new().await?.refusal(&found.suites[1]).await?.contains("is in none of the keyrings"));
    Ok(())
}

#[tokio::test]
async fn an_archive_in_a_folder_of_the_root_is_found_there() -> Result<()> {
    let root = Root::new()?;
    let mirror = Mirror::new()?;
    let key = ArchiveKey::generate()?;
    mirror.suite("flat/", &key).add(Deb::new("a", "1")).publish()?;
    std::fs::create_dir_all(root.path("/srv"))?;
    std::fs::rename(mirror.folder().join("flat"), root.path("/srv/my mirror"))?;
    root.write("/etc/apt/trusted.gpg.d/archive.asc", &key.armored()?)?;
    root.write("/etc/apt/sources.list.d/a.sources", "Types: deb\nURIs: file:/srv/mirror\nSuites: ./\n")?;
    symlink("/srv/my mirror", root.path("/srv/mirror"))?;
    assert_eq!(Site::new().await?.import(&root.suites()?.suites[0]).await?.added, 1);
    Ok(())
}
