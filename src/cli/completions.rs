//! `lacuna completions`.

use super::task::Task;
use clap::Args;
use std::process::ExitCode;

use super::context::Context;
use super::terminal;
use crate::error::{Error, Result};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lacuna completions bash > ~/.local/share/bash-completion/completions/lacuna")]
pub(super) struct CompletionsArgs {
    /// Shell that the script is for.
    shell: clap_complete::Shell,
}

impl Task for CompletionsArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }
}

fn run(args: &CompletionsArgs, context: &Context) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut context.command.clone(), "lacuna", &mut script);
    terminal::print(&String::from_utf8(script).map_err(|e| Error::Internal(e.to_string()))?)
}
