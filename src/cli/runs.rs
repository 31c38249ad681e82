//! `lacuna runs`: what was done on other nights.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::context::{Context, OutputArgs};
use super::{show, terminal};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::param::Natural;
use crate::run::{RunConfig, Span, diff, list, prune, rollback, show};

#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// List the runs, published and rejected, oldest first.
    List(ListArgs),
    /// Print what a run's manifest says.
    Show(ShowArgs),
    /// Say what is different between two runs.
    Diff(DiffArgs),
    /// Remove old runs.
    Prune(PruneArgs),
    /// Serve an earlier run again.
    Rollback(RollbackArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Directory of runs, or its URL.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Directory of runs, or its URL.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Its id, or the beginning of it.
    #[arg(value_name = "RUN", default_value = "latest")]
    run: String,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct DiffArgs {
    /// Directory of runs, or its URL.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The first run. [default: the one that is served]
    #[arg(value_name = "BEFORE")]
    before: Option<String>,
    /// The second run. [default: the newest one, published or rejected]
    #[arg(value_name = "AFTER")]
    after: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct PruneArgs {
    /// Directory of runs, or its URL.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Runs kept, at least.
    #[arg(long, value_name = "N", default_value_t = RunConfig::default().keep_last)]
    keep_last: Natural,
    /// Runs of this span are kept, too.
    #[arg(long, value_name = "SPAN", default_value_t = RunConfig::default().keep_within)]
    keep_within: Span,
    /// Say what would be removed.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct RollbackArgs {
    /// Directory of runs, or its URL.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The run to serve. [default: the one before the one that is served]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &RunsArgs, context: &Context) -> Result<()> {
    let job = &context.job(&|_| {});
    match &args.command {
        RunsCommand::List(args) => {
            let records = list(&args.directory, job)?;
            let text = match args.output.json {
                true => show::json(&records) + "\n",
                false => show::runs_list(&records),
            };
            terminal::print(&text)
        }
        RunsCommand::Show(args) => {
            let record = show(&args.directory, &args.run, job)?;
            let text = match args.output.json {
                true => show::json(&record.manifest) + "\n",
                false => show::runs_show(&record),
            };
            terminal::print(&text)
        }
        RunsCommand::Diff(args) => compare(args, job),
        RunsCommand::Prune(args) => {
            let (last, within) = (args.keep_last.get(), args.keep_within);
            let pruned = prune(&args.directory, last, within, args.dry_run, job)?;
            if args.output.json {
                return terminal::print(&format!("{}\n", show::json(&pruned)));
            }
            if args.output.quiet {
                return Ok(());
            }
            let done = if args.dry_run { "would remove" } else { "removed" };
            let lines = pruned.removed.iter().map(|id| format!("{done} {id}\n"));
            let all: String = lines.collect();
            let runs = if pruned.kept == 1 { "run is" } else { "runs are" };
            terminal::print(&format!("{all}{} {runs} kept\n", pruned.kept))
        }
        RunsCommand::Rollback(args) => {
            let (id, before) = rollback(&args.directory, args.run.as_deref(), job)?;
            if args.output.json {
                let value = serde_json::json!({ "latest": id, "before": before });
                return terminal::print(&format!("{value}\n"));
            }
            if args.output.quiet {
                return Ok(());
            }
            let before = before.map_or(String::new(), |before| format!(" (before: {before})"));
            terminal::print(&format!("run {id} is served{before}\n"))
        }
    }
}

fn compare(args: &DiffArgs, job: &Job<'_>) -> Result<()> {
    let records = list(&args.directory, job)?;
    let newest = records.last().ok_or_else(|| Error::Usage("there are no runs yet".into()))?;
    let second = match &args.after {
        Some(name) => show(&args.directory, name, job)?,
        None => newest.clone(),
    };
    let first = match &args.before {
        Some(name) => show(&args.directory, name, job)?,
        None => {
            // Beside what is served; that beside the one before it.
            let served = records.iter().find(|r| r.served && r.id() != second.id());
            let before = || records.iter().rev().find(|r| !r.is_rejected() && r.id() < second.id());
            let first = served.or_else(before).cloned();
            first.ok_or_else(|| {
                Error::Usage(
                    "there are not two published runs yet: name them, as in runs diff RUNS OLD NEW"
                        .into(),
                )
            })?
        }
    };
    let found = diff(&first, &second);
    if args.output.json {
        let value = serde_json::json!({
            "before": first.id(),
            "after": second.id(),
            "differences": found,
        });
        return terminal::print(&format!("{value}\n"));
    }
    terminal::print(&show::runs_diff(&first, &second, &found))
}
