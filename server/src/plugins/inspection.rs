//! What is looked at before a component is stored. Nothing of it is run or compiled here.

use super::PluginError;
use crate::authored::check_schema_of;
use farrier_runtime::{Inspection, World};

/// Bytes of a component, at most. What a client takes is its own affair and usually far less.
pub(super) const MAX_COMPONENT_BYTES: usize = 64 << 20;
/// What plugins import, without the interface.
const PACKAGE: &str = "farrier:policy/";
/// What an applicability plugin may import.
const SCANNING: [&str; 3] = ["types", "facts", "log"];
/// What an installer may import beside it.
const INSTALLING: [&str; 5] = ["content", "files", "process", "progress", "restart"];

/// Looks at a component: what it says of itself and what it needs, and the world it is for.
pub(super) fn inspect(component: &[u8]) -> Result<(Inspection, World), PluginError> {
    let bytes = component.len();
    if bytes > MAX_COMPONENT_BYTES {
        return Err(PluginError::Invalid(format!("the component has {bytes} bytes, more than {MAX_COMPONENT_BYTES}")));
    }
    let inspection = farrier_runtime::inspect(component)
        .map_err(|error| PluginError::Invalid(format!("{:#}", anyhow::Error::new(error))))?;
    let manifest = &inspection.manifest;
    let refused = |problem: String| {
        PluginError::Invalid(format!("{} {} cannot be used: {problem}", manifest.name, manifest.version))
    };
    let world = manifest
        .known_world()
        .ok_or_else(|| refused(format!("it is for the world `{}`, which this site does not know", manifest.world)))?;
    manifest.check_runs_in(world).map_err(refused)?;
    check_schema_of(manifest).map_err(|error| refused(error.to_string()))?;
    if let Some(import) = inspection.imports.iter().find(|import| !is_known(import, world)) {
        return Err(refused(format!(
            "it imports `{import}`, which no agent gives to a plugin of the world `{world}`: build it without"
        )));
    }
    let export = match world {
        World::Applicability => "farrier:policy/compliance",
        World::Installer => "farrier:policy/installation",
    };
    if !inspection.exports.iter().any(|known| known.split('@').next() == Some(export)) {
        return Err(refused(format!(
            "it does not export `{export}`, as every plugin of the world `{world}` does: build it with `farrier \
             plugin build`"
        )));
    }
    Ok((inspection, world))
}

/// Whether an agent has what a component imports: `farrier:policy/facts@1.0.0`.
fn is_known(import: &str, world: World) -> bool {
    let Some(rest) = import.strip_prefix(PACKAGE) else { return false };
    let interface = rest.split('@').next().unwrap_or(rest);
    SCANNING.contains(&interface) || (world == World::Installer && INSTALLING.contains(&interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_agents_have_may_be_imported() {
        for (import, scanning, installing) in [
            ("farrier:policy/facts@1.0.0", true, true),
            ("farrier:policy/types", true, true),
            ("farrier:policy/files@1.0.0", false, true),
            ("farrier:policy/restart@1.2.0", false, true),
            ("farrier:policy/network@1.0.0", false, false),
            ("wasi:cli/environment@0.2.0", false, false),
            ("env", false, false),
        ] {
            assert_eq!(is_known(import, World::Applicability), scanning, "{import}");
            assert_eq!(is_known(import, World::Installer), installing, "{import}");
        }
    }

    #[test]
    fn what_is_no_plugin_is_refused_in_words() {
        for component in [b"".as_slice(), b"hello", b"\0asm\x01\0\0\0"] {
            let error = inspect(component).unwrap_err().to_string();
            assert!(error.contains("component"), "{error}");
        }
    }
}
