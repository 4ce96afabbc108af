//! JSON as signed metadata uses it: no fractions, no member twice; and its canonical form, which is what is signed.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The members of an object, by name.
pub type Members = BTreeMap<String, Value>;

/// A JSON value (RFC 8259) whose numbers are whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any whole number that fits into 64 bits, with or without a sign.
    Integer {
        /// Whether it is below 0.
        is_negative: bool,
        /// How far from 0 it is.
        magnitude: u64,
    },
    /// Text.
    String(String),
    /// Values in their order.
    Array(Vec<Value>),
    /// Values by name.
    Object(Members),
}

impl Value {
    /// Reads JSON. Fractions, names that occur twice in an object and more than 128 levels are refused.
    ///
    /// # Errors
    /// In words, when `bytes` are not exactly one such value.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    fn write(&self, out: &mut Vec<u8>, text: fn(&str, &mut Vec<u8>)) {
        match self {
            Self::Null => out.extend(b"null"),
            Self::Bool(true) => out.extend(b"true"),
            Self::Bool(false) => out.extend(b"false"),
            Self::Integer { is_negative, magnitude } => {
                out.extend(is_negative.then_some(b'-'));
                out.extend(magnitude.to_string().as_bytes());
            }
            Self::String(string) => text(string, out),
            Self::Array(values) => {
                let write_one = |value: &Self, out: &mut Vec<u8>| value.write(out, text);
                write_list(b"[]", values.iter(), out, write_one);
            }
            Self::Object(members) => write_object(members, out, text),
        }
    }
}

/// The canonical form of an object, which is what gets signed and hashed: names sorted, no white space, and only
/// quotes and backslashes escaped (<http://wiki.laptop.org/go/Canonical_JSON>). It is not always JSON: control
/// characters stay as they are.
pub(crate) fn canonical(members: &Members) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(members, &mut out, write_canonical_text);
    out
}

/// An object as JSON without white space.
#[cfg(feature = "sign")]
pub(crate) fn to_json(members: &Members) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(members, &mut out, write_json_text);
    out
}

fn write_object(members: &Members, out: &mut Vec<u8>, text: fn(&str, &mut Vec<u8>)) {
    write_list(b"{}", members.iter(), out, |(name, value), out| {
        text(name, out);
        out.push(b':');
        value.write(out, text);
    });
}

fn write_list<T>(
    brackets: &[u8; 2],
    items: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    write_one: impl Fn(T, &mut Vec<u8>),
) {
    out.push(brackets[0]);
    for (position, item) in items.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_one(item, out);
    }
    out.push(brackets[1]);
}

fn write_canonical_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(feature = "sign")]
fn write_json_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0..0x20 => out.extend(alloc::format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer { is_negative: false, magnitude: number }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer { is_negative: number < 0, magnitude: number.unsigned_abs() })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Members::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value()?;
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the member {name:?} occurs twice")));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}
