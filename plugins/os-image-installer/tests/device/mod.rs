//! A device with two slots and a boot loader, in memory. It starts as the boot loaders do that the plugin knows, and
//! what it starts has to be a whole image.

use farrier_plugin_os_image_installer::OsImageInstaller;
use farrier_plugin_sdk::{
    Change, Error, Exit, Facts, FakeBlob, FakeEndpoint, FakeRoot, Installer, Json, Options, Outcome, Ran,
    RestartSubject, Rule, Update,
};

pub const A: &str = "/dev/mmcblk0p2";
pub const B: &str = "/dev/mmcblk0p3";
const ENVIRONMENT: &str = "/uboot.env";
pub const GRUBENV: &str = "/boot/grub/grubenv";
pub const SLOT_ENV: &str = "/boot/slot.env";

/// More than one piece of writing.
const IMAGE_BYTES: usize = 1280 * 1024;
const SLOT_BYTES: usize = 1536 * 1024;

/// Starts after which a boot loader gives up on a slot.
const ATTEMPTS: u32 = 3;

/// How a device starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    UBootOrder,
    UBootCount,
    GrubOrder,
    File,
}

pub const SCHEMES: [Scheme; 4] = [Scheme::UBootOrder, Scheme::UBootCount, Scheme::GrubOrder, Scheme::File];

impl Scheme {
    fn switch(self) -> &'static str {
        match self {
            Self::UBootOrder => r#"{"u-boot-order":{}}"#,
            Self::UBootCount => r#"{"u-boot-count":{"variable":"boot_part"}}"#,
            Self::GrubOrder => r#"{"grub-order":{}}"#,
            Self::File => r#"{"file":{"path":"/boot/slot.env"}}"#,
        }
    }

    /// What the boot loader calls a slot.
    pub fn mark(self, slot: char) -> &'static str {
        match (self, slot) {
            (Self::UBootCount, 'A') => "2",
            (Self::UBootCount, _) => "3",
            (_, 'A') => "A",
            _ => "B",
        }
    }
}

/// A device that is running.
#[derive(Clone)]
pub struct Device {
    pub scheme: Scheme,
    pub root: FakeRoot,
    /// What `active` says in the instructions.
    pub active: &'static str,
    /// Whether new images do not start.
    pub is_broken: bool,
}

/// The image of a version.
pub fn image(version: &str) -> Vec<u8> {
    let line = format!("image {version}\n");
    line.bytes().cycle().take(IMAGE_BYTES).collect()
}

/// What is in a slot, if it is a whole image.
fn version_in(slot: &[u8]) -> Option<String> {
    let end = slot.iter().position(|byte| *byte == b'\n')?;
    let version = str::from_utf8(&slot[..end]).ok()?.strip_prefix("image ")?.to_owned();
    slot.starts_with(&image(&version)).then_some(version)
}

fn slot(version: &str) -> Vec<u8> {
    let mut slot = image(version);
    slot.resize(SLOT_BYTES, 0);
    slot
}

/// The programs of U-Boot.
fn programs(ran: &Ran, root: &mut FakeRoot) -> Exit {
    let folders = ["/usr/bin/", "/usr/sbin/"];
    let program = folders.iter().find_map(|folder| ran.program.strip_prefix(folder)).unwrap_or_default();
    match (program, ran.arguments.as_slice()) {
        ("fw_printenv", [name]) => match variable(root, name) {
            Some(value) => Exit::successful(format!("{name}={value}\n")),
            None => Exit::failed(1, format!("## Error: \"{name}\" not defined\n")),
        },
        ("fw_setenv", [name, value]) => {
            set_variable(root, name, value);
            Exit::successful("")
        }
        _ => Exit::failed(127, format!("not granted: {ran}")),
    }
}

