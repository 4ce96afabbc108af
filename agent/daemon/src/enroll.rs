//! Enrolment: from a one-time token to a client with a key, a certificate and a root of trust.

use crate::agent::Agent;
use crate::certificate;
use crate::floors::Floors;
use crate::hardware::Device;
use crate::identity::Identity;
use crate::inventory;
use crate::lock::Lock;
use crate::repository::Repository;
use crate::site::Site;
use crate::tls;
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use farrier_protocol::Digest;
use farrier_protocol::enrollment::{EnrollmentReply, EnrollmentRequest, EnrollmentToken};
use farrier_runtime::KEY_BYTES;
use farrier_spool::RecordError;
use rcgen::KeyPair;

/// An endpoint that has just become a client.
#[derive(Debug)]
pub(crate) struct Enrolled {
    /// Who it is now.
    pub(crate) identity: Identity,
    /// Whether an administrator has to approve it before the site tells it anything.
    pub(crate) waits_for_approval: bool,
}

/// Enrols this endpoint.
pub(crate) async fn enroll(agent: &Agent, token: &str, force: bool) -> anyhow::Result<Enrolled> {
    let token = decode_token(token)?;
    agent.layout.create()?;
    let _lock = Lock::wait(&agent.layout.lock(), &agent.progress)?;
    let file = agent.layout.identity();
    let before = match Identity::load(&file) {
        Ok(Some(Identity { client, site, .. })) if !force => bail!(
            "this endpoint is already client {client} of {site}: use --force to give that up and enrol anew (the site \
             then shows it as another client, unless the token was made by `farrier token create --client {client}`)"
        ),
        // A damaged identity is what --force is for, too.
        Err(_) if force => None,
        before => before?,
    };
    // Read before the token is spent.
    let floors = match Floors::read(&agent.layout.floors()) {
        Err(RecordError::Damaged { .. }) if force => None,
        floors => {
            floors.context("use `farrier-agent enroll --force TOKEN` to begin without the versions accepted before")?
        }
    };
    let key = KeyPair::generate().context("no key could be made")?;
    agent.progress.show(format_args!("Enrolling at {}", token.site));
    let site = Site::new(&token.site, tls::enrolling(token.authority)?)?;
    let reply = site.enroll(&request(&token, &key, agent)?).await;
    agent.progress.clear();
    let reply = reply?;
    let waits_for_approval = reply.waits_for_approval;
    // What this device compiled stays its own, whoever it is a client of.
    let device_key = before.map_or_else(Identity::new_device_key, |before| Ok(before.device_key))?;
    let identity = identity(&token, &key, reply, device_key)?;
    let tenant = Repository::under(&identity.root, &farrier_trust::Floors::default())
        .context("the site's root of trust cannot be used")?
        .tenant()?;
    identity.store(&file)?;
    // After the identity: until there is a new one, the old one keeps its floors.
    let client = identity.client;
    let floors = floors.unwrap_or_else(|| Floors::new(tenant, client)).of_enrollment(tenant, client);
    floors.store(&agent.layout.floors())?;
    Ok(Enrolled { identity, waits_for_approval })
}

fn decode_token(text: &str) -> anyhow::Result<EnrollmentToken> {
    const REMEDY: &str = "copy the whole line that `farrier token create` printed";
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim()).ok();
    let token: Option<EnrollmentToken> = bytes.and_then(|bytes| farrier_protocol::decode(&bytes).ok());
    let token = token.with_context(|| format!("this is no enrolment token: {REMEDY}"))?;
    ensure!(token.site.starts_with("https://"), "the token's site {:?} is no https:// address: {REMEDY}", token.site);
    Ok(token)
}

fn request(token: &EnrollmentToken, key: &KeyPair, agent: &Agent) -> anyhow::Result<EnrollmentRequest> {
    Ok(EnrollmentRequest {
        secret: token.secret,
        certificate_request: certificate::request(key)?,
        hostname: inventory::take(&agent.config.root).hostname,
        hardware: Device::of(&agent.config).hardware,
    })
}

/// Checks the site's reply against the token and the key, and makes an identity of it.
fn identity(
    token: &EnrollmentToken,
    key: &KeyPair,
    reply: EnrollmentReply,
    device_key: [u8; KEY_BYTES],
) -> anyhow::Result<Identity> {
    let EnrollmentReply { client, certificate, authority, root, waits_for_approval: _ } = reply;
    ensure!(
        Digest::of(&root) == token.repository,
        "the site's reply holds another root of trust than the token names: it is refused"
    );
    ensure!(
        Digest::of(&authority) == token.authority,
        "the site's reply names another certificate authority than the token: it is refused"
    );
    certificate::check(&certificate, &authority, client, key)?;
    Ok(Identity {
        client,
        site: token.site.clone(),
        root,
        authority,
        certificate,
        key: key.serialize_der(),
        device_key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_refused_with_the_remedy() {
        let garbage = BASE64_URL_SAFE_NO_PAD.encode(b"garbage");
        for text in ["", "not a token!", "AAAA", &garbage] {
            let error = decode_token(text).unwrap_err().to_string();
            assert!(error.contains("farrier token create"), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_token_for_plain_http_is_refused() {
        let token = EnrollmentToken {
            site: "http://site.example.org".into(),
            authority: Digest([1; 32]),
            repository: Digest([2; 32]),
            secret: [3; 16],
        };
        let text = BASE64_URL_SAFE_NO_PAD.encode(farrier_protocol::encode(&token).unwrap());
        assert!(decode_token(&text).unwrap_err().to_string().contains("http://site.example.org"));
    }
}
