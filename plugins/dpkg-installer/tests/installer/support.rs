//! Debian endpoints in memory, with a dpkg that does what a test says.

use farrier_plugin_dpkg_installer::DpkgInstaller;
use farrier_plugin_sdk::{
    Change, Entry, Error, Exit, Facts, FakeBlob, FakeEndpoint, FakeRoot, Installer, Options, Outcome, Ran, Selection,
    Update,
};

pub const STATUS: &str = "/var/lib/dpkg/status";

/// The stanza of an installed package, with more fields.
pub fn installed(name: &str, version: &str, more: &str) -> String {
    stanza(name, version, "install ok installed", more)
}

/// The stanza of a package in this state, with more fields.
pub fn stanza(name: &str, version: &str, status: &str, more: &str) -> String {
    let architecture = if more.contains("Architecture:") { "" } else { "Architecture: amd64\n" };
    format!("Package: {name}\nStatus: {status}\nVersion: {version}\n{architecture}{more}\n")
}

/// A bookworm of amd64 with these stanzas beside dpkg's.
pub fn bookworm(stanzas: &[String]) -> FakeRoot {
    FakeRoot::new().with_file(STATUS, installed("dpkg", "1.21.22", "Essential: yes\n") + &stanzas.concat())
}

/// A package of an update, for amd64 if the other fields do not say otherwise. A fake archive is its own control file.
pub fn deb(name: &str, version: &str, more: &str) -> FakeBlob {
    let architecture = more.lines().find_map(|line| line.strip_prefix("Architecture: ")).unwrap_or("amd64");
    let more: String = more
        .lines()
        .filter(|line| !line.starts_with("Architecture: "))
        .fold(String::new(), |text, line| text + line + "\n");
    let label = format!("{name}_{}_{architecture}.deb", version.replace(':', "%3a"));
    FakeBlob::new(&label, format!("Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n{more}"))
}

/// An update of these packages.
pub fn update(contents: &[FakeBlob], previous: &[FakeBlob]) -> Update {
    Update {
        name: "bookworm-security/foo/2.0".to_owned(),
        instructions: Vec::new(),
        contents: contents.iter().map(FakeBlob::entry).collect(),
        previous: previous.iter().map(FakeBlob::entry).collect(),
    }
}

/// The labels that are selected of an update: to install, and to roll back.
pub fn selected(root: &FakeRoot, contents: &[FakeBlob], previous: &[FakeBlob]) -> (Vec<String>, Vec<String>) {
    let update = update(contents, previous);
    let Selection { contents, previous } = DpkgInstaller::select(root, &update, &()).unwrap();
    let label = |entries: &[Entry], position: u32| entries[position as usize].label.clone();
    (
        contents.into_iter().map(|position| label(&update.contents, position)).collect(),
        previous.into_iter().map(|position| label(&update.previous, position)).collect(),
    )
}

/// An endpoint whose dpkg works: it installs what it is given, and finishes what is unfinished.
pub fn endpoint(root: FakeRoot) -> FakeEndpoint {
    endpoint_where(root, |_, _| None)
}

/// The same, but first the test is asked how a program ends.
pub fn endpoint_where(
    root: FakeRoot,
    mut first: impl FnMut(&Ran, &mut FakeRoot) -> Option<Exit> + Send + 'static,
) -> FakeEndpoint {
    FakeEndpoint::new(root).with_programs(move |ran, root| first(ran, root).unwrap_or_else(|| work(ran, root)))
}

/// What dpkg does where nothing is wrong.
pub fn work(ran: &Ran, root: &mut FakeRoot) -> Exit {
    if ran.program == "/usr/bin/dpkg-deb" {
        return Exit::successful(String::from_utf8_lossy(ran.blobs[0].bytes()));
    }
    if !ran.arguments.contains(&"--simulate".to_owned()) {
        ran.blobs.iter().for_each(|blob| put(root, blob, "install ok installed"));
        finish(root);
    }
    Exit::successful("")
}

/// Makes the package of an archive the installed one, in this state.
pub fn put(root: &mut FakeRoot, blob: &FakeBlob, status: &str) {
    let control = String::from_utf8_lossy(blob.bytes()).into_owned();
    let line = |text: &str, name: &str| text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    let key = |text: &str| (line(text, "Package: "), line(text, "Architecture: "));
    let text = root.read_text(STATUS).unwrap();
    let others = text.split("\n\n").filter(|stanza| !stanza.trim().is_empty() && key(stanza) != key(&control));
    let mut stanzas: Vec<String> = others.map(|stanza| format!("{}\n\n", stanza.trim())).collect();
    stanzas.push(format!("Status: {status}\n{}\n\n", control.trim()));
    *root = root.clone().with_file(STATUS, stanzas.concat());
}

/// Finishes what is unfinished.
pub fn finish(root: &mut FakeRoot) {
    let mut text = root.read_text(STATUS).unwrap();
    for word in ["half-configured", "unpacked", "triggers-pending"] {
        text = text.replace(&format!("ok {word}"), "ok installed");
    }
    *root = root.clone().with_file(STATUS, text);
}

pub fn plan(endpoint: &FakeEndpoint, contents: &[FakeBlob], removals: bool) -> Result<Vec<Change>, Error> {
    let options = Options { allow_removals: removals, ..Options::default() };
    DpkgInstaller::plan(endpoint, &update(contents, &[]), &(), &FakeBlob::as_blobs(contents), &options)
}

/// A plan as lines: `upgrade foo: 1.0 to 2.0`.
pub fn plan_lines(root: FakeRoot, contents: &[FakeBlob]) -> Vec<String> {
    let changes = plan(&endpoint(root), contents, false).unwrap();
    changes.iter().map(|change| format!("{} {}: {}", change.action, change.subject, change.detail)).collect()
}

/// Why a plan is refused.
pub fn refusal(root: FakeRoot, contents: &[FakeBlob]) -> String {
    plan(&endpoint(root), contents, false).unwrap_err().message().to_owned()
}

pub fn install(endpoint: &FakeEndpoint, contents: &[FakeBlob]) -> Result<Outcome, Error> {
    let options = Options::default();
    DpkgInstaller::install(endpoint, &update(contents, &[]), &(), &FakeBlob::as_blobs(contents), &options)
}

pub fn roll_back(endpoint: &FakeEndpoint, contents: &[FakeBlob], previous: &[FakeBlob]) -> Result<Outcome, Error> {
    DpkgInstaller::roll_back(endpoint, &update(contents, previous), &(), &FakeBlob::as_blobs(previous))
}

/// The runs of dpkg that change something, as lines without what they all have.
pub fn deeds(endpoint: &FakeEndpoint) -> Vec<String> {
    let common = "DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 /usr/bin/dpkg --force-confdef --force-confold ";
    let lines = endpoint.ran_lines();
    let dpkg = lines.iter().filter(|line| !line.starts_with("/usr/bin/dpkg-deb "));
    dpkg.map(|line| line.strip_prefix(common).unwrap().to_owned()).filter(|line| !line.contains("--simulate")).collect()
}
