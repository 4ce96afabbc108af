//! Other versions of the plugins in `plugins/dist`: the same code under another version, looking at other files.

use super::fake_site::dist;
use farrier_runtime::Manifest;

/// This plugin under another version, with names replaced by others of the same length, in its code and in its manifest.
pub(super) fn version(name: &str, version: &str, replaced: &[(&str, &str)]) -> Vec<u8> {
    let mut component = dist(name);
    let built = Manifest::read(&component).unwrap().version;
    let field = |version: &str| format!("\"version\":\"{version}\"");
    replace(&mut component, &field(&built), &field(version));
    replaced.iter().for_each(|(from, to)| replace(&mut component, from, to));
    assert_eq!(Manifest::read(&component).unwrap().version, version);
    component
}

fn replace(component: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len(), "nothing may move");
    let found = |component: &[u8]| component.windows(from.len()).position(|bytes| bytes == from.as_bytes());
    assert!(found(component).is_some(), "{from} is not in the component");
    while let Some(position) = found(component) {
        component[position..position + to.len()].copy_from_slice(to.as_bytes());
    }
}
