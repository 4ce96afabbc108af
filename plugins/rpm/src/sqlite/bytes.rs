//! Numbers in bytes, and bytes of files.

use alloc::{format, vec::Vec};
use farrier_plugin_sdk::{Error, File};

/// The big-endian number at this place.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// The big-endian number at this place.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// The variable-length number at this place, and how many bytes it takes: seven bits a byte, the ninth byte whole.
pub fn varint_at(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.get(at..)?.iter().take(9).enumerate() {
        if index == 8 {
            return Some((value << 8 | u64::from(*byte), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// The bytes from `offset` on, `length` of them or, at the end of the file, fewer.
pub fn read_at(file: &dyn File, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let most = u32::try_from(length - bytes.len()).unwrap_or(u32::MAX);
        match file.read_at(offset + bytes.len() as u64, most)? {
            end if end.is_empty() => break,
            piece if bytes.is_empty() => bytes = piece,
            piece => bytes.extend_from_slice(&piece),
        }
    }
    Ok(bytes)
}

/// What is wrong with a page of a database.
pub fn damaged(path: &str, page: u32, what: &str) -> Error {
    Error::Invalid(format!("{path}: page {page}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length() {
        for (bytes, expected) in [
            ([0].as_slice(), Some((0, 1))),
            (&[0x7f], Some((127, 1))),
            (&[0x81, 0], Some((128, 2))),
            (&[0x82, 0x80, 1], Some((2 << 14 | 1, 3))),
            (&[0xff; 9], Some((u64::MAX, 9))),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 7], Some((7, 9))),
            (&[0x80], None),
            (&[0xff; 8], None),
            (&[], None),
        ] {
            assert_eq!(varint_at(bytes, 0), expected, "{bytes:x?}");
        }
        assert_eq!(varint_at(&[9, 1], 1), Some((1, 1)));
        assert_eq!((u16_at(&[0, 1, 2], 1), u16_at(&[0, 1, 2], 2), u16_at(&[], 9)), (Some(0x102), None, None));
        assert_eq!((u32_at(&[1, 2, 3, 4], 0), u32_at(&[1, 2, 3], 0)), (Some(0x0102_0304), None));
    }
}
