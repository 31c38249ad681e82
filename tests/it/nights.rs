//! Runs of many nights: what is served, what is rejected, what is gone on with.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use lacuna::model::Model;
use lacuna::store::read_model;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{PROGRAM, bits, lacuna, movielens, run, sample};

/// A directory of runs, and the ratings of several nights.
pub(crate) struct Nights {
    dir: TempDir,
    /// Lines of the ratings, by time, and the header.
    lines: Vec<(i64, String)>,
    header: String,
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

    fn of_sample() -> Self {
        Self::new(Path::new(&sample()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The ratings until so many percent of them were there, each line changed by `edit`.
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

    /// A run of these ratings: small and quick, JSON on standard output.
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

    fn run(&self, extra: &[&str]) -> (i32, Value, String) {
        ended(&mut self.command(extra))
    }

    /// A run that must be published.
    fn good(&self, extra: &[&str]) -> Value {
        let (code, report, log) = self.run(extra);
        assert_eq!((code, &report["result"]), (0, &"promoted".into()), "{report} {log}");
        report
    }

    pub(crate) fn served(&self) -> (String, Model) {
        let id = fs::read_link(self.path("runs/latest")).unwrap();
        let id = id.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(self.pointed(), id);
        // Reads and compares every checksum.
        (id, read_model(&self.path("runs/latest")).unwrap().0)
    }

    /// The run that latest.json names.
    fn pointed(&self) -> String {
        let pointer = fs::read(self.path("runs/latest.json")).unwrap();
        let pointer: Value = serde_json::from_slice(&pointer).unwrap();
        pointer["run_id"].as_str().unwrap().to_owned()
    }

    fn manifest(&self, path: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(path).join("manifest.json")).unwrap()).unwrap()
    }

    fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(path)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// A copy of the runs, to begin from the same place again.
    fn copy(&self, from: &str, to: &str) {
        let _ = fs::remove_dir_all(self.path(to));
        let copied = Command::new("cp").arg("-a").arg(self.path(from)).arg(self.path(to)).status();
        assert!(copied.unwrap().success());
    }

    fn runs(&self, arguments: &[&str]) -> (i32, String, String) {
        let directory = self.text("runs");
        run(&[&["runs", arguments[0], &directory], &arguments[1..]].concat())
    }
}

/// Exit code, report and log.
pub(crate) fn ended(command: &mut Command) -> (i32, Value, String) {
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let log = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), report, log)
}

fn same(a: &Model, b: &Model) -> bool {
    bits(&a.factors) == bits(&b.factors) && a.users == b.users && a.items == b.items
}

/// The gate of a report.
fn gate<'r>(report: &'r Value, name: &str) -> &'r Value {
    let gates = report["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["name"] == name).unwrap_or(&Value::Null)
}

