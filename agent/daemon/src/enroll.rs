//! Enrolment: from a one-time token to a client with a key, a certificate and a root of trust.

use crate::agent::Agent;
use crate::identity::Identity;
use crate::inventory;
use crate::lock::Lock;
use crate::site::Site;
use crate::tls;
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use farrier_protocol::Digest;
use farrier_protocol::enrollment::{EnrollmentReply, EnrollmentRequest, EnrollmentToken};
use farrier_runtime::KEY_BYTES;
use farrier_spool::{Floors, FloorsError};
use farrier_trust::RepositoryRoot;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Enrols this endpoint and returns who it is now.
pub(crate) async fn enroll(agent: &Agent, token: &str, force: bool) -> anyhow::Result<Identity> {
    let token = decode_token(token)?;
    agent.layout.create()?;
    let _lock = Lock::wait(&agent.layout.lock(), &agent.progress)?;
    let file = agent.layout.identity();
    let before = match Identity::load(&file) {
        Ok(Some(Identity { client, site, .. })) if !force => bail!(
            "this endpoint is already client {client} of {site}: use --force to give that up and enrol anew (the site \
             then shows it as another client)"
        ),
        // A damaged identity is what --force is for, too.
        Err(_) if force => None,
        before => before?,
    };
    // Read before the token is spent.
    let floors = match Floors::read(&agent.layout.floors()) {
        Err(FloorsError::Damaged { .. }) if force => None,
        floors => floors?,
    };
    let key = KeyPair::generate().context("no key could be made")?;
    agent.progress.show(format_args!("Enrolling at {}", token.site));
    let site = Site::new(&token.site, tls::enrolling(token.authority)?)?;
    let reply = site.enroll(&request(&token, &key, agent)?).await;
    agent.progress.clear();
    // What this device compiled stays its own, whoever it is a client of.
    let device_key = before.map_or_else(Identity::new_device_key, |before| Ok(before.device_key))?;
    let identity = identity(&token, &key, reply?, device_key)?;
    identity.store(&file)?;
    // After the identity: until there is a new one, the old one keeps its floors.
    let (repository, client) = (identity.repository.0, identity.client);
    let floors = floors.unwrap_or_else(|| Floors::new(repository, client)).of_enrollment(repository, client);
    floors.store(&agent.layout.floors())?;
    Ok(identity)
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
    let mut params = CertificateParams::default();
    // The site gives the client its name; it takes nothing but the public key.
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(key).context("the certificate request could not be made")?;
    Ok(EnrollmentRequest {
        secret: token.secret,
        certificate_request: request.der().to_vec(),
        hostname: inventory::take(&agent.config.root).hostname,
    })
}

/// Checks the site's reply against the token and the key, and makes an identity of it.
fn identity(
    token: &EnrollmentToken,
    key: &KeyPair,
    reply: EnrollmentReply,
    device_key: [u8; KEY_BYTES],
) -> anyhow::Result<Identity> {
    let EnrollmentReply { client, certificate, authority } = reply;
    ensure!(
        Digest::of(&authority) == token.authority,
        "the site's reply names another certificate authority than the token: it is refused"
    );
    let (_, parsed) = X509Certificate::from_der(&certificate).context("the site's reply holds no certificate")?;
    ensure!(
        parsed.public_key().raw == key.subject_public_key_info(),
        "the certificate in the site's reply is not for this endpoint's key: it is refused"
    );
    let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    ensure!(name == Some(&client.to_string()), "the certificate in the site's reply is not for client {client}");
    Ok(Identity {
        client,
        site: token.site.clone(),
        repository: RepositoryRoot(token.repository),
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
