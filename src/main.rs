//! The command-line program.

use std::process::ExitCode;

fn main() -> ExitCode {
    lacuna::cli::main(std::env::args_os().collect())
}
