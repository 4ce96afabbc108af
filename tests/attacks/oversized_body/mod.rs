//! Claim: no request makes the site hold more than its limit.

use farrier_protocol::enrollment::MAX_ENROLLMENT_BYTES;
use farrier_protocol::paths;
use farrier_tests::{Site, programs, sample};

#[test]
fn a_body_above_its_limit_is_refused() {
    let site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    let address = format!("https://localhost:{}{}", site.port(), paths::ENROLL);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let status_of = |bytes: usize| {
        let request = client().post(&address).body(vec![0; bytes]);
        runtime.block_on(async { request.send().await.unwrap().status() })
    };
    assert_eq!(status_of(MAX_ENROLLMENT_BYTES + 1), 413);
    assert_eq!(status_of(MAX_ENROLLMENT_BYTES), 400);
}

/// A client that an attacker would use: it takes any certificate.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().danger_accept_invalid_certs(true).build().unwrap()
}