/// Night one publishes, night two begins at its factors, is turned to it and publishes; night three has
/// other ratings than it should and is rejected, before the training or after it.
fn three_nights(nights: &Nights) {
    nights.night(70);
    let first = nights.good(&["-i", "20"]);
    assert_eq!(first["lineage"]["cold_because"], "there is no earlier run");
    let one = nights.served();
    assert_eq!(first["run_id"], *one.0);

    nights.night(80);
    let second = nights.good(&["-i", "20"]);
    let two = nights.served();
    assert_eq!(second["lineage"]["warm_start_from"], *one.0);
    assert_eq!(second["lineage"]["aligned_to"], *one.0);
    let moved = &second["lineage"]["alignment"];
    assert!(moved["median_cosine_after"].as_f64().unwrap() > 0.9, "{moved}");
    assert!(moved["shared_items"].as_u64().unwrap() > 100, "{moved}");
    assert_eq!(gate(&second, "previous-model")["passed"], true);
    assert!(gate(&second, "previous-model")["observed"].is_f64());

    // Half of the ratings on another scale.
    nights.ratings(90, |number, line| match number % 2 {
        0 => line.to_owned(),
        _ => {
            let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
            cells[2] = format!("{}", cells[2].parse::<f64>().unwrap() * 10.0);
            cells.join(",")
        }
    });
    let (code, third, _) = nights.run(&["-i", "20"]);
    assert_eq!((code, &third["result"]), (4, &"rejected".into()), "{third}");
    let reason = third["reason"].as_str().unwrap();
    assert!(reason.contains("histogram") && reason.contains("mean-shift"), "{reason}");
    assert_eq!(nights.served().0, two.0);
    let rejected = format!("runs/rejected/{}", third["run_id"].as_str().unwrap());
    assert!(nights.path(&rejected).join("_REJECTED").is_file());
    let (code, text, err) = nights.runs(&["diff"]);
    assert_eq!(code, 0, "{err}");
    let word = |word: &str| assert!(text.contains(word), "{word}: {text}");
    word(&format!("{} -> {}", two.0, third["run_id"].as_str().unwrap()));
    for name in ["status", "rejected", "histogram", "mean-shift", "ratings.csv", "rows"] {
        word(name);
    }

    // The right distribution, but every rating is somebody else's: only the model tells.
    let values: Vec<String> =
        nights.lines.iter().map(|(_, line)| line.split(',').nth(2).unwrap().to_owned()).collect();
    nights.ratings(85, |number, line| {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        cells[2].clone_from(&values[number * 7919 % (values.len() * 85 / 100)]);
        cells.join(",")
    });
    let (code, fourth, _) = nights.run(&["-i", "20"]);
    assert_eq!((code, &fourth["result"]), (5, &"rejected".into()), "{fourth}");
    assert!(fourth["reason"].as_str().unwrap().contains("bias-only"), "{fourth}");
    let rejected = format!("runs/rejected/{}", fourth["run_id"].as_str().unwrap());
    // It is there, whole, to be looked at, and is not served.
    read_model(&nights.path(&rejected)).unwrap();
    assert_eq!(nights.manifest(&rejected)["status"], "rejected");
    let last = nights.served();
    assert!(last.0 == two.0 && same(&last.1, &two.1));

    // Good ratings and a setting that makes a worse model; then an operator who knows better.
    nights.night(85);
    let worse = ["-i", "20", "--regularization", "50"];
    let (code, fifth, _) = nights.run(&worse);
    assert_eq!(code, 5, "{fifth}");
    assert!(fifth["reason"].as_str().unwrap().contains("previous-model: RMSE "), "{fifth}");
    let fifth = nights.good(&[&worse[..], &["--allow-gate-failure"]].concat());
    assert!(fifth["warnings"][0].as_str().unwrap().contains("previous-model"), "{fifth}");
    let manifest = nights.manifest("runs/latest");
    assert!(manifest["reason"].as_str().unwrap().contains("previous-model"));
    let (code, _, err) = nights.runs(&["rollback"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(nights.served().0, two.0);
}

#[test]
fn a_good_night_is_published_and_a_bad_one_is_not() {
    three_nights(&Nights::of_sample());
    if let Some(ratings) = movielens() {
        three_nights(&Nights::new(&ratings));
    }
}

#[test]
fn a_warm_night_takes_a_third_of_the_iterations() {
    let mut all = vec![PathBuf::from(sample())];
    all.extend(movielens());
    for ratings in all {
        let nights = Nights::new(&ratings);
        nights.night(100);
        let cold = nights.good(&["-i", "60", "-k", "32"]);
        let warm = nights.good(&["-i", "60", "-k", "32", "--force"]);
        let iterations = |report: &Value| report["iterations"].as_f64().unwrap();
        let rmse = |report: &Value| report["rmse"]["holdout"].as_f64().unwrap();
        assert!(iterations(&warm) * 3.0 <= iterations(&cold), "{cold} {warm}");
        assert!((rmse(&warm) / rmse(&cold) - 1.0).abs() < 1e-3, "{cold} {warm}");
        let moved = &warm["lineage"]["alignment"];
        assert!(moved["median_cosine_after"].as_f64().unwrap() > 0.9, "{moved}");
        // Vectors of another start are nowhere near, until they are turned.
        let other = nights.good(&["-i", "60", "-k", "32", "--warm-start", "off", "--seed", "7"]);
        let moved = &other["lineage"]["alignment"];
        let cosine = |key: &str| moved[key].as_f64().unwrap();
        assert!(cosine("median_cosine_before") < 0.5, "{moved}");
        assert!(cosine("median_cosine_after") > cosine("median_cosine_before") + 0.2, "{moved}");
    }
}

#[test]
fn nothing_new_is_nothing_to_do() {
    let nights = Nights::of_sample();
    nights.night(60);
    nights.good(&["-i", "3"]);
    let before = nights.names("runs/runs");
    let (code, report, _) = nights.run(&["-i", "3"]);
    assert_eq!((code, &report["result"]), (0, &"noop".into()));
    let (code, report, _) = nights.run(&["-i", "3", "--noop-exit-code", "99"]);
    assert_eq!((code, &report["result"], &report["exit_code"]), (99, &"noop".into(), &99.into()));
    assert_eq!(nights.names("runs/runs"), before);
    // Another setting of the training or of what is published is something new, another gate is not.
    let (_, report, _) = nights.run(&["-i", "3", "--gate", "rows=off"]);
    assert_eq!(report["result"], "noop");
    for extra in [["-i", "4", "--export", "npy"], ["-i", "3", "--export", "npy:dot"]] {
        nights.good(&extra);
        assert!(nights.path("runs/latest/exports").is_dir());
    }
    let flavors = nights.manifest("runs/latest")["flavors"].clone();
    assert!(flavors["npy-dot"]["files"].as_array().is_some_and(|f| !f.is_empty()), "{flavors}");
    let (code, _, err) = run(&["verify", &nights.text("runs/latest")]);
    assert!(code == 0 && err.is_empty(), "{err}");
    // The settings that were used are a configuration file.
    let settings = nights.text("runs/latest/config.resolved.toml");
    let (code, out, err) = run(&["run", "--config", &settings, "--json"]);
    assert!(code == 0 && out.contains("\"noop\""), "{out} {err}");
}

#[test]
fn every_algorithm_has_its_nights() {
    for (algorithm, extra) in [
        ("als", &["--refit"][..]),
        ("als", &["--solver", "cg"]),
        ("als", &["--nonnegative"]),
        ("ials", &[]),
        ("bayes", &[]),
        ("sgd", &[]),
        ("gd", &["--learning-rate", "0.02"]),
    ] {
        let nights = Nights::of_sample();
        // Gradient descent of few steps need not be better than biases.
        let settings = [&["-a", algorithm, "-i", "6", "--gate", "bias-only=off"], extra].concat();
        nights.night(60);
        nights.good(&settings);
        let one = nights.served();
        nights.night(65);
        let second = nights.good(&settings);
        assert_eq!(second["lineage"]["warm_start_from"], *one.0, "{algorithm}");
        let aligned = !extra.contains(&"--nonnegative");
        assert_eq!(second["lineage"]["aligned_to"].is_string(), aligned, "{algorithm}");
        let previous = gate(&second, "previous-model");
        assert!(previous["observed"].is_f64(), "{algorithm}: {previous}");
        let manifest = nights.manifest("runs/latest");
        assert_eq!(manifest["lineage"]["runs_since_cold"], 1);
        if aligned {
            let moved = &second["lineage"]["alignment"];
            assert!(moved["median_cosine_after"].as_f64().unwrap() > 0.8, "{algorithm} {moved}");
        }
    }
}

#[test]
fn another_kind_of_model_starts_cold_and_says_why() {
    let nights = Nights::of_sample();
    nights.night(60);
    nights.good(&["-i", "3"]);
    let why = |extra: &[&str], words: &str| {
        let (code, report, log) = nights.run(&[extra, &["--allow-gate-failure"]].concat());
        assert_eq!(code, 0, "{report}");
        let because = report["lineage"]["cold_because"].as_str().unwrap_or_default();
        assert!(because.contains(words) && log.contains(words), "{extra:?}: {because}");
        // So that the next one compares with the first again.
        nights.runs(&["rollback", &nights.names("runs/runs")[0]]);
    };
    why(&["-i", "3", "-k", "9"], "the rank is 9 and was 8");
    why(&["-i", "3", "-a", "bayes"], "the algorithm is bayes and was als");
    why(&["-i", "3", "--id-type", "text"], "the user ids are text and were int");
    why(&["-i", "3", "--holdout-salt", "other"], "the holdout was chosen by another rule");
    why(&["-i", "3", "--nonnegative"], "nonnegative");
    why(&["-i", "3", "--no-mean"], "raw ratings");
    why(&["-i", "4", "--warm-start", "off"], "--warm-start off");
    why(&["-i", "5", "--cold-every", "1"], "one run in 1 starts cold");
    // A holdout that is another one every night is never warm.
    for _ in 0..2 {
        nights.good(&["-i", "3", "--holdout", "last", "--force", "--allow-gate-failure"]);
    }
    let manifest = nights.manifest("runs/latest");
    let because = manifest["lineage"]["cold_because"].as_str().unwrap();
    assert!(because.contains("changes every night"), "{because}");
    let (code, _, log) = nights.run(&["--nonnegative", "--align", "procrustes"]);
    assert!(code == 2 && log.contains("--align procrustes"), "{log}");
}

/// Starts a run and waits for an event of its log.
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

pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Waits for the end; exit code (128 + signal), report, the rest of the log.
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

#[test]
fn a_stopped_training_goes_on_where_it_was() {
    for extra in [
        &["-i", "400", "--tol", "0"][..],
        &["-i", "400", "--tol", "0", "--solver", "cg", "--regularization", "auto"],
        &["-i", "400", "--tol", "0", "--refit", "--patience", "500"],
        &["-a", "bayes", "--inference", "gibbs", "--burn-in", "20", "--samples", "100"],
        &["-a", "sgd", "-i", "300"],
    ] {
        let nights = Nights::of_sample();
        nights.night(40);
        let long = [extra, &["--allow-gate-failure"]].concat();
        nights.good(&long);
        let (_, undisturbed) = nights.served();
        fs::rename(nights.path("runs"), nights.path("undisturbed")).unwrap();
        let (child, log) = started(nights.command(&long), "sweep");
        signal(&child, "-TERM");
        let (code, report, log) = end(child, log);
        assert_eq!((code, &report["exit_code"]), (143, &143.into()), "{extra:?} {report} {log}");
        assert!(report["reason"].as_str().unwrap().contains("run again to go on"), "{report}");
        assert!(!nights.path("runs/latest").exists());
        assert_eq!(nights.names("runs/.tmp"), Vec::<String>::new());
        // Of other settings it is refused, and kept.
        let (code, report, _) =
            nights.run(&[&long[..], &["--seed", "9", "--resume", "require"]].concat());
        assert_eq!(code, 2, "{report}");
        let reason = report["reason"].as_str().unwrap();
        assert!(reason.contains("seed was 42 and is 9"), "{reason}");
        let last = nights.good(&[&long[..], &["--resume", "require"]].concat());
        assert!(last["resumed_from_sweep"].as_u64().is_some_and(|n| n > 0), "{last}");
        assert!(same(&nights.served().1, &undisturbed), "{extra:?}");
        assert_eq!(nights.names("runs/.ckpt"), Vec::<String>::new());
        let metrics = |of: &str| nights.manifest(of)["metrics"]["holdout_rmse"].clone();
        let id = nights.names("undisturbed/runs")[0].clone();
        assert_eq!(metrics("runs/latest"), metrics(&format!("undisturbed/runs/{id}")));
    }
}

#[test]
fn the_time_limit_is_a_checkpoint_and_memory_is_known_before() {
    let nights = Nights::of_sample();
    nights.night(40);
    // No machine gets to the end of it.
    let long = ["-i", "1000000000", "--tol", "0"];
    let (code, report, _) = nights.run(&[&long[..], &["--time-limit", "500ms"]].concat());
    assert_eq!(code, 75, "{report}");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains("--time-limit 500ms is reached"), "{reason}");
    let (code, report, log) = nights.run(&[&long[..], &["--memory-limit", "20MB"]].concat());
    assert_eq!(code, 2, "{report}");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains("above --memory-limit 20MB") && !log.contains("\"sweep\""), "{reason}");
    // The checkpoint is there, unless the limit came before the first iteration.
    let again = ["--resume", "require", "--time-limit", "500ms"];
    let (code, report, _) = nights.run(&[&long[..], &again].concat());
    assert!(code == 75 || report["reason"].as_str().unwrap().contains("there is none"), "{report}");
    let (code, report, _) = nights.run(&["--time-limit", "1ms", "--force"]);
    assert_eq!(code, 75, "{report}");
}

