//! Reads a package index, stanza by stanza, with the same few buffers for all of them.

use farrier_protocol::Digest;
use std::io::{self, BufRead, Read as _};

/// One line, at most: the longest lists of relations have some 100 kB.
const MAX_LINE_BYTES: u64 = 4 * 1024 * 1024;
/// A name, a version or an architecture: a rule holds its length in one byte.
const MAX_WORD_BYTES: usize = u8::MAX as usize;
const MAX_FILE_NAME_BYTES: usize = 4096;
const MAX_DESCRIPTION_CHARS: usize = 300;

/// Why an index is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// It cannot be read, or unpacked.
    #[error("it cannot be unpacked")]
    Read(#[from] io::Error),
    /// It is not what it should be.
    #[error("line {line}: {problem}")]
    Invalid {
        /// Where, in the unpacked index.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

/// One binary package of an index, valid until the next one is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its architecture.
    pub architecture: &'a str,
    /// The source package it was built from.
    pub source: &'a str,
    /// That one's version.
    pub source_version: &'a str,
    /// Where it is, relative to the archive.
    pub file: &'a str,
    /// Its length in bytes.
    pub size: i64,
    /// Its SHA-256.
    pub sha256: Digest,
    /// One line for people.
    pub description: &'a str,
    /// 0 optional or extra, 1 standard, 2 important, 3 required or essential.
    pub priority: i64,
}

/// The fields we know; the discriminant is the place in [`Stanza::values`].
#[derive(Debug, Clone, Copy)]
enum Field {
    Package,
    Source,
    Version,
    Architecture,
    Filename,
    Size,
    Sha256,
    Description,
    Priority,
    Essential,
}

impl Field {
    const ALL: [(Self, &'static str); 10] = [
        (Self::Package, "Package"),
        (Self::Source, "Source"),
        (Self::Version, "Version"),
        (Self::Architecture, "Architecture"),
        (Self::Filename, "Filename"),
        (Self::Size, "Size"),
        (Self::Sha256, "SHA256"),
        (Self::Description, "Description"),
        (Self::Priority, "Priority"),
        (Self::Essential, "Essential"),
    ];

    fn of_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| name.eq_ignore_ascii_case(known.as_bytes())).map(|(field, _)| field)
    }
}

#[derive(Debug, Default)]
struct Stanza {
    /// The number of its first line; 0 before there is one.
    line: usize,
    values: [String; Field::ALL.len()],
}

/// Reads an index to its end.
///
/// # Errors
/// At the first thing that is wrong; the message says where.
pub fn parse(mut index: impl BufRead, mut each: impl FnMut(Package<'_>)) -> Result<(), PackagesError> {
    let mut stanza = Stanza::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let bytes = index.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        let text = line.trim_ascii_end();
        if text.is_empty() {
            if stanza.line > 0 {
                let at = stanza.line;
                each(stanza.package().map_err(|problem| PackagesError::Invalid { line: at, problem })?);
                stanza.clear();
            }
            if bytes == 0 {
                break;
            }
        } else if bytes as u64 == MAX_LINE_BYTES {
            let problem = format!("it has more than {MAX_LINE_BYTES} bytes");
            return Err(PackagesError::Invalid { line: number, problem });
        } else {
            stanza.read(text, number).map_err(|problem| PackagesError::Invalid { line: number, problem })?;
        }
    }
    Ok(())
}

