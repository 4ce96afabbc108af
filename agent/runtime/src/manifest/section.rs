//! Where the manifest is: a custom section of the outermost component.

use super::ManifestError;
use wasmparser::{Encoding, Parser, Payload};

/// The custom section that holds the manifest, as JSON.
pub(super) const SECTION: &str = "farrier-manifest";

/// The bytes of the one manifest of this component.
pub(super) fn find(component: &[u8]) -> Result<&[u8], ManifestError> {
    let mut sections = Vec::new();
    let mut depth = 0_usize;
    for (index, payload) in Parser::new(0).parse_all(component).enumerate() {
        let payload = match payload {
            Err(_) if index == 0 => return Err(ManifestError::NoComponent("")),
            payload => payload.map_err(ManifestError::Malformed)?,
        };
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if index == 0 => {
                return Err(ManifestError::NoComponent(" but a core module"));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            // Only the outermost component speaks for itself, not what it embeds.
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => sections.push(section.data()),
            _ => {}
        }
    }
    match sections[..] {
        [section] => Ok(section),
        [] => Err(ManifestError::Missing),
        _ => Err(ManifestError::Ambiguous),
    }
}
