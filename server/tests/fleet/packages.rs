//! Debian 12 as it looks from far away: real names, made-up versions.

use farrier::config::Classification;

/// A source package: name, what it is, priority, installed version, newer version, where that comes from, binaries.
pub struct Source {
    /// Source package.
    pub name: &'static str,
    /// What it is.
    pub summary: &'static str,
    /// 0 optional to 3 required.
    pub priority: i64,
    /// The version of the release.
    pub old: &'static str,
    /// The version of another suite, and which.
    pub new: Option<(&'static str, Classification)>,
    /// Binary packages.
    pub binaries: &'static [&'static str],
}

const fn source(
    name: &'static str,
    summary: &'static str,
    priority: i64,
    old: &'static str,
    new: Option<(&'static str, Classification)>,
    binaries: &'static [&'static str],
) -> Source {
    Source { name, summary, priority, old, new, binaries }
}

const fn security(version: &'static str) -> Option<(&'static str, Classification)> {
    Some((version, Classification::SecurityUpdates))
}

const fn critical(version: &'static str) -> Option<(&'static str, Classification)> {
    Some((version, Classification::CriticalUpdates))
}

/// The source packages that clients have.
pub const SOURCES: &[Source] = &[
    source(
        "openssl",
        "Secure Sockets Layer toolkit",
        2,
        "3.0.16-1~deb12u1",
        security("3.0.17-1~deb12u2"),
        &["libssl3", "openssl", "libssl-dev"],
    ),
    source(
        "linux",
        "Linux kernel",
        0,
        "6.1.137-1",
        security("6.1.140-1"),
        &["linux-image-6.1.0-37-amd64", "linux-libc-dev", "linux-headers-6.1.0-37-amd64"],
    ),
    source(
        "glibc",
        "GNU C Library",
        3,
        "2.36-9+deb12u10",
        security("2.36-9+deb12u13"),
        &["libc6", "libc-bin", "locales", "libc-dev-bin"],
    ),
    source(
        "sudo",
        "Provide limited super user privileges to specific users",
        0,
        "1.9.13p3-1+deb12u1",
        security("1.9.13p3-1+deb12u2"),
        &["sudo"],
    ),
    source(
        "openssh",
        "secure shell (SSH) for secure access to remote machines",
        1,
        "1:9.2p1-2+deb12u5",
        security("1:9.2p1-2+deb12u7"),
        &["openssh-client", "openssh-server", "openssh-sftp-server"],
    ),
    source(
        "curl",
        "command line tool for transferring data with URL syntax",
        0,
        "7.88.1-10+deb12u8",
        security("7.88.1-10+deb12u12"),
        &["curl", "libcurl4", "libcurl3-gnutls"],
    ),
    source(
        "systemd",
        "system and service manager",
        3,
        "252.36-1~deb12u1",
        security("252.38-1~deb12u1"),
        &["systemd", "libsystemd0", "udev", "libudev1"],
    ),
    source(
        "libxml2",
        "GNOME XML library",
        0,
        "2.9.14+dfsg-1.3~deb12u1",
        security("2.9.14+dfsg-1.3~deb12u2"),
        &["libxml2"],
    ),
    source(
        "sqlite3",
        "C library that implements an SQL database engine",
        0,
        "3.40.1-2+deb12u1",
        security("3.40.1-2+deb12u2"),
        &["libsqlite3-0", "sqlite3"],
    ),
    source("gnutls28", "GNU TLS library", 0, "3.7.9-2+deb12u4", security("3.7.9-2+deb12u5"), &["libgnutls30"]),
    source(
        "krb5",
        "MIT Kerberos",
        0,
        "1.20.1-2+deb12u2",
        security("1.20.1-2+deb12u3"),
        &["libkrb5-3", "libgssapi-krb5-2", "krb5-locales"],
    ),
    source(
        "perl",
        "Larry Wall's Practical Extraction and Report Language",
        1,
        "5.36.0-7+deb12u1",
        security("5.36.0-7+deb12u2"),
        &["perl", "perl-base", "libperl5.36"],
    ),
    source(
        "python3.11",
        "Interactive high-level object-oriented language (version 3.11)",
        0,
        "3.11.2-6+deb12u5",
        security("3.11.2-6+deb12u6"),
        &["python3.11", "libpython3.11-stdlib", "python3.11-minimal"],
    ),
    source(
        "nginx",
        "small, powerful, scalable web/proxy server",
        0,
        "1.22.1-9+deb12u1",
        security("1.22.1-9+deb12u2"),
        &["nginx", "nginx-common"],
    ),
    source(
        "postgresql-15",
        "The World's Most Advanced Open Source Relational Database",
        0,
        "15.12-0+deb12u2",
        security("15.14-0+deb12u1"),
        &["postgresql-15", "postgresql-client-15", "libpq5"],
    ),
    source(
        "firefox-esr",
        "Mozilla Firefox web browser - Extended Support Release (ESR)",
        0,
        "128.11.0esr-1~deb12u1",
        security("128.13.0esr-1~deb12u1"),
        &["firefox-esr", "firefox-esr-l10n-de"],
    ),
    source(
        "chromium",
        "web browser",
        0,
        "137.0.7151.55-3~deb12u1",
        security("138.0.7204.183-1~deb12u1"),
        &["chromium", "chromium-common"],
    ),
    source(
        "thunderbird",
        "mail/news client with RSS, chat and integrated spam filter support",
        0,
        "1:128.10.1esr-1~deb12u1",
        security("1:128.13.0esr-1~deb12u1"),
        &["thunderbird"],
    ),
    source(
        "libreoffice",
        "office productivity suite",
        0,
        "4:7.4.7-1+deb12u7",
        security("4:7.4.7-1+deb12u8"),
        &["libreoffice-core", "libreoffice-writer", "libreoffice-calc"],
    ),
    source(
        "git",
        "fast, scalable, distributed revision control system",
        0,
        "1:2.39.5-0+deb12u1",
        security("1:2.39.5-0+deb12u2"),
        &["git", "git-man"],
    ),
    source(
        "vim",
        "Vi IMproved - enhanced vi editor",
        2,
        "2:9.0.1378-2",
        security("2:9.0.1378-2+deb12u2"),
        &["vim", "vim-tiny", "vim-common"],
    ),
    source("expat", "XML parsing C library", 0, "2.5.0-1", security("2.5.0-1+deb12u2"), &["libexpat1"]),
    source(
        "libarchive",
        "Multi-format archive and compression library",
        0,
        "3.6.2-1+deb12u1",
        security("3.6.2-1+deb12u3"),
        &["libarchive13"],
    ),
    source("icu", "International Components for Unicode", 0, "72.1-3", security("72.1-3+deb12u1"), &["libicu72"]),
    source(
        "bind9",
        "Internet Domain Name Server",
        1,
        "1:9.18.33-1~deb12u2",
        security("1:9.18.37-1~deb12u1"),
        &["bind9-host", "bind9-libs", "bind9-dnsutils"],
    ),
    source(
        "tzdata",
        "time zone and daylight-saving time data",
        3,
        "2025b-0+deb12u1",
        critical("2025b-0+deb12u2"),
        &["tzdata"],
    ),
    source(
        "clamav",
        "anti-virus utility for Unix",
        0,
        "1.0.7+dfsg-1~deb12u1",
        critical("1.0.9+dfsg-1~deb12u1"),
        &["clamav", "clamav-daemon", "clamav-freshclam"],
    ),
    source(
        "debian-security-support",
        "Debian security support coverage checker",
        0,
        "1:12+2024.07.04",
        critical("1:12+2025.05.04"),
        &["debian-security-support"],
    ),
    source(
        "intel-microcode",
        "Processor microcode firmware for Intel CPUs",
        1,
        "3.20250211.1~deb12u1",
        critical("3.20250512.1~deb12u1"),
        &["intel-microcode"],
    ),
    source(
        "spamassassin",
        "Perl-based spam filter using text analysis",
        0,
        "4.0.0-6",
        critical("4.0.1-1~deb12u1"),
        &["spamassassin", "spamc"],
    ),
    source("base-files", "Debian base system miscellaneous files", 3, "12.4+deb12u11", None, &["base-files"]),
    source("bash", "GNU Bourne Again SHell", 3, "5.2.15-2+b8", None, &["bash"]),
    source("coreutils", "GNU core utilities", 3, "9.1-1", None, &["coreutils"]),
    source("dpkg", "Debian package management system", 3, "1.21.22", None, &["dpkg", "dpkg-dev", "libdpkg-perl"]),
    source("apt", "commandline package manager", 2, "2.6.1", None, &["apt", "apt-utils", "libapt-pkg6.0"]),
    source(
        "util-linux",
        "miscellaneous system utilities",
        3,
        "2.38.1-5+deb12u3",
        None,
        &["util-linux", "mount", "libblkid1", "libuuid1"],
    ),
    source("gcc-12", "GNU C compiler", 0, "12.2.0-14+deb12u1", None, &["gcc-12", "libgcc-s1", "libstdc++6"]),
    source("ca-certificates", "Common CA certificates", 1, "20230311+deb12u1", None, &["ca-certificates"]),
    source("rsyslog", "reliable system and kernel logging daemon", 0, "8.2302.0-1+deb12u1", None, &["rsyslog"]),
    source(
        "samba",
        "SMB/CIFS file, print, and login server for Unix",
        0,
        "2:4.17.12+dfsg-0+deb12u1",
        None,
        &["samba", "samba-common", "libsmbclient", "libwbclient0"],
    ),
    source("docker.io", "Linux container runtime", 0, "20.10.24+dfsg1-1+deb12u1", None, &["docker.io"]),
    source("qemu", "fast processor emulator", 0, "1:7.2+dfsg-7+deb12u13", None, &["qemu-system-x86", "qemu-utils"]),
    source(
        "gnome-shell",
        "graphical shell for the GNOME desktop",
        0,
        "43.9-0+deb12u2",
        None,
        &["gnome-shell", "gnome-shell-common"],
    ),
    source(
        "cups",
        "Common UNIX Printing System(tm) - PPD/driver support, web interface",
        0,
        "2.4.2-3+deb12u8",
        None,
        &["cups", "cups-client", "libcups2"],
    ),
];

/// Parts of the names of packages that nobody in the fleet has.
pub const FAMILIES: &[&str] =
    &["python", "golang-github", "r-cran", "haskell", "ruby", "node", "lib", "rust", "ocaml", "php"];
/// The other parts.
pub const STEMS: &[&str] = &[
    "async", "cache", "date", "crypto", "event", "format", "graph", "http", "image", "json", "logger", "matrix",
    "parser", "queue", "router", "socket", "table", "unicode", "vector", "yaml", "zip",
];
