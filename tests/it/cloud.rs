//! Object stores, with a server that speaks the language of S3: moto (`pip install moto[server]`), found by
//! `MOTO_SERVER` or on the path. Without one these tests say that they are skipped.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::nights::{Nights, end, ended, signal, started};
use crate::support::{lacuna, sample};

/// A server of its own for each test, and a directory of this machine.
struct Server {
    child: Child,
    port: u16,
    nights: Nights,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start() -> Option<Self> {
        let program = std::env::var("MOTO_SERVER").unwrap_or_else(|_| "moto_server".into());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            let why = "skipped: moto_server is not here (pip install 'moto[server]'; MOTO_SERVER is its path)";
            let _ = writeln!(std::io::stderr(), "{why}");
            return None;
        };
        let server = Self { child, port, nights: Nights::new(Path::new(&sample())) };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(since.elapsed() < Duration::from_secs(60), "moto_server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(server.ask("PUT", "", b"").0, 200);
        Some(server)
    }

    /// One request with a signature that moto does not look at; status and content.
    fn ask(&self, method: &str, key: &str, content: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{method} /bucket/{key} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: {}\r\nConnection: close\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request, \
             SignedHeaders=host, Signature=none\r\n\r\n",
            self.port,
            content.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(content).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    fn put(&self, key: &str, content: &[u8]) {
        assert_eq!(self.ask("PUT", key, content).0, 200, "{key}");
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        let (status, content) = self.ask("GET", key, b"");
        (status == 200).then_some(content)
    }

    /// The keys that begin with a text.
    fn keys(&self, prefix: &str) -> Vec<String> {
        let (_, xml) = self.ask("GET", &format!("?list-type=2&prefix={prefix}"), b"");
        let xml = String::from_utf8(xml).unwrap();
        let keys = xml.split("<Key>").skip(1).map(|rest| rest.split_once('<').unwrap().0);
        keys.map(str::to_owned).collect()
    }

    /// The ratings until so many percent of them were there, as the object that is read.
    fn night(&self, percent: usize) {
        self.corrupt(percent, |_, line| line.to_owned());
    }

    fn corrupt(&self, percent: usize, edit: impl Fn(usize, &str) -> String) {
        self.nights.ratings(percent, edit);
        self.put("in/ratings.csv", &fs::read(self.nights.path("ratings.csv")).unwrap());
    }

    /// The program, with this server for Amazon's.
    fn lacuna(&self, arguments: &[&str]) -> Command {
        let mut command = lacuna();
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port));
        command.env("AWS_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("XDG_CACHE_HOME", self.nights.path("cache"));
        command.args(arguments);
        command
    }

    fn command(&self, models: &str, extra: &[&str]) -> Command {
        let mut command = self.lacuna(&["run", "s3://bucket/in/ratings.csv", "-o"]);
        command
            .args([&format!("s3://bucket/{models}"), "--json", "-k", "8", "-a", "als"])
            .args(extra);
        command
    }

    fn good(&self, models: &str, extra: &[&str]) -> Value {
        let (code, report, log) = ended(&mut self.command(models, extra));
        assert_eq!((code, &report["result"]), (0, &"promoted".into()), "{report} {log}");
        report
    }

