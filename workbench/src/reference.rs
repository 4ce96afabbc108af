//! The reference of `farrier:policy`, written from the WIT: `docs/plugin-reference.md`.

use crate::vendor::wit_files;
use anyhow::{Context as _, Result, anyhow, bail};
use std::fmt::Write as _;
use std::path::Path;
use wit_parser::{
    Function, FunctionKind, Handle, Interface, InterfaceId, Resolve, SourceMap, Type, TypeDef, TypeDefKind, TypeId,
    World, WorldId, WorldItem,
};

const HEAD: &str = "<!-- Written from wit/ by `farrier plugin reference`; do not edit. -->\n\n";

/// How an author comes from here to the rest.
const INTRODUCTION: &str = "\
Everything a plugin and its host say to each other. A plugin in Rust uses the SDK, which has the same functions under the
same names; every other language uses this. [The guide](plugin-author-guide.md) tells how to write a plugin.
";

/// The reference of the WIT that this program has, as Markdown.
///
/// # Errors
/// When the WIT is broken.
pub fn reference() -> Result<String> {
    let mut sources = SourceMap::new();
    for (name, text) in wit_files() {
        sources.push(Path::new(name), text);
    }
    let group = sources.parse().map_err(|(_, error)| anyhow!("{error}"))?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).map_err(|error| anyhow!("{error}"))?;
    let package = resolve.packages.get(package).context("the WIT has no package")?;
    let mut text = format!("{HEAD}# Reference: `{}`\n\n{INTRODUCTION}", package.name);
    for (_, id) in &package.worlds {
        world(&mut text, &resolve, resolve.worlds.get(*id).context("a world is missing")?)?;
    }
    for id in interfaces(&resolve, package.worlds.values().copied())? {
        interface(&mut text, &resolve, id)?;
    }
    Ok(text)
}

/// The interfaces of the worlds, each once, in the order in which one comes to them.
fn interfaces(resolve: &Resolve, worlds: impl Iterator<Item = WorldId>) -> Result<Vec<InterfaceId>> {
    let mut found = Vec::new();
    for id in worlds {
        let world = resolve.worlds.get(id).context("a world is missing")?;
        for item in world.imports.values().chain(world.exports.values()) {
            if let WorldItem::Interface { id, .. } = item
                && !found.contains(id)
            {
                found.push(*id);
            }
        }
    }
    Ok(found)
}

fn world(text: &mut String, resolve: &Resolve, world: &World) -> Result<()> {
    write!(text, "\n## World `{}`\n\n{}", world.name, docs(&world.docs))?;
    for (what, items) in [("may use", &world.imports), ("has to have", &world.exports)] {
        let mut links = Vec::new();
        for (key, item) in items {
            let WorldItem::Interface { id, .. } = item else { bail!("a world has something that is no interface") };
            let name = resolve.name_world_key(key);
            let name = resolve.interfaces.get(*id).and_then(|interface| interface.name.clone()).unwrap_or(name);
            links.push(format!("[`{name}`](#{name})"));
        }
        writeln!(text, "\nWhat a plugin {what}: {}.", links.join(", "))?;
    }
    Ok(())
}

fn interface(text: &mut String, resolve: &Resolve, id: InterfaceId) -> Result<()> {
    let interface = resolve.interfaces.get(id).context("an interface is missing")?;
    let name = interface.name.as_deref().context("an interface has no name")?;
    write!(text, "\n## {name}\n\n{}", docs(&interface.docs))?;
    for (name, id) in &interface.types {
        let definition = resolve.types.get(*id).context("a type is missing")?;
        type_of_interface(text, resolve, interface, name, *id, definition)?;
    }
    let free = |function: &&Function| matches!(function.kind, FunctionKind::Freestanding);
    for function in interface.functions.values().filter(free) {
        write!(
            text,
            "\n### `{}`\n\n```wit\n{}\n```\n\n{}",
            function.name,
            signature(resolve, function)?,
            docs(&function.docs)
        )?;
    }
    Ok(())
}

fn type_of_interface(
    text: &mut String,
    resolve: &Resolve,
    interface: &Interface,
    name: &str,
    id: TypeId,
    definition: &TypeDef,
) -> Result<()> {
    let what = match &definition.kind {
        // What is used from another interface is described there.
        TypeDefKind::Type(_) => return Ok(()),
        TypeDefKind::Record(_) => "record",
        TypeDefKind::Variant(_) => "variant",
        TypeDefKind::Enum(_) => "enum",
        TypeDefKind::Resource => "resource",
        other => bail!("{name}: nothing is written of a {}", other.as_str()),
    };
    write!(text, "\n### {what} `{name}`\n\n{}", docs(&definition.docs))?;
    match &definition.kind {
        TypeDefKind::Record(record) => {
            text.push_str("\n| field | |\n|---|---|\n");
            for field in &record.fields {
                row(text, &format!("{}: {}", field.name, type_name(resolve, &field.ty)?), &field.docs)?;
            }
        }
        TypeDefKind::Variant(variant) => {
            text.push_str("\n| case | |\n|---|---|\n");
            for case in &variant.cases {
                let of = case.ty.as_ref().map(|of| type_name(resolve, of)).transpose()?;
                let of = of.map_or_else(|| case.name.clone(), |of| format!("{}({of})", case.name));
                row(text, &of, &case.docs)?;
            }
        }
        TypeDefKind::Enum(cases) => {
            text.push_str("\n| case | |\n|---|---|\n");
            for case in &cases.cases {
                row(text, &case.name, &case.docs)?;
            }
        }
        _ => {
            text.push_str("\n| function | |\n|---|---|\n");
            for function in interface.functions.values().filter(|function| function.kind.resource() == Some(id)) {
                row(text, &signature(resolve, function)?, &function.docs)?;
            }
        }
    }
    Ok(())
}

