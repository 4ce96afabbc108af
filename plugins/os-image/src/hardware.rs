//! Which hardware this is.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::fmt;
use farrier_plugin_sdk::{Error, Facts};

/// Where it is written if the rule says nothing, in the order of preference.
const FILES: [&str; 2] = ["/etc/hardware", "/proc/device-tree/compatible"];

/// Keys whose value is the name of the hardware: Mender's, and RAUC's.
const KEYS: [&str; 2] = ["device_type", "compatible"];

/// What the hardware is called; the most precise name first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware(Vec<String>);

impl Hardware {
    /// Reads it from this file, or from where it usually is.
    ///
    /// # Errors
    /// If it cannot be told.
    pub fn read(facts: &dyn Facts, file: Option<&str>) -> Result<Self, Error> {
        let files = file.as_ref().map_or(FILES.as_slice(), core::slice::from_ref);
        for path in files {
            match facts.read_text(path) {
                Ok(text) => return Self::parse(&text).ok_or_else(|| empty(path)),
                Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::NotFound(format!("which hardware this is cannot be told: there is no {}", files.join(" and no "))))
    }

    fn parse(text: &str) -> Option<Self> {
        // The device tree separates its names by NUL, everybody else writes lines.
        let lines = text.split(['\0', '\n']).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let lines: Vec<&str> = lines.collect();
        let values = lines.iter().filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            KEYS.contains(&key.trim()).then(|| value.trim().trim_matches('"'))
        });
        let mut names: Vec<String> = values.map(ToOwned::to_owned).collect();
        if names.is_empty() {
            for line in lines.iter().filter(|line| !line.contains('=') && !line.starts_with('[')) {
                names.push((*line).to_owned());
                // SWUpdate's: `board revision`. An image may be for all revisions.
                names.extend(line.split_once(' ').map(|(board, _)| board.to_owned()));
            }
        }
        names.retain(|name| !name.is_empty());
        (!names.is_empty()).then_some(Self(names))
    }

    /// Whether it is one of these.
    #[must_use]
    pub fn is_one_of<T: AsRef<str>>(&self, names: &[T]) -> bool {
        names.iter().any(|name| self.0.iter().any(|known| known == name.as_ref()))
    }
}

impl fmt::Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.first().map_or("", String::as_str))
    }
}

fn empty(path: &str) -> Error {
    Error::Invalid(format!("which hardware this is cannot be told: {path} names none"))
}

#[cfg(test)]
mod tests {
    use super::Hardware;

    #[test]
    fn every_way_to_name_hardware_is_understood() {
        for (text, expected) in [
            ("gateway-a\n", &["gateway-a"][..]),
            ("gateway-a 1.2\n", &["gateway-a 1.2", "gateway-a"]),
            ("device_type=gateway-a\n", &["gateway-a"]),
            ("[system]\ncompatible=Example Gateway A\nbootloader=uboot\n", &["Example Gateway A"]),
            ("example,gateway-a\0vendor,soc\0", &["example,gateway-a", "vendor,soc"]),
            ("# which one\n\ngateway-a", &["gateway-a"]),
        ] {
            assert_eq!(Hardware::parse(text).unwrap().0, expected, "{text:?}");
        }
        for text in ["", "\n", "\0", "[system]\nbootloader=uboot\n", "device_type=\n"] {
            assert!(Hardware::parse(text).is_none(), "{text:?}");
        }
    }
}
