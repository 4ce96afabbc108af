//! What a policy calls a binary package: the name apt gives its file.

use alloc::{borrow::Cow, format, string::String};
use core::fmt;

/// The label of a binary package: `bsdutils_1%3a2.38.1-5+deb12u3_amd64.deb`.
///
/// It says what the file holds, so that an installer knows what concerns its endpoint before it has the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label<'a> {
    /// The package's name.
    pub package: &'a str,
    /// The package's version, with its epoch.
    pub version: Cow<'a, str>,
    /// The package's architecture: `amd64`, `all`.
    pub architecture: &'a str,
}

/// A text that is no label. It names the text and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelError(String);

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for LabelError {}

impl<'a> Label<'a> {
    /// The label of this package.
    ///
    /// # Errors
    /// [`LabelError`] if Debian Policy allows no such name, version or architecture.
    pub fn new(package: &'a str, version: &'a str, architecture: &'a str) -> Result<Self, LabelError> {
        Self { package, version: Cow::Borrowed(version), architecture }.checked()
    }

    /// Reads a label.
    ///
    /// # Errors
    /// [`LabelError`]
    pub fn parse(text: &'a str) -> Result<Self, LabelError> {
        let parts = text.strip_suffix(".deb").and_then(|stem| {
            let (package, rest) = stem.split_once('_')?;
            let (version, architecture) = rest.split_once('_')?;
            Some((package, version, architecture))
        });
        let Some((package, version, architecture)) = parts else {
            return Err(LabelError(format!("`{text}` is not `package_version_architecture.deb`")));
        };
        let version = if version.contains("%3a") {
            Cow::Owned(version.replace("%3a", ":"))
        } else if version.contains(':') {
            return Err(LabelError(format!("`{text}`: the colon of a version is written %3a")));
        } else {
            Cow::Borrowed(version)
        };
        Self { package, version, architecture }.checked()
    }

    fn checked(self) -> Result<Self, LabelError> {
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let parts = [
            ("package name", self.package, is_made_of(self.package, |byte| lower(byte) || b"+-.".contains(&byte))),
            (
                "version",
                &*self.version,
                is_made_of(&self.version, |byte| byte.is_ascii_alphanumeric() || b".+-:~".contains(&byte)),
            ),
            ("architecture", self.architecture, is_made_of(self.architecture, |byte| lower(byte) || byte == b'-')),
        ];
        match parts.iter().find(|(_, _, good)| !good) {
            Some((what, text, _)) => Err(LabelError(format!("`{text}` is no {what}"))),
            None => Ok(self),
        }
    }
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_", self.package)?;
        for (index, part) in self.version.split(':').enumerate() {
            if index > 0 {
                f.write_str("%3a")?;
            }
            f.write_str(part)?;
        }
        write!(f, "_{}.deb", self.architecture)
    }
}

/// Whether a text is not empty, begins with a letter or digit and is made of such bytes.
fn is_made_of(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::Label;
    use alloc::string::ToString;

    #[test]
    fn a_label_says_what_apt_calls_the_file() {
        for (text, package, version, architecture) in [
            ("libssl3_3.0.17-1~deb12u2_amd64.deb", "libssl3", "3.0.17-1~deb12u2", "amd64"),
            ("bsdutils_1%3a2.38.1-5+deb12u3_amd64.deb", "bsdutils", "1:2.38.1-5+deb12u3", "amd64"),
            ("g++_4%3a12.2.0-3_all.deb", "g++", "4:12.2.0-3", "all"),
        ] {
            let label = Label::parse(text).unwrap();
            assert_eq!((label.package, &*label.version, label.architecture), (package, version, architecture));
            assert_eq!(label.to_string(), text);
            assert_eq!(Label::new(package, version, architecture).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_could_be_anything_else_is_refused() {
        for text in [
            "",
            ".deb",
            "foo",
            "foo_1.0.deb",
            "foo_1.0_amd64",
            "_1.0_amd64.deb",
            "foo__amd64.deb",
            "foo_1.0_.deb",
            "-foo_1.0_amd64.deb",
            "../foo_1.0_amd64.deb",
            "foo_1/2_amd64.deb",
            "foo_1:2_amd64.deb",
            "foo_1%2e0_amd64.deb",
            "foo_1.0_amd64_x.deb",
            "Foo_1.0_amd64.deb",
            "foo_1.0 _amd64.deb",
            "foo_1.0\n_amd64.deb",
            "foo_--force_amd64.deb",
        ] {
            assert!(Label::parse(text).is_err(), "{text:?}");
        }
    }
}
