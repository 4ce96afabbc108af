//! What is expected of a value.

use alloc::{borrow::Cow, format, string::String, vec::Vec};
use core::fmt;
use farrier_plugin_sdk::{
    Error,
    serde::{
        Deserialize, Deserializer,
        de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
    },
};

/// A text, or a whole number: what stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A whole number.
    Number(i64),
}

/// What is expected of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected<'a> {
    /// This text or number.
    Word(Word<'a>),
    /// A value of which this is true.
    Condition(Condition<'a>),
}

/// Something that is true of a value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", rename_all = "snake_case")]
pub enum Condition<'a> {
    /// It is one of these.
    OneOf(#[serde(borrow)] Vec<Word<'a>>),
    /// It is a number, and not smaller.
    AtLeast(i64),
    /// It is a number, and not larger.
    AtMost(i64),
    /// True: there is none. False: there is one.
    Absent(bool),
}

impl Condition<'_> {
    /// What is wrong with it.
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            Self::OneOf(words) if words.is_empty() => Some("is expected to be one of nothing"),
            Self::OneOf(_) | Self::AtLeast(_) | Self::AtMost(_) | Self::Absent(_) => None,
        }
    }
}

/// How values of a format are compared.
#[derive(Clone, Copy)]
pub struct Values {
    /// Whether two values are the same.
    pub same: fn(&str, &str) -> bool,
    /// The number that a value is.
    pub number: fn(&str) -> Option<i64>,
}

/// Values that are the same only where they are written the same.
pub const PLAIN: Values = Values { same: |one, other| one == other, number: |value| value.parse().ok() };

impl Expected<'_> {
    /// Whether a value is as expected, or none is.
    ///
    /// # Errors
    /// If a number is expected and the value is none: whether `5min` is at least 200 is not for this plugin to guess.
    pub fn is_met_by(&self, value: Option<&str>, values: Values) -> Result<bool, Error> {
        let same = |wanted: &str| value.is_some_and(|value| (values.same)(value, wanted));
        Ok(match self {
            Self::Word(word) => same(&format!("{word}")),
            Self::Condition(Condition::OneOf(words)) => words.iter().any(|word| same(&format!("{word}"))),
            Self::Condition(Condition::AtLeast(least)) => number(value, values)?.is_some_and(|number| number >= *least),
            Self::Condition(Condition::AtMost(most)) => number(value, values)?.is_some_and(|number| number <= *most),
            Self::Condition(Condition::Absent(absent)) => value.is_none() == *absent,
        })
    }
}

fn number(value: Option<&str>, values: Values) -> Result<Option<i64>, Error> {
    let Some(value) = value else { return Ok(None) };
    let no_number = || Error::Invalid(format!("`{value}` is no number, and one is expected; expect texts of it"));
    (values.number)(value).map(Some).ok_or_else(no_number)
}

/// The word as it stands in a file.
impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// What people read behind `expected`.
impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{word}`"),
            Self::Condition(Condition::OneOf(words)) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                f.write_str(&words.join(" or "))
            }
            Self::Condition(Condition::AtLeast(least)) => write!(f, "at least {least}"),
            Self::Condition(Condition::AtMost(most)) => write!(f, "at most {most}"),
            Self::Condition(Condition::Absent(true)) => f.write_str("none"),
            Self::Condition(Condition::Absent(false)) => f.write_str("any"),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(WordOr("a text or a whole number"))? {
            Expected::Word(word) => Ok(word),
            Expected::Condition(_) => Err(de::Error::custom("a condition in place of a text or a whole number")),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Expected<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOr("a text, a whole number, `one_of`, `at_least`, `at_most` or `absent`"))
    }
}

/// Reads what is expected; the text says what that may be. Derived code would not say what is wrong.
struct WordOr(&'static str);

impl<'de> Visitor<'de> for WordOr {
    type Value = Expected<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Expected<'de>, E> {
        Ok(Expected::Word(Word::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Expected<'de>, E> {
        Ok(Expected::Word(Word::Text(Cow::Owned(text.into()))))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Expected<'de>, E> {
        Ok(Expected::Word(Word::Number(number)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Expected<'de>, E> {
        i64::try_from(number).map(|number| Expected::Word(Word::Number(number))).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Expected<'de>, A::Error> {
        Condition::deserialize(MapAccessDeserializer::new(map)).map(Expected::Condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use farrier_plugin_sdk::json;

    #[test]
    fn values_are_met_or_not() {
        for (expected, value, met) in [
            (r#""no""#, Some("no"), true),
            (r#""no""#, Some("yes"), false),
            (r#""no""#, Some("No"), false),
            (r#""no""#, None, false),
            ("0", Some("0"), true),
            ("-1", Some("-1"), true),
            ("0", Some("00"), false),
            (r#"{"one_of":["a",2]}"#, Some("2"), true),
            (r#"{"one_of":["a",2]}"#, Some("b"), false),
            (r#"{"at_least":5}"#, Some("5"), true),
            (r#"{"at_least":5}"#, Some("-6"), false),
            (r#"{"at_least":5}"#, None, false),
            (r#"{"at_most":5}"#, Some("5"), true),
            (r#"{"at_most":5}"#, Some("6"), false),
            (r#"{"absent":true}"#, None, true),
            (r#"{"absent":true}"#, Some(""), false),
            (r#"{"absent":false}"#, Some("x"), true),
        ] {
            let parsed: Expected<'_> = json::from_str(expected).unwrap();
            assert_eq!(parsed.is_met_by(value, PLAIN), Ok(met), "{expected} {value:?}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        let at_least: Expected<'_> = json::from_str(r#"{"at_least":5}"#).unwrap();
        for value in ["", "5min", "five", "99999999999999999999"] {
            assert!(at_least.is_met_by(Some(value), PLAIN).is_err(), "{value}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_in_words() {
        for (text, reason) in [
            ("true", "expected a text, a whole number, `one_of`"),
            ("1.5", "expected a text"),
            ("[]", "expected a text"),
            ("9223372036854775808", "out of range"),
            ("{}", ""),
            (r#"{"least":5}"#, "unknown variant `least`"),
            (r#"{"at_least":"5"}"#, "expected i64"),
            (r#"{"one_of":[true]}"#, "expected a text or a whole number"),
            (r#"{"one_of":[{"absent":true}]}"#, "a condition in place of a text"),
            (r#"{"at_least":1,"at_most":2}"#, ""),
        ] {
            let error = json::from_str::<Expected<'_>>(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
