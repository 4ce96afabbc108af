//! Who may talk to the console, and what a browser may do with its answers.
//!
//! Without sign-in, everything on this machine that reaches the port may read. What must not is a page of another site in
//! the administrator's browser: it may neither post here (same-origin check) nor read through a name that it lets point to
//! loopback (host check).

use super::problem::Problem;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;

const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Lets a request through, or not, and says in the answer what a browser may do with it.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refusal(&request) {
        Some(problem) => problem.into_plain_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refusal(request: &Request) -> Option<Problem> {
    if !names_loopback(request.headers()) {
        return Some(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "Not the console's address",
            "The console answers only to the names of this machine's loopback.".to_owned(),
            "Open it as https://localhost or https://127.0.0.1, with its port; from elsewhere, forward the port with ssh -L.",
        ));
    }
    if !request.method().is_safe() && !is_same_origin(request.headers()) {
        return Some(Problem::new(
            StatusCode::FORBIDDEN,
            "Not from the console",
            "This request did not come from a page of the console.".to_owned(),
            "Use the button on the console's page, or the farrier command.",
        ));
    }
    None
}

/// A name that an attacker can let point to loopback is none of these.
fn names_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = host(headers) else { return false };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Browsers say where a request comes from; one that does not say is not trusted.
fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let authority =
        origin.and_then(|origin| origin.split_once("://")).and_then(|(_, authority)| authority.parse().ok());
    authority.is_some_and(|authority: Authority| host(headers).is_some_and(|host| host == authority))
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(HOST)?.to_str().ok()?.parse().ok()
}
