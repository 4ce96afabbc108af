//! What a policy says of packages.

use alloc::{borrow::Cow, format, vec::Vec};
use core::cmp::Ordering;
use farrier_plugin_sdk::{Error, serde::Deserialize, version};

/// The packages of an update.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct Rule<'a> {
    /// The packages, one at least.
    #[serde(borrow)]
    pub packages: Vec<Wanted<'a>>,
}

/// A package as an update offers it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct Wanted<'a> {
    /// Its name: `openssl-libs`.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Its architecture: `x86_64`; every one that is installed if there is none.
    #[serde(borrow, default)]
    pub arch: Option<Cow<'a, str>>,
    /// Its version: `1:3.2.2-6.fc40`; any release of it if there is none.
    #[serde(borrow)]
    pub evr: Cow<'a, str>,
}

impl Rule<'_> {
    /// Whether the rule says something. One that names nothing would be required of nobody, for ever.
    ///
    /// # Errors
    /// [`Error::Invalid`], and what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        if self.packages.is_empty() {
            return Err(Error::Invalid("the rule names no package".into()));
        }
        self.packages.iter().try_for_each(Wanted::check)
    }
}

impl Wanted<'_> {
    fn check(&self) -> Result<(), Error> {
        let Self { name, arch, evr } = self;
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_word(name) || !arch.as_deref().is_none_or(is_word) {
            return Err(Error::Invalid(format!("the rule names a package `{name}`, which is no name")));
        }
        let (epoch, rest) = evr.split_once(':').unwrap_or(("0", evr));
        let (version, release) = rest.split_once('-').unwrap_or((rest, "0"));
        let is_part = |text: &str| is_word(text) && !text.contains([':', '-']);
        if epoch.parse::<u32>().is_ok() && is_part(version) && is_part(release) {
            return Ok(());
        }
        Err(Error::Invalid(format!("the rule offers {name} `{evr}`, which is not `epoch:version-release`")))
    }
}

/// How an installed version is to an offered one. Where the offered one has no release, none counts.
pub fn compare(installed: &str, offered: &str) -> Ordering {
    let installed = match installed.rsplit_once('-') {
        Some((version, _)) if !offered.contains('-') => version,
        _ => installed,
    };
    version::rpm::compare(installed, offered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use farrier_plugin_sdk::{Json, Rule as _};

    fn check(json: &str) -> Result<(), Error> {
        Json::<Rule<'_>>::decode(json.as_bytes())?.check()
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let cases = [
            (r#"{"packages":[{"name":"a","evr":"1"}]}"#, ""),
            (r#"{"packages":[{"name":"a","arch":"x86_64","evr":"1:2.0~rc1-3.el9^git"}]}"#, ""),
            (r#"{"packages":[]}"#, "names no package"),
            (r#"{"packages":[{"name":"","evr":"1"}]}"#, "which is no name"),
            (r#"{"packages":[{"name":"a b","evr":"1"}]}"#, "which is no name"),
            (r#"{"packages":[{"name":"a","arch":"","evr":"1"}]}"#, "which is no name"),
            (r#"{"packages":[{"name":"a","evr":""}]}"#, "which is not"),
            (r#"{"packages":[{"name":"a","evr":"x:1"}]}"#, "which is not"),
            (r#"{"packages":[{"name":"a","evr":"1:2:3"}]}"#, "which is not"),
            (r#"{"packages":[{"name":"a","evr":"1-2-3"}]}"#, "which is not"),
            (r#"{"packages":[{"name":"a","evr":"1-"}]}"#, "which is not"),
            (r#"{"packages":[{"name":"a","version":"1"}]}"#, "unknown field"),
            (r#"{"packages":[{"name":"a"}]}"#, "missing field"),
        ];
        for (json, expected) in cases {
            match check(json) {
                Ok(()) => assert_eq!(expected, "", "{json}"),
                Err(error) => {
                    assert!(!expected.is_empty() && error.message().contains(expected), "{json}: {}", error.message());
                }
            }
        }
    }

    #[test]
    fn a_missing_release_is_met_by_any_and_a_missing_epoch_is_none() {
        for (installed, offered, expected) in [
            ("3.0.7-1", "3.0.7", Ordering::Equal),
            ("1:3.0.7-1", "3.0.7", Ordering::Greater),
            ("3.0.7-1", "1:3.0.7", Ordering::Less),
            ("0:3.0.7-1", "3.0.7-1", Ordering::Equal),
            ("3.0.7~rc1-9", "3.0.7", Ordering::Less),
            ("3.0.7^git1-1", "3.0.7", Ordering::Greater),
            ("3.0.7-10.el9", "3.0.7-9.el9", Ordering::Greater),
            ("3.0.7-9.el9", "3.0.7-9.el9_4", Ordering::Less),
        ] {
            assert_eq!(compare(installed, offered), expected, "{installed} {offered}");
        }
    }
}
