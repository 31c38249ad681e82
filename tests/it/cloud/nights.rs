//! Nightly runs in an object store.

use std::fs;

use serde_json::Value;

use super::Server;
use crate::nights::{end, ended, killed_after, started};

#[test]
fn nights_in_an_object_store() {
    let Some(server) = Server::start() else { return };
    server.night(50);
    let first = server.good("models", &["--export", "npy"]);
    let id = first["run_id"].as_str().unwrap();
    assert_eq!(first["path"], format!("s3://bucket/models/runs/{id}"));
    assert_eq!(server.served("models"), id);
    assert!(server.keys("models/lock.json").is_empty());
    // A run from local files to local files gives the same errors.
    let local = server.nights.command(&["--export", "npy"]).output().unwrap();
    let local: Value = serde_json::from_slice(&local.stdout).unwrap();
    assert_eq!(local["rmse"], first["rmse"]);
    let manifest = format!("models/runs/{id}/manifest.json");
    let manifest: Value = serde_json::from_slice(&server.get(&manifest).unwrap()).unwrap();
    let input = &manifest["inputs"][0];
    assert_eq!(input["uri"], "s3://bucket/in/ratings.csv");
    assert!(input["etag"].is_string() && input["sha256"].as_str().unwrap().len() == 64);
    // A run without new input does nothing.
    let (code, report, _) = ended(&mut server.command("models", &["--export", "npy"]));
    assert_eq!((code, &report["result"]), (0, &"noop".into()));
    // Another machine has no local copies yet.
    fs::remove_dir_all(server.nights.path("cache")).unwrap();
    server.night(60);
    let second = server.good("models", &["--export", "npy"]);
    assert_eq!(second["lineage"]["warm_start_from"], id);
    assert!(second["lineage"]["alignment"]["median_cosine_after"].as_f64().unwrap() > 0.9);
    let served = server.served("models");
    assert_eq!(second["run_id"], *served);
    // Corrupt ratings are rejected, and the published run stays.
    server.corrupt(70, |number, line| match number % 2 {
        0 => line.replacen(".0,", "0.0,", 1),
        _ => line.to_owned(),
    });
    let (code, third, log) = ended(&mut server.command("models", &["--max-drift", "0.1"]));
    assert_eq!(code, 4, "{third} {log}");
    let rejected = third["path"].as_str().unwrap().strip_prefix("s3://bucket/").unwrap().to_owned();
    assert!(rejected.starts_with("models/rejected/"), "{rejected}");
    assert!(server.get(&format!("{rejected}/_REJECTED")).is_some());
    assert!(server.get(&format!("{rejected}/_SUCCESS")).is_none());
    assert_eq!(server.served("models"), served);
    let (_, differences, _) = server.say(&["runs", "diff", "s3://bucket/models"]);
    assert!(differences.contains("rejected"), "{differences}");
    let (_, list, _) = server.say(&["runs", "list", "s3://bucket/models"]);
    assert!(list.contains(&format!("* {served}")), "{list}");
    let (_, shown, _) = server.say(&["runs", "show", "s3://bucket/models"]);
    assert!(shown.contains(&format!("s3://bucket/models/runs/{served}")), "{shown}");
    // Roll back to the first run. The next run with the same ratings does not replace it.
    let (code, _, err) = server.say(&["runs", "rollback", "s3://bucket/models"]);
    assert_eq!((code, server.served("models").as_str()), (0, id), "{err}");
    server.night(60);
    let (code, report, _) = ended(&mut server.command("models", &["--export", "npy"]));
    assert_eq!((code, &report["result"]), (0, &"noop".into()), "{report}");
    assert!(report["reason"].as_str().unwrap().contains("rolled back"), "{report}");
    // Pruning keeps the published run and removes the other runs completely. In the year 2100, all
    // runs are old.
    let keep = ["--keep-last", "0", "--keep-within", "0s"];
    let mut prune = server.lacuna(&[&["runs", "prune", "s3://bucket/models"], &keep[..]].concat());
    let pruned = prune.env("SOURCE_DATE_EPOCH", "4102444800").output().unwrap();
    assert!(pruned.status.success(), "{}", String::from_utf8_lossy(&pruned.stderr));
    assert_eq!(server.served("models"), id);
    assert!(server.keys(&format!("models/runs/{served}")).is_empty());
    assert!(server.keys(&rejected).is_empty());
}

