//! Layers of settings: flags > environment > configuration file > defaults.
//!
//! Each setting is defined once. The keys of a configuration file and the `LACUNA_*` variables are
//! other spellings of the long flags. Both become arguments of the same parser unless the command
//! line sets them already. Types, ranges and messages are those of the flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::error::{Error, Result};
use crate::settings::suggestion;

/// Pairs of a setting and one that depends on it.
///
/// If a higher layer sets the first, the second is ignored in lower layers, because it would
/// contradict the first.
const DEPENDENT_SETTINGS: [(&str, &str); 5] = [
    ("holdout", "split_time"),
    ("holdout", "leave_out"),
    ("holdout", "test_file"),
    ("quiet", "verbose"),
    ("verbose", "quiet"),
];

/// The arguments to parse and the origins of the settings by key, or the parser's answer to the
/// command line alone.
pub(super) enum Resolved {
    Arguments(Vec<OsString>, BTreeMap<String, String>),
    Clap(clap::Error),
}

/// Adds the settings of the environment and the configuration file to the command line.
///
/// # Errors
/// [`Error::Config`] for a file that cannot be used, [`Error::Usage`] for a variable.
pub(super) fn resolve(command: &Command, arguments: Vec<OsString>) -> Result<Resolved> {
    let matches = match command.clone().try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => return Ok(Resolved::Clap(error)),
    };
    let (names, subcommand, called) = leaf(command, &matches);
    let mut origins = BTreeMap::new();
    if names.is_empty() {
        return Ok(Resolved::Arguments(arguments, origins));
    }
    let alone = |args: &[OsString]| {
        let names = names.iter().map(OsString::from);
        let all = [arguments[0].clone()].into_iter().chain(names).chain(args.iter().cloned());
        command.clone().try_get_matches_from(all)
    };
    let on_line =
        |arg: &Arg| called.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let environment = environment(command, subcommand)?;
    let in_environment = |arg: &Arg| environment.iter().any(|(a, _)| a.get_id() == arg.get_id());
    let mut added: Vec<OsString> = Vec::new();
    if let Some(path) = config_path(called, &environment) {
        let file = read_config(&path, command, subcommand)?;
        let check: Vec<OsString> = file.iter().flat_map(|(_, args)| args.clone()).collect();
        if let Err(error) = alone(&check) {
            return Err(Error::Config { path, message: first_line(&error) });
        }
        let above = |arg: &Arg| on_line(arg) || in_environment(arg);
        for (arg, args) in file.into_iter().filter(|(arg, _)| !hidden(arg, subcommand, &above)) {
            origins.insert(key(arg), path.display().to_string());
            added.extend(args);
        }
    }
    for (arg, args) in &environment {
        if hidden(arg, subcommand, &on_line) {
            continue;
        }
        if let Err(error) = alone(args)
            && error.kind() != clap::error::ErrorKind::MissingRequiredArgument
        {
            let message = first_line(&error);
            return Err(Error::Usage(format!("environment variable {}: {message}", variable(arg))));
        }
        origins.insert(key(arg), variable(arg));
        added.extend(args.iter().cloned());
    }
    for arg in settings(subcommand).filter(|arg| on_line(arg)) {
        origins.insert(key(arg), "command line".to_owned());
    }
    // The added arguments go after the name of the command and before its own arguments.
    let mut at = 0;
    for name in &names {
        let found = arguments[at..].iter().position(|a| *a == **name);
        at += found.map_or(arguments.len() - at, |p| p + 1);
    }
    let mut all = arguments;
    all.splice(at..at, added);
    Ok(Resolved::Arguments(all, origins))
}

/// The names that lead to the called command, the command, and its arguments.
fn leaf<'c>(
    command: &'c Command,
    matches: &'c ArgMatches,
) -> (Vec<&'c str>, &'c Command, &'c ArgMatches) {
    let (mut names, mut command, mut matches) = (Vec::new(), command, matches);
    while let Some((name, called)) = matches.subcommand()
        && let Some(subcommand) = command.find_subcommand(name)
    {
        names.push(name);
        (command, matches) = (subcommand, called);
    }
    (names, command, matches)
}

/// All commands without subcommands.
fn leaves(command: &Command) -> Vec<&Command> {
    let mut subcommands = command.get_subcommands().peekable();
    match subcommands.peek() {
        None => vec![command],
        Some(_) => subcommands.flat_map(leaves).collect(),
    }
}

/// Whether a higher layer sets this argument or one that it depends on.
fn hidden(arg: &Arg, subcommand: &Command, above: &dyn Fn(&Arg) -> bool) -> bool {
    let belongs_to = |owner: &str| settings(subcommand).any(|a| key(a) == owner && above(a));
    above(arg)
        || DEPENDENT_SETTINGS.iter().any(|(owner, name)| *name == key(arg) && belongs_to(owner))
}

fn config_path(called: &ArgMatches, environment: &[(&Arg, Vec<OsString>)]) -> Option<PathBuf> {
    let on_line = called.try_get_one::<PathBuf>("config").ok().flatten().cloned();
    let in_environment = || {
        let (_, args) = environment.iter().find(|(arg, _)| arg.get_id() == "config")?;
        args.last()?.to_str()?.strip_prefix("--config=").map(PathBuf::from)
    };
    on_line.or_else(in_environment)
}

