//! `farrier-agent` for the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    farrier_agent::cli::main()
}
