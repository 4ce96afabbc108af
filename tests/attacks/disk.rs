//! Disks that are too small, and programs that end too early.

use farrier_tests::succeed;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Bytes that a small disk is counted in.
const PAGE: u64 = 4096;
/// A disk that is not small.
const LARGE: &str = "256m";
/// Every system call that changes a file.
const WRITES: &str = "write,pwrite64,fsync,fdatasync,ftruncate,rename,unlink";

/// A small disk in the place of a folder. Dropping it takes it away again, and what the folder had is there as before.
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// A disk with this content and this many pages left.
    pub(crate) fn in_place_of(folder: &Path, content: &TempDir, free_pages: u64) -> Self {
        let size = format!("size={LARGE}");
        let mounted = succeed(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder));
        mounted.expect("only root can mount a small disk");
        let disk = Self { folder: folder.to_owned() };
        succeed(Command::new("cp").arg("-R").arg(content.path().join(".")).arg(folder)).unwrap();
        let used_pages = rustix::fs::statvfs(folder).map(|it| it.f_blocks - it.f_bfree).unwrap();
        disk.resize(&((used_pages + free_pages) * PAGE).to_string());
        disk
    }

    /// Somebody made room.
    pub(crate) fn grow(&self) {
        self.resize(LARGE);
    }

    fn resize(&self, size: &str) {
        succeed(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.folder)).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}

/// Runs a command that is killed just before it changes a file for this many times. Returns whether it came so far.
pub(crate) fn killed_at_write(command: &Command, nth: u32) -> bool {
    let inject = format!("inject={WRITES}:signal=SIGKILL:when={nth}");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={WRITES}"), "-e", &inject]);
    traced.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    let Output { status, stderr, .. } = traced.output().unwrap();
    let is_dead = !status.success();
    let said = String::from_utf8_lossy(&stderr);
    assert!(!said.contains("strace:"), "{said}");
    is_dead
}
