//! `farrier` for the tests.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    farrier::cli::main().await
}
