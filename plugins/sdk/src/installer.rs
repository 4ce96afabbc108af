//! What an author of an installer plugin implements.

use crate::{Blob, Error, Facts, Host, Rule};
use alloc::vec::Vec;

#[doc(inline)]
pub use crate::bindings::installer::exports::farrier::policy::installation::{
    Change, Entry, Options, Outcome, Selection, Update,
};

/// How is an update installed?
///
/// The agent asks [`select`](Self::select) before it downloads, [`plan`](Self::plan) when everything is there,
/// [`install`](Self::install) when it is time, [`finish`](Self::finish) when a scan has found the update installed, and
/// [`roll_back`](Self::roll_back) when that failed. Each call is a guest of its own: nothing is remembered from one to
/// the next. Whether an update is installed is not for the installer to say: a scan does.
///
/// What the policy tells the plugin is read before each call; if it cannot be understood, the call fails with why.
pub trait Installer: 'static {
    /// What the policy tells it: `&'a [u8]`, `&'a str`, `Json<T>`, `Postcard<T>`, a type of your own, or `()` if
    /// nothing.
    type Instructions<'a>: Rule<'a>;

    /// Which files of the update this client needs: positions in its lists. None, if there is nothing to install.
    /// Everything, if this is left out.
    ///
    /// # Errors
    /// What is missing or cannot be understood.
    fn select(facts: &dyn Facts, update: &Update, instructions: &Self::Instructions<'_>) -> Result<Selection, Error> {
        let _ = (facts, instructions);
        Ok(Selection::everything(update))
    }

    /// What the installation would change, all of it. It changes nothing itself.
    ///
    /// `contents` are the selected files, in the order in which they were selected.
    ///
    /// # Errors
    /// Why it must not or cannot be installed, in a sentence for an administrator.
    fn plan(
        host: &dyn Host,
        update: &Update,
        instructions: &Self::Instructions<'_>,
        contents: &[Blob<'_>],
        options: &Options,
    ) -> Result<Vec<Change>, Error>;

    /// Installs. It may find the half of an earlier installation that was interrupted.
    ///
    /// # Errors
    /// Why it failed, in a sentence for an administrator.
    fn install(
        host: &dyn Host,
        update: &Update,
        instructions: &Self::Instructions<'_>,
        contents: &[Blob<'_>],
        options: &Options,
    ) -> Result<Outcome, Error>;

    /// Makes it stay, now that a scan has found it installed, after the restart if there was one: marks a slot as good,
    /// removes what was kept. It may be called again for the same update. Nothing, if this is left out.
    ///
    /// # Errors
    /// Why that failed, in a sentence for an administrator.
    fn finish(host: &dyn Host, update: &Update, instructions: &Self::Instructions<'_>) -> Result<Outcome, Error> {
        let _ = (host, update, instructions);
        Ok(Outcome::default())
    }

    /// Brings back what was there before, after a failed installation. `previous` are the files that were selected for
    /// it.
    ///
    /// # Errors
    /// Why that failed.
    fn roll_back(
        host: &dyn Host,
        update: &Update,
        instructions: &Self::Instructions<'_>,
        previous: &[Blob<'_>],
    ) -> Result<Outcome, Error>;
}

impl Selection {
    /// All files of an update, and all that it replaces.
    #[must_use]
    pub fn everything(update: &Update) -> Self {
        let all = |entries: &[Entry]| (0..).zip(entries).map(|(position, _)| position).collect();
        Self { contents: all(&update.contents), previous: all(&update.previous) }
    }
}

impl Default for Selection {
    /// Nothing.
    fn default() -> Self {
        Self { contents: Vec::new(), previous: Vec::new() }
    }
}

impl Default for Outcome {
    /// Nothing to say.
    fn default() -> Self {
        Self { notes: Vec::new() }
    }
}

impl Default for Options {
    /// Nothing is allowed beyond the installation itself.
    fn default() -> Self {
        Self { allow_removals: false, more: Vec::new() }
    }
}

impl Options {
    /// The value of an option by name; `None` if the administrator said nothing of it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.more.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Makes the type, an [`Installer`], the plugin of this crate. Does nothing where the crate is built for tests.
#[macro_export]
macro_rules! export_installer {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            type Guest = $crate::InstallerGuest<$plugin>;
            $crate::bindings::installer::export_installer_component!(
                Guest with_types_in $crate::bindings::installer
            );
        };
    };
}