    /// Exit code and both outputs.
    fn say(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.lacuna(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The run that is served, complete by its checksums.
    fn served(&self, models: &str) -> String {
        let pointer = self.get(&format!("{models}/latest.json")).unwrap();
        let pointer: Value = serde_json::from_slice(&pointer).unwrap();
        let (code, _, err) = self.say(&["verify", &format!("s3://bucket/{models}/latest")]);
        assert_eq!(code, 0, "{err}");
        pointer["run_id"].as_str().unwrap().to_owned()
    }

    /// What the served model predicts, to the last digit that is printed.
    fn predictions(&self, models: &str) -> String {
        let extra = ["--user", "1", "--user", "17"];
        self.recommended(&format!("s3://bucket/{models}"), &extra)
    }

    fn recommended(&self, model: &str, extra: &[&str]) -> String {
        let (code, out, err) = self.say(&[&["recommend", model, "--json"], extra].concat());
        assert_eq!(code, 0, "{err}");
        let value: Value = serde_json::from_str(&out).unwrap();
        value["lists"].to_string()
    }
}

#[test]
fn nights_in_an_object_store() {
    let Some(server) = Server::start() else { return };
    server.night(50);
    let first = server.good("models", &["--export", "npy"]);
    let id = first["run_id"].as_str().unwrap();
    assert_eq!(first["path"], format!("s3://bucket/models/runs/{id}"));
    assert_eq!(server.served("models"), id);
    assert!(server.keys("models/lock.json").is_empty());
    // The same as from files to files.
    let local = server.nights.command(&["--export", "npy"]).output().unwrap();
    let local: Value = serde_json::from_slice(&local.stdout).unwrap();
    assert_eq!(local["rmse"], first["rmse"]);
    let manifest = format!("models/runs/{id}/manifest.json");
    let manifest: Value = serde_json::from_slice(&server.get(&manifest).unwrap()).unwrap();
    let input = &manifest["inputs"][0];
    assert_eq!(input["uri"], "s3://bucket/in/ratings.csv");
    assert!(input["etag"].is_string() && input["sha256"].as_str().unwrap().len() == 64);
    // Nothing new: nothing is read.
    let (code, report, _) = ended(&mut server.command("models", &["--export", "npy"]));
    assert_eq!((code, &report["result"]), (0, &"noop".into()));
    // On another machine, which has nothing yet.
    fs::remove_dir_all(server.nights.path("cache")).unwrap();
    server.night(60);
    let second = server.good("models", &["--export", "npy"]);
    assert_eq!(second["lineage"]["warm_start_from"], id);
    assert!(second["lineage"]["alignment"]["median_cosine_after"].as_f64().unwrap() > 0.9);
    let served = server.served("models");
    assert_eq!(second["run_id"], *served);
    // Corrupted: rejected, and what was served still is.
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
    // The first one again, which the next night does not run over.
    let (code, _, err) = server.say(&["runs", "rollback", "s3://bucket/models"]);
    assert_eq!((code, server.served("models").as_str()), (0, id), "{err}");
    server.night(60);
    let (code, report, _) = ended(&mut server.command("models", &["--export", "npy"]));
    assert_eq!((code, &report["result"]), (0, &"noop".into()), "{report}");
    assert!(report["reason"].as_str().unwrap().contains("rolled back"), "{report}");
    // What is served stays, and what is removed is removed whole. In the year 2100 all of it is old.
    let keep = ["--keep-last", "0", "--keep-within", "0s"];
    let mut prune = server.lacuna(&[&["runs", "prune", "s3://bucket/models"], &keep[..]].concat());
    let pruned = prune.env("SOURCE_DATE_EPOCH", "4102444800").output().unwrap();
    assert!(pruned.status.success(), "{}", String::from_utf8_lossy(&pruned.stderr));
    assert_eq!(server.served("models"), id);
    assert!(server.keys(&format!("models/runs/{served}")).is_empty());
    assert!(server.keys(&rejected).is_empty());
}

#[test]
fn inputs_and_models_of_an_object_store() {
    let Some(server) = Server::start() else { return };
    server.night(100);
    server.nights.night(100);
    let csv = server.nights.text("ratings.csv");
    let half = server.nights.text("half.csv");
    server.nights.night(50);
    fs::rename(&csv, &half).unwrap();
    // In parts: a stranger's file beside them, compressed, below a directory.
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
    // A model of this machine from ratings that are not, and back.
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
    // A damaged one is seen.
    server.put("served/user_factors.parquet", b"PAR1");
    let (code, _, err) = server.say(&["verify", "s3://bucket/served"]);
    assert!(code == 3 && err.contains("error: s3://bucket/served: 1 of "), "{code} {err}");
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
fn another_run_at_the_same_time() {
    let Some(server) = Server::start() else { return };
    server.night(50);
    server.good("models", &[]);
    let served = server.served("models");
    server.night(60);
    // One that is at work elsewhere.
    let other = serde_json::json!({ "run_id": "other", "pid": 1, "host": "elsewhere", "started_at": "now" });
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
    // One that publishes meanwhile, without asking for the lock.
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
    // One that takes the lock meanwhile.
    let (child, log) = started(server.command("models", &long), "sweep");
    server.put("models/lock.json", other.to_string().as_bytes());
    let (code, report, log) = end(child, log);
    assert_eq!(code, 11, "{report} {log}");
    assert_eq!(server.served("models"), served);
    assert_eq!(server.get("models/lock.json").unwrap(), other.to_string().as_bytes());
}

/// Killed at any moment, also while objects are written. `KILLS` says how often.
#[test]
fn kill_at_any_moment_leaves_a_complete_run_served() {
    let Some(server) = Server::start() else { return };
    let kills: u32 = std::env::var("KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let settings = ["-i", "8", "--checkpoint-every", "0", "--export", "npy"];
    let mut interrupted = 0;
    let mut undisturbed = None;
    let mut whole = Duration::ZERO;
    for number in 0..=kills {
        let models = format!("models-{number}");
        server.night(50);
        server.good(&models, &settings);
        let before = (server.served(&models), server.predictions(&models));
        server.night(60);
        let Some(undisturbed) = &undisturbed else {
            let since = Instant::now();
            server.good(&models, &settings);
            whole = since.elapsed();
            undisturbed = Some(server.predictions(&models));
            continue;
        };
        let mut command = server.command(&models, &settings);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole.mul_f64((f64::from(number) - 0.5) / f64::from(kills)));
        let _ = child.kill();
        let killed = !child.wait().unwrap().success();
        interrupted += u32::from(killed);
        if !killed {
            // The machine has become faster, or less busy.
            whole = whole.mul_f64(0.8);
        }
        // Complete by its checksums, and one of the two.
        if server.served(&models) == before.0 {
            assert_eq!(server.predictions(&models), before.1);
        }
        let (code, report, log) = ended(&mut server.command(&models, &settings));
        assert_eq!(code, 0, "{report} {log}");
        assert_eq!(server.predictions(&models), *undisturbed, "kill {number}");
        server.served(&models);
        assert!(server.keys(&format!("{models}/lock.json")).is_empty());
        // Of what was left half-done nothing is there.
        let keys = server.keys(&format!("{models}/runs/"));
        let of = |key: &String| key.split('/').nth(2).unwrap().to_owned();
        for id in keys.iter().map(of) {
            assert!(keys.contains(&format!("{models}/runs/{id}/_SUCCESS")), "{keys:?}");
        }
    }
    assert!(interrupted > 0, "{interrupted} of {kills} were interrupted");
    println!("{interrupted} of {kills} runs were interrupted");
}

#[test]
fn what_fails_says_so_and_loses_nothing() {
    let Some(server) = Server::start() else { return };
    server.night(50);
    server.good("models", &[]);
    for (arguments, code, message) in [
        (&["inspect", "s3://bucket/none.csv"][..], 3, "s3://bucket/none.csv: no such object"),
        (&["inspect", "s3://no-bucket/none.csv"], 3, "s3://no-bucket"),
        (
            &["inspect", "s3://key:secret@bucket/in/ratings.csv"],
            2,
            "credentials do not belong into a URL",
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
fn what_happens_to_the_work_directory_the_store_or_the_network() {
    let Some(mut server) = Server::start() else { return };
    server.night(50);
    server.good("models", &[]);
    let served = server.served("models");
    // A place where other runs are worked at.
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
    // A file of others by the name of the lock.
    server.put("theirs/lock.json", b"{\"packages\": {}}");
    let (code, report, _) = ended(&mut server.command("theirs", &[]));
    assert!(
        code == 2 && report["reason"].as_str().unwrap().contains("is not a lock of lacuna"),
        "{report}"
    );
    assert_eq!(server.get("theirs/lock.json").unwrap(), b"{\"packages\": {}}");
    // A server whose name is none, and one that accepts and says nothing.
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
    let since = Instant::now();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    assert!(since.elapsed() < Duration::from_secs(20), "a stop is asked for");
    // A copy that was damaged is fetched again.
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
    // A pointer that says nothing: nothing is known of what is served, until it is written anew.
    let pointer = server.get("models/latest.json").unwrap();
    server.put("models/latest.json", b"{");
    let (code, report, _) = ended(&mut server.command("models", &[]));
    assert!(code == 3 && report["reason"].as_str().unwrap().contains("writes it anew"), "{report}");
    let (code, _, err) = server.say(&["runs", "rollback", "s3://bucket/models", &served]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(server.served("models"), served);
    server.put("models/latest.json", &pointer);
    // Stopped while files are written.
    let (child, log) = started(server.command("models", &["--export", "npy"]), "exported");
    signal(&child, "-TERM");
    let (code, report, _) = end(child, log);
    assert!([0, 143].contains(&code), "{report}");
    assert!(code == 0 || server.served("models") == served);
    // The server goes away: the training is kept.
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