/// The first paragraph of a message of clap, on one line.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|l| !l.is_empty());
    let text = lines.collect::<Vec<_>>().join("; ");
    text.trim_start_matches("error: ").to_owned()
}

/// The key of an argument: its long flag, or the name of a positional, with underscores.
pub(super) fn key(arg: &Arg) -> String {
    arg.get_long().unwrap_or_else(|| arg.get_id().as_str()).replace('-', "_")
}

fn variable(arg: &Arg) -> String {
    format!("LACUNA_{}", key(arg).to_uppercase())
}

/// The arguments that a file or the environment may set: all except help and version.
pub(super) fn settings(subcommand: &Command) -> impl Iterator<Item = &Arg> {
    subcommand.get_arguments().filter(|a| {
        !matches!(
            a.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        )
    })
}

/// The command-line form of one setting.
fn as_arguments(arg: &Arg, value: &str) -> Vec<OsString> {
    match arg.get_long() {
        Some(long) => vec![format!("--{long}={value}").into()],
        None => vec![value.into()],
    }
}

fn environment<'c>(
    command: &'c Command,
    subcommand: &'c Command,
) -> Result<Vec<(&'c Arg, Vec<OsString>)>> {
    let mut found = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|n| n.starts_with("LACUNA_")) else { continue };
        let Some(value) = value.to_str() else {
            return Err(Error::Usage(format!("environment variable {name}: not valid UTF-8")));
        };
        let Some(arg) = settings(subcommand).find(|a| variable(a) == name) else {
            let all = leaves(command);
            let known: Vec<String> = all.into_iter().flat_map(settings).map(variable).collect();
            if known.iter().any(|known| known == name) {
                continue;
            }
            let hint = suggestion(name, &known);
            return Err(Error::Usage(format!("unknown environment variable {name}{hint}")));
        };
        if arg.get_action().takes_values() {
            found.push((arg, as_arguments(arg, value)));
        } else {
            match value.to_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => {
                    found.push((
                        arg,
                        vec![format!("--{}", arg.get_long().unwrap_or_default()).into()],
                    ));
                }
                // There is nothing to add, but the variable hides the value in the file.
                "" | "0" | "false" | "no" | "off" => found.push((arg, Vec::new())),
                _ => {
                    let message = format!(
                        "environment variable {name}: \"{value}\" is neither true nor false"
                    );
                    return Err(Error::Usage(message));
                }
            }
        }
    }
    found.sort_by_key(|(arg, _)| key(arg));
    Ok(found)
}

/// The settings of a configuration file as arguments, by argument.
///
/// One file serves all commands: keys that only other commands know are skipped.
fn read_config<'c>(
    path: &Path,
    command: &Command,
    subcommand: &'c Command,
) -> Result<Vec<(&'c Arg, Vec<OsString>)>> {
    let wrong = |message: String| Error::Config { path: path.to_owned(), message };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|e| wrong(format!("cannot read the configuration: {e}")))?;
    let table: toml::Table =
        text.parse().map_err(|e: toml::de::Error| wrong(located(&e, &text)))?;
    let mut found = Vec::new();
    for (name, value) in table {
        let arg = settings(subcommand).find(|a| key(a) == name && a.get_id() != "config");
        let Some(arg) = arg else {
            let with_file = |command: &&Command| settings(command).any(|a| a.get_id() == "config");
            let others = leaves(command).into_iter().filter(with_file).flat_map(settings).map(key);
            let known: Vec<String> = others.filter(|k| k != "config").collect();
            if known.contains(&name) {
                continue;
            }
            return Err(wrong(format!("unknown key \"{name}\"{}", suggestion(&name, &known))));
        };
        let scalar = |value: &toml::Value| match value {
            toml::Value::String(v) => Ok(v.clone()),
            toml::Value::Integer(v) => Ok(v.to_string()),
            toml::Value::Float(v) => Ok(v.to_string()),
            toml::Value::Datetime(v) => Ok(v.to_string()),
            other => {
                Err(wrong(format!("key \"{name}\": {} is not allowed here", other.type_str())))
            }
        };
        let many = matches!(arg.get_action(), ArgAction::Append);
        let arguments = match (&value, arg.get_action().takes_values()) {
            (toml::Value::Boolean(true), false) => {
                vec![format!("--{}", arg.get_long().unwrap_or_default()).into()]
            }
            (toml::Value::Boolean(false), false) => continue,
            (_, false) => return Err(wrong(format!("key \"{name}\" needs true or false"))),
            (toml::Value::Array(values), true) if many => {
                let mut arguments = Vec::new();
                for value in values {
                    arguments.extend(as_arguments(arg, &scalar(value)?));
                }
                arguments
            }
            (value, true) => as_arguments(arg, &scalar(value)?),
        };
        found.push((arg, arguments));
    }
    Ok(found)
}

/// The error in a TOML text, with its line and column.
fn located(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().replace('\n', " ");
    let before = error.span().and_then(|span| text.get(..span.start));
    before.map_or_else(
        || message.clone(),
        |before| {
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
            format!("line {line}, column {column}: {message}")
        },
    )
}