/// A line of a table.
fn row(text: &mut String, of: &str, says: &wit_parser::Docs) -> Result<()> {
    let says = says.contents.as_deref().unwrap_or_default();
    let says = says.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    Ok(writeln!(text, "| `{of}` | {says} |")?)
}

/// `open: static func() -> result<scan, error>`
fn signature(resolve: &Resolve, function: &Function) -> Result<String> {
    let (word, skipped) = match function.kind {
        FunctionKind::Static(_) => ("static func", 0),
        FunctionKind::Method(_) => ("func", 1),
        FunctionKind::Freestanding => ("func", 0),
        _ => bail!("{}: nothing is written of this kind of function", function.name),
    };
    let parameter =
        |parameter: &wit_parser::Param| Ok(format!("{}: {}", parameter.name, type_name(resolve, &parameter.ty)?));
    let parameters = function.params.iter().skip(skipped).map(parameter).collect::<Result<Vec<_>>>()?.join(", ");
    let result = function.result.as_ref().map(|result| type_name(resolve, result)).transpose()?;
    let result = result.map_or_else(String::new, |result| format!(" -> {result}"));
    Ok(format!("{}: {word}({parameters}){result}", function.item_name()))
}

fn type_name(resolve: &Resolve, of: &Type) -> Result<String> {
    let id = match of {
        Type::Bool => return Ok("bool".to_owned()),
        Type::U8 => return Ok("u8".to_owned()),
        Type::U16 => return Ok("u16".to_owned()),
        Type::U32 => return Ok("u32".to_owned()),
        Type::U64 => return Ok("u64".to_owned()),
        Type::S8 => return Ok("s8".to_owned()),
        Type::S16 => return Ok("s16".to_owned()),
        Type::S32 => return Ok("s32".to_owned()),
        Type::S64 => return Ok("s64".to_owned()),
        Type::F32 => return Ok("f32".to_owned()),
        Type::F64 => return Ok("f64".to_owned()),
        Type::Char => return Ok("char".to_owned()),
        Type::String => return Ok("string".to_owned()),
        Type::ErrorContext => return Ok("error-context".to_owned()),
        Type::Id(id) => *id,
    };
    let definition = resolve.types.get(id).context("a type is missing")?;
    if let Some(name) = &definition.name {
        return Ok(name.clone());
    }
    let of = |of: &Type| type_name(resolve, of);
    let or_nothing = |inner: &Option<Type>| inner.as_ref().map_or_else(|| Ok("_".to_owned()), of);
    Ok(match &definition.kind {
        TypeDefKind::List(inner) => format!("list<{}>", of(inner)?),
        TypeDefKind::Option(inner) => format!("option<{}>", of(inner)?),
        TypeDefKind::Result(result) if result.ok.is_none() && result.err.is_none() => "result".to_owned(),
        TypeDefKind::Result(result) if result.err.is_none() => format!("result<{}>", or_nothing(&result.ok)?),
        TypeDefKind::Result(result) => format!("result<{}, {}>", or_nothing(&result.ok)?, or_nothing(&result.err)?),
        TypeDefKind::Tuple(tuple) => {
            format!("tuple<{}>", tuple.types.iter().map(of).collect::<Result<Vec<_>>>()?.join(", "))
        }
        TypeDefKind::Handle(Handle::Own(id)) => type_name(resolve, &Type::Id(*id))?,
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", type_name(resolve, &Type::Id(*id))?),
        TypeDefKind::Type(inner) => of(inner)?,
        other => bail!("nothing is written of a {}", other.as_str()),
    })
}

fn docs(docs: &wit_parser::Docs) -> String {
    docs.contents.as_deref().map_or_else(String::new, |text| format!("{}\n", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_in_docs_is_what_the_wit_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugin-reference.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == reference().unwrap(),
            "docs/plugin-reference.md is not what wit/ says; run\n  cargo run -p farrier -- plugin reference > \
             docs/plugin-reference.md"
        );
    }

    #[test]
    fn every_item_of_the_wit_is_documented() {
        for (number, line) in reference().unwrap().lines().enumerate() {
            assert!(!line.ends_with("` |  |"), "line {}: {line} says nothing", number + 1);
        }
    }

    #[test]
    fn functions_of_resources_are_told_as_the_wit_has_them() {
        let reference = reference().unwrap();
        for line in [
            "# Reference: `farrier:policy@1.0.0`",
            "## World `applicability`",
            "What a plugin may use: [`types`](#types), [`facts`](#facts), [`log`](#log).",
            "| `open: static func() -> result<scan, error>` | Reads the facts it needs, once. |",
            "open-file: func(path: string) -> result<file, error>",
            "| `denied(string)` |",
        ] {
            assert!(reference.contains(line), "{line}\n{reference}");
        }
    }
}
