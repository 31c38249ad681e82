//! Inputs and models in an object store, and their failures.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Server;
use crate::nights::{end, ended, signal, started};

#[test]
fn inputs_and_models_of_an_object_store() {
    let Some(server) = Server::start() else { return };
    server.night(100);
    server.nights.night(100);
    let csv = server.nights.text("ratings.csv");
    let half = server.nights.text("half.csv");
    server.nights.night(50);
    fs::rename(&csv, &half).unwrap();
    // The ratings are in parts: a plain one and a compressed one in a subdirectory. A foreign file
    // lies alongside them.
    let text = fs::read_to_string(&half).unwrap();
    server.put("parts/a.csv", text.as_bytes());
    server.put("parts/readme.md", b"no ratings");
    let gzip = Command::new("gzip").arg("-c").arg(&half).output().unwrap();
    server.put("parts/deep/b.csv.gz", &gzip.stdout);
    let rows = |url: &str| -> Value {
        let (code, out, err) = server.say(&["inspect", url, "--json"]);
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    };
    let count = |value: &Value| value["inputs"].as_array().unwrap().len();
    for (url, files) in
        [("s3://bucket/parts", 1), ("s3://bucket/parts/", 1), ("s3://bucket/parts/**/*.csv*", 2)]
    {
        assert_eq!(count(&rows(url)), files, "{url}");
    }
    // A local model from remote ratings, then the same model in the store.
    let model = server.nights.text("model");
    let train = ["train", "s3://bucket/parts/a.csv", "-k", "8", "-o", &model];
    assert_eq!(server.say(&train).0, 0);
    let recommended = |model: &str, extra: &[&str]| {
        server.recommended(model, &[&["--user", "1"], extra].concat())
    };
    let expected = recommended(&model, &[]);
    assert_eq!(recommended(&model, &["--seen", "s3://bucket/parts/a.csv"]), expected);
    for entry in fs::read_dir(&model).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        server.put(&format!("served/{name}"), &fs::read(&path).unwrap());
    }
    assert_eq!(recommended("s3://bucket/served", &[]), expected);
    let (code, out, err) = server.say(&["evaluate", "s3://bucket/served", "--json"]);
    assert_eq!(code, 0, "{err}");
    assert!(serde_json::from_str::<Value>(&out).unwrap()["rating"]["rmse"].is_number(), "{out}");
    // A damaged model is detected.
    server.put("served/user_factors.parquet", b"PAR1");
    let (code, _, err) = server.say(&["verify", "s3://bucket/served"]);
    assert!(code == 3 && err.contains("manifest: 1 of "), "{code} {err}");
    assert!(err.contains("s3://bucket/served/user_factors.parquet"), "{err}");
    let (_, out, _) = server.say(&["verify", "s3://bucket/served", "--json"]);
    let damaged: Value = serde_json::from_str(&out).unwrap();
    assert!(damaged["damaged"][0].as_str().unwrap().starts_with("s3://bucket/served/"), "{out}");
    // Credentials of a profile.
    fs::create_dir(server.nights.path(".aws")).unwrap();
    let keys = "[nightly]\naws_access_key_id = a\naws_secret_access_key = b\n";
    fs::write(server.nights.path(".aws/credentials"), keys).unwrap();
    let inspect = |profile: &str| {
        let mut command = server.lacuna(&["inspect", "s3://bucket/parts/a.csv"]);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.env("HOME", server.nights.path("")).env("AWS_PROFILE", profile).output().unwrap()
    };
    assert!(inspect("nightly").status.success());
    let none = inspect("other");
    assert_eq!(none.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&none.stderr).contains("credentials are missing"));
}

#[test]
fn failures_are_reported_and_change_nothing() {
    let Some(server) = Server::start() else { return };
    server.night(50);
    server.good("models", &[]);
    for (arguments, code, message) in [
        (&["inspect", "s3://bucket/none.csv"][..], 3, "s3://bucket/none.csv: no such object"),
        (&["inspect", "s3://no-bucket/none.csv"], 3, "s3://no-bucket"),
        (
            &["inspect", "s3://key:secret@bucket/in/ratings.csv"],
            2,
            "credentials do not belong in a URL",
        ),
        (&["inspect", "s3://buck*/ratings.csv"], 2, "the name of a bucket is no pattern"),
        (&["run", "x.csv", "-o", "s3:/bucket/models"], 2, "did you mean s3://bucket/models?"),
        (&["inspect", "gs:/bucket/x.csv"], 2, "did you mean gs://bucket/x.csv?"),
        (
            &["recommend", "model", "--users", "s3://b/u.csv"],
            2,
            "--users is a file or directory of",
        ),
        (&["recommend", "s3://no-bucket/models"], 3, "does not exist (NoSuchBucket)"),
        (&["run", "s3://bucket/in/ratings.csv", "-o", "s3://bucket/in"], 2, "is neither empty nor"),
        (&["inspect", "ftp://host/ratings.csv"], 2, "not a URL that lacuna knows"),
        (
            &["train", "s3://bucket/in/ratings.csv", "-o", "s3://bucket/model"],
            2,
            "not s3://bucket/model",
        ),
        (&["export", "s3://bucket/models", "--format", "npy"], 2, "not s3://bucket/models"),
        (
            &["recommend", "s3://bucket/in", "--user", "1"],
            3,
            "neither manifest.json nor latest.json",
        ),
        (&["runs", "list", "s3://bucket/nothing"], 3, "not a directory of runs"),
        (
            &["run", "x.csv", "-o", "runs", "--work-dir", "w"],
            2,
            "--work-dir is for runs in an object store",
        ),
        (
            &["run", "x.csv", "-o", "s3://b", "--work-dir", "s3://w"],
            2,
            "--work-dir is a file or directory",
        ),
        (&["run", "x.csv", "-o", "s3://k:secret@b/m"], 2, "s3://...@b/m: credentials"),
        (
            &["run", "x.csv", "-o", "runs", "--metrics-file", "s3://b/x.prom"],
            2,
            "--metrics-file is a file",
        ),
    ] {
        let (exit, out, err) = server.say(arguments);
        assert!(exit == code && err.contains(message), "{arguments:?}: {exit} {err}");
        assert!(!(out + &err).contains("secret"), "{arguments:?}");
    }
}

