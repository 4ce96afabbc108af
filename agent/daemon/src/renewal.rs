//! Renewal of this client's certificate, by itself, once half of its time is over.
//!
//! The old certificate and its key are given up only when the new ones are on the disk, and the site takes the old one
//! until the new one is used. So a poll may end, the power fail or the answer be lost at any point of it: the next poll
//! asks again, with a new key.

use crate::certificate::{self, Validity};
use crate::identity::Identity;
use crate::session::Session;
use crate::site::Site;
use anyhow::Context as _;
use farrier_protocol::UnixTime;
use farrier_protocol::enrollment::RenewalRequest;
use rcgen::KeyPair;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A certificate that was stored less than this ago is not renewed: a clock that is years ahead would otherwise have it
/// renewed with every poll.
const REST: Duration = Duration::from_secs(24 * 3_600);

/// How long the certificate is not to be renewed, at the trusted time `now`. 0 for what is no certificate.
pub(crate) fn seconds_left(identity: &Identity, now: UnixTime) -> u32 {
    let half = Validity::of(&identity.certificate).map_or(now, |validity| validity.half());
    u32::try_from(half.saturating_sub(now).max(0)).unwrap_or(u32::MAX)
}

/// Whether the certificate is void at this time, and what to do then.
pub(crate) fn expiry(identity: &Identity, now: UnixTime) -> Option<&'static str> {
    let is_over = Validity::of(&identity.certificate).is_ok_and(|validity| validity.until <= now);
    is_over.then_some("this client's certificate has expired: enrol again with `farrier-agent enroll --force TOKEN`")
}

/// Renews the certificate if it is time. What fails is tried again by the next poll.
pub(crate) async fn renew_if_due(session: &mut Session<'_>, site: &Site) {
    let file = session.agent.layout.identity();
    if seconds_left(&session.identity, session.accepted.trusted_now()) > 0 || was_stored_just_now(&file) {
        return;
    }
    match renew(&session.identity, site, &file).await {
        Ok(renewed) => {
            tracing::info!("The certificate is renewed");
            session.identity = renewed;
        }
        Err(error) => {
            let error = format!("{error:#}");
            tracing::warn!(error, "The certificate was not renewed: the next poll tries again");
        }
    }
}

/// The identity with a new key and a certificate for it, durably stored.
async fn renew(identity: &Identity, site: &Site, file: &Path) -> anyhow::Result<Identity> {
    let key = KeyPair::generate().context("no key could be made")?;
    let certificate_request = certificate::request(&key)?;
    let certificate = site.renew(&RenewalRequest { certificate_request }).await?.certificate;
    certificate::check(&certificate, &identity.authority, identity.client, &key)?;
    let renewed = Identity { certificate, key: key.serialize_der(), ..identity.clone() };
    renewed.store(file)?;
    Ok(renewed)
}

fn was_stored_just_now(file: &Path) -> bool {
    let age = fs::metadata(file).and_then(|file| file.modified()).map(|modified| modified.elapsed());
    // A file of the future was stored before the clock went back.
    matches!(age, Ok(Ok(age)) if age < REST)
}