fn variable(root: &FakeRoot, name: &str) -> Option<String> {
    let text = root.read_text(ENVIRONMENT).unwrap();
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

fn set_variable(root: &mut FakeRoot, name: &str, value: &str) {
    let text = root.read_text(ENVIRONMENT).unwrap();
    let rest = text.lines().filter(|line| line.split('=').next() != Some(name)).map(|line| format!("{line}\n"));
    let text: String = rest.chain([format!("{name}={value}\n")]).collect();
    *root = root.clone().with_file(ENVIRONMENT, text);
}

impl Device {
    /// A device that runs 2026.10 from slot A. In slot B there is an older image.
    pub fn new(scheme: Scheme) -> Self {
        let block = "# GRUB Environment Block\nsaved_entry=0\nORDER=A B\nA_OK=1\nA_TRY=0\nB_OK=1\nB_TRY=0\n";
        let root = FakeRoot::new()
            .with_device(A, slot("2026.10"))
            .with_device(B, slot("2026.9"))
            .with_file("/etc/hardware", "gateway-a\n")
            .with_file(ENVIRONMENT, "bootlimit=3\nboot_part=2\nbootdelay=1\n")
            .with_file(GRUBENV, format!("{block}{}", "#".repeat(1024 - block.len())))
            .with_file(SLOT_ENV, "A\n");
        let active = if scheme == Scheme::UBootCount { r#"{"cmdline":"root"}"# } else { r#"{"cmdline":"rauc.slot"}"# };
        let mut device = Self { scheme, root, active, is_broken: false };
        device.boot();
        assert_eq!(device.running(), "2026.10");
        device
    }

    /// The same, with U-Boot's boot count limit, where `active` names the variable that chooses the slot.
    pub fn by_variable() -> Self {
        Self { active: r#"{"u-boot":"boot_part"}"#, ..Self::new(Scheme::UBootCount) }
    }

    /// One of each kind.
    pub fn all() -> Vec<Self> {
        SCHEMES.map(Self::new).into_iter().chain([Self::by_variable()]).collect()
    }

    pub fn instructions(&self, version: &str) -> String {
        let (scheme, active) = (self.scheme, self.active);
        let (a, b, switch) = (scheme.mark('A'), scheme.mark('B'), scheme.switch());
        format!(
            r#"{{"image":"gateway","version":"{version}","version_file":"/etc/image-version","content":"gateway.img",
                "compatible":["gateway-a"],"active":{active},"switch":{switch},
                "slots":[{{"name":"A","device":"{A}","mark":"{a}"}},{{"name":"B","device":"{B}","mark":"{b}"}}]}}"#
        )
    }

    /// The version that is running.
    pub fn running(&self) -> String {
        self.root.read_text("/etc/image-version").unwrap().trim().to_owned()
    }

    /// The endpoint as it is, which the power leaves after so many changes.
    pub fn endpoint(&self, changes: usize) -> FakeEndpoint {
        FakeEndpoint::new(self.root.clone()).with_programs(programs).with_changes(changes)
    }

    /// Installs; the power is cut after so many changes.
    pub fn install_until(&mut self, version: &str, changes: usize) -> Result<Done, Error> {
        let blobs = [FakeBlob::new("gateway.img", image(version))];
        self.call(version, changes, |endpoint, update, instructions| {
            OsImageInstaller::install(endpoint, update, instructions, &FakeBlob::as_blobs(&blobs), &Options::default())
        })
    }

    pub fn install(&mut self, version: &str) -> Result<Done, Error> {
        self.install_until(version, usize::MAX)
    }

    pub fn finish_until(&mut self, version: &str, changes: usize) -> Result<Done, Error> {
        self.call(version, changes, |endpoint, update, instructions| {
            OsImageInstaller::finish(endpoint, update, instructions)
        })
    }

    pub fn finish(&mut self, version: &str) -> Result<Done, Error> {
        self.finish_until(version, usize::MAX)
    }

    pub fn roll_back_until(&mut self, version: &str, changes: usize) -> Result<Done, Error> {
        self.call(version, changes, |endpoint, update, instructions| {
            OsImageInstaller::roll_back(endpoint, update, instructions, &[])
        })
    }

    pub fn roll_back(&mut self, version: &str) -> Result<Done, Error> {
        self.roll_back_until(version, usize::MAX)
    }

    pub fn plan(&self, version: &str) -> Result<Vec<Change>, Error> {
        let blobs = [FakeBlob::new("gateway.img", image(version))];
        let instructions = self.instructions(version);
        let endpoint = self.endpoint(usize::MAX);
        let plan = OsImageInstaller::plan(
            &endpoint,
            &update(version),
            &Json::decode(instructions.as_bytes())?,
            &FakeBlob::as_blobs(&blobs),
            &Options::default(),
        );
        assert_eq!(endpoint.changes(), [""; 0], "a plan changes nothing");
        assert!(!endpoint.ran_lines().iter().any(|line| line.contains("fw_setenv")), "{:#?}", endpoint.ran_lines());
        plan
    }

    fn call(
        &mut self,
        version: &str,
        changes: usize,
        call: impl FnOnce(
            &FakeEndpoint,
            &Update,
            &<OsImageInstaller as Installer>::Instructions<'_>,
        ) -> Result<Outcome, Error>,
    ) -> Result<Done, Error> {
        let instructions = self.instructions(version);
        let endpoint = self.endpoint(changes);
        let outcome = call(&endpoint, &update(version), &Json::decode(instructions.as_bytes())?);
        self.root = endpoint.root();
        let (changes, reports) = (endpoint.changes(), endpoint.reports());
        let set = endpoint.ran_lines().into_iter().filter(|line| line.contains("fw_setenv")).collect();
        outcome.map(|outcome| Done { notes: outcome.notes, changes, set, reports, restarts: endpoint.restarts() })
    }

    /// Starts the device, as often as it takes: what is not whole or broken does not come up, and a watchdog resets it.
    pub fn boot(&mut self) {
        for _ in 0..20 {
            let slot = match self.scheme {
                Scheme::UBootOrder => self.boot_by_order(),
                Scheme::UBootCount => self.boot_by_count(),
                Scheme::GrubOrder => self.boot_by_grub(),
                Scheme::File => self.boot_by_file(),
            };
            let device = if slot == 'A' { A } else { B };
            let version = version_in(&self.root.read_file(device).unwrap());
            let Some(version) = version.filter(|version| !self.is_broken || version.as_str() <= "2026.10") else {
                continue;
            };
            self.root = self
                .root
                .clone()
                .with_file("/etc/image-version", format!("{version}\n"))
                .with_file("/proc/cmdline", format!("root={device} rauc.slot={slot} quiet\n"))
                .with_file("/proc/mounts", format!("{device} / squashfs ro 0 0\nproc /proc proc rw 0 0\n"));
            // What the service of a proven system does at each start, where the boot loader counts each.
            if version == "2026.10" {
                self.mark_as_services_do(slot);
            }
            return;
        }
        panic!("the device does not start any more: {}", self.state());
    }

    /// Marks the running slot as `rauc-mark-good.service` does.
    pub fn mark_as_services_do(&mut self, slot: char) {
        match self.scheme {
            Scheme::UBootOrder => set_variable(&mut self.root, &format!("BOOT_{slot}_LEFT"), "3"),
            Scheme::GrubOrder => self.set_grub(&format!("{slot}_TRY"), "0"),
            Scheme::UBootCount | Scheme::File => {}
        }
    }

    /// What the boot loader knows, for messages.
    pub fn state(&self) -> String {
        let path = match self.scheme {
            Scheme::UBootOrder | Scheme::UBootCount => ENVIRONMENT,
            Scheme::GrubOrder => GRUBENV,
            Scheme::File => SLOT_ENV,
        };
        self.root.read_text(path).unwrap().trim_end_matches('#').to_owned()
    }

    /// RAUC's boot script for U-Boot.
    fn boot_by_order(&mut self) -> char {
        let order = variable(&self.root, "BOOT_ORDER").unwrap_or_else(|| "A B".to_owned());
        set_variable(&mut self.root, "BOOT_ORDER", &order);
        for slot in order.split(' ') {
            let name = format!("BOOT_{slot}_LEFT");
            let left: u32 = variable(&self.root, &name).map_or(ATTEMPTS, |left| left.parse().unwrap());
            if left > 0 {
                set_variable(&mut self.root, &name, &(left - 1).to_string());
                return slot.chars().next().unwrap();
            }
        }
        for slot in order.split(' ') {
            set_variable(&mut self.root, &format!("BOOT_{slot}_LEFT"), "3");
        }
        self.boot_by_order()
    }

    /// U-Boot's boot count limit, with an `altbootcmd` that goes to the other slot.
    fn boot_by_count(&mut self) -> char {
        let mut part = variable(&self.root, "boot_part").unwrap();
        if variable(&self.root, "upgrade_available").as_deref() == Some("1") {
            let count: u32 = variable(&self.root, "bootcount").map_or(0, |count| count.parse().unwrap());
            set_variable(&mut self.root, "bootcount", &(count + 1).to_string());
            if count + 1 > ATTEMPTS {
                part = if part == "2" { "3".to_owned() } else { "2".to_owned() };
                set_variable(&mut self.root, "boot_part", &part);
                set_variable(&mut self.root, "upgrade_available", "0");
            }
        }
        if part == "2" { 'A' } else { 'B' }
    }

    /// RAUC's grub.cfg.
    fn boot_by_grub(&mut self) -> char {
        let order = self.grub("ORDER").unwrap();
        for slot in order.split(' ') {
            if self.grub(&format!("{slot}_OK")).as_deref() == Some("1")
                && self.grub(&format!("{slot}_TRY")).as_deref() == Some("0")
            {
                self.set_grub(&format!("{slot}_TRY"), "1");
                return slot.chars().next().unwrap();
            }
        }
        // Its default entry.
        'A'
    }

    fn grub(&self, name: &str) -> Option<String> {
        let text = self.root.read_text(GRUBENV).unwrap();
        assert_eq!(text.len(), 1024);
        assert!(text.starts_with("# GRUB Environment Block\n"));
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    }

    fn set_grub(&mut self, name: &str, value: &str) {
        let text = self.root.read_text(GRUBENV).unwrap();
        let old = format!("{name}={}\n", self.grub(name).unwrap());
        self.root = self.root.clone().with_file(GRUBENV, text.replace(&old, &format!("{name}={value}\n")));
    }

    /// A boot script that does what the plugin's documentation says.
    fn boot_by_file(&mut self) -> char {
        let text = self.root.read_text(SLOT_ENV).unwrap();
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let slot = value("slot").unwrap_or(text.trim());
        let chosen = match (value("fallback"), value("tries").map(|tries| tries.parse::<u32>().unwrap())) {
            (Some(fallback), Some(0)) => fallback,
            (Some(fallback), Some(tries)) => {
                let counted = format!("slot={slot}\nfallback={fallback}\ntries={}\n", tries - 1);
                self.root = self.root.clone().with_file(SLOT_ENV, counted);
                slot
            }
            _ => slot,
        };
        chosen.chars().next().unwrap()
    }
}

/// What a call did.
#[derive(Debug)]
pub struct Done {
    pub notes: Vec<String>,
    pub changes: Vec<String>,
    /// The variables of U-Boot that it set.
    pub set: Vec<String>,
    pub reports: Vec<String>,
    pub restarts: Vec<(RestartSubject, String)>,
}

pub fn update(version: &str) -> Update {
    Update {
        name: format!("authored/gateway/{version}"),
        instructions: Vec::new(),
        contents: vec![FakeBlob::new("gateway.img", image(version)).entry()],
        previous: Vec::new(),
    }
}
