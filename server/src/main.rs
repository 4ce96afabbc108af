//! `farrier`: runs a site and administers it.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    farrier::cli::main().await
}
