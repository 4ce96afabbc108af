//! What rpm keeps of an installed package: a header, as a blob.
//!
//! Two big-endian numbers say how many entries there are and how many bytes of data. An entry has sixteen bytes: a
//! tag, a type, where its data begins, how many values it has. rpm sorts entries and data by tag, so the name of a
//! package is at the front and its list of files, which is most of it, is never read.

use crate::sqlite::Prefix;
use alloc::{
    borrow::ToOwned,
    boxed::Box,
    format,
    string::{String, ToString},
};
use farrier_plugin_sdk::Error;

/// Entries of a header, at most: as many as rpm itself takes.
const MAX_ENTRIES: u32 = 0xffff;

/// Bytes of a name, a version, a release or an architecture, at most.
const MAX_TEXT_BYTES: usize = 512;

const PREAMBLE_BYTES: usize = 8;
const ENTRY_BYTES: usize = 16;

const TYPE_INT32: u32 = 4;
const TYPE_STRING: u32 = 6;

/// What a header says of its package's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: Box<str>,
    /// Its version with release and, if it has one, epoch: `1:3.2.2-6.fc40`.
    pub evr: Box<str>,
    /// Its architecture: `x86_64`, `noarch`. A public key, which rpm keeps like a package, has none.
    pub architecture: Option<Box<str>>,
}

/// The tags that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Name,
    Version,
    Release,
    Epoch,
    Architecture,
}

impl Tag {
    const ALL: [Self; 5] = [Self::Name, Self::Version, Self::Release, Self::Epoch, Self::Architecture];

    const fn number(self) -> u32 {
        match self {
            Self::Name => 1000,
            Self::Version => 1001,
            Self::Release => 1002,
            Self::Epoch => 1003,
            Self::Architecture => 1022,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Version => "version",
            Self::Release => "release",
            Self::Epoch => "epoch",
            Self::Architecture => "architecture",
        }
    }

    const fn kind(self) -> u32 {
        match self {
            Self::Epoch => TYPE_INT32,
            Self::Name | Self::Version | Self::Release | Self::Architecture => TYPE_STRING,
        }
    }
}

impl Header {
    /// Reads as much of a header as its identity needs.
    ///
    /// # Errors
    /// What is damaged or not understood.
    pub fn read(blob: &mut dyn Prefix) -> Result<Self, Error> {
        let index = Index::read(blob)?;
        let mut text = |tag| index.text(blob, tag);
        let name = text(Tag::Name)?.ok_or_else(|| missing(Tag::Name))?;
        let version = text(Tag::Version)?.ok_or_else(|| missing(Tag::Version))?;
        let release = text(Tag::Release)?.ok_or_else(|| missing(Tag::Release))?;
        let architecture = text(Tag::Architecture)?;
        let evr = match index.epoch(blob)? {
            Some(epoch) => format!("{epoch}:{version}-{release}"),
            None => format!("{version}-{release}"),
        };
        Ok(Self { name, evr: evr.into(), architecture })
    }
}

/// Where the data of the wanted tags begins in the blob.
struct Index {
    /// By the order of [`Tag::ALL`].
    starts: [Option<usize>; Tag::ALL.len()],
    /// Where the blob ends.
    end: usize,
}

impl Index {
    fn read(blob: &mut dyn Prefix) -> Result<Self, Error> {
        let length = blob.length();
        let preamble = blob.prefix(PREAMBLE_BYTES)?;
        let (entries, data) = (number(preamble, 0), number(preamble, 4));
        if entries == 0 || entries > MAX_ENTRIES {
            return Err(invalid(format!("a header of {entries} entries")));
        }
        let data_start = PREAMBLE_BYTES + ENTRY_BYTES * entries as usize;
        if data_start as u64 + u64::from(data) != length {
            let reason = format!("a header of {entries} entries and {data} bytes of data in a blob of {length} bytes");
            return Err(invalid(reason));
        }
        let mut starts = [None; Tag::ALL.len()];
        for entry in blob.prefix(data_start)?[PREAMBLE_BYTES..].chunks_exact(ENTRY_BYTES) {
            let [tag, kind, offset, count] = [0, 4, 8, 12].map(|at| number(entry, at));
            let Some(position) = Tag::ALL.iter().position(|known| known.number() == tag) else { continue };
            let word = Tag::ALL[position].word();
            if kind != Tag::ALL[position].kind() || count != 1 {
                return Err(invalid(format!("the {word} is of type {kind} and has {count} values")));
            }
            if offset >= data {
                return Err(invalid(format!("the {word} is behind the end")));
            }
            if starts[position].replace(data_start + offset as usize).is_some() {
                return Err(invalid(format!("the {word} is there twice")));
            }
        }
        Ok(Self { starts, end: data_start + data as usize })
    }

    fn start(&self, tag: Tag) -> Option<usize> {
        Tag::ALL.iter().zip(self.starts).find(|(known, _)| **known == tag)?.1
    }

