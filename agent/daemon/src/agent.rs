//! What every command works with: the configuration and the endpoint, before anything is locked or opened.

use crate::clock::now;
use crate::config::Config;
use crate::identity::Identity;
use crate::layout::Layout;
use crate::lock::Lock;
use crate::progress::Progress;
use crate::session::Session;
use crate::site::Site;
use crate::tls;
use anyhow::Context as _;
use farrier_runtime::{Compiler, Endpoint};
use farrier_spool::Floors;
use std::path::PathBuf;

/// The argument that makes this program the compiler of another one of its kind.
pub(crate) const COMPILE_COMPONENT: &str = "compile-component";

/// The agent of one endpoint.
pub(crate) struct Agent {
    pub(crate) config: Config,
    pub(crate) layout: Layout,
    pub(crate) endpoint: Endpoint,
    pub(crate) compiler: Compiler,
    pub(crate) progress: Progress,
}

impl Agent {
    /// The agent with this configuration, in which the command line already had its say.
    pub(crate) fn open(config: Config, progress: Progress) -> anyhow::Result<Self> {
        let layout = Layout::new(&config.data);
        let endpoint = Endpoint::open(&config.root).context("there is nothing to assess")?;
        // What is running, even when an update has put another program in its place.
        let program = PathBuf::from("/proc/self/exe");
        let compiler = Compiler::Child { program, arguments: vec![COMPILE_COMPONENT.into()] };
        Ok(Self { config, layout, endpoint, compiler, progress })
    }

    /// Who this client is.
    pub(crate) fn identity(&self) -> anyhow::Result<Identity> {
        Identity::load(&self.layout.identity())?.with_context(|| {
            let data = self.config.data.display();
            format!("this client is not enrolled (there is no identity in {data}): run `farrier-agent enroll TOKEN`")
        })
    }

    /// The versions below which nothing is accepted.
    pub(crate) fn floors(&self, identity: &Identity) -> anyhow::Result<Floors> {
        Ok(Floors::load(&self.layout.floors(), identity.repository.0, identity.client)?)
    }

    /// The site, over TLS; nothing is sent yet.
    pub(crate) fn site(&self, identity: &Identity, floors: &Floors) -> anyhow::Result<Site> {
        Site::new(&identity.site, tls::enrolled(identity, floors.accepted_time)?)
    }

    /// The site was heard of now. For people only: no decision depends on it.
    pub(crate) fn note_contact(&self) {
        let noted = std::fs::write(self.layout.last_contact(), now().to_string());
        if let Err(error) = noted {
            tracing::debug!(%error, "The time of contact could not be noted");
        }
    }

    /// Waits until no other process works on the data folder, and opens it.
    pub(crate) fn session(&self) -> anyhow::Result<Session<'_>> {
        // First, because without an enrolment there is no folder either.
        self.identity()?;
        Session::open(self, Lock::wait(&self.layout.lock(), &self.progress)?)
    }
}
