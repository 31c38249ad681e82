//! `lacuna runs`: lists, compares, removes and rolls back runs.

use super::task::Task;
use std::path::PathBuf;
use std::process::ExitCode;

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
    /// Print a summary of a run, or with --json its manifest.
    Show(ShowArgs),
    /// Print the differences between two runs.
    Diff(DiffArgs),
    /// Remove old runs.
    Prune(PruneArgs),
    /// Publish an earlier run again.
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
    /// Id of the run, or the beginning of the id.
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
    /// The first run. [default: the published run]
    #[arg(value_name = "BEFORE")]
    before: Option<String>,
    /// The second run. [default: the newest run, published or rejected]
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
    /// Keep at least this many published runs, and as many rejected ones. The published run and the
    /// runs that it depends on always stay.
    #[arg(long, value_name = "N", default_value_t = RunConfig::default().keep_last)]
    keep_last: Natural,
    /// Also keep every run that started within this span of time, such as 30days.
    #[arg(long, value_name = "SPAN", default_value_t = RunConfig::default().keep_within)]
    keep_within: Span,
    /// Only print what would be removed.
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
    /// The run to publish. [default: the run before the published run]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl Task for RunsArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }
}

fn run(args: &RunsArgs, context: &Context) -> Result<()> {
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
            let before = before.map_or(String::new(), |before| format!(" (previously {before})"));
            terminal::print(&format!("run {id} is now the published run{before}\n"))
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
            // Compare with the published run. If that is the second run, compare with the run
            // published before it.
            let published = records.iter().find(|r| r.published && r.id() != second.id());
            let before = || records.iter().rev().find(|r| !r.is_rejected() && r.id() < second.id());
            let first = published.or_else(before).cloned();
            first.ok_or_else(|| {
                Error::Usage(
                    "there is no earlier published run to compare with; name both runs, as in \
                     lacuna runs diff DIR BEFORE AFTER"
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
