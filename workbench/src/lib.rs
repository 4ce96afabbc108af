//! The plugin author's tools: new, build, test, run, record, replay, bench, inspect, sign.
//!
//! `farrier plugin` is the command line of this. What a plugin does here it does in the agent's own host
//! (`farrier-runtime`), with the grants its manifest asks for and the limits an agent has: what passes here runs there.
//!
//! What this crate never does: it knows no site and no database, and it knows no encoding of rules that only a site
//! knows; whoever calls it passes a [`SiteRules`]. It prints nothing on standard output: results are values with a
//! `Display`, and only what takes long tells on standard error how far it is.

pub mod bench;
pub mod calls;
pub mod encode;
pub mod host;
pub mod inspect;
mod language;
pub mod languages;
pub mod new;
pub mod project;
pub mod record;
pub mod reference;
pub mod run;
pub mod sign;
mod stage;
pub mod table;
pub mod test;
pub mod vendor;

pub use encode::{NoSite, SiteRules};
pub use language::Language;
pub use project::{Built, Project, component_at};
