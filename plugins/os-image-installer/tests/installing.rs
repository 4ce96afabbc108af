//! Images: planned, written, tried, finished, rolled back; and the power cut at every step of it.

#![allow(clippy::unwrap_used)] // What is missing is a failed test.

mod device;

use device::{A, B, Device, GRUBENV, SCHEMES, SLOT_ENV, Scheme, image, update};
use farrier_plugin_os_image_installer::OsImageInstaller;
use farrier_plugin_sdk::{
    Error, Facts, FakeBlob, FakeEndpoint, FakeRoot, Installer, Json, Options, RestartSubject, Rule,
};

const OLD: &str = "2026.10";
const NEW: &str = "2026.11";

#[test]
fn an_image_is_planned_written_tried_and_finished() {
    for scheme in SCHEMES {
        let mut device = Device::new(scheme);
        let plan = device.plan(NEW).unwrap();
        let plan: Vec<_> = plan.iter().map(|c| format!("{} {}: {}", c.action, c.subject, c.detail)).collect();
        assert_eq!(plan[0], "write slot B: gateway 2026.11, 1310720 bytes to /dev/mmcblk0p3");
        assert!(plan[1].starts_with("switch boot loader: from slot A to slot B, back "), "{plan:?}");
        assert_eq!(plan[2], "restart machine: into slot B");

        let done = device.install(NEW).unwrap();
        let reason = "gateway 2026.11 was written to slot B".to_owned();
        assert_eq!(done.restarts, [(RestartSubject::Machine, reason)]);
        assert_eq!(device.root.read_file(B).unwrap()[..image(NEW).len()], image(NEW));
        assert_eq!(device.running(), OLD, "until it is restarted");
        device.boot();
        assert_eq!(device.running(), NEW, "{scheme:?}");
        for _ in 0..2 {
            assert_eq!(device.finish(NEW).unwrap().notes, ["slot B is marked as good"]);
        }
        for _ in 0..5 {
            device.boot();
            assert_eq!(device.running(), NEW, "{scheme:?}");
            device.mark_as_services_do('B');
        }
        assert_eq!(device.install(NEW).unwrap().notes, ["gateway 2026.11 is running already"]);
        assert_eq!(device.plan(NEW), Ok(vec![]));
        device.install("2026.12").unwrap();
        device.boot();
        assert_eq!(
            (device.running().as_str(), device.finish("2026.12").is_ok()),
            ("2026.12", true),
            "and back to slot A"
        );
    }
}

#[test]
fn the_boot_loader_is_told_what_its_users_know() {
    let set = |scheme| {
        let mut device = Device::new(scheme);
        let installed = device.install(NEW).unwrap().set;
        device.boot();
        let finished = device.finish(NEW).unwrap().set;
        [installed, finished].map(|lines| lines.join("; ").replace("/usr/bin/fw_setenv ", ""))
    };
    let expected = ["BOOT_ORDER A; BOOT_B_LEFT 0; BOOT_B_LEFT 3; BOOT_ORDER B A", "BOOT_B_LEFT 3"];
    assert_eq!(set(Scheme::UBootOrder), expected);
    let expected =
        ["upgrade_available 0; bootcount 0; upgrade_available 1; boot_part 3", "upgrade_available 0; bootcount 0"];
    assert_eq!(set(Scheme::UBootCount), expected);

    let mut grub = Device::new(Scheme::GrubOrder);
    grub.install(NEW).unwrap();
    let block = grub.root.read_text(GRUBENV).unwrap();
    let expected = "# GRUB Environment Block\nsaved_entry=0\nORDER=B A\nA_OK=1\nA_TRY=0\nB_OK=1\nB_TRY=0\n###";
    assert!(block.starts_with(expected) && block.len() == 1024, "{block}");

    let mut file = Device::new(Scheme::File);
    file.install(NEW).unwrap();
    assert_eq!(file.root.read_text(SLOT_ENV).unwrap(), "slot=B\nfallback=A\ntries=3\n");
    file.boot();
    file.finish(NEW).unwrap();
    assert_eq!(file.root.read_text(SLOT_ENV).unwrap(), "slot=B\n");
}

