//! The signed release: which suite it is, until when it is valid, and the digest of every index.

use super::cleartext::{FramingError, SignedText};
use super::keyring::{BadSignature, Keyring};
use super::{day, deb822};
use crate::config::SuiteConfig;
use crate::database::Follow;
use crate::upstream::{Expected, FetchError, Reply, Source, Validator};
use farrier_protocol::Digest;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::HashMap;

const MAX_RELEASE_BYTES: u64 = 16 * 1024 * 1024;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Why a release is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is not UTF-8.
    #[error("{0} is not text")]
    NotText(String),
    /// It is not a signed text.
    #[error("{address} is refused")]
    Framing {
        /// Which file.
        address: String,
        /// Why.
        source: FramingError,
    },
    /// No key of the keyrings signed it.
    #[error("{address} is not signed by a key of {keyrings}; if its key changed, install the new one there")]
    Signature {
        /// Which file.
        address: String,
        /// The keyrings.
        keyrings: String,
        /// Who signed it instead.
        source: BadSignature,
    },
    /// It does not say what a release says.
    #[error("{address}: {problem}")]
    Invalid {
        /// Which file.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// It is no longer valid.
    #[error(
        "{address} was valid until {until}: the mirror is out of date or somebody holds updates back; wait, use \
         another mirror, or set check_valid_until = false"
    )]
    Expired {
        /// Which file.
        address: String,
        /// Until when.
        until: String,
    },
    /// It is older than the one before.
    #[error(
        "{address} is of {date}, but the release of {known} was imported before: the mirror went back in time; wait \
         until it has caught up or use another mirror"
    )]
    Rollback {
        /// Which file.
        address: String,
        /// Its date.
        date: String,
        /// The date of the imported one.
        known: String,
    },
    /// It is another suite's.
    #[error(
        "{address} says that it is {found}, not {expected}: the mirror serves another suite than was asked for; set \
         suite to one of the names it goes by"
    )]
    OtherSuite {
        /// Which file.
        address: String,
        /// The suite it says it is.
        found: String,
        /// The suite that was asked for.
        expected: String,
    },
}

/// A verified release.
#[derive(Debug)]
pub struct Release {
    /// When it was made, in Unix seconds.
    pub date: i64,
    /// How long it is valid, in Unix seconds.
    pub valid_until: Option<i64>,
    /// Whether indices can be asked for by their digest.
    pub by_hash: bool,
    /// How far clients follow it.
    pub follow: Follow,
    /// The architectures it serves; none if it does not say.
    pub architectures: Vec<String>,
    /// Its components, for messages.
    pub components: String,
    /// Whether packages of architecture `all` have indices of their own and are missing in the others.
    pub separate_all: bool,
    /// Its indices.
    pub files: HashMap<String, Expected>,
    /// SHA-256 of the text that was signed.
    pub digest: Digest,
    suite: String,
    codename: String,
}

/// What is known of a suite's release before it is asked for.
#[derive(Debug, Default)]
pub struct Known<'a> {
    /// What stands for the imported release.
    pub validator: Option<&'a Validator>,
    /// The date of the imported release.
    pub date: Option<i64>,
}

/// What came of asking for a release.
#[derive(Debug)]
pub enum Fetched {
    /// It is the imported one.
    NotModified,
    /// A verified release.
    Release(Box<Release>, Option<Validator>),
}

/// Fetches and verifies the release of a suite.
///
/// # Errors
/// When it cannot be had or is not taken.
pub async fn fetch(
    source: &Source,
    config: &SuiteConfig,
    keyring: &Keyring,
    known: &Known<'_>,
    now: i64,
) -> Result<Fetched, ReleaseError> {
    let folder = folder(config);
    let path = format!("{folder}InRelease");
    let (address, text, validator) = match read_text(source, &path, known.validator).await {
        Ok(None) => return Ok(Fetched::NotModified),
        Ok(Some((document, validator))) => {
            let address = source.address(&path);
            let text = SignedText::parse(&document).map_err(|problem| framing(&address, problem))?;
            (address, text, validator)
        }
        Err(ReleaseError::Fetch(FetchError::Missing(_))) => {
            let path = format!("{folder}Release");
            (source.address(&path), detached(source, &path).await?, None)
        }
        Err(error) => return Err(error),
    };
    let signed = keyring.verify(&text.signatures, text.text.as_bytes(), now);
    let key = signed.map_err(|problem| signature(&address, config, problem))?;
    tracing::debug!(suite.name = config.name, key.fingerprint = %key, "The release's signature is good.");
    let release = parse(&text.text).map_err(|problem| ReleaseError::Invalid { address: address.clone(), problem })?;
    release.check(&address, config, known, now)?;
    Ok(Fetched::Release(Box::new(release), validator))
}

