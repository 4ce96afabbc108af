//! What an author of an installer plugin implements.

use crate::{Blob, Error, Facts, Host};
use alloc::vec::Vec;

#[doc(inline)]
pub use crate::bindings::installer::exports::farrier::policy::installation::{
    Change, Entry, Options, Outcome, Selection, Update,
};

/// How is an update installed?
///
/// The agent asks [`select`](Self::select) before it downloads, [`plan`](Self::plan) when everything is there,
/// [`install`](Self::install) when it is time, and [`roll_back`](Self::roll_back) when that failed. Each call is a guest of
/// its own: nothing is remembered from one to the next. Whether an update is installed is not for the installer to say: a
/// scan does.
pub trait Installer: 'static {
    /// Which files of the update this client needs: positions in its lists. None, if there is nothing to install.
    ///
    /// # Errors
    /// What is missing or cannot be understood.
    fn select(facts: &dyn Facts, update: &Update) -> Result<Selection, Error>;

    /// What the installation would change, all of it. It changes nothing itself.
    ///
    /// `contents` are the selected files, in the order in which they were selected.
    ///
    /// # Errors
    /// Why it must not or cannot be installed, in a sentence for an administrator.
    fn plan(host: &dyn Host, update: &Update, contents: &[Blob<'_>], options: &Options) -> Result<Vec<Change>, Error>;

    /// Installs. It may find the half of an earlier installation that was interrupted.
    ///
    /// # Errors
    /// Why it failed, in a sentence for an administrator.
    fn install(host: &dyn Host, update: &Update, contents: &[Blob<'_>], options: &Options) -> Result<Outcome, Error>;

    /// Brings back what was there before, after a failed installation. `previous` are the files that were selected for it.
    ///
    /// # Errors
    /// Why that failed.
    fn roll_back(host: &dyn Host, update: &Update, previous: &[Blob<'_>]) -> Result<Outcome, Error>;
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
