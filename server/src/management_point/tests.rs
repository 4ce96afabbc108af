//! Enrolment, renewal and who is kept out, through the routes that clients ask.

use super::*;
use crate::config::ClientApproval;
use crate::database::{StoredMetadata, TokenFor, TokenTerms, now};
use crate::keys::Keys;
use crate::tls::PeerCertificate;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use farrier_protocol::Digest;
use farrier_protocol::enrollment::{
    EnrollmentReply, EnrollmentRequest, Exclusion, MAX_ENROLLMENT_REPLY_BYTES, RenewalReply, RenewalRequest,
    SECRET_BYTES,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use tempfile::TempDir;
use tower::ServiceExt as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

const CONFIG: &str = "listen = \"127.0.0.1:0\"\naddress = \"https://site.example.org\"";
const HARDWARE: Digest = Digest([0xAB; 32]);
const DAY: i64 = 24 * 3_600;

struct Site {
    point: ManagementPoint,
    _folder: TempDir,
}

/// What a client has.
struct Enrolled {
    client: ClientId,
    certificate: Vec<u8>,
    waits: bool,
}

/// An answer of the management point.
struct Answer {
    status: StatusCode,
    exclusion: Option<Exclusion>,
    body: Vec<u8>,
}

impl Site {
    async fn new(approval: ClientApproval) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_file(&folder.path().join("site.db")).await.unwrap();
        let mut config: ManagementPointConfig = toml::from_str(CONFIG).unwrap();
        config.approve_clients = approval;
        let point = ManagementPoint {
            database: database.clone(),
            states: StateWriter::new(database.clone()),
            identity: Arc::new(SiteIdentity::load_or_create(folder.path()).unwrap()),
            statements: Statements::new(database, Keys::open(folder.path()).unwrap()),
            signals: Signals::default(),
            config: Arc::new(config),
        };
        let site = Self { point, _folder: folder };
        site.publish_root(1).await;
        site
    }

    async fn publish_root(&self, version: u64) {
        let root = StoredMetadata { role: "root".to_owned(), version, expires_at: i64::MAX, bytes: root(version) };
        self.point.database.record_metadata(&[root]).await.unwrap();
    }

    async fn token(&self, whom: TokenFor, root: Option<u64>) -> [u8; SECRET_BYTES] {
        let secret: [u8; SECRET_BYTES] = rand::random();
        let (terms, digest) = (TokenTerms { whom, root }, Digest::of(&secret));
        self.point.database.create_token_for(&terms, &digest, now(), now() + 3_600).await.unwrap();
        secret
    }

    async fn post(&self, path: &str, certificate: Option<&[u8]>, body: &impl Serialize) -> Answer {
        let mut request = Request::post(path).body(Body::from(farrier_protocol::encode(body).unwrap())).unwrap();
        let certificate = certificate.map(|der| CertificateDer::from(der.to_vec()));
        request.extensions_mut().insert(PeerCertificate(certificate));
        let response = router(self.point.clone()).oneshot(request).await.unwrap();
        let word = response.headers().get(EXCLUSION_HEADER).map(|word| word.to_str().unwrap());
        let exclusion = word.map(|word| Exclusion::from_word(word).unwrap());
        let status = response.status();
        let body = to_bytes(response.into_body(), MAX_ENROLLMENT_REPLY_BYTES).await.unwrap().to_vec();
        Answer { status, exclusion, body }
    }

    async fn try_enroll(&self, secret: [u8; SECRET_BYTES], hardware: Option<Digest>) -> Answer {
        let certificate_request = certificate_request();
        let hostname = "web-1".try_into().unwrap();
        self.post(paths::ENROLL, None, &EnrollmentRequest { secret, certificate_request, hostname, hardware }).await
    }

    async fn enroll(&self, whom: TokenFor, hardware: Option<Digest>) -> Enrolled {
        let answer = self.try_enroll(self.token(whom, None).await, hardware).await;
        let reply: EnrollmentReply = answer.decode();
        Enrolled { client: reply.client, certificate: reply.certificate, waits: reply.waits_for_approval }
    }

    async fn renew(&self, certificate: &[u8]) -> Answer {
        let request = RenewalRequest { certificate_request: certificate_request() };
        self.post(paths::RENEW, Some(certificate), &request).await
    }

    /// Why a client with this certificate is kept out; none if what it says is looked at.
    async fn kept_out(&self, certificate: &[u8]) -> Option<Exclusion> {
        let answer = self.post(paths::STATE_MESSAGES, Some(certificate), &()).await;
        let expected = if answer.exclusion.is_some() { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
        assert_eq!(answer.status, expected, "{}", answer.text());
        answer.exclusion
    }

    async fn count(&self) -> usize {
        self.point.database.all_client_rows(None).await.unwrap().len()
    }
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn decode<T: serde::de::DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        farrier_protocol::decode(&self.body).unwrap()
    }
}