/// The folder of a suite's release, relative to the archive; ends in `/` unless it is the archive's own.
#[must_use]
pub fn folder(config: &SuiteConfig) -> String {
    match config.suite.strip_suffix('/') {
        None => format!("dists/{}/", config.suite),
        Some(flat) => match flat.trim_start_matches("./").trim_matches('/') {
            "" | "." => String::new(),
            folder => format!("{folder}/"),
        },
    }
}

/// As some archives still do it: the text and the signature in files of their own.
async fn detached(source: &Source, path: &str) -> Result<SignedText, ReleaseError> {
    let read = async |path: &str| match read_text(source, path, None).await? {
        Some((text, _)) => Ok(text),
        None => Err(ReleaseError::Fetch(FetchError::Missing(source.address(path)))),
    };
    let text = read(path).await?;
    let signature_path = format!("{path}.gpg");
    let signature = match read(&signature_path).await {
        Err(ReleaseError::Fetch(FetchError::Missing(_))) => Err(framing(&source.address(path), FramingError::Unsigned)),
        other => other,
    }?;
    SignedText::detached(text, &signature).map_err(|problem| framing(&source.address(&signature_path), problem))
}

async fn read_text(
    source: &Source,
    path: &str,
    known: Option<&Validator>,
) -> Result<Option<(String, Option<Validator>)>, ReleaseError> {
    match source.read(path, MAX_RELEASE_BYTES, known).await? {
        Reply::NotModified => Ok(None),
        Reply::Found { bytes, validator } => {
            let text = String::from_utf8(bytes).map_err(|_| ReleaseError::NotText(source.address(path)))?;
            Ok(Some((text, validator)))
        }
    }
}

/// Parses the text of a release.
///
/// # Errors
/// Says what is missing or wrong.
pub fn parse(text: &str) -> Result<Release, String> {
    let stanzas = deb822::parse(text).map_err(|error| error.to_string())?;
    let [stanza] = stanzas.as_slice() else { return Err(format!("it has {} paragraphs, not one", stanzas.len())) };
    let date_of = |field| {
        stanza
            .get(field)
            .map(|date| parse_date(date).ok_or_else(|| format!("{field}: {date:?} is no date")))
            .transpose()
    };
    let says_yes = |field| stanza.says_yes(field).unwrap_or(false);
    let follow = match (says_yes("NotAutomatic"), says_yes("ButAutomaticUpgrades")) {
        (false, _) => Follow::Always,
        (true, true) => Follow::WhereInstalled,
        (true, false) => Follow::Never,
    };
    let architectures: Vec<String> = stanza.words("Architectures").map(str::to_owned).collect();
    let all_is_inside = stanza.words("No-Support-for-Architecture-all").any(|index| index == "Packages");
    Ok(Release {
        date: date_of("Date")?.ok_or("it has no Date")?,
        valid_until: date_of("Valid-Until")?,
        by_hash: says_yes("Acquire-By-Hash"),
        follow,
        separate_all: !all_is_inside && (architectures.is_empty() || architectures.iter().any(|name| name == "all")),
        architectures,
        components: stanza.get("Components").unwrap_or_default().to_owned(),
        files: parse_files(stanza.get("SHA256").ok_or("it has no SHA256 digests")?)?,
        digest: Digest::of(text.as_bytes()),
        suite: stanza.get("Suite").unwrap_or_default().to_owned(),
        codename: stanza.get("Codename").unwrap_or_default().to_owned(),
    })
}

impl Release {
    /// The archive's tools only warn when a release is not of the suite that was asked for; we refuse it. Every suite
    /// of an archive is signed with the same keys, so nothing else keeps a mirror from serving an old suite as a new
    /// one.
    fn check(&self, address: &str, config: &SuiteConfig, known: &Known<'_>, now: i64) -> Result<(), ReleaseError> {
        let address = address.to_owned();
        if let Some(until) = self.valid_until.filter(|until| config.check_valid_until && *until < now) {
            return Err(ReleaseError::Expired { address, until: moment(until) });
        }
        if let Some(known) = known.date.filter(|known| self.date < *known) {
            return Err(ReleaseError::Rollback { address, date: moment(self.date), known: moment(known) });
        }
        let expected = config.suite.rsplit_once('/').map_or(config.suite.as_str(), |(suite, _)| suite);
        let names = [self.suite.as_str(), self.codename.as_str()];
        let is_flat = config.suite.ends_with('/');
        let says_nothing = names.iter().all(|name| name.is_empty());
        if !is_flat && !says_nothing && !names.contains(&expected) && !names.contains(&config.suite.as_str()) {
            let found = names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" or ");
            return Err(ReleaseError::OtherSuite { address, found, expected: config.suite.clone() });
        }
        Ok(())
    }
}