#[test]
fn another_run_at_the_same_time() {
    let Some(server) = Server::start() else { return };
    server.night(50);
    server.good("models", &[]);
    let served = server.served("models");
    server.night(60);
    // Another run holds the lock on another machine.
    let other = serde_json::json!({
        "run_id": "other", "pid": 1, "host": "elsewhere", "started_at": "now"
    });
    server.put("models/lock.json", other.to_string().as_bytes());
    let (code, report, log) = ended(&mut server.command("models", &[]));
    assert_eq!(code, 11, "{report} {log}");
    let reason = report["reason"].as_str().unwrap();
    assert!(
        reason
            .contains("s3://bucket/models/lock.json is held by run other (process 1 on elsewhere"),
        "{reason}"
    );
    assert!(server.get("models/lock.json").is_some());
    assert_eq!(server.ask("DELETE", "models/lock.json", b"").0, 204);
    // Another run publishes in the meantime without taking the lock.
    let long = ["-i", "300", "--tol", "0", "--allow-gate-failure"];
    let (child, log) = started(server.command("models", &long), "sweep");
    let mut pointer: Value =
        serde_json::from_slice(&server.get("models/latest.json").unwrap()).unwrap();
    pointer["promoted_at"] = "2000-01-01T00:00:00Z".into();
    server.put("models/latest.json", pointer.to_string().as_bytes());
    let (code, report, log) = end(child, log);
    assert_eq!(code, 11, "{report} {log}");
    assert!(report["reason"].as_str().unwrap().contains("was changed by another run"), "{report}");
    assert_eq!(server.served("models"), served);
    // Another run takes the lock in the meantime.
    let (child, log) = started(server.command("models", &long), "sweep");
    server.put("models/lock.json", other.to_string().as_bytes());
    let (code, report, log) = end(child, log);
    assert_eq!(code, 11, "{report} {log}");
    assert_eq!(server.served("models"), served);
    assert_eq!(server.get("models/lock.json").unwrap(), other.to_string().as_bytes());
}

/// Kills runs at lines of their log, also while objects are written.
///
/// `KILLS` sets the number of kills (default 4).
#[test]
fn kill_at_any_moment_leaves_a_complete_run_served() {
    let Some(server) = Server::start() else { return };
    let kills: u32 = std::env::var("KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let settings = ["-i", "8", "--checkpoint-every", "0", "--export", "npy"];
    let mut interrupted = 0;
    let mut undisturbed = None;
    let mut lines = 0;
    for number in 0..=kills {
        let models = format!("models-{number}");
        server.night(50);
        server.good(&models, &settings);
        let before = (server.served(&models), server.predictions(&models));
        server.night(60);
        let Some(undisturbed) = &undisturbed else {
            let (code, report, log) = ended(&mut server.command(&models, &settings));
            assert_eq!(code, 0, "{report} {log}");
            lines = log.lines().count();
            undisturbed = Some(server.predictions(&models));
            continue;
        };
        let line = 1 + lines * (number as usize - 1) / kills as usize;
        interrupted += u32::from(killed_after(server.command(&models, &settings), line));
        // The published run is complete by its checksums. It is the old run or the new one.
        if server.served(&models) == before.0 {
            assert_eq!(server.predictions(&models), before.1);
        }
        let (code, report, log) = ended(&mut server.command(&models, &settings));
        assert_eq!(code, 0, "{report} {log}");
        assert_eq!(server.predictions(&models), *undisturbed, "kill {number}");
        server.served(&models);
        assert!(server.keys(&format!("{models}/lock.json")).is_empty());
        // No incomplete run is left.
        let keys = server.keys(&format!("{models}/runs/"));
        let of = |key: &String| key.split('/').nth(2).unwrap().to_owned();
        for id in keys.iter().map(of) {
            assert!(keys.contains(&format!("{models}/runs/{id}/_SUCCESS")), "{keys:?}");
        }
    }
    assert!(interrupted > 0, "no run was interrupted by {kills} kills");
    println!("{interrupted} of {kills} runs were interrupted");
}
