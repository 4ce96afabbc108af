//! Entry point.

use std::process::ExitCode;

fn main() -> ExitCode {
    farrier_agent::cli::main()
}