fn parse_files(list: &str) -> Result<HashMap<String, Expected>, String> {
    let mut files = HashMap::new();
    for line in list.lines().filter(|line| !line.is_empty()) {
        let entry = || {
            let mut words = line.split_whitespace();
            let sha256 = words.next()?.parse().ok()?;
            let size = words.next()?.parse().ok()?;
            let path = words.next()?.trim_start_matches("./").to_owned();
            words.next().is_none().then_some((path, Expected { size, sha256 }))
        };
        let (path, expected) = entry().ok_or_else(|| format!("SHA256: {line:?} is no digest, size and file"))?;
        if files.insert(path, expected).is_some_and(|before| before != expected) {
            return Err(format!("SHA256: {line:?} contradicts another line"));
        }
    }
    Ok(files)
}

/// `Sat, 06 Sep 2025 10:12:34 UTC`, with what archives make of it.
fn parse_date(text: &str) -> Option<i64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, time, "UTC" | "GMT" | "Z" | "+0000"] = words.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)?;
    let mut clock = time.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let month = i8::try_from(month + 1).ok()?;
    let date = DateTime::new(year.parse().ok()?, month, day.parse().ok()?, hour, minute, second, 0).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| day(seconds), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

fn framing(address: &str, source: FramingError) -> ReleaseError {
    ReleaseError::Framing { address: address.to_owned(), source }
}

fn signature(address: &str, config: &SuiteConfig, source: BadSignature) -> ReleaseError {
    let keyrings = config.keyrings.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
    ReleaseError::Signature { address: address.to_owned(), keyrings, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "Suite: stable\nCodename: trixie\nDate: Sat, 06 Sep 2025 10:12:34 UTC\nSHA256:\n";

    #[test]
    fn dates_are_read_as_archives_write_them() {
        assert_eq!(parse_date("Thu, 01 Jan 1970 00:01:40 UTC"), Some(100));
        assert_eq!(parse_date("Sat,  6 Sep 2025  9:12:34 +0000"), Some(1_757_149_954));
        for date in ["", "Thu, 01 Jan 1970 00:01:40 CET", "Thu, 32 Jan 1970 00:01:40 UTC", "1970-01-01T00:00:00Z"] {
            assert_eq!(parse_date(date), None, "{date}");
        }
    }

    #[test]
    fn how_far_clients_follow_is_read() {
        for (fields, follow) in [
            ("", Follow::Always),
            ("ButAutomaticUpgrades: yes\n", Follow::Always),
            ("NotAutomatic: yes\nButAutomaticUpgrades: yes\n", Follow::WhereInstalled),
            ("NotAutomatic: yes\n", Follow::Never),
        ] {
            assert_eq!(parse(&format!("{fields}{RELEASE}")).unwrap().follow, follow, "{fields}");
        }
    }

    #[test]
    fn packages_for_all_are_apart_only_where_the_release_says_so() {
        for (fields, apart) in [
            ("", true),
            ("Architectures: amd64\n", false),
            ("Architectures: all amd64\n", true),
            ("Architectures: all amd64\nNo-Support-for-Architecture-all: Packages\n", false),
        ] {
            assert_eq!(parse(&format!("{fields}{RELEASE}")).unwrap().separate_all, apart, "{fields}");
        }
    }

    #[test]
    fn a_release_without_date_or_digests_is_refused() {
        let digest = "0".repeat(64);
        for (text, problem) in [
            ("Suite: a\nSHA256:\n".to_owned(), "it has no Date"),
            ("Suite: a\nDate: Sat, 06 Sep 2025 10:12:34 UTC\n".to_owned(), "it has no SHA256 digests"),
            (format!("{RELEASE} 12 1 a\n"), "SHA256: \"12 1 a\" is no digest, size and file"),
            (format!("{RELEASE} {digest} -1 a\n"), "no digest, size and file"),
            (format!("{RELEASE} {digest} 1 a\n {digest} 2 a\n"), "contradicts another line"),
            (format!("{RELEASE}\nSuite: b\n"), "it has 2 paragraphs, not one"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(problem), "{error}: {text}");
        }
    }
}
