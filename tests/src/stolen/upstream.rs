//! The way from the thief to the real site.

use super::http::{Body, Reply, Request};
use crate::Site;
use crate::identity::{Identity, tls};
use anyhow::Context as _;
use farrier::identity::SiteIdentity;
use farrier_protocol::poll::PollRequest;
use reqwest::{Client, Method};
use rustls::pki_types::CertificateDer;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::runtime::Runtime;

/// What belongs to one connection only.
const HOP_BY_HOP: [&str; 3] = ["connection", "content-length", "transfer-encoding"];

/// The way to a site, as each of the clients that were added.
pub struct Upstream {
    address: String,
    authority: CertificateDer<'static>,
    clients: Mutex<Vec<PathBuf>>,
    runtime: Runtime,
}

impl Upstream {
    pub(super) fn new(site: &Site) -> anyhow::Result<Self> {
        let authority = SiteIdentity::load_or_create(&site.data())?.authority_certificate().clone();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self {
            address: format!("https://localhost:{}", site.port()),
            authority,
            clients: Mutex::default(),
            runtime,
        })
    }

    /// Requests with the certificate of the agent with this data folder reach the site with its key.
    pub(super) fn add_client(&self, data: &Path) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).push(data.to_owned());
    }

    /// What the site answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn answer(&self, request: &Request) -> anyhow::Result<Reply> {
        let client = match &request.certificate {
            Some(certificate) => self.client(Some(&self.identity(certificate)?))?,
            None => self.client(None)?,
        };
        self.send(&client, request)
    }

    /// What the site answers a poll of a client that has no assignment yet.
    ///
    /// # Errors
    /// When it does not, or this is no poll.
    pub fn poll_anew(&self, request: &Request) -> anyhow::Result<Reply> {
        let mut poll: PollRequest = farrier_protocol::decode(&request.body).context("no poll")?;
        poll.known = None;
        self.answer(&Request { body: farrier_protocol::encode(&poll)?, ..request.clone() })
    }

    /// What the site answers when the agent with this data folder asks instead.
    ///
    /// # Errors
    /// When it does not.
    pub fn answer_to(&self, data: &Path, request: &Request) -> anyhow::Result<Reply> {
        let certificate = Identity::of(data)?.certificate;
        self.poll_anew(&Request { certificate: Some(certificate), ..request.clone() })
    }

    /// What is at this path for anybody.
    ///
    /// # Errors
    /// When the site does not answer.
    pub fn get(&self, path: &str) -> anyhow::Result<Reply> {
        let (method, path) = ("GET".to_owned(), path.to_owned());
        self.answer(&Request { method, path, headers: Vec::new(), body: Vec::new(), certificate: None })
    }

    fn send(&self, client: &Client, request: &Request) -> anyhow::Result<Reply> {
        let url = format!("{}{}", self.address, request.path);
        let mut sent = client.request(Method::from_bytes(request.method.as_bytes())?, url).body(request.body.clone());
        for (name, value) in &request.headers {
            if !HOP_BY_HOP.contains(&name.as_str()) && name != "host" {
                sent = sent.header(name, value);
            }
        }
        self.runtime.block_on(async {
            let response = sent.send().await.context("the real site does not answer")?;
            let status = response.status().as_u16();
            let headers = response.headers().iter().filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str()));
            let headers = headers.map(|(name, value)| Ok((name.to_string(), value.to_str()?.to_owned())));
            let headers = headers.collect::<anyhow::Result<_>>()?;
            Ok(Reply { status, headers, body: Body::Whole(response.bytes().await?.to_vec()) })
        })
    }

    fn client(&self, identity: Option<&Identity>) -> anyhow::Result<Client> {
        let tls = tls(self.authority.clone(), identity)?;
        Ok(Client::builder().tls_backend_preconfigured(tls).no_proxy().build()?)
    }

    /// Whoever has this certificate.
    fn identity(&self, certificate: &[u8]) -> anyhow::Result<Identity> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let mut identities = clients.iter().filter_map(|data| Identity::of(data).ok());
        identities.find(|identity| identity.certificate == certificate).context("a client that was not added")
    }
}