fn root(version: u64) -> Vec<u8> {
    format!("root {version}").into_bytes()
}

fn certificate_request() -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    CertificateParams::default().serialize_request(&key).unwrap().der().to_vec()
}

#[tokio::test]
async fn a_certificate_is_for_a_year_and_its_serial_number_nobody_guesses() {
    let site = Site::new(ClientApproval::Automatic).await;
    let [first, second] = [site.enroll(TokenFor::NewClient, None).await, site.enroll(TokenFor::NewClient, None).await];
    let (_, certificate) = X509Certificate::from_der(&first.certificate).unwrap();
    let (_, other) = X509Certificate::from_der(&second.certificate).unwrap();
    let left = certificate.validity().not_after.timestamp() - now();
    assert!((364 * DAY..=365 * DAY).contains(&left), "{left}");
    assert_eq!(certificate.raw_serial().len(), 16);
    assert_ne!(certificate.raw_serial(), other.raw_serial());
    assert_eq!(site.kept_out(&first.certificate).await, None);
}

#[tokio::test]
async fn a_certificate_request_is_looked_at_only_with_a_usable_token() {
    let site = Site::new(ClientApproval::Automatic).await;
    let request = |secret| EnrollmentRequest {
        secret,
        certificate_request: vec![0],
        hostname: heapless::String::new(),
        hardware: None,
    };
    let refused = site.post(paths::ENROLL, None, &request([1; SECRET_BYTES])).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text().contains("farrier token create") && refused.exclusion.is_none());
    let secret = site.token(TokenFor::NewClient, None).await;
    assert_eq!(site.post(paths::ENROLL, None, &request(secret)).await.status, StatusCode::BAD_REQUEST);
    site.try_enroll(secret, None).await.decode::<EnrollmentReply>();
    assert_eq!(site.try_enroll(secret, None).await.status, StatusCode::FORBIDDEN, "it is used now");
}

#[tokio::test]
async fn a_client_begins_with_the_root_of_its_token() {
    let site = Site::new(ClientApproval::Automatic).await;
    let secret = site.token(TokenFor::NewClient, Some(1)).await;
    site.publish_root(2).await;
    assert_eq!(site.try_enroll(secret, None).await.decode::<EnrollmentReply>().root, root(1));
    let secret = site.token(TokenFor::NewClient, None).await;
    assert_eq!(site.try_enroll(secret, None).await.decode::<EnrollmentReply>().root, root(2));
}

#[tokio::test]
async fn both_certificates_count_until_the_new_one_is_used() {
    let site = Site::new(ClientApproval::Automatic).await;
    let Enrolled { certificate: old, client, .. } = site.enroll(TokenFor::NewClient, None).await;
    let lost: RenewalReply = site.renew(&old).await.decode();
    let RenewalReply { certificate: new } = site.renew(&old).await.decode();
    assert_eq!(site.kept_out(&lost.certificate).await, Some(Exclusion::Superseded));
    assert_eq!(site.kept_out(&old).await, None);
    assert_eq!(site.kept_out(&new).await, None);
    assert_eq!(site.kept_out(&old).await, Some(Exclusion::Superseded));
    let refused = site.renew(&old).await;
    assert_eq!((refused.status, refused.exclusion), (StatusCode::FORBIDDEN, Some(Exclusion::Superseded)));
    assert!(refused.text().contains(&client.to_string()), "{}", refused.text());
    assert_eq!(site.kept_out(&new).await, None);
}

#[tokio::test]
async fn without_a_certificate_nothing_is_renewed() {
    let site = Site::new(ClientApproval::Automatic).await;
    let request = RenewalRequest { certificate_request: certificate_request() };
    assert_eq!(site.post(paths::RENEW, None, &request).await.status, StatusCode::UNAUTHORIZED);
    let Enrolled { certificate, .. } = site.enroll(TokenFor::NewClient, None).await;
    let nonsense = RenewalRequest { certificate_request: vec![0] };
    assert_eq!(site.post(paths::RENEW, Some(&certificate), &nonsense).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.kept_out(&certificate).await, None);
}

