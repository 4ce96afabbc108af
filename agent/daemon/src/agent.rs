//! What every command works with: the configuration and the endpoint, before anything is locked or opened.

use crate::config::Config;
use crate::identity::Identity;
use crate::layout::Layout;
use crate::lock::Lock;
use crate::progress::Progress;
use crate::session::Session;
use anyhow::Context as _;
use farrier_runtime::{Compiler, Endpoint};
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
        let layout = Layout::open(&config.data)?;
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

    /// Waits until no other process works on the data folder, and opens it.
    pub(crate) fn session(&self) -> anyhow::Result<Session<'_>> {
        Session::open(self, Lock::wait(&self.layout.lock(), &self.progress)?)
    }
}
