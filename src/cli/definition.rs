//! The definition of the command line: commands, flags and help.

use clap::CommandFactory;

use super::command::Cli;
use super::export;
use crate::run::all_names;
use crate::settings::default_in_words;

/// The definition of the command line.
///
/// The help of some flags is completed here: defaults come from the settings, and some flags of
/// train have another meaning for other commands.
pub(super) fn command() -> clap::Command {
    let help = |name: &'static str, text: &'static str| {
        move |command: clap::Command| command.mut_arg(name, |arg| arg.help(text).long_help(text))
    };
    let cli = with_defaults(Cli::command());
    let cli = cli.mut_subcommand("export", |export| export.after_help(export::after_help()));
    let of_runs = |command: clap::Command| {
        let command = help(
            "output",
            "Directory of all runs, or its URL: s3://, gs:// or az:// (feature cloud). \
             DIR/latest leads to the published run",
        )(command);
        let text = "Rating files, as for train: CSV, TSV, .dat or Parquet, also compressed or \
                    zipped. Directories, patterns and URLs work too";
        let command = help("input", text)(command);
        help("force", "Run even if ratings and settings are unchanged since the latest run")(
            command,
        )
    };
    let cli = cli.mut_subcommand("run", of_runs).mut_subcommand("validate", of_runs);
    let cli = cli.mut_subcommand("config", |config| config.mut_subcommand("show", of_runs));
    cli.mut_subcommand("tune", |tune| {
        let tune = help(
            "output",
            "Directory to write: the trials, best.toml and report.json. \
             If it already holds trials of this search, the search resumes",
        )(tune);
        let tune = help("force", "Start anew: remove the trials that --output holds")(tune);
        let tune = help(
            "folds",
            "Validate every trial on each of K parts of the training ratings in turn, \
             instead of on one part",
        )(tune);
        tune.mut_arg("refit", |arg| arg.hide(true))
    })
}

/// Adds the defaults of the settings, and the names of the gates, to the help of the flags.
fn with_defaults(command: clap::Command) -> clap::Command {
    let described = |arg: clap::Arg| {
        let Some(help) = arg.get_help().map(ToString::to_string) else { return arg };
        if arg.get_id() == "gate" {
            return arg.help(format!("{help}. The gates: {}", all_names()));
        }
        match default_in_words(arg.get_id().as_str()) {
            _ if !arg.get_default_values().is_empty() => arg,
            Some(default) => arg.help(format!("{help}. [default: {default}]")),
            None => arg,
        }
    };
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = command.mut_args(described);
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_defaults))
}
