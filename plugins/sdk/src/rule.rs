//! What a policy tells a plugin: rules of an applicability plugin, instructions of an installer.

use crate::Error;
use alloc::borrow::ToOwned;
#[cfg(any(feature = "json", feature = "postcard"))]
use alloc::format;

/// How a plugin understands the bytes that a policy has for it. They are read in place: what it needs of them can be
/// borrowed.
///
/// For bytes and text there is nothing to write; for JSON and postcard there are `Json` and `Postcard`, behind the
/// features `json` and `postcard`. Say the same encoding in the manifest: `rules.encoding`.
///
/// ```
/// use farrier_plugin_sdk::{Error, Rule};
///
/// /// `NAME VERSION`
/// struct Wanted<'a> {
///     name: &'a str,
///     version: &'a str,
/// }
///
/// impl<'a> Rule<'a> for Wanted<'a> {
///     fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
///         let words = <&str>::decode(bytes)?.split_once(' ');
///         let (name, version) = words.ok_or_else(|| Error::Invalid("the rule is not `NAME VERSION`".into()))?;
///         Ok(Self { name, version })
///     }
/// }
///
/// assert_eq!(Wanted::decode(b"editor 2.0").unwrap().version, "2.0");
/// ```
pub trait Rule<'a>: Sized {
    /// What the bytes say.
    ///
    /// # Errors
    /// Why they cannot be understood, [`Error::Invalid`]: the update is then `Unknown`, or is not installed.
    fn decode(bytes: &'a [u8]) -> Result<Self, Error>;
}

impl<'a> Rule<'a> for &'a [u8] {
    fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(bytes)
    }
}

impl<'a> Rule<'a> for &'a str {
    fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        str::from_utf8(bytes).map_err(|_| Error::Invalid("what the policy says is not UTF-8".to_owned()))
    }
}

/// For an installer that is told nothing: whatever the policy says is ignored.
impl<'a> Rule<'a> for () {
    fn decode(_: &'a [u8]) -> Result<Self, Error> {
        Ok(())
    }
}

/// A rule in JSON. Derive `Deserialize` with the SDK's serde; text without an escape can be borrowed.
///
/// ```
/// use farrier_plugin_sdk::{Json, Rule, serde::Deserialize};
///
/// #[derive(Deserialize)]
/// #[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
/// struct Wanted<'a> {
///     name: &'a str,
///     #[serde(default)]
///     version: Option<String>,
/// }
///
/// let rule = Json::<Wanted<'_>>::decode(br#"{"name":"editor","version":"2.0"}"#).unwrap();
/// assert_eq!(rule.name, "editor");
/// assert!(Json::<Wanted<'_>>::decode(br#"{"nam":"editor"}"#).is_err());
/// ```
#[cfg(feature = "json")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(pub T);

#[cfg(feature = "json")]
impl<'a, T: serde::Deserialize<'a>> Rule<'a> for Json<T> {
    fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let value = serde_json::from_slice(bytes);
        value.map(Self).map_err(|error| Error::Invalid(format!("what the policy says: {error}")))
    }
}

#[cfg(feature = "json")]
impl<T> core::ops::Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A rule in postcard: smaller than JSON, and quicker to read. Bytes that are left over are an
/// error.
#[cfg(feature = "postcard")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postcard<T>(pub T);

#[cfg(feature = "postcard")]
impl<'a, T: serde::Deserialize<'a>> Rule<'a> for Postcard<T> {
    fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(Self(value)),
            Ok((_, rest)) => Err(Error::Invalid(format!("what the policy says goes on for {} bytes", rest.len()))),
            Err(error) => Err(Error::Invalid(format!("what the policy says is no postcard: {error}"))),
        }
    }
}

#[cfg(feature = "postcard")]
impl<T> core::ops::Deref for Postcard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
