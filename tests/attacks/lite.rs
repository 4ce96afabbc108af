//! A client that does not compile: the real agent, told so, which then does as one that was built without a compiler.

use farrier_protocol::Digest;
use farrier_runtime::{Compiler, EngineId, Limits, Profile};

/// What makes an agent lite, in the engine that every machine has.
pub(crate) const CONFIG: &str = "[plugins]\ncompile = false\nengine = \"pulley\"\n";

/// The name of the target that is its artefact of this component.
pub(crate) fn artefact_target(component: Digest) -> String {
    engine().target(&component)
}

/// A component, compiled for it.
pub(crate) fn compiled(component: &[u8]) -> Vec<u8> {
    Compiler::InProcess.precompile(engine(), component, &Limits::default()).unwrap()
}

fn engine() -> EngineId {
    Profile::Pulley.engine().unwrap()
}
