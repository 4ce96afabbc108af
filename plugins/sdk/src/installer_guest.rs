//! Between what the author of an installer writes and what the agent calls.

use crate::{
    Blob, Error, Installer,
    bindings::installer::{
        exports::farrier::policy::installation::{self, Change, Options, Outcome, Selection, Update},
        farrier::policy::content,
    },
    facts::HostFacts,
    host::HostEndpoint,
};
use alloc::vec::Vec;
use core::marker::PhantomData;

/// The component of an installer plugin.
pub struct InstallerGuest<P>(PhantomData<P>);

impl<P: Installer> installation::Guest for InstallerGuest<P> {
    fn select(update: Update) -> Result<Selection, Error> {
        P::select(&HostFacts, &update)
    }

    fn plan(update: Update, contents: Vec<content::Blob>, options: Options) -> Result<Vec<Change>, Error> {
        P::plan(&HostEndpoint, &update, &blobs(&contents), &options)
    }

    fn install(update: Update, contents: Vec<content::Blob>, options: Options) -> Result<Outcome, Error> {
        P::install(&HostEndpoint, &update, &blobs(&contents), &options)
    }

    fn roll_back(update: Update, previous: Vec<content::Blob>) -> Result<Outcome, Error> {
        P::roll_back(&HostEndpoint, &update, &blobs(&previous))
    }
}

fn blobs(contents: &[content::Blob]) -> Vec<Blob<'_>> {
    contents.iter().map(Blob::of_host).collect()
}