impl Stanza {
    fn read(&mut self, line: &[u8], number: usize) -> Result<(), String> {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return if self.line > 0 { Ok(()) } else { Err("a continuation without a field".to_owned()) };
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Err("it is no field".to_owned()) };
        if self.line == 0 {
            self.line = number;
        }
        let Some(field) = Field::of_name(&line[..colon]) else { return Ok(()) };
        let value = String::from_utf8_lossy(line[colon + 1..].trim_ascii());
        if value.contains('\0') {
            return Err(format!("{field:?} holds a NUL, which is no text"));
        }
        let slot = &mut self.values[field as usize];
        if !slot.is_empty() {
            return Err(format!("{field:?} is given twice"));
        }
        slot.push_str(&value);
        Ok(())
    }

    fn clear(&mut self) {
        self.line = 0;
        self.values.iter_mut().for_each(String::clear);
    }

    fn get(&self, field: Field) -> &str {
        &self.values[field as usize]
    }

    fn package(&self) -> Result<Package<'_>, String> {
        let name = word("Package", self.get(Field::Package))?;
        let version = word("Version", self.get(Field::Version))?;
        let (source, source_version) = self.source(name, version)?;
        let file = self.get(Field::Filename);
        if file.is_empty() || file.len() > MAX_FILE_NAME_BYTES {
            return Err(format!("package {name} has no Filename"));
        }
        Ok(Package {
            name,
            version,
            architecture: word("Architecture", self.get(Field::Architecture))?,
            source,
            source_version,
            file,
            size: self
                .get(Field::Size)
                .parse()
                .ok()
                .filter(|size| *size >= 0)
                .ok_or(format!("package {name} has no Size"))?,
            sha256: self.get(Field::Sha256).parse().map_err(|_| format!("package {name} has no SHA256"))?,
            description: shortened(self.get(Field::Description)),
            priority: self.priority(),
        })
    }

    /// `Source: name (version)`, where what is missing is the binary package's own.
    fn source<'a>(&'a self, name: &'a str, version: &'a str) -> Result<(&'a str, &'a str), String> {
        match self.get(Field::Source).split_once(char::is_whitespace) {
            None if self.get(Field::Source).is_empty() => Ok((name, version)),
            None => Ok((word("Source", self.get(Field::Source))?, version)),
            Some((source, in_brackets)) => {
                let version = in_brackets.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
                let version = version.ok_or_else(|| format!("Source: {in_brackets:?} is no version in brackets"))?;
                Ok((word("Source", source)?, word("Source", version.trim())?))
            }
        }
    }

    fn priority(&self) -> i64 {
        match self.get(Field::Priority) {
            _ if self.get(Field::Essential) == "yes" => 3,
            "required" => 3,
            "important" => 2,
            "standard" => 1,
            _ => 0,
        }
    }
}

/// A value that becomes part of an update's name and of rules: visible ASCII, and no slash.
fn word<'a>(field: &str, value: &'a str) -> Result<&'a str, String> {
    let fits = (1..=MAX_WORD_BYTES).contains(&value.len());
    if fits && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
        Ok(value)
    } else {
        Err(format!("{field}: {value:?} is missing or no single word of at most {MAX_WORD_BYTES} letters"))
    }
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(MAX_DESCRIPTION_CHARS).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn stanza(fields: &str) -> String {
        format!("Filename: pool/a.deb\nSize: 5\nSHA256: {SHA256}\nArchitecture: amd64\n{fields}\n")
    }

    fn read(index: &str) -> Result<Vec<String>, PackagesError> {
        let mut packages = Vec::new();
        parse(index.as_bytes(), |package| {
            let Package { name, version, source, source_version, priority, description, .. } = package;
            packages.push(format!("{name} {version} of {source} {source_version}, {priority}: {description}"));
        })?;
        Ok(packages)
    }

    #[test]
    fn the_source_is_the_package_itself_unless_it_says_otherwise() {
        let index = [
            stanza("Package: a\nVersion: 1-1+b1\nSource: b (1-1)\nDescription: one\n two\n"),
            stanza("Package: a\nVersion: 1-1\nSource: b\nPriority: important\n"),
            "\n\n".to_owned(),
            stanza("package: a\nVersion: 2\nEssential: yes\nTag: x,\n y"),
        ];
        assert_eq!(
            read(&index.concat()).unwrap(),
            ["a 1-1+b1 of b 1-1, 0: one", "a 1-1 of b 1-1, 2: ", "a 2 of a 2, 3: "]
        );
    }

    #[test]
    fn an_empty_index_has_no_packages() {
        assert_eq!(read("").unwrap(), [""; 0]);
        assert_eq!(read("\n\n").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        let good = stanza("Package: a\nVersion: 1\n");
        for (bad, line, problem) in [
            (stanza("Version: 1\n"), 8, "Package: \"\" is missing"),
            (stanza("Package: a b\nVersion: 1\n"), 8, "Package: \"a b\""),
            (stanza("Package: a\nVersion: 1/2\n"), 8, "Version: \"1/2\""),
            (stanza("Package: a\nVersion: 1\nSource: b 2\n"), 8, "no version in brackets"),
            (stanza("Package: a\nDescription: b\0\n"), 13, "Description holds a NUL"),
            (stanza("Package: a\nPackage: b\n"), 13, "Package is given twice"),
            ("Package: a\nnonsense\n".to_owned(), 9, "it is no field"),
            (" continued\n".to_owned(), 8, "a continuation without a field"),
            (format!("Package: {}\n", "a".repeat(256)), 8, "is missing or no single word"),
            (stanza("Package: a\nVersion: 1\n").replace("Size: 5", "Size: -5"), 8, "package a has no Size"),
            (stanza("Package: a\nVersion: 1\n").replace(SHA256, "00"), 8, "package a has no SHA256"),
        ] {
            let error = read(&format!("{good}{bad}")).unwrap_err();
            let PackagesError::Invalid { line: found, problem: words } = &error else { panic!("{error}") };
            assert!(words.contains(problem) && *found == line, "{error}: {bad}");
        }
    }
}
