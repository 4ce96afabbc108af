//! The world of installer plugins.

use crate::{
    Blob, Error, Installer, Rule,
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
        P::select(&HostFacts, &update, &instructions::<P>(&update)?)
    }

    fn plan(update: Update, contents: Vec<content::Blob>, options: Options) -> Result<Vec<Change>, Error> {
        P::plan(&HostEndpoint, &update, &instructions::<P>(&update)?, &blobs(&contents), &options)
    }

    fn install(update: Update, contents: Vec<content::Blob>, options: Options) -> Result<Outcome, Error> {
        P::install(&HostEndpoint, &update, &instructions::<P>(&update)?, &blobs(&contents), &options)
    }

    fn finish(update: Update) -> Result<Outcome, Error> {
        P::finish(&HostEndpoint, &update, &instructions::<P>(&update)?)
    }

    fn roll_back(update: Update, previous: Vec<content::Blob>) -> Result<Outcome, Error> {
        P::roll_back(&HostEndpoint, &update, &instructions::<P>(&update)?, &blobs(&previous))
    }
}

fn instructions<P: Installer>(update: &Update) -> Result<P::Instructions<'_>, Error> {
    P::Instructions::decode(&update.instructions)
}

fn blobs(contents: &[content::Blob]) -> Vec<Blob<'_>> {
    contents.iter().map(Blob::of_host).collect()
}