#[test]
fn failures_of_work_directory_store_and_network() {
    let Some(mut server) = Server::start() else { return };
    server.night(50);
    server.good("models", &[]);
    let served = server.served("models");
    // A work directory of other runs is rejected.
    let work = server.nights.text("work");
    server.good("others", &["--work-dir", &work]);
    server.night(60);
    let (code, report, _) = ended(&mut server.command("models", &["--work-dir", &work]));
    assert_eq!(code, 2, "{report}");
    assert!(
        report["reason"].as_str().unwrap().contains("holds the runs of s3://bucket/others"),
        "{report}"
    );
    let csv = server.nights.text("ratings.csv");
    let (code, _, err) = server.say(&["run", &csv, "-o", &work, "--log-format", "text"]);
    assert!(code == 2 && err.contains("is the work directory of s3://bucket/others"), "{err}");
    // A foreign file with the name of the lock stays.
    server.put("theirs/lock.json", b"{\"packages\": {}}");
    let (code, report, _) = ended(&mut server.command("theirs", &[]));
    assert!(
        code == 2 && report["reason"].as_str().unwrap().contains("is not a lock of lacuna"),
        "{report}"
    );
    assert_eq!(server.get("theirs/lock.json").unwrap(), b"{\"packages\": {}}");
    // An endpoint that is not a URL, and a server that accepts a connection but never answers.
    let inspect = |endpoint: &str| {
        let mut command = server.lacuna(&["inspect", "s3://bucket/in/ratings.csv"]);
        command.env("AWS_ENDPOINT_URL", endpoint).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let none = inspect("localhost:9000").output().unwrap();
    assert_eq!(none.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&none.stderr)
            .contains("is no URL: https://HOST[:PORT], not localhost:9000")
    );
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let child = inspect(&format!("http://{}", silent.local_addr().unwrap())).spawn().unwrap();
    let _silent = silent.accept().unwrap();
    signal(&child, "-TERM");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    // A damaged local copy is downloaded again.
    let copies = server.nights.path("cache/lacuna");
    let copies: Vec<_> = fs::read_dir(copies).unwrap().map(|entry| entry.unwrap().path()).collect();
    let factors =
        copies.iter().map(|copy| copy.join("runs").join(&served).join("user_factors.parquet"));
    let factors: Vec<_> = factors.filter(|file| file.is_file()).collect();
    assert_eq!(factors.len(), 1);
    let mut bytes = fs::read(&factors[0]).unwrap();
    bytes[100] ^= 1;
    fs::write(&factors[0], bytes).unwrap();
    let report = server.good("models", &[]);
    assert_eq!(report["lineage"]["warm_start_from"], *served);
    let served = server.served("models");
    server.night(70);
    // With an invalid pointer, the published run is unknown until a rollback rewrites the pointer.
    let pointer = server.get("models/latest.json").unwrap();
    server.put("models/latest.json", b"{");
    let (code, report, _) = ended(&mut server.command("models", &[]));
    assert!(code == 3 && report["reason"].as_str().unwrap().contains("writes it anew"), "{report}");
    let (code, _, err) = server.say(&["runs", "rollback", "s3://bucket/models", &served]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(server.served("models"), served);
    server.put("models/latest.json", &pointer);
    // Stop a run while it writes files.
    let (child, log) = started(server.command("models", &["--export", "npy"]), "exported");
    signal(&child, "-TERM");
    let (code, report, _) = end(child, log);
    assert!([0, 143].contains(&code), "{report}");
    assert!(code == 0 || server.served("models") == served);
    // The server goes away. The checkpoint of the training stays.
    let long = ["-i", "300", "--tol", "0", "--allow-gate-failure", "--work-dir"];
    let work = server.nights.text("more-work");
    let (child, log) = started(server.command("more", &[&long[..], &[&work]].concat()), "sweep");
    server.child.kill().unwrap();
    let (code, report, log) = end(child, log);
    assert_eq!(code, 7, "{report} {log}");
    assert!(
        report["reason"].as_str().unwrap().contains("cannot write s3://bucket/more/"),
        "{report}"
    );
    assert!(fs::read_dir(Path::new(&work).join(".ckpt")).unwrap().next().is_some());
}