#[test]
fn two_runs_do_not_meet() {
    let nights = Nights::of_sample();
    nights.night(40);
    let (first, log) = started(nights.command(&["-i", "100000", "--tol", "0"]), "sweep");
    let (code, report, _) = nights.run(&["-i", "3"]);
    assert_eq!(code, 11, "{report}");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("process {}", first.id())), "{reason}");
    let (code, report, _) = nights.run(&["-i", "3", "--lock-wait", "300ms"]);
    assert_eq!(code, 11, "{report}");
    let (code, _, err) = nights.runs(&["prune"]);
    assert!(code == 11, "{err}");
    // One that waits begins when the first one is gone, even if that was killed.
    let waiting = nights.command(&["-i", "3", "--lock-wait", "60s"]);
    let (waiting, waiting_log) = started(waiting, "waiting");
    signal(&first, "-KILL");
    assert_eq!(end(first, log).0, -1);
    let (code, report, _) = end(waiting, waiting_log);
    assert_eq!((code, &report["result"]), (0, &"promoted".into()), "{report}");
}

/// SIGTERM when an event is seen: the answer is 143, or 0 where the run was complete by then; what is served
/// is complete, and the next run ends as if nothing had been.
#[test]
fn sigterm_in_any_phase_loses_nothing() {
    let nights = Nights::of_sample();
    nights.night(50);
    nights.good(&["-i", "8", "--export", "npy"]);
    nights.night(60);
    nights.copy("runs", "base");
    let settings = ["-i", "8", "--export", "npy", "--checkpoint-every", "0"];
    nights.good(&settings);
    let (_, undisturbed) = nights.served();
    for event in
        ["run_start", "input_scanned", "csr_built", "sweep", "eval", "exported", "published"]
    {
        nights.copy("base", "runs");
        let before = nights.served().0;
        let (child, log) = started(nights.command(&settings), event);
        signal(&child, "-TERM");
        let (code, report, log) = end(child, log);
        let served = nights.served().0;
        match code {
            143 => assert_eq!(served, before, "{event}"),
            0 => assert_ne!(served, before, "{event}"),
            _ => panic!("{event}: {code} {report} {log}"),
        }
        assert_eq!(nights.names("runs/.tmp"), Vec::<String>::new(), "{event}");
        let (code, report, _) = nights.run(&settings);
        assert_eq!(code, 0, "{event} {report}");
        assert!(same(&nights.served().1, &undisturbed), "{event}");
    }
}

