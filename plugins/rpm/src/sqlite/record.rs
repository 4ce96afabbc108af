//! A row as columns.

use super::{
    bytes::varint_at,
    payload::{Payload, Prefix},
};
use alloc::{string::String, vec::Vec};
use farrier_plugin_sdk::Error;

/// Bytes of the list of columns before the values, at most; rpm's tables have two columns, the table of tables five.
const MAX_LIST_BYTES: u64 = 256;

/// A column of a row: what it is and where it is in the row's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub start: usize,
    /// Bytes.
    pub length: usize,
}

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No value; also the column that is the row id.
    Null,
    /// A number whose value is in the content.
    Integer,
    /// A number that needs no content.
    Constant(i64),
    /// A floating-point number.
    Real,
    /// Bytes.
    Blob,
    /// Text.
    Text,
}

/// The columns of a row.
pub struct Record(Vec<Column>);

impl Record {
    /// The columns of a row.
    ///
    /// # Errors
    /// If they cannot be understood, or do not fit together with the row's length.
    pub fn read(row: &mut Payload<'_>) -> Result<Self, Error> {
        let start = usize::try_from(row.length().min(9)).unwrap_or(9);
        let list = varint_at(row.prefix(start)?, 0);
        let Some((list_bytes @ 1..=MAX_LIST_BYTES, list_start)) = list else {
            return Err(row.damaged("a row has a list of columns that is not understood"));
        };
        let list = row.prefix(list_bytes as usize)?;
        match columns(list, list_start) {
            Some((columns, end)) if end as u64 == row.length() => Ok(Self(columns)),
            _ => Err(row.damaged("the columns of a row are not understood")),
        }
    }

    /// All columns.
    pub fn columns(&self) -> &[Column] {
        &self.0
    }

    /// The text of a column.
    ///
    /// # Errors
    /// If there is no such column, or it is something else.
    pub fn text(&self, row: &mut Payload<'_>, index: usize) -> Result<String, Error> {
        let bytes = self.bytes(row, index, Kind::Text)?;
        String::from_utf8(bytes).map_err(|_| row.damaged("a text is not UTF-8"))
    }

    /// The number of a column.
    ///
    /// # Errors
    /// If there is no such column, or it is something else.
    pub fn integer(&self, row: &mut Payload<'_>, index: usize) -> Result<i64, Error> {
        if let Some(Column { kind: Kind::Constant(value), .. }) = self.0.get(index) {
            return Ok(*value);
        }
        let bytes = self.bytes(row, index, Kind::Integer)?;
        // Big-endian and signed, so the first byte says what is before it.
        let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { -1 } else { 0 };
        Ok(bytes.iter().fold(sign, |value, byte| value << 8 | i64::from(*byte)))
    }

    fn bytes(&self, row: &mut Payload<'_>, index: usize, kind: Kind) -> Result<Vec<u8>, Error> {
        match self.0.get(index) {
            Some(column) if column.kind == kind => {
                Ok(row.prefix(column.start + column.length)?[column.start..].to_vec())
            }
            _ => Err(row.damaged("a column of a row is not what it should be")),
        }
    }
}

/// The columns of this list, and where the content ends.
fn columns(list: &[u8], mut at: usize) -> Option<(Vec<Column>, usize)> {
    let mut columns = Vec::new();
    let mut start = list.len();
    while at < list.len() {
        let (code, code_bytes) = varint_at(list, at)?;
        at += code_bytes;
        let (kind, length) = match code {
            0 => (Kind::Null, 0),
            1..=4 => (Kind::Integer, code as usize),
            5 => (Kind::Integer, 6),
            6 => (Kind::Integer, 8),
            7 => (Kind::Real, 8),
            8 => (Kind::Constant(0), 0),
            9 => (Kind::Constant(1), 0),
            10 | 11 => return None,
            code if code % 2 == 0 => (Kind::Blob, usize::try_from((code - 12) / 2).ok()?),
            code => (Kind::Text, usize::try_from((code - 13) / 2).ok()?),
        };
        columns.push(Column { kind, start, length });
        start = start.checked_add(length)?;
    }
    Some((columns, start)).filter(|_| at == list.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_follow_their_list() {
        let (found, end) = columns(&[6, 0, 23, 1, 9, 14], 1).unwrap();
        let kinds: Vec<_> = found.iter().map(|column| (column.kind, column.start, column.length)).collect();
        let expected = [
            (Kind::Null, 6, 0),
            (Kind::Text, 6, 5),
            (Kind::Integer, 11, 1),
            (Kind::Constant(1), 12, 0),
            (Kind::Blob, 12, 1),
        ];
        assert_eq!((kinds.as_slice(), end), (expected.as_slice(), 13));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for list in [[2, 10].as_slice(), &[2, 11], &[2, 0x80], &[10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            assert!(columns(list, 1).is_none(), "{list:?}");
        }
        // Two columns that are together longer than anything can be.
        let mut list = Vec::from([19]);
        for _ in 0..2 {
            list.extend([0xff; 9]);
        }
        assert!(columns(&list, 1).is_none() || usize::BITS == 64);
    }
}