#[test]
fn the_running_slot_is_never_written_and_the_boot_loader_knows_before_the_other_is() {
    for scheme in SCHEMES {
        let mut device = Device::new(scheme);
        let done = device.install(NEW).unwrap();
        assert!(!done.changes.iter().any(|change| change.contains(A)), "{:#?}", done.changes);
        let writes: Vec<_> = done.changes.iter().filter(|change| change.starts_with("write ")).collect();
        assert_eq!(writes, ["write /dev/mmcblk0p3 0 1048576", "write /dev/mmcblk0p3 1048576 262144"]);
        assert!(done.reports.contains(&"Writing gateway 2026.11 to slot B: 80 %".to_owned()), "{:?}", done.reports);
    }
}

#[test]
fn an_image_that_does_not_start_is_fallen_back_from() {
    for scheme in SCHEMES {
        let mut device = Device::new(scheme);
        device.is_broken = true;
        device.install(NEW).unwrap();
        device.boot();
        assert_eq!(device.running(), OLD, "{scheme:?}");
        let error = device.finish(NEW).unwrap_err();
        assert!(error.message().contains("is not what is running"), "{error:?}");
        let done = device.roll_back(NEW).unwrap();
        assert!(done.restarts.is_empty() && done.notes[0].starts_with("slot A is running"), "{done:?}");
        for _ in 0..5 {
            device.boot();
            assert_eq!(device.running(), OLD, "{scheme:?}");
        }
    }
}

/// The new image starts, but no scan proves it: nobody marks it as good.
#[test]
fn an_image_that_is_never_finished_is_fallen_back_from() {
    for scheme in SCHEMES {
        let mut device = Device::new(scheme);
        device.install(NEW).unwrap();
        device.boot();
        assert_eq!(device.running(), NEW);
        for _ in 0..4 {
            device.boot();
        }
        assert_eq!(device.running(), OLD, "{scheme:?}: {}", device.state());
    }
}

#[test]
fn a_roll_back_of_what_is_running_starts_the_old_slot() {
    for scheme in SCHEMES {
        let mut device = Device::new(scheme);
        device.install(NEW).unwrap();
        device.boot();
        let done = device.roll_back(NEW).unwrap();
        let reason = "slot B is given up, slot A is started again".to_owned();
        assert_eq!((done.notes, done.restarts), (vec![reason.clone()], vec![(RestartSubject::Machine, reason)]));
        for _ in 0..5 {
            device.boot();
            assert_eq!(device.running(), OLD, "{scheme:?}");
        }
        assert_eq!(device.roll_back(NEW).unwrap().notes, ["slot A is running, and stays what is started"]);
    }
}

#[test]
fn a_roll_back_before_the_restart_needs_none() {
    for scheme in SCHEMES {
        let mut device = Device::new(scheme);
        device.install(NEW).unwrap();
        let done = device.roll_back(NEW).unwrap();
        assert_eq!(done.notes, ["slot A is running, and slot B will not be started"]);
        assert_eq!(done.restarts, []);
        device.boot();
        assert_eq!(device.running(), OLD, "{scheme:?}");
    }
}

#[test]
fn what_is_marked_as_good_is_not_rolled_back() {
    for scheme in [Scheme::UBootCount, Scheme::File] {
        let mut device = Device::new(scheme);
        device.install(NEW).unwrap();
        device.boot();
        device.finish(NEW).unwrap();
        let error = device.roll_back(NEW).unwrap_err();
        assert_eq!(error.message(), "slot B was marked as good: deploy the version to go back to");
    }
}