    /// The text of a tag, if the header has it.
    fn text(&self, blob: &mut dyn Prefix, tag: Tag) -> Result<Option<Box<str>>, Error> {
        let Some(start) = self.start(tag) else { return Ok(None) };
        let most = self.end.min(start + MAX_TEXT_BYTES + 1);
        let bytes = &blob.prefix(most)?[start..];
        let end = bytes.iter().position(|byte| *byte == 0);
        let text = end.map(|end| &bytes[..end]).and_then(|bytes| core::str::from_utf8(bytes).ok());
        match text {
            Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Some(text.into())),
            _ => Err(invalid(format!("the {} is no word of at most {MAX_TEXT_BYTES} bytes", tag.word()))),
        }
    }

    fn epoch(&self, blob: &mut dyn Prefix) -> Result<Option<u32>, Error> {
        let Some(start) = self.start(Tag::Epoch) else { return Ok(None) };
        let end = start + 4;
        if end > self.end {
            return Err(invalid("the epoch is behind the end".to_owned()));
        }
        Ok(Some(number(blob.prefix(end)?, start)))
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_be_bytes)
}

fn missing(tag: Tag) -> Error {
    invalid(format!("there is no {}", tag.word()))
}

fn invalid(reason: String) -> Error {
    Error::Invalid(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    impl Prefix for Vec<u8> {
        fn length(&self) -> u64 {
            self.len() as u64
        }

        fn prefix(&mut self, count: usize) -> Result<&[u8], Error> {
            self.get(..count).ok_or_else(|| invalid("shorter".to_owned()))
        }
    }

    type Entry<'a> = (u32, u32, u32, &'a [u8]);

    const NAME: Entry<'_> = (1000, 6, 1, b"bash\0");
    const VERSION: Entry<'_> = (1001, 6, 1, b"5.2\0");
    const RELEASE: Entry<'_> = (1002, 6, 1, b"1.fc40\0");
    const EPOCH: Entry<'_> = (1003, 4, 1, &[0, 0, 0, 7]);
    const ARCH: Entry<'_> = (1022, 6, 1, b"x86_64\0");

    fn blob(entries: &[Entry<'_>]) -> Vec<u8> {
        let data: usize = entries.iter().map(|entry| entry.3.len()).sum();
        let mut blob = Vec::new();
        blob.extend((entries.len() as u32).to_be_bytes());
        blob.extend((data as u32).to_be_bytes());
        let mut offset = 0;
        for (tag, kind, count, bytes) in entries {
            for number in [*tag, *kind, offset, *count] {
                blob.extend(number.to_be_bytes());
            }
            offset += bytes.len() as u32;
        }
        entries.iter().for_each(|entry| blob.extend(entry.3));
        blob
    }

    fn refusal(mut blob: Vec<u8>) -> String {
        Header::read(&mut blob).unwrap_err().message().to_owned()
    }

    #[test]
    fn a_header_names_its_package() {
        let full = Header::read(&mut blob(&[NAME, VERSION, RELEASE, EPOCH, ARCH])).unwrap();
        let expected = Header { name: "bash".into(), evr: "7:5.2-1.fc40".into(), architecture: Some("x86_64".into()) };
        assert_eq!(full, expected);
        let key = Header::read(&mut blob(&[(61, 7, 1, &[0; 16]), NAME, VERSION, RELEASE])).unwrap();
        assert_eq!((&*key.evr, key.architecture), ("5.2-1.fc40", None));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let long = [b'a'; MAX_TEXT_BYTES + 1];
        let cases: [(&[Entry<'_>], &str); 12] = [
            (&[VERSION, RELEASE], "there is no name"),
            (&[NAME, RELEASE], "there is no version"),
            (&[NAME, VERSION], "there is no release"),
            (&[], "a header of 0 entries"),
            (&[NAME, VERSION, RELEASE, NAME], "the name is there twice"),
            (&[(1000, 9, 1, b"bash\0"), VERSION, RELEASE], "the name is of type 9"),
            (&[NAME, (1001, 6, 2, b"1\x002\0"), RELEASE], "the version is of type 6 and has 2 values"),
            (&[NAME, VERSION, (1002, 6, 1, b"1")], "the release is no word"),
            (&[(1000, 6, 1, b"\0"), VERSION, RELEASE], "the name is no word"),
            (&[(1000, 6, 1, b"\xff\0"), VERSION, RELEASE], "the name is no word"),
            (&[VERSION, RELEASE, (1000, 6, 1, &long)], "the name is no word of at most 512"),
            (&[NAME, VERSION, RELEASE, (1003, 4, 1, &[0, 0, 1])], "the epoch is behind the end"),
        ];
        for (entries, expected) in cases {
            let reason = refusal(blob(entries));
            assert!(reason.contains(expected), "{expected}: {reason}");
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let sound = blob(&[NAME, VERSION, RELEASE, ARCH]);
        assert!(refusal([sound.as_slice(), &[0]].concat()).contains("in a blob of"));
        for (at, byte) in [(0, 0xff), (3, 5), (4, 0xff), (7, 1), (16, 0xff)] {
            let mut broken = sound.clone();
            broken[at] = byte;
            refusal(broken);
        }
        for length in 0..sound.len() {
            refusal(sound[..length].to_vec());
        }
    }
}
