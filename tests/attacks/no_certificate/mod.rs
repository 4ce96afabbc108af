//! Claim: without a certificate of the site's authority nobody learns an assignment or reports a state.

use crate::oversized_body::client;
use farrier_protocol::paths;
use farrier_tests::{Site, programs, sample};

#[test]
fn a_stranger_is_refused_with_a_remedy() {
    let site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = |path: &str| format!("https://localhost:{}{path}", site.port());
    for path in [paths::POLL, paths::STATE_MESSAGES, paths::RENEW] {
        let (status, text) = runtime.block_on(async {
            let response = client().post(address(path)).body("x").send().await.unwrap();
            (response.status(), response.text().await.unwrap())
        });
        assert_eq!(status, 401);
        assert!(text.contains("farrier-agent enroll"), "{text}");
    }
}