/// The heart of it. Wherever the power is cut, the device starts a whole image, either the one before or the new one;
/// from there, and from where the agent alone was restarted, a second installation comes to the new one, and a
/// roll-back to the old one.
#[test]
fn the_power_may_be_cut_at_any_step_of_an_installation() {
    for before in Device::all() {
        let (scheme, mut cuts) = (before.scheme, 0);
        for changes in 0.. {
            let mut device = before.clone();
            let interrupted = device.install_until(NEW, changes).is_err();
            let mut restarted = device.clone();
            restarted.boot();
            assert!(
                [OLD, NEW].contains(&restarted.running().as_str()),
                "{scheme:?} {changes}: {}",
                restarted.running()
            );
            for after in [device, restarted] {
                let mut completed = after.clone();
                completed.install(NEW).unwrap();
                if completed.running() == OLD {
                    // GRUB takes a second start that nobody marks for a failed one.
                    completed.boot();
                }
                assert_eq!(completed.running(), NEW, "{scheme:?} {changes}: {}", completed.state());
                completed.finish(NEW).unwrap();
                completed.boot();
                assert_eq!(completed.running(), NEW, "{scheme:?} {changes}: {}", completed.state());

                let mut undone = after;
                undone.roll_back(NEW).unwrap();
                for _ in 0..5 {
                    undone.boot();
                    assert_eq!(undone.running(), OLD, "{scheme:?} {changes}: {}", undone.state());
                }
            }
            if !interrupted {
                break;
            }
            cuts += 1;
        }
        assert!(cuts >= 5, "{scheme:?}: only {cuts} changes");
    }
}

#[test]
fn the_power_may_be_cut_at_any_step_of_a_roll_back_or_a_finish() {
    for mut tried in Device::all() {
        let scheme = tried.scheme;
        tried.install(NEW).unwrap();
        let waiting = tried.clone();
        tried.boot();
        for before in [&tried, &waiting] {
            for changes in 0.. {
                let mut device = before.clone();
                let interrupted = device.roll_back_until(NEW, changes).is_err();
                let again = device.roll_back(NEW).unwrap();
                // As long as what is given up is running, it takes a restart, however often that is said.
                assert_eq!(again.restarts.is_empty(), device.running() == OLD, "{scheme:?} {changes}");
                device.boot();
                assert_eq!(device.running(), OLD, "{scheme:?} {changes}: {}", device.state());
                if !interrupted {
                    break;
                }
            }
        }
        for changes in 0.. {
            let mut device = tried.clone();
            let interrupted = device.finish_until(NEW, changes).is_err();
            device.finish(NEW).unwrap();
            for _ in 0..5 {
                device.boot();
                assert_eq!(device.running(), NEW, "{scheme:?} {changes}: {}", device.state());
                device.mark_as_services_do('B');
            }
            if !interrupted {
                break;
            }
        }
    }
}

#[test]
fn what_was_written_is_not_written_again() {
    let mut device = Device::new(Scheme::UBootCount);
    device.install(NEW).unwrap();
    let done = device.install(NEW).unwrap();
    assert_eq!(done.notes, ["slot B held the image already"]);
    assert_eq!((done.changes, done.restarts.len()), (vec![], 1));
    device.boot();
    assert_eq!(device.running(), NEW);
}

#[test]
fn what_is_read_back_has_to_be_what_was_signed() {
    let device = Device::new(Scheme::UBootOrder);
    let blobs = [FakeBlob::new("gateway.img", image(NEW)).with_digest(&"0".repeat(64))];
    let endpoint = device.endpoint(usize::MAX);
    let instructions = device.instructions(NEW);
    let instructions = Json::decode(instructions.as_bytes()).unwrap();
    let blobs = FakeBlob::as_blobs(&blobs);
    let error = OsImageInstaller::install(&endpoint, &update(NEW), &instructions, &blobs, &Options::default());
    assert!(error.unwrap_err().message().contains("another content is read back"));
    assert!(endpoint.restarts().is_empty());
    let mut device = Device { root: endpoint.root(), ..device };
    for _ in 0..5 {
        device.boot();
        assert_eq!(device.running(), OLD);
    }
}

