//! Certificates of this client: what is asked for, and whether what comes is any good.

use crate::tls;
use anyhow::{Context as _, ensure};
use farrier_protocol::{ClientId, UnixTime};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// When a certificate is valid, by its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    /// From then on.
    pub(crate) from: UnixTime,
    /// Until then.
    pub(crate) until: UnixTime,
}

impl Validity {
    /// The validity of an X.509 certificate in DER.
    pub(crate) fn of(certificate: &[u8]) -> anyhow::Result<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).context("this is no certificate")?;
        let validity = parsed.validity();
        Ok(Self { from: validity.not_before.timestamp(), until: validity.not_after.timestamp() })
    }

    /// When half of it is over.
    pub(crate) fn half(&self) -> UnixTime {
        self.from.midpoint(self.until)
    }
}

/// A certificate signing request for a key, PKCS#10 in DER.
pub(crate) fn request(key: &KeyPair) -> anyhow::Result<Vec<u8>> {
    let mut params = CertificateParams::default();
    // The site gives the client its name; it takes nothing but the public key.
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(key).context("the certificate request could not be made")?;
    Ok(request.der().to_vec())
}

/// Refuses a certificate that the site would not take from this client later: whoever merely answers in its place could
/// otherwise lock the client out.
pub(crate) fn check(certificate: &[u8], authority: &[u8], client: ClientId, key: &KeyPair) -> anyhow::Result<()> {
    let (_, parsed) = X509Certificate::from_der(certificate).context("the site's reply holds no certificate")?;
    ensure!(
        parsed.public_key().raw == key.subject_public_key_info(),
        "the certificate in the site's reply is not for this endpoint's key: it is refused"
    );
    let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    ensure!(name == Some(&client.to_string()), "the certificate in the site's reply is not for client {client}");
    // At a time at which it is valid: this machine's clock may be wrong.
    let at = Validity::of(certificate)?.half();
    tls::verify_client(authority, certificate, at)
        .context("the certificate in the site's reply is not of the site's authority: it is refused")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, DnType, IsCa, Issuer};

    const CLIENT: ClientId = ClientId([1; 16]);

    /// An authority, and a certificate of it for this key and name.
    fn certified(key: &KeyPair, name: &str) -> (Vec<u8>, Vec<u8>) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&authority_key).unwrap().der().to_vec();
        let mut of_client = CertificateParams::default();
        of_client.distinguished_name.push(DnType::CommonName, name);
        (of_client.not_before, of_client.not_after) =
            (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2026, 12, 31));
        let certificate = of_client.signed_by(key, &Issuer::new(params, authority_key)).unwrap();
        (authority, certificate.der().to_vec())
    }

    #[test]
    fn only_what_the_site_would_take_later_is_taken() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (authority, certificate) = certified(&key, &CLIENT.to_string());
        check(&certificate, &authority, CLIENT, &key).unwrap();
        let words = |outcome: anyhow::Result<()>| format!("{:#}", outcome.unwrap_err());
        assert!(words(check(&certificate, &authority, CLIENT, &other)).contains("not for this endpoint's key"));
        assert!(words(check(&certificate, &authority, ClientId([2; 16]), &key)).contains("not for client 0202"));
        assert!(words(check(b"none", &authority, CLIENT, &key)).contains("no certificate"));
        let (another_authority, _) = certified(&key, &CLIENT.to_string());
        assert!(words(check(&certificate, &another_authority, CLIENT, &key)).contains("not of the site's authority"));
    }

    #[test]
    fn half_of_the_time_of_a_certificate_is_in_the_middle_of_it() {
        let (_, certificate) = certified(&KeyPair::generate().unwrap(), "x");
        let validity = Validity::of(&certificate).unwrap();
        assert_eq!((validity.from, validity.until), (1_767_225_600, 1_798_675_200));
        assert_eq!(validity.half(), 1_782_950_400);
    }
}
