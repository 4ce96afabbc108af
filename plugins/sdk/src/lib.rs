//! All a plugin author needs: implement [`Applicability`], name it in [`export!`], and test it natively against a
//! [`FakeRoot`]; or implement [`Installer`], name it in [`export_installer!`], and test it against a [`FakeEndpoint`].
//!
//! An applicability plugin answers one question, which software updates this client needs, from facts it may read. It
//! cannot change anything. An installer plugin installs them, through folders and programs that it was granted. Neither
//! sees the clock or the network, or reaches what its manifest does not ask for.
//!
//! Beside that there is what many plugins need: [`os_release`], [`version`], [`ini`], [`key_value`] and [`glob`]. What
//! is not used is not in the component.
//!
//! ```
//! use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, FakeRoot, Finding, SharedFacts};
//!
//! /// Its rules are names; an update is required where `/etc/wanted` names it.
//! struct Wanted(String);
//!
//! impl Applicability for Wanted {
//!     type Rule<'a> = &'a str;
//!
//!     fn scopes(_: &dyn Facts) -> Result<Vec<String>, Error> {
//!         Ok(vec!["example/any".to_owned()])
//!     }
//!
//!     fn open(facts: &SharedFacts) -> Result<Self, Error> {
//!         facts.read_text("/etc/wanted").map(Self)
//!     }
//!
//!     fn evaluate(&self, rule: &&str) -> Result<ComplianceState, Error> {
//!         let wanted = self.0.lines().any(|line| line == *rule);
//!         Ok(if wanted { ComplianceState::Required } else { ComplianceState::NotRequired })
//!     }
//!
//!     fn explain(&self, rule: &&str) -> Result<Vec<Finding>, Error> {
//!         let detail = "/etc/wanted decides".to_owned();
//!         Ok(vec![Finding { subject: (*rule).to_owned(), state: self.evaluate(rule)?, detail }])
//!     }
//! }
//!
//! farrier_plugin_sdk::export!(Wanted);
//!
//! let scan = Wanted::open(&FakeRoot::new().with_file("/etc/wanted", "cake\n").shared()).unwrap();
//! assert_eq!(scan.evaluate(&"cake"), Ok(ComplianceState::Required));
//! ```
#![no_std]

extern crate alloc;
#[cfg(not(target_arch = "wasm32"))]
extern crate std;

mod applicability;
mod blob;
mod facts;
pub mod glob;
mod guest;
mod host;
pub mod ini;
mod installer;
pub mod key_value;
mod lines;
pub mod log;
mod os;
pub mod os_release;
mod rule;
#[cfg(not(target_arch = "wasm32"))]
mod testing;
pub mod version;

pub use applicability::{Applicability, rules};
#[doc(inline)]
pub use bindings::farrier::policy::types::{ComplianceState, Error, Finding};
pub use blob::Blob;
pub use facts::{Facts, File, Kind, SharedFacts, Status};
#[doc(hidden)]
pub use guest::{Guest, InstallerGuest};
pub use host::{Command, Exit, Folder, Host, RestartSubject, Target};
pub use installer::{Change, Entry, Installer, Options, Outcome, Selection, Update};
pub use lines::{Lines, MAX_LINE_BYTES};
pub use os::Os;
pub use os_release::OsRelease;
#[cfg(feature = "json")]
pub use rule::Json;
#[cfg(feature = "postcard")]
pub use rule::Postcard;
pub use rule::Rule;
#[cfg(any(feature = "json", feature = "postcard"))]
pub use serde;
#[cfg(feature = "json")]
pub use serde_json as json;
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
                "farrier:policy/types@1.0.0": crate::bindings::farrier::policy::types,
                "farrier:policy/facts@1.0.0": crate::bindings::farrier::policy::facts,
                "farrier:policy/log@1.0.0": crate::bindings::farrier::policy::log,
            },
        });
    }
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