#[test]
fn a_run_that_was_killed_before_it_was_served_is_no_answer() {
    let nights = Nights::of_sample();
    nights.night(50);
    nights.good(&[]);
    let pointer = fs::read(nights.path("runs/latest.json")).unwrap();
    let first = fs::read_link(nights.path("runs/latest")).unwrap();
    nights.night(60);
    nights.good(&[]);
    let (second, undisturbed) = nights.served();
    // As it is between the two steps of publishing.
    fs::write(nights.path("runs/latest.json"), pointer).unwrap();
    fs::remove_file(nights.path("runs/latest")).unwrap();
    std::os::unix::fs::symlink(first, nights.path("runs/latest")).unwrap();
    let report = nights.good(&[]);
    assert_ne!(report["run_id"], *second);
    assert!(same(&nights.served().1, &undisturbed));
    // One that was rolled back is: it was served, and somebody did not want it.
    assert_eq!(nights.runs(&["rollback"]).0, 0);
    let (code, report, _) = nights.run(&[]);
    assert_eq!((code, &report["result"]), (0, &"noop".into()), "{report}");
    // Also if more than one was, and until there is no earlier one.
    assert_eq!(nights.runs(&["rollback"]).0, 0);
    let (_, report, _) = nights.run(&[]);
    assert_eq!(report["result"], "noop", "{report}");
    let (code, _, err) = nights.runs(&["rollback"]);
    assert!(code == 2 && err.contains("there is no earlier run"), "{code} {err}");
}

