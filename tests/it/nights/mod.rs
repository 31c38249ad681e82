//! Nightly runs: which are published, which are rejected and which resume.

mod failures;
mod interrupted;
mod published;
mod records;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lacuna::model::Model;
use lacuna::store::read_model;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{bits, lacuna, run, sample};

/// A directory of runs and the ratings of several nights.
pub(crate) struct Nights {
    pub(super) dir: TempDir,
    /// The lines of the ratings with their times, sorted by time, without the header.
    pub(super) lines: Vec<(i64, String)>,
    pub(super) header: String,
}

impl Nights {
    pub(crate) fn new(ratings: &Path) -> Self {
        let text = fs::read_to_string(ratings).unwrap();
        let (header, rest) = text.split_once('\n').unwrap();
        let time = |line: &str| line.rsplit_once(',').unwrap().1.trim().parse().unwrap();
        let mut lines: Vec<(i64, String)> =
            rest.lines().map(|line| (time(line), line.to_owned())).collect();
        lines.sort_by_key(|(time, _)| *time);
        Self { dir: TempDir::new().unwrap(), lines, header: header.to_owned() }
    }

    pub(super) fn of_sample() -> Self {
        Self::new(Path::new(&sample()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes the earliest `percent` percent of the ratings, with each line changed by `edit`.
    pub(crate) fn ratings(&self, percent: usize, edit: impl Fn(usize, &str) -> String) {
        let until = self.lines.len() * percent / 100;
        let lines = self.lines[..until].iter().enumerate();
        let mut text = self.header.clone() + "\n";
        for (number, (_, line)) in lines {
            text += &edit(number, line);
            text.push('\n');
        }
        fs::write(self.path("ratings.csv"), text).unwrap();
    }

    pub(crate) fn night(&self, percent: usize) {
        self.ratings(percent, |_, line| line.to_owned());
    }

    /// A small, quick run on these ratings that prints JSON to standard output.
    pub(crate) fn command(&self, extra: &[&str]) -> Command {
        let mut command = lacuna();
        command.args(["run", &self.text("ratings.csv"), "-o", &self.text("runs"), "--json"]);
        command.args(["-k", "8"]).args(extra);
        let named = extra.iter().any(|word| ["-a", "--algorithm", "--config"].contains(word));
        if !named {
            command.args(["-a", "als"]);
        }
        command
    }

    pub(super) fn run(&self, extra: &[&str]) -> (i32, Value, String) {
        ended(&mut self.command(extra))
    }

    /// Makes a run that must be published and returns its report.
    pub(super) fn good(&self, extra: &[&str]) -> Value {
        let (code, report, log) = self.run(extra);
        assert_eq!((code, &report["result"]), (0, &"promoted".into()), "{report} {log}");
        report
    }

    pub(crate) fn served(&self) -> (String, Model) {
        let id = fs::read_link(self.path("runs/latest")).unwrap();
        let id = id.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(self.pointed(), id);
        // This reads the model and compares every checksum.
        (id, read_model(&self.path("runs/latest")).unwrap().0)
    }

    /// The id of the run that latest.json names.
    pub(super) fn pointed(&self) -> String {
        let pointer = fs::read(self.path("runs/latest.json")).unwrap();
        let pointer: Value = serde_json::from_slice(&pointer).unwrap();
        pointer["run_id"].as_str().unwrap().to_owned()
    }

    pub(super) fn manifest(&self, path: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(path).join("manifest.json")).unwrap()).unwrap()
    }

    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(path)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// Copies the runs, so that a test can start from the same state again.
    pub(super) fn copy(&self, from: &str, to: &str) {
        let _ = fs::remove_dir_all(self.path(to));
        let copied = Command::new("cp").arg("-a").arg(self.path(from)).arg(self.path(to)).status();
        assert!(copied.unwrap().success());
    }

    pub(super) fn runs(&self, arguments: &[&str]) -> (i32, String, String) {
        let directory = self.text("runs");
        run(&[&["runs", arguments[0], &directory], &arguments[1..]].concat())
    }
}

/// Runs a command and returns its exit code, report and log.
pub(crate) fn ended(command: &mut Command) -> (i32, Value, String) {
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let log = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), report, log)
}

pub(super) fn same(a: &Model, b: &Model) -> bool {
    bits(&a.factors) == bits(&b.factors) && a.users == b.users && a.items == b.items
}

/// The entry of a gate in a report, or null.
pub(super) fn gate<'r>(report: &'r Value, name: &str) -> &'r Value {
    let gates = report["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["name"] == name).unwrap_or(&Value::Null)
}

/// Starts a run and waits for an event in its log.
pub(crate) fn started(
    mut command: Command,
    event: &str,
) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(&format!("\"event\":\"{event}\"")) {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "no {event}");
    }
    (child, log)
}

/// Starts a run and kills it once it has written this many lines of its log.
///
/// Returns whether the kill came before the end of the run.
pub(crate) fn killed_after(mut command: Command, lines: usize) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    assert!(log.lines().take(lines).all(|line| line.is_ok()));
    let _ = child.kill();
    !child.wait().unwrap().success()
}

pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Waits for the end of a run. Returns its exit code, report and the rest of the log.
///
/// The exit code is -1 if a signal killed the run.
pub(crate) fn end(
    child: Child,
    mut log: BufReader<std::process::ChildStderr>,
) -> (i32, Value, String) {
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut log, &mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap_or(-1), report, rest)
}
