//! The site's identity on the network: the certificate authority of its TLS and of its clients' certificates.
//!
//! TLS authenticates clients and hides traffic. What a client runs and believes is signed by other keys ([`crate::keys`]).

use crate::database::{Database, IssuedCertificate};
use farrier_protocol::enrollment::{EnrollmentToken, SECRET_BYTES};
use farrier_protocol::{ClientId, Digest};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

const AUTHORITY_FILE: &str = "authority.pem";

const AUTHORITY_YEARS: i64 = 20;
/// Browsers and libraries refuse server certificates that are valid for longer than 825 days. A new one is made at
/// every start.
const SITE_CERTIFICATE_DAYS: i64 = 825;
/// Clients renew their certificates when half of this is over: one that was off for less goes on by itself.
const CLIENT_CERTIFICATE_DAYS: i64 = 365;
/// Bytes of a client certificate's serial number: of at most 20 (RFC 5280, section 4.1.2.2), as many as nobody guesses.
const SERIAL_BYTES: usize = 16;
/// Clocks of endpoints are late: certificates are valid a day before they are made.
const CLOCK_TOLERANCE: Duration = Duration::DAY;

/// Why the site's identity cannot be had or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A key file or its folder cannot be read or written.
    #[error("{file} cannot be read or written")]
    File {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key file holds something else.
    #[error("{file} is no {what}: restore it from a backup, clients trust no other")]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What it should be.
        what: &'static str,
    },
    /// A key file is not there although clients trust the key.
    #[error("{file} is missing: restore it from a backup, the clients of this site trust no other authority")]
    Missing {
        /// Which file.
        file: PathBuf,
    },
    /// Whether clients trust the keys cannot be told.
    #[error("the site database cannot be read")]
    Database(#[from] sqlx::Error),
    /// A certificate cannot be made.
    #[error("the certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
}

/// A client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// X.509 in DER.
    pub der: Vec<u8>,
    /// What the site keeps of it.
    pub record: IssuedCertificate,
}

/// The identity of one site.
pub struct SiteIdentity {
    authority: Issuer<'static, KeyPair>,
    authority_certificate: CertificateDer<'static>,
}

impl SiteIdentity {
    /// The identity of the site with this database. It is made while nothing was published; from then on clients trust
    /// it, and a missing one is an error.
    ///
    /// # Errors
    /// When it is missing, cannot be read or written, or is something else.
    pub async fn of_site(data: &Path, database: &Database) -> Result<Self, IdentityError> {
        if database.current_publication().await?.is_some() {
            let file = data.join("keys").join(AUTHORITY_FILE);
            if !file.exists() {
                return Err(IdentityError::Missing { file });
            }
        }
        Self::load_or_create(data)
    }

    /// Reads it from `{data}/keys`, and makes it where it is not there yet.
    ///
    /// # Errors
    /// When a file cannot be read or written, or holds something else.
    pub fn load_or_create(data: &Path) -> Result<Self, IdentityError> {
        let folder = data.join("keys");
        make_folder(&folder)?;
        let authority_file = folder.join(AUTHORITY_FILE);
        let authority = read_or_create(&authority_file, || Ok(new_authority()?.into_bytes()))?;
        let (authority, authority_certificate) = parse_authority(&authority_file, &authority)?;
        Ok(Self { authority, authority_certificate })
    }

    /// The certificate authority's certificate.
    #[must_use]
    pub fn authority_certificate(&self) -> &CertificateDer<'static> {
        &self.authority_certificate
    }

    /// A new key and certificate chain for the site's TLS, valid for `host` and for loopback.
    ///
    /// # Errors
    /// When `host` is neither a host name nor an address.
    pub fn site_certificate(
        &self,
        host: &str,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), IdentityError> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let host = host.trim_matches(['[', ']']);
        if !names.iter().any(|name| name == host) {
            names.push(host.to_owned());
        }
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, host);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        valid_for(&mut params, Duration::days(SITE_CERTIFICATE_DAYS));
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((vec![certificate.into(), self.authority_certificate.clone()], key.into()))
    }

    /// A certificate for a client. Nothing but the public key is taken from the request.
    ///
    /// # Errors
    /// When `request` is no PKCS#10 request in DER, or not signed by its key.
    pub fn client_certificate(&self, client: ClientId, request: &[u8]) -> Result<ClientCertificate, IdentityError> {
        let request = CertificateSigningRequestParams::from_der(&request.into())?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, client.to_string());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(random_serial_number());
        valid_for(&mut params, Duration::days(CLIENT_CERTIFICATE_DAYS));
        let expires_at = params.not_after.unix_timestamp();
        let der = params.signed_by(&request.public_key, &self.authority)?.der().to_vec();
        let record = IssuedCertificate { digest: Digest::of(&der), expires_at };
        Ok(ClientCertificate { der, record })
    }

    /// A token with this secret, for endpoints that reach the site at `address` and trust the root with this digest.
    #[must_use]
    pub fn token(&self, address: &str, secret: [u8; SECRET_BYTES], root: Digest) -> EnrollmentToken {
        let authority = Digest::of(&self.authority_certificate);
        EnrollmentToken { site: address.to_owned(), authority, repository: root, secret }
    }
}

/// Makes a folder of the site's where it is missing, for its owner only: it holds keys.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(folder: &Path) -> Result<(), IdentityError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| IdentityError::File { file: folder.to_owned(), source })
}

/// Positive and without leading zeros, as it has to be: its first bits are 01.
fn random_serial_number() -> SerialNumber {
    let mut bytes: [u8; SERIAL_BYTES] = rand::random();
    bytes[0] = bytes[0] & 0x3F | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn valid_for(params: &mut CertificateParams, duration: Duration) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - CLOCK_TOLERANCE;
    params.not_after = now + duration;
}

/// The authority's key and certificate, both PEM, in one file: half an authority cannot be left behind.
fn new_authority() -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Farrier site authority");
    valid_for(&mut params, Duration::days(365 * AUTHORITY_YEARS));
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(key.serialize_pem() + &certificate.pem())
}

fn parse_authority(
    file: &Path,
    pem: &[u8],
) -> Result<(Issuer<'static, KeyPair>, CertificateDer<'static>), IdentityError> {
    let damaged =
        || IdentityError::Damaged { file: file.to_owned(), what: "certificate authority (PEM key and certificate)" };
    let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| damaged())?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| damaged())?;
    let key = KeyPair::try_from(key.secret_pkcs8_der()).map_err(|_| damaged())?;
    let authority = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| damaged())?;
    Ok((authority, certificate))
}

/// The content of a secret file. When several processes start at once, the first one to make it wins.
fn read_or_create(
    file: &Path,
    create: impl FnOnce() -> Result<Vec<u8>, IdentityError>,
) -> Result<Vec<u8>, IdentityError> {
    let failed = |source| IdentityError::File { file: file.to_owned(), source };
    if !file.exists() {
        let content = create()?;
        write_once(file, &content).map_err(failed)?;
    }
    fs::read(file).map_err(failed)
}

fn write_once(file: &Path, content: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o600))
        .make_in(folder, |path| fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))?;
    temporary.write_all(content)?;
    temporary.as_file().sync_all()?;
    match temporary.persist_noclobber(file) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => return Err(error.error),
        _ => {}
    }
    fs::File::open(folder)?.sync_all()
}
