//! All a plugin author needs: implement [`Applicability`], name it in [`export!`], and test it natively against a
//! [`FakeRoot`]; or implement [`Installer`], name it in [`export_installer!`], and test it against a [`FakeEndpoint`].
//!
//! An applicability plugin answers one question, which software updates this client needs, from facts it may read. It
//! cannot change anything. An installer plugin installs them, through files and programs that it was granted. Neither sees
//! the clock or the network, or reaches what its manifest does not ask for. Build them with `cargo plugins`.
//!
//! ```
//! use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, FakeRoot, Finding};
//!
//! /// Its rules are names; an update is required where `/etc/wanted` names it.
//! struct Wanted(Vec<u8>);
//!
//! impl Applicability for Wanted {
//!     fn scopes(_: &dyn Facts) -> Result<Vec<String>, Error> {
//!         Ok(vec!["example/any".to_owned()])
//!     }
//!
//!     fn open(facts: &dyn Facts) -> Result<Self, Error> {
//!         facts.read_file("/etc/wanted").map(Self)
//!     }
//!
//!     fn evaluate(&self, rule: &[u8]) -> Result<ComplianceState, Error> {
//!         let wanted = self.0.split(|byte| *byte == b'\n').any(|line| line == rule);
//!         Ok(if wanted { ComplianceState::Required } else { ComplianceState::NotRequired })
//!     }
//!
//!     fn explain(&self, rule: &[u8]) -> Result<Vec<Finding>, Error> {
//!         let (subject, state) = (String::from_utf8_lossy(rule).into_owned(), self.evaluate(rule)?);
//!         Ok(vec![Finding { subject, state, detail: "/etc/wanted decides".to_owned() }])
//!     }
//! }
//!
//! farrier_plugin_sdk::export!(Wanted);
//!
//! let scan = Wanted::open(&FakeRoot::new().with_file("/etc/wanted", "cake\n")).unwrap();
//! assert_eq!(scan.evaluate(b"cake"), Ok(ComplianceState::Required));
//! ```
#![no_std]

extern crate alloc;
#[cfg(not(target_arch = "wasm32"))]
extern crate std;

mod facts;
mod guest;
mod host;
mod installer;
mod installer_guest;
mod lines;
pub mod log;
mod os_release;
#[cfg(target_arch = "wasm32")]
mod start;
#[cfg(not(target_arch = "wasm32"))]
mod testing;

use alloc::{format, string::String, vec::Vec};

#[doc(inline)]
pub use bindings::farrier::policy::types::{ComplianceState, Error, Finding};
pub use facts::{Facts, File};
#[doc(hidden)]
pub use guest::Guest;
pub use host::{Blob, Command, Exit, Host, RestartKind};
pub use installer::{Change, Entry, Installer, Options, Outcome, Selection, Update};
#[doc(hidden)]
pub use installer_guest::InstallerGuest;
pub use lines::{Lines, MAX_LINE_BYTES};
pub use os_release::OsRelease;
#[cfg(not(target_arch = "wasm32"))]
pub use testing::{FakeBlob, FakeEndpoint, FakeRoot, FolderRoot, Ran};

/// The examples of the author guide, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/plugin-author-guide.md")]
struct AuthorGuide;

/// What `wit/` says, as Rust; an author needs nothing of it.
#[doc(hidden)]
#[allow(unsafe_code, missing_docs)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "applicability",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "farrier_plugin_sdk::bindings",
        additional_derives: [PartialEq, Eq],
    });

    /// The world of installers. What both worlds have is generated once, above; what a component does not use of either
    /// is not linked into it.
    pub mod installer {
        wit_bindgen::generate!({
            path: "../../wit",
            world: "installer",
            pub_export_macro: true,
            export_macro_name: "export_installer_component",
            default_bindings_module: "farrier_plugin_sdk::bindings::installer",
            additional_derives: [PartialEq, Eq],
            additional_derives_ignore: ["argument", "command"],
            with: {
                "farrier:policy/types@0.1.0": crate::bindings::farrier::policy::types,
                "farrier:policy/facts@0.1.0": crate::bindings::farrier::policy::facts,
                "farrier:policy/log@0.1.0": crate::bindings::farrier::policy::log,
            },
        });
    }
}

/// Which software updates does this client need?
///
/// The value is one scan: it holds what [`open`](Self::open) learned of the client.
pub trait Applicability: Sized + 'static {
    /// The catalogs that concern this client: `debian/bookworm/amd64`. None, where the plugin has no business.
    ///
    /// # Errors
    /// What is missing or cannot be understood; the scan ends here.
    fn scopes(facts: &dyn Facts) -> Result<Vec<String>, Error>;

    /// Reads the facts it needs, once, and keeps what the rules will ask for.
    ///
    /// # Errors
    /// What is missing or cannot be understood; every update of the scan is then `Unknown`.
    fn open(facts: &dyn Facts) -> Result<Self, Error>;

    /// The state of the update of one rule. This is what a scan does 66,000 times: allocate nothing.
    ///
    /// # Errors
    /// Why the rule cannot be understood; the update is then `Unknown`.
    fn evaluate(&self, rule: &[u8]) -> Result<ComplianceState, Error>;

    /// Why the update of one rule has its state, for people.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    fn explain(&self, rule: &[u8]) -> Result<Vec<Finding>, Error>;

    /// The states of a chunk of rules, in their order. Override it only for speed.
    ///
    /// # Errors
    /// If the chunk is cut off in the middle of a rule.
    fn evaluate_chunk(&self, rules: &[u8]) -> Result<Vec<ComplianceState>, Error> {
        self::rules(rules).map(|rule| Ok(evaluate_or_unknown(self, rule?))).collect()
    }
}

/// The rules of a chunk; each stands behind its length as a little-endian `u16`.
pub fn rules(mut chunk: &[u8]) -> impl Iterator<Item = Result<&[u8], Error>> {
    let chunk_bytes = chunk.len();
    core::iter::from_fn(move || {
        if chunk.is_empty() {
            return None;
        }
        let split = chunk
            .split_first_chunk()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_le_bytes(*length))));
        if split.is_none() {
            let offset = chunk_bytes - chunk.len();
            chunk = &[];
            return Some(Err(Error::Invalid(format!("the chunk is cut off in the rule at byte {offset}"))));
        }
        let rule;
        (rule, chunk) = split?;
        Some(Ok(rule))
    })
}

fn evaluate_or_unknown<P: Applicability>(plugin: &P, rule: &[u8]) -> ComplianceState {
    plugin.evaluate(rule).unwrap_or_else(|error| {
        log::warning(&format!("A rule cannot be evaluated: {}", error.message()));
        ComplianceState::Unknown
    })
}

impl Error {
    /// What went wrong, in words.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::NotFound(message)
            | Self::Denied(message)
            | Self::TooLarge(message)
            | Self::Invalid(message)
            | Self::Other(message) => message,
        }
    }
}

/// Makes the type, an [`Applicability`], the plugin of this crate. Does nothing where the crate is built for tests.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            type Guest = $crate::Guest<$plugin>;
    $crate::bindings::export_component!(Guest with_types_in $crate::bindings);
        };
    };
}
