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
use farrier_protocol::UnixTime;
#[cfg(feature = "full")]
use farrier_runtime::Compiler;
use farrier_runtime::{Endpoint, EngineId};

/// The agent of one endpoint.
pub(crate) struct Agent {
    pub(crate) config: Config,
    pub(crate) layout: Layout,
    pub(crate) endpoint: Endpoint,
    /// Who compiles plugins here; without one, the site does.
    #[cfg(feature = "full")]
    pub(crate) compiler: Option<Compiler>,
    pub(crate) progress: Progress,
}

impl Agent {
    /// The agent with this configuration, in which the command line already had its say.
    pub(crate) fn open(config: Config, progress: Progress) -> anyhow::Result<Self> {
        let layout = Layout::new(&config.data);
        let endpoint = Endpoint::open(&config.root).context("there is nothing to assess")?;
        #[cfg(feature = "full")]
        let compiler = config.plugins.compiles().then(Compiler::this_program);
        Ok(Self {
            config,
            layout,
            endpoint,
            #[cfg(feature = "full")]
            compiler,
            progress,
        })
    }

    /// The engine that the site compiles plugins for, where that is not done here.
    pub(crate) fn engine(&self) -> Option<EngineId> {
        #[cfg(feature = "full")]
        if self.compiler.is_some() {
            return None;
        }
        self.config.plugins.profile().engine()
    }

    /// Who this client is.
    pub(crate) fn identity(&self) -> anyhow::Result<Identity> {
        Identity::load(&self.layout.identity())?.with_context(|| {
            let data = self.config.data.display();
            format!("this client is not enrolled (there is no identity in {data}): run `farrier-agent enroll TOKEN`")
        })
    }

    /// The site, over TLS, by a client that accepted a statement of this time; nothing is sent yet.
    pub(crate) fn site(&self, identity: &Identity, accepted_time: UnixTime) -> anyhow::Result<Site> {
        Site::new(&identity.site, tls::enrolled(identity, accepted_time)?)
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
