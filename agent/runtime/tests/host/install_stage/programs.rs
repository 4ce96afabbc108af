//! A few programs of this machine with what they are linked to, in another root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The programs that the guest's manifest asks for, and one that it does not.
const PROGRAMS: [&str; 6] = ["cat", "echo", "env", "sleep", "yes", "sh"];

/// Scripts of the guest's: their names and what they do.
const SCRIPTS: [(&str, &str); 2] = [("stubborn", "trap '' TERM\nsleep 600\n"), ("leave-behind", "sleep 2 &\n")];

/// Adds them to a root as `/bin/NAME`.
pub fn add_to(root: &Path) {
    let (source, files) = prepared();
    for file in files {
        let target = root.join(file);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::hard_link(source.path().join(file), target).unwrap();
    }
    for (name, text) in SCRIPTS {
        std::fs::write(root.join("bin").join(name), text).unwrap();
    }
}

/// A root of programs to link from, and its files.
fn prepared() -> &'static (TempDir, BTreeSet<PathBuf>) {
    static PREPARED: OnceLock<(TempDir, BTreeSet<PathBuf>)> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let root = tempfile::tempdir().unwrap();
        let mut files = BTreeSet::new();
        let mut add = |from: &Path, to: &Path| {
            let to = to.strip_prefix("/").unwrap().to_owned();
            let target = root.path().join(&to);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::copy(from, target).unwrap();
            files.insert(to);
        };
        for name in PROGRAMS {
            let program = Path::new("/bin").join(name);
            add(&program, &program);
            libraries(&program).iter().for_each(|library| add(library, library));
        }
        (root, files)
    })
}

/// What the dynamic linker would load.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}
