//! A root with nothing but dpkg's database, and this machine's dpkg at work on it.

use farrier_plugin_dpkg_installer::DpkgInstaller;
use farrier_plugin_sdk::{
    Change, Error, Exit, Facts as _, FakeBlob, FakeEndpoint, FakeRoot, FolderRoot, Installer, Options, Outcome, Ran,
    Update,
};
use farrier_test_harness::package::Package;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Called before a program runs.
type Before = Box<dyn FnMut(&Path, &Ran) + Send>;

/// A root in which nothing but dpkg's database is.
pub struct Debian {
    pub root: TempDir,
    before: Arc<Mutex<Before>>,
}

impl Debian {
    /// A root with these packages.
    pub fn with(packages: &[Package]) -> Self {
        let debian = Self { root: tempfile::tempdir().unwrap(), before: Arc::new(Mutex::new(Box::new(|_, _| {}))) };
        let database = debian.path("/var/lib/dpkg");
        for folder in ["info", "updates", "triggers"] {
            fs::create_dir_all(database.join(folder)).unwrap();
        }
        fs::write(database.join("status"), "").unwrap();
        // What this architecture is, dpkg says of itself.
        let dpkg = Package::new("dpkg", "1.21").architecture(&native());
        let archives: Vec<_> = packages.iter().chain([&dpkg]).map(archive).collect();
        let exit = run(debian.root.path(), &["--install"], &archives);
        assert_eq!(exit.status, Some(0), "{}", exit.error_output);
        debian
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// What is done from now on before a program runs.
    pub fn before(&self, deed: impl FnMut(&Path, &Ran) + Send + 'static) {
        *self.before.lock().unwrap() = Box::new(deed);
    }

    /// `2.0 install ok installed`, of a package.
    pub fn state(&self, name: &str) -> String {
        let status = self.read("/var/lib/dpkg/status");
        let stanza = status.split("\n\n").find(|stanza| stanza.lines().any(|line| line == format!("Package: {name}")));
        let field = |name: &str| stanza.unwrap_or_default().lines().find_map(|line| line.strip_prefix(name));
        format!("{} {}", field("Version: ").unwrap_or("none"), field("Status: ").unwrap_or("none"))
    }

    /// The facts the plugin reads.
    pub fn facts(&self) -> FakeRoot {
        facts(self.root.path())
    }

    pub fn endpoint(&self) -> FakeEndpoint {
        let (root, before) = (self.root.path().to_owned(), Arc::clone(&self.before));
        FakeEndpoint::new(facts(&root)).with_programs(move |ran, fake| {
            before.lock().unwrap()(&root, ran);
            let exit = match ran.program.as_str() {
                "/usr/bin/dpkg" => {
                    let options: Vec<_> = ran.arguments.iter().filter(|argument| !argument.starts_with('{')).collect();
                    run(&root, &options.iter().map(|option| option.as_str()).collect::<Vec<_>>(), &ran.blobs)
                }
                _ => fields(ran),
            };
            *fake = facts(&root);
            exit
        })
    }

    pub fn plan(&self, packages: &[Package]) -> Result<Vec<Change>, Error> {
        let (update, blobs) = update(packages);
        DpkgInstaller::plan(&self.endpoint(), &update, &(), &FakeBlob::as_blobs(&blobs), &Options::default())
    }

    pub fn install(&self, packages: &[Package]) -> Result<Outcome, Error> {
        let (update, blobs) = update(packages);
        let options = Options::default();
        DpkgInstaller::install(&self.endpoint(), &update, &(), &FakeBlob::as_blobs(&blobs), &options)
    }

    pub fn roll_back(&self, packages: &[Package]) -> Result<Outcome, Error> {
        let (update, blobs) = update(packages);
        DpkgInstaller::roll_back(&self.endpoint(), &update, &(), &FakeBlob::as_blobs(&blobs))
    }
}

fn native() -> String {
    let output = Command::new("dpkg").arg("--print-architecture").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The facts the plugin reads.
fn facts(root: &Path) -> FakeRoot {
    let folder = FolderRoot::new(root);
    let journal = folder.list_folder("/var/lib/dpkg/updates").unwrap_or_default();
    let journal = journal.iter().map(|name| format!("/var/lib/dpkg/updates/{name}"));
    let files =
        journal.chain(["/var/lib/dpkg/status", "/run/reboot-required", "/run/reboot-required.pkgs"].map(str::to_owned));
    files.fold(FakeRoot::new(), |facts, path| match folder.read_file(&path) {
        Ok(content) => facts.with_file(&path, content),
        Err(_) => facts,
    })
}

pub fn archive(package: &Package) -> FakeBlob {
    let folder = tempfile::tempdir().unwrap();
    let built = package.build(folder.path()).unwrap();
    FakeBlob::new(&built.label, fs::read(built.path).unwrap())
}

pub fn update(packages: &[Package]) -> (Update, Vec<FakeBlob>) {
    let blobs: Vec<_> = packages.iter().map(archive).collect();
    let (name, contents) = ("suite/foo/2.0".to_owned(), blobs.iter().map(FakeBlob::entry).collect());
    (Update { name, instructions: Vec::new(), contents, previous: Vec::new() }, blobs)
}

/// Runs dpkg in a root, without leaving it for its scripts: there is no shell inside.
pub fn run(root: &Path, options: &[&str], archives: &[FakeBlob]) -> Exit {
    let folder = tempfile::tempdir().unwrap();
    let files = archives.iter().map(|archive| {
        let path = folder.path().join(archive.label());
        fs::write(&path, archive.bytes()).unwrap();
        path
    });
    let files: Vec<_> = files.collect();
    let mut command = dpkg();
    command.arg("--root").arg(root).args(["--force-not-root", "--force-script-chrootless"]).args(options).args(files);
    exit(&mut command)
}

pub fn fields(ran: &Ran) -> Exit {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(ran.blobs[0].label());
    fs::write(&path, ran.blobs[0].bytes()).unwrap();
    exit(Command::new("dpkg-deb").arg("--field").arg(path).args(&ran.arguments[2..]))
}

/// dpkg, as somebody who may give files to root.
fn dpkg() -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if is_root {
        return Command::new("dpkg");
    }
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "dpkg"]);
    command
}

fn exit(command: &mut Command) -> Exit {
    command.env("LC_ALL", "C.UTF-8").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).output().unwrap();
    Exit {
        status: output.status.code(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        error_output: String::from_utf8_lossy(&output.stderr).into_owned(),
        timed_out: false,
    }
}

pub fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().message().to_owned()
}