/// Killed at any moment. `KILLS` says how often; scripts/check-all asks for 50.
#[test]
fn kill_at_any_moment_loses_nothing() {
    let kills: u64 = std::env::var("KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let nights = Nights::of_sample();
    nights.night(50);
    nights.good(&["-i", "8", "--refit"]);
    nights.night(60);
    nights.copy("runs", "base");
    let settings = ["-i", "8", "--refit", "--checkpoint-every", "0", "--export", "npy"];
    let since = Instant::now();
    nights.good(&settings);
    let mut whole = since.elapsed();
    let (_, undisturbed) = nights.served();
    let (mut interrupted, mut resumed) = (0, 0);
    for number in 0..kills {
        nights.copy("base", "runs");
        let before = nights.served();
        // Evenly spread over the run, and a little beyond.
        let mut child =
            nights.command(&settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole.mul_f64((number as f64 + 0.5) / kills as f64 * 1.05));
        let _ = child.kill();
        let status = child.wait().unwrap();
        interrupted += u64::from(!status.success());
        if status.success() {
            // The machine has become faster, or less busy.
            whole = whole.mul_f64(0.8);
        }
        // The link is swapped first: for a moment latest.json still names the run before.
        for served in [nights.path("runs/latest"), nights.path("runs/runs").join(nights.pointed())]
        {
            let (served, _) = read_model(&served).unwrap();
            let complete = same(&served, &before.1) || same(&served, &undisturbed);
            assert!(complete, "kill {number}");
        }
        let (code, report, log) = nights.run(&settings);
        assert_eq!(code, 0, "kill {number}: {report} {log}");
        resumed += u64::from(report["resumed_from_sweep"].is_u64());
        assert!(same(&nights.served().1, &undisturbed), "kill {number}");
        assert!(nights.names("runs/.tmp").is_empty() && nights.names("runs/.ckpt").is_empty());
    }
    assert!(interrupted > 0, "{interrupted} of {kills} were interrupted");
    println!(
        "{interrupted} of {kills} runs were interrupted, {resumed} of the next went on from a checkpoint"
    );
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_lost() {
    let nights = Nights::of_sample();
    nights.night(50);
    nights.good(&["-i", "3"]);
    let before = nights.served().0;
    let fails = |code: i32, extra: &[&str], words: &str| {
        let (found, report, log) = nights.run(extra);
        assert_eq!(found, code, "{extra:?} {report} {log}");
        let reason = report["reason"].as_str().unwrap_or(&log);
        assert!(reason.contains(words), "{extra:?}: {reason}");
        assert_eq!(nights.served().0, before);
        assert!(nights.names("runs/.tmp").is_empty());
    };
    // A vanished input, an empty one, half a file.
    fs::rename(nights.path("ratings.csv"), nights.path("away.csv")).unwrap();
    fails(3, &[], "ratings.csv");
    fs::write(nights.path("ratings.csv"), "userId,movieId,rating,timestamp\n").unwrap();
    fails(3, &[], "no ratings in this file");
    nights.night(20);
    fails(4, &[], "rows: ");
    nights.ratings(50, |number, line| match number {
        100..400 => line.replace(',', ";"),
        _ => line.to_owned(),
    });
    fails(3, &[], "ratings.csv:");
    fails(4, &["--bad-rows", "quarantine"], "rejected: 300 of");
    // Settings that make no sense, and a directory that is none.
    fails(2, &["--gate", "rows=fatal"], "rows=fatal");
    fails(2, &["--min-rows", "2"], "--min-rows is above --max-rows");
    let other = nights.text("x.txt");
    fails(2, &["--metrics-file", &other], ".prom");
    assert!(!nights.path("x.txt").exists());
    fails(2, &["--checkpoint-every", "-1"], "whole number");
    fails(2, &["-"], "run reads files");
    nights.night(60);
    fails(4, &["--max-age", "1h"], "freshness: the latest rating is ");
    nights.ratings(55, |number, line| match number % 5 {
        0 => line.replacen(',', ",9", 1),
        _ => line.to_owned(),
    });
    fails(4, &["--gate", "new-items=error"], "items are new");
    nights.night(60);
    fails(5, &["--gate", "bias-only=error", "--min-gain", "0.9", "-i", "3"], "bias-only: ");
    // What is served is damaged: the night goes on without it, and says so.
    let file = nights.path("runs/latest/item_factors.parquet");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (code, _, err) = run(&["verify", &nights.text("runs/latest")]);
    assert!(code == 3 && err.contains("checksum"), "{err}");
    let (code, report, _) = nights.run(&["-i", "3"]);
    assert_eq!(code, 3, "{report}");
    assert!(report["reason"].as_str().unwrap().contains("nothing to compare with"), "{report}");
    let report = nights.good(&["-i", "3", "--allow-gate-failure"]);
    assert_eq!(report["lineage"]["cold_because"], "no earlier run can be read");
    assert_ne!(nights.served().0, before);
    // With another one to compare with, that one stands in, and gates are what they were.
    let served = nights.served().0;
    nights.night(62);
    nights.good(&["-i", "3"]);
    fs::write(nights.path("runs/latest/manifest.json"), "{}").unwrap();
    nights.night(20);
    let (code, report, _) = nights.run(&["-i", "3"]);
    assert_eq!(code, 4, "{report}");
    assert!(gate(&report, "rows")["message"].as_str().unwrap().contains(&served), "{report}");
    nights.night(60);
    let report = nights.good(&["-i", "3", "--force"]);
    assert!(report["warnings"][0].as_str().unwrap().contains("stands in"), "{report}");
    assert_eq!(report["lineage"]["warm_start_from"], *served);
    // Published runs stay as they are.
    let latest = nights.text("runs/latest");
    let (code, _, err) =
        run(&["fold-in", &latest, &nights.text("ratings.csv"), "-o", &latest, "--force"]);
    assert!(code == 2 && err.contains("symbolic link"), "{err}");
    let path = format!("{}/runs/{}", nights.text("runs"), nights.served().0);
    let (code, _, err) = run(&["export", &path, "-f", "npy"]);
    assert!(code == 2 && err.contains("stays as it is"), "{err}");
    let model = nights.text("model");
    assert_eq!(
        run(&["train", &nights.text("ratings.csv"), "-o", &model, "-i", "2", "-k", "2"]).0,
        0
    );
    let (code, _, err) = run(&["run", &nights.text("ratings.csv"), "-o", &model]);
    assert!(code == 2 && err.contains("is a model, not a directory of runs"), "{err}");
}

/// A small file system of its own, where the system lets us have one.
fn small_disk(at: &Path, kib: u32) -> bool {
    fs::create_dir_all(at).unwrap();
    let size = format!("size={kib}k");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", &size, "lacuna-test"]).arg(at).output();
    let mounted = mounted.is_ok_and(|output| output.status.success());
    if !mounted {
        eprintln!("skipped: no tmpfs can be mounted here (it needs root)");
    }
    mounted
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_and_a_read_only_one() {
    let nights = Nights::of_sample();
    nights.night(50);
    let runs = nights.path("runs");
    if !small_disk(&runs, 900) {
        return;
    }
    let _mounted = Mounted(runs.clone());
    nights.good(&["-i", "3"]);
    let before = nights.served();
    // There is room for one run of this size, and not for another with exports.
    fs::write(runs.join("filler"), vec![0; 300 << 10]).unwrap();
    nights.night(55);
    let large = ["-i", "3", "-k", "64", "--checkpoint-every", "0", "--allow-gate-failure"];
    let (code, report, log) = nights.run(&large);
    assert_eq!(code, 7, "{report}");
    assert!(report["reason"].as_str().unwrap().contains("No space left"), "{report}");
    assert!(log.contains("no checkpoint: "), "{log}");
    assert!(nights.served().0 == before.0 && same(&nights.served().1, &before.1));
    assert!(nights.names("runs/.tmp").is_empty());
    // Read-only from here on.
    let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(&runs).status();
    assert!(remount.unwrap().success());
    let (code, report, _) = nights.run(&["-i", "3"]);
    assert_eq!(code, 7, "{report}");
    assert!(report["reason"].as_str().unwrap().contains("Read-only"), "{report}");
    assert_eq!(nights.served().0, before.0);
    // Looking needs no place to write.
    let (code, report, _) = nights.run(&["-i", "3", "--dry-run"]);
    assert_eq!((code, &report["result"]), (0, &"valid".into()), "{report}");
}

#[test]
fn a_clock_that_was_set_back_does_no_harm() {
    let nights = Nights::of_sample();
    let at = |seconds: i64, percent: usize| {
        nights.night(percent);
        let mut command = nights.command(&["-i", "3", "--keep-last", "1", "--keep-within", "1day"]);
        ended(command.env("SOURCE_DATE_EPOCH", seconds.to_string()))
    };
    let noon = 1_800_000_000;
    assert_eq!(at(noon, 50).0, 0);
    let first = nights.served().0;
    let (code, report, _) = at(noon - 86_400, 52);
    assert_eq!(code, 0, "{report}");
    assert!(report["warnings"][0].as_str().unwrap().contains("set back"), "{report}");
    let second = nights.served().0;
    assert!(second < first);
    // The one that seems newer is not what is served, and is not removed as long as it is needed.
    assert_eq!(report["lineage"]["warm_start_from"], *first);
    assert_eq!(nights.names("runs/runs"), [second.clone(), first.clone()]);
    assert_eq!(at(noon + 3 * 86_400, 54).0, 0);
    let third = nights.served().0;
    assert_eq!(nights.names("runs/runs"), [second, third]);
}

/// The rating files of one night are those of the next: what a run needs later it has kept.
#[test]
fn a_run_is_used_when_its_files_are_gone() {
    let nights = Nights::of_sample();
    nights.night(50);
    nights.good(&["-i", "3", "--patience", "9"]);
    let latest = nights.text("runs/latest");
    let user = nights.lines[0].1.split(',').next().unwrap().to_owned();
    let ask = || {
        let recommended = run(&["recommend", &latest, "--user", &user, "-n", "5", "--json"]);
        let evaluated = run(&["evaluate", &latest, "--json", "--quiet"]);
        assert!(recommended.0 == 0 && evaluated.0 == 0, "{recommended:?} {evaluated:?}");
        [recommended.1, evaluated.1].map(|line| {
            let mut report: Value = serde_json::from_str(&line).unwrap();
            report["durations_s"] = Value::Null;
            report
        })
    };
    let before = ask();
    let metrics = nights.manifest("runs/latest")["metrics"].clone();
    // The vectors were turned after they were measured: the last digits move.
    let rmse =
        [&before[1]["rating"]["rmse"], &metrics["holdout_rmse"]].map(|v| v.as_f64().unwrap());
    assert!((rmse[0] / rmse[1] - 1.0).abs() < 1e-6, "{rmse:?}");
    fs::remove_file(nights.path("ratings.csv")).unwrap();
    assert_eq!(ask(), before);
    // The manifest has the errors by deciles that evaluate has.
    for (own, evaluated) in
        [("by_activity_decile", "by_user_activity"), ("by_popularity_decile", "by_item_popularity")]
    {
        let rows = |of: &Value| -> Vec<(Value, Value)> {
            let segments = of.as_array().unwrap().iter();
            segments.map(|s| (s["decile"].clone(), s["n_ratings"].clone())).collect()
        };
        let (own, evaluated) = (rows(&metrics[own]), rows(&before[1][evaluated]));
        assert!(own.len() >= 10 && own == evaluated, "{own:?} {evaluated:?}");
    }
    nights.night(51);
    let (new, out) = (nights.text("ratings.csv"), nights.text("updated"));
    let (code, _, err) = run(&["update", &latest, &new, "-o", &out, "--quiet"]);
    assert_eq!(code, 0, "{err}");
    assert!(nights.manifest("updated")["run_id"].is_null());
    // Unless it was told not to.
    nights.good(&["-i", "3", "--drop-ratings"]);
    fs::remove_file(nights.path("ratings.csv")).unwrap();
    let (code, _, err) = run(&["recommend", &latest, "--user", &user]);
    assert!(code == 3 && err.contains("ratings.csv"), "{err}");
}

/// What a killed run, or somebody, left half is mended by the next run, and what is not lacuna's stays.
#[test]
fn what_is_served_is_mended_and_what_is_others_stays() {
    let nights = Nights::of_sample();
    nights.night(40);
    nights.good(&["-i", "2"]);
    nights.night(42);
    nights.good(&["-i", "2"]);
    let (served, first) = (nights.served().0, nights.names("runs/runs")[0].clone());
    let pointer = fs::read_to_string(nights.path("runs/latest.json")).unwrap();
    fs::write(nights.path("runs/latest.json"), pointer.replace(&served, &first)).unwrap();
    let noop = |words: &str| {
        let (code, report, _) = nights.run(&["-i", "2"]);
        assert_eq!((code, &report["result"]), (0, &"noop".into()), "{report}");
        assert!(report["warnings"].to_string().contains(words), "{report}");
        assert_eq!(nights.served().0, served);
    };
    noop("now they do");
    fs::remove_file(nights.path("runs/latest.json")).unwrap();
    noop("now they do");
    fs::remove_file(nights.path("runs/latest")).unwrap();
    noop("now they do");
    noop("");
    // A served run that is not whole is no reason to do nothing.
    fs::remove_file(nights.path("runs/latest/metrics.json")).unwrap();
    nights.good(&["-i", "2"]);
    assert_ne!(nights.served().0, served);
    // A manifest that was edited is seen.
    let manifest = nights.path("runs/latest/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("\"seed\": 42", "\"seed\": 43", 1)).unwrap();
    let (code, _, err) = run(&["verify", &nights.text("runs/latest")]);
    assert!(code == 3 && err.contains("manifest.json"), "{err}");
    let (_, out, _) = nights.runs(&["list"]);
    assert_eq!(out.lines().count(), 5, "{out}");
    fs::write(&manifest, "broken").unwrap();
    let (code, out, _) = nights.runs(&["list"]);
    assert!(code == 0 && out.contains("damaged"), "{out}");
    assert_eq!(nights.runs(&["rollback", &first]).0, 0);
    assert_eq!(nights.served().0, first);
    // Somebody's directory.
    fs::create_dir_all(nights.path("project/.tmp/mine")).unwrap();
    let (code, _, err) = run(&["run", &nights.text("ratings.csv"), "-o", &nights.text("project")]);
    assert!(code == 2 && err.contains("is neither empty nor a directory of runs"), "{err}");
    assert!(nights.path("project/.tmp/mine").is_dir());
    fs::create_dir_all(nights.path("runs/.tmp/mine")).unwrap();
    fs::create_dir_all(nights.path("runs/.ckpt/mine")).unwrap();
    nights.night(44);
    nights.good(&["-i", "2"]);
    assert!(nights.path("runs/.tmp/mine").is_dir() && nights.path("runs/.ckpt/mine").is_dir());
}

/// A run is compared with the factors that were measured under their own mean, not under that of all ratings.
#[test]
fn a_refitted_model_is_compared_as_it_was_measured() {
    let nights = Nights::of_sample();
    // Late ratings are higher, and are held out by their time.
    let boundary = nights.lines[nights.lines.len() / 2].0;
    nights.ratings(100, |number, line| {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        if number * 2 >= nights.lines.len() {
            cells[2] = format!("{}", cells[2].parse::<f64>().unwrap() + 1.0);
        }
        cells.join(",")
    });
    let time = format!("@{boundary}");
    let settings =
        ["-i", "5", "--refit", "--holdout", "time", "--split-time", &time, "--warm-start", "off"];
    nights.good(&[&settings[..], &["--allow-gate-failure"]].concat());
    let (_, report, _) = nights.run(&[&settings[..], &["--force"]].concat());
    let observed = |name: &str| gate(&report, name)["observed"].as_f64().unwrap();
    assert!(observed("previous-model").abs() < 1e-6, "{report}");
    assert!(observed("mean-shift").abs() < 1e-6, "{report}");
    // Its settings, dates among them, can be given again.
    let file = nights.text("runs/latest/config.resolved.toml");
    let (code, _, err) = run(&["run", "--config", &file, "--json", "-q"]);
    assert!(code != 2, "{err}");
}

#[test]
fn a_cold_start_that_is_rejected_is_not_tried_every_night() {
    let nights = Nights::of_sample();
    let settings = ["-i", "3", "-k", "16", "--tol", "0", "--cold-every", "3", "--force"];
    nights.night(60);
    let mut starts = Vec::new();
    for _ in 0..6 {
        let (code, report, _) = nights.run(&settings);
        starts.push((code, report["lineage"]["warm_start_from"].is_string()));
    }
    // Cold, two warm ones, a cold one that is worse after three iterations, and warm ones again.
    let wanted = [(0, false), (0, true), (0, true), (5, false), (0, true), (0, true)];
    assert_eq!(starts, wanted);
}

#[test]
fn old_runs_go_and_earlier_ones_can_be_served_again() {
    let nights = Nights::of_sample();
    for (night, percent) in [40, 42, 44, 46].into_iter().enumerate() {
        nights.night(percent);
        let time = (1_700_000_000 + 86_400 * night as i64).to_string();
        let mut command = nights.command(&["-i", "2", "--allow-gate-failure"]);
        assert_eq!(ended(command.env("SOURCE_DATE_EPOCH", time)).0, 0);
    }
    let all = nights.names("runs/runs");
    assert_eq!(all.len(), 4);
    let (code, out, _) = nights.runs(&["list"]);
    assert!(
        code == 0 && out.lines().count() == 6 && out.contains(&format!("* {}", all[3])),
        "{out}"
    );
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    let (code, out, _) = nights.runs(&["show", "latest"]);
    assert!(code == 0 && out.contains(&all[3]) && out.contains("warm start"), "{out}");
    let (code, out, _) = nights.runs(&["diff", &all[0], &all[1]]);
    assert!(code == 0 && out.contains("n_ratings") && !out.contains("nothing changed"), "{out}");
    let (code, _, err) = nights.runs(&["show", "2023"]);
    assert!(code == 2 && err.contains("4 runs begin with 2023"), "{err}");
    let (code, _, err) = nights.runs(&["show", "x"]);
    assert!(code == 2 && err.contains("no run x"), "{err}");
    // Back one night, and to the first one.
    assert_eq!(nights.runs(&["rollback"]).0, 0);
    assert_eq!(nights.served().0, all[2]);
    assert_eq!(nights.runs(&["rollback", &all[0]]).0, 0);
    assert_eq!(nights.served().0, all[0]);
    let (code, _, err) = nights.runs(&["rollback"]);
    assert!(code == 2 && err.contains("there is no earlier run"), "{err}");
    // A damaged one is not served.
    fs::write(nights.path("runs/runs").join(&all[1]).join("metrics.json"), "{}").unwrap();
    let (code, _, err) = nights.runs(&["rollback", &all[1]]);
    assert!(code == 3 && err.contains("metrics.json"), "{err}");
    assert_eq!(nights.served().0, all[0]);
    // The one that is served stays, however old.
    let prune = ["prune", "--keep-last", "1", "--keep-within", "0s"];
    let (code, out, _) = nights.runs(&[&prune[..], &["--dry-run"]].concat());
    assert!(
        code == 0 && out.contains("would remove") && nights.names("runs/runs").len() == 4,
        "{out}"
    );
    assert_eq!(nights.runs(&prune).0, 0);
    assert_eq!(nights.names("runs/runs"), [all[0].clone(), all[3].clone()]);
    let (code, _, err) = run(&["runs", "list", &nights.text("nowhere")]);
    assert!(code == 3 && err.contains("not a directory of runs"), "{err}");
}

#[test]
fn the_log_has_stable_names_and_the_metrics_can_be_read() {
    let nights = Nights::of_sample();
    nights.night(50);
    let prom = nights.text("lacuna.prom");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let settings =
        ["-i", "4", "--export", "npy", "--metrics-file", &prom, "--checkpoint-every", "0"];
    let (code, report, log) = ended(nights.command(&settings).env("TRACEPARENT", trace));
    assert_eq!(code, 0, "{log}");
    let events = |log: &str| -> BTreeSet<String> {
        let event = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            for key in ["ts", "level", "event", "run_id", "phase", "msg"] {
                assert!(line[key].is_string(), "{key} in {line}");
            }
            assert_eq!(line["run_id"], report["run_id"]);
            assert_eq!(line["traceparent"], trace);
            line["event"].as_str().unwrap().to_owned()
        };
        log.lines().map(event).collect()
    };
    let names = [
        "run_start",
        "input_scanned",
        "csr_built",
        "sweep",
        "checkpoint_saved",
        "eval",
        "gate",
        "exported",
        "published",
        "run_end",
    ];
    let found = events(&log);
    assert!(names.iter().all(|name| found.contains(*name)), "{found:?}");
    let kept = fs::read_to_string(nights.path("runs/latest/log.jsonl")).unwrap();
    assert!(events(&kept).contains("exported"));
    let manifest = nights.manifest("runs/latest");
    assert_eq!(manifest["trigger"]["traceparent"], trace);
    let metric = |name: &str| -> f64 {
        let text = fs::read_to_string(nights.path("lacuna.prom")).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    let success = metric("lacuna_last_success_timestamp_seconds");
    assert!(success > 1.7e9 && metric("lacuna_last_run_exit_code") == 0.0);
    assert_eq!(metric("lacuna_rmse{split=\"holdout\"}"), report["rmse"]["holdout"]);
    assert_eq!(metric("lacuna_gate_passed{gate=\"finite\"}"), 1.0);
    // A failure is told, with the time of the success before it.
    nights.night(10);
    assert_eq!(nights.run(&settings).0, 4);
    assert_eq!(metric("lacuna_last_run_exit_code"), 4.0);
    assert_eq!(metric("lacuna_last_success_timestamp_seconds"), success);
    assert_eq!(metric("lacuna_gate_passed{gate=\"rows\"}"), 0.0);
    // For people, where they ask for it.
    let (code, _, text) =
        nights.run(&["--log-format", "text", "--force", "--allow-gate-failure", "-q"]);
    assert!(code == 0 && text.lines().all(|line| line.starts_with("warning: ")), "{text}");
    let output = nights.command(&["--log-format", "text", "-i", "4"]).output().unwrap();
    assert!(output.stdout.len() < 4096 && output.stdout.ends_with(b"}\n"));
}

#[test]
fn a_look_before_writes_nothing() {
    let nights = Nights::of_sample();
    nights.night(50);
    let validate = |extra: &[&str]| {
        let (ratings, runs) = (nights.text("ratings.csv"), nights.text("runs"));
        run(&[&["validate", &ratings, "-o", &runs, "--json"], extra].concat())
    };
    let (code, out, log) = validate(&[]);
    assert_eq!(code, 0, "{log}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["result"], "valid");
    assert!(report["estimate"]["train_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    assert!(!nights.path("runs").exists());
    assert_eq!(validate(&["--memory-limit", "1MB"]).0, 2);
    nights.good(&["-i", "3"]);
    let before = (nights.names("runs"), nights.names("runs/runs"));
    nights.night(20);
    assert_eq!(validate(&[]).0, 4);
    let (code, report, log) = nights.run(&["--dry-run", "--gate", "rows=warn"]);
    assert_eq!(code, 0, "{log}");
    assert!(report["lineage"]["warm_start_from"].is_string(), "{report}");
    assert_eq!((nights.names("runs"), nights.names("runs/runs")), before);
    assert!(nights.names("runs/rejected").is_empty() && nights.names("runs/.ckpt").is_empty());
}

#[test]
fn one_file_serves_all_commands_and_says_where_values_come_from() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("nightly.toml");
    let (code, example, _) = run(&["config", "example"]);
    assert_eq!(code, 0);
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/nightly/nightly.toml");
    assert_eq!(fs::read_to_string(kept).unwrap(), example, "made by lacuna config example");
    // With every line that has a value, it is a configuration file that changes nothing.
    let key = |line: &str| line.split(' ').next().unwrap().to_owned();
    let is_key = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let mut all = String::new();
    for line in example.lines() {
        let value = line.strip_prefix("# ").filter(|rest| rest.contains(" = "));
        all += value.filter(|rest| is_key(&key(rest))).unwrap_or(line);
        all.push('\n');
    }
    fs::write(&path, &all).unwrap();
    let file = path.to_str().unwrap();
    let (code, shown, err) = run(&["config", "show", "--config", file]);
    assert_eq!(code, 0, "{err}");
    fs::write(&path, "input = [\"ratings.csv\"]\noutput = \"runs\"\n").unwrap();
    assert_eq!(run(&["config", "show", "--config", file]).1, shown);
    // Flags, the environment, the file, defaults.
    let text =
        "input = [\"a.csv\"]\noutput = \"runs\"\nfactors = 16\nseed = 3\nkeep_within = \"7days\"\n";
    fs::write(&path, text).unwrap();
    let output = Command::new(PROGRAM)
        .args(["config", "show", "--config", file, "--origin", "--seed", "5"])
        .env("LACUNA_FACTORS", "32")
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let line = |key: &str| {
        let line =
            shown.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("factors"), "factors = 32 # LACUNA_FACTORS");
    assert_eq!(line("seed"), "seed = 5 # command line");
    assert_eq!(line("keep_within"), format!("keep_within = \"7days\" # {file}"));
    assert_eq!(line("test_ratio"), "test_ratio = 0.1 # default");
    // What only run knows is no mistake in a file that train reads, and a mistake is one everywhere.
    fs::write(
        &path,
        format!(
            "keep_last = 3\ninput = [\"{}\"]\noutput = \"{}\"\n",
            sample(),
            dir.path().join("m").display()
        ),
    )
    .unwrap();
    let (code, _, err) = run(&["train", "--config", file, "-i", "1", "-k", "2"]);
    assert_eq!(code, 0, "{err}");
    fs::write(&path, "keep_lats = 3\n").unwrap();
    for command in [&["run"][..], &["train"], &["config", "show"], &["validate"]] {
        let (code, _, err) = run(&[command, &["--config", file]].concat());
        assert!(
            code == 2 && err.contains("unknown key \"keep_lats\"; did you mean \"keep_last\"?"),
            "{err}"
        );
    }
}
