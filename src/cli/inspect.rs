//! `lacuna inspect`.

use super::task::Task;
use clap::Args;
use std::process::ExitCode;

use super::context::{Context, OutputArgs};
use super::progress::Progress;
use super::{show, terminal};
use crate::error::{Error, Result};
use crate::serving::{InspectConfig, inspect};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lacuna inspect ratings.csv
  lacuna inspect ml-25m.zip --factors 128
  lacuna inspect 'logs/*.parquet' --json | jq .users")]
pub(super) struct InspectArgs {
    #[command(flatten)]
    config: InspectConfig,
    #[command(flatten)]
    output: OutputArgs,
}

impl Task for InspectArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }
}

fn run(args: &InspectArgs, context: &Context) -> Result<()> {
    let progress = Progress::new(&args.output);
    let outcome = inspect(&args.config, &context.job(&|event| progress.show(event)));
    progress.finish();
    let inspection = outcome?;
    if args.output.json {
        let json =
            serde_json::to_string(&inspection).map_err(|e| Error::Internal(e.to_string()))?;
        return terminal::print(&format!("{json}\n"));
    }
    terminal::print(&show::inspection(&inspection))
}
