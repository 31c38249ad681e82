//! Nightly runs that are stopped, killed or late.

use std::fs;

use lacuna::store::read_model;

use super::{Nights, end, killed_after, same, signal, started};

#[test]
fn a_stopped_training_resumes_with_the_same_bits() {
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
        assert!(report["reason"].as_str().unwrap().contains("run again to resume"), "{report}");
        assert!(!nights.path("runs/latest").exists());
        assert_eq!(nights.names("runs/.tmp"), Vec::<String>::new());
        // A run with other settings rejects the checkpoint and keeps it.
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
    // No machine completes this many iterations.
    let long = ["-i", "1000000000", "--tol", "0"];
    let (child, log) = started(nights.command(&long), "sweep");
    signal(&child, "-TERM");
    assert_eq!(end(child, log).0, 143);
    let checkpoints = nights.names("runs/.ckpt");
    assert_eq!(checkpoints.len(), 1);
    let late = ["--resume", "require", "--time-limit", "1ms"];
    let (code, report, _) = nights.run(&[&long[..], &late].concat());
    assert_eq!(code, 75, "{report}");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains("--time-limit 1ms is reached"), "{reason}");
    assert_eq!(nights.names("runs/.ckpt"), checkpoints);
    let (code, report, log) = nights.run(&[&long[..], &["--memory-limit", "20MB"]].concat());
    assert_eq!(code, 2, "{report}");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains("above --memory-limit 20MB") && !log.contains("\"sweep\""), "{reason}");
    let (code, report, _) = nights.run(&["--time-limit", "1ms", "--force"]);
    assert_eq!(code, 75, "{report}");
}

#[test]
fn two_runs_exclude_each_other() {
    let nights = Nights::of_sample();
    nights.night(40);
    let (first, log) = started(nights.command(&["-i", "1000000000", "--tol", "0"]), "sweep");
    let (code, report, _) = nights.run(&["-i", "3"]);
    assert_eq!(code, 11, "{report}");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("process {}", first.id())), "{reason}");
    let (code, report, _) = nights.run(&["-i", "3", "--lock-wait", "1ms"]);
    assert_eq!(code, 11, "{report}");
    let (code, _, err) = nights.runs(&["prune"]);
    assert!(code == 11, "{err}");
    // A waiting run starts when the first one is gone, even if that one was killed.
    let waiting = nights.command(&["-i", "3", "--lock-wait", "1h"]);
    let (waiting, waiting_log) = started(waiting, "waiting");
    signal(&first, "-KILL");
    assert_eq!(end(first, log).0, -1);
    let (code, report, _) = end(waiting, waiting_log);
    assert_eq!((code, &report["result"]), (0, &"promoted".into()), "{report}");
}

/// Sends SIGTERM to a run at an event in its log.
///
/// The run exits with 143, or with 0 if it was already complete. The published model is complete,
/// and the next run ends as if there had been no interruption.
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
fn a_run_killed_before_publishing_is_run_again() {
    let nights = Nights::of_sample();
    nights.night(50);
    nights.good(&[]);
    let pointer = fs::read(nights.path("runs/latest.json")).unwrap();
    let first = fs::read_link(nights.path("runs/latest")).unwrap();
    nights.night(60);
    nights.good(&[]);
    let (second, undisturbed) = nights.served();
    // Restore the state between the two steps of publishing: the second run is in place, but the
    // pointers still name the first one.
    fs::write(nights.path("runs/latest.json"), pointer).unwrap();
    fs::remove_file(nights.path("runs/latest")).unwrap();
    std::os::unix::fs::symlink(first, nights.path("runs/latest")).unwrap();
    let report = nights.good(&[]);
    assert_ne!(report["run_id"], *second);
    assert!(same(&nights.served().1, &undisturbed));
    // A run that was rolled back counts: it was published, and somebody did not want it.
    assert_eq!(nights.runs(&["rollback"]).0, 0);
    let (code, report, _) = nights.run(&[]);
    assert_eq!((code, &report["result"]), (0, &"noop".into()), "{report}");
    // The same holds after several rollbacks, until there is no earlier run.
    assert_eq!(nights.runs(&["rollback"]).0, 0);
    let (_, report, _) = nights.run(&[]);
    assert_eq!(report["result"], "noop", "{report}");
    let (code, _, err) = nights.runs(&["rollback"]);
    assert!(code == 2 && err.contains("there is no earlier run"), "{code} {err}");
}

/// Kills runs at lines of their log that are evenly spread over the run. `KILLS` sets the number of
/// kills (default 6).
///
/// scripts/check-all uses 50.
#[test]
fn kill_at_any_moment_loses_nothing() {
    let kills: u64 = std::env::var("KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let nights = Nights::of_sample();
    nights.night(50);
    nights.good(&["-i", "8", "--refit"]);
    nights.night(60);
    nights.copy("runs", "base");
    let settings = ["-i", "8", "--refit", "--checkpoint-every", "0", "--export", "npy"];
    let (code, report, log) = nights.run(&settings);
    assert_eq!(code, 0, "{report} {log}");
    let lines = log.lines().count() as u64;
    let (_, undisturbed) = nights.served();
    let (mut interrupted, mut resumed) = (0, 0);
    for number in 0..kills {
        nights.copy("base", "runs");
        let before = nights.served();
        let line = 1 + lines * number / kills;
        interrupted += u64::from(killed_after(nights.command(&settings), line as usize));
        // The link is swapped first. For a moment, latest.json still names the previous run.
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
    assert!(interrupted > 0, "no run was interrupted by {kills} kills");
    println!(
        "{interrupted} of {kills} runs were interrupted, {resumed} of the next runs resumed from a \
         checkpoint"
    );
}