#[tokio::test]
async fn a_revoked_client_is_told_why_at_its_next_contact() {
    let site = Site::new(ClientApproval::Automatic).await;
    let Enrolled { client, certificate, .. } = site.enroll(TokenFor::NewClient, None).await;
    assert!(site.point.database.revoke_client(client, "lost on a train", now()).await.unwrap());
    assert_eq!(site.kept_out(&certificate).await, Some(Exclusion::Revoked));
    let refused = site.renew(&certificate).await;
    assert!(refused.text().contains("lost on a train") && refused.text().contains("farrier client restore"));
    assert!(site.point.database.restore_client(client, now()).await.unwrap());
    assert_eq!(site.kept_out(&certificate).await, None);
    assert!(site.point.database.delete_client(client).await.unwrap());
    assert_eq!(site.kept_out(&certificate).await, Some(Exclusion::Unknown));
}

#[tokio::test]
async fn a_client_that_waits_for_approval_may_renew_and_nothing_else() {
    let site = Site::new(ClientApproval::Manual).await;
    let Enrolled { client, certificate, waits } = site.enroll(TokenFor::NewClient, None).await;
    assert!(waits);
    assert_eq!(site.kept_out(&certificate).await, Some(Exclusion::WaitsForApproval));
    let RenewalReply { certificate } = site.renew(&certificate).await.decode();
    let answer = site.post(paths::STATE_MESSAGES, Some(&certificate), &()).await;
    assert!(answer.text().contains(&format!("farrier client approve {client}")), "{}", answer.text());
    assert!(site.point.database.approve_client(client, now()).await.unwrap());
    assert_eq!(site.kept_out(&certificate).await, None);
    let again = site.enroll(TokenFor::Client(client), None).await;
    assert!(!again.waits && again.client == client, "the administrator named it");
}

#[tokio::test]
async fn an_endpoint_becomes_the_client_that_its_token_names() {
    let site = Site::new(ClientApproval::Automatic).await;
    let before = site.enroll(TokenFor::NewClient, Some(HARDWARE)).await;
    let after = site.enroll(TokenFor::Client(before.client), None).await;
    assert_eq!((after.client, site.count().await), (before.client, 1));
    assert_eq!(site.kept_out(&before.certificate).await, Some(Exclusion::Superseded));
    assert_eq!(site.kept_out(&after.certificate).await, None);
}

#[tokio::test]
async fn an_endpoint_becomes_the_only_client_with_its_hardware() {
    let site = Site::new(ClientApproval::Manual).await;
    let before = site.enroll(TokenFor::NewClient, Some(HARDWARE)).await;
    assert!(site.point.database.approve_client(before.client, now()).await.unwrap());
    let after = site.enroll(TokenFor::SameHardware, Some(HARDWARE)).await;
    assert_eq!(after.client, before.client);
    assert!(after.waits, "anyone with the token could have said so");

    let stranger = site.enroll(TokenFor::SameHardware, Some(Digest([1; 32]))).await;
    let silent = site.enroll(TokenFor::SameHardware, None).await;
    assert!(stranger.client != before.client && silent.client != before.client);
    let twin = site.enroll(TokenFor::NewClient, Some(HARDWARE)).await;
    let third = site.enroll(TokenFor::SameHardware, Some(HARDWARE)).await;
    assert!(![before.client, twin.client].contains(&third.client), "of two nobody knows which");
    assert_eq!(site.count().await, 5);
}

#[tokio::test]
async fn a_revoked_client_is_not_taken_over_by_its_hardware() {
    let site = Site::new(ClientApproval::Automatic).await;
    let before = site.enroll(TokenFor::NewClient, Some(HARDWARE)).await;
    assert!(site.point.database.revoke_client(before.client, "stolen", now()).await.unwrap());
    assert_ne!(site.enroll(TokenFor::SameHardware, Some(HARDWARE)).await.client, before.client);
    let again = site.enroll(TokenFor::Client(before.client), Some(HARDWARE)).await;
    assert_eq!(site.kept_out(&again.certificate).await, None, "whoever made this token knew");
}
