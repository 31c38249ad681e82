//! `lacuna config`: prints settings and their origins.

use super::task::Task;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, Args, Subcommand};
use serde_json::Value;

use super::context::Context;
use super::{layers, terminal};
use crate::error::{Error, Result};
use crate::run::RunConfig;
use crate::settings::TrainConfig;
use crate::store::json;

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the settings that a run would use.
    Show(Box<ShowArgs>),
    /// Print a configuration file for run, with the meaning and default of every setting.
    Example,
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
struct ShowArgs {
    #[command(flatten)]
    config: RunConfig,
    /// Also print where each value comes from.
    #[arg(long)]
    origin: bool,
    /// Configuration file (TOML). Its keys are the long flags with _ for -, and input = [...] lists
    /// the rating files.
    #[arg(long = "config", id = "config", value_name = "FILE")]
    config_file: Option<PathBuf>,
}

impl Task for ConfigArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }
}

fn run(args: &ConfigArgs, context: &Context) -> Result<()> {
    match &args.command {
        ConfigCommand::Show(args) => {
            // Settings that cannot be combined are shown as they were set, and the error follows.
            let mut config = args.config.clone();
            let planned = config.train.plan().map(|plan| config.train = plan.record);
            terminal::print(&shown(&config, args.origin, context)?)?;
            planned
        }
        ConfigCommand::Example => terminal::print(&example(&context.command)?),
    }
}

/// The settings that a run would use, one line each.
fn shown(config: &RunConfig, origin: bool, context: &Context) -> Result<String> {
    let settings = config.settings();
    let mut text = String::new();
    for (key, value) in &settings {
        let line = format!("{key} = {}", toml_value(value)?);
        match origin {
            true => {
                let origin = context.origins.get(key).map_or("default", String::as_str);
                text += &format!("{line:<50} # {origin}\n");
            }
            false => text += &format!("{line}\n"),
        }
    }
    Ok(text)
}

fn toml_value(value: &Value) -> Result<String> {
    let value = toml::Value::try_from(value);
    value.map(|value| value.to_string()).map_err(|e| Error::Internal(format!("settings: {e}")))
}

/// A configuration file, made from the definitions of the flags.
pub(super) fn example(command: &clap::Command) -> Result<String> {
    let record = TrainConfig::default().plan()?.record;
    let defaults = RunConfig { train: record, ..RunConfig::default() };
    let defaults = json::value(&defaults);
    let Some(run) = command.find_subcommand("run") else { return Ok(String::new()) };
    let mut text = String::from(
        "# Settings of lacuna run, each with its default. Flags and LACUNA_* variables override\n\
         # this file. lacuna config show --origin prints where each value comes from. This file\n\
         # was made by lacuna config example.\n",
    );
    let mut heading = "";
    let mut described: Vec<&Arg> = layers::settings(run).collect();
    described.retain(|arg| defaults.get(layers::key(arg)).is_some());
    // clap lists arguments in the order of their definition. Here they are grouped by heading.
    let mut headings: Vec<&str> = Vec::new();
    for arg in &described {
        let of = arg.get_help_heading().unwrap_or("Options");
        if !headings.contains(&of) {
            headings.push(of);
        }
    }
    described.sort_by_key(|arg| {
        headings.iter().position(|h| *h == arg.get_help_heading().unwrap_or("Options"))
    });
    for arg in described {
        let of = arg.get_help_heading().unwrap_or("Options");
        if of != heading {
            heading = of;
            if of != "Options" {
                text += &format!("\n# ---- {of} ----\n");
            }
        }
        let key = layers::key(arg);
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        text.push('\n');
        for line in wrapped(&help) {
            text += &format!("# {line}\n");
        }
        let possible: Vec<String> =
            arg.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
        let choice = arg.get_action().takes_values() && !possible.is_empty();
        if choice {
            text += &format!("# One of: {}.\n", possible.join(", "));
        }
        text += &match (key.as_str(), &defaults[&key]) {
            ("input", _) => "input = [\"ratings.csv\"]\n".to_owned(),
            ("output", _) => "output = \"runs\"\n".to_owned(),
            (_, Value::Null) => format!("# {key} =\n"),
            (_, value) => format!("# {key} = {}\n", toml_value(value)?),
        };
    }
    Ok(text)
}

/// Wraps text into lines of at most 97 characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + word.chars().count() >= 97 {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}
