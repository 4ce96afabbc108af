//! `farrier`: runs a site and administers it.

use std::process::ExitCode;

fn main() -> ExitCode {
    farrier::cli::main()
}
