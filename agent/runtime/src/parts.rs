//! How much a component is put together of, counted before anything is compiled.
//!
//! A component inside another one is there once and may be instantiated many times, and so may what is inside of it: with
//! every level the numbers can double, while the bytes hardly grow.

use crate::limits::{LimitExceeded, Limits};
use crate::manifest::ManifestError;
use crate::plugin::LoadError;
use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, Parser,
    Payload,
};

/// How deep components are inside each other, at most.
const MAX_DEPTH: usize = 32;

/// What one instance of a component comes to, with all that is instantiated in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    /// Instances of components inside of it.
    instances: u64,
    /// Types, imports, exports, instances and whatever else it is put together of.
    parts: u64,
}

/// More than any limit: of a component that is not known, or not there.
const ENDLESS: Size = Size { instances: u64::MAX, parts: u64::MAX };

/// A component, or a core module, that is being read.
#[derive(Default)]
struct Level {
    is_module: bool,
    /// The components that it can instantiate, as they are numbered in it.
    components: Vec<Size>,
    size: Size,
}

/// An error if a component comes to more than the limits allow.
pub(crate) fn check(component: &[u8], limits: &Limits) -> Result<(), LoadError> {
    let mut levels = Vec::<Level>::new();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(ManifestError::Malformed)?;
        match payload {
            Payload::Version { .. } if levels.is_empty() => levels.push(Level::default()),
            Payload::ModuleSection { .. } => levels.push(Level { is_module: true, ..Level::default() }),
            Payload::ComponentSection { .. } => levels.push(Level::default()),
            Payload::End(_) => {
                let level = levels.pop().filter(|level| !level.is_module);
                if let (Some(level), Some(above)) = (level, levels.last_mut()) {
                    above.components.push(level.size);
                }
            }
            payload => add(&mut levels, payload).map_err(ManifestError::Malformed)?,
        }
        LimitExceeded::check(levels.len() as u64, MAX_DEPTH as u64, "components inside each other")?;
        let Size { instances, parts } = levels.last().map_or(Size::default(), |level| level.size);
        LimitExceeded::check(instances, limits.instances as u64, "instances of components")?;
        LimitExceeded::check(parts, limits.parts as u64, "parts of components")?;
    }
    Ok(())
}

/// Adds a section to the innermost level.
fn add(levels: &mut [Level], payload: Payload<'_>) -> Result<(), BinaryReaderError> {
    let mut components = Vec::new();
    let parts = match payload {
        Payload::ComponentInstanceSection(section) => {
            let count = section.count();
            for instance in section {
                if let (ComponentInstance::Instantiate { component_index, .. }, Some(level)) =
                    (instance?, levels.last_mut())
                {
                    let size = level.components.get(component_index as usize).copied().unwrap_or(ENDLESS);
                    level.size.instances = level.size.instances.saturating_add(size.instances).saturating_add(1);
                    level.size.parts = level.size.parts.saturating_add(size.parts);
                }
            }
            count
        }
        Payload::ComponentAliasSection(section) => {
            let count = section.count();
            for alias in section {
                match alias? {
                    ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                        components.push(outer(levels, count as usize, index as usize));
                    }
                    ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                        components.push(ENDLESS);
                    }
                    _ => {}
                }
            }
            count
        }
        Payload::ComponentImportSection(section) => {
            let count = section.count();
            for import in section {
                if import?.ty.kind() == ComponentExternalKind::Component {
                    components.push(ENDLESS);
                }
            }
            count
        }
        Payload::ComponentExportSection(section) => {
            let count = section.count();
            for export in section {
                let export = export?;
                if export.kind == ComponentExternalKind::Component {
                    components.push(outer(levels, 0, export.index as usize));
                }
            }
            count
        }
        // Not read, only counted: the reader of types goes as deep as they are inside each other.
        Payload::ComponentTypeSection(section) => section.count(),
        Payload::CoreTypeSection(section) => section.count(),
        Payload::InstanceSection(section) => section.count(),
        Payload::ComponentCanonicalSection(section) => section.count(),
        _ => 0,
    };
    if let Some(level) = levels.last_mut() {
        level.components.append(&mut components);
        level.size.parts = level.size.parts.saturating_add(u64::from(parts));
    }
    Ok(())
}

/// The component of this number, so many levels further out.
fn outer(levels: &[Level], count: usize, index: usize) -> Size {
    let level = levels.len().checked_sub(count.saturating_add(1)).and_then(|at| levels.get(at));
    level.and_then(|level| level.components.get(index)).copied().unwrap_or(ENDLESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str, instances: usize, parts: usize) -> String {
        let limits = Limits { instances, parts, ..Limits::default() };
        check(&wat::parse_str(text).unwrap(), &limits).map_or_else(|error| error.to_string(), |()| String::new())
    }

    /// Each of so many levels instantiates the next one twice.
    fn doubled(levels: usize) -> String {
        (0..levels).fold("(type (resource (rep i32)))".to_owned(), |inside, _| {
            format!("(component $c {inside}) (instance (instantiate $c)) (instance (instantiate $c))")
        })
    }

    #[test]
    fn what_is_instantiated_twice_counts_twice_on_every_level() {
        // 2 + 4 + 8 instances; on every level the two that are made there, and a type in each of the 8.
        let three = format!("(component {})", doubled(3));
        assert_eq!(problem(&three, 14, 22), "");
        assert!(problem(&three, 13, 22).ends_with("more than 13 instances of components"));
        assert!(problem(&three, 14, 21).ends_with("more than 21 parts of components"));
        assert!(problem(&format!("(component {})", doubled(30)), 128, 1 << 14).ends_with("instances of components"));
        let deep = format!("(component {})", doubled(MAX_DEPTH));
        assert!(problem(&deep, 1 << 40, 1 << 40).ends_with("components inside each other"));
    }

    #[test]
    fn what_is_not_instantiated_counts_nothing_however_it_is_named() {
        let text = |and: &str| {
            format!(
                "(component (component $a {}) (export $b \"b\" (component $a)) \
                 (component $c (core module) (alias outer 1 $b (component $d)) {and}) (instance (instantiate $c)))",
                doubled(1)
            )
        };
        assert_eq!(problem(&text(""), 2, 100), "");
        let and = "(instance (instantiate $d))";
        assert_eq!(problem(&text(and), 4, 100), "");
        assert!(problem(&text(and), 3, 100).ends_with("instances of components"));
    }

    #[test]
    fn a_component_from_elsewhere_is_not_instantiated() {
        for text in [
            "(component (import \"a\" (component $a)) (instance (instantiate $a)))",
            "(component (import \"a\" (instance $i (export \"c\" (component)))) (alias export $i \"c\" (component $a)) \
             (instance (instantiate $a)))",
        ] {
            assert!(problem(text, 128, 1 << 14).ends_with("instances of components"), "{text}");
        }
    }

    #[test]
    fn types_inside_each_other_are_no_way_to_the_end_of_the_stack() {
        let bytes = |payload: &[u8]| {
            let mut length = Vec::new();
            let mut left = payload.len();
            while left >= 128 {
                length.push((left % 128) as u8 | 128);
                left /= 128;
            }
            length.push(left as u8);
            [b"\0asm\x0d\0\x01\0\x07".as_slice(), &length, payload].concat()
        };
        // One type, which is of a component with one declaration, which is a type, and so on.
        let deep = [&[1], [0x41, 1, 1].repeat(300_000).as_slice(), &[0x7f]].concat();
        assert!(check(&bytes(&deep), &Limits::default()).is_ok());
    }
}