/// What is refused, and that nothing has changed then.
fn refused(device: &Device) -> String {
    let before = device.state();
    let planned = device.plan(NEW).unwrap_err();
    let mut device = device.clone();
    let root = device.root.clone();
    assert_eq!(device.install(NEW).unwrap_err(), planned);
    assert_eq!(device.state(), before);
    assert_eq!(device.root.read_file(B), root.read_file(B));
    planned.message().to_owned()
}

#[test]
fn other_hardware_is_refused_before_the_download() {
    let mut device = Device::new(Scheme::File);
    device.root = device.root.with_file("/etc/hardware", "camera-c\n");
    let expected = "this is camera-c, and gateway 2026.11 is for gateway-a";
    assert_eq!(refused(&device), expected);
    let instructions = device.instructions(NEW);
    let instructions = Json::decode(instructions.as_bytes()).unwrap();
    let selected = OsImageInstaller::select(&device.root, &update(NEW), &instructions);
    assert_eq!(selected.unwrap_err().message(), expected);
    device.root = device.root.without_file("/etc/hardware");
    assert!(refused(&device).contains("which hardware this is cannot be told"));
}

#[test]
fn an_image_that_does_not_fit_is_refused() {
    let mut device = Device::new(Scheme::GrubOrder);
    device.root = device.root.with_device(B, vec![0; 1280 * 1024 - 1]);
    assert_eq!(refused(&device), "the image has 1310720 bytes, and slot B (/dev/mmcblk0p3) has room for 1310719");
    device.root = device.root.without_file(B);
    assert!(refused(&device).contains(B));
}

#[test]
fn a_slot_that_is_mounted_is_refused() {
    let mut device = Device::new(Scheme::UBootOrder);
    let mounts = device.root.read_text("/proc/mounts").unwrap() + "/dev/mmcblk0p3 /mnt/other ext4 rw 0 0\n";
    device.root = device.root.with_file("/proc/mounts", mounts);
    assert_eq!(refused(&device), "slot B (/dev/mmcblk0p3) is mounted at /mnt/other: unmount it");
}

