//! The version order is dpkg's: on a table of dpkg's own verdicts, and on what this machine has, by its own dpkg.
#![allow(clippy::unwrap_used)] // In what the tests share, too.

use farrier_dpkg_rules::compare;
use std::{
    cmp::Ordering,
    collections::BTreeSet,
    fs,
    io::{self, Write},
    process::Command,
    thread,
};

/// `a < b`, `a = b` or `a > b` a line: tricky pairs, and pairs of Debian's archive, as dpkg 1.21.22 has them.
const TABLE: &str = include_str!("data/dpkg_order.txt");
/// How many pairs of this machine's versions dpkg is asked about; it takes a millisecond for each.
const PAIRS: usize = 4000;
/// How many dpkg processes run at a time.
const THREADS: usize = 4;

#[test]
fn the_order_is_that_of_dpkgs_verdicts() {
    for line in TABLE.lines() {
        let [a, sign, b] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("not a pair: {line}") };
        assert_eq!(sign_of(a, b), sign, "{line}");
    }
}

#[test]
fn the_order_is_that_of_this_machines_dpkg() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        // Written past the test harness, which would swallow it.
        let line =
            b"SKIPPED the_order_is_that_of_this_machines_dpkg: there is no dpkg; the table of its verdicts ran.\n";
        return io::stderr().write_all(line).unwrap();
    }
    let versions = versions_of_this_machine();
    let pairs = pairs(&versions);
    thread::scope(|scope| {
        for some in pairs.chunks(pairs.len() / THREADS + 1) {
            scope.spawn(|| {
                some.iter().for_each(|(a, b)| assert_eq!(dpkg_says(a, sign_of(a, b), b), Some(true), "{a} {b}"))
            });
        }
    });
}

fn sign_of(a: &str, b: &str) -> &'static str {
    match compare(a.as_bytes(), b.as_bytes()) {
        Ordering::Less => "<",
        Ordering::Equal => "=",
        Ordering::Greater => ">",
    }
}

/// What `dpkg --compare-versions` says; nothing if it refuses a version.
fn dpkg_says(a: &str, sign: &str, b: &str) -> Option<bool> {
    let relation = match sign {
        "<" => "lt",
        "=" => "eq",
        _ => "gt",
    };
    let status = Command::new("dpkg").args(["--compare-versions", a, relation, b]).status().unwrap();
    status.code().filter(|code| *code < 2).map(|code| code == 0)
}

/// The versions of dpkg's status and of apt's lists, where there are such.
fn versions_of_this_machine() -> Vec<String> {
    let mut texts = vec![fs::read_to_string("/var/lib/dpkg/status").unwrap_or_default()];
    for entry in fs::read_dir("/var/lib/apt/lists").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().contains("_Packages") {
            // Whatever the list is compressed with, apt's own helper reads it.
            let output = Command::new("/usr/lib/apt/apt-helper").arg("cat-file").arg(entry.path()).output();
            texts.extend(output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()));
        }
    }
    let lines = texts.iter().flat_map(|text| text.lines());
    let versions: BTreeSet<_> = lines.filter_map(|line| line.strip_prefix("Version: ")).map(str::to_owned).collect();
    versions.into_iter().collect()
}

/// Pairs of the sorted versions: half of neighbours, which differ little, half of any two.
fn pairs(versions: &[String]) -> Vec<(&str, &str)> {
    let half = (PAIRS / 2).min(versions.len().saturating_sub(1));
    let spread = |index: usize| index * (versions.len() - 1) / half;
    let neighbours = (0..half).map(|index| (spread(index), spread(index) + 1));
    // A step that shares no factor with most lengths: every version meets a distant one.
    let distant = (0..half).map(|index| (spread(index), (index * 7919 + 13) % versions.len()));
    neighbours.chain(distant).map(|(a, b)| (&*versions[a], &*versions[b])).collect()
}
