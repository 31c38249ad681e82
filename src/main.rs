//! The command-line program: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    lacuna::cli::main(std::env::args_os().collect())
}