#[test]
fn nothing_is_written_unless_it_is_certain_what_is_running() {
    let with = |active, cmdline: &str| {
        let mut device = Device { active, ..Device::new(Scheme::File) };
        device.root = device.root.with_file("/proc/cmdline", cmdline);
        device
    };
    for (active, cmdline, expected) in [
        (r#"{"cmdline":"rauc.slot"}"#, "quiet", "the kernel command line has no `rauc.slot=`"),
        (r#"{"cmdline":"rauc.slot"}"#, "rauc.slot=R", "the running slot is \"R\", which is none of A and B"),
        (r#"{"cmdline":"root"}"#, "root=UUID=1234", "which is none of A and B"),
        (
            r#"{"cmdline":"rauc.slot"}"#,
            "rauc.slot=A root=/dev/mmcblk0p3",
            "`root=` on the kernel command line is slot B",
        ),
        (r#"{"file":"/run/booted-slot"}"#, "", "/run/booted-slot"),
        (r#"{"u-boot":"booted_slot"}"#, "", "U-Boot's environment has no `booted_slot`"),
    ] {
        let message = refused(&with(active, cmdline));
        assert!(message.contains(expected), "{active} {cmdline}: {message}");
    }
    for (active, cmdline) in [
        (r#"{"cmdline":"rauc.slot"}"#, "rauc.slot=A root=/dev/dm-0"),
        (r#"{"cmdline":"root"}"#, "root=/dev/mmcblk0p3 root=/dev/mmcblk0p2"),
    ] {
        with(active, cmdline).plan(NEW).unwrap();
    }
    let mut by_file = with(r#"{"file":"/run/booted-slot"}"#, "");
    by_file.root = by_file.root.with_file("/run/booted-slot", "A\n");
    by_file.plan(NEW).unwrap();
}

#[test]
fn a_root_may_be_named_in_other_ways() {
    let by = |device: &str, root: &str, cmdline: &str| {
        let instructions = format!(
            r#"{{"image":"g","version":"{NEW}","version_file":"/v","content":"gateway.img",
                "active":{{"cmdline":"root"}},"switch":{{"file":{{"path":"{SLOT_ENV}"}}}},
                "slots":[{{"name":"A","device":"{device}"{root}}},{{"name":"B","device":"{B}"}}]}}"#
        );
        let blobs = [FakeBlob::new("gateway.img", image(NEW))];
        let endpoint = FakeEndpoint::new(Device::new(Scheme::File).root.with_file("/proc/cmdline", cmdline));
        let (instructions, blobs) = (Json::decode(instructions.as_bytes()).unwrap(), FakeBlob::as_blobs(&blobs));
        OsImageInstaller::plan(&endpoint, &update(NEW), &instructions, &blobs, &Options::default())
    };
    by(A, r#","root":"PARTUUID=8d3d53e3-02""#, "root=PARTUUID=8d3d53e3-02").unwrap();
    by("/dev/disk/by-partlabel/rootfs-a", "", "root=PARTLABEL=rootfs-a").unwrap();
    by(A, "", "root=PARTUUID=8d3d53e3-02").unwrap_err();
}

/// A variable that chooses a slot says what will run, not what does.
#[test]
fn a_variable_that_chooses_a_slot_does_not_tell_which_one_is_running() {
    let with = |cmdline: &str, mounts: &str| {
        let device = Device::by_variable();
        let root = device.root.clone().with_file("/proc/cmdline", cmdline).with_file("/proc/mounts", mounts);
        Device { root, ..device }
    };
    for mounts in ["", "/dev/root / squashfs ro 0 0\n", "/dev/mmcblk0p2 / squashfs ro 0 0\noverlay / overlay rw 0 0\n"]
    {
        let message = refused(&with("quiet", mounts));
        assert!(message.starts_with("`boot_part` says which slot will be started"), "{message}");
    }
    with("root=/dev/mmcblk0p2", "/dev/root / squashfs ro 0 0\n").plan(NEW).unwrap();
    with("quiet", "rootfs / rootfs rw 0 0\n/dev/mmcblk0p2 / squashfs ro 0 0\n").plan(NEW).unwrap();
}

#[test]
fn what_is_given_up_is_not_written_while_it_is_running() {
    for mut device in Device::all() {
        device.install(NEW).unwrap();
        device.boot();
        device.roll_back(NEW).unwrap();
        let done = device.install("2026.12").unwrap();
        assert!(!done.changes.iter().any(|change| change.contains(B)), "{:?}: {:#?}", device.scheme, done.changes);
        device.boot();
        assert_eq!(device.running(), "2026.12", "{:?}", device.scheme);
    }
}

#[test]
fn the_programs_of_u_boot_may_be_in_either_folder() {
    let device = Device::new(Scheme::UBootCount);
    let install = |endpoint: &FakeEndpoint| {
        let (instructions, blobs) = (device.instructions(NEW), [FakeBlob::new("gateway.img", image(NEW))]);
        let (instructions, blobs) = (Json::decode(instructions.as_bytes()).unwrap(), FakeBlob::as_blobs(&blobs));
        OsImageInstaller::install(endpoint, &update(NEW), &instructions, &blobs, &Options::default())
    };
    let elsewhere = ["fw_printenv", "fw_setenv"].into_iter().fold(device.endpoint(usize::MAX), |endpoint, program| {
        endpoint.without_program(&format!("/usr/bin/{program}"))
    });
    install(&elsewhere).unwrap();
    let ran = elsewhere.ran_lines();
    assert!(ran.contains(&"/usr/sbin/fw_setenv boot_part 3".to_owned()), "{ran:#?}");

    let nowhere = ["/usr/bin/fw_printenv", "/usr/sbin/fw_printenv"];
    let nowhere = nowhere.into_iter().fold(device.endpoint(usize::MAX), FakeEndpoint::without_program);
    let message = install(&nowhere).unwrap_err().message().to_owned();
    assert_eq!(message, "fw_printenv cannot be run: /usr/bin/fw_printenv; /usr/sbin/fw_printenv");
}

#[test]
fn a_boot_loader_that_does_not_answer_is_not_taken_for_an_empty_one() {
    let device = Device::new(Scheme::UBootOrder);
    let endpoint = FakeEndpoint::new(device.root.clone())
        .with_programs(|_, _| farrier_plugin_sdk::Exit::failed(1, "Cannot open /etc/fw_env.config: No such file\n"));
    let blobs = [FakeBlob::new("gateway.img", image(NEW))];
    let instructions = device.instructions(NEW);
    let (instructions, blobs) = (Json::decode(instructions.as_bytes()).unwrap(), FakeBlob::as_blobs(&blobs));
    let error = OsImageInstaller::install(&endpoint, &update(NEW), &instructions, &blobs, &Options::default());
    let expected = "fw_printenv BOOT_ORDER: Cannot open /etc/fw_env.config: No such file";
    assert_eq!(error.unwrap_err(), Error::Other(expected.to_owned()));
    assert_eq!(endpoint.changes(), [""; 0]);

    let mut grub = Device::new(Scheme::GrubOrder);
    grub.root = grub.root.with_file(GRUBENV, "ORDER=A B\n");
    let error = grub.install(NEW).unwrap_err();
    assert!(error.message().contains("is no environment block of GRUB's"), "{error:?}");
}

#[test]
fn only_what_is_needed_is_downloaded() {
    let device = Device::new(Scheme::File);
    let select = |root: &FakeRoot| {
        let instructions = device.instructions(NEW);
        let instructions = Json::decode(instructions.as_bytes()).unwrap();
        OsImageInstaller::select(root, &update(NEW), &instructions).unwrap()
    };
    assert_eq!(select(&device.root).contents, [0]);
    let running = device.root.clone().with_file("/etc/image-version", "2026.11\n");
    assert_eq!(select(&running).contents, [0_u32; 0]);
}

#[test]
fn instructions_that_cannot_be_followed_are_refused() {
    let device = Device::new(Scheme::UBootCount);
    let good = device.instructions(NEW);
    for (from, to, expected) in [
        (r#""mark":"3""#, r#""mark":"2""#, "the same name, mark or device"),
        (r#""mark":"3""#, r#""mark":"3; run evil""#, "is no name of a slot"),
        (r#""mark":"3""#, r#""mark":"--help""#, "is no name of a slot"),
        (B, "/dev/../dev/sda", "is no absolute path"),
        ("boot_part", "bootcmd", "has to end in `_part` or `_slot`"),
        (r#""u-boot-count":{"variable":"boot_part"}"#, r#""u-boot-order":{"attempts":0}"#, "has to be 1 to 9"),
        (r#""u-boot-count":{"variable":"boot_part"}"#, r#""u-boot-order":{"tries":3}"#, "tries"),
        (r#""u-boot-count":{"variable":"boot_part"}"#, r#""lilo":{}"#, "lilo"),
        (r#""compatible":["gateway-a"]"#, r#""compatible":[""]"#, "an empty name"),
        (r#""compatible""#, r#""compatable""#, "compatable"),
        ("gateway.img", "other.img", "the update has no content `other.img`"),
        (r#""version":"2026.11""#, r#""version":"""#, "`version` is empty"),
    ] {
        assert!(good.contains(from), "{from}");
        let instructions = good.replace(from, to);
        let endpoint = device.endpoint(usize::MAX);
        let blobs = [FakeBlob::new("gateway.img", image(NEW))];
        let refused = Json::decode(instructions.as_bytes()).and_then(|instructions| {
            let blobs = FakeBlob::as_blobs(&blobs);
            OsImageInstaller::install(&endpoint, &update(NEW), &instructions, &blobs, &Options::default())
        });
        let error = refused.unwrap_err();
        assert!(error.message().contains(expected), "{to}: {error:?}");
        assert_eq!(endpoint.changes(), [""; 0]);
    }
}
