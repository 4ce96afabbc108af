//! The first hundred bytes of a database.

use super::bytes::{u16_at, u32_at};
use alloc::{format, string::String};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 100;

const MAGIC: &[u8] = b"SQLite format 3\0";

/// Usable bytes of a page, at least.
const MIN_USABLE_BYTES: usize = 480;

/// What matters of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of a page.
    pub page_bytes: usize,
    /// Bytes of a page that hold content.
    pub usable_bytes: usize,
    /// Pages, where the header has a number that can be believed.
    pub pages: Option<u32>,
}

impl Header {
    /// Reads the header, or says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < HEADER_BYTES {
            return Err(format!("it has {} bytes, and a database has {HEADER_BYTES} at least", bytes.len()));
        }
        if !bytes.starts_with(MAGIC) {
            return Err("it is no SQLite 3 database".into());
        }
        let page_bytes = match u16_at(bytes, 16) {
            Some(1) => 0x1_0000,
            Some(size) => usize::from(size),
            None => 0,
        };
        if page_bytes < 512 || !page_bytes.is_power_of_two() {
            return Err(format!("its pages have {page_bytes} bytes, which SQLite does not know"));
        }
        // Read version 1 is a roll-back journal, 2 a write-ahead log.
        if !matches!(bytes[19], 1 | 2) {
            return Err(format!("its read version is {}, and 1 and 2 are known", bytes[19]));
        }
        let usable_bytes = page_bytes - usize::from(bytes[20]);
        if usable_bytes < MIN_USABLE_BYTES || bytes[21..24] != [64, 32, 32] {
            return Err("its payload fractions are not those of SQLite 3".into());
        }
        if !matches!(u32_at(bytes, 44), Some(1..=4)) {
            return Err("its schema format is not one of 1 to 4".into());
        }
        if u32_at(bytes, 56) != Some(1) {
            return Err("its texts are not UTF-8".into());
        }
        // The number of pages counts only if whoever changed the database last knew of it.
        let pages = u32_at(bytes, 28).filter(|pages| *pages > 0 && bytes[24..28] == bytes[92..96]);
        Ok(Self { page_bytes, usable_bytes, pages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..24].copy_from_slice(&[0x10, 0, 2, 2, 0, 64, 32, 32]);
        bytes[31] = 7;
        bytes[47] = 4;
        bytes[59] = 1;
        bytes
    }

    #[test]
    fn what_is_not_understood_is_said() {
        assert_eq!(Header::parse(&sound()), Ok(Header { page_bytes: 4096, usable_bytes: 4096, pages: Some(7) }));
        let broken: [(usize, u8, &str); 8] = [
            (0, b's', "no SQLite 3"),
            (16, 0x11, "4352 bytes"),
            (16, 0, "0 bytes"),
            (19, 3, "read version is 3"),
            (21, 63, "fractions"),
            (47, 5, "schema format"),
            (47, 0, "schema format"),
            (59, 2, "UTF-8"),
        ];
        for (at, byte, expected) in broken {
            let mut bytes = sound();
            bytes[at] = byte;
            let error = Header::parse(&bytes).unwrap_err();
            assert!(error.contains(expected), "{at}: {error}");
        }
        assert!(Header::parse(&sound()[..99]).unwrap_err().contains("99 bytes"));
        assert!(Header::parse(b"").is_err());
    }

    #[test]
    fn sizes_have_their_special_cases() {
        let mut bytes = sound();
        bytes[16..18].copy_from_slice(&[0, 1]);
        bytes[20] = 32;
        let header = Header::parse(&bytes).unwrap();
        assert_eq!((header.page_bytes, header.usable_bytes), (65_536, 65_504));
        bytes[95] = 1;
        assert_eq!(Header::parse(&bytes).unwrap().pages, None, "somebody older wrote after the number was set");
        bytes = sound();
        bytes[16..18].copy_from_slice(&[2, 0]);
        bytes[20] = 33;
        assert!(Header::parse(&bytes).is_err(), "479 usable bytes");
    }
}
