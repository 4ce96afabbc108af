//! Style sheet, scripts and icon, in the program itself. Their addresses hold their hashes, so browsers keep them for ever.

use super::problem::Problem;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use farrier_protocol::Digest;
use std::sync::LazyLock;

/// Hexadecimal digits of the hash in an address: enough to tell versions apart.
const HASH_DIGITS: usize = 12;
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

const STYLE: &str = include_str!("../../assets/console.css");
const THEME: &str = include_str!("../../assets/theme.js");
const SCRIPT: &str = include_str!("../../assets/console.js");
const ICON: &str = include_str!("../../assets/icon.svg");

/// Where the assets of this build are.
pub(super) static ADDRESSES: LazyLock<Addresses> = LazyLock::new(|| Addresses {
    style: address("console", "css", STYLE),
    theme: address("theme", "js", THEME),
    script: address("console", "js", SCRIPT),
    icon: address("icon", "svg", ICON),
});

/// The addresses of the assets.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) style: String,
    /// Runs before the first paint, so that a page never flashes in the wrong theme.
    pub(super) theme: String,
    pub(super) script: String,
    pub(super) icon: String,
}

fn address(name: &str, extension: &str, content: &str) -> String {
    let hash = Digest::of(content.as_bytes()).to_string();
    format!("/assets/{name}.{}.{extension}", &hash[..HASH_DIGITS])
}

pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let path = format!("/assets/{name}");
    let addresses = &*ADDRESSES;
    let (content, kind) = match &path {
        path if *path == addresses.style => (STYLE, "text/css; charset=utf-8"),
        path if *path == addresses.theme => (THEME, "text/javascript; charset=utf-8"),
        path if *path == addresses.script => (SCRIPT, "text/javascript; charset=utf-8"),
        path if *path == addresses.icon => (ICON, "image/svg+xml"),
        _ => {
            return Err(Problem::not_found(format!("There is no asset {name}."), "Reload the page that asked for it."));
        }
    };
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, IMMUTABLE)], content).into_response())
}

/// For whoever asks for the icon without having read a page.
pub(super) async fn favicon() -> Response {
    ([(CONTENT_TYPE, "image/svg+xml")], ICON).into_response()
}
